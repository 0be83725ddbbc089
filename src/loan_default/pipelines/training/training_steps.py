"""Training as steps that a scheduler calls one by one, each in a process of its own and safe to repeat.

    freeze_training_data    the training store, up to date, as a snapshot that the run keeps
    pretrain_step           an encoder, from the rows that pretraining may see
    train_step              a calibrated model and its report, from labelled rows
    register_step           the model in the registry, and `model.trained` on the topic `commands`

They find each other's files in the folder of the run. A step that is repeated goes on from its checkpoints;
one that is done changes nothing. Each claims its fencing token when it begins, and checks that no newer try
has claimed one before it writes what another try or step reads. Checkpoints are written without this check:
each is a valid state of the same run, whichever try wrote it.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import structlog

from loan_default.data.datasets.store_files import has_parts
from loan_default.database.control_repositories import FencingToken
from loan_default.database.documents import ID_DIGITS, ModelMetadata, TrainingData
from loan_default.database.repositories import ModelRepository, TrainingDataRepository
from loan_default.errors import ConfigurationError, DataError
from loan_default.failpoints import failpoint
from loan_default.files import write_atomically, write_once
from loan_default.kafka.control_events import FactType, publish_fact
from loan_default.models.fitting import Progress
from loan_default.pipelines.layout import SCHEDULED_RUNS
from loan_default.pipelines.registry import on_unseen_rows
from loan_default.pipelines.services import Services
from loan_default.pipelines.training.listeners import Listener
from loan_default.pipelines.training.plan import TrainingPlan, plan_training
from loan_default.pipelines.training.registration import (
    Registration,
    register_trained,
    registration_of,
    write_inputs,
)
from loan_default.pipelines.training.run_evidence import check_terms, evidence_of
from loan_default.pipelines.training.run_folder import REPORT, open_folder
from loan_default.pipelines.training.run_report import write_report
from loan_default.pipelines.training.snapshots import prepare_training_data
from loan_default.pipelines.training.stages import pretrain_encoder, train_classifier
from loan_default.pipelines.training.stopwatch import Stopwatch
from loan_default.pipelines.training.training_options import StoreData, TrainingOptions
from loan_default.review_policy import DEFAULT_REVIEW_POLICY, ReviewPolicy

_SNAPSHOT, _REGISTRATION = "snapshot.json", "registration.json"
_LONGEST = 150
"""Characters of a run's id in the name of its folder."""

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingRun:
    """One scheduled run of the training: its services, folders and options.

    Raises:
        ConfigurationError: the options name a file instead of the training store.
    """

    services: Services
    home: Path
    options: TrainingOptions
    """Options on the training store, without a snapshot and an encoder: the run makes its own."""
    since: datetime | None = None
    until: datetime | None = None
    """Train on applications from that time on, and before that time; None = on all."""
    policy: ReviewPolicy = DEFAULT_REVIEW_POLICY
    """What the documents of the model are computed by."""

    def __post_init__(self) -> None:
        if not isinstance(self.options.data, StoreData):
            raise ConfigurationError(
                "a scheduled run must train on the training store, however: its data are the file "
                f"{self.options.data.name}"
            )

    @property
    def id(self) -> str:
        """Id of the run, which the scheduler gave."""
        return self.services.run

    @property
    def folder(self) -> Path:
        """Folder of the files that the steps leave for each other."""
        # The digest distinguishes ids that differ only in what a file name cannot hold.
        readable = re.sub(r"[^A-Za-z0-9_.+-]", "-", self.id)[:_LONGEST]
        return (
            self.home
            / SCHEDULED_RUNS
            / f"{readable}-{hashlib.sha256(self.id.encode()).hexdigest()[:ID_DIGITS]}"
        )

    @property
    def encoder(self) -> Path | None:
        """The file that `pretrain_step` leaves; None = the run starts from random weights."""
        return self.folder / "encoder" / "encoder.pth" if self.options.pretrain else None

    @property
    def store(self) -> StoreData:
        """The training store, without a snapshot."""
        assert isinstance(self.options.data, StoreData)
        return self.options.data

    @property
    def snapshot(self) -> TrainingData:
        """The rows of the run; a DataError before `freeze_training_data` has written it."""
        path = self.folder / _SNAPSHOT
        if not path.exists():
            raise DataError(f"a run must have its snapshot, however: {path} is not there. Freeze it first.")
        return TrainingData.from_json(path.read_bytes())

    @property
    def options_to_pretrain(self) -> TrainingOptions:
        """Options of `pretrain_step`, which goes on where an earlier try stopped."""
        data = replace(self.store, snapshot=self.snapshot)
        return replace(self.options, data=data, pretrain=True, train=False, resume=True)

    @property
    def options_to_train(self) -> TrainingOptions:
        """Options of `train_step`, which goes on where an earlier try stopped."""
        data = replace(self.store, snapshot=self.snapshot)
        return replace(self.options, data=data, pretrain=False, train=True, encoder=self.encoder, resume=True)


def freeze_training_data(run: TrainingRun, fencing_token: FencingToken) -> TrainingData:
    """Bring the training store up to date and write down which rows the run trains on; safe to repeat.

    Raises:
        DependencyError: as `prepare_training_data`.
        DataError: as `prepare_training_data`, or a newer try of the step has begun.
    """
    fencing_token.claim()
    path = run.folder / _SNAPSHOT
    if path.exists():
        return run.snapshot
    snapshot = prepare_training_data(
        run.services,
        run.store.folder,
        maturity_days=run.store.maturity_days,
        since=run.since,
        until=run.until,
    )
    # Where the same rows were registered before, that snapshot is taken: its time and its files belong
    # together. But not where its files have been rewritten under other names.
    stored = TrainingDataRepository(run.services.database).get(snapshot.id)
    if has_parts(run.store.folder, stored.parts):
        snapshot = stored
    fencing_token.check()
    write_once(path, snapshot.model_dump_json().encode())
    return run.snapshot


def model_of_data(run: TrainingRun) -> str | None:
    """Version of the newest model that another run has trained on the same rows; None = the rows are new."""
    same = TrainingDataRepository(run.services.database).with_digest(run.snapshot.digest)
    models = ModelRepository(run.services.database).of_snapshots(snapshot.id for snapshot in same)
    return next((model.version for model in models if model.run not in (None, run.id)), None)


def pretrain_step(run: TrainingRun, listener: Listener, fencing_token: FencingToken) -> Path:
    """Pretrain on the rows of the snapshot that no metric is computed on; returns the encoder file.

    Raises:
        DataError: the data cannot give an encoder, or a newer try of the step has begun.
        ConfigurationError: the options contradict each other or the machine.
    """
    fencing_token.claim()
    out, watch = run.folder / "encoder", Stopwatch(listener.stage)
    watched = _WatchedListener(listener, fencing_token)
    plan, _ = _open_step(run.options_to_pretrain, out, watch=watch, watched=watched)
    _, encoder = pretrain_encoder(
        plan, out=out, watch=watch, on_progress=watched.progress, before_write=fencing_token.check
    )
    watch.stop()
    return encoder


def train_step(run: TrainingRun, listener: Listener, fencing_token: FencingToken) -> Registration:
    """Train on the labelled rows of the snapshot; returns the documents to register.

    Raises:
        DataError, ConfigurationError: as `pretrain_step`.
        ArtifactError: the encoder file was refused, or is not there.
    """
    fencing_token.claim()
    out, watch = run.folder / "model", Stopwatch(listener.stage)
    watched = _WatchedListener(listener, fencing_token)
    plan, started_at = _open_step(run.options_to_train, out, watch=watch, watched=watched)
    check_terms(plan, run.policy)
    trained = train_classifier(
        plan,
        None,
        out=out,
        watch=watch,
        on_progress=watched.progress,
        started_at=started_at,
        before_write=fencing_token.check,
    )
    figures = write_report(plan, trained, out / REPORT, command=f"run {run.id}", watch=watch)
    evidence = evidence_of(
        plan,
        trained,
        intervals=figures.intervals,
        importance=figures.importance,
        policy=run.policy,
    )
    registration = registration_of(plan, trained, intervals=figures.intervals, evidence=evidence, run=run.id)
    fencing_token.check()
    write_atomically(out / _REGISTRATION, registration.model_dump_json().encode())
    watch.stop()
    return registration


def register_step(
    run: TrainingRun, fencing_token: FencingToken
) -> tuple[ModelMetadata, Mapping[str, float | None]]:
    """Register the model of the run and publish that it is trained; repeating it changes nothing.

    Returns:
        The document of the model, and its AUC, KS and Brier score on the test rows.

    Raises:
        DataError: nothing was trained, another model is stored for the run, or a newer try has begun.
        ArtifactError: the model file is not as it was written.
        DependencyError: broker or database are away.
    """
    fencing_token.claim()
    path = run.folder / "model" / _REGISTRATION
    if not path.exists():
        raise DataError(f"a model must be trained before it is registered, however: {path} is not there.")
    registration = Registration.model_validate_json(path.read_bytes(), extra="ignore")
    fencing_token.check()
    failpoint("model_checked")
    model = register_trained(
        registration, path.with_name("model.pth"), home=run.home, database=run.services.database
    )
    failpoint("model_stored")
    unseen = on_unseen_rows(registration.metrics)
    assert unseen is not None  # a registration has metrics on the test rows
    metrics = {name: unseen.figures.get(name) for name in ("auc", "ks", "brier")}
    publish_fact(run.services.broker, FactType.TRAINED, version=model.version, metrics=metrics)
    log.info("model_stored", run=run.id, version=model.version, **metrics)
    return model, metrics


def _open_step(
    options: TrainingOptions, out: Path, *, watch: Stopwatch, watched: "_WatchedListener"
) -> tuple[TrainingPlan, datetime]:
    """Make the plan of a step and open its folder; returns the plan, and when the first try began."""
    plan = plan_training(options, watch=watch)
    watch.stop()
    watched.fencing_token.check()  # opening the folder deletes what a newer try is writing there
    started_at = open_folder(plan, out)
    watched.listener.planned(plan, out, kept_schema=write_inputs(plan, out))
    return plan, started_at


@dataclass(frozen=True, slots=True)
class _WatchedListener:
    """Passes progress on, and ends a superseded try at the end of an epoch."""

    listener: Listener
    fencing_token: FencingToken

    def progress(self, progress: Progress) -> None:
        if progress.last is not None:
            self.fencing_token.check()
        failpoint("epoch_done" if progress.last is not None else "epoch_goes_on")
        self.listener.progress(progress)

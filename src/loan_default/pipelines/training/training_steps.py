"""Training as steps that a scheduler calls one by one, each in a process of its own and safe to repeat.

    freeze_training_data    the training store, up to date, as a snapshot that the run keeps
    pretrain_step           an encoder, from the rows that pretraining may see
    train_step              a calibrated model and its report, from labelled rows
    store_step              the model in the registry, and the news on `commands`

They find each other's files in the folder of the run. A step that is repeated goes on from its checkpoints,
one that is done does nothing new. Each claims its fence when it begins, and before it writes what another try
or step reads, it asks whether it is still the newest try. Checkpoints are written without: each is a sound
state of the same run, whoever wrote it.
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
from loan_default.errors import DataError
from loan_default.failpoints import failpoint
from loan_default.files import write_atomically, write_once
from loan_default.kafka.control_events import FactType, publish_fact
from loan_default.models.fitting import Progress
from loan_default.pipelines.layout import SCHEDULED_RUNS, TRAINING_STORE
from loan_default.pipelines.registry import on_unseen_rows
from loan_default.pipelines.services import Services
from loan_default.pipelines.training.listeners import Listener
from loan_default.pipelines.training.preparation import (
    Stopwatch,
    TrainingOptions,
    TrainingPlan,
    plan_training,
)
from loan_default.pipelines.training.registration import (
    Registration,
    registration_of,
    store_inputs,
    store_model,
)
from loan_default.pipelines.training.run_folder import open_folder
from loan_default.pipelines.training.run_report import write_report
from loan_default.pipelines.training.snapshots import prepare_training_data
from loan_default.pipelines.training.stages import pretrain_encoder, train_classifier

_SNAPSHOT, _REGISTRATION = "snapshot.json", "registration.json"
_LONGEST = 150
"""Characters of a run's id in the name of its folder."""

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingRun:
    """One run of the training, and how it is done."""

    services: Services
    home: Path
    options: TrainingOptions
    """Without a snapshot and an encoder: the run keeps its own."""
    since: datetime | None = None
    until: datetime | None = None
    """Train on applications from that time on, and before that time; None = on all."""

    @property
    def id(self) -> str:
        """The scheduler's."""
        return self.services.run

    @property
    def folder(self) -> Path:
        """What the steps leave for each other."""
        # The digest tells ids apart that differ only in what a file name cannot hold.
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
    def store(self) -> Path:
        """The training store."""
        return self.home / TRAINING_STORE

    @property
    def snapshot(self) -> TrainingData:
        """The data of the run; DataError before `freeze_training_data`."""
        path = self.folder / _SNAPSHOT
        if not path.exists():
            raise DataError(f"a run must have its snapshot, however: {path} is not there. Prepare it first.")
        return TrainingData.from_json(path.read_bytes())

    @property
    def options_to_pretrain(self) -> TrainingOptions:
        """What `pretrain_step` does; it goes on where a former try of it stopped."""
        given = replace(self.options, data=self.store, snapshot=self.snapshot, resume=True)
        return replace(given, pretrain=True, train=False)

    @property
    def options_to_train(self) -> TrainingOptions:
        """What `train_step` does; it goes on where a former try of it stopped."""
        given = replace(self.options, data=self.store, snapshot=self.snapshot, resume=True)
        return replace(given, pretrain=False, train=True, encoder=self.encoder)


def freeze_training_data(run: TrainingRun, fencing_token: FencingToken) -> TrainingData:
    """Bring the training store up to date and keep what it holds as the data of the run; safe to repeat.

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
        run.store,
        maturity_days=run.options.maturity_days,
        since=run.since,
        until=run.until,
    )
    # The stored one, where the same data were there before: its time and its files belong together. But not
    # where its files were written anew under other names.
    stored = TrainingDataRepository(run.services.database).get(snapshot.id)
    if has_parts(run.store, stored.parts):
        snapshot = stored
    fencing_token.check()
    write_once(path, snapshot.model_dump_json().encode())
    return run.snapshot


def model_of_data(run: TrainingRun) -> str | None:
    """Version of the newest model that another run trained on the same rows; None = they are new."""
    same = TrainingDataRepository(run.services.database).with_digest(run.snapshot.digest)
    models = ModelRepository(run.services.database).of_snapshots(snapshot.id for snapshot in same)
    return next((model.version for model in models if model.run not in (None, run.id)), None)


def pretrain_step(run: TrainingRun, listener: Listener, fencing_token: FencingToken) -> Path:
    """Pretrain on the rows of the snapshot that no figure is computed on; returns the encoder file.

    Raises:
        DataError: the data cannot give an encoder, or a newer try of the step has begun.
        ConfigurationError: the options contradict each other or the machine.
    """
    fencing_token.claim()
    out, watch = run.folder / "encoder", Stopwatch(listener.stage)
    watched = _Watched(listener, fencing_token)
    plan, _ = _opened(run.options_to_pretrain, out, watch=watch, watched=watched)
    _, encoder = pretrain_encoder(
        plan, out=out, watch=watch, report=watched.progress, before_write=fencing_token.check
    )
    watch.stop()
    return encoder


def train_step(run: TrainingRun, listener: Listener, fencing_token: FencingToken) -> Registration:
    """Train on the labelled rows of the snapshot, and say what there is to register.

    Raises:
        DataError, ConfigurationError: as `pretrain_step`.
        ArtifactError: the encoder file was refused, or is not there.
    """
    fencing_token.claim()
    out, watch = run.folder / "model", Stopwatch(listener.stage)
    watched = _Watched(listener, fencing_token)
    plan, started_at = _opened(run.options_to_train, out, watch=watch, watched=watched)
    trained = train_classifier(
        plan,
        None,
        out=out,
        watch=watch,
        report=watched.progress,
        started_at=started_at,
        before_write=fencing_token.check,
    )
    watch.start("report", "bootstrap intervals, permutation importance, charts")
    intervals = write_report(plan, trained, out / "report.html", command=f"run {run.id}")
    registration = registration_of(plan, trained, intervals=intervals, run=run.id)
    fencing_token.check()
    write_atomically(out / _REGISTRATION, registration.model_dump_json().encode())
    watch.stop()
    return registration


def store_step(
    run: TrainingRun, fencing_token: FencingToken
) -> tuple[ModelMetadata, Mapping[str, float | None]]:
    """Store the model of the run and announce it; returns its document and its figures. Again is no change.

    Raises:
        DataError: nothing was trained, another model is stored for the run, or a newer try has begun.
        ArtifactError: the model file is not as it was written.
        DependencyError: broker or database are away.
    """
    fencing_token.claim()
    path = run.folder / "model" / _REGISTRATION
    if not path.exists():
        raise DataError(f"a model must be trained before it is stored, however: {path} is not there.")
    registration = Registration.model_validate_json(path.read_bytes(), extra="ignore")
    fencing_token.check()
    failpoint("model_checked")
    model = store_model(
        registration, path.with_name("model.pth"), home=run.home, database=run.services.database
    )
    failpoint("model_stored")
    unseen = on_unseen_rows(registration.metrics)
    assert unseen is not None  # a registration has the figures on the test rows
    told = {name: unseen.figures.get(name) for name in ("auc", "ks", "brier")}
    publish_fact(run.services.broker, FactType.TRAINED, version=model.version, metrics=told)
    log.info("model_stored", run=run.id, version=model.version, **told)
    return model, told


def _opened(
    options: TrainingOptions, out: Path, *, watch: Stopwatch, watched: "_Watched"
) -> tuple[TrainingPlan, datetime]:
    """What a step works on, in its folder, and when the first try of it began."""
    plan = plan_training(options, watch=watch)
    watch.stop()
    watched.fencing_token.check()  # to open the folder is to sweep it: what a newer try is writing would go
    started_at = open_folder(plan, out)
    watched.listener.plan(plan, out, kept_schema=store_inputs(plan, out))
    return plan, started_at


@dataclass(frozen=True, slots=True)
class _Watched:
    """Progress that ends a try that was overtaken, at the end of an epoch."""

    listener: Listener
    fencing_token: FencingToken

    def progress(self, progress: Progress) -> None:
        if progress.last is not None:
            self.fencing_token.check()
        failpoint("epoch_done" if progress.last is not None else "epoch_goes_on")
        self.listener.progress(progress)

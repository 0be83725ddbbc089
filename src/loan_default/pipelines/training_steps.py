"""Training as steps that a scheduler calls one by one, each in a process of its own and safe to repeat.

    freeze_training_data    the training store, up to date, as a snapshot that the run keeps
    pretrain_step           an encoder, from every row
    train_step              a calibrated model and its report, from labelled rows
    store_step              the model in the registry, and the news on `commands`

They find each other's files in the folder of the run. A step that is repeated goes on from its checkpoints,
one that is done does nothing new. Before it writes, each asks the fence whether it is still the newest try.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import structlog

from loan_default.database.control_repositories import Fence
from loan_default.database.documents import DatasetName, ModelMetadata, TrainingData
from loan_default.database.repositories import ModelRepository, TrainingDataRepository
from loan_default.errors import DataError
from loan_default.failpoints import failpoint
from loan_default.files import write_atomically
from loan_default.kafka.commands import FactType, fact
from loan_default.models.fitting import Progress
from loan_default.pipelines.dataset import STORE
from loan_default.pipelines.flow import Flow
from loan_default.pipelines.local import Listener, open_folder
from loan_default.pipelines.preparing import Prepared, Stopwatch, TrainingOptions, prepare
from loan_default.pipelines.publishing import Registration, registration_of, store_inputs, store_model
from loan_default.pipelines.reporting import write_report
from loan_default.pipelines.training import pretrain_encoder, train_classifier
from loan_default.pipelines.training_data import prepare_training_data

RUNS = "training"
"""Folder of the runs, under the home folder."""
_SNAPSHOT, _REGISTRATION = "snapshot.json", "registration.json"

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingRun:
    """One run of the training, and how it is done."""

    flow: Flow
    home: Path
    options: TrainingOptions
    """Without a snapshot: the run keeps its own."""
    since: datetime | None = None
    until: datetime | None = None
    """Train on applications from that time on, and before that time; None = on all."""

    @property
    def id(self) -> str:
        """The scheduler's."""
        return self.flow.run

    @property
    def folder(self) -> Path:
        """What the steps leave for each other."""
        return self.home / RUNS / re.sub(r"[^A-Za-z0-9_.+-]", "-", self.id)

    @property
    def store(self) -> Path:
        """The training store."""
        return self.home / STORE

    @property
    def snapshot(self) -> TrainingData:
        """The data of the run; DataError before `freeze_training_data`."""
        path = self.folder / _SNAPSHOT
        if not path.exists():
            raise DataError(f"a run must have its snapshot, however: {path} is not there. Prepare it first.")
        return TrainingData.model_validate_json(path.read_bytes())

    def options_of(self, step: str, *, encoder: Path | None = None) -> TrainingOptions:
        """The options of a step; it goes on where a former try of it stopped."""
        return replace(
            self.options,
            data=self.store,
            snapshot=self.snapshot,
            pretrain=step == "encoder",
            train=step == "model",
            encoder=encoder,
            resume=True,
        )


def freeze_training_data(run: TrainingRun) -> TrainingData:
    """Bring the training store up to date and keep what it holds as the data of the run; again is no change.

    Raises:
        DependencyError, DataError: as `prepare_training_data`.
    """
    path = run.folder / _SNAPSHOT
    if path.exists():
        return run.snapshot
    snapshot = prepare_training_data(
        run.flow,
        run.store,
        maturity_days=run.options.maturity_days,
        since=run.since,
        until=run.until,
    )
    # The stored one, where the same data were there before: its time and its files belong together.
    snapshot = TrainingDataRepository(run.flow.database).get(snapshot.id)
    write_atomically(path, snapshot.model_dump_json().encode())
    return snapshot


def model_of_data(run: TrainingRun) -> str | None:
    """Version of the newest model that another run trained on the same rows; None = they are new."""
    digest, snapshots = run.snapshot.digest, TrainingDataRepository(run.flow.database)
    for model in ModelRepository(run.flow.database).newest_first():
        data = snapshots.find(model.snapshot)
        if model.run not in (None, run.id) and data is not None and data.digest == digest:
            return model.version
    return None


def pretrain_step(run: TrainingRun, listener: Listener, fence: Fence) -> Path:
    """Pretrain on every row of the snapshot; returns the encoder file.

    Raises:
        DataError: the data cannot give an encoder, or a newer try of the step has begun.
        ConfigurationError: the options contradict each other or the machine.
    """
    fence.claim()
    out, watch = run.folder / "encoder", Stopwatch(listener.stage)
    prepared, _ = _opened(run.options_of("encoder"), out, watch=watch, listener=listener)
    report = _Watched(listener, fence)
    _, encoder = pretrain_encoder(prepared, out=out, watch=watch, report=report.progress)
    watch.stop()
    return encoder


def train_step(run: TrainingRun, listener: Listener, fence: Fence, *, encoder: Path | None) -> Registration:
    """Train on the labelled rows of the snapshot, and say what there is to register.

    Args:
        encoder: to start from; None = random weights.

    Raises:
        DataError, ConfigurationError: as `pretrain_step`.
        ArtifactError: the encoder file was refused.
    """
    fence.claim()
    out, watch = run.folder / "model", Stopwatch(listener.stage)
    options = run.options_of("model", encoder=encoder)
    prepared, started_at = _opened(options, out, watch=watch, listener=listener)
    report = _Watched(listener, fence)
    trained = train_classifier(
        prepared, None, out=out, watch=watch, report=report.progress, started_at=started_at
    )
    watch.start("report", "bootstrap intervals, permutation importance, charts")
    intervals = write_report(prepared, trained, out / "report.html", command=f"run {run.id}")
    registration = registration_of(prepared, trained, intervals=intervals, run=run.id)
    fence.check()
    write_atomically(out / _REGISTRATION, registration.model_dump_json().encode())
    watch.stop()
    return registration


def store_step(run: TrainingRun, fence: Fence) -> tuple[ModelMetadata, Mapping[str, float | None]]:
    """Store the model of the run and announce it; returns its document and its figures. Again is no change.

    Raises:
        DataError: nothing was trained, another model is stored for the run, or a newer try has begun.
        ArtifactError: the model file is not as it was written.
        DependencyError: broker or database are away.
    """
    fence.claim()
    path = run.folder / "model" / _REGISTRATION
    if not path.exists():
        raise DataError(f"a model must be trained before it is stored, however: {path} is not there.")
    registration = Registration.model_validate_json(path.read_bytes())
    fence.check()
    failpoint("model_checked")
    model = store_model(registration, path.with_name("model.pth"), home=run.home, database=run.flow.database)
    failpoint("model_stored")
    unseen = (each for each in registration.metrics if each.dataset is not DatasetName.VALIDATION)
    figures = next(unseen).figures
    told = {name: figures.get(name) for name in ("auc", "ks", "brier")}
    announce(run.flow, FactType.TRAINED, version=model.version, figures=told)
    log.info("model_stored", run=run.id, version=model.version, **told)
    return model, told


def announce(
    flow: Flow, kind: FactType, *, version: str, figures: Mapping[str, object], occasion: str = ""
) -> None:
    """Say on `commands` what became of a model, as `fact` does; said again it has the same id."""
    producer = flow.broker.producer()
    try:
        producer.deliver([fact(kind, version=version, figures=figures, occasion=occasion)])
    finally:
        producer.close()


def _opened(
    options: TrainingOptions, out: Path, *, watch: Stopwatch, listener: Listener
) -> tuple[Prepared, datetime]:
    """What a step works on, in its folder, and when the first try of it began."""
    prepared = prepare(options, watch=watch)
    watch.stop()
    started_at = open_folder(prepared, out)
    listener.prepared(prepared, out, kept_schema=store_inputs(prepared, out))
    return prepared, started_at


@dataclass(frozen=True, slots=True)
class _Watched:
    """Progress that ends a try that was overtaken, at the end of an epoch."""

    listener: Listener
    fence: Fence

    def progress(self, progress: Progress) -> None:
        if progress.last is not None:
            self.fence.check()
        failpoint("epoch_done" if progress.last is not None else "epoch_goes_on")
        self.listener.progress(progress)

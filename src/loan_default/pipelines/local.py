"""The whole of training on one machine: what `train.py` does."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from loan_default.database.connect import Database
from loan_default.database.documents import ModelMetadata
from loan_default.errors import ConfigurationError, DependencyError
from loan_default.evaluation.bootstrap import Interval
from loan_default.files import write_atomically
from loan_default.models.fitting import Progress
from loan_default.pipelines.preparing import Prepared, Stopwatch, TrainingOptions, prepare
from loan_default.pipelines.publishing import MODELS, registration_of, store_inputs, store_model
from loan_default.pipelines.reporting import write_report
from loan_default.pipelines.training import (
    Trained,
    fingerprint_of_run,
    pretrain_encoder,
    train_classifier,
)


class Listener(Protocol):
    """Who is told how a run goes."""

    def stage(self, name: str, detail: str) -> None:
        """A stage begins; `detail` says what was decided for it."""

    def prepared(self, prepared: Prepared, out: Path, *, kept_schema: Path | None) -> None:
        """Everything is decided, the inputs lie in the folder `out`, and nothing slow has begun.

        `kept_schema` is the name that another schema which lay there was given.
        """

    def progress(self, progress: Progress) -> None:
        """A sign of life of a long stage."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a run came to, and where it lies."""

    prepared: Prepared
    out: Path
    encoder: Path | None
    """The encoder file, if the run pretrained."""
    trained: Trained | None
    """None = the run only pretrained."""
    document: ModelMetadata | None
    intervals: dict[str, Interval]
    """Figures on the test rows with their ranges."""


def run_training(
    options: TrainingOptions, *, out: Path, home: Path, database: Database, listener: Listener, command: str
) -> Outcome:
    """From a file to a registered model and its report, all in the folder `out`.

    Args:
        home: folder of registered models.
        database: where the model is registered.
        command: what the person typed, for the report.

    Raises:
        DataError, ConfigurationError, ArtifactError: before anything slow has begun; later only where a loss
            is not finite or a checkpoint is damaged.
        DependencyError: a member's process was killed, or the database does not answer: model file and
            report are there then.
    """
    watch = Stopwatch(listener.stage)
    _check_folder(out, home)
    prepared = prepare(options, watch=watch)
    watch.stop()
    started_at = open_folder(prepared, out)
    listener.prepared(prepared, out, kept_schema=store_inputs(prepared, out))
    pretrained, encoder = None, None
    if options.pretrain:
        pretrained, encoder = pretrain_encoder(prepared, out=out, watch=watch, report=listener.progress)
    if not options.train:
        watch.stop()
        return Outcome(prepared=prepared, out=out, encoder=encoder, trained=None, document=None, intervals={})
    trained = train_classifier(
        prepared, pretrained, out=out, watch=watch, report=listener.progress, started_at=started_at
    )
    watch.start("report", "bootstrap intervals, permutation importance, charts")
    intervals = write_report(prepared, trained, out / "report.html", command=command)
    try:
        registration = registration_of(prepared, trained, intervals=intervals)
        document = store_model(registration, trained.path, home=home, database=database)
    except DependencyError as error:
        raise DependencyError(
            f"{error} The model lies in {trained.path} but is not registered: repeat the command with "
            "--resume."
        ) from error
    watch.stop()
    return Outcome(
        prepared=prepared,
        out=out,
        encoder=encoder,
        trained=trained,
        document=document,
        intervals=dict(intervals),
    )


def _check_folder(out: Path, home: Path) -> None:
    """ConfigurationError where the folder of a run cannot be one."""
    taken = next((path for path in (out, *out.parents) if path.exists()), None)
    if taken is not None and not taken.is_dir():
        raise ConfigurationError(f"--out must be a folder, however: {taken} is a file. Choose another.")
    if out.resolve() == (home / MODELS).resolve():
        raise ConfigurationError(f"--out must not be the folder of registered models, however: {out}")


_RUN = Path("checkpoints", "run.json")


def open_folder(prepared: Prepared, out: Path) -> datetime:
    """Make the folder of a run, or find the one to go on in; returns when the run began.

    A new run starts without what an earlier one left: checkpoints, models, the report. A run that goes on
    keeps its time, and so the version of its model. Temporary files of killed runs go in both cases.

    Raises:
        ConfigurationError: the folder cannot be written, or the run to go on with is another one.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"--out must be a folder that can be written, however: {out}: {error.strerror}. Choose another."
        ) from error
    left = [*out.glob(".*.tmp"), *(out / "checkpoints").glob(".*.tmp")]
    if not prepared.options.resume:
        left += [*(out / "checkpoints").glob("*.ckpt"), out / _RUN, out / "report.html"]
        left += [out / name for name in _model_files(prepared)]
    for path in left:
        if not path.is_dir():  # the folder of a scoring that is running
            path.unlink(missing_ok=True)
    return _started_at(out / _RUN, fingerprint_of_run(prepared))


def _model_files(prepared: Prepared) -> list[str]:
    """Names of what a run makes, but for the encoder that it starts from."""
    kinds = ("model.pth", "encoder.pth") if prepared.options.encoder is None else ("model.pth",)
    return [f"{kind}{suffix}" for kind in kinds for suffix in ("", ".sha256")]


def _started_at(path: Path, fingerprint: str) -> datetime:
    if not path.exists():
        run = {"started_at": datetime.now(UTC).isoformat(), "fingerprint": fingerprint}
        write_atomically(path, json.dumps(run).encode())
    run = json.loads(path.read_text())
    if run["fingerprint"] != fingerprint:
        raise ConfigurationError(
            f"a run must be resumed with the data and options it began with, however: {path.parent.parent} "
            "belongs to others. Repeat them, or leave --resume out to start anew."
        )
    return datetime.fromisoformat(run["started_at"])

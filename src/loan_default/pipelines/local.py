"""The whole of training on one machine: what `train.py` does."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from loan_default.database.connect import Database
from loan_default.database.documents import ModelMetadata
from loan_default.errors import DependencyError
from loan_default.evaluation.bootstrap import Interval
from loan_default.files import write_atomically
from loan_default.pipelines.publishing import (
    build_report,
    importance_of,
    store_inputs,
    store_model,
    test_intervals,
)
from loan_default.pipelines.training import (
    Listener,
    Prepared,
    Stopwatch,
    Trained,
    TrainingOptions,
    check_folder,
    make_folder,
    prepare,
    pretrain_encoder,
    train_classifier,
)


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
        DataError, ConfigurationError, ArtifactError: before anything slow has begun.
        DependencyError: the database does not answer; model file and report are there nevertheless.
    """
    started_at = datetime.now(UTC)
    watch = Stopwatch(listener)
    check_folder(out)
    prepared = prepare(options, watch=watch)
    watch.stop()
    make_folder(out, resume=options.resume)
    store_inputs(prepared, out)
    listener.prepared(prepared, out)
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
    intervals = test_intervals(trained, seed=options.seed)
    report = build_report(
        prepared,
        trained,
        intervals=intervals,
        importance=importance_of(prepared, trained),
        command=command,
    )
    write_atomically(out / "report.html", report.encode())
    try:
        document = store_model(prepared, trained, home=home, database=database, intervals=intervals)
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

"""A whole training in one process, as `train.py` runs it: from data to a registered model and a report."""

from dataclasses import dataclass, replace
from pathlib import Path

from loan_default.choices import Choice
from loan_default.database.connect import Database
from loan_default.database.documents import ModelMetadata
from loan_default.errors import ConfigurationError, DependencyError
from loan_default.evaluation.bootstrap import Interval
from loan_default.pipelines.layout import is_reserved
from loan_default.pipelines.training.folder_lock import only_run_in
from loan_default.pipelines.training.listeners import Listener
from loan_default.pipelines.training.plan import TrainingPlan, plan_training
from loan_default.pipelines.training.registration import register_trained, registration_of, write_inputs
from loan_default.pipelines.training.run_evidence import check_terms, evidence_of
from loan_default.pipelines.training.run_folder import REPORT, drop_former_report, has_run, open_folder
from loan_default.pipelines.training.run_report import write_report
from loan_default.pipelines.training.stages import Trained, pretrain_encoder, train_classifier
from loan_default.pipelines.training.stopwatch import Stopwatch
from loan_default.pipelines.training.training_options import TrainingOptions
from loan_default.review_policy import DEFAULT_REVIEW_POLICY, ReviewPolicy


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingResult:
    """What a run has made, and where its files lie."""

    plan: TrainingPlan
    out: Path
    encoder: Path | None
    """The encoder file, if the run pretrained."""
    trained: Trained | None
    """None = the run only pretrained."""
    document: ModelMetadata | None
    intervals: dict[str, Interval]
    """Metrics on the test rows with their 95 % ranges."""


def run_training(
    options: TrainingOptions,
    *,
    out: Path,
    home: Path,
    database: Database,
    listener: Listener,
    command: str,
    by: str | None = None,
    policy: ReviewPolicy = DEFAULT_REVIEW_POLICY,
) -> TrainingResult:
    """Train, register and report a model in the folder `out`, and keep another copy of its file in `home`.

    Args:
        home: folder of registered models.
        database: where the model is registered.
        command: what the person typed, for the report.
        by: who the person is, for the audit trail; None = it is not known.
        policy: what the documents of the model are computed by.

    Raises:
        DataError, ConfigurationError, ArtifactError: before anything slow has begun, also where another run
            uses the folder; later only where a loss is not finite or a checkpoint is damaged.
        DependencyError: a member's process was killed, or the database does not answer, in which case the
            model file and the report are written.
    """
    watch = Stopwatch(listener.stage)
    _check_folder(out, home)
    plan = plan_training(options, watch=watch)
    watch.stop()
    check_terms(plan, policy)
    with only_run_in(out):
        return _run_planned(
            plan,
            out=out,
            home=home,
            database=database,
            watch=watch,
            listener=listener,
            command=command,
            by=by,
            policy=policy,
        )


def _run_planned(
    plan: TrainingPlan,
    *,
    out: Path,
    home: Path,
    database: Database,
    watch: Stopwatch,
    listener: Listener,
    command: str,
    by: str | None,
    policy: ReviewPolicy,
) -> TrainingResult:
    """The slow part of `run_training`, in a folder that is its own."""
    options = plan.options
    if options.resume and not has_run(out):
        reason = f"there is no run to go on with in {out}"
        anew = Choice(what="resume", value="from the start", reason=reason)
        plan = replace(plan, choices=(*plan.choices, anew))
    started_at = open_folder(plan, out)
    listener.planned(plan, out, kept_schema=write_inputs(plan, out))
    pretrained, encoder = None, None
    if options.pretrain:
        pretrained, encoder = pretrain_encoder(plan, out=out, watch=watch, on_progress=listener.progress)
    if not options.train:
        watch.stop()
        return TrainingResult(plan=plan, out=out, encoder=encoder, trained=None, document=None, intervals={})
    trained = train_classifier(
        plan, pretrained, out=out, watch=watch, on_progress=listener.progress, started_at=started_at
    )
    figures = write_report(plan, trained, out / REPORT, command=command, watch=watch)
    intervals = figures.intervals
    drop_former_report(out)
    try:
        evidence = evidence_of(
            plan, trained, intervals=intervals, importance=figures.importance, policy=policy
        )
        registration = registration_of(plan, trained, intervals=intervals, evidence=evidence)
        document = register_trained(registration, trained.path, home=home, database=database, by=by)
    except DependencyError as error:
        raise DependencyError(
            f"{error} The model file is {trained.path}, but it is not registered: repeat the command with "
            "--resume."
        ) from error
    watch.stop()
    return TrainingResult(
        plan=plan,
        out=out,
        encoder=encoder,
        trained=trained,
        document=document,
        intervals=dict(intervals),
    )


def _check_folder(out: Path, home: Path) -> None:
    """Raise a ConfigurationError where a folder cannot be that of a run."""
    taken = next((path for path in (out, *out.parents) if path.exists()), None)
    if taken is not None and not taken.is_dir():
        raise ConfigurationError(f"--out must be a folder, however: {taken} is a file. Choose another.")
    if is_reserved(out, home):
        raise ConfigurationError(
            f"the folder of a run must not be one that the home folder keeps for something else, however: "
            f"{out} is. Choose another with --out."
        )

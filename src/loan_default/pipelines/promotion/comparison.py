"""Evaluation: is a model good enough, and better than the champion, on rows that neither has seen?

    candidates.choose_model     finds the model to evaluate
    evaluate_model              computes its metrics and those of the champion on the same rows
    check_thresholds            gives the verdict of the gate
    decisions.update_status     writes the decision, and then moves the champion's pointer or leaves it

The steps pass ids to each other. All metrics are computed here; none is taken over from the training.

A champion that cannot be compared makes no promotion easier: the model is rejected, with the reason and the
ways out. Thresholds alone decide where there has never been a champion, or where a person has confirmed that
this champion is replaced without a comparison.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import structlog

from loan_default.database.control_repositories import lost_champion
from loan_default.database.documents import Champion, ModelStatus, PerformanceMetrics, TrainingData
from loan_default.database.repositories import MetricsRepository, ModelRepository
from loan_default.errors import ArtifactError, DataError
from loan_default.evaluation.bootstrap import bootstrap_intervals
from loan_default.evaluation.gate import Verdict, gate_verdict
from loan_default.evaluation.metrics import measure
from loan_default.models.model import LoanModel, load_model
from loan_default.pipelines.layout import TRAINING_STORE
from loan_default.pipelines.promotion.unseen_rows import UnseenRows, unseen_rows
from loan_default.pipelines.registry import metrics_to_store
from loan_default.pipelines.scoring.file_scoring import scoring_threads
from loan_default.pipelines.services import Services
from loan_default.pipelines.training.dataset import Dataset
from loan_default.pipelines.training.snapshots import snapshot_store
from loan_default.thresholds import Thresholds

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """A model to evaluate."""

    version: str
    why: str
    """Why this model was chosen, in words."""
    rollback: bool = False
    """Whether the model becomes the champion whatever its metrics are, because somebody asked for it."""
    replaces: str | None = None
    """Version of the champion that a person has confirmed may be replaced where it cannot be compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluated:
    """What an evaluation has found, with the ids of the stored metrics."""

    version: str
    metrics: str | None
    """Id of its metrics; None = it was not measured."""
    champion: str | None
    """Version of the champion at that time; None = there was none, or the model is it."""
    champion_metrics: str | None
    """Id of the champion's metrics; None = the two are not compared."""
    seen_rev: int
    """Moves of the champion's pointer when it was read."""
    snapshot: str | None
    """Id of the data; None = it was not measured."""
    rows: str
    """Which rows the metrics were computed on, in words."""
    alone: str | None = None
    """Why the model is not compared with the champion that there is or has been; None = it is compared, or
    there has never been a champion."""
    rollback: bool = False
    """Whether the model becomes the champion whatever its metrics are, and is not measured."""
    replaces: str | None = None
    """Version of the champion that a person has confirmed may be replaced where it cannot be compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationRun:
    """One run of the evaluation: services, folders and rules that all its steps use."""

    services: Services
    home: Path
    maturity_days: int
    thresholds: Thresholds

    @property
    def id(self) -> str:
        """Id that the scheduler gave the run."""
        return self.services.run

    @property
    def models(self) -> ModelRepository:
        """The registry of models."""
        return ModelRepository(self.services.database)


def evaluate_model(run: EvaluationRun, chosen: Chosen) -> Evaluated:
    """Compute and store metrics of a model, and of the champion on the same rows.

    The training store is read as it is: bring it up to date before (`store_processed_data`). A rollback is
    not measured and reads no store.

    Raises:
        DataError: the model is not registered, or the store holds no applications.
        ArtifactError: the model's file is refused.
        DependencyError: the database is away.
    """
    pointer = run.models.champion()
    seen_rev = 0 if pointer is None else pointer.rev
    other = None if pointer is None or pointer.version == chosen.version else pointer.version
    if chosen.rollback:
        return Evaluated(
            version=chosen.version,
            metrics=None,
            champion=other,
            champion_metrics=None,
            seen_rev=seen_rev,
            snapshot=None,
            rows="none: a rollback was asked for",
            rollback=True,
        )
    model = read_registered(run, chosen.version)
    dataset, snapshot = snapshot_store(
        run.services, run.home / TRAINING_STORE, maturity_days=run.maturity_days
    )
    champion, alone = None, None
    if pointer is None:
        alone = _lost_pointer(run)
    elif other is not None:
        champion, alone = _champion(run, pointer)
    fewest = run.thresholds.minimum_rows
    rows = unseen_rows(dataset, [model] if champion is None else [model, champion], fewest=fewest)
    if champion is not None and not rows.can_be_measured:
        # The champion may have seen every row, which would flatter its metrics, or cannot read them.
        champion, alone = None, rows.reason
        rows = unseen_rows(dataset, [model], fewest=fewest)
    metrics, champion_metrics = None, None
    if rows.can_be_measured:
        measured = _Measured(dataset=dataset, snapshot=snapshot, rows=rows)
        metrics, champion_metrics = _store_both(run, model, champion, measured)
    return Evaluated(
        version=chosen.version,
        metrics=metrics,
        champion=other,
        champion_metrics=champion_metrics,
        seen_rev=seen_rev,
        snapshot=snapshot.id,
        rows=rows.reason,
        alone=alone,
        replaces=chosen.replaces,
    )


def check_thresholds(run: EvaluationRun, evaluated: Evaluated) -> Verdict:
    """Give the verdict of the gate on stored metrics."""
    if evaluated.rollback:
        return Verdict(reasons=_reasons_of_rollback(run, evaluated.version))
    metrics = MetricsRepository(run.services.database)
    if evaluated.metrics is None:
        reason = f"failed: there are no rows to evaluate the model on: {evaluated.rows}."
        return with_comparison(evaluated, Verdict(reasons=(reason,), broken=(reason,)))
    own, champion = metrics.get(evaluated.metrics), None
    if evaluated.champion_metrics is not None:
        champion = metrics.find(evaluated.champion_metrics)
        if champion is None:
            evaluated = replace(evaluated, champion_metrics=None, alone="its metrics are not stored any more")
    beside = None if champion is None else champion.figures
    verdict = gate_verdict(own.figures, rows=own.rows, champion=beside, thresholds=run.thresholds)
    reasons = (*verdict.reasons, f"evaluated on {own.rows:,} rows, {evaluated.rows}.")
    verdict = with_comparison(evaluated, replace(verdict, reasons=reasons))
    log.info("model_checked", run=run.id, version=evaluated.version, passed=verdict.passed)
    return verdict


def with_comparison(evaluated: Evaluated, verdict: Verdict) -> Verdict:
    """Add to a verdict the rule that a champion is compared, or its replacement is confirmed.

    A verdict that names the rule already stays as it is.
    """
    is_compared = evaluated.champion_metrics is not None
    has_champion = evaluated.champion is not None or evaluated.alone is not None
    if evaluated.rollback or is_compared or not has_champion:
        return verdict
    why = (evaluated.alone or "it was not measured").removesuffix(".")
    broken = True
    if evaluated.champion is None:
        reason = f"failed: the model must be compared with the champion, but {why}."
    elif evaluated.replaces == evaluated.champion:
        reason, broken = f"confirmed: {evaluated.champion} is replaced without a comparison: {why}.", False
    else:
        reason = (
            f"failed: the model must be compared with the champion {evaluated.champion}, but cannot be: "
            f"{why}. {_ways_out(evaluated.version, evaluated.champion)}"
        )
    if reason in verdict.reasons:
        return verdict
    return Verdict(
        reasons=(*verdict.reasons, reason),
        broken=(*verdict.broken, reason) if broken else verdict.broken,
    )


def read_registered(run: EvaluationRun, version: str) -> LoanModel:
    """Read a registered model from its file.

    Raises:
        DataError: there is no such model.
        ArtifactError: its file is refused, or has another digest than the registry holds.
    """
    model = run.models.get(version)
    return load_model(run.home / model.path, sha256=model.sha256)


# The champion -------------------------------------------------------------------------------------------


def _champion(run: EvaluationRun, pointer: Champion) -> tuple[LoanModel | None, str | None]:
    """The champion's model, or None and the reason why it cannot be read."""
    try:
        document = run.models.find(pointer.version)
        if document is None:
            return None, "it is not in the registry"
        champion = load_model(run.home / document.path, sha256=pointer.digest)
    except DataError as error:
        return None, f"its document cannot be read: {error}"
    except ArtifactError as error:
        # The run goes on, so that the decision says why no model replaces the champion.
        log.exception("champion_refused", version=pointer.version)
        return None, f"its file was refused: {error}"
    return champion, None


def _lost_pointer(run: EvaluationRun) -> str | None:
    """Why a missing pointer does not mean that there is no champion; None = there has never been one."""
    former = lost_champion(run.services.database)
    if former is None:
        return None
    return (
        f"the pointer to the champion is lost: {former} has been the champion, and nothing says which model "
        "is now. Restore the collection `pointers` from a backup, or name the champion on `commands`: "
        "model.rollback.requested "
        f"with {json.dumps({'version': former})}."
    )


def _ways_out(version: str, champion: str) -> str:
    confirmed = json.dumps({"version": version, "replaces": champion})
    return (
        "Restore the champion from a backup, roll back to a former one (model.rollback.requested), or wait "
        "for later applications and evaluate the model again (evaluation.requested with its version). Where "
        "none of these is possible, a person can confirm the replacement, for which all other rules hold: "
        f"evaluation.requested with {confirmed}, or the same parameters of the DAG model_evaluation."
    )


def _reasons_of_rollback(run: EvaluationRun, version: str) -> tuple[str, ...]:
    reasons = ("a rollback was asked for: no rule was checked.",)
    pointer, status = run.models.champion(), run.models.get(version).status
    has_been = status in (ModelStatus.CHAMPION, ModelStatus.ARCHIVED)
    if has_been or (pointer is not None and pointer.version == version):
        return reasons
    return (*reasons, f"{version} was never the champion before; its status was {status}.")


# Metrics -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Measured:
    """The rows that models are measured on."""

    dataset: Dataset
    snapshot: TrainingData
    rows: UnseenRows


def _store_both(
    run: EvaluationRun, model: LoanModel, champion: LoanModel | None, measured: _Measured
) -> tuple[str, str | None]:
    """Measure a model and, where there is one, the champion on the same rows; returns the ids of both."""
    with scoring_threads():
        metrics = _store_metrics(run, model, measured, beside=champion)
        if champion is None:
            return metrics, None
        return metrics, _store_metrics(run, champion, measured, beside=model)


def _store_metrics(
    run: EvaluationRun, model: LoanModel, measured: _Measured, *, beside: LoanModel | None
) -> str:
    """Measure a model and store the metrics; returns the id of their document."""
    rows, dataset = measured.rows, measured.dataset
    y = dataset.labels[rows.positions]
    pds = model.predict_pd(dataset.frame.iloc[rows.positions])
    weights = None if dataset.weights is None else dataset.weights[rows.positions]
    metrics, reasons = metrics_to_store(asdict(measure(y, pds, weights=weights)))
    intervals = bootstrap_intervals(y, pds, seed=0, weights=weights)
    document = PerformanceMetrics(
        version=model.version,
        dataset=rows.name,
        snapshot=measured.snapshot.id,
        run=run.id,
        beside=None if beside is None else beside.version,
        computed_at=measured.snapshot.created_at,
        rows=len(y),
        label_rate=float(y.mean()),
        figures=metrics,
        intervals={name: (each.low, each.high) for name, each in intervals.items() if name in metrics},
        reasons=reasons,
    )
    repository = MetricsRepository(run.services.database)
    repository.ensure_indexes()
    # A second computation of the same metrics may differ in the last digits: the first one is kept.
    if repository.find(document.id) is None:
        repository.add(document)
    return document.id

"""Evaluation: is a model good enough, and better than the champion, on rows that neither has seen?

    choosing.choose_model       which model is to be judged; its file is what the registry says
    evaluate_model              figures of it and of the champion on the same rows
    check_thresholds            the verdict of the gate
    promotion.update_status     the pointer moves or stays; the decision is written before

What goes from step to step is ids. All is computed; nothing is taken over from the training.

A champion that cannot be compared makes no promotion easier: the model is rejected, with the reason and the
ways out. Thresholds alone decide where there has never been a champion, or where a person has confirmed that
this champion is replaced without a comparison.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import structlog

from loan_default.data.schema.language import Schema
from loan_default.database.control_repositories import lost_champion
from loan_default.database.documents import Champion, ModelStatus, PerformanceMetrics, TrainingData
from loan_default.database.repositories import MetricsRepository, ModelRepository
from loan_default.errors import ArtifactError, DataError
from loan_default.evaluation.bootstrap import bootstrap_intervals
from loan_default.evaluation.gate import Thresholds, Verdict, gate_verdict
from loan_default.evaluation.metrics import measure
from loan_default.models.model import LoanModel, load_model
from loan_default.pipelines.layout import TRAINING_STORE
from loan_default.pipelines.promotion.unseen_rows import UnseenRows, read_otherwise, unseen_rows
from loan_default.pipelines.registry import metrics_to_store
from loan_default.pipelines.scoring.file_scoring import scoring_threads
from loan_default.pipelines.services import Services
from loan_default.pipelines.training.dataset import Dataset
from loan_default.pipelines.training.snapshots import snapshot_store

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """A model that is to be judged."""

    version: str
    why: str
    rollback: bool = False
    """It becomes the champion whatever its figures are: somebody asked for it."""
    replaces: str | None = None
    """Version of the champion that a person has confirmed may be replaced where it cannot be compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluated:
    """Where the figures of a model are."""

    version: str
    metrics: str | None
    """Id of its figures; None = it was not measured."""
    champion: str | None
    """Version of the champion at that time; None = there was none, or the model is it."""
    champion_metrics: str | None
    """Id of the champion's figures; None = it is not compared."""
    seen_rev: int
    """Moves of the champion's pointer when it was read."""
    snapshot: str | None
    """Id of the data; None = it was not measured."""
    rows: str
    """Which rows, in words."""
    alone: str | None = None
    """Why it is not compared with the champion that there is or has been; None = it is, or there is none."""
    rollback: bool = False
    """It becomes the champion whatever its figures are, and is not measured."""
    replaces: str | None = None
    """Version of the champion that a person has confirmed may be replaced where it cannot be compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationRun:
    """One run of the evaluation, and what all its steps work with."""

    services: Services
    home: Path
    maturity_days: int
    thresholds: Thresholds

    @property
    def id(self) -> str:
        """The scheduler's."""
        return self.services.run

    @property
    def models(self) -> ModelRepository:
        """The registry."""
        return ModelRepository(self.services.database)


def evaluate_model(run: EvaluationRun, chosen: Chosen) -> Evaluated:
    """Compute figures of a model, and of the champion on the same rows, and store them.

    A rollback waits for none of that: neither the broker nor the training store need be sound for it.

    Raises:
        DataError: the model is not stored, or the store holds no applications.
        ArtifactError: its file is refused.
        DependencyError: broker or database are away.
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
    fewest = run.thresholds.minimum_rows
    rows = unseen_rows(dataset, [model], fewest=fewest)
    champion, alone = None, None
    if pointer is None:
        alone = _lost_pointer(run)
    elif other is not None:
        champion, alone = _champion(run, pointer, dataset.schema)
    if champion is not None:
        both = unseen_rows(dataset, [model, champion], fewest=fewest)
        if both.can_be_measured:
            rows = both
        else:  # it may have seen everything: its figures would flatter it
            champion, alone = None, both.reason
    metrics, champion_metrics = None, None
    if rows.can_be_measured:
        measured = _Measured(dataset=dataset, snapshot=snapshot, rows=rows)
        with scoring_threads():
            metrics = _store_metrics(run, model, measured, beside=champion)
            if champion is not None:
                champion_metrics = _store_metrics(run, champion, measured, beside=model)
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
    """The verdict of the gate on stored figures."""
    if evaluated.rollback:
        return Verdict(reasons=_reasons_of_rollback(run, evaluated.version))
    metrics = MetricsRepository(run.services.database)
    if evaluated.metrics is None:
        reason = f"broken: there must be rows to judge on: {evaluated.rows}"
        return with_comparison(evaluated, Verdict(reasons=(reason,), broken=(reason,)))
    own, champion = metrics.get(evaluated.metrics), None
    if evaluated.champion_metrics is not None:
        champion = metrics.find(evaluated.champion_metrics)
        if champion is None:
            evaluated = replace(evaluated, champion_metrics=None, alone="its metrics are not stored any more")
    beside = None if champion is None else champion.figures
    verdict = gate_verdict(own.figures, rows=own.rows, champion=beside, thresholds=run.thresholds)
    reasons = (*verdict.reasons, f"judged on {own.rows:,} rows, {evaluated.rows}")
    verdict = with_comparison(evaluated, replace(verdict, reasons=reasons))
    log.info("model_checked", run=run.id, version=evaluated.version, passed=verdict.passed)
    return verdict


def with_comparison(evaluated: Evaluated, verdict: Verdict) -> Verdict:
    """The verdict with the rule that a champion is compared with or its replacement is confirmed.

    A verdict that names the rule already stays as it is.
    """
    is_compared = evaluated.champion_metrics is not None
    has_champion = evaluated.champion is not None or evaluated.alone is not None
    if evaluated.rollback or is_compared or not has_champion:
        return verdict
    why = evaluated.alone or "it was not measured"
    if evaluated.champion is None:
        reason = f"broken: a model must be compared with the champion, however: {why}"
    elif evaluated.replaces == evaluated.champion:
        reason = f"confirmed: {evaluated.champion} is replaced without a comparison: {why}"
    else:
        reason = (
            f"broken: a model must be compared with the champion, however: {evaluated.champion} is not: "
            f"{why}. {_ways_out(evaluated.version, evaluated.champion)}"
        )
    if any(reason == each for each in verdict.reasons):
        return verdict
    broken = (reason,) if reason.startswith("broken") else ()
    return Verdict(reasons=(*verdict.reasons, reason), broken=(*verdict.broken, *broken))


def read_registered(run: EvaluationRun, version: str) -> LoanModel:
    """A model of the registry, from its file.

    Raises:
        DataError: there is no such model.
        ArtifactError: its file is refused.
    """
    model = run.models.get(version)
    return load_model(run.home / model.path, sha256=model.sha256)


# The champion -------------------------------------------------------------------------------------------


def _champion(run: EvaluationRun, pointer: Champion, schema: Schema) -> tuple[LoanModel | None, str | None]:
    """The champion's model, or why it cannot be compared with."""
    try:
        document = run.models.find(pointer.version)
        if document is None:
            return None, "it is not in the registry"
        champion = load_model(run.home / document.path, sha256=pointer.digest)
    except DataError as error:
        return None, f"its document cannot be read: {error}"
    except ArtifactError as error:
        # The run goes on: the decision shall say why nothing takes its place.
        log.exception("champion_refused", version=pointer.version)
        return None, f"its file was refused: {error}"
    if changed := read_otherwise(champion, schema):
        return None, f"the schema reads {', '.join(changed)} otherwise than when it was trained"
    return champion, None


def _lost_pointer(run: EvaluationRun) -> str | None:
    """Why the absence of a pointer is no absence of a champion; None where there has never been one."""
    former = lost_champion(run.services.database)
    if former is None:
        return None
    return (
        f"nothing says which it is, though {former} has been one: the pointer is lost. Restore the "
        "collection `pointers` from a backup, or name the champion on `commands`: model.rollback.requested "
        f"with {json.dumps({'version': former})}."
    )


def _ways_out(version: str, champion: str) -> str:
    confirmed = json.dumps({"version": version, "replaces": champion})
    return (
        "Restore the champion from a backup, go back to a former one (model.rollback.requested), or wait for "
        "later applications and evaluate the model again (evaluation.requested with its version). Where none "
        "of that can be, a person confirms the replacement, for which all other rules hold: "
        f"evaluation.requested with {confirmed}, or these parameters of the DAG model_evaluation."
    )


def _reasons_of_rollback(run: EvaluationRun, version: str) -> tuple[str, ...]:
    reasons = ("a rollback was asked for: no rule was checked",)
    pointer, status = run.models.champion(), run.models.get(version).status
    has_been = status in (ModelStatus.CHAMPION, ModelStatus.ARCHIVED)
    if has_been or (pointer is not None and pointer.version == version):
        return reasons
    return (*reasons, f"{version} was never the champion before, its status was {status}")


# Figures -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Measured:
    """What models are measured on."""

    dataset: Dataset
    snapshot: TrainingData
    rows: UnseenRows


def _store_metrics(
    run: EvaluationRun, model: LoanModel, measured: _Measured, *, beside: LoanModel | None
) -> str:
    """Measure a model on some rows; returns the id of the document."""
    rows, dataset = measured.rows, measured.dataset
    y = dataset.labels[rows.positions]
    pds = model.predict_pd(dataset.frame.iloc[rows.positions])
    metrics, reasons = metrics_to_store(asdict(measure(y, pds)))
    intervals = bootstrap_intervals(y, pds, seed=0)
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
    if (
        repository.find(document.id) is None
    ):  # on another machine the last digits differ: the first ones count
        repository.add(document)
    return document.id

"""Evaluation: is a model good enough, and better than the champion, on rows that neither has seen?

    choosing.choose_model       which model is to be judged; its file is what the registry says
    evaluate_model              figures of it and of the champion on the same rows
    check_thresholds            the verdict of the gate
    promotion.update_status     the pointer moves or stays; the decision is written before

What goes from step to step is ids. All is computed; nothing is taken over from the training.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import structlog
from numpy.typing import NDArray

from loan_default.data.schema import Column, Kind, Schema
from loan_default.data.splits import held_out
from loan_default.database.documents import (
    DatasetName,
    PerformanceMetrics,
    TrainingData,
)
from loan_default.database.repositories import MetricsRepository, ModelRepository
from loan_default.errors import ArtifactError
from loan_default.evaluation.bootstrap import bootstrap_figures
from loan_default.evaluation.gate import Thresholds, Verdict, judge
from loan_default.evaluation.metrics import measure
from loan_default.models.model import LoanModel, load_model
from loan_default.pipelines.dataset import Dataset
from loan_default.pipelines.flow import Flow
from loan_default.pipelines.home_folder import TRAINING_STORE
from loan_default.pipelines.scoring import scoring_threads
from loan_default.pipelines.stored_figures import figures_to_store
from loan_default.pipelines.training_data import snapshot_store

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """A model that is to be judged."""

    version: str
    why: str
    rollback: bool = False
    """It becomes the champion whatever its figures are: somebody asked for it."""


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
    """Why it is not compared with the champion that there is."""
    rollback: bool = False
    """It becomes the champion whatever its figures are, and is not measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationRun:
    """One run of the evaluation, and what all its steps work with."""

    flow: Flow
    home: Path
    maturity_days: int
    thresholds: Thresholds

    @property
    def id(self) -> str:
        """The scheduler's."""
        return self.flow.run

    @property
    def models(self) -> ModelRepository:
        """The registry."""
        return ModelRepository(self.flow.database)


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
    dataset, snapshot = snapshot_store(run.flow, run.home / TRAINING_STORE, maturity_days=run.maturity_days)
    fewest = run.thresholds.minimum_rows
    rows, champion, alone = _unseen(dataset, [model], fewest=fewest), None, None
    if other is not None:
        champion, alone = _champion(run, other, dataset.schema)
    if champion is not None:
        both = _unseen(dataset, [model, champion], fewest=fewest)
        if len(both.positions):
            rows = both
        else:  # it is from elsewhere and may have seen everything: its figures would flatter it
            champion, alone = None, "no row is left that the champion has not seen"
    metrics, champion_metrics = None, None
    if rows.can_be_measured:
        measured = _Measured(dataset=dataset, snapshot=snapshot, rows=rows)
        with scoring_threads():
            metrics = _store_figures(run, model, measured, beside=champion)
            if champion is not None:
                champion_metrics = _store_figures(run, champion, measured, beside=model)
    return Evaluated(
        version=chosen.version,
        metrics=metrics,
        champion=other,
        champion_metrics=champion_metrics,
        seen_rev=seen_rev,
        snapshot=snapshot.id,
        rows=rows.reason,
        alone=alone,
    )


def check_thresholds(run: EvaluationRun, evaluated: Evaluated) -> Verdict:
    """The verdict of the gate on stored figures."""
    if evaluated.rollback:
        return Verdict(reasons=("a rollback was asked for: no rule was checked",))
    metrics = MetricsRepository(run.flow.database)
    if evaluated.metrics is None:
        reason = f"broken: there must be rows to judge on: {evaluated.rows}"
        return Verdict(reasons=(reason,), broken=(reason,))
    own = metrics.get(evaluated.metrics)
    champion = None if evaluated.champion_metrics is None else metrics.get(evaluated.champion_metrics).figures
    verdict = judge(own.figures, rows=own.rows, champion=champion, thresholds=run.thresholds)
    reasons = [*verdict.reasons, f"judged on {own.rows:,} rows, {evaluated.rows}"]
    if evaluated.alone is not None:
        reasons.append(f"not compared with {evaluated.champion}: {evaluated.alone}")
    log.info("model_checked", run=run.id, version=evaluated.version, passed=verdict.passed)
    return replace(verdict, reasons=tuple(reasons))


def read_registered(run: EvaluationRun, version: str) -> LoanModel:
    """A model of the registry, from its file.

    Raises:
        DataError: there is no such model.
        ArtifactError: its file is refused.
    """
    model = run.models.get(version)
    return load_model(run.home / model.path, sha256=model.sha256)


# Choosing rows -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Rows:
    positions: NDArray[np.int64]
    """Labelled rows."""
    name: DatasetName
    reason: str
    can_be_measured: bool = True
    """Whether both outcomes are among them."""


def _unseen(dataset: Dataset, models: list[LoanModel], *, fewest: int) -> _Rows:
    """Labelled rows that no model of these has seen: the latest, where enough of them have a time."""
    labelled = ~np.isnan(dataset.labels)
    for model in models:
        if changed := _read_otherwise(model, dataset.schema):
            return _Rows(
                positions=np.zeros(0, np.int64),
                name=DatasetName.HELD_OUT,
                reason=f"the schema reads {', '.join(changed)} otherwise than it did for {model.version}",
                can_be_measured=False,
            )
    later = labelled & _later_than_all(dataset, models)
    if later.sum() >= fewest and len(set(dataset.labels[later])) > 1:
        reason = "out of time: later than all that the models were trained on"
        return _Rows(positions=np.flatnonzero(later), name=DatasetName.OUT_OF_TIME, reason=reason)
    for_good = all(
        model.provenance.get("split") == "for good"
        and model.provenance.get("schema_digest") == dataset.schema.digest
        for model in models
    )
    kept = labelled & held_out(dataset.frame, dataset.schema) if for_good else np.zeros(len(labelled), bool)
    measurable = len(set(dataset.labels[kept])) > 1
    reason = (
        "held out for good: seen by no model that was trained on the store"
        if measurable
        else f"of {int(labelled.sum()):,} labelled ones none of each outcome is known to be unseen"
    )
    return _Rows(
        positions=np.flatnonzero(kept),
        name=DatasetName.HELD_OUT,
        reason=reason,
        can_be_measured=measurable,
    )


def _read_otherwise(model: LoanModel, schema: Schema) -> list[str]:
    """Features of a model that a schema lacks, or whose values mean something else in it."""
    now = {column.name: column for column in schema.features}
    return [
        then.name
        for then in model.schema.features
        if then.name not in now or not _mean_the_same(then, now[then.name])
    ]


def _mean_the_same(then: Column, now: Column) -> bool:
    """Whether what a model has learnt of a column is still true; a category that is new is unknown to it."""
    if (then.kind, then.unit, set(then.special)) != (now.kind, now.unit, set(now.special)):
        return False
    if now.kind is Kind.ORDINAL:
        return then.categories == now.categories
    return set(then.categories) <= set(now.categories)


def _later_than_all(dataset: Dataset, models: list[LoanModel]) -> NDArray[np.bool_]:
    column = dataset.schema.timestamp
    ends = [model.provenance.get("seen_until") for model in models]
    if column is None or None in ends:
        return np.zeros(len(dataset.frame), bool)
    latest = max(pd.Timestamp(str(end)) for end in ends)
    return np.asarray(dataset.frame[column.name] > latest, dtype=bool)


# Figures -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Measured:
    """What models are measured on."""

    dataset: Dataset
    snapshot: TrainingData
    rows: _Rows


def _champion(run: EvaluationRun, version: str, schema: Schema) -> tuple[LoanModel | None, str | None]:
    """The champion's model, or why there is none to compare with."""
    try:
        champion = read_registered(run, version)
    except ArtifactError as error:
        # It cannot score either: another one is wanted, not an end of the run.
        log.exception("champion_refused", version=version)
        return None, f"its file was refused: {error}"
    if changed := _read_otherwise(champion, schema):
        return None, f"the schema reads {', '.join(changed)} otherwise than when it was trained"
    return champion, None


def _store_figures(
    run: EvaluationRun, model: LoanModel, measured: _Measured, *, beside: LoanModel | None
) -> str:
    """Measure a model on some rows; returns the id of the document."""
    rows, dataset = measured.rows, measured.dataset
    y = dataset.labels[rows.positions]
    pds = model.predict_pd(dataset.frame.iloc[rows.positions])
    figures, reasons = figures_to_store(asdict(measure(y, pds)))
    intervals = bootstrap_figures(y, pds, seed=0)
    document = PerformanceMetrics(
        version=model.version,
        dataset=rows.name,
        snapshot=measured.snapshot.id,
        run=run.id,
        beside=None if beside is None else beside.version,
        computed_at=measured.snapshot.created_at,
        rows=len(y),
        label_rate=float(y.mean()),
        figures=figures,
        intervals={name: (each.low, each.high) for name, each in intervals.items() if name in figures},
        reasons=reasons,
    )
    metrics = MetricsRepository(run.flow.database)
    metrics.ensure_indexes()
    if metrics.find(document.id) is None:  # on another machine the last digits differ: the first ones count
        metrics.add(document)
    return document.id

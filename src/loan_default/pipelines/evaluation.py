"""Evaluation: is a model good enough, and better than the champion, on rows that neither has seen?

    choose_model        which model is to be judged; its file is what the registry says
    evaluate_model      figures of it and of the champion on the same rows
    check_thresholds    the verdict of the gate
    update_status       the pointer moves or stays; the decision is written before

What goes from step to step is ids. All is computed; nothing is taken over from the training.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import structlog
from numpy.typing import NDArray

from loan_default.data.splits import held_out
from loan_default.database.control_documents import Action, Decision
from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.documents import (
    Champion,
    DatasetName,
    ModelMetadata,
    ModelStatus,
    PerformanceMetrics,
    TrainingData,
    finite_figures,
)
from loan_default.database.repositories import MetricsRepository, ModelRepository
from loan_default.errors import ArtifactError, DataError
from loan_default.evaluation.bootstrap import bootstrap_figures
from loan_default.evaluation.gate import Thresholds, Verdict, judge
from loan_default.evaluation.metrics import measure
from loan_default.failpoints import failpoint
from loan_default.kafka.commands import FactType
from loan_default.models.model import LoanModel
from loan_default.models.model import load_model as read_model
from loan_default.pipelines.dataset import STORE, Dataset
from loan_default.pipelines.flow import Flow
from loan_default.pipelines.scoring import use_threads
from loan_default.pipelines.training_data import snapshot_store
from loan_default.pipelines.training_steps import announce

_NOT_FIGURES = frozenset({"rows", "bads"})

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
    """Id of its figures; None = there are no rows to measure it on."""
    champion: str | None
    """Version of the champion that it was compared with; None = there was none, or the model is it."""
    champion_metrics: str | None
    """Id of the champion's figures; None = it is not compared."""
    seen_rev: int
    """Moves of the champion's pointer when it was read."""
    snapshot: str
    """Id of the data."""
    rows: str
    """Which rows, in words."""
    alone: str | None = None
    """Why it is not compared with the champion that there is."""


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


def choose_model(run: EvaluationRun, *, version: str | None = None, rollback: bool = False) -> Chosen | None:
    """The model to be judged, whose file is there and undamaged; None = there is none.

    Args:
        version: a certain one; None = the newest that was not judged yet, else the champion. For a rollback:
            the champion before the present one.

    Raises:
        DataError: there is no such model.
        ArtifactError: its file is refused.
    """
    models = run.models
    champion = models.champion()
    chosen: Chosen | None
    if version is not None:
        chosen = Chosen(version=models.get(version).version, why="asked for", rollback=rollback)
    elif rollback:
        former = models.with_status(ModelStatus.ARCHIVED)
        if not former:
            raise DataError("a rollback must have a former champion, however: there is none. Name a version.")
        chosen = Chosen(version=former[0].version, why="the champion before the present one", rollback=True)
    elif trained := models.with_status(ModelStatus.TRAINED):
        chosen = Chosen(version=trained[0].version, why="the newest that was not judged yet")
    elif champion is not None:
        chosen = Chosen(version=champion.version, why="the champion, as no model waits to be judged")
    else:
        return None
    _read(run, models.get(chosen.version))
    log.info("model_loaded", run=run.id, version=chosen.version, why=chosen.why)
    return chosen


def evaluate_model(run: EvaluationRun, version: str) -> Evaluated:
    """Compute figures of a model, and of the champion on the same rows, and store them.

    Raises:
        DataError: the model is not stored, or the store holds no applications.
        ArtifactError: its file is refused.
        DependencyError: broker or database are away.
    """
    flow, pointer = run.flow, run.models.champion()
    model = _read(run, run.models.get(version))
    dataset, snapshot = snapshot_store(flow, run.home / STORE, maturity_days=run.maturity_days)
    fewest = run.thresholds.minimum_rows
    rows, champion, alone = _unseen(dataset, [model], fewest=fewest), None, None
    if pointer is not None and pointer.version != version:
        champion, alone = _champion(run, pointer)
    if champion is not None:
        both = _unseen(dataset, [model, champion], fewest=fewest)
        if len(both.positions):
            rows = both
        else:  # it is from elsewhere and may have seen everything: its figures would flatter it
            champion, alone = None, "no row is left that the champion has not seen"
    use_threads()
    stored = [
        _store_figures(run, each, dataset, rows, snapshot=snapshot)
        for each in (model, champion)
        if each is not None and rows.can_be_measured
    ]
    return Evaluated(
        version=version,
        metrics=stored[0] if stored else None,
        champion=None if pointer is None or pointer.version == version else pointer.version,
        champion_metrics=stored[1] if len(stored) > 1 else None,
        seen_rev=0 if pointer is None else pointer.rev,
        snapshot=snapshot.id,
        rows=rows.reason,
        alone=alone,
    )


def check_thresholds(run: EvaluationRun, evaluated: Evaluated) -> Verdict:
    """The verdict of the gate on stored figures."""
    metrics = MetricsRepository(run.flow.database)
    if evaluated.metrics is None:
        return Verdict(passed=False, reasons=(f"broken: there must be rows to judge on: {evaluated.rows}",))
    own = metrics.get(evaluated.metrics)
    champion = None if evaluated.champion_metrics is None else metrics.get(evaluated.champion_metrics).figures
    verdict = judge(own.figures, rows=own.rows, champion=champion, thresholds=run.thresholds)
    reasons = [*verdict.reasons, f"judged on {own.rows:,} rows, {evaluated.rows}"]
    if evaluated.alone is not None:
        reasons.append(f"not compared with {evaluated.champion}: {evaluated.alone}")
    log.info("model_checked", run=run.id, version=evaluated.version, passed=verdict.passed)
    return Verdict(passed=verdict.passed, reasons=tuple(reasons))


def update_status(
    run: EvaluationRun, evaluated: Evaluated, verdict: Verdict, *, rollback: bool = False
) -> Decision:
    """Promote or reject a model; returns the decision. Again is no change.

    Where another model has become the champion since the figures were computed, they are computed anew beside
    that one.

    Raises:
        DataError: the model is not stored.
        DependencyError: broker or database are away.
    """
    decisions = DecisionRepository(run.flow.database)
    decisions.ensure_indexes()
    while True:
        decision = _decision(run, evaluated, verdict, rollback=rollback)
        again = decisions.find(decision.id) is not None
        decisions.add(decision)
        failpoint("decision_written")
        if _carry_out(run, decision, again=again):
            break
        decisions.overtake(decision)
        log.info("decision_overtaken", run=run.id, version=evaluated.version)
        evaluated = evaluate_model(run, evaluated.version)
        verdict = check_thresholds(run, evaluated)
    failpoint("pointer_moved")
    _tell(run, decision, evaluated)
    return decision


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


def _later_than_all(dataset: Dataset, models: list[LoanModel]) -> NDArray[np.bool_]:
    column = dataset.schema.timestamp
    ends = [model.provenance.get("seen_until") for model in models]
    if column is None or None in ends:
        return np.zeros(len(dataset.frame), bool)
    latest = max(pd.Timestamp(str(end)) for end in ends)
    return np.asarray(dataset.frame[column.name] > latest, dtype=bool)


# Figures -------------------------------------------------------------------------------------------------


def _read(run: EvaluationRun, model: ModelMetadata) -> LoanModel:
    return read_model(run.home / model.path, sha256=model.sha256)


def _champion(run: EvaluationRun, pointer: Champion) -> tuple[LoanModel | None, str | None]:
    """The champion's model, or why there is none to compare with."""
    try:
        return _read(run, run.models.get(pointer.version)), None
    except ArtifactError as error:
        # It cannot score either: another one is wanted, not an end of the run.
        log.exception("champion_refused", version=pointer.version)
        return None, f"its file was refused: {error}"


def _store_figures(
    run: EvaluationRun, model: LoanModel, dataset: Dataset, rows: _Rows, *, snapshot: TrainingData
) -> str:
    """Measure a model on some rows; returns the id of the document."""
    y = dataset.labels[rows.positions]
    pds = model.predict_pd(dataset.frame.iloc[rows.positions])
    measured = asdict(measure(y, pds))
    figures, reasons = finite_figures({n: v for n, v in measured.items() if n not in _NOT_FIGURES})
    intervals = bootstrap_figures(y, pds, seed=0)
    document = PerformanceMetrics(
        version=model.version,
        dataset=rows.name,
        snapshot=snapshot.id,
        run=run.id,
        computed_at=snapshot.created_at,
        rows=len(y),
        label_rate=float(y.mean()),
        figures=figures,
        intervals={name: (each.low, each.high) for name, each in intervals.items() if name in figures},
        reasons=reasons,
    )
    metrics = MetricsRepository(run.flow.database)
    metrics.ensure_indexes()
    if metrics.find(document.id) is None:  # a retry may see rows that came meanwhile: the first ones count
        metrics.add(document)
    return document.id


# Deciding ------------------------------------------------------------------------------------------------


def _decision(run: EvaluationRun, evaluated: Evaluated, verdict: Verdict, *, rollback: bool) -> Decision:
    reasons = verdict.reasons
    if rollback:
        action, reasons = Action.ROLLED_BACK, ("a rollback was asked for", *reasons)
    elif evaluated.champion is None and evaluated.seen_rev > 0:
        action = Action.KEPT
    else:
        action = Action.PROMOTED if verdict.passed else Action.REJECTED
    return Decision(
        version=evaluated.version,
        action=action,
        reasons=reasons,
        champion=evaluated.champion,
        seen_rev=evaluated.seen_rev,
        snapshot=evaluated.snapshot,
        run=run.id,
        decided_at=datetime.now(UTC),
    )


def _carry_out(run: EvaluationRun, decision: Decision, *, again: bool) -> bool:
    """Move the pointer and the statuses as the decision says; False where somebody else moved it before.

    Args:
        again: whether the decision had been written before.
    """
    models = run.models
    if decision.action is Action.KEPT:
        return True
    if decision.action is Action.REJECTED:
        pointer = models.champion()
        if pointer is None or pointer.version != decision.version:
            models.set_status(decision.version, ModelStatus.REJECTED)
        return True
    model = models.get(decision.version)
    if not models.move_champion(model.version, model.sha256, seen_rev=decision.seen_rev):
        if again and model.status in (ModelStatus.CHAMPION, ModelStatus.ARCHIVED):
            return True  # it was carried out, and others may have followed
        moved_by_us = Champion(version=model.version, digest=model.sha256, rev=decision.seen_rev + 1)
        if models.champion() != moved_by_us:
            return False
    failpoint("champion_moved")
    models.set_status(model.version, ModelStatus.CHAMPION)
    if decision.champion is not None and decision.champion != model.version:
        models.set_status(decision.champion, ModelStatus.ARCHIVED)
    return True


def _tell(run: EvaluationRun, decision: Decision, evaluated: Evaluated) -> None:
    figures: Mapping[str, float | None] = {}
    if evaluated.metrics is not None:
        figures = MetricsRepository(run.flow.database).get(evaluated.metrics).figures
    told: dict[str, object] = {name: figures.get(name) for name in ("auc", "ks", "brier", "ece")}
    failed = [reason for reason in decision.reasons if reason.startswith("broken")]
    if decision.action in (Action.PROMOTED, Action.ROLLED_BACK):
        move = str(decision.seen_rev + 1)
        announce(run.flow, FactType.PROMOTED, version=decision.version, figures=told, occasion=move)
    elif decision.action is Action.REJECTED:
        news = told | {"reasons": failed}
        announce(run.flow, FactType.REJECTED, version=decision.version, figures=news, occasion=decision.run)
    elif failed:
        log.warning("champion_below_thresholds", version=decision.version, broken=failed)
    log.info("model_decided", run=run.id, version=decision.version, action=decision.action, **told)

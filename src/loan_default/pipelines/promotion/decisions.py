"""Decisions: the verdict on a model is written as a decision, and the decision is carried out.

A run decides about a model once: the decision that was written counts, however often the run is repeated and
whatever data have come since. The model is evaluated again only where another model has become the champion
in the meantime.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import structlog

from loan_default.database.audit_repository import (
    AuditRepository,
    record_decision,
    record_move,
    record_superseded,
)
from loan_default.database.control_documents import MOVES, Action, Decision
from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.documents import ModelStatus, moves_of
from loan_default.database.gate_documents import StoredRule
from loan_default.database.repositories import MetricsRepository, ModelRepository
from loan_default.errors import DataError
from loan_default.evaluation import gate_rules
from loan_default.evaluation.gate import Verdict, verdict_of
from loan_default.failpoints import failpoint
from loan_default.kafka.control_events import FactType, publish_fact
from loan_default.pipelines.promotion.comparison import check_thresholds, evaluate_model, with_comparison
from loan_default.pipelines.promotion.evaluation_run import Chosen, Evaluated, EvaluationRun

log = structlog.get_logger()


def update_status(run: EvaluationRun, evaluated: Evaluated, verdict: Verdict) -> Decision:
    """Promote or reject a model; returns the decision. A repeated call changes nothing.

    Where another model has become the champion since the metrics were computed, the model is evaluated again
    beside that one. Whatever the verdict, a champion is replaced only where the two were compared, or where a
    person has confirmed the replacement.

    Raises:
        DataError: the model is not registered, or the champion's pointer was deleted and made anew meanwhile.
        DependencyError: the broker or the database is away.
    """
    decisions = _decisions(run)
    decision = _standing(decisions, run=run.id, version=evaluated.version)
    while True:
        if decision is None:
            decision = decisions.keep(_decision(run, evaluated, with_comparison(evaluated, verdict)))
            failpoint("decision_written")
        record_decision(run.services.database, decision, who=_who(run))
        if decision.action is not Action.SUPERSEDED and _carry_out(run, decision):
            break
        record_superseded(run.services.database, decision, who=_who(run))
        decisions.supersede(decision)
        log.info("decision_superseded", run=run.id, version=evaluated.version)
        _check_pointer(run, decision)
        again = Chosen(
            version=evaluated.version,
            why="evaluated again beside the new champion",
            rollback=evaluated.rollback,
            replaces=evaluated.replaces,
        )
        evaluated, decision = evaluate_model(run, again), None
        verdict = check_thresholds(run, evaluated)
    failpoint("pointer_moved")
    _publish(run, decision)
    return decision


def reject_refused(run: EvaluationRun, version: str, *, reason: str) -> Decision:
    """Reject a model whose file is refused, so that it holds up no other model; returns the decision.

    Raises:
        DependencyError: the broker or the database is away.
    """
    rule = gate_rules.decided(
        gate_rules.ARTEFACT,
        "artefact",
        passed=False,
        value=None,
        threshold=None,
        sentence=f"the model's file was refused: {reason}",
    )
    pointer = run.models.champion()
    evaluated = Evaluated(
        version=version,
        metrics=None,
        champion=None if pointer is None else pointer.version,
        champion_metrics=None,
        seen_rev=moves_of(pointer),
        snapshot=None,
        rows="none: its file was refused",
    )
    decision = _decisions(run).keep(_decision(run, evaluated, verdict_of((rule,))))
    record_decision(run.services.database, decision, who=_who(run))
    _carry_out(run, decision)
    _publish(run, decision)
    return decision


def former_champion(run: EvaluationRun) -> str | None:
    """Version of the champion before the present one; None where no decision names it.

    A model that a rollback has left for an earlier one is passed over: a second rollback goes further back.
    """
    pointer = run.models.champion()
    if pointer is None:
        return None
    decisions = DecisionRepository(run.services.database)
    past: list[str | None] = []
    for rev in range(1, pointer.rev):
        _follow(past, decisions, rev, decisions.champion_at(rev))
    _follow(past, decisions, pointer.rev, pointer.version)
    return past[-2] if len(past) > 1 else None


def _follow(past: list[str | None], decisions: DecisionRepository, rev: int, version: str | None) -> None:
    """Add the champion after `rev` moves to those before it, without those that a rollback to it has left."""
    move = decisions.move_to(rev)
    if version in past and move is not None and move.action is Action.ROLLED_BACK:
        while past[-1] != version:
            past.pop()
    else:
        past.append(version)


def _decisions(run: EvaluationRun) -> DecisionRepository:
    """The repository of decisions, with its indexes and those of the audit trail."""
    decisions = DecisionRepository(run.services.database)
    decisions.ensure_indexes()
    AuditRepository(run.services.database).ensure_indexes()
    return decisions


def _who(run: EvaluationRun) -> str:
    """Who acts, for the audit trail."""
    return f"run {run.id}" if run.by is None else f"{run.by}, run {run.id}"


def _standing(decisions: DecisionRepository, *, run: str, version: str) -> Decision | None:
    """The decision of an earlier try of the run about a model; None = there is none, or it was superseded."""
    for decision in decisions.of_run(run):
        if decision.version == version and decision.action is not Action.SUPERSEDED:
            return decision
    return None


def _decision(run: EvaluationRun, evaluated: Evaluated, verdict: Verdict) -> Decision:
    if evaluated.champion is None and evaluated.seen_rev > 0:
        action = Action.KEPT
    elif evaluated.rollback:
        action = Action.ROLLED_BACK
    else:
        action = Action.PROMOTED if verdict.passed else Action.REJECTED
    return Decision(
        version=evaluated.version,
        action=action,
        reasons=verdict.reasons,
        broken=verdict.broken,
        rules=tuple(StoredRule(**rule.to_dict()) for rule in verdict.rules),
        approval=verdict.approval,
        champion=evaluated.champion,
        seen_rev=evaluated.seen_rev,
        snapshot=evaluated.snapshot,
        metrics=evaluated.metrics,
        run=run.id,
        decided_at=datetime.now(UTC),
    )


def _carry_out(run: EvaluationRun, decision: Decision) -> bool:
    """Move the pointer and the statuses as decided; False where another run has moved the pointer before."""
    models = run.models
    if decision.action is Action.REJECTED:
        models.reject(decision.version)
        return True
    if decision.action in MOVES:
        if not _moved(run, decision):
            return False
        record_move(run.services.database, decision, who=_who(run))
        failpoint("champion_moved")
        if decision.champion is not None:
            _mark(models, decision.champion)
    _mark(models, decision.version)
    return True


def _moved(run: EvaluationRun, decision: Decision) -> bool:
    """Move the pointer; True also where an earlier try of the run has done so, even if it moved on since."""
    models, rev = run.models, decision.seen_rev + 1
    model = models.get(decision.version)
    if models.move_champion(
        model.version, model.sha256, seen_rev=decision.seen_rev, seen_version=decision.champion
    ):
        return True
    pointer = models.champion()
    if pointer is not None and pointer.rev == rev:
        return pointer.version == model.version
    return DecisionRepository(run.services.database).champion_at(rev) == model.version


def _check_pointer(run: EvaluationRun, superseded: Decision) -> None:
    """Raise where the pointer has not moved on although the decision is superseded.

    Then it is not the pointer that the decision saw, and the next decision of the run would get the same id.
    """
    pointer = run.models.champion()
    if moves_of(pointer) == superseded.seen_rev:
        raise DataError(
            f"Cannot decide about model {superseded.version} in run {run.id}: the champion's pointer was "
            "deleted and made anew while the run went on. Start another run."
        )


def _mark(models: ModelRepository, version: str) -> None:
    """Give a model that is or was the champion the status that agrees with the pointer as it is now."""
    while True:
        pointer = models.champion()
        is_champion = pointer is not None and pointer.version == version
        models.set_status(version, ModelStatus.CHAMPION if is_champion else ModelStatus.ARCHIVED)
        if models.champion() == pointer:
            return


def _publish(run: EvaluationRun, decision: Decision) -> None:
    """Publish and log a decision with the metrics that a reader looks for first."""
    stored: Mapping[str, float | None] = {}
    if decision.metrics is not None:
        stored = MetricsRepository(run.services.database).get(decision.metrics).figures
    metrics: dict[str, object] = {name: stored.get(name) for name in ("auc", "ks", "brier", "ece")}
    if decision.action in MOVES:
        publish_fact(
            run.services.broker,
            FactType.PROMOTED,
            version=decision.version,
            metrics=metrics,
            occasion=str(decision.seen_rev + 1),
        )
    elif decision.action is Action.REJECTED:
        publish_fact(
            run.services.broker,
            FactType.REJECTED,
            version=decision.version,
            metrics=metrics | {"reasons": list(decision.broken)},
            occasion=decision.run,
        )
    elif decision.broken:
        log.warning("champion_below_thresholds", version=decision.version, broken=list(decision.broken))
    log.info("model_decided", run=run.id, version=decision.version, action=decision.action, **metrics)

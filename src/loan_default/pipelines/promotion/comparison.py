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
from dataclasses import replace
from datetime import timedelta

import numpy as np
import structlog
from numpy.typing import NDArray
from pydantic import TypeAdapter

from loan_default.database.control_repositories import lost_champion
from loan_default.database.documents import Champion, ModelStatus, PerformanceMetrics, TrainingData, moves_of
from loan_default.database.evidence_documents import EvidenceRepository
from loan_default.database.repositories import MetricsRepository
from loan_default.errors import ArtifactError, DataError
from loan_default.evaluation import gate_rules
from loan_default.evaluation.fairness_rule import fairness_rule
from loan_default.evaluation.gate import Verdict, check_rules, verdict_of
from loan_default.evaluation.gate_rules import Rule
from loan_default.evaluation.monotonicity import MonotonicSweep, monotonic_rule
from loan_default.evaluation.training_evidence import FairnessFacts
from loan_default.models.model import LoanModel, load_model
from loan_default.pipelines.layout import TRAINING_STORE
from loan_default.pipelines.promotion.approvals import approval_of, with_approval
from loan_default.pipelines.promotion.evaluation_run import Chosen, Evaluated, EvaluationRun
from loan_default.pipelines.promotion.measuring import MeasuredRows, measure_both
from loan_default.pipelines.promotion.stored_evidence import evidence_of
from loan_default.pipelines.promotion.unseen_rows import unseen_rows
from loan_default.pipelines.training.dataset import Dataset
from loan_default.pipelines.training.snapshots import snapshot_store
from loan_default.thresholds import RuleOutcome

_COMPARED = "compared"
"""Name of the rule that the champion must be compared."""

log = structlog.get_logger()


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
    seen_rev = moves_of(pointer)
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
    fewest, mature = run.thresholds.minimum_rows, _mature(dataset, snapshot, run.maturity_days)
    both = [model] if champion is None else [model, champion]
    rows = unseen_rows(dataset, both, fewest=fewest, mature=mature)
    if champion is not None and not rows.can_be_measured:
        # The champion may have seen every row, which would flatter its metrics, or cannot read them.
        champion, alone = None, rows.reason
        rows = unseen_rows(dataset, [model], fewest=fewest, mature=mature)
    metrics, champion_metrics = None, None
    if rows.can_be_measured:
        measured = MeasuredRows(dataset=dataset, snapshot=snapshot, rows=rows)
        metrics, champion_metrics = measure_both(run, model, champion, measured)
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
    """Give the verdict of the gate on stored metrics, and of the person who has approved the model."""
    if evaluated.rollback:
        approval = approval_of(run, evaluated)
        return Verdict(
            reasons=_reasons_of_rollback(run, evaluated.version),
            approval=None if approval is None else approval.id,
        )
    metrics = MetricsRepository(run.services.database)
    if evaluated.metrics is None:
        return with_approval(run, evaluated, with_comparison(evaluated, verdict_of((_no_rows(evaluated),))))
    own, champion = metrics.get(evaluated.metrics), None
    if evaluated.champion_metrics is not None:
        champion = metrics.find(evaluated.champion_metrics)
        if champion is None:
            evaluated = replace(evaluated, champion_metrics=None, alone="its metrics are not stored any more")
    evidence = evidence_of(run, own, champion)
    checked = check_rules(evidence, thresholds=run.thresholds, policy=run.policy)
    rules = sorted((*checked, *_rules_of_training(run, own)), key=lambda rule: rule.number)
    verdict = verdict_of(tuple(rules))
    reasons = (*verdict.reasons, f"evaluated on {own.rows:,} rows, {evaluated.rows}.")
    verdict = with_comparison(evaluated, replace(verdict, reasons=reasons))
    verdict = with_approval(run, evaluated, verdict)
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
    if any(rule.name == _COMPARED for rule in verdict.rules):
        return verdict
    why = (evaluated.alone or "it was not measured").removesuffix(".")
    outcome = RuleOutcome.FAILED
    if evaluated.champion is None:
        sentence = f"the model must be compared with the champion, but {why}."
    elif evaluated.replaces == evaluated.champion:
        outcome = RuleOutcome.OVERRIDDEN
        sentence = f"{evaluated.champion} is replaced without a comparison: {why}."
    else:
        sentence = (
            f"the model must be compared with the champion {evaluated.champion}, but cannot be: "
            f"{why}. {_ways_out(evaluated.version, evaluated.champion)}"
        )
    rule = Rule(
        number=gate_rules.DISCRIMINATION,
        name=_COMPARED,
        outcome=outcome,
        value=None,
        threshold=None,
        data=evaluated.snapshot,
        sentence=sentence,
    )
    is_broken = outcome is RuleOutcome.FAILED
    reason = rule.reason if is_broken else f"confirmed: {sentence}"
    return replace(
        verdict,
        reasons=(*verdict.reasons, reason),
        broken=(*verdict.broken, reason) if is_broken else verdict.broken,
        rules=(*verdict.rules, rule),
    )


def read_registered(run: EvaluationRun, version: str) -> LoanModel:
    """Read a registered model from its file.

    Raises:
        DataError: there is no such model.
        ArtifactError: its file is refused, or has another digest than the registry holds.
    """
    model = run.models.get(version)
    return load_model(run.home / model.path, sha256=model.sha256)


def _rules_of_training(run: EvaluationRun, own: PerformanceMetrics) -> tuple[Rule, Rule]:
    """The rules on groups of protected attributes and on monotonic columns, of what the training stored."""
    stored = EvidenceRepository(run.services.database).find(own.version)
    figures = {} if stored is None else stored.figures
    data = None if stored is None else f"{EvidenceRepository.collection}/{stored.id}"
    facts = None if stored is None else FairnessFacts.model_validate(figures["fairness"])
    return (
        fairness_rule(facts, run.profile, data=data),
        monotonic_rule(
            TypeAdapter(tuple[MonotonicSweep, ...]).validate_python(figures.get("monotonic", ())),
            asked=() if own.evidence is None else own.evidence.monotonic,
            maximum=run.thresholds.maximum_falls,
            data=data,
        ),
    )


def _no_rows(evaluated: Evaluated) -> Rule:
    return gate_rules.decided(
        gate_rules.DATA,
        "rows",
        passed=False,
        value=0.0,
        threshold=None,
        sentence=f"there are no rows to evaluate the model on: {evaluated.rows}.",
    ).of(evaluated.snapshot)


def _mature(dataset: Dataset, snapshot: TrainingData, maturity_days: int) -> NDArray[np.bool_]:
    """`(rows,)` whether a row is old enough to have an outcome; all are where nothing says their age."""
    column = dataset.schema.timestamp
    if column is None or maturity_days == 0:
        return np.ones(len(dataset.frame), bool)
    youngest = snapshot.created_at - timedelta(days=maturity_days)
    times = dataset.frame[column.name]
    return np.asarray(times.isna() | (times <= youngest), dtype=bool)


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

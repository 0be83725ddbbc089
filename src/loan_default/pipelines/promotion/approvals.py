"""Approvals: a named person answers for a model, and for rules that it breaks, with a reason and until a day.

An approval is written before it acts. It holds beside the champion that it was granted beside, until that one
is replaced or the approval expires. It overrides the rules that it names and no others; a broken file and too
few rows can be overridden by nobody.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog

from loan_default.database.audit_repository import record_approval
from loan_default.database.connect import Database
from loan_default.database.documents import moves_of
from loan_default.database.gate_documents import Approval
from loan_default.database.gate_repositories import ApprovalRepository
from loan_default.database.repositories import ModelRepository
from loan_default.errors import DataError, did_you_mean
from loan_default.evaluation import gate_rules
from loan_default.evaluation.gate import Verdict
from loan_default.evaluation.gate_rules import NEVER_OVERRIDDEN, Rule
from loan_default.pipelines.promotion.evaluation_run import Evaluated, EvaluationRun
from loan_default.thresholds import RuleOutcome

log = structlog.get_logger()

_NAME = "approval"
ROLLBACK_HOLDS = timedelta(hours=1)
"""How long the approval of a rollback holds: it acts at once."""


def approve(
    database: Database,
    version: str,
    *,
    approver: str,
    reason: str,
    expires_at: datetime,
    now: datetime,
    overrides: Sequence[str] = (),
) -> Approval:
    """Store a person's approval of a model and return it; nothing else happens.

    Args:
        version: version of the model, in full.
        expires_at: when the approval ceases to hold.
        overrides: names of the rules that the model may break.

    Raises:
        DataError: the model is not registered, a name or reason is blank, the expiry is over, or a rule is
            unknown or can be overridden by nobody.
        DependencyError: the database is away.
    """
    for name, text in (("approver", approver), ("reason", reason)):
        if not text.strip():
            raise DataError(f"an approval must have {_article(name)}, however: it is blank. Name it.")
    if expires_at <= now:
        raise DataError(
            f"an approval must expire later than now, however: {expires_at.isoformat()} is over. Name "
            "a later time."
        )
    _check_rules(overrides)
    models = ModelRepository(database)
    model, pointer = models.get(version), models.champion()
    approval = Approval(
        version=model.version,
        champion=None if pointer is None else pointer.version,
        champion_rev=moves_of(pointer),
        approver=approver.strip(),
        reason=reason.strip(),
        overrides=tuple(dict.fromkeys(overrides)),
        granted_at=now,
        expires_at=expires_at,
    )
    keep_approval(database, approval)
    return approval


def keep_approval(database: Database, approval: Approval) -> None:
    """Store an approval and record it in the audit trail, before it acts; a repetition changes nothing."""
    repository = ApprovalRepository(database)
    repository.ensure_indexes()
    repository.add(approval)
    record_approval(database, approval)
    log.info(
        "model_approved",
        approval=approval.id,
        version=approval.version,
        overrides=list(approval.overrides),
    )


def approval_of(run: EvaluationRun, evaluated: Evaluated) -> Approval | None:
    """Return the newest approval of a model that holds now, beside the champion of its evaluation."""
    return ApprovalRepository(run.services.database).that_holds(
        evaluated.version, at=datetime.now(UTC), champion=evaluated.champion, rev=evaluated.seen_rev
    )


def with_approval(run: EvaluationRun, evaluated: Evaluated, verdict: Verdict) -> Verdict:
    """Add to a verdict the rule of the approval, and mark the broken rules that the approval overrides."""
    if evaluated.champion is None and evaluated.seen_rev > 0:
        return verdict  # the champion stays what it is
    approval = approval_of(run, evaluated)
    rule = _approval_rule(approval, is_required=run.policy.approval == "required")
    overridden = {} if approval is None else _overridden(verdict.rules, approval)
    reasons = {before.reason: after.reason for before, after in overridden.items()}
    is_broken = rule.outcome is RuleOutcome.FAILED
    return replace(
        verdict,
        reasons=(
            *(reasons.get(each, each) for each in verdict.reasons),
            *([] if rule.outcome is RuleOutcome.OFF else [rule.reason]),
        ),
        broken=(
            *(each for each in verdict.broken if each not in reasons),
            *([rule.reason] if is_broken else []),
        ),
        rules=(*(overridden.get(each, each) for each in verdict.rules), rule),
        approval=None if approval is None else approval.id,
    )


def _approval_rule(approval: Approval | None, *, is_required: bool) -> Rule:
    if approval is not None:
        sentence = f"a named person has approved the model until {approval.expires_at:%Y-%m-%d %H:%M} UTC."
        rule = gate_rules.decided(
            gate_rules.APPROVAL, _NAME, passed=True, value=None, threshold=None, sentence=sentence
        )
        return rule.of(approval.id)
    if not is_required:
        return gate_rules.off(gate_rules.APPROVAL, _NAME, "no approval by a person is asked for.")
    return gate_rules.decided(
        gate_rules.APPROVAL,
        _NAME,
        passed=False,
        value=None,
        threshold=None,
        sentence="no approval by a named person holds; `loan-default promote VERSION --approver NAME "
        "--reason TEXT --expires DAY` gives one.",
    )


def _overridden(rules: Sequence[Rule], approval: Approval) -> dict[Rule, Rule]:
    """Broken rules that an approval names -> the same, overridden."""
    return {
        rule: replace(rule, outcome=RuleOutcome.OVERRIDDEN)
        for rule in rules
        if rule.outcome is RuleOutcome.FAILED
        and rule.name in approval.overrides
        and rule.number not in NEVER_OVERRIDDEN
    }


def _check_rules(names: Sequence[str]) -> None:
    """Raise a DataError for a rule that is unknown, or that nobody can override."""
    known = gate_rules.NAMES
    for name in names:
        if name not in known:
            raise DataError(
                f"a rule to override must be one of the gate, however: {name!r} is none."
                f"{did_you_mean(name, known)}"
            )
        if known[name] in NEVER_OVERRIDDEN:
            raise DataError(
                f"a rule to override must not be of number {_in_words(NEVER_OVERRIDDEN)}, however: {name!r} "
                f"is of number {known[name]}. Mend what it is about."
            )


def _article(name: str) -> str:
    return f"an {name}" if name == "approver" else f"a {name}"


def _in_words(numbers: Iterable[int]) -> str:
    return " or ".join(str(number) for number in sorted(numbers))

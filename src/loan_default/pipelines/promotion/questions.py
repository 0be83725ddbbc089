"""Questions to a person about a model, and what follows from an answer or from none.

A person is asked only where an approval is required, none holds, and the model breaks no other rule. An
approval that comes by an answer is stored and in the audit trail before it acts, like that of `loan-default
promote`. Without an answer the model is rejected.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from loan_default.database.control_documents import Decision
from loan_default.database.gate_documents import Approval
from loan_default.errors import DataError
from loan_default.evaluation import gate_rules
from loan_default.evaluation.gate import Verdict
from loan_default.evaluation.gate_rules import Rule
from loan_default.pipelines.promotion.approvals import keep_approval
from loan_default.pipelines.promotion.comparison import check_thresholds, evaluate_model
from loan_default.pipelines.promotion.decisions import update_status
from loan_default.pipelines.promotion.evaluation_run import Chosen, Evaluated, EvaluationRun
from loan_default.thresholds import RuleOutcome

ANSWER_HOLDS = timedelta(days=1)
"""How long an approval by an answer holds, from the answer on: it acts at once, unless servers are away."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What a person is asked."""

    subject: str
    body: str
    """What the person needs to know, in Markdown."""
    hours: float
    """How long an answer is waited for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a person answered, or that nobody did."""

    approved: bool
    who: str | None
    """Name of who answered; None = nobody did, whatever `approved` says."""
    reason: str | None
    """The reason in the person's own words; None = none was given."""
    answered_at: datetime


def question_of(run: EvaluationRun, evaluated: Evaluated, verdict: Verdict) -> Question | None:
    """Return what a person has to be asked before the model is promoted; None = nothing."""
    failed = [rule for rule in verdict.rules if rule.outcome is RuleOutcome.FAILED]
    if evaluated.rollback or [rule.number for rule in failed] != [gate_rules.APPROVAL]:
        return None
    champion = evaluated.champion or "none"
    body = [
        f"Model **{evaluated.version}** passes every other rule of the gate. "
        + (
            "There is no champion yet: it would be the first."
            if evaluated.champion is None
            else f"It would replace the champion **{champion}**."
        ),
        *_table(verdict.rules),
        *(f"- {reason}" for reason in verdict.reasons if not _is_of_a_rule(reason, verdict.rules)),
        "",
        "Approve: your name and the reason are stored, and the model becomes the champion.",
        f"Reject, or no answer within {run.policy.approval_hours:g} hours: the model is rejected.",
    ]
    return Question(
        subject=f"May model {evaluated.version} become the champion (now: {champion})?",
        body="\n".join(body),
        hours=run.policy.approval_hours,
    )


def update_status_after(
    run: EvaluationRun, evaluated: Evaluated, verdict: Verdict, *, answer: Answer, hours: float
) -> Decision:
    """Decide about a model as a person has answered, and carry that out; a repetition changes nothing.

    An approval is stored first. A model that has become the champion meanwhile, as by `loan-default promote`,
    stays it whatever the answer is.

    Args:
        verdict: the one that the person was asked with.
        hours: how long an answer was waited for.

    Raises:
        DataError: the answer is too old to be carried out.
        DependencyError: the broker or the database is away.
    """
    if answer.approved and answer.who is not None:
        _keep_approval(run, evaluated, answer, who=answer.who)
        verdict = check_thresholds(run, evaluated)
    else:
        verdict = _refused(verdict, _why_refused(evaluated.version, answer, hours))
    pointer = run.models.champion()
    if pointer is not None and pointer.version == evaluated.version:
        why = "it became the champion while a person was asked"
        evaluated = evaluate_model(run, Chosen(version=evaluated.version, why=why))
        verdict = check_thresholds(run, evaluated)
    return update_status(run, evaluated, verdict)


def _keep_approval(run: EvaluationRun, evaluated: Evaluated, answer: Answer, *, who: str) -> None:
    expires_at = answer.answered_at + ANSWER_HOLDS
    if expires_at <= datetime.now(UTC):
        hours = ANSWER_HOLDS // timedelta(hours=1)
        raise DataError(
            f"an answer must be carried out within {hours} hours, however: {who} approved "
            f"{evaluated.version} on {answer.answered_at:%Y-%m-%d %H:%M} UTC. Start another run, "
            "which asks again."
        )
    approval = Approval(
        version=evaluated.version,
        champion=evaluated.champion,  # the one that the person was shown, whichever it is by now
        champion_rev=evaluated.seen_rev,
        approver=who,
        reason=answer.reason or f"approved in Airflow, run {run.id}; no reason was given.",
        granted_at=answer.answered_at,
        expires_at=expires_at,
    )
    keep_approval(run.services.database, approval)


def _why_refused(version: str, answer: Answer, hours: float) -> str:
    if answer.who is None:
        sentence = f"nobody answered within {hours:g} hours whether {version} may become the champion."
    else:
        reason = f": {answer.reason}" if answer.reason else ""
        at = f"{answer.answered_at:%Y-%m-%d %H:%M} UTC"
        sentence = f"{answer.who} rejected it on {at}{reason}".removesuffix(".") + "."
    return (
        f"{sentence} `loan-default promote {version} --approver NAME --reason TEXT --expires DAY` promotes "
        "it all the same."
    )


def _refused(verdict: Verdict, sentence: str) -> Verdict:
    """The verdict with another sentence in its rule of the approval."""
    changed = {
        rule: replace(rule, sentence=sentence) for rule in verdict.rules if rule.number == gate_rules.APPROVAL
    }
    reasons: Mapping[str, str] = {before.reason: after.reason for before, after in changed.items()}
    return replace(
        verdict,
        rules=tuple(changed.get(rule, rule) for rule in verdict.rules),
        reasons=tuple(reasons.get(each, each) for each in verdict.reasons),
        broken=tuple(reasons.get(each, each) for each in verdict.broken),
    )


def _table(rules: Sequence[Rule]) -> list[str]:
    """The rules in Markdown, those that are off left out."""
    rows = [
        (
            str(rule.number),
            rule.name.replace("_", " "),
            str(rule.outcome),
            _number(rule.value),
            _number(rule.threshold),
            "" if rule.interval is None else " to ".join(map(_number, rule.interval)),
            rule.sentence,
        )
        for rule in rules
        if rule.outcome is not RuleOutcome.OFF
    ]
    head = ("no.", "rule", "outcome", "value", "threshold", "interval", "sentence")
    return ["", *(_line(cells) for cells in (head, ("---",) * len(head), *rows)), ""]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/').replace(chr(10), ' ') for cell in cells)} |"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _is_of_a_rule(reason: str, rules: Sequence[Rule]) -> bool:
    return any(reason == rule.reason for rule in rules)

"""Questions to a person about a model: when there is one, and what an answer does."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pipelines.promotion_setup import AS_GOOD, LENIENT, STRICT, decide, evaluated

from loan_default.database.control_documents import Action
from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.gate_repositories import ApprovalRepository
from loan_default.errors import DataError
from loan_default.pipelines.promotion.approvals import approve
from loan_default.pipelines.promotion.comparison import check_thresholds
from loan_default.pipelines.promotion.questions import Answer, question_of, update_status_after

pytestmark = pytest.mark.slow  # each test validates trained models

REQUIRED = replace(AS_GOOD, approval="required", approval_hours=12)
YES = Answer(approved=True, who="R. Officer", reason="seasonal book", answered_at=datetime.now(UTC))


def asked(promotion, version: str, *, run: str = "asks", thresholds=LENIENT, policy=REQUIRED):
    """A run, what it has measured, its verdict, and its question."""
    own = promotion.run(run, thresholds=thresholds, policy=policy)
    measured = evaluated(own, version)
    verdict = check_thresholds(own, measured)
    return own, measured, verdict, question_of(own, measured, verdict)


def answered(promotion, version: str, answer: Answer, *, run: str = "asks"):
    own, measured, verdict, question = asked(promotion, version, run=run)
    assert question is not None
    return update_status_after(own, measured, verdict, answer=answer, hours=question.hours)


def now(answer: Answer) -> Answer:
    return replace(answer, answered_at=datetime.now(UTC))


def test_a_person_is_asked_only_where_the_approval_alone_is_missing(promotion):
    version = promotion.model.version
    *_, question = asked(promotion, version)
    assert question is not None
    assert "it would be the first" in question.body
    assert "no answer within 12 hours" in question.body
    assert asked(promotion, version, run="strict", thresholds=STRICT)[-1] is None
    assert asked(promotion, version, run="free", policy=AS_GOOD)[-1] is None
    given = datetime.now(UTC)
    approve(
        promotion.services.database,
        version,
        approver="R. Officer",
        reason="before",
        expires_at=given + timedelta(days=1),
        now=given,
    )
    assert asked(promotion, version, run="approved")[-1] is None


def test_the_cells_of_a_table_cannot_be_broken_by_a_sentence(promotion):
    own, measured, verdict, _ = asked(promotion, promotion.model.version)
    rules = (replace(verdict.rules[0], sentence="a | b\nc"), *verdict.rules[1:])
    question = question_of(own, measured, replace(verdict, rules=rules))
    assert question is not None
    assert "| a / b c |" in question.body


def test_an_answer_that_is_carried_out_twice_gives_one_approval_and_one_decision(promotion):
    yes = now(YES)
    first = answered(promotion, promotion.model.version, yes)
    own = promotion.run("asks", policy=REQUIRED)
    measured = replace(evaluated(own, promotion.model.version), champion=None, seen_rev=0)
    again = update_status_after(own, measured, check_thresholds(own, measured), answer=yes, hours=12)
    assert (first.action, again) == (Action.PROMOTED, first)
    (approval,) = ApprovalRepository(promotion.services.database).newest_first()
    assert (approval.id, approval.approver) == (first.approval, "R. Officer")
    assert DecisionRepository(promotion.services.database).count() == 1


def test_an_approval_beside_one_champion_does_not_hold_beside_the_next(promotion):
    decide(promotion.run("first"), promotion.model.version)
    for name in ("asked-about", "quicker"):
        promotion.candidate(name)
    own, measured, verdict, question = asked(promotion, "asked-about")
    assert question is not None
    assert f"It would replace the champion **{promotion.model.version}**" in question.body
    assert decide(promotion.run("meanwhile"), "quicker").action is Action.PROMOTED
    decision = update_status_after(own, measured, verdict, answer=now(YES), hours=12)
    assert (decision.action, decision.champion) == (Action.REJECTED, "quicker")
    assert decision.broken[0].startswith("failed: no approval by a named person holds")
    assert promotion.models.champion().version == "quicker"
    (approval,) = ApprovalRepository(promotion.services.database).newest_first()
    assert approval.champion == promotion.model.version


@pytest.mark.parametrize("answer", [YES, replace(YES, approved=False), replace(YES, who=None)])
def test_a_model_that_became_the_champion_meanwhile_stays_it(promotion, answer):
    own, measured, verdict, _ = asked(promotion, promotion.model.version)
    decide(promotion.run("by-hand"), promotion.model.version)
    decision = update_status_after(own, measured, verdict, answer=now(answer), hours=12)
    assert decision.action is Action.KEPT
    assert promotion.models.champion().rev == 1


@pytest.mark.parametrize("approved", [True, False])
def test_without_a_name_nothing_is_promoted_whatever_the_option(promotion, approved):
    nobody = replace(now(YES), who=None, approved=approved)
    decision = answered(promotion, promotion.model.version, nobody)
    assert decision.action is Action.REJECTED
    assert decision.broken[0].startswith("failed: nobody answered within 12 hours")
    assert ApprovalRepository(promotion.services.database).count() == 0


def test_an_answer_of_long_ago_is_not_carried_out(promotion):
    old = replace(YES, answered_at=datetime.now(UTC) - timedelta(hours=25))
    with pytest.raises(DataError, match=r"within 24 hours, however: R. Officer approved .* Start another"):
        answered(promotion, promotion.model.version, old)
    assert promotion.models.champion() is None
    assert ApprovalRepository(promotion.services.database).count() == 0


def test_a_refusal_names_who_and_why(promotion):
    no = replace(now(YES), approved=False, reason="not in December.")
    decision = answered(promotion, promotion.model.version, no)
    rule = next(each for each in decision.rules if each.name == "approval")
    assert rule.sentence.startswith("R. Officer rejected it on ")
    assert " UTC: not in December. `loan-default promote " in rule.sentence
    assert decision.broken == (f"failed: {rule.sentence}",)

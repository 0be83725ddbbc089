"""Approvals by people: what they must name, what they override and what not, and how long they hold."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pipelines.promotion_setup import AS_GOOD, LENIENT, STRICT, decide, evaluated

from loan_default.database.audit_repository import AuditRepository
from loan_default.database.audit_verification import verify_trail
from loan_default.database.control_documents import Action
from loan_default.database.gate_repositories import ApprovalRepository
from loan_default.errors import DataError
from loan_default.pipelines.promotion.approvals import approve
from loan_default.pipelines.promotion.comparison import check_thresholds
from loan_default.pipelines.promotion.decisions import update_status
from loan_default.thresholds import RuleOutcome

pytestmark = pytest.mark.slow  # each test validates trained models

REQUIRED = replace(AS_GOOD, approval="required")


def given(promotion, version: str, **changes: object):
    now = datetime.now(UTC)
    given = {
        "approver": "R. Officer",
        "reason": "seasonal book",
        "expires_at": now + timedelta(days=30),
        "now": now,
    }
    return approve(promotion.services.database, version, **(given | changes))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"approver": " "}, "must have an approver"),
        ({"approver": ""}, "must have an approver"),
        ({"reason": "\t"}, "must have a reason"),
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "must expire later than now"),
        ({"overrides": ["artefact"]}, "must not be of number 1 or 2"),
        ({"overrides": ["lead", "rows"]}, "must not be of number 1 or 2"),
        ({"overrides": ["bads"]}, "must not be of number 1 or 2"),
        ({"overrides": ["coverage"]}, "must not be of number 1 or 2"),
        ({"overrides": ["certain_led"]}, "Did you mean 'certain_lead'"),
    ],
)
def test_an_approval_that_lacks_something_is_refused_and_not_stored(promotion, changes, match):
    with pytest.raises(DataError, match=match):
        given(promotion, promotion.model.version, **changes)
    assert ApprovalRepository(promotion.services.database).count() == 0


def test_a_model_that_nobody_knows_cannot_be_approved(promotion):
    with pytest.raises(DataError):
        given(promotion, "nobody")


def test_an_override_is_written_and_the_decision_rests_on_it(promotion):
    approval = given(promotion, promotion.model.version, overrides=["auc"])
    decision = decide(promotion.run("forced", thresholds=STRICT), promotion.model.version)
    assert decision.action is Action.PROMOTED
    assert decision.approval == approval.id
    assert decision.broken == ()
    assert any(reason.startswith("overridden: AUC is ") for reason in decision.reasons)
    outcomes = {rule.name: rule.outcome for rule in decision.rules}
    assert (outcomes["auc"], outcomes["approval"]) == (RuleOutcome.OVERRIDDEN, RuleOutcome.PASSED)
    stored = ApprovalRepository(promotion.services.database).get(decision.approval)
    assert (stored.approver, stored.reason, stored.overrides) == ("R. Officer", "seasonal book", ("auc",))
    assert stored.granted_at < decision.decided_at


def test_an_approval_is_in_the_audit_trail_before_it_acts_and_its_alteration_is_found(promotion):
    database = promotion.services.database
    approval = given(promotion, promotion.model.version, overrides=["auc"])
    (record,) = [each for each in AuditRepository(database).in_order() if approval.id in each.event]
    assert (record.who, record.reason, str(record.action)) == ("R. Officer", "seasonal book", "overridden")
    assert record.details["overrides"] == "auc"
    before = verify_trail(database).faults
    database["approvals"].update_one({"_id": approval.id}, {"$set": {"reason": "another"}})
    assert set(verify_trail(database).faults) - set(before) == {
        f"approvals/{approval.id} was altered after record {record.number}."
    }


def test_only_the_rules_that_are_named_are_overridden(promotion):
    given(promotion, promotion.model.version, overrides=["auc"])
    both = replace(STRICT, minimum_ks=0.999)
    decision = decide(promotion.run("half", thresholds=both), promotion.model.version)
    assert decision.action is Action.REJECTED
    (broken,) = decision.broken
    assert broken.startswith("failed: KS is ")


def test_too_few_rows_stay_too_few_whatever_is_stored(promotion):
    """Even where the store holds an approval that no command of ours would write."""
    approval = given(promotion, promotion.model.version)
    forged = approval.model_copy(update={"overrides": ("rows",), "granted_at": datetime.now(UTC)})
    ApprovalRepository(promotion.services.database).add(forged)
    many = replace(LENIENT, minimum_rows=1_000_000)
    decision = decide(promotion.run("few", thresholds=many), promotion.model.version)
    assert decision.action is Action.REJECTED


def test_an_approval_that_is_required_and_missing_rejects_until_it_comes(promotion):
    version = promotion.model.version
    decision = decide(promotion.run("before", policy=REQUIRED), version)
    assert decision.action is Action.REJECTED
    (broken,) = decision.broken
    assert broken.startswith("failed: no approval by a named person holds")
    given(promotion, version)
    assert decide(promotion.run("after", policy=REQUIRED), version).action is Action.PROMOTED


def test_an_approval_expires(promotion):
    now = datetime.now(UTC)
    long_ago = now - timedelta(days=9)
    given(promotion, promotion.model.version, now=long_ago, expires_at=now - timedelta(seconds=1))
    decision = decide(promotion.run("late", policy=REQUIRED), promotion.model.version)
    assert (decision.action, decision.approval) == (Action.REJECTED, None)


def test_an_approval_does_not_hold_beside_another_champion(promotion):
    for name in ("slow", "quick"):
        promotion.candidate(name)
    decide(promotion.run("first"), promotion.model.version)
    given(promotion, "slow")
    run = promotion.run("slow-run", policy=REQUIRED)
    found = evaluated(run, "slow")
    verdict = check_thresholds(run, found)
    assert verdict.passed
    decide(promotion.run("quick-run"), "quick")
    decision = update_status(run, found, verdict)
    assert (decision.action, decision.champion) == (Action.REJECTED, "quick")
    assert promotion.models.champion().version == "quick"


def test_a_replacement_that_cannot_be_compared_can_be_approved(promotion):
    foreign = promotion.candidate("foreign", split="stratified", seen_until=None)
    decide(promotion.run("first"), foreign.version, rollback=True)
    version = promotion.model.version
    assert decide(promotion.run("alone"), version).action is Action.REJECTED
    given(promotion, version, overrides=["compared"])
    decision = decide(promotion.run("approved"), version)
    assert decision.action is Action.PROMOTED
    assert any(reason.startswith("overridden: the model must be compared") for reason in decision.reasons)


def test_the_champion_needs_no_approval_to_stay(promotion):
    decide(promotion.run("first"), promotion.model.version)
    decision = decide(promotion.run("daily", policy=REQUIRED), promotion.model.version)
    assert (decision.action, decision.broken) == (Action.KEPT, ())

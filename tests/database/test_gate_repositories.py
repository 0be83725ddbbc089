"""Approvals in the store: complete ones alone, the newest that holds, and evidence that comes back whole."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from loan_default.database.control_documents import Action, Decision
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.gate_documents import Approval, StoredRule
from loan_default.database.gate_repositories import ApprovalRepository
from loan_default.errors import DataError
from loan_default.thresholds import RuleOutcome

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def approval(**changes: object) -> Approval:
    given = {
        "version": "model",
        "champion": "champion",
        "approver": "R. Officer",
        "reason": "seasonal book",
        "overrides": ("cooldown",),
        "granted_at": NOW,
        "expires_at": NOW + DAY,
    }
    return Approval(**(given | changes))


@pytest.fixture
def approvals(tmp_path):
    database = EmbeddedDatabase(tmp_path / "documents.sqlite3")
    repository = ApprovalRepository(database)
    repository.ensure_indexes()
    yield repository
    database.close()


@pytest.mark.parametrize(
    "changes",
    [{"approver": ""}, {"approver": " "}, {"reason": ""}, {"reason": " "}, {"expires_at": NOW}],
)
def test_no_approval_lacks_a_name_a_reason_or_an_expiry(changes):
    with pytest.raises(ValidationError):
        approval(**changes)


@pytest.mark.parametrize("name", ["approver", "reason", "expires_at"])
def test_a_stored_approval_that_lost_something_is_refused(approvals, tmp_path, name):
    stored = {key: value for key, value in approval().to_store().items() if key != name}
    with pytest.raises(DataError):
        Approval.from_store(stored)


def test_an_approval_holds_until_it_expires_and_beside_its_champion_alone(approvals):
    approvals.add(approval())
    for at, champion, holds in (
        (NOW, "champion", True),
        (NOW + DAY - timedelta(seconds=1), "champion", True),
        (NOW + DAY, "champion", False),
        (NOW - timedelta(seconds=1), "champion", False),
        (NOW, "another", False),
        (NOW, None, False),
    ):
        assert (approvals.that_holds("model", at=at, champion=champion, rev=3) is not None) is holds
    assert approvals.that_holds("another", at=NOW, champion="champion", rev=3) is None


def test_an_approval_holds_for_one_reign_of_a_champion(approvals):
    approvals.add(approval(champion_rev=3))
    for rev, holds in ((2, False), (3, True), (4, False), (5, False)):
        found = approvals.that_holds("model", at=NOW, champion="champion", rev=rev)
        assert (found is not None) is holds, rev


def test_the_newest_approval_that_holds_counts(approvals):
    early = approval(granted_at=NOW - DAY, overrides=("lead",))
    over = approval(granted_at=NOW - DAY / 2, expires_at=NOW - DAY / 4, overrides=("auc",))
    for each in (early, over):
        approvals.add(each)
    assert approvals.that_holds("model", at=NOW, champion="champion", rev=3) == early
    approvals.add(approval())
    assert approvals.that_holds("model", at=NOW, champion="champion", rev=3) == approval()
    assert [each.overrides for each in approvals.of_model("model")] == [("cooldown",), ("auc",), ("lead",)]


def test_a_decision_keeps_its_rules_as_data():
    rule = StoredRule(
        number=4,
        name="certain_lead",
        outcome=RuleOutcome.OVERRIDDEN,
        value=0.01,
        threshold=0.0,
        interval=(-0.01, 0.03),
        data="data-1",
        sentence="a sentence.",
    )
    decision = Decision(
        version="model",
        action=Action.PROMOTED,
        reasons=("overridden: a sentence.",),
        rules=(rule,),
        approval="model/1",
        champion=None,
        seen_rev=0,
        snapshot="data-1",
        run="run",
        decided_at=NOW,
    )
    assert Decision.from_store(decision.to_store()) == decision
    stored = decision.to_store()
    assert stored["rules"][0]["outcome"] == "overridden"
    assert type(stored["rules"][0]["outcome"]) is str
    before = {
        key: value for key, value in stored.items() if key not in {"rules", "approval", "schema_version"}
    }
    assert Decision.from_store(before).rules == ()

"""Commands, decisions and fences, over all worlds of the contract."""

from datetime import timedelta

import pytest
from database.conftest import NOON

from loan_default.database.control_documents import Action, CommandLog, CommandStatus, Decision
from loan_default.database.control_repositories import (
    CommandRepository,
    DecisionRepository,
    FencingToken,
    lost_champion,
)
from loan_default.errors import DataError


def command(name: str, *, minutes: int = 0, outcome: CommandStatus = CommandStatus.DONE) -> CommandLog:
    return CommandLog(
        command=name,
        type="ingestion.paused",
        source="risk",
        outcome=outcome,
        reason="it cannot be" if outcome is CommandStatus.REFUSED else None,
        sent_at=NOON + timedelta(minutes=minutes),
        handled_at=NOON,
    )


def decision(**changes: object) -> Decision:
    fields = {
        "version": "v2",
        "action": Action.PROMOTED,
        "reasons": ("AUC .78 is at least .60",),
        "champion": "v1",
        "seen_rev": 3,
        "snapshot": "data-1",
        "run": "run-1",
        "decided_at": NOON,
    }
    return Decision(**fields | changes)


def test_a_command_is_found_by_its_id_and_the_last_that_had_an_effect_by_its_time(database):
    commands = CommandRepository(database)
    commands.ensure_indexes()
    assert commands.last_done(["ingestion.paused"]) is None
    commands.add(command("late", minutes=9, outcome=CommandStatus.REFUSED))
    commands.add(command("first", minutes=1))
    commands.add(command("second", minutes=2))
    assert commands.get("first") == command("first", minutes=1)
    assert commands.last_done(["ingestion.paused", "ingestion.resumed"]) == NOON + timedelta(minutes=2)
    assert commands.last_done(["training.requested"]) is None


def test_only_a_refusal_has_a_reason():
    with pytest.raises(ValueError, match="reason must be given"):
        CommandLog(**{**command("first").model_dump(), "reason": "none"})


def test_a_decision_is_written_once_and_may_be_superseded(database):
    decisions = DecisionRepository(database)
    decisions.ensure_indexes()
    decisions.add(decision())
    decisions.add(decision(decided_at=NOON + timedelta(hours=1)))
    assert decisions.of_model("v2") == [decision()]
    decisions.supersede(decision())
    decisions.add(decision(seen_rev=4, decided_at=NOON + timedelta(minutes=1)))
    assert [each.action for each in decisions.of_model("v2")] == [Action.PROMOTED, Action.SUPERSEDED]
    with pytest.raises(DataError, match="must keep what it holds"):
        decisions.add(decision(seen_rev=4, reasons=("another",)))


def test_of_two_decisions_with_one_id_the_first_counts(database):
    decisions = DecisionRepository(database)
    assert decisions.keep(decision()) == decision()
    assert decisions.keep(decision(reasons=("another",), snapshot="data-2")) == decision()
    other = decision(seen_rev=4, decided_at=NOON + timedelta(minutes=1))
    decisions.keep(other)
    decisions.keep(decision(run="run-2"))
    assert decisions.of_run("run-1") == [other, decision()]


def test_decisions_tell_who_was_the_champion(database):
    decisions = DecisionRepository(database)
    decisions.keep(decision(version="v1", champion=None, seen_rev=0))
    decisions.keep(decision(version="v2", champion="v1", seen_rev=1))
    decisions.keep(decision(version="v2", champion=None, seen_rev=2, action=Action.KEPT))
    assert [decisions.champion_at(rev) for rev in range(4)] == [None, "v1", "v2", None]


def test_of_two_decisions_at_one_number_of_moves_the_newest_tells_who_was_the_champion(database):
    """The moves of a pointer that was made anew count from one again."""
    decisions = DecisionRepository(database)
    decisions.keep(decision(version="v3", champion="old", seen_rev=2, run="run-1"))
    decisions.keep(
        decision(
            version="v3", champion="new", seen_rev=2, run="run-2", decided_at=NOON + timedelta(minutes=1)
        )
    )
    decisions.keep(
        decision(
            version="v4", champion="older", seen_rev=2, run="run-0", decided_at=NOON - timedelta(minutes=1)
        )
    )
    assert decisions.champion_at(2) == "new"


@pytest.mark.parametrize("action", [Action.PROMOTED, Action.ROLLED_BACK])
def test_a_first_champion_is_known_from_its_decision_alone(database, action):
    decisions = DecisionRepository(database)
    decisions.keep(decision(version="v1", champion=None, seen_rev=0, action=action))
    later = NOON + timedelta(minutes=1)
    decisions.keep(
        decision(version="v2", champion=None, seen_rev=0, action=Action.REJECTED, decided_at=later)
    )
    assert decisions.last_champion() == lost_champion(database) == "v1"
    decisions.keep(decision(version="v3", champion="v2", seen_rev=1, decided_at=later))
    assert decisions.last_champion() == "v2"


@pytest.mark.parametrize("action", [Action.REJECTED, Action.SUPERSEDED])
def test_a_decision_without_effect_beside_no_champion_names_none(database, action):
    decisions = DecisionRepository(database)
    decisions.keep(decision(version="v1", champion=None, seen_rev=0, action=action))
    assert decisions.last_champion() is None


def test_only_the_newest_try_of_a_task_may_write(database):
    first, second = (
        FencingToken(database=database, run="run", task="train", attempt=each) for each in (1, 2)
    )
    with pytest.raises(DataError, match="try 1 of run/train"):
        first.check()
    first.claim()
    first.claim()
    first.check()
    second.claim()
    second.check()
    for late in (first.check, first.claim):
        with pytest.raises(DataError, match="try 1 of run/train was superseded"):
            late()
    with pytest.raises(DataError, match=r"delete 'run/train' from fences"):  # a run of the same name is new
        first.claim()
    second.check()
    other = FencingToken(database=database, run="run", task="store", attempt=1)
    other.claim()
    other.check()

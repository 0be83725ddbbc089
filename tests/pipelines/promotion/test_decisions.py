"""Deciding about models: what is written, what moves, and who wins when two are promoted at once."""

import threading
from dataclasses import replace
from itertools import pairwise

import pytest
from pipelines.promotion_setup import LENIENT, STRICT, decide, evaluated

from loan_default.database.audit_repository import AuditRepository
from loan_default.database.control_documents import Action, Decision
from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.documents import ModelStatus
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.repositories import POINTERS
from loan_default.errors import DataError, DependencyError
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.topics import COMMANDS, TOPICS
from loan_default.pipelines.promotion.comparison import check_thresholds
from loan_default.pipelines.promotion.decisions import former_champion, update_status

pytestmark = pytest.mark.slow  # each test validates trained models


def test_a_model_that_may_have_seen_everything_is_not_promoted(promotion):
    foreign = promotion.candidate("foreign", split="stratified", seen_until=None)
    decision = decide(promotion.run(), foreign.version)
    assert decision.action is Action.REJECTED
    assert decision.reasons[0].startswith("failed: there are no rows to evaluate the model on")


def test_the_champion_itself_is_kept_whatever_comes_out(promotion):
    decide(promotion.run("first"), promotion.model.version)
    decision = decide(promotion.run("second", thresholds=STRICT), promotion.model.version)
    assert decision.action is Action.KEPT
    assert any(reason.startswith("failed: AUC") for reason in decision.reasons)
    assert promotion.models.champion().rev == 1


def test_what_was_decided_is_not_decided_again(promotion):
    run = promotion.run("once")
    found = evaluated(run, promotion.model.version)
    verdict = check_thresholds(run, found)
    first = update_status(run, found, verdict)
    other = promotion.candidate("other")
    decide(promotion.run("later"), other.version, rollback=True)
    again = update_status(run, found, verdict)
    assert again.id == first.id
    assert promotion.models.champion().version == "other"
    assert decided_about(promotion, promotion.model.version) == [first]


def test_one_run_decides_on_each_of_two_models_by_itself(promotion):
    promotion.candidate("other")
    run = promotion.run("both", thresholds=STRICT)
    first = decide(run, promotion.model.version)
    second = decide(run, "other")
    assert (first.version, second.version) == (promotion.model.version, "other")
    assert {d.version for d in DecisionRepository(run.services.database).of_run("both")} == {
        first.version,
        second.version,
    }


def test_who_loses_a_race_is_evaluated_again_beside_the_winner(promotion):
    models = promotion.models
    slow, quick = promotion.candidate("slow"), promotion.candidate("quick")
    run = promotion.run("slow-run")
    found = evaluated(run, slow.version)
    verdict = check_thresholds(run, found)
    decide(promotion.run("quick-run"), quick.version)
    strict = replace(run, thresholds=replace(LENIENT, minimum_lead=0.01))
    decision = update_status(strict, found, verdict)
    assert (decision.action, decision.champion) == (Action.REJECTED, "quick")
    assert models.champion().version == "quick"
    actions = [each.action for each in decided_about(promotion, "slow")]
    assert sorted(actions) == sorted([Action.SUPERSEDED, Action.REJECTED])


def test_a_pointer_that_was_made_anew_is_not_taken_for_the_one_that_was_seen(promotion):
    """Its moves count again from one, so the number of moves alone does not tell the two apart."""
    seen, anew, slow = (promotion.candidate(name) for name in ("seen", "anew", "slow"))
    decide(promotion.run("first"), seen.version)
    run = promotion.run("slow-run")
    found = evaluated(run, slow.version)
    verdict = check_thresholds(run, found)
    promotion.services.database[POINTERS].delete_many({})
    decide(promotion.run("restore"), anew.version, rollback=True)
    assert promotion.models.champion().rev == found.seen_rev == 1
    for _ in range(2):
        with pytest.raises(DataError, match="deleted and made anew"):
            update_status(run, found, verdict)
        assert promotion.models.champion().version == "anew"
    assert decide(promotion.run("next"), slow.version).champion == "anew"


def test_a_move_of_a_pointer_that_was_deleted_is_not_taken_for_one_of_the_new_pointer(promotion, dying_at):
    """Both pointers have moved twice, and decisions of both times name their champions."""
    for name in ("old", "slow", "quick", "last"):
        promotion.candidate(name)
    decide(promotion.run("old-1"), "old")
    decide(promotion.run("old-2"), "slow", rollback=True)
    decide(promotion.run("old-3"), "old", rollback=True)
    promotion.services.database[POINTERS].delete_many({})
    decide(promotion.run("new-1"), "old", rollback=True)
    run = promotion.run("slow-run")
    dying_at("decision_written")
    with pytest.raises(DependencyError):
        decide(run, "slow")
    dying_at(None)
    decide(promotion.run("new-2"), "quick", rollback=True)
    decide(promotion.run("new-3"), "last", rollback=True)
    assert former_champion(promotion.run("look")) == "quick"
    assert decide(run, "slow").champion == "last", "its first decision had no effect"


def test_a_verdict_is_kept_with_its_reasons(promotion):
    decision = decide(promotion.run("strict", thresholds=STRICT), promotion.model.version)
    assert decided_about(promotion, promotion.model.version) == [decision]
    assert promotion.models.get(promotion.model.version).status is ModelStatus.REJECTED
    (broken,) = decision.broken
    assert broken.startswith("failed: AUC is 0.")
    assert broken.endswith("; it must be at least 0.9990.")
    assert promotion.metrics(decision.metrics).version == promotion.model.version


def test_a_run_decides_once_whatever_comes_in_between(promotion):
    run = promotion.run("strict", thresholds=STRICT)
    first = decide(run, promotion.model.version)
    promotion.grow(60, seed=31)
    assert decide(run, promotion.model.version) == first
    assert decide(replace(run, thresholds=LENIENT), promotion.model.version) == first


def test_who_dies_after_losing_a_race_finds_the_second_decision_again(promotion, dying_at):
    slow, quick = promotion.candidate("slow"), promotion.candidate("quick")
    run = promotion.run("slow-run")
    found = evaluated(run, slow.version)
    verdict = check_thresholds(run, found)
    decide(promotion.run("quick-run"), quick.version)
    dying_at("decision_written", 2)
    with pytest.raises(DependencyError):
        update_status(run, found, verdict)
    promotion.grow(60, seed=32)
    dying_at(None)
    decision = update_status(run, found, verdict)
    assert (decision.action, decision.champion) == (Action.PROMOTED, "quick")
    assert promotion.models.champion().version == "slow"


@pytest.mark.parametrize("point", ["decision_written", "champion_moved", "pointer_moved"])
def test_who_dies_in_between_comes_to_the_same_end(promotion, dying_at, point):
    promotion.candidate("b")
    decide(promotion.run("first"), promotion.model.version)
    run = promotion.run("second")
    dying_at(point)
    with pytest.raises(DependencyError):
        decide(run, "b")
    dying_at(None)
    assert decide(run, "b").action is Action.PROMOTED
    assert (promotion.models.champion().version, promotion.models.champion().rev) == ("b", 2)
    assert statuses(promotion) == {promotion.model.version: ModelStatus.ARCHIVED, "b": ModelStatus.CHAMPION}


def test_statuses_are_completed_though_others_have_moved_the_pointer_on(promotion, dying_at):
    promotion.candidate("b")
    promotion.candidate("c")
    decide(promotion.run("first"), promotion.model.version)
    run = promotion.run("second")
    found = evaluated(run, "b")
    verdict = check_thresholds(run, found)
    dying_at("champion_moved")
    with pytest.raises(DependencyError):
        update_status(run, found, verdict)
    dying_at(None)
    decide(promotion.run("third"), "c")
    update_status(run, found, verdict)
    assert statuses(promotion) == {
        promotion.model.version: ModelStatus.ARCHIVED,
        "b": ModelStatus.ARCHIVED,
        "c": ModelStatus.CHAMPION,
    }


def test_a_rollback_that_was_decided_and_not_done_is_done(promotion, dying_at):
    """Its model was a champion before: its status says nothing about this decision."""
    promotion.candidate("b")
    promotion.candidate("c")
    decide(promotion.run("first"), promotion.model.version)
    decide(promotion.run("second"), "b")
    run = promotion.run("undo")
    dying_at("decision_written")
    with pytest.raises(DependencyError):
        decide(run, promotion.model.version, rollback=True)
    dying_at(None)
    decide(promotion.run("third"), "c")
    assert decide(run, promotion.model.version, rollback=True).champion == "c"
    assert promotion.models.champion().version == promotion.model.version


def test_a_former_champion_that_fails_stays_a_former_champion(promotion):
    promotion.candidate("b")
    decide(promotion.run("first"), promotion.model.version)
    decide(promotion.run("second"), "b")
    decision = decide(promotion.run("again", thresholds=STRICT), promotion.model.version)
    assert decision.action is Action.REJECTED
    assert promotion.models.get(promotion.model.version).status is ModelStatus.ARCHIVED


def test_of_two_promotions_at_once_one_wins_each_time(promotion):
    """One champion at every instant, and a history without a fork."""
    rounds, errors, samples, over = 200, [], [], threading.Event()
    names = ("left", "right")
    for name in names:
        promotion.candidate(name)
    pointer = EmbeddedDatabase(promotion.home / "documents.sqlite3")
    barrier = threading.Barrier(len(names))

    def evaluator(name: str) -> None:
        database, broker = EmbeddedDatabase(promotion.home / "documents.sqlite3"), MemoryBroker()
        broker.create_topics(TOPICS)
        try:
            for number in range(rounds):
                run = promotion.run(f"{name}-{number}")
                run = replace(run, services=replace(run.services, database=database, broker=broker))
                found = evaluated(run, name, rollback=True)
                barrier.wait(60)
                update_status(run, found, check_thresholds(run, found))
        except BaseException as error:
            errors.append(error)
            barrier.abort()
        finally:
            database.close()

    def observer() -> None:
        while not over.is_set():
            stored = list(pointer["pointers"].find({}))
            samples.append([(each["version"], each["rev"]) for each in stored])

    threads = [threading.Thread(target=evaluator, args=(name,)) for name in names]
    watch = threading.Thread(target=observer)
    watch.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    watch.join()
    pointer.close()
    assert not errors
    assert all(len(sample) <= 1 for sample in samples), "two champions at one instant"
    seen = [sample[0] for sample in samples if sample]
    revisions = [rev for _, rev in seen]
    assert revisions == sorted(revisions)
    assert len(set(seen)) == len(set(revisions)), "one move, two champions"
    assert len(samples) > rounds / 10
    champion = promotion.models.champion()
    decisions = DecisionRepository(promotion.services.database).newest_first()
    moves = {each.seen_rev: each for each in decisions if each.action is Action.ROLLED_BACK}
    assert sum(each.action is Action.ROLLED_BACK for each in decisions) == len(moves), "two moves from one"
    assert sorted(moves) == list(range(champion.rev)), "each move of the pointer was decided in writing"
    for before, after in pairwise(sorted(moves)):
        assert moves[after].champion == moves[before].version
    assert any(each.action is Action.SUPERSEDED for each in decisions), "no race: the test shows nothing"
    assert list(statuses(promotion).values()).count(ModelStatus.CHAMPION) == 1
    assert statuses(promotion)[champion.version] is ModelStatus.CHAMPION
    trail = AuditRepository(promotion.services.database).in_order()
    assert [each.number for each in trail] == list(range(1, len(trail) + 1)), "the trail is one line"
    recorded = [each.subject for each in trail if each.action == "rolled_back"]
    assert {f"decisions/{each.id}" for each in moves.values()} <= set(recorded), "each move is in the trail"
    assert len(recorded) == len(set(recorded))


def test_what_happens_to_a_model_a_second_time_is_published_on_its_own(promotion):
    def published() -> list[bytes]:
        logs = promotion.services.broker.logs.items()
        records = [record for partition, log in logs if partition.topic == COMMANDS for record in log]
        return [record.header("ce_id") for record in records]

    before = len(published())
    model, other = promotion.model.version, promotion.candidate("next").version
    decide(promotion.run("first"), model)
    decide(promotion.run("second"), other)
    decide(promotion.run("back"), model, rollback=True)
    for run in ("once", "twice"):
        decide(promotion.run(run, thresholds=STRICT), other)
    kinds = [identifier.decode().split("/")[0] for identifier in published()[before:]]
    assert kinds == ["model.promoted"] * 3 + ["model.rejected"] * 2
    assert len(set(published()[before:])) == 5


def statuses(promotion) -> dict[str, ModelStatus]:
    return {each.version: each.status for each in promotion.models.newest_first()}


def decided_about(promotion, version: str) -> list[Decision]:
    return [
        each
        for each in DecisionRepository(promotion.services.database).newest_first()
        if each.version == version
    ]

"""Scoring `processed_data`: what is stored, what goes to `scores`, and that nothing is lost or done twice."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from loan_default import failpoints
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.schema.record_batches import RecordBatchReader
from loan_default.data.schema.records import RecordError
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.experiment_documents import Mode
from loan_default.database.prediction_repository import PredictionRepository
from loan_default.database.serving_documents import Group, Prediction
from loan_default.errors import DependencyError
from loan_default.evaluation.metrics import score_points
from loan_default.kafka.consuming import Polling, follow
from loan_default.kafka.dead_letters import DeadLetterRecord, read_dead_letter
from loan_default.kafka.events import Event, EventType, event_id, read_event, to_message
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.messages import Delivery, Message, Record
from loan_default.kafka.topics import (
    PROCESSED,
    READERS,
    SCORES,
    SCORING,
    TOPICS,
    TRAINING_STORE,
    dead_letter_topic,
)
from loan_default.serving.lineup import Lineup, Trial
from loan_default.serving.stream_scoring import Scored, StreamScorer, follow_processed_data

SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="id", kind=Kind.IDENTIFIER),
        Column(name="made", kind=Kind.TIMESTAMP),
        Column(name="income", kind=Kind.NUMERICAL, minimum=0),
        Column(name="purpose", kind=Kind.CATEGORICAL, categories=("car", "house")),
        Column(name="bad", kind=Kind.TARGET, positive="yes", negative="no"),
    ),
)
QUICK = Polling(
    batch=10, poll_seconds=0.01, first_pause_seconds=0.01, longest_pause_seconds=0.02, retry_budget_seconds=5
)
MADE = datetime(2026, 11, 1, tzinfo=UTC)
CANARY = "canary-8c1f"
"""A value that no reason may hold."""


@dataclass(frozen=True)
class Ramp:
    """A model whose PD falls with the income; it cannot compute an income of 666."""

    version: str
    height: float
    schema: Schema = SCHEMA

    @property
    def digest(self) -> str:
        return f"{self.height:.2f}"[-1] * 64

    def read(self, records: Sequence[Mapping[str, Any]], /) -> list[dict[str, Any] | RecordError]:
        return RecordBatchReader(self.schema)(records)

    def score(self, canonical: Sequence[Mapping[str, Any]], /) -> NDArray[np.float64]:
        incomes = np.array([row["income"] for row in canonical])
        if (incomes == 666).any():
            raise FloatingPointError("no such number")
        return np.asarray(self.height / (1 + incomes))

    def share_below(self, pd: float, /) -> float | None:
        return None


OLD, NEW = Ramp("20261101-000000-aaaaaaaaaaaa", 0.5), Ramp("20261102-000000-bbbbbbbbbbbb", 0.25)


@dataclass
class World:
    """A broker, a store and the models that answer; `scorer` makes a scorer as a new process would."""

    broker: MemoryBroker
    predictions: PredictionRepository
    lineup: Lineup = field(default_factory=lambda: Lineup(champion=OLD))

    def scorer(self) -> StreamScorer:
        return StreamScorer(
            broker=self.broker,
            producer=self.broker.producer(),
            predictions=self.predictions,
            lineup=lambda: self.lineup,
        )

    def run(self, scorer: StreamScorer | None = None, *, polling: Polling = QUICK) -> Scored:
        """Score until nothing is left, in one member of the group."""
        scorer, stop = scorer or self.scorer(), Flag()
        with closing(self.broker.consumer(SCORING, [PROCESSED])) as consumer:
            ends = self.broker.end_offsets(PROCESSED)

            def finish() -> None:
                if not consumer.uncommitted(ends):
                    stop.set()

            follow(consumer, scorer, stop=stop, polling=polling, after_poll=finish)
        return scorer.scored

    def records(self, topic: str) -> list[Record]:
        return [record for part, log in self.broker.logs.items() if part.topic == topic for record in log]

    def scores(self) -> list[tuple[Event, dict[str, Any]]]:
        events = [read_event(record) for record in self.records(SCORES)]
        return [(event, dict(event.data)) for event in events]

    def dead(self) -> list[DeadLetterRecord]:
        return [read_dead_letter(record) for record in self.records(dead_letter_topic(PROCESSED))]

    def stored(self, events: Iterable[str]) -> dict[str, list[Prediction]]:
        return {event: self.predictions.of_event(event) for event in events}

    def check_topic_says_what_the_store_says(self, events: Iterable[str]) -> None:
        """Each event has one answer in the store, and whatever the topic holds of it is that answer."""
        wanted = set(events)
        assert {event.id for event, _ in self.scores()} == wanted
        for event, data in self.scores():
            (kept,) = self.predictions.of_event(event.id)
            assert (data["pd"], data["version"], data["digest"]) == (kept.pd, kept.version, kept.digest)
            assert data["points"] == kept.points
            assert event.time == kept.scored_at


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    database = EmbeddedDatabase(tmp_path / "documents.sqlite3")
    broker = MemoryBroker(readers=READERS)
    broker.create_topics(TOPICS)
    predictions = PredictionRepository(database)
    predictions.ensure_indexes()
    yield World(broker, predictions)
    database.close()


@pytest.fixture
def dying_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str | None], None]]:
    """Lets the next passing of a point raise, as if an answer were lost; None = none does."""

    def arrange(point: str | None) -> None:
        monkeypatch.setenv("LOAN_DEFAULT_TEST", "1")
        monkeypatch.setenv("LOAN_DEFAULT_FAILPOINTS", f"{point}=raise@1" if point else "")
        failpoints._points.cache_clear()
        failpoints._passed.clear()

    yield arrange
    monkeypatch.undo()
    failpoints._points.cache_clear()


def application(number: int, **values: object) -> Message:
    data = {"id": f"a{number}", "made": MADE.isoformat(), "income": float(number), "purpose": "car"}
    return event(f"loans-{number}", f"a{number}", EventType.PROCESSED, {**data, "bad": None, **values})


def event(name: str, subject: str, kind: str, data: Mapping[str, Any]) -> Message:
    made = Event(
        id=name, type=kind, source="processing", time=MADE, subject=subject, schema="loans/1", data=data
    )
    return to_message(made, PROCESSED)


def send(world: World, *messages: Message) -> None:
    with closing(world.broker.producer()) as producer:
        assert producer.deliver(messages).delivered == len(messages)


def names(count: int) -> list[str]:
    return [f"loans-{number}" for number in range(count)]


def test_applications_are_scored_kept_and_sent_once_each(world):
    send(world, *map(application, range(25)))
    scored = world.run()
    assert (scored.consumed, scored.scored, scored.repeated, scored.refused) == (25, 25, 0, 0)
    for number, name in enumerate(names(25)):
        (kept,) = world.stored([name])[name]
        assert kept.pd == pytest.approx(0.5 / (1 + number), abs=1e-12)
        assert kept.points == pytest.approx(score_points(np.array([kept.pd]))[0], abs=0.005)
        assert (kept.application, kept.version, kept.door, kept.group) == (
            f"a{number}",
            OLD.version,
            "stream",
            Group.CHAMPION,
        )
    world.check_topic_says_what_the_store_says(names(25))
    assert len(world.scores()) == 25


def test_an_event_on_the_topic_of_scores_is_keyed_by_the_application(world):
    send(world, application(3))
    world.run()
    (record,) = world.records(SCORES)
    assert record.key == b"a3"
    read = read_event(record)
    assert (read.id, read.type, read.source, read.subject) == (
        "loans-3",
        "application.scored",
        "scoring",
        "a3",
    )
    assert set(read.data) == {"pd", "points", "version", "digest", "group", "experiment"}
    assert json.loads(record.value or b"")["group"] == "champion"


def test_outcomes_are_not_scored(world):
    send(world, application(1), event("outcome-1", "a1", EventType.OUTCOME, {"label": 1.0}))
    scored = world.run()
    assert (scored.scored, scored.outcomes, scored.refused) == (1, 1, 0)
    assert [each.id for each, _ in world.scores()] == ["loans-1"]
    assert world.dead() == []


def test_a_known_outcome_in_the_record_changes_nothing(world):
    send(world, application(4), application(5, income=4.0, bad=1.0))
    world.run()
    (first,), (second,) = world.stored(["loans-4", "loans-5"]).values()
    assert first.pd == second.pd


def test_an_application_that_comes_again_gets_a_new_prediction(world):
    again = application(9)._replace(key=b"a2")
    headers = tuple((name, b"a2" if name == "ce_subject" else value) for name, value in again.headers)
    send(world, application(2), again._replace(headers=headers))
    world.run()
    kept = world.predictions.of_application("a2")
    assert {each.event for each in kept} == {"loans-2", "loans-9"}
    assert [each["pd"] for _, each in world.scores()] == [pytest.approx(0.5 / 3), pytest.approx(0.05)]


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        (application(7, purpose=CANARY), "purpose: must be one of car, house"),
        (application(7, income=-1.5), "income: must be at least 0"),
        (application(7, surprise=CANARY), "fields must be columns of the schema"),
        (application(7, made=CANARY), "made: must be a date or time in ISO 8601"),
        (event("loans-7", "a7", "application.lost", {}), "the header ce_type must be"),
        (application(7)._replace(value=b"{"), "the value must be JSON"),
        (application(7, income=666), "FloatingPointError"),
    ],
)
def test_what_no_model_can_score_is_a_dead_letter_record_and_its_neighbours_are_scored(world, bad, rule):
    send(world, *map(application, range(6)), bad, application(8))
    scored = world.run()
    assert (scored.consumed, scored.scored, scored.refused) == (8, 7, 1)
    (dead,) = world.dead()
    assert rule in dead.reason
    assert CANARY not in dead.reason
    assert (dead.event, dead.partition.topic) == ("loans-7", PROCESSED)
    assert (dead.original.value, dead.original.key) == (bad.value, bad.key)
    assert world.predictions.of_event("loans-7") == []
    world.check_topic_says_what_the_store_says([*names(6), "loans-8"])


def test_an_event_that_stands_twice_in_a_batch_is_one_prediction(world):
    send(world, application(1), application(1), application(7, income=-1), application(7, income=-1))
    scored = world.run()
    assert (scored.consumed, scored.scored, scored.repeated, scored.refused) == (4, 1, 1, 2)
    world.check_topic_says_what_the_store_says(["loans-1"])
    assert [each.event for each in world.dead()] == ["loans-7", "loans-7"]


@pytest.mark.parametrize("point", ["answers_stored", "scores_sent"])
def test_who_dies_before_the_commit_leaves_one_prediction_of_each_event(world, dying_at, point):
    """F4, F5: the records come again to another process, which may have another model by then."""
    send(world, *map(application, range(30)))
    dying_at(point)
    with pytest.raises(DependencyError, match="failpoint"):
        world.run(polling=Polling(batch=10, poll_seconds=0.01, retry_budget_seconds=0))
    assert all(not done for done in world.broker.committed(SCORING, PROCESSED).values())
    dying_at(None)
    world.lineup = Lineup(champion=NEW)
    scored = world.run()
    assert scored.repeated == 10, "the first batch was stored before"
    world.check_topic_says_what_the_store_says(names(30))
    versions = Counter(kept.version for name in names(30) for kept in world.predictions.of_event(name))
    assert versions == {OLD.version: 10, NEW.version: 20}


def test_a_topic_that_is_read_again_from_the_start_changes_nothing_in_the_store(world):
    """F7."""
    send(world, *map(application, range(30)))
    world.run()
    before = world.stored(names(30))
    world.broker.groups.clear()
    world.lineup = Lineup(champion=NEW)
    assert world.run().repeated == 30
    assert world.stored(names(30)) == before
    world.check_topic_says_what_the_store_says(names(30))


def test_an_event_that_was_sent_twice_around_a_swap_has_one_answer(world):
    scorer = world.scorer()
    send(world, application(0))
    world.run(scorer)
    world.lineup = Lineup(champion=NEW)
    send(world, application(0), application(1))
    world.run(scorer)
    world.check_topic_says_what_the_store_says(names(2))
    assert [each.version for each in world.predictions.of_event("loans-0")] == [OLD.version]


def test_an_event_that_comes_again_in_an_experiment_keeps_the_answer_of_the_champion(world):
    scorer = world.scorer()
    send(world, *map(application, range(20)))
    world.run(scorer)
    world.lineup = Lineup(champion=OLD, trial=Trial(id="trial-1", mode=Mode.SHARE, share=1.0, challenger=NEW))
    send(world, *map(application, range(21)))
    world.run(scorer)
    world.check_topic_says_what_the_store_says(names(21))
    versions = [kept.version for name in names(21) for kept in world.predictions.of_event(name)]
    assert versions == [OLD.version] * 20 + [NEW.version]


def test_a_shadow_is_not_taken_for_the_answer_once_its_model_is_the_champion(world):
    """Another process: it knows no version that has answered before."""
    world.lineup = Lineup(
        champion=OLD, trial=Trial(id="trial-2", mode=Mode.SHADOW, share=1.0, challenger=NEW)
    )
    send(world, application(1), application(2))
    world.run()
    scorer = world.scorer()
    world.lineup = Lineup(champion=NEW)
    send(world, application(0))
    world.run(scorer)
    world.predictions._documents.delete_many({"_id": f"loans-2/{OLD.version}"})
    send(world, application(1), application(2))
    world.run(scorer)
    answers = {event.id: (data["version"], data["group"]) for event, data in world.scores()}
    assert answers["loans-1"] == (OLD.version, "champion")
    assert answers["loans-2"] == (NEW.version, "champion")
    (kept,) = world.predictions.of_event("loans-2")
    assert (kept.version, kept.group, kept.experiment) == (NEW.version, Group.CHAMPION, None)


def test_only_what_came_before_the_takeover_is_looked_up(world, monkeypatch):
    looked_up = []
    answers_to = world.predictions.answers_to
    monkeypatch.setattr(
        world.predictions, "answers_to", lambda events: looked_up.extend(events) or answers_to(events)
    )
    scorer = world.scorer()
    send(world, *map(application, range(40)))
    world.run(scorer)
    assert sorted(looked_up) == sorted(names(40))
    send(world, *map(application, range(40, 80)))
    assert world.run(scorer).scored == 80
    assert len(looked_up) == 40
    world.check_topic_says_what_the_store_says(names(80))


def test_a_partition_that_comes_back_has_the_answers_of_who_had_it_meanwhile(world):
    ours, other = world.scorer(), world.scorer()
    send(world, application(0))
    world.run(ours)
    send(world, *map(application, range(1, 20)))
    world.lineup = Lineup(champion=NEW)
    other([record for record in world.records(PROCESSED) if event_id(record) not in names(1)])
    world.lineup = Lineup(champion=OLD)
    ours.keep(frozenset())
    world.run(ours)
    world.check_topic_says_what_the_store_says(names(20))


class LosingAnswers:
    """Does what it is asked, and then fails the first time, as if the answer were lost."""

    def __init__(self, inner: Any, method: str) -> None:
        self._inner, self._method, self.lost = inner, method, 0

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._inner, name)
        if name != self._method:
            return inner

        def call(*arguments: Any, **named: Any) -> Any:
            done = inner(*arguments, **named)
            if not self.lost:
                self.lost += 1
                raise DependencyError("the answer must come, however: it is lost")
            return done

        return call


@pytest.mark.parametrize("who", ["store", "broker"])
def test_an_answer_that_is_lost_after_the_write_has_no_second_effect(world, who):
    """F8: the same batch is tried again in the group."""
    send(world, *map(application, range(10)))
    losing = LosingAnswers(world.predictions, "add_new") if who == "store" else None
    producer = world.broker.producer() if losing else LosingAnswers(world.broker.producer(), "deliver")
    scorer = StreamScorer(
        broker=world.broker,
        producer=producer,
        predictions=losing or world.predictions,
        lineup=lambda: world.lineup,
    )
    world.run(scorer)
    assert (losing or producer).lost == 1
    world.check_topic_says_what_the_store_says(names(10))


class Away:
    """A store that is away for some calls."""

    def __init__(self, inner: PredictionRepository, calls: int) -> None:
        self._inner, self.left = inner, calls

    def __getattr__(self, name: str) -> Any:
        if self.left:
            self.left -= 1
            raise DependencyError("the store must answer, however: it is away")
        return getattr(self._inner, name)


@pytest.mark.slow
def test_while_the_store_is_away_nothing_is_sent_or_committed(world):
    send(world, *map(application, range(10)))
    away = Away(world.predictions, 8)
    seen = []

    def lineup() -> Lineup:
        seen.append((len(world.records(SCORES)), any(world.broker.committed(SCORING, PROCESSED).values())))
        return world.lineup

    scorer = StreamScorer(
        broker=world.broker, producer=world.broker.producer(), predictions=away, lineup=lineup
    )
    world.run(scorer)
    assert len(seen) > 8
    assert set(seen) == {(0, False)}
    world.check_topic_says_what_the_store_says(names(10))


class Refusing:
    """A producer that takes no score, as if the broker's limit were very low."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def deliver(self, messages: Iterable[Message], /) -> Delivery:
        return self._inner.deliver(message._replace(value=b"x" * 2_000_000) for message in messages)

    def close(self) -> None: ...


def test_a_score_that_the_topic_does_not_take_is_no_loss_in_silence(world):
    send(world, application(1))
    scorer = StreamScorer(
        broker=world.broker,
        producer=Refusing(world.broker.producer()),
        predictions=world.predictions,
        lineup=lambda: world.lineup,
    )
    with pytest.raises(ValueError, match="must fit into the topic"):
        world.run(scorer)
    assert not any(world.broker.committed(SCORING, PROCESSED).values())


def test_another_model_takes_over_between_two_batches_only(world):
    send(world, *map(application, range(40)))
    calls = []

    def lineup() -> Lineup:
        calls.append(None)
        return Lineup(champion=OLD if len(calls) % 2 else NEW)

    scorer = StreamScorer(
        broker=world.broker, producer=world.broker.producer(), predictions=world.predictions, lineup=lineup
    )
    world.run(scorer)
    assert len(calls) >= 4
    for name in names(40):
        (kept,) = world.predictions.of_event(name)
        height = {OLD.version: OLD.height, NEW.version: NEW.height}[kept.version]
        number = int(name.removeprefix("loans-"))
        assert kept.pd == pytest.approx(height / (1 + number), abs=1e-12)
    world.check_topic_says_what_the_store_says(names(40))


def test_an_experiment_answers_by_the_challenger_for_its_share(world):
    world.lineup = Lineup(champion=OLD, trial=Trial(id="trial-1", mode=Mode.SHARE, share=0.5, challenger=NEW))
    send(world, *map(application, range(60)))
    world.run()
    groups = Counter(data["group"] for _, data in world.scores())
    assert 15 < groups["challenger"] < 45
    world.check_topic_says_what_the_store_says(names(60))
    for _, data in world.scores():
        assert data["experiment"] == "trial-1"
        assert data["version"] == {"champion": OLD, "challenger": NEW}[data["group"]].version


def test_shadow_predictions_are_kept_and_never_sent(world):
    world.lineup = Lineup(
        champion=OLD, trial=Trial(id="trial-2", mode=Mode.SHADOW, share=1.0, challenger=NEW)
    )
    send(world, *map(application, range(12)))
    scored = world.run()
    assert (scored.scored, scored.shadowed) == (12, 12)
    assert {data["version"] for _, data in world.scores()} == {OLD.version}
    for name in names(12):
        kept = {each.group: each.version for each in world.predictions.of_event(name)}
        assert kept == {Group.CHAMPION: OLD.version, Group.SHADOW: NEW.version}


@dataclass(frozen=True)
class Broken(Ramp):
    """A model that cannot score anything."""

    def score(self, canonical: Sequence[Mapping[str, Any]], /) -> NDArray[np.float64]:
        raise FloatingPointError("never")


def test_a_shadow_that_fails_holds_up_no_answer(world):
    trial = Trial(id="trial-3", mode=Mode.SHADOW, share=1.0, challenger=Broken("broken", 0.1))
    world.lineup = Lineup(champion=OLD, trial=trial)
    send(world, *map(application, range(5)))
    scored = world.run()
    assert (scored.scored, scored.shadowed) == (5, 0)
    world.check_topic_says_what_the_store_says(names(5))


def test_a_broker_in_memory_keeps_no_records_for_a_group_that_never_comes(world):
    """Without Kafka nobody scores the stream: what the training store has committed may go."""
    send(world, *map(application, range(50)))
    consumer = world.broker.consumer(TRAINING_STORE, [PROCESSED])
    consumer.poll(max_records=100, timeout_seconds=0)
    assert consumer.commit(consumer.positions())
    assert world.records(PROCESSED) == []
    consumer.close()


def test_a_broker_in_memory_drops_nothing_that_a_scorer_in_this_process_has_yet_to_read(world):
    scoring = world.broker.consumer(SCORING, [PROCESSED])
    send(world, *map(application, range(50)))
    consumer = world.broker.consumer(TRAINING_STORE, [PROCESSED])
    consumer.poll(max_records=100, timeout_seconds=0)
    assert consumer.commit(consumer.positions())
    assert len(scoring.poll(max_records=100, timeout_seconds=0)) == 50
    consumer.close()
    scoring.close()


@pytest.mark.slow
def test_following_scores_what_comes_until_it_is_stopped(world):
    stop, beats = Flag(), []
    done: list[Scored] = []

    def work() -> None:
        done.append(
            follow_processed_data(
                broker=world.broker,
                predictions=world.predictions,
                lineup=lambda: world.lineup,
                polling=QUICK,
                stop=stop,
                alive=lambda: beats.append(None),
            )
        )

    thread = Thread(target=work)
    thread.start()
    try:
        for number in range(3):
            send(world, application(number))
            _wait_until(lambda wanted=number + 1: len(world.records(SCORES)) == wanted)
    finally:
        stop.set()
        thread.join(20)
    assert done[0].scored == 3
    assert len(beats) >= 3
    assert done[0].oldest_seconds > 0
    assert sum(done or 0 for done in world.broker.committed(SCORING, PROCESSED).values()) == 3


def _wait_until(true: Callable[[], bool]) -> None:
    waited = Flag()
    for _ in range(1_000):
        if true():
            return
        waited.wait(0.02)
    raise AssertionError("it must come true within 20 s")


def test_the_topics_must_be_there(world):
    with pytest.raises(DependencyError, match="scores"):
        StreamScorer(
            broker=MemoryBroker(),
            producer=world.broker.producer(),
            predictions=world.predictions,
            lineup=lambda: world.lineup,
        )


def test_the_id_of_a_score_is_that_of_the_event_that_asked(world):
    send(world, *map(application, range(5)))
    world.run()
    assert {event_id(record) for record in world.records(SCORES)} == set(names(5))

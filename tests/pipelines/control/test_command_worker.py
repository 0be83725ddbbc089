"""Commands that come twice, late, out of order, broken: the effects are those of the distinct valid ones."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pipelines.listener import handle_commands

from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.data.schema.language import load_schema
from loan_default.database.control_documents import CommandOutcome
from loan_default.database.control_repositories import CommandRepository
from loan_default.errors import DataError, DependencyError
from loan_default.kafka.consuming import Pace, look
from loan_default.kafka.control_events import Command, CommandType, FactType, fact, request
from loan_default.kafka.dead_letters import DeadLetter, read_dead_letter
from loan_default.kafka.messages import Message
from loan_default.kafka.topics import COMMANDS, dead_letter_topic
from loan_default.pipelines.control.command_worker import Handled
from loan_default.pipelines.services import Flow

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@dataclass
class Diary:
    """An actor that writes down what it was asked for; as an Airflow does, it starts no run twice."""

    runs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    ingestion: list[bool] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None

    def start_run(self, pipeline: CommandType, *, command: str, parameters: Mapping[str, Any]) -> None:
        self.before()
        if parameters.get("epochs") == 0:
            raise DataError("epochs must be at least 1, however: 0")
        self.asked.append(command)
        self.runs.setdefault(command, parameters)
        self.after()

    def switch_ingestion(self, *, on: bool) -> None:
        self.ingestion.append(on)


@pytest.fixture
def flow(new_flow) -> Flow:
    return new_flow(load_schema(BUNDLED_SCHEMA), Pace(poll_seconds=0.01, patience_seconds=0.5))


def command(name: str, kind: CommandType = CommandType.TRAIN, *, minutes: int = 0, **data: Any) -> Command:
    return Command(id=name, type=kind, source="risk", time=NOON + timedelta(minutes=minutes), data=data)


def send(flow: Flow, *messages: Message | Command) -> None:
    producer = flow.broker.producer()
    producer.deliver(request(each) if isinstance(each, Command) else each for each in messages)
    producer.close()


def letters(flow: Flow) -> list[DeadLetter]:
    topic = dead_letter_topic(COMMANDS)
    consumer = flow.broker.consumer("look", [topic])
    found = [read_dead_letter(record) for record in look(consumer, ends=flow.broker.end_offsets(topic))]
    consumer.close()
    return found


def test_a_command_acts_once_however_often_it_is_sent(flow):
    diary = Diary()
    send(flow, *[command("train-1", preset="fast")] * 3, command("train-2"))
    handled = handle_commands(flow, diary)
    assert diary.asked == ["train-1", "train-2"]
    assert diary.runs["train-1"] == {"preset": "fast"}
    assert (handled.consumed, handled.done, handled.duplicates) == (4, 2, 2)
    send(flow, command("train-1", preset="best"))
    assert handle_commands(flow, diary) == Handled(consumed=1, duplicates=1)
    assert diary.asked == ["train-1", "train-2"]


def test_the_youngest_switch_counts_in_whatever_order_they_come(flow):
    diary = Diary()
    send(
        flow,
        command("pause", CommandType.PAUSE, minutes=1),
        command("resume", CommandType.RESUME, minutes=5),
        command("late", CommandType.PAUSE, minutes=3),
    )
    handled = handle_commands(flow, diary)
    assert diary.ingestion == [False, True]
    assert handled.superseded == 1
    assert CommandRepository(flow.database).get("late").outcome is CommandOutcome.SUPERSEDED


def test_junk_is_a_dead_letter_and_holds_up_nobody(flow):
    diary = Diary()
    junk = [
        Message(topic=COMMANDS, key=b"junk", value=value)
        for value in (
            b"retrain",
            None,
            b"[]",
            b"\xff",
            b'{"specversion":"1.0","id":"x","type":"drop.tables"}',
        )
    ]
    send(flow, *junk, command("sound"), fact(FactType.TRAINED, version="v1", figures={}))
    handled = handle_commands(flow, diary)
    assert diary.asked == ["sound"]
    assert (handled.refused, handled.facts, handled.done) == (5, 1, 1)
    assert len(letters(flow)) == 5
    assert all(letter.partition.topic == COMMANDS and letter.reason for letter in letters(flow))


def test_a_letter_that_is_too_large_is_kept_without_its_content(flow, monkeypatch):
    send(flow, Message(topic=COMMANDS, key=b"junk", value=b"x" * 1_000))
    monkeypatch.setattr("loan_default.kafka.memory.MAX_BYTES", 500)
    assert handle_commands(flow, Diary()).refused == 1
    (letter,) = letters(flow)
    assert (letter.complete, letter.event.partition("-")[0]) == (False, COMMANDS)


def test_what_cannot_be_done_says_why(flow):
    send(flow, command("zero", epochs=0))
    assert handle_commands(flow, Diary()).refused == 1
    (letter,) = letters(flow)
    assert (letter.event, letter.reason) == ("zero", "epochs must be at least 1, however: 0")
    assert CommandRepository(flow.database).get("zero").reason == letter.reason


def test_while_the_actor_is_away_nothing_is_committed(flow):
    def away() -> None:
        raise DependencyError("Airflow must answer, however: it does not")

    send(flow, command("train-1"))
    with pytest.raises(DependencyError, match="Airflow must answer"):
        handle_commands(flow, Diary(before=away))
    diary = Diary()
    assert handle_commands(flow, diary).done == 1
    assert diary.asked == ["train-1"]


def test_a_record_counts_once_however_often_its_batch_is_tried(flow):
    away = iter([False, True, False])

    def sometimes() -> None:
        if next(away, False):
            raise DependencyError("Airflow must answer, however: it does not")

    diary = Diary(before=sometimes)
    send(flow, command("train-1"), command("train-2"), command("train-1"))
    assert handle_commands(flow, diary) == Handled(consumed=3, done=2, duplicates=1)
    assert diary.asked == ["train-1", "train-2"]


def test_a_refused_command_that_is_sent_again_has_no_second_letter(flow):
    send(flow, command("zero", epochs=0), command("zero", epochs=0))
    assert handle_commands(flow, Diary()) == Handled(consumed=2, refused=1, duplicates=1)
    assert [letter.event for letter in letters(flow)] == ["zero"]


def test_a_refused_command_whose_letter_was_not_sent_has_it_from_the_next_try(flow, monkeypatch):
    send(flow, command("zero", epochs=0))
    with monkeypatch.context() as patch:
        patch.setattr(type(flow.broker.producer()), "deliver", broker_away)
        with pytest.raises(DependencyError):
            handle_commands(flow, Diary())
    assert letters(flow) == []
    assert handle_commands(flow, Diary()).duplicates == 1
    assert [letter.event for letter in letters(flow)] == ["zero"]


def broker_away(self, messages):
    raise DependencyError("the broker must answer")


def test_a_switch_of_tomorrow_is_refused_and_those_of_today_count(flow):
    diary, now = Diary(), datetime.now(UTC)
    tomorrow = command("tomorrow", CommandType.PAUSE)._replace(time=now + timedelta(days=1))
    clock_ahead = command("ahead", CommandType.PAUSE)._replace(time=now + timedelta(minutes=1))
    send(flow, tomorrow, command("resume", CommandType.RESUME), clock_ahead)
    assert handle_commands(flow, diary) == Handled(consumed=3, done=2, refused=1)
    assert diary.ingestion == [True, False]
    (letter,) = letters(flow)
    assert letter.reason.startswith("a switch must have been made before now, however: ")


def test_who_dies_after_acting_asks_again_and_changes_nothing(flow):
    class Died(Exception):
        pass

    def die() -> None:
        raise Died

    diary = Diary(after=die)
    send(flow, command("train-1"))
    with pytest.raises(Died):
        handle_commands(flow, diary)
    diary.after = lambda: None
    assert handle_commands(flow, diary).done == 1
    assert diary.asked == ["train-1", "train-1"]
    assert list(diary.runs) == ["train-1"]

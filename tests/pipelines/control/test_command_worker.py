"""Commands that come twice, late, out of order, broken: the effects are those of the distinct valid ones."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event as Flag
from typing import Any

import pytest
from pipelines.listener import handle_commands

from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.data.schema.schema_files import load_schema
from loan_default.database.control_documents import CommandStatus
from loan_default.database.control_repositories import CommandRepository
from loan_default.errors import DataError, DependencyError
from loan_default.kafka.consuming import Polling, look
from loan_default.kafka.control_events import Command, CommandType, FactType, fact, request
from loan_default.kafka.dead_letters import DeadLetterRecord, read_dead_letter
from loan_default.kafka.messages import Message
from loan_default.kafka.topics import COMMANDS, dead_letter_topic
from loan_default.pipelines.control.command_worker import Handled, follow_commands
from loan_default.pipelines.services import Services

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
def services(new_services) -> Services:
    return new_services(load_schema(BUNDLED_SCHEMA), Polling(poll_seconds=0.01, retry_budget_seconds=0.5))


def command(name: str, kind: CommandType = CommandType.TRAIN, *, minutes: int = 0, **data: Any) -> Command:
    return Command(id=name, type=kind, source="risk", time=NOON + timedelta(minutes=minutes), data=data)


def send(services: Services, *messages: Message | Command) -> None:
    producer = services.broker.producer()
    producer.deliver(request(each) if isinstance(each, Command) else each for each in messages)
    producer.close()


def dead_letters(services: Services) -> list[DeadLetterRecord]:
    topic = dead_letter_topic(COMMANDS)
    consumer = services.broker.consumer("look", [topic])
    found = [read_dead_letter(record) for record in look(consumer, ends=services.broker.end_offsets(topic))]
    consumer.close()
    return found


def test_a_command_acts_once_however_often_it_is_sent(services):
    diary = Diary()
    send(services, *[command("train-1", preset="fast")] * 3, command("train-2"))
    handled = handle_commands(services, diary)
    assert diary.asked == ["train-1", "train-2"]
    assert diary.runs["train-1"] == {"preset": "fast"}
    assert (handled.consumed, handled.done, handled.duplicates) == (4, 2, 2)
    send(services, command("train-1", preset="default"))
    assert handle_commands(services, diary) == Handled(consumed=1, duplicates=1)
    assert diary.asked == ["train-1", "train-2"]


def test_the_youngest_switch_counts_in_whatever_order_they_come(services):
    diary = Diary()
    send(
        services,
        command("pause", CommandType.PAUSE, minutes=1),
        command("resume", CommandType.RESUME, minutes=5),
        command("late", CommandType.PAUSE, minutes=3),
    )
    handled = handle_commands(services, diary)
    assert diary.ingestion == [False, True]
    assert handled.superseded == 1
    assert CommandRepository(services.database).get("late").outcome is CommandStatus.SUPERSEDED


def test_junk_is_a_dead_letter_and_holds_up_nobody(services):
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
    send(services, *junk, command("sound"), fact(FactType.TRAINED, version="v1", metrics={}))
    handled = handle_commands(services, diary)
    assert diary.asked == ["sound"]
    assert (handled.refused, handled.facts, handled.done) == (5, 1, 1)
    assert len(dead_letters(services)) == 5
    assert all(
        dead_letter.partition.topic == COMMANDS and dead_letter.reason
        for dead_letter in dead_letters(services)
    )


def test_a_dead_letter_record_that_is_too_large_is_kept_without_its_content(services, monkeypatch):
    send(services, Message(topic=COMMANDS, key=b"junk", value=b"x" * 1_000))
    monkeypatch.setattr("loan_default.kafka.memory.MAX_BYTES", 500)
    assert handle_commands(services, Diary()).refused == 1
    (dead_letter,) = dead_letters(services)
    assert (dead_letter.complete, dead_letter.event.partition("-")[0]) == (False, COMMANDS)


def test_what_cannot_be_done_says_why(services):
    send(services, command("zero", epochs=0))
    assert handle_commands(services, Diary()).refused == 1
    (dead_letter,) = dead_letters(services)
    assert (dead_letter.event, dead_letter.reason) == ("zero", "epochs must be at least 1, however: 0")
    assert CommandRepository(services.database).get("zero").reason == dead_letter.reason


@pytest.mark.slow
def test_while_the_actor_is_away_nothing_is_committed(services):
    def away() -> None:
        raise DependencyError("Airflow must answer, however: it does not")

    send(services, command("train-1"))
    with pytest.raises(DependencyError, match="Airflow must answer"):
        handle_commands(services, Diary(before=away))
    diary = Diary()
    assert handle_commands(services, diary).done == 1
    assert diary.asked == ["train-1"]


@pytest.mark.slow
def test_a_record_counts_once_however_often_its_batch_is_tried(services):
    away = iter([False, True, False])

    def sometimes() -> None:
        if next(away, False):
            raise DependencyError("Airflow must answer, however: it does not")

    diary = Diary(before=sometimes)
    send(services, command("train-1"), command("train-2"), command("train-1"))
    assert handle_commands(services, diary) == Handled(consumed=3, done=2, duplicates=1)
    assert diary.asked == ["train-1", "train-2"]


def test_a_refused_command_that_is_sent_again_has_no_second_dead_letter_record(services):
    send(services, command("zero", epochs=0), command("zero", epochs=0))
    assert handle_commands(services, Diary()) == Handled(consumed=2, refused=1, duplicates=1)
    assert [dead_letter.event for dead_letter in dead_letters(services)] == ["zero"]


@pytest.mark.slow
def test_a_refused_command_whose_dead_letter_record_was_not_sent_has_it_from_the_next_try(
    services, monkeypatch
):
    send(services, command("zero", epochs=0))
    with monkeypatch.context() as patch:
        patch.setattr(type(services.broker.producer()), "deliver", broker_away)
        with pytest.raises(DependencyError):
            handle_commands(services, Diary())
    assert dead_letters(services) == []
    assert handle_commands(services, Diary()).duplicates == 1
    assert [dead_letter.event for dead_letter in dead_letters(services)] == ["zero"]


def broker_away(self, messages):
    raise DependencyError("the broker must answer")


def test_a_switch_of_tomorrow_is_refused_and_those_of_today_count(services):
    diary, now = Diary(), datetime.now(UTC)
    tomorrow = command("tomorrow", CommandType.PAUSE)._replace(time=now + timedelta(days=1))
    clock_ahead = command("ahead", CommandType.PAUSE)._replace(time=now + timedelta(minutes=1))
    send(services, tomorrow, command("resume", CommandType.RESUME), clock_ahead)
    assert handle_commands(services, diary) == Handled(consumed=3, done=2, refused=1)
    assert diary.ingestion == [True, False]
    (dead_letter,) = dead_letters(services)
    assert dead_letter.reason.startswith("a switch must have been made before now, however: ")


def test_who_dies_after_acting_asks_again_and_changes_nothing(services):
    class Died(Exception):
        pass

    def die() -> None:
        raise Died

    diary = Diary(after=die)
    send(services, command("train-1"))
    with pytest.raises(Died):
        handle_commands(services, diary)
    diary.after = lambda: None
    assert handle_commands(services, diary).done == 1
    assert diary.asked == ["train-1", "train-1"]
    assert list(diary.runs) == ["train-1"]


def test_commands_are_followed_until_one_asks_to_stop(services):
    stop = Flag()
    diary = Diary(after=stop.set)
    send(services, command("train-1", preset="fast"), fact(FactType.TRAINED, version="m-1", metrics={}))
    assert follow_commands(services, diary, stop=stop) == Handled(consumed=2, done=1, facts=1)
    assert diary.runs == {"train-1": {"preset": "fast"}}
    send(services, command("train-2"))
    stop.clear()
    assert follow_commands(services, diary, stop=stop).consumed == 1, "what was handled is committed"
    assert diary.asked == ["train-1", "train-2"]


@pytest.mark.slow
def test_who_follows_leaves_the_group_when_the_actor_stays_away(services):
    def away() -> None:
        raise DependencyError("the scheduler must answer")

    send(services, command("train-1"))
    with pytest.raises(DependencyError, match="the scheduler must answer"):
        follow_commands(services, Diary(after=away), stop=Flag())
    diary = Diary()
    assert handle_commands(services, diary).done == 1
    assert diary.asked == ["train-1"]

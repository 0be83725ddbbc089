"""Dead-letter records that wait, their replay, and that each application is in the list once."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.errors import DataError
from loan_default.kafka.consuming import Polling
from loan_default.kafka.dead_letters import dead_letter_message, unsent_dead_letter_message
from loan_default.kafka.events import Event, EventType, to_message
from loan_default.kafka.messages import Message, Partition, Record
from loan_default.kafka.topics import PROCESSED, RAW, dead_letter_topic
from loan_default.pipelines.ingestion.dead_letter_replay import (
    dead_letters_of,
    find_dead_letters,
    replay,
    waiting_dead_letters,
)
from loan_default.pipelines.ingestion.ingestion_steps import process_raw_data, send_processed_data
from loan_default.pipelines.services import Services

SCHEMA = Schema(name="s", columns=(Column(name="income", kind=Kind.NUMERICAL, minimum=0),))
MENDED = Schema(name="s", columns=(Column(name="income", kind=Kind.NUMERICAL, minimum=-10),))


@pytest.fixture
def services(new_services) -> Services:
    services = new_services(SCHEMA, Polling(poll_seconds=0.05, retry_budget_seconds=1))
    services.broker.producer().deliver([event("fine", 5), event("low", -5), event("lower", -50)])
    process_raw_data(services)
    return services


def event(name: str, income: float) -> Message:
    return to_message(
        Event(
            id=name,
            type=EventType.RECEIVED,
            source="t",
            time=datetime.now(UTC),
            subject=name,
            schema="",
            data={"income": income},
        ),
        RAW,
    )


def waiting(services: Services) -> list[str]:
    return [dead_letter.event for dead_letter in waiting_dead_letters(services)]


def test_rejected_events_wait_with_their_reason(services):
    assert sorted(waiting(services)) == ["low", "lower"]
    (dead_letter,) = find_dead_letters(waiting_dead_letters(services), ["low"])
    assert dead_letter.reason == "income: must be at least 0"
    assert dead_letter.original.value == b'{"income":-5}'
    with pytest.raises(DataError, match=r"none does for 'lowe'\. Did you mean"):
        find_dead_letters(waiting_dead_letters(services), ["lowe"])


def test_after_a_mend_a_replay_is_accepted_and_nothing_waits_for_it(services):
    mended = replace(services, schema=MENDED)
    assert replay(mended, ["low"]).sent == 1
    assert process_raw_data(mended).accepted == 1
    assert waiting(mended) == ["lower"]
    assert send_processed_data(mended) == 2
    with pytest.raises(DataError, match="none does for 'low'"):
        replay(mended, ["low"])


def test_a_replay_that_fails_again_waits_once(services):
    for number in (1, 2):
        assert replay(services, None).sent == 2
        process_raw_data(services)
        assert sorted(waiting(services)) == sorted([f"low~{number}", f"lower~{number}"])


def test_a_replay_that_is_sent_twice_is_one(services):
    mended = replace(services, schema=MENDED)
    assert replay(mended, ["low"]).sent == replay(mended, ["low"]).sent == 1
    processed = process_raw_data(mended)
    assert (processed.accepted, processed.duplicates) == (1, 1)


def test_what_was_too_large_to_keep_is_named(services):
    dead_letter = unsent_dead_letter_message(
        event("big", 1), reason="over the size limit", now=datetime.now(UTC)
    )
    services.broker.producer().deliver([dead_letter])
    replayed = replay(services, ["big", "low", "low"])
    assert (replayed.sent, replayed.too_large) == (1, ("big",))


def test_junk_in_the_topic_does_not_hide_the_dead_letter_records(services):
    services.broker.producer().deliver([Message(topic=dead_letter_topic(RAW), key=b"k", value=b"junk")])
    assert sorted(waiting(services)) == ["low", "lower"]


def test_records_that_died_at_once_are_listed_as_they_stood(services):
    """By their ids, row 10 would come before row 2."""
    now = datetime(2026, 11, 1, tzinfo=UTC)
    messages = []
    for number in (11, *range(11)):
        record = Record(
            Partition(RAW, 0), number, key=b"k", value=b"{}", headers=(("ce_id", f"row-{number}".encode()),)
        )
        messages.append(dead_letter_message(record, reason="income: must be at least 0", now=now))
    services.broker.producer().deliver(messages)
    assert [event for event in waiting(services) if event.startswith("row")] == [
        f"row-{number}" for number in range(12)
    ]


def test_those_of_another_topic_are_kept_apart(services):
    record = Record(Partition(PROCESSED, 0), 7, key=b"k", value=b"{", headers=(("ce_id", b"cut"),))
    message = dead_letter_message(record, reason="the value must be JSON", now=datetime.now(UTC))
    services.broker.producer().deliver([message, message])
    (dead_letter,) = dead_letters_of(services, PROCESSED)
    assert (dead_letter.event, dead_letter.partition.topic, dead_letter.offset) == ("cut", PROCESSED, 7)
    assert "cut" not in waiting(services)

"""Dead letters that wait, their replay, and that each application is in the list once."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from loan_default.data.schema.language import Column, Kind, Schema
from loan_default.errors import DataError
from loan_default.kafka.consuming import Pace
from loan_default.kafka.dead_letters import unsent_letter
from loan_default.kafka.events import Event, EventType, to_message
from loan_default.kafka.messages import Message
from loan_default.kafka.topics import RAW
from loan_default.pipelines.ingestion.dead_letter_replay import TOPIC, find_letter, replay, waiting_letters
from loan_default.pipelines.ingestion.ingestion_steps import process_raw_data, send_processed_data
from loan_default.pipelines.services import Flow

SCHEMA = Schema(name="s", columns=(Column(name="income", kind=Kind.NUMERICAL, minimum=0),))
MENDED = Schema(name="s", columns=(Column(name="income", kind=Kind.NUMERICAL, minimum=-10),))


@pytest.fixture
def flow(new_flow) -> Flow:
    flow = new_flow(SCHEMA, Pace(poll_seconds=0.05, patience_seconds=1))
    flow.broker.producer().deliver([event("fine", 5), event("low", -5), event("lower", -50)])
    process_raw_data(flow)
    return flow


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


def waiting(flow: Flow) -> list[str]:
    return [letter.event for letter in waiting_letters(flow)]


def test_rejected_events_wait_with_their_reason(flow):
    assert sorted(waiting(flow)) == ["low", "lower"]
    letter = find_letter(flow, "low")
    assert letter.reason == "income: must be at least 0"
    assert letter.original.value == b'{"income":-5}'
    with pytest.raises(DataError, match=r"none does for 'lowe'\. Did you mean"):
        find_letter(flow, "lowe")


def test_after_a_mend_a_replay_is_accepted_and_nothing_waits_for_it(flow):
    mended = replace(flow, schema=MENDED)
    assert replay(mended, ["low"]).sent == 1
    assert process_raw_data(mended).accepted == 1
    assert waiting(mended) == ["lower"]
    assert send_processed_data(mended) == 2
    with pytest.raises(DataError, match="none does for 'low'"):
        replay(mended, ["low"])


def test_a_replay_that_fails_again_waits_once(flow):
    for number in (1, 2):
        assert replay(flow, None).sent == 2
        process_raw_data(flow)
        assert sorted(waiting(flow)) == sorted([f"low~{number}", f"lower~{number}"])


def test_a_replay_that_is_sent_twice_is_one(flow):
    mended = replace(flow, schema=MENDED)
    assert replay(mended, ["low"]).sent == replay(mended, ["low"]).sent == 1
    processed = process_raw_data(mended)
    assert (processed.accepted, processed.duplicates) == (1, 1)


def test_what_was_too_large_to_keep_is_named(flow):
    letter = unsent_letter(event("big", 1), reason="over the size limit", now=datetime.now(UTC))
    flow.broker.producer().deliver([letter])
    replayed = replay(flow, ["big", "low", "low"])
    assert (replayed.sent, replayed.too_large) == (1, ("big",))


def test_junk_in_the_topic_does_not_hide_the_letters(flow):
    flow.broker.producer().deliver([Message(topic=TOPIC, key=b"k", value=b"junk")])
    assert sorted(waiting(flow)) == ["low", "lower"]

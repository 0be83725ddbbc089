"""Dead-letter records: they carry the record as it was, the reason, its position, and can be sent again."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loan_default.errors import DataError
from loan_default.kafka.dead_letters import (
    dead_letter_message,
    read_dead_letter,
    replay_of,
    replayed_id,
    unsent_dead_letter_message,
    without_content,
)
from loan_default.kafka.events import event_id
from loan_default.kafka.messages import Message, Partition, Record
from loan_default.limits import LONGEST_ID

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
PLACE = Partition("raw_data", 2)
RECORD = Record(partition=PLACE, offset=17, key=b"A-1", value=b"{", headers=(("ce_id", b"loans-1"),))


def stored(message: Message, offset: int = 0) -> Record:
    return Record(
        partition=Partition(message.topic, 0),
        offset=offset,
        key=message.key,
        value=message.value,
        headers=message.headers,
    )


header_names = st.text(st.characters(codec="ascii", categories=("L",)), min_size=1, max_size=8).filter(
    lambda name: not name.startswith("dead")
)


@given(
    st.none() | st.binary(min_size=1, max_size=20),
    st.none() | st.binary(max_size=50),
    st.lists(st.tuples(header_names, st.binary(max_size=10)), max_size=4),
)
def test_the_record_comes_back_as_it_was(key, value, headers):
    record = Record(partition=PLACE, offset=3, key=key, value=value, headers=tuple(headers))
    dead_letter = read_dead_letter(stored(dead_letter_message(record, reason="x: must be a number", now=NOW)))
    assert dead_letter.original == Message(topic="raw_data", key=key, value=value, headers=tuple(headers))
    assert (dead_letter.partition, dead_letter.offset, dead_letter.died_at) == (PLACE, 3, NOW)
    assert (dead_letter.reason, dead_letter.complete) == ("x: must be a number", True)


def test_a_dead_letter_record_names_its_event_or_where_it_stood():
    message = dead_letter_message(RECORD, reason="r", now=NOW)
    assert (message.topic, message.key) == ("raw_data.dlq", b"loans-1")
    assert read_dead_letter(stored(message)).event == "loans-1"
    nameless = RECORD._replace(headers=())
    assert (
        read_dead_letter(stored(dead_letter_message(nameless, reason="r", now=NOW))).event == "raw_data-2-17"
    )


def test_what_a_topic_did_not_take_leaves_a_dead_letter_record_without_content():
    message = Message(topic="raw_data", key=b"k", value=b"x" * 10**6, headers=(("ce_id", b"big"),))
    dead_letter = read_dead_letter(
        stored(unsent_dead_letter_message(message, reason="over the size limit", now=NOW))
    )
    assert (dead_letter.event, dead_letter.reason, dead_letter.complete) == (
        "big",
        "over the size limit",
        False,
    )
    assert dead_letter.partition == Partition("raw_data", -1)
    assert dead_letter.original.value == b""
    with pytest.raises(DataError, match="big, which was too large to keep"):
        replay_of(dead_letter)
    short = without_content(dead_letter_message(RECORD, reason="r", now=NOW))
    assert (read_dead_letter(stored(short)).complete, short.value) == (False, b"")


def test_a_replay_is_the_same_event_under_the_next_id():
    dead_letter = read_dead_letter(stored(dead_letter_message(RECORD, reason="r", now=NOW)))
    first = replay_of(dead_letter)
    assert first._replace(headers=()) == Message(topic="raw_data", key=b"A-1", value=b"{")
    assert first.headers == (("ce_id", b"loans-1~1"),)
    again = read_dead_letter(stored(dead_letter_message(stored(first), reason="r", now=NOW)))
    assert dict(replay_of(replace(again, event="loans-1~1")).headers)["ce_id"] == b"loans-1~2"
    assert dict(replay_of(replace(again, event="a~b")).headers)["ce_id"] == b"a~b~1"


def test_the_replay_of_an_event_with_the_longest_id_has_one_that_is_taken():
    dead_letter = read_dead_letter(stored(dead_letter_message(RECORD, reason="r", now=NOW)))
    ids = [str(n) * LONGEST_ID for n in range(2)]
    for name in [*ids, "x" * (LONGEST_ID - 2) + "~9"]:
        first = stored(replay_of(replace(dead_letter, event=name)))
        assert (len(event_id(first)) <= LONGEST_ID, event_id(first) != first.position) == (True, True)
        assert event_id(stored(replay_of(replace(dead_letter, event=event_id(first))))).endswith("~2")
    assert replayed_id(ids[0]) != replayed_id(ids[1])


def test_a_replay_of_nothing_at_all_can_be_sent():
    nothing = Record(Partition("raw_data", 0), 3, None, None)
    dead_letter = read_dead_letter(stored(dead_letter_message(nothing, reason="r", now=NOW)))
    assert replay_of(dead_letter)[:3] == ("raw_data", None, b"")


@pytest.mark.parametrize("name", ["dead_partition", "dead_offset", "dead_at", "dead_key"])
def test_what_does_not_say_where_it_comes_from_is_no_dead_letter(name):
    message = dead_letter_message(RECORD, reason="r", now=NOW)
    headers = tuple((key, b"?" if key == name else value) for key, value in message.headers)
    rule = r"must state where it comes from, however: raw_data\.dlq-0-0 does not"
    with pytest.raises(DataError, match=rule):
        read_dead_letter(stored(message._replace(headers=headers)))

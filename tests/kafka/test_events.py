"""Events there and back, and what is no event."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loan_default.errors import DataError
from loan_default.kafka.events import Event, EventType, event_id, read_data, read_event, to_message
from loan_default.kafka.messages import Headers, Message, Partition, Record

EVENT = Event(
    id="loans-17",
    type=EventType.RECEIVED,
    source="loans.csv",
    time=datetime(2026, 11, 24, 10, tzinfo=UTC),
    subject="A-17",
    schema="loans/1f2e3d",
    data={"income": 1000.5, "city": "Zürich", "bad": None},
)
printable = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=50)
values = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=("Cs",)))
)


def received(message: Message, *, offset: int = 7) -> Record:
    return Record(
        partition=Partition(message.topic, 1),
        offset=offset,
        key=message.key,
        value=message.value,
        headers=message.headers,
    )


def changed(name: str, value: bytes | None) -> Record:
    """The record of EVENT with another header, or without it."""
    record = received(to_message(EVENT, "raw_data"))
    headers: Headers = tuple(pair for pair in record.headers if pair[0] != name)
    if value is not None:
        headers += ((name, value),)
    return Record(
        partition=record.partition, offset=record.offset, key=record.key, value=record.value, headers=headers
    )


@pytest.mark.slow
@given(
    st.builds(
        Event,
        id=printable,
        type=printable,
        source=printable,
        time=st.datetimes(timezones=st.just(UTC)),
        subject=printable,
        schema=printable,
        data=st.dictionaries(
            st.text(st.characters(exclude_categories=("Cs",))),
            values.filter(lambda value: not isinstance(value, float) or abs(value) != float("inf")),
            max_size=5,
        ),
    )
)
def test_an_event_comes_back_as_it_was(event):
    record = received(to_message(event, "raw_data"))
    assert read_event(record) == event
    assert event_id(record) == event.id


def test_an_event_is_a_cloud_event_keyed_by_its_application():
    message = to_message(EVENT, "raw_data")
    assert (message.topic, message.key) == ("raw_data", b"A-17")
    headers = dict(message.headers)
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_time"] == b"2026-11-24T10:00:00+00:00"
    assert headers["content-type"] == b"application/json"
    assert message.value == '{"income":1000.5,"city":"Zürich","bad":null}'.encode()


def test_times_of_any_zone_become_utc():
    time = datetime(2026, 11, 24, 12, tzinfo=timezone(timedelta(hours=2)))
    assert dict(to_message(EVENT, "t").headers)["ce_time"] == b"2026-11-24T10:00:00+00:00"
    record = changed("ce_time", time.isoformat().encode())
    assert read_event(record).time == EVENT.time


@pytest.mark.parametrize("raw", [None, b"", b"\xff\xfe", b"x" * 201, b"a\x00b", b"a\nb"])
def test_a_record_without_a_usable_id_is_called_after_its_place(raw):
    assert event_id(changed("ce_id", raw)) == "raw_data-1-7"


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("ce_id", None, "the header ce_id must be there"),
        ("ce_subject", b"", "the header ce_subject must have 1 to 200 printable characters"),
        ("ce_type", b"\xff", "the header ce_type must be text in UTF-8"),
        ("ce_specversion", b"0.3", "the header ce_specversion must be 1.0"),
        ("ce_specversion", None, "the header ce_specversion must be 1.0"),
        ("ce_time", b"yesterday", "the header ce_time must be a time like"),
        ("ce_time", b"2026-11-24T10:00:00", "the header ce_time must name its time zone"),
        ("ce_time", b"0001-01-01T00:00:00+14:00", "the header ce_time must be a time like"),
        ("ce_time", b"9999-12-31T23:59:59-14:00", "the header ce_time must be a time like"),
    ],
)
def test_a_broken_header_is_named(name, value, rule):
    with pytest.raises(DataError, match=rule):
        read_event(changed(name, value))


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b" ",
        b"{",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b'{"a": "\\ud800"}',
        b'{"a": "\xff"}',
        b"\xef\xbb\xbf{}",
        b"[]",
        b"null",
        b"17",
        b'"text"',
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_object_is_refused_with_a_rule_and_without_its_content(value):
    with pytest.raises(DataError, match=r"^the value must be .*however: it (is|cannot)") as refused:
        read_data(value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(value):
    try:
        data = read_data(value)
    except DataError:
        return
    assert isinstance(data, dict)

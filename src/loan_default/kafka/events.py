"""Events as CloudEvents 1.0, binary mode of their Kafka binding: attributes in headers, data as value.

https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/kafka-protocol-binding.md
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from loan_default.errors import DataError
from loan_default.kafka.messages import Message, Record
from loan_default.limits import LONGEST_ID

_SPEC_VERSION = b"1.0"
_JSON = b"application/json"
_REMEMBERED = 256


class EventType(StrEnum):
    """The kinds of events of applications."""

    RECEIVED = "application.received"
    """An application came in, as its source had it."""
    PROCESSED = "application.processed"
    """An application passed the schema."""
    OUTCOME = "outcome.observed"
    """What became of an application that came earlier."""
    SCORED = "application.scored"
    """A model scored an application; the event has the id of the one that asked for it."""


class Event(NamedTuple):
    """An event of an application: its attributes and its data."""

    id: str
    """The id of the event; it is the same whenever the event is sent again."""
    type: str
    source: str
    """What sent the event: a file, a generator or a pipeline; it holds no address."""
    time: datetime
    """The time of the event, in UTC."""
    subject: str
    """Id of the application, and key of the message: what concerns one application keeps its order."""
    schema: str
    """Name and digest of the schema of the data."""
    data: Mapping[str, Any]


def to_message(event: Event, topic: str) -> Message:
    """Return an event as a message to a topic."""
    subject = event.subject.encode()
    return Message(
        topic=topic,
        key=subject,
        value=orjson.dumps(event.data),
        headers=(
            ("ce_specversion", _SPEC_VERSION),
            ("ce_id", event.id.encode()),
            ("ce_type", _shared_bytes(event.type)),
            ("ce_source", _shared_bytes(event.source)),
            ("ce_time", _time_bytes(event.time)),
            ("ce_subject", subject),
            ("ce_dataschema", _shared_bytes(event.schema)),
            ("content-type", _JSON),
        ),
    )


def event_id(record: Record) -> str:
    """The id of the event in a record; where it has none that can be used, the position of the record."""
    raw = record.header("ce_id")
    try:
        text = (raw or b"").decode()
    except UnicodeDecodeError:
        return record.position
    return text if 0 < len(text) <= LONGEST_ID and text.isprintable() else record.position


def read_event(record: Record) -> Event:
    """The event in a record.

    Raises:
        DataError: the rule that the record breaks, without any value of it.
    """
    headers = dict(record.headers)  # the last one where one comes twice
    identifier = _text(headers.get("ce_id"), "ce_id")
    if headers.get("ce_specversion") != _SPEC_VERSION:
        raise DataError("the header ce_specversion must be 1.0")
    return Event(
        id=identifier,
        type=_shared_text(headers.get("ce_type"), "ce_type"),
        source=_shared_text(headers.get("ce_source"), "ce_source"),
        time=_time(headers.get("ce_time")),
        subject=_text(headers.get("ce_subject"), "ce_subject"),
        schema=_any_text(headers.get("ce_dataschema")),
        data=read_data(record.value),
    )


def read_structured(record: Record) -> Event:
    """The event in a record that has it all in its value, as one JSON object.

    Raises:
        DataError: the rule that the record breaks, without any value of it.
    """
    attributes = read_data(record.value)
    data = attributes.pop("data", {})
    if not isinstance(data, dict):
        raise DataError("data must be a JSON object, however: it is another kind of JSON")
    headers = {f"ce_{name}": value.encode() for name, value in attributes.items() if isinstance(value, str)}
    if headers.get("ce_specversion") != _SPEC_VERSION:
        raise DataError("specversion must be 1.0, in the value or in the header ce_specversion")
    identifier = _text(headers.get("ce_id"), "ce_id")
    return Event(
        id=identifier,
        type=_shared_text(headers.get("ce_type"), "ce_type"),
        source=_shared_text(headers.get("ce_source"), "ce_source"),
        time=_time(headers.get("ce_time")),
        subject=_text(headers.get("ce_subject", headers["ce_id"]), "ce_subject"),
        schema=_any_text(headers.get("ce_dataschema")),
        data=data,
    )


def read_data(value: bytes | None) -> dict[str, Any]:
    """The data of an event: an object of named values.

    Raises:
        DataError: the rule that the bytes break, without any of them.
    """
    if value is None:
        raise DataError("the value must be there, however: it is null")
    if not value:
        raise DataError("the value must be a JSON object, however: it is empty")
    try:
        # The standard library's parser takes NaN, Infinity and 1e999 for numbers, and deep nesting stops it.
        data = orjson.loads(value)
    except orjson.JSONDecodeError:
        raise DataError("the value must be JSON in UTF-8, however: it cannot be read as such") from None
    if not isinstance(data, dict):
        raise DataError("the value must be a JSON object, however: it is another kind of JSON")
    return data


def _text(raw: bytes | None, name: str) -> str:
    if raw is None:
        raise DataError(f"the header {name} must be there")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise DataError(f"the header {name} must be text in UTF-8") from None
    if not text or len(text) > LONGEST_ID or not text.isprintable():
        raise DataError(f"the header {name} must have 1 to {LONGEST_ID} printable characters")
    return text


# Thousands of events in a row have these in common: each text is read and written once.
_shared_text = lru_cache(maxsize=_REMEMBERED)(_text)


@lru_cache(maxsize=_REMEMBERED)
def _any_text(raw: bytes | None) -> str:
    return (raw or b"").decode(errors="replace")


@lru_cache(maxsize=_REMEMBERED)
def _time(raw: bytes | None) -> datetime:
    text = _text(raw, "ce_time")
    try:
        time = datetime.fromisoformat(text)
        utc = time.astimezone(UTC)
    except (ValueError, OverflowError):  # in UTC it may lie before the year 1 or after 9999
        raise DataError("the header ce_time must be a time like 2026-11-24T10:00:00Z") from None
    if time.tzinfo is None:
        raise DataError("the header ce_time must name its time zone")
    return utc


@lru_cache(maxsize=_REMEMBERED)
def _shared_bytes(text: str) -> bytes:
    return text.encode()


@lru_cache(maxsize=_REMEMBERED)
def _time_bytes(time: datetime) -> bytes:
    return time.astimezone(UTC).isoformat().encode()

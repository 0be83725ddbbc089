"""Dead-letter records: what cannot be used, as it came, with the rules it breaks and where it stood."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from loan_default.errors import DataError
from loan_default.kafka.events import event_id
from loan_default.kafka.messages import Headers, Message, Partition, Record
from loan_default.kafka.topics import dead_letter_topic
from loan_default.limits import LONGEST_ID

_PREFIX = "dead_"
"""The prefix of the headers that a dead-letter record adds to those of the original record."""
_NOWHERE = -1
"""The partition and offset of a message that its topic never took."""
_REPLAY = "~"
"""The sign between the id of an event and the number of its replay."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetterRecord:
    """A record that could not be used."""

    event: str
    """Id of the event."""
    reason: str
    """The broken rules, never a value."""
    partition: Partition
    """Where the record stood; its number is -1 where the topic did not take it."""
    offset: int
    died_at: datetime
    original: Message
    """The record as it was sent."""
    complete: bool
    """Whether its content is there; it is left out where it was too large."""


def dead_letter_message(record: Record, *, reason: str, now: datetime) -> Message:
    """The message for the dead-letter topic of the record; the same record has always the same key."""
    original = Message(
        topic=record.partition.topic, key=record.key, value=record.value, headers=record.headers
    )
    return _dead_letter_message(
        original,
        event=event_id(record),
        partition=record.partition,
        offset=record.offset,
        reason=reason,
        now=now,
    )


def unsent_dead_letter_message(message: Message, *, reason: str, now: datetime) -> Message:
    """The dead-letter record of an event that its topic did not take; its too large content is left out."""
    event = next((value for name, value in message.headers if name == "ce_id"), b"").decode()
    nowhere = Partition(message.topic, _NOWHERE)
    dead_letter = _dead_letter_message(
        message, event=event, partition=nowhere, offset=_NOWHERE, reason=reason, now=now
    )
    return without_content(dead_letter)


def without_content(dead_letter: Message) -> Message:
    """A dead-letter record that says that there was more than its topic takes."""
    return dead_letter._replace(value=b"", headers=(*dead_letter.headers, (f"{_PREFIX}content", b"left out")))


def _dead_letter_message(
    original: Message, *, event: str, partition: Partition, offset: int, reason: str, now: datetime
) -> Message:
    marks = {
        "event": event,
        "reason": reason,
        "topic": partition.topic,
        "partition": str(partition.number),
        "offset": str(offset),
        "at": now.astimezone(UTC).isoformat(),
        "key": "" if original.key is None else original.key.hex(),
    }
    headers: Headers = tuple((f"{_PREFIX}{name}", text.encode()) for name, text in marks.items())
    return Message(
        topic=dead_letter_topic(partition.topic),
        key=event.encode(),
        value=original.value,
        headers=(*original.headers, *headers),
    )


def read_dead_letter(record: Record) -> DeadLetterRecord:
    """The dead-letter record in a record of a dead-letter topic.

    Raises:
        DataError: the record is none.
    """
    try:
        marks = {
            name: (record.header(f"{_PREFIX}{name}") or b"").decode()
            for name in ("event", "reason", "topic", "partition", "offset", "at", "key")
        }
        topic = marks["topic"]
        return DeadLetterRecord(
            event=marks["event"],
            reason=marks["reason"],
            partition=Partition(topic, int(marks["partition"])),
            offset=int(marks["offset"]),
            died_at=datetime.fromisoformat(marks["at"]),
            original=Message(
                topic=topic,
                key=bytes.fromhex(marks["key"]) or None,
                value=record.value,
                headers=tuple(pair for pair in record.headers if not pair[0].startswith(_PREFIX)),
            ),
            complete=record.header(f"{_PREFIX}content") is None,
        )
    except ValueError as error:
        raise DataError(
            f"a dead-letter record must state where it comes from, however: {record.position} does not"
        ) from error


def replay_of(dead_letter: DeadLetterRecord) -> Message:
    """The event once more, under an id of its own: the log keeps what became of the first one.

    Raises:
        DataError: its content was left out.
    """
    if not dead_letter.complete:
        raise DataError(
            f"Cannot replay {dead_letter.event}, which was too large to keep. Send it anew from its source."
        )
    headers = tuple(pair for pair in dead_letter.original.headers if pair[0] != "ce_id")
    replayed = dead_letter.original._replace(
        headers=(*headers, ("ce_id", replayed_id(dead_letter.event).encode()))
    )
    return replayed if replayed.key or replayed.value else replayed._replace(value=b"")


def replayed_id(event: str) -> str:
    """The id that the replay of an event has: `loans-7~1` of `loans-7`, `loans-7~2` of that."""
    name, _, number = event.rpartition(_REPLAY)
    again = f"{name}{_REPLAY}{int(number) + 1}" if name and number.isdecimal() else f"{event}{_REPLAY}1"
    if len(again) > LONGEST_ID:
        digest = hashlib.sha256(event.encode()).hexdigest()[:16]
        again = f"{event[: LONGEST_ID // 2]}-{digest}{_REPLAY}1"
    return again

"""What goes over a broker: messages on their way in, records on their way out, and how a delivery went.

What there is one of for each application is a named tuple: a frozen dataclass takes twice as long to make.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

Headers = tuple[tuple[str, bytes], ...]


class Partition(NamedTuple):
    """One log of a topic."""

    topic: str
    number: int


Offsets = Mapping[Partition, int]
"""Partition -> offset of the next record to read."""


class Message(NamedTuple):
    """A message that is to be sent."""

    topic: str
    key: bytes | None
    """Decides the partition: messages of one key keep their order. None = any partition."""
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None
    """Where it goes, whatever its key."""


class Record(NamedTuple):
    """A message that was received."""

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def position(self) -> str:
        """Topic, partition and offset: `raw_data-0-17`; unique as long as the topic lives."""
        return f"{self.partition.topic}-{self.partition.number}-{self.offset}"

    def header(self, name: str) -> bytes | None:
        """The value of a header, the last one where it comes twice; None where there is none."""
        return next((value for key, value in reversed(self.headers) if key == name), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """A message that a broker will never take."""

    message: Message
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """What became of the messages: sent = delivered + refused."""

    delivered: int
    """Messages that the broker has acknowledged."""
    refused: tuple[Refused, ...] = ()


def next_offsets(records: list[Record]) -> dict[Partition, int]:
    """What to commit when all of these are done; within a partition they are in order."""
    return {record.partition: record.offset + 1 for record in records}

"""What the pipelines ask of a broker. `memory` and `client` implement it; one suite of tests runs over both.

Errors: DependencyError where the broker does not answer, refuses, or lacks a topic.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from loan_default.kafka.messages import Delivery, Message, Offsets, Partition, Record
from loan_default.kafka.topics import Topic


class Producer(Protocol):
    """Sends messages."""

    def deliver(self, messages: Iterable[Message], /) -> Delivery:
        """Send all and wait until the broker has acknowledged each.

        Memory does not grow with the number of messages. A message that no broker would take, such as one
        over the size limit, is refused and does not hold up the others.

        Raises:
            DependencyError: not all were taken in time. Those may be there or not: deliver all again, and let
                the readers drop what comes twice by its id.
        """

    def close(self) -> None:
        """Give back the connections."""


class Consumer(Protocol):
    """Reads topics as a consumer of a group; what has been read is committed by hand."""

    def poll(self, *, max_records: int, timeout_seconds: float) -> list[Record]:
        """The next records, in order within a partition; none when none came in time."""

    def commit(self, offsets: Offsets) -> bool:
        """Say that all before these offsets is done.

        Only partitions that are still ours are committed. False where the group has changed: another consumer
        reads the records again.
        """

    def idle(self, seconds: float) -> None:
        """Stay in the group for a while without reading, as when the database that records go to is away."""

    def assigned(self) -> frozenset[Partition]:
        """The partitions that are ours now."""

    def uncommitted(self, ends: Offsets) -> Mapping[Partition, int]:
        """How many records before these ends the group has yet to commit, whoever reads them.

        Partitions without any are left out. Records that are gone, as their time was over, do not count.
        """

    def positions(self) -> Offsets:
        """The next offset to read of each partition that is ours, as far as it is known."""

    def close(self) -> None:
        """Leave the group."""


class Broker(Protocol):
    """Topics, and the making of producers and consumers."""

    def create_topics(self, topics: Iterable[Topic], /) -> list[str]:
        """Make the topics that are not there yet; returns the names of those that were made."""

    def check_topics(self, names: Iterable[str], /) -> None:
        """DependencyError that names the topics that are not there."""

    def producer(self) -> Producer:
        """A new producer."""

    def consumer(self, group: str, topics: Iterable[str]) -> Consumer:
        """A new consumer of a group; a new group begins with the oldest record."""

    def first_offsets(self, topic: str) -> Offsets:
        """For each partition of a topic, the offset of its oldest record; where it is empty, the end."""

    def end_offsets(self, topic: str) -> Offsets:
        """For each partition of a topic, the offset that its next message will get."""

    def committed(self, group: str, topic: str) -> Mapping[Partition, int | None]:
        """For each partition of a topic, what a group has committed; None = nothing yet."""

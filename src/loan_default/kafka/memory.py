"""A broker in this process: partitions, offsets, groups, commits as on Kafka; gone when the process ends."""

import time
import zlib
from collections.abc import Iterable, Mapping
from itertools import count
from threading import Condition

from loan_default.kafka.messages import Delivery, Message, Offsets, Partition, Record, Refused
from loan_default.kafka.topics import Topic, missing_topics

MAX_BYTES = 1_048_576
"""Of key and value together; the limit of a Kafka broker with its own settings, roughly."""


class MemoryBroker:
    """Keeps everything that is sent to it; safe to use from several threads."""

    def __init__(self, *, first_offset: int = 0) -> None:
        self.first_offset = first_offset
        """Of each partition. A store that outlives this broker takes equal offsets for equal records."""
        self.logs: dict[Partition, list[Record]] = {}
        self.groups: dict[str, _Group] = {}
        self.changed = Condition()
        """Held while anything here is read or written, and told when records come."""
        self.turn = count()

    def create_topics(self, topics: Iterable[Topic], /) -> list[str]:
        """Make the topics that are not there yet; returns the names of those that were made."""
        with self.changed:
            made = [topic for topic in topics if not self.partitions_of(topic.name)]
            for topic in made:
                self.logs |= {Partition(topic.name, number): [] for number in range(topic.partitions)}
            return [topic.name for topic in made]

    def check_topics(self, names: Iterable[str], /) -> None:
        """DependencyError that names the topics that are not there."""
        absent = [name for name in names if not self.partitions_of(name)]
        if absent:
            raise missing_topics(absent)

    def producer(self) -> "MemoryProducer":
        """A new producer."""
        return MemoryProducer(self)

    def consumer(self, group: str, topics: Iterable[str]) -> "MemoryConsumer":
        """A new member of a group; a new group begins with the oldest record."""
        names = list(topics)
        self.check_topics(names)
        return MemoryConsumer(self, group, names)

    def end_offsets(self, topic: str) -> Offsets:
        """For each partition of a topic, the offset that its next message will get."""
        self.check_topics([topic])
        with self.changed:
            return {partition: self.end_of(partition) for partition in self.partitions_of(topic)}

    def committed(self, group: str, topic: str) -> Mapping[Partition, int | None]:
        """For each partition of a topic, what a group has committed; None = nothing yet."""
        self.check_topics([topic])
        with self.changed:
            done = self.groups[group].done if group in self.groups else {}
            return {partition: done.get(partition) for partition in self.partitions_of(topic)}

    def end_of(self, partition: Partition) -> int:
        """The offset that the next message of a partition will get."""
        return self.first_offset + len(self.logs[partition])

    def partitions_of(self, topic: str) -> list[Partition]:
        """The partitions of a topic, none where there is no such topic."""
        return [partition for partition in self.logs if partition.topic == topic]


class MemoryProducer:
    """Sends messages to a MemoryBroker."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    def deliver(self, messages: Iterable[Message], /) -> Delivery:
        """Append all to their partitions; DependencyError where a topic is not there."""
        delivered, refused = 0, []
        for message in messages:
            size = len(message.key or b"") + len(message.value or b"")
            if size > MAX_BYTES:
                refused.append(Refused(message=message, reason=f"{size:,} bytes are over the size limit"))
                continue
            with self._broker.changed:
                self._append(message)
                self._broker.changed.notify_all()
            delivered += 1
        return Delivery(delivered=delivered, refused=tuple(refused))

    def close(self) -> None:
        """Nothing to give back."""

    def _append(self, message: Message) -> None:
        broker = self._broker
        partitions = broker.partitions_of(message.topic)
        if not partitions:
            raise missing_topics([message.topic])
        place = message.partition
        if place is None:
            place = next(broker.turn) if message.key is None else zlib.crc32(message.key)
        elif place >= len(partitions):
            raise ValueError(f"the partition must be one of the topic's, however: {message.topic}-{place}")
        partition = partitions[place % len(partitions)]
        broker.logs[partition].append(
            Record(
                partition=partition,
                offset=broker.end_of(partition),
                key=message.key,
                value=message.value,
                headers=message.headers,
            )
        )


class MemoryConsumer:
    """A member of a group of a MemoryBroker."""

    def __init__(self, broker: MemoryBroker, group: str, topics: list[str]) -> None:
        self._broker = broker
        self.topics = topics
        self.read: dict[Partition, int] = {}
        """Next offset to read of the partitions that are ours."""
        with broker.changed:
            self._group = broker.groups.setdefault(group, _Group())
            self._group.members.append(self)
            self._group.rebalance(broker)

    def poll(self, *, max_records: int, timeout_seconds: float) -> list[Record]:
        """The next records, in order within a partition; none when none came in time."""
        deadline = time.monotonic() + timeout_seconds
        with self._broker.changed:
            while not (records := self._take(max_records)):
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._broker.changed.wait(left)
        return records

    def commit(self, offsets: Offsets) -> bool:
        """Say that all before these offsets is done; False where a partition is no longer ours."""
        with self._broker.changed:
            ours = {partition: offset for partition, offset in offsets.items() if partition in self.read}
            self._group.done |= ours
        return len(ours) == len(offsets)

    def idle(self, seconds: float) -> None:
        """Wait: membership does not need a sign of life here."""
        time.sleep(seconds)

    def assigned(self) -> frozenset[Partition]:
        """The partitions that are ours now."""
        with self._broker.changed:
            return frozenset(self.read)

    def uncommitted(self, ends: Offsets) -> Mapping[Partition, int]:
        """How many records before these ends the group has yet to commit, whoever reads them."""
        with self._broker.changed:
            done, first = dict(self._group.done), self._broker.first_offset
            lasts = {partition: self._broker.end_of(partition) for partition in ends}
        left = {}
        for partition, end in ends.items():
            committed = done.get(partition, first)
            # A commit beyond the end is of records that are gone: of those here none is done.
            first_open = committed if committed <= lasts[partition] else first
            if end > first_open:
                left[partition] = end - first_open
        return left

    def positions(self) -> Offsets:
        """The next offset to read of each partition that is ours."""
        with self._broker.changed:
            return dict(self.read)

    def close(self) -> None:
        """Leave the group; closing again does nothing."""
        with self._broker.changed:
            if self in self._group.members:
                self._group.members.remove(self)
                self.read.clear()
                self._group.rebalance(self._broker)

    def _take(self, max_records: int) -> list[Record]:
        records: list[Record] = []
        for partition, start in self.read.items():
            skipped = start - self._broker.first_offset
            new = self._broker.logs[partition][skipped : skipped + max_records - len(records)]
            self.read[partition] = start + len(new)
            records += new
        return records


class _Group:
    """Who reads together, and how far they have come."""

    def __init__(self) -> None:
        self.members: list[MemoryConsumer] = []
        self.done: dict[Partition, int] = {}

    def rebalance(self, broker: MemoryBroker) -> None:
        """Deal the partitions anew; as on Kafka, who gets one goes on from what is committed, who keeps one
        from where it is."""
        shares: list[dict[Partition, int]] = [{} for _ in self.members]
        topics = sorted({topic for member in self.members for topic in member.topics})
        for topic in topics:
            takers = [place for place, member in enumerate(self.members) if topic in member.topics]
            for partition in broker.partitions_of(topic):
                taker = takers[partition.number % len(takers)]
                start = self.done.get(partition, broker.first_offset)
                shares[taker][partition] = self.members[taker].read.get(partition, start)
        for member, share in zip(self.members, shares, strict=True):
            member.read = share

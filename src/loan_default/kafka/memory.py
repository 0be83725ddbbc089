"""A broker in this process: partitions, offsets, groups, commits as on Kafka.

It is gone when the process ends, but for the topics that are kept in a file. Of a topic whose readers are
named, the records that all of them have committed are dropped, so that memory does not grow with what passes.
"""

import time
import zlib
from collections.abc import Collection, Iterable, Mapping
from itertools import count
from threading import Condition

from loan_default.kafka.kept_topics import KeptTopics
from loan_default.kafka.messages import Delivery, Message, Offsets, Partition, Record, Refused
from loan_default.kafka.partition_log import MemoryLog, PartitionLog
from loan_default.kafka.topics import Topic, missing_topics

MAX_BYTES = 1_048_576
"""The most bytes of key and value together; roughly the limit of a Kafka broker with its default settings."""


class MemoryBroker:
    """Keeps what is sent to it until its readers have it; safe to use from several threads."""

    def __init__(
        self,
        *,
        first_offset: int = 0,
        readers: Mapping[str, Collection[str]] | None = None,
        kept: KeptTopics | None = None,
    ) -> None:
        """Make a broker without any topic.

        Args:
            readers: topic -> groups that read it, sooner or later. What all of them have committed, and any
                other group that reads the topic by then, is dropped. Other topics keep everything.
            kept: topics that outlive the process; None = none does.
        """
        self.first_offset = first_offset
        """The offset at which each partition begins. A store that outlives this broker takes equal offsets
        for equal records."""
        self.readers = readers or {}
        self.kept = kept
        self.logs: dict[Partition, PartitionLog] = {}
        self.groups: dict[str, _Group] = {}
        self.changed = Condition()
        """Held while anything here is read or written, and notified when records come."""
        self.next_partition = count()

    def create_topics(self, topics: Iterable[Topic], /) -> list[str]:
        """Make the topics that are not there yet; returns the names of those that were made."""
        with self.changed:
            made = [topic for topic in topics if not self.partitions_of(topic.name)]
            for topic in made:
                if self.kept is not None and topic.name in self.kept.names:
                    self.kept.drop_expired(topic)
                partitions = [Partition(topic.name, number) for number in range(topic.partitions)]
                self.logs |= {partition: self._new_log(partition) for partition in partitions}
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
        """A new consumer of a group; a new group begins with the oldest record."""
        names = list(topics)
        self.check_topics(names)
        return MemoryConsumer(self, group, names)

    def first_offsets(self, topic: str) -> Offsets:
        """For each partition of a topic, the offset of its oldest record; where it is empty, the end."""
        self.check_topics([topic])
        with self.changed:
            return {partition: self.logs[partition].first for partition in self.partitions_of(topic)}

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
        return self.logs[partition].end

    def partitions_of(self, topic: str) -> list[Partition]:
        """The partitions of a topic, none where there is no such topic."""
        return [partition for partition in self.logs if partition.topic == topic]

    def drop_committed(self, partitions: Iterable[Partition]) -> None:
        """Forget what all readers of these partitions have committed."""
        for partition in partitions:
            readers = self.readers.get(partition.topic)
            if not readers:
                continue
            log = self.logs[partition]
            others = [name for name, group in self.groups.items() if group.reads(partition)]
            done = [
                self.groups[name].done.get(partition, log.first) if name in self.groups else log.first
                for name in {*readers, *others}
            ]
            # A commit beyond the end is of records that are gone, and says nothing of those here.
            if (before := min(done)) <= log.end:
                log.drop(before=before)

    def forget_idle_groups(self) -> None:
        """Forget groups without a consumer that have committed nothing: each look is a group of its own."""
        for name in [name for name, group in self.groups.items() if not (group.consumers or group.done)]:
            del self.groups[name]

    def _new_log(self, partition: Partition) -> PartitionLog:
        if self.kept is not None and partition.topic in self.kept.names:
            return self.kept.log(partition)
        return MemoryLog(partition, first=self.first_offset)


class MemoryProducer:
    """Sends messages to a MemoryBroker."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    def deliver(self, messages: Iterable[Message], /) -> Delivery:
        """Append all to their partitions; DependencyError where a topic is not there."""
        delivered, refused = 0, []
        try:
            for message in messages:
                size = len(message.key or b"") + len(message.value or b"")
                if size > MAX_BYTES:
                    reason = f"{size:,} bytes are over the size limit"
                    refused.append(Refused(message=message, reason=reason))
                    continue
                with self._broker.changed:
                    self._append(message)
                    self._broker.changed.notify_all()
                delivered += 1
        finally:
            if self._broker.kept is not None:
                with self._broker.changed:
                    self._broker.kept.flush()
                    self._broker.changed.notify_all()
        return Delivery(delivered=delivered, refused=tuple(refused))

    def close(self) -> None:
        """Nothing to give back."""

    def _append(self, message: Message) -> None:
        broker = self._broker
        partitions = broker.partitions_of(message.topic)
        if not partitions:
            raise missing_topics([message.topic])
        number = message.partition
        if number is None:
            number = next(broker.next_partition) if message.key is None else zlib.crc32(message.key)
        elif number >= len(partitions):
            raise ValueError(f"the partition must be one of the topic's, however: {message.topic}-{number}")
        broker.logs[partitions[number % len(partitions)]].append(message)


class MemoryConsumer:
    """A consumer of a group of a MemoryBroker."""

    def __init__(self, broker: MemoryBroker, group: str, topics: list[str]) -> None:
        self._broker = broker
        self.topics = topics
        self.read: dict[Partition, int] = {}
        """Next offset to read of the partitions that are ours."""
        with broker.changed:
            self._group = broker.groups.setdefault(group, _Group())
            self._group.consumers.append(self)
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
            self._broker.drop_committed(ours)
        return len(ours) == len(offsets)

    def idle(self, seconds: float) -> None:
        """Wait: being in a group does not need a sign of life here."""
        time.sleep(seconds)

    def assigned(self) -> frozenset[Partition]:
        """The partitions that are ours now."""
        with self._broker.changed:
            return frozenset(self.read)

    def uncommitted(self, ends: Offsets) -> Mapping[Partition, int]:
        """How many records before these ends the group has yet to commit, whoever reads them."""
        with self._broker.changed:
            done = dict(self._group.done)
            firsts = {partition: self._broker.logs[partition].first for partition in ends}
            lasts = {partition: self._broker.end_of(partition) for partition in ends}
        left = {}
        for partition, end in ends.items():
            first = firsts[partition]
            committed = max(first, done.get(partition, first))
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
            if self in self._group.consumers:
                self._group.consumers.remove(self)
                self.read.clear()
                self._group.rebalance(self._broker)
                self._broker.forget_idle_groups()

    def _take(self, max_records: int) -> list[Record]:
        records: list[Record] = []
        for partition, start in self.read.items():
            new = self._broker.logs[partition].read(start, count=max_records - len(records))
            if new:
                self.read[partition] = new[-1].offset + 1
            records += new
            if len(records) >= max_records:
                break
        return records


class _Group:
    """Who reads together, and how far they have come."""

    def __init__(self) -> None:
        self.consumers: list[MemoryConsumer] = []
        self.done: dict[Partition, int] = {}

    def reads(self, partition: Partition) -> bool:
        """Whether a consumer reads a partition's topic now, or the group has committed in it."""
        return partition in self.done or any(
            partition.topic in consumer.topics for consumer in self.consumers
        )

    def rebalance(self, broker: MemoryBroker) -> None:
        """Assign the partitions anew; as on Kafka, who gets one goes on from what is committed, who keeps one
        from where it is."""
        shares: list[dict[Partition, int]] = [{} for _ in self.consumers]
        topics = sorted({topic for consumer in self.consumers for topic in consumer.topics})
        for topic in topics:
            takers = [index for index, consumer in enumerate(self.consumers) if topic in consumer.topics]
            for partition in broker.partitions_of(topic):
                taker = takers[partition.number % len(takers)]
                start = self.done.get(partition, broker.logs[partition].first)
                shares[taker][partition] = self.consumers[taker].read.get(partition, start)
        for consumer, share in zip(self.consumers, shares, strict=True):
            consumer.read = share

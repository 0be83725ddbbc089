"""A Kafka cluster through kafka-python, with the settings on which nothing is lost."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    KafkaError,
    MessageSizeTooLargeError,
    RebalanceInProgressError,
    RecordListTooLargeError,
    TopicAlreadyExistsError,
    UnknownMemberIdError,
)

from loan_default.errors import DependencyError
from loan_default.kafka.messages import Delivery, Message, Offsets, Partition, Record, Refused
from loan_default.kafka.network import REFUSALS, opened
from loan_default.kafka.topics import Topic, missing_topics

_STALE = (CommitFailedError, RebalanceInProgressError, IllegalGenerationError, UnknownMemberIdError)
"""What a commit raises when the group has changed: the new owner reads the records again."""
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_IN_FLIGHT = 10_000
"""Messages whose answers are waited for together: bounds the memory of a delivery."""
_ABANDONED_WITHIN_SECONDS = 1.0
"""The thread of a producer ends at the next iteration of its loop."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Connection:
    """How to reach a cluster."""

    servers: tuple[str, ...]
    """`host:port` of some brokers."""
    security: Mapping[str, str | None] = field(repr=False)
    """kafka-python's settings for SASL and TLS."""
    timeout_seconds: float = 10.0
    """How long a broker may take to be found, and to answer a request."""
    delivery_seconds: float = 30.0
    """How long a message may take until the broker has it, retries included."""
    session_seconds: float = 10.0
    """After so long without a sign of life a consumer is taken for dead, and others get its partitions."""


class KafkaBroker:
    """A cluster; connects when something is asked of it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create_topics(self, topics: Iterable[Topic], /) -> list[str]:
        """Make the topics that are not there yet; returns the names of those that were made."""
        made = []
        with self._admin("creating topics") as admin:
            there = set(admin.list_topics())
            for topic in topics:
                if topic.name in there:
                    continue
                try:
                    admin.create_topics({topic.name: _topic_settings(topic)}, wait_for_metadata=True)
                except TopicAlreadyExistsError:
                    continue  # somebody else was faster
                made.append(topic.name)
        return made

    def check_topics(self, names: Iterable[str], /) -> None:
        """DependencyError that names the topics that are not there."""
        with self._admin("listing topics") as admin:
            absent = sorted(set(names) - set(admin.list_topics()))
        if absent:
            raise missing_topics(absent)

    def producer(self) -> "KafkaMessageProducer":
        """A new producer."""
        return KafkaMessageProducer(self._connection)

    def consumer(self, group: str, topics: Iterable[str]) -> "KafkaRecordConsumer":
        """A new consumer of a group; a new group begins with the oldest record."""
        names = list(topics)
        self.check_topics(names)
        return KafkaRecordConsumer(self._connection, group, names)

    def first_offsets(self, topic: str) -> Offsets:
        """For each partition of a topic, the offset of its oldest record; where it is empty, the end."""
        with self._reader(None, f"reading the beginnings of {topic}") as reader:
            firsts = reader.beginning_offsets(_partitions(reader, topic))
            return {Partition(*partition): offset for partition, offset in firsts.items()}

    def end_offsets(self, topic: str) -> Offsets:
        """For each partition of a topic, the offset that its next message will get."""
        with self._reader(None, f"reading the ends of {topic}") as reader:
            ends = reader.end_offsets(_partitions(reader, topic))
            return {Partition(*partition): offset for partition, offset in ends.items()}

    def committed(self, group: str, topic: str) -> Mapping[Partition, int | None]:
        """For each partition of a topic, what a group has committed; None = nothing yet."""
        with self._reader(group, f"reading the commits of {group}") as reader:
            return {
                Partition(*partition): reader.committed(partition) for partition in _partitions(reader, topic)
            }

    @contextmanager
    def _admin(self, doing: str) -> Iterator[KafkaAdminClient]:
        with broker_errors(doing):
            admin = opened(KafkaAdminClient, **_shared_settings(self._connection))
            try:
                yield admin
            finally:
                admin.close()

    @contextmanager
    def _reader(self, group: str | None, doing: str) -> Iterator[KafkaConsumer]:
        with broker_errors(doing):
            reader = opened(
                KafkaConsumer,
                **_shared_settings(self._connection),
                group_id=group,
                enable_auto_commit=False,
            )
            try:
                yield reader
            finally:
                reader.close(autocommit=False)


class KafkaMessageProducer:
    """Sends messages; every one is acknowledged by all replicas in sync, and a retry is no second message."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client: KafkaProducer | None = None

    def deliver(self, messages: Iterable[Message], /) -> Delivery:
        """Send all and wait until the broker has acknowledged each.

        Raises:
            DependencyError: not all were taken in time; those may be there or not.
        """
        delivered, refused = 0, list[Refused]()
        try:
            with broker_errors("delivering messages"):
                client, left = self._connected(), iter(messages)
                while some := _deliver_some(
                    client, islice(left, _IN_FLIGHT), self._connection.delivery_seconds
                ):
                    delivered += some.delivered
                    refused += some.refused
        except BaseException:
            # What it still holds must not be sent after the caller has delivered the messages again.
            self._abandon()
            raise
        return Delivery(delivered=delivered, refused=tuple(refused))

    def close(self) -> None:
        """Give back the connections."""
        if self._client is not None:
            self._client.close(timeout=self._connection.timeout_seconds)
            self._client = None

    def _abandon(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            # `close` of kafka-python 3.0.12 waits for what is held, raises where that does not come, and then
            # leaves the thread that goes on sending it. Without that thread nothing is held.
            client._sender.force_close()
            client._sender.join(_ABANDONED_WITHIN_SECONDS)
            with suppress(KafkaError):
                client.close(timeout=0)

    def _connected(self) -> KafkaProducer:
        if self._client is None:
            milliseconds = int(self._connection.delivery_seconds * 1000)
            self._client = opened(
                KafkaProducer,
                **_shared_settings(self._connection),
                acks="all",
                enable_idempotence=True,
                linger_ms=20,
                batch_size=128 * 1024,
                delivery_timeout_ms=milliseconds,
                max_block_ms=min(milliseconds, int(self._connection.timeout_seconds * 1000)),
            )
        return self._client


class KafkaRecordConsumer:
    """A consumer of a group; it commits by hand, reads only what was committed by its producer."""

    def __init__(self, connection: Connection, group: str, topics: list[str]) -> None:
        self._timeout_ms = int(connection.timeout_seconds * 1000)
        with broker_errors(f"joining the group {group}"):
            self._client = opened(
                KafkaConsumer,
                *topics,
                **_shared_settings(connection),
                group_id=group,
                session_timeout_ms=int(connection.session_seconds * 1000),
                heartbeat_interval_ms=int(connection.session_seconds * 300),
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                isolation_level="read_committed",
            )

    def poll(self, *, max_records: int, timeout_seconds: float) -> list[Record]:
        """The next records, in order within a partition; none when none came in time."""
        with broker_errors("reading records"):
            polled = self._client.poll(timeout_ms=int(timeout_seconds * 1000), max_records=max_records)
        return [
            record for partition, part in polled.items() for record in _records(Partition(*partition), part)
        ]

    def commit(self, offsets: Offsets) -> bool:
        """Say that all before these offsets is done; False where a partition is no longer ours."""
        ours = self.assigned()
        kept = {
            TopicPartition(*partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in offsets.items()
            if partition in ours
        }
        with broker_errors("committing offsets"):
            try:
                if kept:
                    self._client.commit(kept)
            except _STALE:
                return False
        return len(kept) == len(offsets)

    def idle(self, seconds: float) -> None:
        """Stay in the group for a while without reading."""
        deadline = time.monotonic() + seconds
        try:
            while (left := deadline - time.monotonic()) > 0:
                self._client.pause(*self._client.assignment())
                with broker_errors("staying in the group"):
                    # A partition that is assigned meanwhile is not paused: its records are read again.
                    early = self._client.poll(timeout_ms=int(min(left, 1.0) * 1000), max_records=1)
                for partition, records in early.items():
                    self._client.seek(partition, records[0].offset)
        finally:
            self._client.resume(*self._client.assignment())

    def assigned(self) -> frozenset[Partition]:
        """The partitions that are ours now."""
        return frozenset(Partition(*partition) for partition in self._client.assignment())

    def uncommitted(self, ends: Offsets) -> Mapping[Partition, int]:
        """How many records before these ends the group has yet to commit, whoever reads them."""
        wanted = [TopicPartition(*partition) for partition in ends]
        with broker_errors("reading the commits of the group"):
            firsts, lasts = self._client.beginning_offsets(wanted), self._client.end_offsets(wanted)
            done = {each: self._client.committed(each, timeout_ms=self._timeout_ms) or 0 for each in wanted}
        left = {}
        for partition, each in zip(ends, wanted, strict=True):
            # A commit beyond the end is of records that the broker has lost: of those here none is done.
            first_open = max(firsts[each], done[each] if done[each] <= lasts[each] else 0)
            if ends[partition] > first_open:
                left[partition] = ends[partition] - first_open
        return left

    def positions(self) -> Offsets:
        """The next offset to read of each partition that is ours, as far as it is known."""
        found = {}
        with broker_errors("asking for positions"):
            for partition in self._client.assignment():
                offset = self._client.position(partition, timeout_ms=self._timeout_ms)
                if offset is not None:
                    found[Partition(*partition)] = offset
        return found

    def close(self) -> None:
        """Leave the group."""
        self._client.close(autocommit=False)


@contextmanager
def broker_errors(doing: str) -> Iterator[None]:
    """Turn the client's errors into DependencyError that names what was being done."""
    try:
        yield
    except KafkaError as error:
        raise DependencyError(f"the broker must answer, however: {doing} failed: {_reason(error)}") from error


def _reason(error: KafkaError) -> str:
    if isinstance(error, REFUSALS):
        return f"refused: {type(error).__name__}. Check user name, password and rights."
    what = " ".join(str(error).split())[:200]
    if type(error).__name__ not in what:  # most of the client's errors name their class themselves
        what = f"{type(error).__name__}: {what}"
    return f"{what}. Is the broker running, and are address, protocol and password right?"


def _deliver_some(client: KafkaProducer, messages: Iterable[Message], seconds: float) -> Delivery | None:
    """Send each message as it comes, then wait for all; None = there were none."""
    refused, futures = [], []
    for message in messages:
        try:
            future = client.send(
                message.topic,
                value=message.value,
                key=message.key,
                headers=list(message.headers),
                partition=message.partition,
            )
        except _TOO_LARGE as error:  # found out here, before anything is sent
            refused.append(Refused(message=message, reason=_too_large(error)))
            continue
        futures.append((message, future))
    client.flush(timeout=seconds)
    sent = len(futures)
    for message, future in futures:
        try:
            future.get(timeout=0)
        except _TOO_LARGE as error:  # the broker's limit is below ours
            refused.append(Refused(message=message, reason=_too_large(error)))
            sent -= 1
    return Delivery(delivered=sent, refused=tuple(refused)) if sent or refused else None


def _too_large(error: KafkaError) -> str:
    return f"over the size limit: {' '.join(str(error).split())[:120]}"


def _records(partition: Partition, part: list[Any]) -> Iterator[Record]:
    for raw in part:
        # A header without a value may be read, but not sent again.
        headers = tuple((name, value or b"") for name, value in raw.headers or ())
        yield Record(partition, raw.offset, raw.key, raw.value, headers)


def _partitions(reader: KafkaConsumer, topic: str) -> list[TopicPartition]:
    numbers = reader.partitions_for_topic(topic)
    if not numbers:
        raise missing_topics([topic])
    return [TopicPartition(topic, number) for number in sorted(numbers)]


def _topic_settings(topic: Topic) -> dict[str, Any]:
    kept = -1 if topic.retention is None else int(topic.retention.total_seconds() * 1000)
    return {
        "num_partitions": topic.partitions,
        "replication_factor": -1,  # the broker's own default
        "configs": {"retention.ms": str(kept)},
    }


def _shared_settings(connection: Connection) -> dict[str, Any]:
    milliseconds = int(connection.timeout_seconds * 1000)
    return {
        "bootstrap_servers": list(connection.servers),
        "client_id": "loan-default",
        "request_timeout_ms": milliseconds,
        "bootstrap_timeout_ms": milliseconds,
        **{name: value for name, value in connection.security.items() if value is not None},
    }

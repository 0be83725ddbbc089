"""A consumer of the group that processes `raw_data`: it logs some records while it validates the next ones.

Effects come first, each of them idempotent; who calls the worker commits when it returns. An event is logged
before anything of it is sent, so that it can never be both accepted and a dead-letter record.
"""

import gc
import os
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import uuid4

from loan_default.database.ingestion_documents import EventStatus, IngestionBatch, OffsetRange, RawDataLog
from loan_default.database.ingestion_repositories import (
    Arrival,
    IngestionBatchRepository,
    LogResult,
    RawDataLogRepository,
)
from loan_default.errors import DataError
from loan_default.failpoints import failpoint
from loan_default.kafka.broker import Producer
from loan_default.kafka.dead_letters import dead_letter_message, without_content
from loan_default.kafka.events import Event, EventType, to_message
from loan_default.kafka.messages import Message, Partition, Record, next_offsets
from loan_default.kafka.outbox import must_fit
from loan_default.kafka.topics import PROCESSED, PROCESSING, RAW, dead_letter_topic
from loan_default.pipelines.ingestion.record_validation import RecordValidator, ValidatedRecord
from loan_default.pipelines.ingestion.unfinished_events import UnfinishedEvents
from loan_default.pipelines.services import Services

_LOG_BATCH = 500
"""Records that are validated, logged and sent together."""


@dataclass(slots=True)
class Processed:
    """How many records came to what: consumed = accepted + rejected + duplicates + redelivered."""

    consumed: int = 0
    accepted: int = 0
    rejected: int = 0
    duplicates: int = 0
    redelivered: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    """Stage -> time that the worker spent in it or waited for it."""
    rules: Counter[str] = field(default_factory=Counter)
    """Broken rule, never a value -> rejected records; a record may break several."""

    @property
    def counts(self) -> dict[str, int]:
        """The counts alone, by name."""
        names = ("consumed", "accepted", "rejected", "duplicates", "redelivered")
        return {name: getattr(self, name) for name in names}

    def add(self, other: "Processed") -> None:
        """Count what another batch came to."""
        for name, count in other.counts.items():
            setattr(self, name, getattr(self, name) + count)
        for stage, seconds in other.seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        self.rules.update(other.rules)


class _Write(NamedTuple):
    """Records that are validated, and the write of their log that is under way."""

    validated: list[ValidatedRecord]
    result: Future[LogResult]


class Worker:
    """Called with a batch of records, it has all their effects; a context manager.

    Accepted events go to `processed_data`, or to `keep` where another step sends them.
    """

    def __init__(self, services: Services, *, keep: Callable[[list[Message]], None] | None = None) -> None:
        services.broker.check_topics([RAW, dead_letter_topic(RAW)])
        self._services = services
        self._keep = keep
        self._validate = RecordValidator(services.schema)
        self._logs = RawDataLogRepository(services.database)
        self._batches = IngestionBatchRepository(services.database)
        self._unfinished = UnfinishedEvents(broker=services.broker, logs=self._logs, batches=self._batches)
        self._name = f"{socket.gethostname()}-{os.getpid()}"
        self._schema = services.schema_name
        self._alike = 0 if keep else _partitions_alike(services)
        self.processed = Processed()
        for repository in (self._logs, self._batches):
            repository.ensure_indexes()

    def __enter__(self) -> "Worker":
        broker = self._services.broker
        with ExitStack() as started:
            started.enter_context(_hot_loop())
            threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="raw-data-logs")
            self._writer = started.enter_context(threads)
            self.producer: Producer = broker.producer()
            started.callback(self.producer.close)
            self.consumer = broker.consumer(PROCESSING, [RAW])
            started.callback(self.consumer.close)
            self._running = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def __call__(self, records: list[Record]) -> None:
        batch = _Batch()
        writes: deque[_Write] = deque()
        try:
            for first in range(0, len(records), _LOG_BATCH):
                writes.append(self._submit(records[first : first + _LOG_BATCH], batch))
                if len(writes) > 1:
                    self._send_logged(writes, batch)
            while writes:
                self._send_logged(writes, batch)
        finally:
            # After an error the batch is tried again: none of its writes may go on meanwhile. This frame
            # waits for them: a generator that the exception keeps alive would do so late or never.
            for write in writes:
                write.result.cancel()
            wait([write.result for write in writes])
        failpoint("sent")
        if self._keep is not None:
            self._keep(batch.kept)
            batch.lap("keep")
            failpoint("outbox_written")
        self._batches.add(
            IngestionBatch(
                batch=batch.id,
                run=self._services.run,
                worker=self._name,
                ranges=_ranges(records),
                started_at=batch.started_at,
                seconds=dict(batch.processed.seconds),
                **batch.processed.counts,
            )
        )
        batch.lap("batch")
        failpoint("batch_stored")
        self.processed.add(batch.processed)

    def _submit(self, records: Sequence[Record], batch: "_Batch") -> "_Write":
        """Validate some records and begin to log them."""
        validated = self._validate(records)
        logs = [_log_of(each, batch.id, batch.started_at) for each in validated]
        write = _Write(validated, self._writer.submit(self._logs.add_new, logs))
        batch.lap("judge")  # the name of the stage in stored batches
        return write

    def _send_logged(self, writes: deque["_Write"], batch: "_Batch") -> None:
        """Await the oldest of the writes and send what comes of it; it is taken away once it is done."""
        result = writes[0].result.result()
        validated = writes.popleft().validated
        batch.lap("log")
        failpoint("logged")
        result = self._unfinished.take_over(result, [each.event_id for each in validated], batch=batch.id)
        batch.count(validated, result)
        messages: list[Message] = []
        for each in _to_do(validated, result):
            if each.reason:
                messages.append(dead_letter_message(each.record, reason=each.reason, now=batch.started_at))
            elif self._keep is None:
                messages.append(self._processed_event(each))
            else:
                batch.kept.append(self._processed_event(each))
        self._deliver(messages)
        batch.lap("send")

    def _deliver(self, messages: list[Message]) -> None:
        """Send dead-letter records and accepted events, each of which is logged."""
        delivery = self.producer.deliver(messages)
        if accepted := [each for each in delivery.refused if each.message.topic == PROCESSED]:
            raise must_fit(accepted)
        # A record that its topic could hold, with our headers on it, may be too large for their topic.
        self.producer.deliver(without_content(each.message) for each in delivery.refused)

    def _processed_event(self, validated: ValidatedRecord) -> Message:
        assert validated.event is not None
        event = Event(
            id=validated.event_id,
            type=EventType.PROCESSED if validated.event.type == EventType.RECEIVED else EventType.OUTCOME,
            source="processing",
            time=validated.event.time,
            subject=validated.event.subject,
            schema=self._schema,
            data=validated.canonical or {},
        )
        message = to_message(event, PROCESSED)
        number = validated.record.partition.number
        # The same key, so the same partition: it is not computed again, unless `raw_data` was given more.
        return message._replace(partition=number) if number < self._alike else message


def _partitions_alike(services: Services) -> int:
    """How many partitions both topics have, so that a key has the same one on both; 0 where they differ."""
    raw, processed = (len(services.broker.end_offsets(topic)) for topic in (RAW, PROCESSED))
    return raw if raw == processed else 0


@contextmanager
def _hot_loop() -> Iterator[None]:
    """The interpreter set for many records, and back again: a tenth of the time."""
    thresholds, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(50_000, 20, 50)  # records make no cycles
    sys.setswitchinterval(0.001)  # the threads that wait for the servers have little to do, and soon
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(interval)


class _Batch:
    """The id, counts, times and kept messages of the current batch of a worker."""

    def __init__(self) -> None:
        self.id = uuid4().hex
        self.started_at = datetime.now(UTC)
        self.processed = Processed()
        self.kept: list[Message] = []
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Add the time since the last lap to that of a stage."""
        now = time.perf_counter()
        seconds = self.processed.seconds
        seconds[stage] = seconds.get(stage, 0.0) + now - self._last
        self._last = now

    def count(self, validated: Sequence[ValidatedRecord], result: LogResult) -> None:
        """Count records that are logged."""
        arrivals = zip(validated, result.arrivals, strict=True)
        new = [each for each, arrival in arrivals if arrival is Arrival.NEW]
        rejected = sum(1 for each in new if each.reason)
        self.processed.add(
            Processed(
                consumed=len(validated),
                accepted=len(new) - rejected,
                rejected=rejected,
                duplicates=result.count(Arrival.DUPLICATE),
                redelivered=result.count(Arrival.REDELIVERED),
                rules=Counter(rule for each in new for rule in each.rules),
            )
        )


def _log_of(validated: ValidatedRecord, batch: str, now: datetime) -> RawDataLog:
    partition = validated.record.partition
    return RawDataLog(
        event=validated.event_id,
        topic=partition.topic,
        partition=partition.number,
        offset=validated.record.offset,
        batch=batch,
        outcome=EventStatus.REJECTED if validated.reason else EventStatus.ACCEPTED,
        reason=validated.reason or None,
        application=validated.event.subject if validated.event else None,
        sent_at=validated.event.time if validated.event else None,
        logged_at=now,
    )


def _to_do(validated: Sequence[ValidatedRecord], result: LogResult) -> list[ValidatedRecord]:
    """Return the records that have effects: all but those whose effects another record has.

    Raises:
        DataError: the schema has changed since an event was logged, and with it what becomes of the event.
    """
    todo = []
    for each, arrival, status in zip(validated, result.arrivals, result.statuses, strict=True):
        if arrival is Arrival.DUPLICATE:
            continue
        if (status is EventStatus.REJECTED) != bool(each.reason):
            raise DataError(
                "a batch must be finished with the schema that it was begun with, however: "
                f"{each.record.position} is logged as {status}, and this schema says otherwise. Run with "
                "the former schema until the batch is committed."
            )
        todo.append(each)
    return todo


def _ranges(records: list[Record]) -> tuple[OffsetRange, ...]:
    """Return the range of offsets that the records have in each partition."""
    first: dict[Partition, int] = {}
    for record in records:
        first.setdefault(record.partition, record.offset)
    return tuple(
        OffsetRange(topic=part.topic, partition=part.number, first=first[part], next=end)
        for part, end in next_offsets(records).items()
    )

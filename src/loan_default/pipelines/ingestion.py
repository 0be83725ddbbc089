"""Applications on their way: source → `raw_data` → judged → `processed_data`, every one accounted for.

Three steps, each safe to repeat and to run several times at once:

    ingest_raw_data       rows of a feed become events on `raw_data`
    process_raw_data      each event is logged as accepted or rejected; dead letters are sent, the rest waits
    send_processed_data   what waits goes to `processed_data`

Effects come first, each of them idempotent, then the offsets are committed: delivery is at least once, its
effects are effectively once.
"""

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event as Flag
from uuid import uuid4

import structlog

from loan_default.data.feeds import Feed, Slice
from loan_default.data.schema import Schema
from loan_default.database.connect import Database
from loan_default.database.ingestion_documents import EventOutcome, IngestionBatch, OffsetRange, RawDataLog
from loan_default.database.ingestion_repositories import (
    Arrival,
    IngestionBatchRepository,
    LogResult,
    RawDataLogRepository,
)
from loan_default.errors import DataError
from loan_default.failpoints import failpoint
from loan_default.kafka.broker import Broker, Producer
from loan_default.kafka.consuming import Pace, drain, follow
from loan_default.kafka.dead_letters import dead_letter, unsent_letter, without_content
from loan_default.kafka.events import Event, EventType, to_message
from loan_default.kafka.messages import Message, Partition, Record, next_offsets
from loan_default.kafka.outbox import Outbox
from loan_default.kafka.topics import PROCESSED, RAW, dead_letter_topic
from loan_default.pipelines.judging import Judge, Judged

GROUP = "processing"
"""Consumer group of `process_raw_data`."""
OUTBOX = "outbox"
"""Folder of what waits to be sent, under the home folder."""

_COUNTS = ("consumed", "accepted", "rejected", "duplicates", "redelivered")

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """What the steps work on."""

    broker: Broker
    database: Database
    schema: Schema
    outbox: Outbox
    pace: Pace = field(default_factory=Pace)
    run: str = field(default_factory=lambda: uuid4().hex)
    """Id of the run, in the documents of its batches."""

    @property
    def schema_name(self) -> str:
        """Name and digest of the schema, in the events."""
        return f"{self.schema.name}/{self.schema.digest[:12]}"


@dataclass(slots=True)
class Ingested:
    """What became of the rows of a feed: rows = sent + refused."""

    sent: int = 0
    """Events that are on the topic; some may be there twice after a crash, with the same id."""
    refused: int = 0
    """Over the broker's limit: they are dead letters without their content."""


@dataclass(slots=True)
class Processed:
    """What became of the records: consumed = accepted + rejected + duplicates + redelivered."""

    consumed: int = 0
    accepted: int = 0
    rejected: int = 0
    duplicates: int = 0
    redelivered: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    """Stage -> time it took, all batches together."""


def ingest_raw_data(flow: Flow, feed: Feed, *, stop: Flag | None = None) -> Ingested:
    """Send the rows of a feed as events; the feed remembers how far it has come.

    Raises:
        DependencyError: the broker is away; what was not confirmed is sent again by the next call.
        DataError: the feed's file cannot be used.
    """
    flow.broker.check_topics([RAW, dead_letter_topic(RAW)])
    producer, ingested, schema = flow.broker.producer(), Ingested(), flow.schema_name
    try:
        for piece in feed.slices():
            delivery = producer.deliver(_events(piece, schema))
            now, refused = datetime.now(UTC), delivery.refused
            producer.deliver(unsent_letter(each.message, reason=each.reason, now=now) for each in refused)
            failpoint("slice_delivered")
            piece.done()
            ingested.sent += delivery.delivered
            ingested.refused += len(refused)
            if stop is not None and stop.is_set():
                break
    finally:
        producer.close()
    log.info("raw_data_ingested", run=flow.run, sent=ingested.sent, refused=ingested.refused)
    return ingested


def process_raw_data(
    flow: Flow, *, records: int | None = None, seconds: float | None = None, stop: Flag | None = None
) -> Processed:
    """Judge what is on `raw_data` now, or so many records, or for so long.

    Raises:
        DependencyError: broker or database were away for longer than the patience; nothing of the batch in
            hand is committed.
    """
    ends = flow.broker.end_offsets(RAW)
    with _Worker(flow) as worker:
        drain(worker.consumer, worker, ends=ends, pace=flow.pace, records=records, seconds=seconds, stop=stop)
    log.info("raw_data_processed", run=flow.run, **_counts(worker.processed))
    return worker.processed


def send_processed_data(flow: Flow) -> int:
    """Send what was accepted to `processed_data`; returns how many events.

    Raises:
        DependencyError: the broker is away; the rest stays for the next call.
    """
    flow.broker.check_topics([PROCESSED])
    producer = flow.broker.producer()
    try:
        sent = flow.outbox.send(producer)
    finally:
        producer.close()
    log.info("processed_data_sent", run=flow.run, sent=sent)
    return sent


def follow_raw_data(flow: Flow, *, stop: Flag) -> Processed:
    """Judge and send as records come, until told to stop; the batch in hand is finished.

    Raises:
        DependencyError: as the steps that it is made of.
    """
    flow.broker.check_topics([PROCESSED])
    with _Worker(flow) as worker:

        def handle(records: list[Record]) -> None:
            worker(records)
            flow.outbox.send(worker.producer)

        flow.outbox.send(worker.producer)  # what an earlier run left
        follow(worker.consumer, handle, stop=stop, pace=flow.pace)
    log.info("raw_data_followed", run=flow.run, **_counts(worker.processed))
    return worker.processed


class _Worker:
    """One member of the group with its producer; called with a batch of records, it has all their effects."""

    def __init__(self, flow: Flow) -> None:
        flow.broker.check_topics([RAW, dead_letter_topic(RAW)])
        self._flow = flow
        self._judge = Judge(flow.schema)
        self._logs = RawDataLogRepository(flow.database)
        self._batches = IngestionBatchRepository(flow.database)
        self._name = f"{socket.gethostname()}-{os.getpid()}"
        self._schema = flow.schema_name
        self.processed = Processed()
        for repository in (self._logs, self._batches):
            repository.ensure_indexes()

    def __enter__(self) -> "_Worker":
        self.producer: Producer = self._flow.broker.producer()
        self.consumer = self._flow.broker.consumer(GROUP, [RAW])
        return self

    def __exit__(self, *_: object) -> None:
        self.consumer.close()
        self.producer.close()

    def __call__(self, records: list[Record]) -> None:
        clock, started_at, batch = _Clock(), datetime.now(UTC), uuid4().hex
        judged = [self._judge(record) for record in records]
        clock.lap("judge")
        result = self._logs.add_new([_log_of(each, batch, started_at) for each in judged])
        clock.lap("log")
        failpoint("logged")
        todo = _to_do(judged, result)
        letters = [
            dead_letter(each.record, reason=each.reason, now=started_at) for each in todo if each.reason
        ]
        delivery = self.producer.deliver(letters)
        # A record that its topic could hold, with our headers on it, may be too large for the dead letters.
        self.producer.deliver(without_content(each.message) for each in delivery.refused)
        clock.lap("dead_letters")
        failpoint("dead_letters_sent")
        self._flow.outbox.put(self._processed_event(each) for each in todo if not each.reason)
        clock.lap("outbox")
        failpoint("outbox_written")
        new = [each for each, arrival in zip(judged, result.arrivals, strict=True) if arrival is Arrival.NEW]
        rejected = sum(1 for each in new if each.reason)
        document = IngestionBatch(
            batch=batch,
            run=self._flow.run,
            worker=self._name,
            ranges=_ranges(records),
            consumed=len(records),
            accepted=len(new) - rejected,
            rejected=rejected,
            duplicates=result.count(Arrival.DUPLICATE),
            redelivered=result.count(Arrival.REDELIVERED),
            started_at=started_at,
            seconds=dict(clock.seconds),
        )
        self._batches.add(document)
        clock.lap("batch")
        failpoint("batch_stored")
        self._count(document, clock)

    def _processed_event(self, judged: Judged) -> Message:
        assert judged.event is not None
        event = Event(
            id=judged.event_id,
            type=EventType.PROCESSED if judged.event.type == EventType.RECEIVED else EventType.OUTCOME,
            source="processing",
            time=judged.event.time,
            subject=judged.event.subject,
            schema=self._schema,
            data=judged.canonical or {},
        )
        return to_message(event, PROCESSED)

    def _count(self, document: IngestionBatch, clock: "_Clock") -> None:
        total = self.processed
        for name in _COUNTS:
            setattr(total, name, getattr(total, name) + getattr(document, name))
        for stage, seconds in clock.seconds.items():
            total.seconds[stage] = total.seconds.get(stage, 0.0) + seconds


class _Clock:
    def __init__(self) -> None:
        self._last = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = now - self._last
        self._last = now


def _events(piece: Slice, schema: str) -> list[Message]:
    now = datetime.now(UTC)
    return [
        to_message(
            Event(
                id=row.event_id,
                type=EventType.RECEIVED,
                source=piece.source,
                time=now,
                subject=row.subject,
                schema=schema,
                data=row.data,
            ),
            RAW,
        )
        for row in piece.rows
    ]


def _log_of(judged: Judged, batch: str, now: datetime) -> RawDataLog:
    place = judged.record.partition
    return RawDataLog(
        event=judged.event_id,
        topic=place.topic,
        partition=place.number,
        offset=judged.record.offset,
        batch=batch,
        outcome=EventOutcome.REJECTED if judged.reason else EventOutcome.ACCEPTED,
        reason=judged.reason or None,
        application=judged.event.subject if judged.event else None,
        sent_at=judged.event.time if judged.event else None,
        logged_at=now,
    )


def _to_do(judged: Sequence[Judged], result: LogResult) -> list[Judged]:
    """What has effects: all but what another record has the effects of.

    Raises:
        DataError: the schema has changed since an event was logged, and with it what becomes of the event.
    """
    todo = []
    for each, arrival, outcome in zip(judged, result.arrivals, result.outcomes, strict=True):
        if arrival is Arrival.DUPLICATE:
            continue
        if (outcome is EventOutcome.REJECTED) != bool(each.reason):
            raise DataError(
                "a batch must be finished with the schema that it was begun with, however: "
                f"{each.record.place} is logged as {outcome}, and this schema says otherwise. Run with the "
                "former schema until the batch is committed."
            )
        todo.append(each)
    return todo


def _ranges(records: list[Record]) -> tuple[OffsetRange, ...]:
    """Which offsets of each partition the records have."""
    first: dict[Partition, int] = {}
    for record in records:
        first.setdefault(record.partition, record.offset)
    return tuple(
        OffsetRange(topic=place.topic, partition=place.number, first=first[place], next=end)
        for place, end in next_offsets(records).items()
    )


def _counts(processed: Processed) -> dict[str, int]:
    return {name: getattr(processed, name) for name in _COUNTS}

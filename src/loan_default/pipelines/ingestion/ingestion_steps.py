"""Applications on their way: source → `raw_data` → judged → `processed_data`, every one accounted for.

Three steps, each safe to repeat and to run several times at once:

    ingest_raw_data       rows of a feed become events on `raw_data`
    process_raw_data      each event is logged as accepted or rejected; dead letters are sent, the rest waits
    send_processed_data   what waits goes to `processed_data`

Effects come first, each of them idempotent, then the offsets are committed: delivery is at least once, its
effects are effectively once.
"""

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event as Flag

import structlog

from loan_default.data.sources.feeds import Feed, Slice
from loan_default.failpoints import failpoint
from loan_default.kafka.consuming import drain, follow
from loan_default.kafka.dead_letters import unsent_letter
from loan_default.kafka.events import Event, EventType, to_message
from loan_default.kafka.messages import Message
from loan_default.kafka.topics import PROCESSED, RAW, dead_letter_topic
from loan_default.pipelines.ingestion.worker import Processed, Worker
from loan_default.pipelines.services import Flow

log = structlog.get_logger()


@dataclass(slots=True)
class Ingested:
    """What became of the rows of a feed: rows = sent + refused."""

    sent: int = 0
    """Events that are on the topic; some may be there twice after a crash, with the same id."""
    refused: int = 0
    """Over the broker's limit: they are dead letters without their content."""


def ingest_raw_data(flow: Flow, feed: Feed, *, stop: Flag | None = None) -> Ingested:
    """Send the rows of a feed as events; the feed remembers how far it has come.

    Raises:
        DependencyError: the broker is away; what was not confirmed is sent again by the next call.
        DataError: the feed's file cannot be used.
    """
    ingested, schema = Ingested(), flow.schema_name
    with closing(flow.broker.producer()) as producer:
        for number, piece in enumerate(feed.slices()):
            if not number:
                flow.broker.check_topics([RAW, dead_letter_topic(RAW)])
            delivery = producer.deliver(_events(piece, schema))
            now, refused = datetime.now(UTC), delivery.refused
            producer.deliver(unsent_letter(each.message, reason=each.reason, now=now) for each in refused)
            failpoint("slice_delivered")
            piece.done()
            ingested.sent += delivery.delivered
            ingested.refused += len(refused)
            if stop is not None and stop.is_set():
                break
    log.info("raw_data_ingested", run=flow.run, sent=ingested.sent, refused=ingested.refused)
    return ingested


def process_raw_data(flow: Flow, *, stop: Flag | None = None) -> Processed:
    """Judge what is on `raw_data` now.

    Raises:
        DependencyError: broker or database were away for longer than the patience; nothing of the batch in
            hand is committed.
    """
    ends = flow.broker.end_offsets(RAW)
    with Worker(flow, keep=flow.outbox.put) as worker:
        drain(worker.consumer, worker, ends=ends, pace=flow.pace, stop=stop)
    log.info("raw_data_processed", run=flow.run, **worker.processed.counts)
    return worker.processed


def send_processed_data(flow: Flow) -> int:
    """Send what was accepted to `processed_data`; returns how many events.

    Raises:
        DependencyError: the broker is away; the rest stays for the next call.
    """
    flow.broker.check_topics([PROCESSED])
    with closing(flow.broker.producer()) as producer:
        sent = flow.outbox.send(producer)
    log.info("processed_data_sent", run=flow.run, sent=sent)
    return sent


def follow_raw_data(flow: Flow, *, stop: Flag) -> Processed:
    """Judge and send as records come, until told to stop; the batch in hand is finished.

    Raises:
        DependencyError: as the steps that it is made of.
    """
    flow.broker.check_topics([PROCESSED])
    with Worker(flow) as worker:
        flow.outbox.send(worker.producer)  # what an earlier run left
        follow(worker.consumer, worker, stop=stop, pace=flow.pace)
    log.info("raw_data_followed", run=flow.run, **worker.processed.counts)
    return worker.processed


def _events(piece: Slice, schema: str) -> list[Message]:
    now = datetime.now(UTC)
    # Each a little later: of two states of an application in one file the second is the later one.
    return [
        to_message(
            Event(
                id=row.event_id,
                type=EventType.RECEIVED,
                source=piece.source,
                time=now + timedelta(microseconds=place),
                subject=row.subject,
                schema=schema,
                data=row.data,
            ),
            RAW,
        )
        for place, row in enumerate(piece.rows)
    ]

"""Applications on their way: source → `raw_data` → validated → `processed_data`, every one accounted for.

Three steps, each safe to repeat and to run several times at once:

    ingest_raw_data       rows of a feed become events on `raw_data`
    process_raw_data      each event is logged; rejected ones are sent as dead-letter records, the rest waits
    send_processed_data   what waits goes to `processed_data`

Effects come first, each of them idempotent, then the offsets are committed: delivery is at least once, its
effects are effectively once.
"""

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event as Flag

import structlog

from loan_default.data.sources.feeds import Feed, FeedBatch
from loan_default.failpoints import failpoint
from loan_default.kafka.consuming import drain, follow
from loan_default.kafka.dead_letters import unsent_dead_letter_message
from loan_default.kafka.events import Event, EventType, to_message
from loan_default.kafka.messages import Message
from loan_default.kafka.topics import PROCESSED, RAW, dead_letter_topic
from loan_default.pipelines.ingestion.worker import Processed, Worker
from loan_default.pipelines.services import Services

log = structlog.get_logger()


@dataclass(slots=True)
class Ingested:
    """How many rows of a feed were sent and how many refused: rows = sent + refused."""

    sent: int = 0
    """Events that are on the topic; some may be there twice after a crash, with the same id."""
    refused: int = 0
    """Over the broker's limit: they are dead-letter records without their content."""


def ingest_raw_data(services: Services, feed: Feed, *, stop: Flag | None = None) -> Ingested:
    """Send the rows of a feed as events; the feed remembers how far it has come.

    Raises:
        DependencyError: the broker is away; what was not confirmed is sent again by the next call.
        DataError: the feed's file cannot be used.
    """
    ingested, schema = Ingested(), services.schema_name
    with closing(services.broker.producer()) as producer:
        for number, batch in enumerate(feed.batches()):
            if not number:
                services.broker.check_topics([RAW, dead_letter_topic(RAW)])
            delivery = producer.deliver(_events(batch, schema))
            now, refused = datetime.now(UTC), delivery.refused
            producer.deliver(
                unsent_dead_letter_message(each.message, reason=each.reason, now=now) for each in refused
            )
            failpoint("batch_delivered")
            batch.done()
            ingested.sent += delivery.delivered
            ingested.refused += len(refused)
            if stop is not None and stop.is_set():
                break
    log.info("raw_data_ingested", run=services.run, sent=ingested.sent, refused=ingested.refused)
    return ingested


def process_raw_data(services: Services, *, stop: Flag | None = None) -> Processed:
    """Validate what is on `raw_data` now.

    Raises:
        DependencyError: broker or database were away for longer than the retry budget; nothing of the
            current batch is committed.
    """
    ends = services.broker.end_offsets(RAW)
    with Worker(services, keep=services.outbox.put) as worker:
        drain(worker.consumer, worker, ends=ends, polling=services.polling, stop=stop)
    log.info("raw_data_processed", run=services.run, **worker.processed.counts)
    return worker.processed


def send_processed_data(services: Services) -> int:
    """Send what was accepted to `processed_data`; returns how many events.

    Raises:
        DependencyError: the broker is away; the rest stays for the next call.
    """
    services.broker.check_topics([PROCESSED])
    with closing(services.broker.producer()) as producer:
        sent = services.outbox.send(producer)
    log.info("processed_data_sent", run=services.run, sent=sent)
    return sent


def follow_raw_data(services: Services, *, stop: Flag) -> Processed:
    """Validate and send records as they come until `stop` is set; the current batch is finished.

    Raises:
        DependencyError: as the steps that it is made of.
    """
    services.broker.check_topics([PROCESSED])
    with Worker(services) as worker:
        services.outbox.send(worker.producer)  # what an earlier run left
        follow(worker.consumer, worker, stop=stop, polling=services.polling)
    log.info("raw_data_followed", run=services.run, **worker.processed.counts)
    return worker.processed


def _events(batch: FeedBatch, schema: str) -> list[Message]:
    now = datetime.now(UTC)
    # Each a little later: of two states of an application in one file the second is the later one.
    return [
        to_message(
            Event(
                id=row.event_id,
                type=EventType.RECEIVED,
                source=batch.source,
                time=now + timedelta(microseconds=index),
                subject=row.subject,
                schema=schema,
                data=row.data,
            ),
            RAW,
        )
        for index, row in enumerate(batch.rows)
    ]

"""The whole way of applications in one process, for a broker in memory, which is gone when the process ends.

A batch of a feed is in the training store before the feed's watermark moves: who is stopped, or finds the
database away, leaves what was not finished to the next run. What has to outlive the process lies in files:
dead-letter records (`kafka/kept_topics.py`), replayed events and accepted ones (`kafka/outbox.py`).
"""

from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event as Flag

import structlog

from loan_default.data.sources.feeds import Feed, FeedBatch
from loan_default.failpoints import failpoint
from loan_default.pipelines.ingestion.ingestion_steps import (
    Ingested,
    ingest_raw_data,
    process_raw_data,
)
from loan_default.pipelines.ingestion.training_store_writer import store_processed_data
from loan_default.pipelines.ingestion.worker import Processed
from loan_default.pipelines.services import Services

log = structlog.get_logger()


@dataclass(slots=True)
class Taken:
    """How many rows of a feed came how far on their way to the training store."""

    ingested: Ingested = field(default_factory=Ingested)
    processed: Processed = field(default_factory=Processed)
    sent: int = 0
    """Events that were sent to `processed_data`."""
    stored: int = 0
    """Events that were written to the training store."""


def take_to_store(services: Services, feed: Feed | None, folder: Path, *, stop: Flag) -> Taken:
    """Take what waits, replayed events too, and the rows of a feed, from the source to the training store.

    Args:
        feed: None = only what is on the broker and in the outbox.
        folder: of the training store.
        stop: set it to stop after the current batch, which is finished.

    Raises:
        DependencyError: the database was away for longer than the retry budget.
        DataError: the feed's file cannot be used.
    """
    # All that will come is there already: waiting for more would be as long as the work.
    services, taken = replace(services, polling=replace(services.polling, poll_seconds=0.0)), Taken()
    finished = 0

    def finish() -> None:
        nonlocal finished
        # What lies in files stays there until its effects do: the broker in memory may be gone at any time.
        with closing(services.broker.producer()) as producer:
            replays = services.replays.sending(producer) if services.replays is not None else nullcontext()
            with replays:
                taken.processed.add(process_raw_data(services))
                failpoint("replays_processed")
            with services.outbox.sending(producer) as sent:
                failpoint("outbox_sent")
                taken.stored += store_processed_data(services, folder).records
                failpoint("events_stored")
            log.info("processed_data_sent", run=services.run, sent=sent)
            taken.sent += sent
        finished += 1

    if feed is not None:
        taken.ingested = ingest_raw_data(services, _Finished(feed, finish), stop=stop)
    if not finished:
        finish()  # what an earlier process left in the outbox, and what was replayed
    return taken


@dataclass(frozen=True, slots=True)
class _Finished:
    """A feed each of whose batches is in the training store before the feed's watermark moves past it."""

    feed: Feed
    finish: Callable[[], None]

    def batches(self) -> Iterator[FeedBatch]:
        for batch in self.feed.batches():

            def done(batch: FeedBatch = batch) -> None:
                self.finish()
                batch.done()

            yield replace(batch, done=done)

"""`ingest` as one call: take what a feed has once, or follow it, in this process or over Kafka.

On Kafka one thread feeds `raw_data` and another one processes it. With a broker in memory nothing outlives
the process, so each batch of a feed goes all the way to the training store before the next (`in_process`).
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event as Flag
from threading import Thread

import structlog

from loan_default.data.sources.feeds import Feed
from loan_default.errors import DependencyError
from loan_default.kafka.memory import MemoryBroker
from loan_default.pipelines.ingestion.in_process import Taken, take_to_store
from loan_default.pipelines.ingestion.ingestion_steps import (
    follow_raw_data,
    ingest_raw_data,
    process_raw_data,
    send_processed_data,
)
from loan_default.pipelines.ingestion.skipped_files import log_skipped, skipped_files
from loan_default.pipelines.ingestion.training_store_writer import store_processed_data
from loan_default.pipelines.ingestion.worker import Processed
from loan_default.pipelines.services import Services

FEED_SECONDS = 2.0
"""The pause between two looks at a source that is followed."""

log = structlog.get_logger()


def ingest_once(services: Services, feed: Feed | None, folder: Path, *, stop: Flag) -> Taken:
    """Take what a feed has now to `processed_data` and the training store.

    Args:
        feed: None = only what is on `raw_data` and in the outbox.
        folder: of the training store.
        stop: set it to stop after the current batch.

    Raises:
        DependencyError: broker or database were away for longer than the retry budget.
        DataError: the feed's file cannot be used.
    """
    if isinstance(services.broker, MemoryBroker):
        return take_to_store(services, feed, folder, stop=stop)
    return take_in_steps(services, feed, folder, stop=stop)


def follow_feed(services: Services, feed: Feed | None, folder: Path, *, stop: Flag) -> Processed:
    """Take what a feed has as `ingest_once` does, again and again until `stop` is set."""
    if not isinstance(services.broker, MemoryBroker):
        return follow_in_threads(services, feed, stop=stop)
    processed = Processed()

    def take() -> None:
        processed.add(take_to_store(services, feed, folder, stop=stop).processed)

    _take_repeatedly(services, feed, take, stop=stop)
    return processed


def take_in_steps(services: Services, feed: Feed | None, folder: Path, *, stop: Flag) -> Taken:
    """Take what a feed has through the topics of a broker that outlives this process, step by step."""
    taken = Taken()
    if feed is not None:
        taken.ingested = ingest_raw_data(services, feed, stop=stop)
    if not stop.is_set():
        taken.processed = process_raw_data(services, stop=stop)
    taken.sent = send_processed_data(services)
    taken.stored = store_processed_data(services, folder, stop=stop).records
    return taken


def follow_in_threads(services: Services, feed: Feed | None, *, stop: Flag) -> Processed:
    """Feed `raw_data` in one thread and process it in this one until `stop` is set.

    The error of either thread ends both. The training store is not written: `loan-default prepare` brings it
    up to date.
    """
    failed: list[BaseException] = []

    def feeding() -> None:
        try:
            if feed is not None:
                _take_repeatedly(
                    services, feed, partial(ingest_raw_data, services, feed, stop=stop), stop=stop
                )
        except BaseException as error:  # raised again by the main thread
            failed.append(error)
            stop.set()

    thread = Thread(target=feeding)
    thread.start()
    try:
        processed = follow_raw_data(services, stop=stop)
    finally:
        stop.set()
        thread.join()
    if failed:
        raise failed[0]
    return processed


def _take_repeatedly(
    services: Services, feed: Feed | None, take: Callable[[], object], *, stop: Flag
) -> None:
    """Take what a feed has until the flag is set; wait for a server within the retry budget."""
    answered = time.monotonic()
    logged: set[tuple[str, str]] = set()
    while not stop.is_set():
        try:
            take()
            answered = time.monotonic()
            logged = _log_skipped(feed, logged)
        except DependencyError as error:
            if time.monotonic() - answered > services.polling.retry_budget_seconds:
                raise
            log.warning("feed_waits", reason=str(error))
        stop.wait(FEED_SECONDS)


def _log_skipped(feed: Feed | None, logged: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Log the files of a folder that were not taken, each once for as long as it lies there; return them."""
    if feed is None:
        return set()
    lying: set[tuple[str, str]] = set()
    for skipped in skipped_files(feed):
        lying.add((skipped.kind, skipped.name))
        if (skipped.kind, skipped.name) in logged:
            continue
        log_skipped(skipped)
    return lying

"""Which of the events that were sent again are unfinished, and that they are finished once."""

from datetime import UTC, datetime

import pytest

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.database.ingestion_documents import EventStatus, IngestionBatch, OffsetRange, RawDataLog
from loan_default.database.ingestion_repositories import (
    Arrival,
    IngestionBatchRepository,
    LogResult,
    RawDataLogRepository,
)
from loan_default.kafka.consuming import Polling
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.messages import Message
from loan_default.kafka.topics import RAW, Topic
from loan_default.pipelines.ingestion.unfinished_events import UnfinishedEvents

SCHEMA = Schema(name="loans", columns=(Column(name="income", kind=Kind.NUMERICAL),))
NOW = datetime(2026, 11, 29, tzinfo=UTC)
FIRST = 100
DUPLICATE, NEW, REDELIVERED = Arrival.DUPLICATE, Arrival.NEW, Arrival.REDELIVERED


@pytest.fixture
def unfinished(new_services) -> UnfinishedEvents:
    """A broker whose one partition holds the offsets 100 to 102, and an empty log."""
    database = new_services(SCHEMA, Polling()).database
    broker = MemoryBroker(first_offset=FIRST)
    broker.create_topics([Topic(name=RAW, partitions=1)])
    broker.producer().deliver(Message(topic=RAW, key=b"k", value=b"{}") for _ in range(3))
    logs, batches = RawDataLogRepository(database), IngestionBatchRepository(database)
    logs.ensure_indexes()
    return UnfinishedEvents(broker=broker, logs=logs, batches=batches)


def logged(unfinished: UnfinishedEvents, event: str, offset: int, *, batch: str, topic: str = RAW) -> None:
    log = RawDataLog(
        event=event,
        topic=topic,
        partition=0,
        offset=offset,
        batch=batch,
        outcome=EventStatus.ACCEPTED,
        logged_at=NOW,
    )
    unfinished.logs.add_new([log])


def finished(unfinished: UnfinishedEvents, batch: str) -> None:
    counts = {"consumed": 1, "accepted": 1, "rejected": 0, "duplicates": 0, "redelivered": 0}
    ranges = (OffsetRange(topic=RAW, partition=0, first=0, next=1),)
    document = IngestionBatch(
        batch=batch, run="r", worker="w", ranges=ranges, started_at=NOW, seconds={}, **counts
    )
    unfinished.batches.add(document)


def arrivals(unfinished: UnfinishedEvents, *pairs: tuple[str, Arrival], batch: str) -> tuple[Arrival, ...]:
    events, given = zip(*pairs, strict=True)
    result = LogResult(arrivals=given, statuses=(EventStatus.ACCEPTED,) * len(given))
    return unfinished.take_over(result, events, batch=batch).arrivals


@pytest.mark.parametrize("offset", [FIRST - 1, FIRST + 3], ids=["before the first", "at the end"])
def test_an_event_of_a_dead_batch_whose_record_is_gone_is_finished_once(unfinished, offset):
    logged(unfinished, "a", offset, batch="dead")
    pairs = [("a", DUPLICATE), ("b", NEW), ("a", DUPLICATE)]
    assert arrivals(unfinished, *pairs, batch="here") == (REDELIVERED, NEW, DUPLICATE)
    assert arrivals(unfinished, ("a", DUPLICATE), batch="here") == (DUPLICATE,), "this batch has it in hand"
    finished(unfinished, "here")
    assert arrivals(unfinished, ("a", DUPLICATE), batch="next") == (DUPLICATE,)


def test_an_event_whose_next_batch_dies_too_is_taken_over_again(unfinished):
    logged(unfinished, "a", 5, batch="dead")
    for batch in ("dies", "dies too", "lives"):
        assert arrivals(unfinished, ("a", DUPLICATE), batch=batch) == (REDELIVERED,)


@pytest.mark.parametrize("offset", [FIRST, FIRST + 2])
def test_an_event_whose_record_is_on_the_broker_is_left_to_who_reads_that(unfinished, offset):
    logged(unfinished, "a", offset, batch="dead or in hand elsewhere")
    assert arrivals(unfinished, ("a", DUPLICATE), batch="here") == (DUPLICATE,)


def test_an_event_of_a_finished_batch_stays_a_duplicate(unfinished):
    logged(unfinished, "a", 5, batch="done")
    finished(unfinished, "done")
    assert arrivals(unfinished, ("a", DUPLICATE), batch="here") == (DUPLICATE,)


def test_an_event_of_a_topic_that_was_put_away_is_finished(unfinished):
    logged(unfinished, "a", FIRST, batch="dead", topic=f"{RAW}@20261129T000000")
    assert arrivals(unfinished, ("a", DUPLICATE), batch="here") == (REDELIVERED,)


def test_a_record_that_is_delivered_again_moves_to_the_batch_that_finishes_it(unfinished):
    logged(unfinished, "a", FIRST, batch="earlier try")
    pairs = [("a", REDELIVERED), ("a", DUPLICATE), ("b", NEW)]
    assert arrivals(unfinished, *pairs, batch="here") == (REDELIVERED, DUPLICATE, NEW)
    assert [log.event for log in unfinished.logs.of_batch("here")] == ["a"]
    finished(unfinished, "here")
    assert arrivals(unfinished, ("a", DUPLICATE), batch="next") == (DUPLICATE,)


def test_a_record_that_is_delivered_again_stays_with_the_batch_that_has_finished_it(unfinished):
    logged(unfinished, "a", FIRST, batch="done")
    finished(unfinished, "done")
    assert arrivals(unfinished, ("a", REDELIVERED), batch="here") == (REDELIVERED,)
    assert [log.event for log in unfinished.logs.of_batch("done")] == ["a"]


def test_of_a_record_that_is_delivered_again_and_gone_since_the_copy_stays_a_duplicate(unfinished):
    logged(unfinished, "a", FIRST - 1, batch="earlier try")
    pairs = [("a", REDELIVERED), ("a", DUPLICATE)]
    assert arrivals(unfinished, *pairs, batch="here") == (REDELIVERED, DUPLICATE)

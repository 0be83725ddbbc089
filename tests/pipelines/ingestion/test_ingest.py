"""One call takes what a feed has, or follows it, over a broker that outlives the process or does not."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from threading import Event as Flag
from threading import Thread

import pytest
from structlog.testing import capture_logs

from loan_default.data.datasets.training_store import read_store
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.sources.feeds import FeedBatch, GeneratedFeed
from loan_default.data.sources.folder_feed import FolderFeed
from loan_default.errors import DataError, DependencyError
from loan_default.kafka.consuming import Polling
from loan_default.kafka.topics import PROCESSED, PROCESSING, RAW
from loan_default.pipelines.ingestion import ingest
from loan_default.pipelines.ingestion.ingest import (
    follow_feed,
    follow_in_threads,
    ingest_once,
    take_in_steps,
)
from loan_default.pipelines.services import Services

SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="id", kind=Kind.IDENTIFIER),
        Column(name="income", kind=Kind.NUMERICAL, minimum=0, nullable=True),
        Column(name="bad", kind=Kind.TARGET),
    ),
)


class FailingFeed:
    """A feed whose every look fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.looks = 0

    def batches(self) -> Iterator[FeedBatch]:
        self.looks += 1
        raise self.error
        yield


@pytest.fixture
def services(new_services, monkeypatch) -> Services:
    monkeypatch.setattr(ingest, "FEED_SECONDS", 0.02)
    return new_services(
        SCHEMA, Polling(poll_seconds=0.01, first_pause_seconds=0.01, retry_budget_seconds=0.2)
    )


def feed_of(home, *, rows: int) -> GeneratedFeed:
    return GeneratedFeed(SCHEMA, rows=rows, seed=5, state=home / "feed.json", batch_rows=50)


def stored(home) -> int:
    return len(read_store(home / "store", SCHEMA, maturity_days=0, now=datetime.now(UTC)).frame)


@pytest.mark.slow
@pytest.mark.parametrize("take", [ingest_once, take_in_steps])
def test_what_a_feed_has_is_in_the_training_store_however_it_goes(services, tmp_path, take):
    taken = take(services, feed_of(tmp_path, rows=120), tmp_path / "store", stop=Flag())
    assert (taken.ingested.sent, taken.processed.accepted, taken.sent, taken.stored) == (120,) * 4
    assert stored(tmp_path) == 120


def test_steps_that_are_stopped_leave_the_records_on_the_topic(services, tmp_path):
    stop = Flag()
    stop.set()
    taken = take_in_steps(services, feed_of(tmp_path, rows=120), tmp_path / "store", stop=stop)
    assert (taken.ingested.sent, taken.processed.consumed) == (50, 0)
    taken = take_in_steps(services, None, tmp_path / "store", stop=Flag())
    assert (taken.ingested.sent, taken.stored) == (0, 50)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["in process", "in threads"])
def test_a_feed_is_followed_until_the_flag_is_set(services, tmp_path, kind):
    stop, results = Flag(), []
    feed = feed_of(tmp_path, rows=60)

    def follow() -> None:
        if kind == "in process":
            results.append(follow_feed(services, feed, tmp_path / "store", stop=stop))
        else:
            results.append(follow_in_threads(services, feed, stop=stop))

    thread = Thread(target=follow)
    thread.start()
    for _ in range(1_000):
        if sum(services.broker.end_offsets(PROCESSED).values()) >= 180:  # three looks of 60 rows
            break
        thread.join(0.02)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    assert results[0].accepted >= 180
    done = services.broker.committed(PROCESSING, RAW)
    assert sum(done.values()) == results[0].consumed, "the current batch is finished"
    if kind == "in process":
        # In threads, rows may be sent after the last poll; Kafka keeps them for the next run.
        assert done == services.broker.end_offsets(RAW)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["in process", "in threads"])
def test_a_server_that_is_away_is_waited_for_within_the_retry_budget(services, tmp_path, kind):
    feed = FailingFeed(DependencyError("away"))
    if kind == "in process":
        follow = partial(follow_feed, services, feed, tmp_path / "store")
    else:
        follow = partial(follow_in_threads, services, feed)
    with pytest.raises(DependencyError, match="away"):
        follow(stop=Flag())
    assert feed.looks > 2


def test_a_feed_that_cannot_be_used_ends_both_threads_at_once(services):
    feed = FailingFeed(DataError("no such column"))
    with pytest.raises(DataError, match="no such column"):
        follow_in_threads(services, feed, stop=Flag())
    assert feed.looks == 1


def test_a_file_that_is_not_taken_is_logged_once_while_it_lies_there(services, tmp_path):
    incoming = tmp_path / "in"
    incoming.mkdir()
    (incoming / "notes.txt").write_text("hello")
    os.utime(incoming / "notes.txt", (1, 1))
    (incoming / "growing.csv.part").write_text("x")
    looks = []

    class Stop(Flag):
        def wait(self, timeout=None) -> bool:
            looks.append(timeout)
            if len(looks) == 3:
                self.set()
            return self.is_set()

    with capture_logs() as logs:
        follow_feed(services, FolderFeed(incoming, SCHEMA), tmp_path / "store", stop=Stop())
    assert len(looks) == 3
    files = [(each["event"], each["log_level"], each["name"]) for each in logs if "name" in each]
    assert sorted(files) == [
        ("file_left_out", "warning", "notes.txt"),
        ("file_waits", "info", "growing.csv.part"),
    ]

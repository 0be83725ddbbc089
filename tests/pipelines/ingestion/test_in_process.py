"""From rows to the training store in one process: whatever stops it, the next one brings the rest."""

import itertools
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event as Flag

import pytest
from conftest import SCHEMA as LOANS
from damaged_tables import check_refusal, tables
from hypothesis import given, settings

from loan_default.data.datasets.training_store import read_store
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.sources.feeds import FileFeed, GeneratedFeed
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.ingestion_repositories import RawDataLogRepository
from loan_default.errors import DependencyError, LoanDefaultError
from loan_default.kafka.consuming import Polling
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.open_broker import connect
from loan_default.kafka.outbox import Outbox
from loan_default.kafka.topics import TOPICS
from loan_default.pipelines.ingestion import in_process
from loan_default.pipelines.ingestion.dead_letter_replay import replay, waiting_dead_letters
from loan_default.pipelines.ingestion.in_process import take_to_store
from loan_default.pipelines.ingestion.ingestion_steps import ingest_raw_data, process_raw_data
from loan_default.pipelines.services import Services
from loan_default.settings import Settings

SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="id", kind=Kind.IDENTIFIER),
        Column(name="income", kind=Kind.NUMERICAL, minimum=0, nullable=True),
        Column(name="bad", kind=Kind.TARGET),
    ),
)
POLLING = Polling(first_pause_seconds=0.01, retry_budget_seconds=0.1)


@pytest.fixture
def next_process(new_services) -> Callable[[], Services]:
    """The flow of a process after the others: a broker of its own, the database of them all."""
    ages = itertools.count(step=1_000_000)

    def start() -> Services:
        broker = MemoryBroker(first_offset=next(ages))
        broker.create_topics(TOPICS)
        return replace(new_services(SCHEMA, POLLING), broker=broker)

    return start


def feed_of(home: Path, *, rows: int) -> GeneratedFeed:
    return GeneratedFeed(SCHEMA, rows=rows, seed=5, state=home / "feed.json", batch_rows=50)


def with_least_income(minimum: float) -> Schema:
    columns = (replace(each, minimum=minimum) if each.name == "income" else each for each in SCHEMA.columns)
    return replace(SCHEMA, columns=tuple(columns))


def stored(home: Path) -> set[str]:
    contents = read_store(home / "store", SCHEMA, maturity_days=0, now=datetime.now(UTC))
    return set(contents.frame["id"])


@pytest.mark.slow
def test_a_feed_is_in_the_store(next_process, tmp_path):
    taken = take_to_store(next_process(), feed_of(tmp_path, rows=120), tmp_path / "store", stop=Flag())
    assert (taken.ingested.sent, taken.processed.accepted, taken.sent, taken.stored) == (120, 120, 120, 120)
    assert len(stored(tmp_path)) == 120


@pytest.mark.slow
def test_who_is_stopped_has_finished_what_was_sent(next_process, tmp_path):
    stop = Flag()
    stop.set()
    taken = take_to_store(next_process(), feed_of(tmp_path, rows=120), tmp_path / "store", stop=stop)
    assert taken.ingested.sent == taken.stored == len(stored(tmp_path)) == 50
    take_to_store(next_process(), feed_of(tmp_path, rows=70), tmp_path / "store", stop=Flag())
    assert len(stored(tmp_path)) == 120


@pytest.mark.slow
def test_a_database_that_is_away_loses_no_row(next_process, tmp_path, monkeypatch):
    def away(self, logs):
        raise DependencyError("the database must answer")

    monkeypatch.setattr(RawDataLogRepository, "add_new", away)
    with pytest.raises(DependencyError, match="the database must answer"):
        take_to_store(next_process(), feed_of(tmp_path, rows=120), tmp_path / "store", stop=Flag())
    monkeypatch.undo()
    take_to_store(next_process(), feed_of(tmp_path, rows=120), tmp_path / "store", stop=Flag())
    assert len(stored(tmp_path)) == 120


@pytest.mark.slow
@pytest.mark.parametrize("minimum", [0, 1e9], ids=["the same schema", "a schema that rejects them"])
def test_events_of_a_batch_that_was_tried_again_are_duplicates_when_they_are_sent_again(
    next_process, tmp_path, monkeypatch, minimum
):
    real, calls = RawDataLogRepository.add_new, []

    def answer_lost_once(self, logs):
        result = real(self, logs)
        calls.append(len(logs))
        if len(calls) == 1:
            raise DependencyError("the answer of the database was lost")
        return result

    monkeypatch.setattr(RawDataLogRepository, "add_new", answer_lost_once)
    taken = take_to_store(next_process(), feed_of(tmp_path, rows=50), tmp_path / "store", stop=Flag())
    assert (calls, taken.processed.redelivered, taken.stored) == ([50, 50], 50, 50)

    (tmp_path / "feed.json").unlink()  # the same rows once more
    services = replace(next_process(), schema=with_least_income(minimum))
    taken = take_to_store(services, feed_of(tmp_path, rows=50), tmp_path / "store", stop=Flag())
    assert (taken.processed.duplicates, taken.processed.redelivered) == (50, 0)
    assert (taken.sent, taken.stored) == (0, 0)


class EmptyFeed:
    def batches(self):
        return iter(())


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "times"), [(0, 1), (120, 3)])
def test_each_batch_is_finished_once_and_a_feed_without_rows_too(
    next_process, tmp_path, monkeypatch, rows, times
):
    real, calls = in_process.process_raw_data, []

    def counted(services):
        calls.append(services)
        return real(services)

    monkeypatch.setattr(in_process, "process_raw_data", counted)
    feed = feed_of(tmp_path, rows=rows) if rows else EmptyFeed()
    taken = take_to_store(next_process(), feed, tmp_path / "store", stop=Flag())
    assert (len(calls), taken.stored) == (times, rows)


@pytest.mark.slow
def test_what_waits_in_the_outbox_of_an_earlier_process_is_stored(next_process, tmp_path):
    services = next_process()
    ingest_raw_data(services, feed_of(tmp_path, rows=50))
    process_raw_data(services)
    take_to_store(next_process(), None, tmp_path / "store", stop=Flag())
    assert len(stored(tmp_path)) == 50


@pytest.mark.slow
def test_what_was_stored_is_no_longer_in_memory(new_services, tmp_path):
    services = replace(new_services(SCHEMA, POLLING), broker=connect(Settings(home=tmp_path)))
    assert isinstance(services.broker, MemoryBroker)
    for rows in (120, 80):
        taken = take_to_store(services, feed_of(tmp_path, rows=rows), tmp_path / "store", stop=Flag())
        assert taken.stored == rows
        held = {partition: len(log) for partition, log in services.broker.logs.items()}
        assert set(held.values()) == {0}, held
    assert len(stored(tmp_path)) == 200


@pytest.mark.slow
def test_rejected_records_and_their_replays_are_there_in_the_next_process(new_services, tmp_path):
    def next_services(schema: Schema = SCHEMA) -> Services:
        broker, replays = connect(Settings(home=tmp_path)), Outbox(tmp_path / "replays")
        return replace(new_services(schema, POLLING), broker=broker, replays=replays)

    strict = with_least_income(1e9)
    taken = take_to_store(next_services(strict), feed_of(tmp_path, rows=60), tmp_path / "store", stop=Flag())
    assert 0 < (rejected := taken.processed.rejected) == 60 - taken.stored
    assert taken.processed.rules == {"income: must be at least 1000000000": rejected}
    dead_letters = waiting_dead_letters(next_services())
    assert len(dead_letters) == rejected
    assert replay(next_services(), None).sent == rejected
    assert len(waiting_dead_letters(next_services())) == rejected, "their replay is not processed yet"
    taken = take_to_store(next_services(), None, tmp_path / "store", stop=Flag())
    assert (taken.processed.accepted, taken.stored) == (rejected, rejected)
    assert waiting_dead_letters(next_services()) == []
    assert len(stored(tmp_path)) == 60


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(table=tables())
def test_every_row_of_any_file_is_stored_or_a_dead_letter_record_or_the_file_is_refused(table):
    with TemporaryDirectory() as folder, closing(EmbeddedDatabase(Path(folder, "documents"))) as database:
        home, data, broker = Path(folder), Path(folder, table.name), MemoryBroker()
        data.write_bytes(table.content)
        broker.create_topics(TOPICS)
        services = Services(
            broker=broker, database=database, schema=LOANS, outbox=Outbox(home / "outbox"), polling=POLLING
        )
        feed = FileFeed(data, LOANS, state=home / "feed.json", batch_rows=15)
        try:
            taken = take_to_store(services, feed, home / "store", stop=Flag())
        except LoanDefaultError as refusal:
            check_refusal(table, refusal)
            return
        assert "cut file" not in table.damage
        dead_letters = len(waiting_dead_letters(services))
        again = take_to_store(services, feed, home / "store", stop=Flag())
    processed = taken.processed
    assert (taken.stored, processed.duplicates) == (processed.accepted, 0)
    assert dead_letters == processed.rejected + taken.ingested.refused
    assert taken.stored + dead_letters == taken.ingested.sent + taken.ingested.refused == table.rows
    assert (again.ingested.sent, again.stored) == (0, 0), "the file was sent to its end"

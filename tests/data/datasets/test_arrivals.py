"""Applications by their time of arrival, held against the store as a whole."""

from datetime import UTC, datetime, timedelta

import pytest

from loan_default.data.datasets.arrivals import read_arrivals
from loan_default.data.datasets.store_compaction import compact
from loan_default.data.datasets.store_parts import APPLICATION, OUTCOME, StoredEvent, write_part
from loan_default.data.datasets.training_store import read_store
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="event_id", kind=Kind.IDENTIFIER),
        Column(name="made", kind=Kind.TIMESTAMP),
        Column(name="income", kind=Kind.NUMERICAL),
        Column(name="bad", kind=Kind.TARGET),
    ),
)


def application(event, of, hour, income=1.0):
    record = {"event_id": of, "made": START - timedelta(days=400), "income": income, "bad": None}
    return StoredEvent(event, APPLICATION, of, START + hour * HOUR, record)


def write(folder, *parts):
    first = 0
    for rows in parts:
        write_part(
            folder, topic="processed_data", partition=0, first=first, next=first + len(rows), rows=rows
        )
        first += len(rows)


@pytest.fixture
def folder(tmp_path):
    write(
        tmp_path,
        [application("1", "a", 0), application("2", "b", 1, 5.0)],
        [
            StoredEvent("3", OUTCOME, "a", START + 2 * HOUR, {"label": 1.0}),
            application("4", "c", 2, 7.0),
            application("2", "b", 1, 5.0),
        ],
        [application("5", "b", 3, 6.0), application("6", "d", 4)],
    )
    return tmp_path


def test_the_time_of_the_event_counts_and_not_that_of_the_application(folder):
    arrivals = read_arrivals(folder, SCHEMA, since=START, until=START + 9 * HOUR)
    assert arrivals.frame["event_id"].tolist() == ["a", "c", "b", "d"]
    assert arrivals.frame["income"].tolist() == [1.0, 7.0, 6.0, 1.0], "the latest state of each"
    assert arrivals.times.tolist() == [START + hour * HOUR for hour in (0, 2, 3, 4)]


def test_all_of_them_are_the_rows_of_the_store(folder):
    arrivals = read_arrivals(folder, SCHEMA, since=START, until=START + 9 * HOUR)
    whole = read_store(folder, SCHEMA, maturity_days=0, now=START + 9 * HOUR).frame
    whole["bad"] = float("nan")  # outcomes are no part of what arrived
    assert arrivals.frame.equals(whole)
    assert arrivals.frame.dtypes.equals(whole.dtypes)


def test_the_begin_counts_and_the_end_does_not(folder):
    arrivals = read_arrivals(folder, SCHEMA, since=START + HOUR, until=START + 3 * HOUR)
    assert arrivals.frame["event_id"].tolist() == ["b", "c"]
    assert arrivals.frame["income"].tolist() == [5.0, 7.0]


def test_compacted_files_give_the_same(folder):
    before = read_arrivals(folder, SCHEMA, since=START, until=START + 9 * HOUR)
    compact(folder, now=START + 99 * HOUR)
    after = read_arrivals(folder, SCHEMA, since=START, until=START + 9 * HOUR)
    assert after.frame.equals(before.frame)


def test_parts_that_are_older_are_not_read(folder):
    for path in folder.glob("*000000000000-*.parquet"):
        content = bytearray(path.read_bytes())
        content[40] ^= 1  # among the values: the statistics at the end stay
        path.write_bytes(bytes(content))
    arrivals = read_arrivals(folder, SCHEMA, since=START + 3 * HOUR, until=START + 9 * HOUR)
    assert arrivals.frame["event_id"].tolist() == ["b", "d"]


def test_nothing_has_the_columns_all_the_same(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        arrivals = read_arrivals(folder, SCHEMA, since=START, until=START + HOUR)
        assert list(arrivals.frame.columns) == ["event_id", "made", "income", "bad"]
        assert len(arrivals.frame) == len(arrivals.times) == 0

"""Files of the training store: a snapshot finds its parts whatever was compacted, and misses none unseen."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from loan_default.data.datasets.store_compaction import compact
from loan_default.data.datasets.store_files import find_part_files, has_parts, short_names
from loan_default.data.datasets.store_parts import APPLICATION, StoredEvent, write_part
from loan_default.data.datasets.training_store import StoreContents, read_store
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.errors import DataError

SCHEMA = Schema(name="loans", columns=(Column(name="income", kind=Kind.NUMERICAL),))
START = datetime(2025, 1, 1, tzinfo=UTC)
AT_ONCE = timedelta(0)


def event(number: int) -> StoredEvent:
    return StoredEvent(f"e{number}", APPLICATION, f"a{number}", START, {"income": float(number)})


def write(folder: Path, first: int, events: Sequence[StoredEvent]) -> Path:
    following = first + len(events)
    return write_part(folder, topic="processed_data", partition=0, first=first, next=following, rows=events)


def write_many(folder: Path, parts: int, *, rows: int = 5) -> None:
    for first in range(0, parts * rows, rows):
        write(folder, first, [event(number) for number in range(first, first + rows)])


def read(folder: Path, only: Sequence[str] | None = None) -> StoreContents:
    return read_store(folder, SCHEMA, maturity_days=0, now=datetime.now(UTC), only=only)


def test_a_part_is_read_once_from_the_compacted_file_while_its_own_is_still_there(tmp_path: Path) -> None:
    write_many(tmp_path, 3)
    small = sorted(path.name for path in tmp_path.iterdir())
    compact(tmp_path, now=datetime.now(UTC), parts=2)
    compacted, rest = find_part_files(tmp_path, None)
    assert ([span.name for span in compacted.spans], compacted.is_whole) == (small[:2], True)
    assert rest.names == (small[2],)
    assert compacted.read(["event_id"])["event_id"].to_pylist() == [f"e{number}" for number in range(10)]
    (some,) = find_part_files(tmp_path, [small[1]])
    assert (some.path, some.is_whole, some.names) == (compacted.path, False, (small[1],))
    assert some.read(["event_id"])["event_id"].to_pylist() == [f"e{number}" for number in range(5, 10)]


def test_the_name_of_a_compacted_file_and_those_of_its_parts_are_the_same_rows(tmp_path: Path) -> None:
    write_many(tmp_path, 2)
    small = sorted(path.name for path in tmp_path.iterdir())
    compact(tmp_path, now=datetime.now(UTC), parts=2)
    (compacted,) = find_part_files(tmp_path, None)
    assert find_part_files(tmp_path, [compacted.path.name]) == [compacted]
    assert find_part_files(tmp_path, [compacted.path.name, *small]) == [compacted]


def test_a_part_that_is_nowhere_is_missed(tmp_path: Path) -> None:
    write_many(tmp_path, 4)
    known = read(tmp_path).parts
    compact(tmp_path, now=datetime.now(UTC), parts=2, kept=AT_ONCE)
    compact(tmp_path, now=datetime.now(UTC), parts=2, kept=AT_ONCE)
    other = known[0].replace("-000000000000-", "-000000000001-")
    assert has_parts(tmp_path, known[1:3])
    assert read(tmp_path, known[1:3]).applications == 10
    assert not has_parts(tmp_path, [*known, other])
    with pytest.raises(DataError, match=f"1 are not in .*, among them {other}"):
        read(tmp_path, [*known, other])


@pytest.mark.slow
def test_many_parts_are_named_by_one_file_that_lists_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loan_default.data.datasets.store_files.MOST_NAMES", 20)
    for number in range(21):  # gaps, so that nothing can be compacted
        write(tmp_path, 2 * number, [event(number)])
    contents = read(tmp_path)
    assert short_names(tmp_path, contents.parts[:-1]) == contents.parts[:-1]
    listed = short_names(tmp_path, contents.parts)
    assert len(listed) == 1
    assert short_names(tmp_path, contents.parts) == listed
    assert has_parts(tmp_path, listed)
    write(tmp_path, 10_000, [event(10_000)])
    pd.testing.assert_frame_equal(read(tmp_path, listed).frame, contents.frame)
    assert read(tmp_path, listed).digest == contents.digest
    (tmp_path / listed[0]).write_text("processed_data-0-000000000000-000000000001.parquet")
    with pytest.raises(DataError, match="has another digest"):
        read(tmp_path, listed)
    (tmp_path / listed[0]).unlink()
    assert not has_parts(tmp_path, listed)

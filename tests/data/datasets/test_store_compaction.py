"""Compaction: the same table and counts before, during and after, and for snapshots, whoever dies."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loan_default.data.datasets.store_compaction import KEPT, ROWS, Compacted, compact
from loan_default.data.datasets.store_files import has_parts
from loan_default.data.datasets.store_parts import (
    APPLICATION,
    OUTCOME,
    StoredEvent,
    parse_name,
    read_spans,
    write_part,
)
from loan_default.data.datasets.training_store import StoreContents, read_store
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.errors import DataError

SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="income", kind=Kind.NUMERICAL, nullable=True),
        Column(name="city", kind=Kind.CATEGORICAL, open=True, nullable=True),
        Column(name="bad", kind=Kind.TARGET),
    ),
)
START = datetime(2025, 1, 1, tzinfo=UTC)
NOW = datetime.now(UTC)
AT_ONCE = timedelta(0)
LATER = NOW + 2 * KEPT


def event(number: int, *, income: float | None = 1.0, **record: object) -> StoredEvent:
    record = {"income": income, "city": f"c{number % 3}", "bad": None, **record}
    return StoredEvent(f"e{number}", APPLICATION, f"a{number}", START + timedelta(hours=number), record)


def outcome(number: int, label: float) -> StoredEvent:
    return StoredEvent(f"o{number}", OUTCOME, f"a{number}", START + timedelta(days=90), {"label": label})


def write(
    folder: Path,
    first: int,
    events: Sequence[StoredEvent],
    *,
    partition: int = 0,
    following: int | None = None,
) -> Path:
    following = first + len(events) if following is None else following
    return write_part(
        folder, topic="processed_data", partition=partition, first=first, next=following, rows=events
    )


def write_many(folder: Path, parts: int, *, rows: int = 5) -> None:
    for first in range(0, parts * rows, rows):
        write(folder, first, [event(number) for number in range(first, first + rows)])


def read(folder: Path, only: Sequence[str] | None = None) -> StoreContents:
    return read_store(folder, SCHEMA, maturity_days=0, now=NOW, only=only)


def assert_same(found: StoreContents, expected: StoreContents) -> None:
    """All that a snapshot says of the rows; which files they are from is all that may differ."""
    pd.testing.assert_frame_equal(found.frame, expected.frame)
    same = {"frame": pd.DataFrame(), "parts": ()}
    assert repr(replace(found, **same)) == repr(replace(expected, **same))  # type: ignore[arg-type]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.parquet"))


# What is compacted ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_parts_whose_offsets_join_become_one_file_that_says_the_whole_range(tmp_path: Path) -> None:
    write_many(tmp_path, 7)
    small, before = names(tmp_path), read(tmp_path)
    assert compact(tmp_path, now=NOW, parts=3) == Compacted(files=2, parts=6, removed=0)
    larger = [name for name in names(tmp_path) if name not in small]
    parsed = [parse_name(name) for name in larger]
    assert [(part.first, part.next) for part in parsed if part] == [(0, 15), (15, 30)]
    assert [span.name for name in larger for span in read_spans(tmp_path / name)] == small[:6]
    assert set(small) < set(names(tmp_path)), "who reads them may finish"
    after = read(tmp_path)
    assert after.parts == (*larger, small[6])
    assert_same(after, before)
    assert_same(read(tmp_path, after.parts), before)
    assert compact(tmp_path, now=NOW, parts=3) == Compacted(files=0, parts=0, removed=0)
    assert compact(tmp_path, now=LATER, parts=3) == Compacted(files=0, parts=0, removed=6)
    assert names(tmp_path) == sorted([*larger, small[6]])
    assert_same(read(tmp_path), before)


def test_parts_beside_a_gap_or_of_another_partition_are_not_joined(tmp_path: Path) -> None:
    write(tmp_path, 0, [event(0)])
    write(tmp_path, 2, [event(2)])  # offset 1 was never read
    write(tmp_path, 3, [event(3)], partition=1)
    write(tmp_path, 4, [event(4)], partition=10)
    assert compact(tmp_path, now=NOW, parts=2).files == 0
    write(tmp_path, 1, [event(1)])
    before = read(tmp_path)
    assert compact(tmp_path, now=NOW, parts=3) == Compacted(files=1, parts=3, removed=0)
    assert_same(read(tmp_path), before)


def test_large_parts_are_compacted_before_they_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_many(tmp_path, 5)
    size = max(path.stat().st_size for path in tmp_path.iterdir())
    monkeypatch.setattr("loan_default.data.datasets.store_compaction.BYTES", size + 1)
    assert compact(tmp_path, now=NOW) == Compacted(files=2, parts=4, removed=0)


@pytest.mark.slow
def test_many_parts_are_joined_a_few_thousand_rows_at_a_time(tmp_path: Path) -> None:
    write_many(tmp_path, 15, rows=2_000)
    before, small = read(tmp_path), names(tmp_path)
    assert compact(tmp_path, now=NOW, parts=15).files == 1
    (larger,) = set(names(tmp_path)) - set(small)
    with pq.ParquetFile(tmp_path / larger) as file:
        groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert sum(groups) == 30_000
    assert max(groups) < ROWS + 2_000, "each of them was in memory at once, and no more"
    assert_same(read(tmp_path), before)


def test_a_column_that_came_later_is_joined_and_one_of_another_type_is_not(tmp_path: Path) -> None:
    write(tmp_path, 0, [event(0, income=None)])
    write(tmp_path, 1, [event(1, new="x")])
    write(tmp_path, 2, [event(2, new=1.0)])
    write(tmp_path, 3, [event(3, new=2.0)])
    before = read(tmp_path)
    assert compact(tmp_path, now=NOW, parts=4).files == 1
    assert compact(tmp_path, now=LATER, parts=2).removed == 4
    kinds = [pq.read_schema(tmp_path / name).field("new").type for name in names(tmp_path)]
    assert kinds == [pa.string(), pa.float64()]
    assert_same(read(tmp_path), before)


# Any events in any parts ---------------------------------------------------------------------------------


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Ranges as a group reads them: mostly on from the last, sometimes again from before, or after a gap."""
    found, at = [], 0
    for _ in range(draw(st.integers(1, 14))):
        first = max(0, at + draw(st.sampled_from([0, 0, 0, -1, -3, 2])))
        following = first + draw(st.integers(1, 4))
        found.append((first, following, draw(st.sampled_from([0, 0, 0, 2, 3]))))
        at = max(at, following)
    return found


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(steps=steps(), kept=st.sampled_from([AT_ONCE, KEPT]))
def test_a_store_that_is_compacted_between_writes_is_like_one_that_never_was(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, int]], kept: timedelta
) -> None:
    plain, compacted = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("compacted")
    snapshots: list[StoreContents] = []
    for first, following, parts in steps:
        rows = [event(n) if n % 4 else outcome(n + 1, float(n % 8 == 0)) for n in range(first, following)]
        for folder in (plain, compacted):
            write(folder, first, rows)
        snapshots += [read(plain), read(compacted)]
        if parts:
            compact(compacted, now=datetime.now(UTC) + timedelta(seconds=1), parts=parts, kept=kept)
    assert_same(read(compacted), read(plain))
    for snapshot in snapshots:  # by the names of small parts and of larger ones
        assert has_parts(compacted, snapshot.parts)
        assert_same(read(compacted, snapshot.parts), snapshot)


@pytest.mark.slow
def test_two_who_compact_at_once_and_cut_otherwise_lose_and_add_nothing(tmp_path: Path) -> None:
    write_many(tmp_path / "one", 12)
    before, other = read(tmp_path / "one"), tmp_path / "other"
    shutil.copytree(tmp_path / "one", other)
    compact(tmp_path / "one", now=NOW, parts=5)
    compact(other, now=NOW, parts=4)
    shutil.copytree(other, tmp_path / "one", dirs_exist_ok=True)
    both = read(tmp_path / "one")
    assert_same(both, before)
    compact(tmp_path / "one", now=datetime.now(UTC), parts=5, kept=AT_ONCE)
    assert_same(read(tmp_path / "one"), before)
    assert_same(read(tmp_path / "one", both.parts), before)


# Events that come again ----------------------------------------------------------------------------------


def test_a_range_that_is_read_again_is_not_written_again_and_another_topic_s_is(tmp_path: Path) -> None:
    rows = [event(0), event(1)]
    write(tmp_path, 0, rows)
    write(tmp_path, 2, [event(2)])
    compact(tmp_path, now=datetime.now(UTC), parts=2, kept=AT_ONCE)
    (larger,) = {name for name in names(tmp_path) if read_spans(tmp_path / name)}
    compact(tmp_path, now=datetime.now(UTC), parts=2, kept=AT_ONCE)
    assert names(tmp_path) == [larger]
    before = read(tmp_path)
    assert write(tmp_path, 0, rows) == tmp_path / larger
    assert names(tmp_path) == [larger]
    # The topic was made anew: the same offsets are other events, and none of them may be lost.
    assert write(tmp_path, 0, [event(7), event(8)]).name not in (larger, before.parts)
    assert read(tmp_path).applications == before.applications + 2
    assert_same(read(tmp_path, before.parts), before)
    compact(tmp_path, now=datetime.now(UTC), parts=2, kept=AT_ONCE)
    assert read(tmp_path).applications == before.applications + 2


# Crashes and damage --------------------------------------------------------------------------------------

COMPACTION = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from loan_default.data.datasets.store_compaction import compact

for _ in range(2):
    compact(Path(sys.argv[1]), now=datetime.now(UTC), parts=3, kept=timedelta(0))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "failpoint",
    ["parts_compacted=kill@1", "parts_compacted=kill@2", "part_removed=kill@1", "part_removed=kill@5"],
)
def test_who_is_killed_at_any_step_leaves_the_same_table(tmp_path: Path, failpoint: str) -> None:
    write_many(tmp_path, 7)
    small, before = names(tmp_path), read(tmp_path)
    environ = {**os.environ, "LOAN_DEFAULT_TEST": "1"}
    command = [sys.executable, "-W", "error", "-c", COMPACTION, str(tmp_path)]
    killed = subprocess.run(
        command, env=environ | {"LOAN_DEFAULT_FAILPOINTS": failpoint}, check=False, timeout=60
    )
    assert killed.returncode == -signal.SIGKILL
    there = names(tmp_path)
    assert there != small
    assert_same(read(tmp_path), before)
    assert_same(read(tmp_path, before.parts), before)
    subprocess.run(command, env=environ, check=True, timeout=60)
    assert [len(read_spans(tmp_path / name)) for name in names(tmp_path)] == [3, 3, 0]
    assert_same(read(tmp_path), before)
    assert_same(read(tmp_path, before.parts), before)


def test_a_damaged_part_is_left_and_the_others_go_on(tmp_path: Path) -> None:
    write_many(tmp_path, 4)
    first = tmp_path / names(tmp_path)[0]
    content = first.read_bytes()
    first.write_bytes(content[:-9])
    assert compact(tmp_path, now=NOW, parts=2) == Compacted(files=1, parts=2, removed=0)
    with pytest.raises(DataError, match=f"however: {first.name}: "):
        read(tmp_path)
    first.write_bytes(content)
    assert compact(tmp_path, now=NOW, parts=2) == Compacted(files=1, parts=2, removed=0)
    assert read(tmp_path).applications == 20


def test_parts_are_not_removed_while_their_compacted_file_is_damaged(tmp_path: Path) -> None:
    write_many(tmp_path, 2, rows=200)
    small, before = names(tmp_path), read(tmp_path)
    compact(tmp_path, now=NOW, parts=2)
    (larger,) = set(names(tmp_path)) - set(small)
    content = bytearray((tmp_path / larger).read_bytes())
    content[len(content) // 4] ^= 1
    (tmp_path / larger).write_bytes(content)
    assert compact(tmp_path, now=datetime.now(UTC), parts=2, kept=AT_ONCE).removed == 0
    assert set(small) < set(names(tmp_path))
    with pytest.raises(DataError, match=f"however: {larger}: .*Delete it"):
        read(tmp_path)
    (tmp_path / larger).unlink()
    assert_same(read(tmp_path), before)


def test_a_list_of_parts_with_another_digest_is_damage(tmp_path: Path) -> None:
    write_many(tmp_path, 2)
    small = names(tmp_path)
    compact(tmp_path, now=NOW, parts=2)
    (larger,) = set(names(tmp_path)) - set(small)
    table = pq.read_table(tmp_path / larger)
    metadata = dict(table.schema.metadata)
    metadata[b"loan_default.pieces"] = metadata[b"loan_default.pieces"].replace(b"-0-", b"-1-")
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / larger)
    with pytest.raises(DataError, match="the list of its parts is not the one that was written"):
        read(tmp_path)

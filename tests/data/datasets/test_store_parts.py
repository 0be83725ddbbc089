"""Parts: a file name says its offsets, a file is written whole, and every damage is found."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loan_default.data.datasets.store_parts import (
    APPLICATION,
    PartName,
    PartSpan,
    StoredEvent,
    check_part,
    layout_of,
    parse_name,
    part_names,
    read_part,
    read_spans,
    stored_name,
    write_part,
    write_table,
)
from loan_default.errors import DataError

RANGE = {"topic": "t", "partition": 0, "first": 0, "next": 2}


def event(name: str, **record: object) -> StoredEvent:
    return StoredEvent(name, APPLICATION, name, datetime(2025, 1, 1, tzinfo=UTC), record)


def part(first: int, following: int, *, partition: int = 0) -> PartName:
    parsed = parse_name(f"t-{partition}-{first:012d}-{following:012d}.parquet")
    assert parsed is not None
    return parsed


@pytest.mark.slow
@given(
    topic=st.from_regex(r"[a-z0-9._-]{1,20}", fullmatch=True),
    partition=st.integers(0, 999),
    first=st.integers(0, 10**13),
    count=st.integers(1, 10**6),
    digest=st.none() | st.from_regex(r"[0-9a-f]{8}", fullmatch=True),
)
def test_the_name_of_a_part_is_taken_apart(
    topic: str, partition: int, first: int, count: int, digest: str | None
) -> None:
    following = first + count
    tag = "" if digest is None else f"-{digest}"
    name = f"{topic}-{partition}-{first:012d}-{following:012d}{tag}.parquet"
    expected = PartName(topic, partition, first, following, name, has_digest=digest is not None)
    assert parse_name(name) == expected


@pytest.mark.parametrize(
    "name", ["notes.parquet", "t-0-1-2.parquet", "t-0-000000000000-000000000002.csv", ".parquet", ""]
)
def test_other_names_are_no_parts(name: str) -> None:
    assert parse_name(name) is None


def test_a_range_covers_those_within_it_and_in_its_partition() -> None:
    assert part(0, 10).covers(part(0, 10))
    assert part(0, 10).covers(part(3, 7))
    assert not part(0, 10).covers(part(3, 11))
    assert not part(1, 10).covers(part(0, 5))
    assert not part(0, 10).covers(part(3, 7, partition=1))


def test_a_part_is_read_as_it_was_written_and_by_its_columns(tmp_path: Path) -> None:
    path = write_part(tmp_path, **RANGE, rows=[event("a", income=1.5), event("b", income=None, city="x")])
    assert [found.name for found in part_names(tmp_path)] == [path.name]
    check_part(path)
    schema, rows = layout_of(path)
    assert (schema.names[-2:], rows) == (["income", "city"], 2)
    assert read_part(path, ["city", "absent"]).to_pydict() == {"city": [None, "x"]}
    assert read_part(path, None)["event_id"].to_pylist() == ["a", "b"]


def test_a_column_is_typed_by_its_first_value(tmp_path: Path) -> None:
    timestamp = datetime(2025, 1, 31, tzinfo=UTC)
    records = [{"n": None, "none": None}, {"n": 1, "made": timestamp, "city": "x", "none": None}]
    path = write_part(tmp_path, **RANGE, rows=[event(f"e{i}", **record) for i, record in enumerate(records)])
    types = dict(zip(layout_of(path)[0].names, layout_of(path)[0].types, strict=True))
    assert [types[name] for name in ("n", "made", "city", "none")] == [
        pa.float64(),
        pa.timestamp("us", tz="UTC"),
        pa.string(),
        pa.null(),
    ]
    with pytest.raises(DataError, match="income must be text, a number or a time throughout"):
        write_part(tmp_path, **RANGE, rows=[event("a", income=1.0), event("b", income="x")])


def test_the_columns_of_the_store_do_not_collide_with_those_of_the_schema() -> None:
    names = ["income", "event_id", "outcome", "record.event_id", "record.x"]
    stored = [stored_name(name) for name in names]
    assert stored == [
        "income",
        "record.event_id",
        "record.outcome",
        "record.record.event_id",
        "record.record.x",
    ]


def test_the_spans_of_a_compacted_file_are_read_back_and_checked(tmp_path: Path) -> None:
    table = pa.table({"event_id": ["a", "b", "c"]})
    spans = (PartSpan("one", 0, 1), PartSpan("two", 1, 2))
    path = tmp_path / "t.parquet"
    write_table(path, table, spans=spans)
    assert read_spans(path) == spans
    write_table(path, table, spans=())
    assert read_spans(path) == ()
    write_table(path, table, spans=spans[:1])  # a row belongs to no part
    with pytest.raises(DataError, match="the list of its parts is not the one that was written"):
        read_spans(path)


def test_damage_is_found_by_every_reader(tmp_path: Path) -> None:
    path = write_part(tmp_path, **RANGE, rows=[event("a", income=1.5), event("b", income=2.5)])
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"{path.name}: .*Delete it and read its offsets"):
        check_part(path)
    path.write_bytes(b"no parquet")
    for read in (check_part, layout_of, read_spans, lambda path: read_part(path, None)):
        with pytest.raises(DataError, match="must be a Parquet file of events"):
            read(path)

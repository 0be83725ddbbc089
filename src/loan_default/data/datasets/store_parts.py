"""Parts of the training store: Parquet files of processed events, named after the offsets of their events.

    write_part(folder, topic="processed_data", partition=0, first=500, next=1000, rows=events)

Reading the same range of offsets again writes the same file again. A part may be one of many that were
compacted into a larger file (see `store_compaction`), which keeps the rows of each, in order, under its name.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from loan_default.errors import DataError
from loan_default.files import write_atomically

APPLICATION = "application.processed"
"""An application that passed the schema."""
OUTCOME = "outcome.observed"
"""What became of the loan of an earlier application."""
TIME = pa.timestamp("us", tz="UTC")
KEYS = pa.schema(
    [
        ("event_id", pa.string()),
        ("event_type", pa.string()),
        ("application_id", pa.string()),
        ("event_time", TIME),
        ("outcome", pa.float64()),
    ]
)
"""Columns of every part; `outcome` is the label that an outcome event brings."""
_PREFIX = "record."
_OUTLINE = b"loan_default.outline"
_SPANS = b"loan_default.pieces"  # as files of version 0.2 have it
_NAME = re.compile(
    r"(?P<topic>.+)-(?P<partition>[0-9]+)-(?P<first>[0-9]{12,})-(?P<next>[0-9]{12,})"
    r"(?P<digest>-[0-9a-f]{8})?\.parquet"
)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One processed event, as it is stored."""

    event_id: str
    event_type: str
    """`APPLICATION` or `OUTCOME`."""
    application_id: str
    event_time: datetime
    """Time of the event, in UTC."""
    record: Mapping[str, Any]
    """Application: the canonical record of `records.validate_record`. Outcome: {"label": 1.0 or 0.0}."""


@dataclass(frozen=True, slots=True, order=True)
class PartName:
    """The name of a file of parts, taken apart."""

    topic: str
    partition: int
    first: int
    next: int
    """The offset after the last one."""
    name: str
    has_digest: bool
    """Whether it is a compacted file, or a range whose plain name other events have taken."""

    def covers(self, other: "PartName") -> bool:
        """Whether its offsets include those of the other part."""
        same = (self.topic, self.partition) == (other.topic, other.partition)
        return same and self.first <= other.first and other.next <= self.next


@dataclass(frozen=True, slots=True)
class PartSpan:
    """The rows of a compacted file that were a part of their own."""

    name: str
    """Name of the part."""
    first: int
    """Index of its first row in the file."""
    rows: int


def parse_name(name: str) -> PartName | None:
    """Take the name of a file apart; None where it is not that of a part."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    topic, partition, first, following, digest = match.groups()
    return PartName(topic, int(partition), int(first), int(following), name, digest is not None)


def part_names(folder: Path) -> list[PartName]:
    """All parts of a folder, compacted ones among them, by partition and offset."""
    found = (parse_name(path.name) for path in folder.glob("*.parquet"))
    return sorted(name for name in found if name is not None)


def write_part(
    folder: Path,
    *,
    topic: str,
    partition: int,
    first: int,
    next: int,  # noqa: A002 - the offset after the last, as Kafka calls it
    rows: Sequence[StoredEvent],
) -> Path:
    """Write the events of the offsets from `first` to before `next`; the same range is the same file.

    A file of this range with other events stays, as after a topic was made anew and its offsets count from 0
    again; then the new events get a file name of their own. A part that a compacted file holds already is not
    written again.

    Returns:
        The file that holds the events.

    Raises:
        DataError: the range is empty, or an event is neither an application nor an outcome with a label.
    """
    if not 0 <= first < next:
        raise DataError(f"a part must have offsets from 0 upwards, however: first={first}, next={next}")
    table = _table(rows)
    ids = [row.event_id for row in rows]
    plain = f"{topic}-{partition}-{first:012d}-{next:012d}"
    digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()[:8]
    for name in (f"{plain}.parquet", f"{plain}-{digest}.parquet"):
        path = folder / name
        if path.exists():
            if not _holds_others(path, ids):
                break
            continue
        held = _find_compacted(folder, name)
        if held is None:
            break
        compacted, held_ids = held
        if held_ids == ids:
            return compacted
    write_table(path, table, spans=())
    return path


def _holds_others(path: Path, ids: list[str]) -> bool:
    """Whether a part is intact and holds other events."""
    try:
        found: list[str] = pq.read_table(path, columns=["event_id"])["event_id"].to_pylist()
    except (pa.ArrowException, OSError):
        return False  # it is written again
    return found != ids


def _find_compacted(folder: Path, name: str) -> tuple[Path, list[str]] | None:
    """The compacted file that holds a part without a file of its own, and the ids of the part's events."""
    part = parse_name(name)
    for other in part_names(folder):
        if part is None or not other.has_digest or not other.covers(part):
            continue
        path = folder / other.name
        for span in read_spans(path):
            if span.name == name:
                ids = read_part(path, ["event_id"])["event_id"].slice(span.first, span.rows)
                return path, ids.to_pylist()
    return None


# Writing -------------------------------------------------------------------------------------------------


def _table(rows: Sequence[StoredEvent]) -> pa.Table:
    records = [row.record if row.event_type == APPLICATION else {} for row in rows]
    keys = {
        "event_id": [row.event_id for row in rows],
        "event_type": [row.event_type for row in rows],
        "application_id": [row.application_id for row in rows],
        "event_time": [row.event_time for row in rows],
        "outcome": [_outcome(row) for row in rows],
    }
    names: dict[str, None] = {}  # in the order of their first record
    for record in records:
        names.update(dict.fromkeys(record))
    table = pa.table(keys, schema=KEYS)
    for name in names:
        table = table.append_column(
            stored_name(name), _column([record.get(name) for record in records], name)
        )
    return table


def _outcome(row: StoredEvent) -> float | None:
    if row.event_type == APPLICATION:
        return None
    label = row.record.get("label") if row.event_type == OUTCOME else None
    if label not in (0.0, 1.0):
        raise DataError(
            f"an event must be {APPLICATION!r} or {OUTCOME!r} with a label of 1.0 or 0.0, however: "
            f"{row.event_id!r} is {row.event_type!r} with label={label!r}"
        )
    return float(label)


def _column(values: list[Any], name: str) -> pa.Array:
    arrow_type = _arrow_type(values)
    try:
        return pa.array(values, arrow_type)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(
            f"{name} must be text, a number or a time throughout, however: {arrow_type} and {error}"
        ) from error


def _arrow_type(values: list[Any]) -> pa.DataType:
    """The type of the first value that is not missing."""
    for value in values:
        if isinstance(value, str):
            return pa.string()
        if isinstance(value, datetime):
            return TIME
        if isinstance(value, float | int):
            return pa.float64()
        if value is not None:
            break
    return pa.null()


def stored_name(name: str) -> str:
    """The name of a column in a part: its own, with a prefix where the store uses that name itself."""
    return f"{_PREFIX}{name}" if name in KEYS.names or name.startswith(_PREFIX) else name


# Files ---------------------------------------------------------------------------------------------------


def write_table(path: Path, table: pa.Table, *, spans: Sequence[PartSpan]) -> None:
    """Write a part, whole or not at all, with the checksums that `read_part` verifies."""
    write_tables(path, table.schema, [table], spans=spans, rows=table.num_rows)


def write_tables(
    path: Path, schema: pa.Schema, tables: Iterable[pa.Table], *, spans: Sequence[PartSpan], rows: int
) -> None:
    """Write tables of one schema as a part, one after the other, so that only one is in memory.

    Args:
        rows: of all tables together.
    """
    schema = schema.remove_metadata()
    metadata = {_OUTLINE: _outline(schema, rows=rows)}
    if spans:
        listed = [[span.name, span.first, span.rows] for span in spans]
        metadata[_SPANS] = json.dumps({"pieces": listed, "sha256": _digest(listed)}).encode()

    def write(temporary: Path) -> None:
        # Checksums: without them Parquet reads a flipped bit as another number.
        with pq.ParquetWriter(
            temporary, schema.with_metadata(metadata), compression="zstd", write_page_checksum=True
        ) as writer:
            for table in tables:
                writer.write_table(table.replace_schema_metadata(metadata))

    write_atomically(path, write)


def check_part(path: Path) -> None:
    """Read a part to its end, a row group at a time; raise DataError where it is damaged."""
    with _opened(path) as file:
        for number in range(file.num_row_groups):
            file.read_row_group(number)


def layout_of(path: Path) -> tuple[pa.Schema, int]:
    """Read the columns and the number of rows of a part; raise DataError where it is damaged."""
    with _opened(path) as file:
        return file.schema_arrow.remove_metadata(), file.metadata.num_rows


def read_part(path: Path, names: list[str] | None) -> pa.Table:
    """Read the columns of these names that a part has, None = all; raise DataError where it is damaged."""
    with _opened(path) as file:
        return file.read(columns=names).replace_schema_metadata(None)


def latest_event_time(path: Path) -> datetime | None:
    """Return the latest event time in a part by its statistics alone; None where they do not say it."""
    with _opened(path) as file:
        latest = None
        for number in range(file.metadata.num_row_groups):
            group = file.metadata.row_group(number)
            for index in range(group.num_columns):
                column = group.column(index)
                if column.path_in_schema == "event_time":
                    if not column.is_stats_set or not column.statistics.has_min_max:
                        return None
                    latest = max(latest or column.statistics.max, column.statistics.max)
        return latest


def read_spans(path: Path) -> tuple[PartSpan, ...]:
    """Read which parts are in a compacted file, none for another; raise DataError where it is damaged."""
    with _opened(path) as file:
        text = (file.schema_arrow.metadata or {}).get(_SPANS)
        rows = file.metadata.num_rows
    if text is None:
        return ()
    try:
        stored = json.loads(text)
        spans = tuple(PartSpan(*span) for span in stored["pieces"])
        if stored["sha256"] == _digest(stored["pieces"]) and sum(span.rows for span in spans) == rows:
            return spans
    except (ValueError, TypeError, KeyError):
        pass  # it is damaged, as where the digest differs
    raise _damaged(path, "the list of its parts is not the one that was written")


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            outline = (file.schema_arrow.metadata or {}).get(_OUTLINE)
            if outline != _outline(file.schema_arrow, rows=file.metadata.num_rows):
                raise _damaged(path, "its columns are not those that were written")
            yield file
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, str(error).splitlines()[0]) from error


def _digest(listed: Iterable[Sequence[Any]]) -> str:
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def _outline(schema: pa.Schema, *, rows: int) -> bytes:
    # The checksums of Parquet do not cover column names: a column with a damaged name would seem missing.
    fields = [(field.name, str(field.type)) for field in schema]
    return hashlib.sha256(repr((fields, rows)).encode(errors="replace")).hexdigest().encode()


def _damaged(path: Path, what: str) -> DataError:
    return DataError(
        f"a part of the training store must be a Parquet file of events, however: {path.name}: {what}. "
        "Delete it and read its offsets, which its name says, once more."
    )

"""Compaction of the training store: many small parts become one file, which keeps each of them exactly.

    compact(folder, now=datetime.now(UTC))

The file is named after the whole range of offsets. Inside, its rows are those of the parts in order, and a
list says which rows were which part. So a snapshot that names the small parts reads the same rows from it,
and the table of the store is the same before, during and after. A process may die after each step:

1. The file appears whole. From then on readers take its parts from it and leave their own files alone.
2. After `KEPT` the files of those parts are removed, one by one; until then those who read them can finish.

A file that was made by compaction is never compacted again, so it has one name for ever.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import structlog

from loan_default.data.datasets.store_parts import (
    PartName,
    PartSpan,
    check_part,
    layout_of,
    part_names,
    read_part,
    read_spans,
    write_tables,
)
from loan_default.errors import DataError
from loan_default.failpoints import failpoint

PARTS = 200
"""Number of parts that make a compacted file."""
BYTES = 64 * 2**20
"""Fewer parts do where they have this size together."""
ROWS = 5_000
"""Rows, about, that are in memory while a file is written; they are a row group of the file."""
KEPT = timedelta(days=1)
"""How long the files of compacted parts stay for those who are reading them."""

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Compacted:
    """Counts of what a compaction did."""

    files: int
    """Compacted files that were written."""
    parts: int
    """Parts that are in the compacted files that were written."""
    removed: int
    """Files of parts that were compacted before and are gone now."""


def compact(folder: Path, *, now: datetime, parts: int = PARTS, kept: timedelta = KEPT) -> Compacted:
    """Compact runs of parts whose offsets join, and remove the files of parts that were compacted long ago.

    A damaged part is left as it is, and so are those that would share its file; reading the store reports it.

    Args:
        parts: number of parts that make a compacted file, fewer where they are large; a rest waits for more.
        kept: how long the files of compacted parts stay.
    """
    names = part_names(folder)
    held, removed = _held(folder, names), 0
    for compacted, spans in held.items():
        if now - _written_at(folder / compacted) >= kept:
            removed += _remove(folder, compacted, spans)
    inside = {span.name for spans in held.values() for span in spans}
    waiting = [part for part in names if part.name not in inside and part.name not in held]
    n_files = n_parts = 0
    for group in _groups(folder, waiting, parts):
        if _compact(folder, group):
            n_files, n_parts = n_files + 1, n_parts + len(group)
    if n_files or removed:
        log.info("training_store_compacted", files=n_files, parts=n_parts, removed=removed)
    return Compacted(files=n_files, parts=n_parts, removed=removed)


def _held(folder: Path, names: list[PartName]) -> dict[str, tuple[PartSpan, ...]]:
    """Compacted file -> the parts that are in it."""
    held = {}
    for part in names:
        if part.has_digest:
            try:
                spans = read_spans(folder / part.name)
            except DataError as error:
                log.warning("part_not_compacted", part=part.name, reason=str(error))
                continue
            if spans:
                held[part.name] = spans
    return held


def _groups(folder: Path, waiting: list[PartName], count: int) -> Iterator[list[PartName]]:
    """Runs of parts of one partition whose offsets join without a gap, each as long as a file takes."""
    group: list[PartName] = []
    end = size = 0
    for part in waiting:
        joins = group and (part.topic, part.partition) == (group[0].topic, group[0].partition)
        if not joins or part.first > end:
            group, end, size = [], part.next, 0
        group.append(part)
        end, size = max(end, part.next), size + _size(folder / part.name)
        if len(group) >= count or (len(group) > 1 and size >= BYTES):
            yield group
            group = []


def _compact(folder: Path, group: list[PartName]) -> bool:
    """Write parts into one file; False where they cannot be joined, which is logged."""
    try:
        layouts = [layout_of(folder / part.name) for part in group]
        schema = pa.unify_schemas([schema for schema, _ in layouts], promote_options="default")
        spans, first = [], 0
        for part, (_, rows) in zip(group, layouts, strict=True):
            spans.append(PartSpan(part.name, first, rows))
            first += rows
        tables = _joined(folder, spans, schema)
        write_tables(folder / _name(group), schema, tables, spans=spans, rows=first)
    except DataError as error:
        log.warning("part_not_compacted", part=group[0].name, reason=str(error))
        return False
    except pa.ArrowException:
        # A column has changed its type: the parts before and after the change make a file each.
        middle = len(group) // 2
        written = False
        for half in (group[:middle], group[middle:]):
            if len(half) > 1 and _compact(folder, half):
                written = True
        return written
    failpoint("parts_compacted")
    return True


def _joined(folder: Path, spans: Iterable[PartSpan], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows of the parts in order, in tables of about `ROWS` rows: many parts take no more memory."""
    waiting: list[pa.Table] = []
    for span in spans:
        waiting.append(read_part(folder / span.name, None))
        if sum(table.num_rows for table in waiting) >= ROWS:
            yield pa.concat_tables([schema.empty_table(), *waiting], promote_options="default")
            waiting = []
    if waiting:
        yield pa.concat_tables([schema.empty_table(), *waiting], promote_options="default")


def _name(group: list[PartName]) -> str:
    topic, partition, first = group[0].topic, group[0].partition, min(part.first for part in group)
    following = max(part.next for part in group)
    # With a digest, as one of the parts may span the others and so have the plain name itself.
    digest = hashlib.sha256("\n".join(part.name for part in group).encode()).hexdigest()[:8]
    return f"{topic}-{partition}-{first:012d}-{following:012d}-{digest}.parquet"


def _remove(folder: Path, compacted: str, spans: tuple[PartSpan, ...]) -> int:
    """Remove the files of parts that an intact compacted file holds, and return their number."""
    left = [folder / span.name for span in spans if (folder / span.name).exists()]
    if not left:
        return 0
    try:
        check_part(folder / compacted)  # the file becomes the only copy: verify its checksums first
    except DataError as error:
        log.warning("parts_not_removed", part=compacted, reason=str(error))
        return 0
    for path in left:
        path.unlink(missing_ok=True)
        failpoint("part_removed")
    return len(left)


def _written_at(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0

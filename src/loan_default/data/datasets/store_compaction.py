"""Compaction of the training store: many small parts become one file, which keeps each of them exactly.

    compact(folder, now=datetime.now(UTC))

The file is named after the whole range of offsets. Inside, its rows are those of the parts in order, and a
list says which rows were which part. So a snapshot that names the small parts reads the same rows from it,
and a table of the store is the same before, during and after. Each step may be the last one of a process:

1. The file appears whole. From then on readers take its parts from it and leave their own files alone.
2. After `KEPT` the files of those parts are removed, one by one; until then who reads them finishes.

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
    Piece,
    check_part,
    layout_of,
    part_names,
    pieces_of,
    read_part,
    write_tables,
)
from loan_default.errors import DataError
from loan_default.failpoints import failpoint

PARTS = 200
"""So many parts make a compacted file."""
BYTES = 64 * 2**20
"""Fewer do when they are as large as this together."""
ROWS = 5_000
"""So many rows of the parts are in memory while they are written, about; they are a row group of the file."""
KEPT = timedelta(days=1)
"""How long the files of compacted parts stay for those who are reading them."""

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Compacted:
    """What a compaction did."""

    files: int
    """Compacted files that were written."""
    parts: int
    """Parts that are in them."""
    removed: int
    """Files of parts that were compacted before and are gone now."""


def compact(folder: Path, *, now: datetime, parts: int = PARTS, kept: timedelta = KEPT) -> Compacted:
    """Compact runs of parts whose offsets join, and remove the files of parts that were compacted long ago.

    A damaged part is left as it is, and so are those that would share its file: reading the store names it.

    Args:
        parts: so many parts make a compacted file, fewer where they are large; the last ones wait for more.
        kept: how long the files of compacted parts stay.
    """
    names = part_names(folder)
    held, removed = _held(folder, names), 0
    for compacted, pieces in held.items():
        if now - _written_at(folder / compacted) >= kept:
            removed += _remove(folder, compacted, pieces)
    inside = {piece.name for pieces in held.values() for piece in pieces}
    waiting = [part for part in names if part.name not in inside and part.name not in held]
    written = [len(group) for group in _groups(folder, waiting, parts) if _compact(folder, group)]
    if written or removed:
        log.info("training_store_compacted", files=len(written), parts=sum(written), removed=removed)
    return Compacted(files=len(written), parts=sum(written), removed=removed)


def _held(folder: Path, names: list[PartName]) -> dict[str, tuple[Piece, ...]]:
    """Compacted file -> the parts that are in it."""
    held = {}
    for part in names:
        if part.has_digest:
            try:
                pieces = pieces_of(folder / part.name)
            except DataError as error:
                log.warning("part_not_compacted", part=part.name, reason=str(error))
                continue
            if pieces:
                held[part.name] = pieces
    return held


def _groups(folder: Path, waiting: list[PartName], count: int) -> Iterator[list[PartName]]:
    """Parts of one partition whose offsets join without a gap, as many as make a file."""
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
        pieces, first = [], 0
        for part, (_, rows) in zip(group, layouts, strict=True):
            pieces.append(Piece(part.name, first, rows))
            first += rows
        tables = _joined(folder, pieces, schema)
        write_tables(folder / _name(group), schema, tables, pieces=pieces, rows=first)
    except DataError as error:
        log.warning("part_not_compacted", part=group[0].name, reason=str(error))
        return False
    except pa.ArrowException:
        # A column has changed its type: of what is on either side of the change a file is made each.
        middle = len(group) // 2
        written = False
        for half in (group[:middle], group[middle:]):
            if len(half) > 1 and _compact(folder, half):
                written = True
        return written
    failpoint("parts_compacted")
    return True


def _joined(folder: Path, pieces: Iterable[Piece], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows of the parts in order, in tables of about `ROWS` rows: many parts take no more memory."""
    waiting: list[pa.Table] = []
    for piece in pieces:
        waiting.append(read_part(folder / piece.name, None))
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


def _remove(folder: Path, compacted: str, pieces: tuple[Piece, ...]) -> int:
    """Remove the files of parts that a sound compacted file holds; returns how many those were."""
    left = [folder / piece.name for piece in pieces if (folder / piece.name).exists()]
    if not left:
        return 0
    try:
        check_part(folder / compacted)  # the last look at the originals' only copy, by its checksums
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

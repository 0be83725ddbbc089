"""The files of the training store in which parts lie, and the names by which a snapshot finds them.

    files = find_part_files(folder, None)             all parts
    files = find_part_files(folder, snapshot.parts)   those of a snapshot, whatever was compacted since

A part lies in a file of its own, in a compacted file (see `store_compaction`), or for some time in both.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from loan_default.data.datasets.store_parts import PartSpan, parse_name, part_names, read_part, read_spans
from loan_default.errors import DataError
from loan_default.files import write_once

MOST_NAMES = 1_000
"""Most parts that a document names; where there are more, it names a file that lists them."""


@dataclass(frozen=True, slots=True)
class PartFile:
    """A file of the training store, and the parts in it that are read."""

    path: Path
    spans: tuple[PartSpan, ...]
    is_whole: bool
    """Whether those are all parts of the file."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names under which a snapshot reads the same rows again."""
        return (self.path.name,) if self.is_whole else tuple(span.name for span in self.spans)

    def read(self, columns: list[str]) -> pa.Table:
        """Read the rows of the parts; only the columns of these names that the file has."""
        table = read_part(self.path, columns)
        if self.is_whole:
            return table
        return pa.concat_tables([table.slice(span.first, span.rows) for span in self.spans])


def find_part_files(folder: Path, only: Collection[str] | None) -> list[PartFile]:
    """Find the files that hold all parts, or those of these names: each part once, compacted if possible.

    Raises:
        DataError: a part is absent, or the file that should hold it is damaged.
    """
    asked = None if only is None else _without_lists(folder, only)
    candidates = _candidates(folder, asked)
    wanted = None if asked is None else _without_compacted(asked, candidates)
    files: list[PartFile] = []
    taken: set[str] = set()
    compacted = sorted(name for name, spans in candidates.items() if spans)
    plain = sorted(name for name, spans in candidates.items() if not spans)
    for name in [*compacted, *plain]:
        spans = candidates[name] or (PartSpan(name, 0, 0),)
        needed = tuple(
            span for span in spans if span.name not in taken and (wanted is None or span.name in wanted)
        )
        taken.update(span.name for span in needed)
        if needed:
            files.append(PartFile(folder / name, needed, is_whole=needed == spans))
    absent = [] if wanted is None else sorted(wanted - taken)
    if absent:
        raise DataError(
            f"the parts of a snapshot must be in the training store, however: {len(absent)} are not in "
            f"{folder}, among them {absent[0]}. Restore them, or prepare the training data anew."
        )
    return sorted(files, key=lambda file: file.path.name)


def has_parts(folder: Path, names: Collection[str]) -> bool:
    """Whether all parts of these names can be read, from files of their own or compacted ones."""
    try:
        find_part_files(folder, names)
    except DataError:
        return False
    return True


def short_names(folder: Path, names: Sequence[str]) -> tuple[str, ...]:
    """The names as a document may hold them: where they are many, that of a file that lists them.

    Documents have a limit of 16 MB. The file is named after its content, so writing it again changes nothing.
    """
    if len(names) <= MOST_NAMES:
        return tuple(names)
    content = "\n".join(names).encode()
    path = folder / f"parts-{hashlib.sha256(content).hexdigest()}.txt"
    write_once(path, content)
    return (path.name,)


def _candidates(folder: Path, asked: set[str] | None) -> dict[str, tuple[PartSpan, ...]]:
    """Files that may hold the parts that are asked for, each with its spans; a plain file has none."""
    ranges = [part for part in map(parse_name, asked or ()) if part is not None]
    candidates: dict[str, tuple[PartSpan, ...]] = {}
    for file in part_names(folder):
        is_asked = asked is None or file.name in asked
        if is_asked or (file.has_digest and any(file.covers(part) for part in ranges)):
            candidates[file.name] = read_spans(folder / file.name) if file.has_digest else ()
    return candidates


def _without_compacted(asked: set[str], candidates: dict[str, tuple[PartSpan, ...]]) -> set[str]:
    """The names that are asked for, with those of its parts instead of a compacted file."""
    wanted: set[str] = set()
    for name in asked:
        spans = candidates.get(name)
        wanted.update([span.name for span in spans] if spans else [name])
    return wanted


def _without_lists(folder: Path, names: Collection[str]) -> set[str]:
    """The names, with the listed ones instead of a file of `short_names`."""
    parts: set[str] = set()
    for name in names:
        path = folder / name
        if path.suffix != ".txt" or not path.exists():
            parts.add(name)
            continue
        content = path.read_bytes()
        if path.name != f"parts-{hashlib.sha256(content).hexdigest()}.txt":
            raise DataError(
                f"the list of a snapshot's parts must be as it was written, however: {path} has another "
                "digest. Restore it, or prepare the training data anew."
            )
        parts.update(content.decode().splitlines())
    return parts

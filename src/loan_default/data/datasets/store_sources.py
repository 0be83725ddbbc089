"""Which files of the training store hold which parts, and how a snapshot names them.

sources = find_sources(folder, None)             all parts
sources = find_sources(folder, snapshot.parts)   those of a snapshot, whatever was compacted since
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from loan_default.data.datasets.store_parts import Piece, parse_name, part_names, pieces_of, read_part
from loan_default.errors import DataError
from loan_default.files import write_once

MOST_NAMES = 1_000
"""So many parts a document names; more are listed in a file that it names instead."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file, and the parts in it that are read; without any it is a part itself."""

    path: Path
    pieces: tuple[Piece, ...]
    is_whole: bool

    @property
    def names(self) -> tuple[str, ...]:
        """What reads the same again."""
        return (self.path.name,) if self.is_whole else tuple(piece.name for piece in self.pieces)

    def read(self, columns: list[str]) -> pa.Table:
        """The columns of these names that it has."""
        table = read_part(self.path, columns)
        if self.is_whole:
            return table
        return pa.concat_tables([table.slice(piece.first, piece.rows) for piece in self.pieces])


def find_sources(folder: Path, only: Collection[str] | None) -> list[Source]:
    """Where all parts are read, or those of these names: each once, if possible from a compacted file.

    Raises:
        DataError: one is not there, or what should hold it is damaged.
    """
    there, sources, taken = part_names(folder), [], set()
    asked = None if only is None else {name for each in only for name in _listed(folder, each)}
    ranges = [part for part in map(parse_name, asked or ()) if part is not None]
    files = {}
    for part in there:
        is_asked = asked is None or part.name in asked
        if is_asked or (part.has_digest and any(part.spans(each) for each in ranges)):
            files[part.name] = pieces_of(folder / part.name) if part.has_digest else ()
    wanted = asked
    if asked is not None:
        inside = {piece.name for name in asked for piece in files.get(name, ())}
        wanted = {name for name in asked if not files.get(name)} | inside
    for name in sorted(files, key=lambda name: (not files[name], name)):  # compacted ones first
        pieces = files[name] or (Piece(name, 0, 0),)
        kept = tuple(
            piece for piece in pieces if piece.name not in taken and (wanted is None or piece.name in wanted)
        )
        taken |= {piece.name for piece in kept}
        if kept:
            sources.append(Source(folder / name, kept, is_whole=kept == pieces))
    if wanted is not None and (absent := sorted(wanted - taken)):
        raise DataError(
            f"the parts of a snapshot must be in the training store, however: {len(absent)} are not in "
            f"{folder}, among them {absent[0]}. Restore them, or prepare the training data anew."
        )
    return sorted(sources, key=lambda source: source.path.name)


def has_parts(folder: Path, names: Collection[str]) -> bool:
    """Whether all parts of these names can be read, from files of their own or compacted ones."""
    try:
        find_sources(folder, names)
    except DataError:
        return False
    return True


def short_names(folder: Path, names: Sequence[str]) -> tuple[str, ...]:
    """The names as a document may hold them: where they are many, that of a file that lists them.

    Documents have a limit of 16 MB. The file is named after its content, so writing it again is no change.
    """
    if len(names) <= MOST_NAMES:
        return tuple(names)
    content = "\n".join(names).encode()
    path = folder / f"parts-{hashlib.sha256(content).hexdigest()}.txt"
    write_once(path, content)
    return (path.name,)


def _listed(folder: Path, name: str) -> list[str]:
    """The names that a file of `short_names` lists; the name itself where it is none of those."""
    path = folder / name
    if path.suffix != ".txt" or not path.exists():
        return [name]
    content = path.read_bytes()
    if path.name != f"parts-{hashlib.sha256(content).hexdigest()}.txt":
        raise DataError(
            f"the list of a snapshot's parts must be as it was written, however: {path} has another digest. "
            "Restore it, or prepare the training data anew."
        )
    return content.decode().splitlines()

"""ARFF, the format of Weka and OpenML: names of columns in lines of their own, then rows between commas.

A value may stand in single or double quotes, both within one row, with delimiters in it and with quotes after
a backslash. A question mark without quotes is a missing value; what follows a per cent sign is a comment.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loan_default.data.schema.file_format import FileFormat
from loan_default.data.schema.frames import RawFrame
from loan_default.data.sources.packing import readable
from loan_default.data.sources.record_frames import Rejected, raw_frames
from loan_default.data.sources.text_streams import open_text
from loan_default.errors import DataError

_BEGIN = re.compile(r"\s*@(relation|attribute)\b", re.IGNORECASE)
_QUOTED = r"'((?:[^'\\]|\\.|'')*)'" + "|" + r'"((?:[^"\\]|\\.|"")*)"'
_ATTRIBUTE = re.compile(rf"\s*@attribute\s+(?:{_QUOTED}|([^\s{{]+))\s*(.*)", re.IGNORECASE)
_VALUE = re.compile(_QUOTED)
_COMMENT = re.compile(r"\s+%")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\(.)")
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r"}
_SPARSE = "a row must give a value to each attribute, however: sparse, {number value, …}"


def is_arff(head: str) -> bool:
    """Whether text is the beginning of an ARFF file."""
    for line in head.splitlines():
        if line.strip() and not line.lstrip().startswith("%"):
            return _BEGIN.match(line) is not None
    return False


def arff_names(path: Path, form: FileFormat) -> list[str]:
    """The names of the attributes.

    Raises:
        DataError: the file has no rows that can be read.
    """
    with _open(path, form) as lines:
        names = _read_names(lines, path)
        first = next(_rows(lines), "")
    if first.startswith("{"):
        raise DataError(f"the rows of an ARFF file must be dense, however: those of {path.name} are sparse")
    return names


def iter_arff(path: Path, names: list[str], rows: int, *, form: FileFormat) -> Iterator[RawFrame]:
    """The rows in raw frames of at most `rows` rows, under the given column names; "?" is missing.

    A row that cannot be split into a value for each name is rejected.

    Raises:
        DataError: the file breaks off.
    """
    with _open(path, form) as lines:
        _read_names(lines, path)
        yield from raw_frames(_records(lines, len(names)), names, rows)


def _records(lines: Iterator[str], n_columns: int) -> Iterator[list[str] | Rejected]:
    for line in _rows(lines):
        try:
            yield _split_row(line, n_columns)
        except DataError as error:
            yield Rejected(str(error), line.encode(errors="surrogateescape").decode(errors="replace"))


@contextmanager
def _open(path: Path, form: FileFormat) -> Iterator[Iterator[str]]:
    """The lines of a file; bytes that are no text are surrogates in them."""
    with readable(path), open_text(path, form) as stream:
        lines = io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape")
        try:
            yield lines
        finally:
            lines.detach()  # or it would close the stream


def _read_names(lines: Iterator[str], path: Path) -> list[str]:
    """The names of the attributes; the lines are read up to the first row."""
    names: list[str] = []
    for line in lines:
        keyword = line.strip().lower()
        if keyword.startswith("@data"):
            return names
        if not keyword.startswith("@attribute"):
            continue
        found = _ATTRIBUTE.match(line)
        if found is None:
            raise DataError(f"an attribute must have a name, however: {path.name} has {line.strip()!r}")
        single, double, bare, kind = found.groups()
        if kind.lower().startswith("relational"):
            raise DataError(
                f"the attributes of an ARFF file must be single values, however: {path.name} has tables "
                "within rows. Export it as CSV."
            )
        names.append(bare if bare is not None else _unquoted(single, double))
    raise DataError(f"an ARFF file must have rows after @data, however: {path.name} has none")


def _rows(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        text = line.strip()
        if text and not text.startswith("%"):
            yield text


def _split_row(line: str, n_columns: int) -> list[str]:
    """The values of a row.

    Raises:
        DataError: it has another number of them, or cannot be split.
    """
    if line.startswith("{"):
        raise DataError(_SPARSE)
    if not line.isascii() and any("\ud800" <= character <= "\udfff" for character in line):
        raise DataError("text must be in the encoding of the file, however: other bytes. Save it as UTF-8")
    cells = _split(line, r"\s*,\s*")
    if len(cells) < n_columns and "," not in _VALUE.sub("", line):
        cells = _split(line, r"\s+")  # Weka reads blanks between values too
    if len(cells) != n_columns:
        fields = "1 field" if len(cells) == 1 else f"{len(cells)} fields"
        raise DataError(f"a row must have {n_columns} fields, however: {fields}")
    return cells


def _split(line: str, delimiter: str) -> list[str]:
    if "'" not in line and '"' not in line and "%" not in line:
        return ["" if cell == "?" else cell for cell in re.split(delimiter, line)]
    cells: list[str] = []
    between = re.compile(delimiter)
    start = 0
    while True:
        value = _VALUE.match(line, start)
        if value is not None:
            cells.append(_unquoted(value[1], value[2]))
            start = value.end()
        elif line[start : start + 1] in ("'", '"'):
            raise DataError("a quoted value must end, however: one does not. Close it")
        else:
            ends = (found.start() for each in (between, _COMMENT) if (found := each.search(line, start)))
            end = min(ends, default=len(line))
            cells.append("" if line[start:end] == "?" else line[start:end])
            start = end
        if start == len(line) or _COMMENT.match(line, start):
            return cells
        after = between.match(line, start)
        if after is None:
            raise DataError("a quoted value must end at a delimiter, however: text follows its quote")
        start = after.end()


def _unquoted(single: str | None, double: str | None) -> str:
    """The text between single or double quotes, whichever there is."""
    text = (double or "").replace('""', '"') if single is None else single.replace("''", "'")

    def plain(match: re.Match[str]) -> str:
        return chr(int(match[1], 16)) if match[1] else _CONTROLS.get(match[2], match[2])

    return _ESCAPE.sub(plain, text)

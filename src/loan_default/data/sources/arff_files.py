"""ARFF, the format of Weka and OpenML: names of columns in lines of their own, then rows between commas."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd

from loan_default.data.schema.file_format import Container, FileFormat
from loan_default.data.schema.frames import RawFrame
from loan_default.data.sources.packing import readable
from loan_default.data.sources.text_files import iter_text
from loan_default.data.sources.text_streams import open_text
from loan_default.errors import DataError

_BEGIN = re.compile(r"(\s*(%[^\r\n]*)?[\r\n])*\s*@relation\b", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"""\s*@attribute\s+(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(\S+))""", re.IGNORECASE
)


def is_arff(head: str) -> bool:
    """Whether text is the beginning of an ARFF file."""
    return _BEGIN.match(head) is not None


def arff_quote(head: str) -> str:
    """The character around the fields of an ARFF file."""
    data = re.split(r"(?mi)^\s*@data\b", head, maxsplit=1)[-1]
    return "'" if data.count("'") > data.count('"') else '"'


def arff_names(path: Path, form: FileFormat) -> list[str]:
    """The names of the attributes.

    Raises:
        DataError: the file has no rows that can be read.
    """
    names, _ = _header(path, form)
    return names


def iter_arff(path: Path, names: list[str], rows: int, *, form: FileFormat) -> Iterator[RawFrame]:
    """The rows in raw frames of at most `rows` rows, under the given column names; "?" is missing.

    Raises:
        DataError: the rows are sparse, or the file breaks off.
    """
    _, n_lines = _header(path, form)
    table = replace(form, container=Container.TEXT, delimiter=",", skip=n_lines, header=False)
    for raw in iter_text(path, names, rows, form=table):
        frame = raw.frame.copy()
        for index in range(frame.shape[1]):
            frame.isetitem(index, _plain(frame.iloc[:, index], form.quote).array)
        rejects = raw.rejects[~raw.rejects["text"].str.lstrip().str.startswith("%")]
        yield RawFrame(frame=frame, rejects=rejects.reset_index(drop=True))


def _plain(text: pd.Series, quote: str) -> pd.Series:
    stripped = text.str.strip()
    if quote:
        inner = stripped.str.replace(f"^{quote}(.*){quote}$", r"\1", regex=True)
        return inner.str.replace(rf"\\({quote}|\\)", r"\1", regex=True).mask(stripped == "?", "")
    return stripped.mask(stripped == "?", "")


def _header(path: Path, form: FileFormat) -> tuple[list[str], int]:
    """The names, and the number of lines up to the first row."""
    names: list[str] = []
    whole = replace(form, delimiter=",", skip=0)
    with readable(path), open_text(path, whole) as stream:
        for number, line in enumerate(stream, start=1):
            text = line.decode(errors="replace")
            if found := _ATTRIBUTE.match(text):
                names.append(re.sub(r"\\(.)", r"\1", found[1] or found[2] or found[3] or ""))
            elif text.strip().lower().startswith("@data"):
                _check_dense(next(stream, b""), path)
                return names, number
    raise DataError(f"an ARFF file must have rows after @data, however: {path.name} has none")


def _check_dense(first_row: bytes, path: Path) -> None:
    if first_row.lstrip().startswith(b"{"):
        raise DataError(f"the rows of an ARFF file must be dense, however: those of {path.name} are sparse")

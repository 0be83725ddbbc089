"""CSV files that a spreadsheet may open: text that it would run as a formula is marked as text.

A cell such as `=HYPERLINK(…)` gets an apostrophe in front, by which spreadsheets know text. Numbers stay as
they are, also negative ones and those with a plus sign. What is read from a CSV file by `data.sources` loses
that apostrophe again, so a quarantine that is mended and read once more holds what it held.
"""

import csv
import re
from pathlib import Path
from typing import Any, Literal, TextIO

import pandas as pd

MARK = "'"
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
"""How a cell begins that a spreadsheet may run. Japanese ones also take the wide signs."""
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)


def as_text(cell: str) -> str:
    """The cell as it may stand in a file: with the mark, if a spreadsheet would run it."""
    return MARK + cell if _needs_mark(cell.lstrip(MARK)) else cell


def from_text(cell: str) -> str:
    """What `as_text` was given: the cell without the mark."""
    return cell[1:] if cell.startswith(MARK) and _needs_mark(cell.lstrip(MARK)) else cell


def write_csv(
    frame: pd.DataFrame, file: TextIO | Path, *, header: bool = True, digits: str | None = None
) -> None:
    """Write a frame without its index, each text in it and each name of a column by `as_text`.

    Args:
        header: whether the names come first; without it rows are appended to a file.
        digits: format of the numbers, such as `%.9g`; None = all digits.
    """
    safe = frame.rename(columns=as_text)
    for place in range(len(safe.columns)):
        column = safe.iloc[:, place]
        if not pd.api.types.is_numeric_dtype(column.dtype):
            safe.isetitem(place, [_as_text_if_any(value) for value in column])
    safe.to_csv(file, index=False, header=header, float_format=digits, quoting=_quoting(safe))


def _needs_mark(cell: str) -> bool:
    return _FORMULA.match(cell) is not None and _NUMBER.fullmatch(cell) is None


def _as_text_if_any(value: Any) -> Any:
    return as_text(value) if isinstance(value, str) else value


def _quoting(frame: pd.DataFrame) -> Literal[0, 2]:
    """All texts in quotes where one holds a carriage return, which would end its row otherwise."""
    for place in range(len(frame.columns)):
        column = frame.iloc[:, place]
        is_text = not pd.api.types.is_numeric_dtype(column.dtype)
        if is_text and any(isinstance(value, str) and "\r" in value for value in column):
            return csv.QUOTE_NONNUMERIC
    return csv.QUOTE_MINIMAL

"""CSV files that a spreadsheet may open: text that it would run as a formula is marked as text.

A cell such as `=HYPERLINK(…)` gets an apostrophe in front, by which spreadsheets know text. Numbers stay as
they are, also negative ones and those with a plus sign, a currency or a percent sign. `text_files` removes
the apostrophe when it reads a file, so a quarantine that is corrected and read once more has the original
values.
"""

import csv
import re
from pathlib import Path
from typing import Any, Literal, TextIO

import pandas as pd

from loan_default.data.sources.cells import is_number

MARK = "'"
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
"""The beginning of a cell that a spreadsheet may run. Japanese spreadsheets also accept the wide signs."""


def mark_formula(cell: str) -> str:
    """The cell as it is safe in a file: with the mark, if a spreadsheet would run it."""
    return MARK + cell if _needs_mark(cell.lstrip(MARK)) else cell


def unmark_formula(cell: str) -> str:
    """The cell that `mark_formula` was given: without the mark."""
    return cell[1:] if cell.startswith(MARK) and _needs_mark(cell.lstrip(MARK)) else cell


def write_csv(
    frame: pd.DataFrame, file: TextIO | Path, *, header: bool = True, digits: str | None = None
) -> None:
    """Write a frame without its index, each text and each column name by `mark_formula`.

    Args:
        header: whether the names come first; without it rows are appended to a file.
        digits: format of the numbers, such as `%.9g`; None = all digits.
    """
    safe = frame.rename(columns=mark_formula)
    for index in range(len(safe.columns)):
        column = safe.iloc[:, index]
        if not pd.api.types.is_numeric_dtype(column.dtype):
            safe.isetitem(index, [_mark_if_text(value) for value in column])
    safe.to_csv(file, index=False, header=header, float_format=digits, quoting=_quoting(safe))


def _needs_mark(cell: str) -> bool:
    if _FORMULA.match(cell) is None or _NUMBER.fullmatch(cell) is not None:
        return False
    if cell[0] in "\t\r\n":
        return True
    # An amount such as -5 EUR has one sign and calculates nothing.
    return not is_number(cell) or len(re.findall(r"[-+()]", cell)) > 1


def _mark_if_text(value: Any) -> Any:
    return mark_formula(value) if isinstance(value, str) else value


def _quoting(frame: pd.DataFrame) -> Literal[0, 2]:
    """Quote all texts where one holds a carriage return, which would end its row otherwise."""
    for index in range(len(frame.columns)):
        column = frame.iloc[:, index]
        is_text = not pd.api.types.is_numeric_dtype(column.dtype)
        if is_text and any(isinstance(value, str) and "\r" in value for value in column):
            return csv.QUOTE_NONNUMERIC
    return csv.QUOTE_MINIMAL

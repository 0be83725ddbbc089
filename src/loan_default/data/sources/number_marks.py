"""Decimal and thousands marks of the number columns of a table, by majority of its columns."""

import re
from collections import Counter
from typing import NamedTuple

import pandas as pd

from loan_default.data.schema.inference.evidence import file_evidence, marks_of
from loan_default.data.sources.cells import is_no_value, is_number

_GROUPED = re.compile(r"\d{1,3}([.,' \u00a0\u202f\u2019])\d{3}(?:\1\d{3})*")


def find_marks(rows: list[list[str]]) -> tuple[str, str]:
    """The decimal mark and the thousands mark ("" = none) that the columns of the rows prove together.

    "1.200" alone can be either, and proves nothing.
    """
    marks = []
    for column in zip(*rows, strict=False):
        cells = Counter(cell.strip() for cell in column if not is_no_value(cell))
        is_of_numbers = sum(rows for cell, rows in cells.items() if is_number(cell)) >= 0.9 * cells.total()
        if cells and is_of_numbers:
            marks.append(marks_of(pd.Series(cells)))
    evidence = file_evidence(marks, [], form=None, n_rows=len(rows))
    return evidence.decimal, evidence.thousands


class MarkCounts(NamedTuple):
    """Numbers of a column by what they say of an expected decimal mark."""

    agree: int
    differ: int
    either: int
    """Numbers such as 1.250 and 1,250: read with either mark, as values that differ by a factor of 1000."""


def count_marks(values: list[str], *, decimal: str, is_percent: bool) -> MarkCounts:
    """Compare the numbers of a column with an expected decimal mark.

    A column of which under 90 % are numbers says nothing. Nobody means 1,250 %: there a group of three
    digits stands after a decimal mark.
    """
    cells = [value for value in values if not is_no_value(value)]
    numbers = [re.sub(r"^[^\d.,]*|\D*$", "", cell) for cell in cells if is_number(cell)]
    agree = differ = either = 0
    if len(numbers) < 0.9 * len(cells):
        return MarkCounts(0, 0, 0)
    for number in numbers:
        marks = re.findall(r"[.,]", number)
        if not marks:
            continue
        if len(set(marks)) == 1 and len(marks) > 1:
            is_decimal = marks[0] != decimal  # it repeats, so it stands between thousands
        elif len(marks) == 1 and _GROUPED.fullmatch(number) and not number.startswith("0"):
            if not is_percent:
                either += 1
                continue
            is_decimal = marks[0] == decimal
        else:
            is_decimal = marks[-1] == decimal
        agree += is_decimal
        differ += not is_decimal
    return MarkCounts(agree, differ, either)

"""Decimal and thousands marks of the number columns of a table, as they prove them together."""

from collections import Counter
from collections.abc import Iterable

import pandas as pd

from loan_default.data.schema.inference.evidence import file_evidence, marks_of
from loan_default.data.schema.mark_uses import MarkUses, uses_of
from loan_default.data.sources.cells import is_no_value, is_number

_FEWEST_NUMBERS = 0.9
"""Share of the cells from which on a column is one of numbers."""


def find_marks(rows: list[list[str]]) -> tuple[str, str]:
    """The decimal mark and the thousands mark ("" = none) that the columns of the rows prove together.

    "1.200" alone can be either, and proves nothing.
    """
    counts = [_numbers_of(column) for column in zip(*rows, strict=False)]
    marks = [marks_of(pd.Series(cells)) for cells in counts if cells]
    evidence = file_evidence(marks, [], form=None, n_rows=len(rows))
    return evidence.decimal, evidence.thousands


def uses_in(cells: Iterable[str], *, is_percent: bool) -> MarkUses:
    """How the numbers of a column use the marks; no number at all where it is not one of numbers.

    Args:
        is_percent: whether they are percent, also without the sign.
    """
    sign = "%" if is_percent else ""
    return uses_of((f"{cell}{sign}", rows) for cell, rows in _numbers_of(cells).items())


def _numbers_of(cells: Iterable[str]) -> Counter[str]:
    """The different cells of a column of numbers, each with its rows; empty for another column."""
    counts = Counter(cell.strip() for cell in cells if not is_no_value(cell))
    n_numbers = sum(rows for cell, rows in counts.items() if is_number(cell))
    return counts if n_numbers >= _FEWEST_NUMBERS * counts.total() else Counter()

"""Columns that look like numbers and are not read as numbers: with words, in several units or marks.

As categories they lose their order, so a finding says why, and how they become numbers.
"""

import re
from dataclasses import replace

import numpy as np
import pandas as pd

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.durations import DURATION_FORMATS
from loan_default.data.schema.inference.numbers import unreadable_texts
from loan_default.data.schema.schema_files import table_heading

_SAMPLE = 1_000
"""Different texts that are looked at."""
_FEWEST_ROWS = 0.7
"""Share of rows with one number each from which on a column is one of numbers."""
_MOST_READABLE = 0.95
"""From this share of plain numbers on it was another reason that made them categories."""
_FEWEST_DIFFERENT, _FEWEST_PLAIN = 10, 20
"""Different numbers; of numbers without a mark or a word, which may be codes, there must be more."""
_MOST_CODES = 0.05
"""Share of rows with digits beside numbers, such as A12, from which on all are codes."""
_MOST_ZERO_CODES = 0.01
_MOST_WORDS, _FEWEST_OF_WORDS = 6, 0.9
"""So many different words beside numbers must make up this share; streets and trades have more."""
_SHAPES = 3

_NUMBER = r"[0-9]{1,3}(?:[ '\u2019.,\u00a0\u202f][0-9]{2,3})+(?:[.,][0-9]+)?|[0-9]+(?:[.,][0-9]+)?|[.,][0-9]+"
_CURRENCY = r"[A-Z]{0,3}[$¢£¤¥\u20a0-\u20c0]|[A-Z]{3}|Rs\.?|kr\.?|zł|Kč|Ft"
_ABOUT = (
    r"(?i:ca\.?|circa|approx\.?|approximately|about|around|over|under|above|below|more than|less than|up to|"
    r"at least|at most|min\.?|max\.?|über|unter|mehr als|weniger als|bis|etwa|rund|environ|plus de|moins de|"
    r"más de|menos de|cerca de|mais de|circa|più di|meno di|około|ponad|asi|přes)"
)
_BEFORE = rf"(?:[<>≤≥=~≈±+\-\u2212\u2013(]{{1,3}}|{_ABOUT}(?![^\W\d_])|{_CURRENCY})"
_MULTIPLE = r"(?i:k|m|mn|mm|mio\.?|mln|mrd|bn|b|t|tsd|tys|lakh|lac|cr|dr)"
_WORDS = r"[^\W\d_]+[.²³]?(?:[ /-][^\W\d_]+\.?)?"
_NUMBER_LIKE = re.compile(
    rf"(?:{_BEFORE}\s*)*(?P<number>{_NUMBER})"
    rf"(?P<words>\s*{_MULTIPLE}\s*(?:{_CURRENCY})?|\s*(?:{_CURRENCY})|\s+{_WORDS}|(?<=[.,]\d\d){_WORDS}|"
    r"(?:days?|weeks?|hours?|hrs?|tage?|wochen?|jours?|semaines?|días?|dias?|giorni|dni)|)"
    r"\s*[+%)]?\s*"
)
_FORMATS = ("", "money", "percent", *DURATION_FORMATS)
_MARKS = ((".", ""), (",", ""), (".", ","), (",", "."))


def why_no_numbers(name: str, counts: pd.Series) -> str:
    """Why a column of numbers is read as one of categories, with the way out; "" = it does not look like one.

    Args:
        counts: different texts, trimmed and present, each with its number of rows; no one format reads them.
    """
    sample = counts.iloc[:: max(1, len(counts) // _SAMPLE)]
    n_rows = int(sample.sum())
    has_digit = np.asarray(sample.index.str.contains("[0-9]"), dtype=bool)
    if sample[has_digit].sum() < _FEWEST_ROWS * n_rows:
        return ""
    matches = [_NUMBER_LIKE.fullmatch(text) for text in sample.index]
    is_number = pd.Series([match is not None for match in matches], index=sample.index).to_numpy(dtype=bool)
    found = [match for match in matches if match is not None]
    if sample[is_number].sum() < _FEWEST_ROWS * n_rows or _are_codes(sample, found, is_number, has_digit):
        return ""
    column, n_read = _best_declaration(name, sample)
    if n_read >= _MOST_READABLE * n_rows and not column.format:
        return ""
    shapes = sample[is_number].groupby([_shape(match) for match in found]).sum()
    shapes = shapes.sort_values(ascending=False, kind="stable")
    shares = ", ".join(f"{shape!r} ({rows / n_rows:.0%})" for shape, rows in shapes.iloc[:_SHAPES].items())
    others = sample[~is_number].index
    also = f" and others such as {str(others[0])!r}" if len(others) else ""
    also = ", …" + also if len(shapes) > _SHAPES else also
    why = "no one format reads them"
    ways = "Write a plain number in each row, all in one unit and with the same marks"
    declared = f"let {table_heading(name)} hold {_lines(column)}"
    if n_read >= _MOST_READABLE * n_rows:
        why, ways = (
            "nothing says in which unit they are to be counted",
            f"To count in {column.format}, {declared}",
        )
    elif n_read:
        ways += f"; or {declared}: the other rows ({1 - n_read / n_rows:.0%}) are then quarantined"
    return f"looks like numbers, read as categories because {why}: {shares}{also}. {ways}"


def _are_codes(
    sample: pd.Series, found: list[re.Match[str]], is_number: np.ndarray, has_digit: np.ndarray
) -> bool:
    """Whether texts of one number each name something, as 00501, A12 beside 112, or 12 Oak Street do."""
    rows = sample[is_number]
    total = sample.sum()
    if sample[sample.index.str.fullmatch("0[0-9]+")].sum() > _MOST_ZERO_CODES * total:
        return True
    if sample[has_digit].sum() - rows.sum() > _MOST_CODES * total:
        return True
    # Capitals before a whole number that no currency explains, as in ACC27376818 or REQ 1024.
    if rows[rows.index.str.fullmatch("[A-Z]{2,}[ -]?[0-9]+")].sum() > total / 2:
        return True
    words = rows.groupby([match["words"].strip().casefold() for match in found]).sum()
    if words.nlargest(_MOST_WORDS).sum() < _FEWEST_OF_WORDS * rows.sum():
        return True
    plain = rows[rows.index.str.fullmatch("[0-9]+")].sum()
    fewest = _FEWEST_PLAIN if plain > rows.sum() / 2 else _FEWEST_DIFFERENT
    return len({match["number"] for match in found}) <= fewest


def _best_declaration(name: str, sample: pd.Series) -> tuple[Column, int]:
    """The plainest declaration by which most rows are numbers, and their count."""
    plain = Column(name=name, kind=Kind.NUMERICAL, nullable=True)
    best, best_rows = plain, 0
    has_unit = sample.index.str.contains(r"[0-9]\+?\s*[^\W\d_]")  # a bare bound counts no months
    for form in _FORMATS:
        for decimal, thousands in _MARKS:
            column = replace(plain, format=form, decimal=decimal, thousands=thousands)
            is_read = ~unreadable_texts(sample, column)
            n_read = int(sample[is_read & has_unit if form in DURATION_FORMATS else is_read].sum())
            if n_read > best_rows:
                best, best_rows = column, n_read
    return best, best_rows


def _shape(match: re.Match[str]) -> str:
    """A text with 9 for its digits: "1,250.00 CR" is "9,999.99 CR"."""
    return re.sub(
        "(?P<mark>[.,'])?(?P<digits>[0-9]+)",
        lambda run: run["mark"] + "9" * min(len(run["digits"]), 3) if run["mark"] else "9",
        match[0],
    )


def _lines(column: Column) -> str:
    lines = ['kind = "numerical"', "nullable = true"]
    lines += [f'format = "{column.format}"'] if column.format else []
    lines += [f'decimal = "{column.decimal}"'] if column.decimal != "." else []
    lines += [f'thousands = "{column.thousands}"'] if column.thousands else []
    return f"{', '.join(lines[:-1])} and {lines[-1]}"

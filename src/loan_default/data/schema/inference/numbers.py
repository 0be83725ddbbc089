"""Columns of numbers as text: the plainest declaration that reads nearly all of their values.

A declaration is proposed and then tried by the reader that files are read with, so that inference and reading
cannot disagree.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.frames import parse_numbers
from loan_default.data.schema.inference.evidence import Certainty, FileEvidence, Marks, marks_of, settle
from loan_default.data.schema.inference.markers import is_marker_among_numbers, known_markers, markers_among

_SAMPLE = 2_000
"""Different texts that decide which declaration is tried on all of them."""
_FEWEST_READABLE = 0.95
"""Share of the rows, markers apart, that must be numbers; the others are slips."""
_FEWEST_IF_SLIPS = 0.85
"""The same where each of the others occurs once or twice, as slips of the keyboard do and codes do not."""
_FEWEST_NUMBERS = 20
"""With so many different numbers or fewer, words beside them make the column a list of codes."""
_FEWEST_CODES = 3
_FEW_ROWS_EACH = 1.2
_ONE_LENGTH = 0.9
"""Share of numbers of one length from which on they look like codes."""
_MOST_ZERO_CODES = 0.01
"""Share of values such as 00501 from which on a column holds codes."""

_UNITS = {
    "months": r"(?<![^\W\d])(?:months?|mons?|mths?|monate?n?|mois|mes(?:es)?|mês|mesi|mo|miesi\w+|mies|"
    r"měsíc\w*)\b",
    "years": r"(?<![^\W\d])(?:years?|yrs?|jahre?n?|ans?|années?|años?|anos?|anni|anno|rok\w?|lata?|let)\b",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberReading:
    """How text becomes numbers, and what remains."""

    column: Column
    """Kind, format, marks and markers; nullable."""
    marks: Marks
    unreadable: pd.Series
    """Different texts that are no numbers and no markers, each with its rows."""


def read_numbers(name: str, counts: pd.Series, evidence: FileEvidence) -> NumberReading | None:
    """The declaration by which a column of text holds numbers; None where it holds none.

    Args:
        counts: different texts, trimmed and present, each with its number of rows.
    """
    head = counts.index[: 10 * _SAMPLE]
    is_marker = np.zeros(len(counts), bool)
    is_marker[: len(head)] = known_markers(head)
    possible = counts[~is_marker]
    if possible.empty or possible[possible.index.str.contains("[0-9]")].sum() < 0.2 * possible.sum():
        return None
    if possible[possible.index.str.fullmatch("0[0-9]+")].sum() > _MOST_ZERO_CODES * possible.sum():
        return None  # as a number 00501 would lose its zeros
    marks = settle(marks_of(possible), evidence)
    plain = Column(name=name, kind=Kind.NUMERICAL, nullable=True)
    sample = possible.iloc[:: max(1, len(possible) // _SAMPLE)]
    best, best_rows = None, 0
    for candidate in _candidates(plain, sample, marks):
        readable = int(sample[~unreadable_texts(sample, candidate)].sum())
        if readable > best_rows * 1.01:  # the plainer declaration wins where both read nearly alike
            best, best_rows = candidate, readable
    if best is None:
        return None
    return _accepted(_with_bounds(best, possible), counts, marks)


def _with_bounds(column: Column, counts: pd.Series) -> Column:
    """The column, capped where that reads more: bounds such as "90+" among many different numbers."""
    failed = counts[unreadable_texts(counts, column)]
    is_few = len(counts) - len(failed) <= _FEWEST_NUMBERS  # perhaps grades, such as 1+ beside 1 and 2
    if is_few or failed.empty or 2 * failed.sum() > counts.sum():
        return column
    capped = replace(column, capped=True)
    return column if unreadable_texts(failed, capped).all() else capped


def _accepted(column: Column, counts: pd.Series, marks: Marks) -> NumberReading | None:
    is_failed = unreadable_texts(counts, column)
    failed, read = counts[is_failed], counts[~is_failed]
    n_numbers = len(counts) - len(failed)
    known = [text for text in failed.index if is_marker_among_numbers(text)]
    unknown = failed.drop(known)
    if len(unknown) and (n_numbers <= _FEWEST_NUMBERS or _are_codes(unknown, read)):
        return None
    markers = markers_among(failed)
    rest = unknown.drop([text for text in markers if text in unknown.index])
    n_present = int(counts.sum()) - int(failed[list(markers)].sum())
    fewest = _FEWEST_IF_SLIPS if _are_slips(rest, read) else _FEWEST_READABLE
    if rest.sum() > (1 - fewest) * n_present:
        return None
    return NumberReading(column=replace(column, missing=markers), marks=marks, unreadable=rest)


def _are_codes(others: pd.Series, numbers: pd.Series) -> bool:
    """Whether texts with digits, such as A12, repeat among numbers about as often as these do."""
    coded = others[others.index.str.contains("[0-9]")]
    return len(coded) >= _FEWEST_CODES and coded.mean() >= max(2.0, numbers.mean() / 2)


def _are_slips(others: pd.Series, numbers: pd.Series) -> bool:
    """Whether texts among numbers are typing errors, each its own, and not codes such as A12 beside 112.

    Codes repeat as often as the numbers beside them, or all texts have one length.
    """
    if others.empty or others.max() > 2 or others.mean() > _FEW_ROWS_EACH:
        return False
    if numbers.mean() >= 2 * others.mean():
        return True
    length = numbers.index.str.len()
    usual = length.value_counts().index[0]
    same, others_same = (length == usual).mean(), (others.index.str.len() == usual).mean()
    return bool(same < _ONE_LENGTH or others_same < 0.5)


def unreadable_texts(counts: pd.Series, column: Column) -> np.ndarray:
    """The mask of the texts that the column's reader takes for no number, markers among them."""
    numbers, _ = parse_numbers(pd.Series(counts.index, dtype="str"), column)
    return np.array(np.isnan(numbers))


def _candidates(plain: Column, sample: pd.Series, marks: Marks) -> list[Column]:
    """Declarations from the plainest on."""
    texts = sample.index.str
    formats = [""]
    if texts.contains(r"[^0-9.,' eE+\-]|^\(|-$").any():  # neither a sign of percent nor a word without this
        if texts.contains("%|percent|prozent|pct", case=False).any():
            formats.append("percent")
        formats.append("money")
        if (unit := _unit(sample)) is not None:
            formats.append(unit)
    pairs = [(marks.decimal, marks.thousands)]
    if marks.certainty is Certainty.NONE and pairs[0] != (".", ""):
        pairs.append((".", ""))
    if marks.other is not None:
        pairs.append(marks.other)
    return [
        replace(plain, format=form, decimal=decimal, thousands=thousands)
        for form in formats
        for decimal, thousands in pairs
    ]


def _unit(sample: pd.Series) -> str | None:
    """The unit that most durations name: months where any value counts in months."""
    texts = sample.index.str.lower().str
    rows = {unit: int(sample[texts.contains(pattern)].sum()) for unit, pattern in _UNITS.items()}
    if not any(rows.values()):
        return None
    return "months" if rows["months"] else "years"

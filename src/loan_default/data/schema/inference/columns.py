"""One column of a file that has no schema: its kind, inferred from its name and its values.

Each rule of thumb is one function; its decision is reported as a finding.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
import pandas as pd

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.inference.plausibility import (
    age_bounds,
    heavy_tail,
    isolated_bounds,
    names_age,
    names_identifier,
    names_lender_decision,
    names_protected,
    special_codes,
    words_of,
)
from loan_default.data.schema.values import as_text, fold, parse_timestamp, plain_number, show

MAX_CATEGORIES = 50
"""A text column with more levels is not a plain list of categories."""
MAX_FREQUENT_CATEGORIES = 200
"""Of a longer list, as many frequent levels are kept if they cover `MIN_COVERAGE` of the rows."""
MIN_COVERAGE = 0.8

_FEWEST_FLAGS = 10  # rows from which on the presence of a value is a flag
_LONGEST_FLAG = 64  # characters
_MAX_WHOLE_NUMBERS = 200  # whole numbers with more distinct values are amounts: 1200.50 may come tomorrow

_DATE_LIKE = (
    r"^[0-9]{1,4}[/. -](?:[0-9]{1,2}|[A-Za-z]{3,9})[/. -][0-9]{2,4}\b|^[A-Za-z]{3,9}[/. -][0-9]{2,4}$"
)
_NUMBER_LIKE = r"^\W*[0-9][0-9.,' ]*\W*$"


class Severity(StrEnum):
    """How much a finding asks of the reader."""

    NOTE = "note"
    """It is handled; there is nothing to do."""
    WARNING = "warning"
    """It is handled by a guess, or not at all: look at it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An observation about a file that its owner should know."""

    column: str
    """Name of the column; empty = the whole file."""
    severity: Severity
    message: str


Report = Callable[[str, Severity, str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Values:
    """The values of one raw column that are not missing."""

    name: str
    raw: pd.Series
    """The values as they are in the file, without missing ones."""
    n_missing: int
    numbers: np.ndarray = field(repr=False)
    """The values as numbers; NaN where a value is not one."""

    @property
    def column(self) -> Column:
        """A column of this name, whose kind is still to be set."""
        return Column(name=self.name, kind=Kind.IDENTIFIER, nullable=self.n_missing > 0)


def infer_column(values: Values, report: Report) -> Column | None:
    """The column that the values make, or None where it can be neither a feature nor identify the row."""
    if len(values.raw) == 0:
        report(values.name, Severity.NOTE, "left out: it has no values")
        return None
    if values.raw.dtype.kind == "M":
        return replace(values.column, kind=Kind.TIMESTAMP, optional=True)
    is_plain = isinstance(values.raw.dtype, pd.StringDtype) or pd.api.types.is_numeric_dtype(values.raw.dtype)
    if not is_plain and values.raw.map(as_text).isna().any():
        report(values.name, Severity.WARNING, "left out: its values are neither numbers nor text")
        return None
    if values.raw.nunique() == 1:
        only = show(values.raw.iloc[0])
        if not _is_flag(values):
            report(values.name, Severity.NOTE, f"left out: every value is {only}")
            return None
        report(values.name, Severity.NOTE, f"{only} or missing: kept, as that may say something")
    if names_lender_decision(values.name):
        report(
            values.name, Severity.WARNING, "known only after the decision? Remove it from the schema if so"
        )
    if names_protected(values.name):
        report(
            values.name, Severity.NOTE, "may be protected by law: protected = true keeps it from the model"
        )
    return _infer_numerical(values, report) if _is_numerical(values) else _infer_text(values, report)


def _is_flag(values: Values) -> bool:
    """Whether a column of one value informs by where that is missing: it is no remark, date or name."""
    text = as_text(values.raw.iloc[0]) or ""
    often = len(values.raw) >= _FEWEST_FLAGS
    return values.n_missing > 0 and often and len(text) <= _LONGEST_FLAG and parse_timestamp(text) is None


def _is_numerical(values: Values) -> bool:
    readable = np.isfinite(values.numbers)
    if isinstance(values.raw.dtype, pd.StringDtype) and values.raw.str.fullmatch("0[0-9]+").mean() > 0.01:
        return False  # "00501" is a code: as a number it would lose its zeros
    if readable.all():
        return True
    # Some typing errors in a column of numbers, rather than a list of codes, some of them words.
    return bool(readable.mean() >= 0.95 and len(np.unique(values.numbers[readable])) > 20)


# Numbers -----------------------------------------------------------------------------------------------


def _infer_numerical(values: Values, report: Report) -> Column | None:
    name, numbers = values.name, values.numbers[np.isfinite(values.numbers)]
    if len(numbers) < len(values.raw):
        count = len(values.raw) - len(numbers)
        report(name, Severity.WARNING, f"{rows_in_words(count)} without a finite number: quarantined")
    distinct = np.unique(numbers)
    is_whole = bool((np.trunc(numbers) == numbers).all())
    if is_whole and _is_numbered(values, numbers, n_distinct=len(distinct)):
        return _identifier(values, report, is_unique=len(distinct) == len(numbers))
    special = special_codes(numbers)
    if special:
        coded = np.isin(numbers, special)
        codes = ", ".join(plain_number(code) for code in special)
        report(
            name,
            Severity.WARNING,
            f"{codes} look like codes, not measurements ({rows_in_words(coded.sum())}): read as missing",
        )
        numbers = numbers[~coded]
    minimum, maximum = _bounds(name, numbers, report)
    inside = numbers[~_outside(numbers, minimum, maximum)]
    percentile = heavy_tail(inside)
    if percentile is not None:
        report(
            name,
            Severity.NOTE,
            f"heavy tail: 1 % of values exceed {percentile:,.10g}, the largest is {inside.max():,.10g}; kept",
        )
    return Column(
        name=name,
        kind=Kind.NUMERICAL,
        nullable=values.n_missing > 0,
        integer=is_whole and len(distinct) <= _MAX_WHOLE_NUMBERS,
        minimum=minimum,
        maximum=maximum,
        special=special,
    )


def _is_numbered(values: Values, numbers: np.ndarray, *, n_distinct: int) -> bool:
    """Whether whole numbers name rows: by the column's name, or because they count the rows."""
    if names_identifier(values.name):
        return n_distinct == len(numbers) or n_distinct > MAX_CATEGORIES
    if "unnamed" in words_of(values.name) or values.name.startswith("__index_level"):
        return n_distinct == len(numbers)
    return len(numbers) >= 20 and bool((np.diff(numbers) == 1).all())


def _bounds(name: str, numbers: np.ndarray, report: Report) -> tuple[float | None, float | None]:
    minimum, maximum = isolated_bounds(numbers)
    reason = "far from all other values"
    if names_age(name) and (age := age_bounds(numbers)):
        minimum, maximum = age
        reason = f"an age lies between {plain_number(minimum)} and {plain_number(maximum)}"
    outside = _outside(numbers, minimum, maximum)
    if outside.any():
        few = ", ".join(plain_number(value) for value in np.unique(numbers[outside])[:5])
        report(
            name,
            Severity.WARNING,
            f"{rows_in_words(outside.sum())} with {few}: {reason}. Quarantined; edit the bounds to keep",
        )
    if minimum is None and numbers.min() >= 0:
        minimum = 0.0
    return minimum, maximum


def _outside(numbers: np.ndarray, minimum: float | None, maximum: float | None) -> np.ndarray:
    low = -np.inf if minimum is None else minimum
    high = np.inf if maximum is None else maximum
    return (numbers < low) | (numbers > high)


# Text --------------------------------------------------------------------------------------------------


def _infer_text(values: Values, report: Report) -> Column | None:
    if (n_times := _count_times(values.raw)) >= 0.99 * len(values.raw):
        if n_times < len(values.raw):
            count = rows_in_words(len(values.raw) - n_times)
            report(values.name, Severity.WARNING, f"{count} without a readable time: quarantined")
        return replace(values.column, kind=Kind.TIMESTAMP, optional=True)
    texts = values.raw.map(as_text)
    counts = texts.value_counts()
    if names_identifier(values.name) and (len(counts) == len(texts) or len(counts) > MAX_CATEGORIES):
        return _identifier(values, report, is_unique=len(counts) == len(texts))
    spellings: dict[str, list[str]] = {}
    for text in counts.index:  # the most frequent spelling of a category comes first
        spellings.setdefault(fold(text), []).append(text)
    if len(spellings) == 1 and not values.n_missing:
        report(values.name, Severity.NOTE, "left out: all values are spellings of one")
        return None
    if len(spellings) > MAX_CATEGORIES:
        return _infer_long_text(values, counts, report)
    variants = {other: first for first, *others in spellings.values() for other in others}
    if variants:
        few = ", ".join(f"{other!r} = {first!r}" for other, first in list(variants.items())[:3])
        report(values.name, Severity.NOTE, f"spellings merged: {few}")
    categories = sorted(first for first, *_ in spellings.values())
    return replace(values.column, kind=Kind.CATEGORICAL, categories=tuple(categories), aliases=variants)


def _infer_long_text(values: Values, counts: pd.Series, report: Report) -> Column | None:
    name, n = values.name, int(counts.sum())
    texts = values.raw.map(as_text)
    hint = _rewriting_hint(texts)
    if not hint and len(counts) == n and texts.str.fullmatch(r"\S{1,64}").all():
        return _identifier(values, report, is_unique=True)
    frequent = counts[counts >= max(10, n // 1000)]
    if 1 < len(frequent) <= MAX_FREQUENT_CATEGORIES and frequent.sum() >= MIN_COVERAGE * n:
        message = (
            f"{len(counts):,} levels: the {len(frequent)} frequent ones are categories, others are unknown"
        )
        report(name, Severity.NOTE, message + hint)
        first = {fold(text): text for text in reversed(frequent.index.to_list())}
        categories = tuple(sorted(first.values()))
        return replace(values.column, kind=Kind.CATEGORICAL, categories=categories, open=True)
    report(name, Severity.WARNING, f"left out: text with {len(counts):,} different values{hint}")
    return None


def _rewriting_hint(texts: pd.Series) -> str:
    if texts.str.contains(_DATE_LIKE).mean() > 0.9:
        return ". They look like dates: write them in ISO 8601 (2024-01-31) to use them"
    if texts.str.contains(_NUMBER_LIKE).mean() > 0.9:
        return ". They look like numbers with signs or separators: write plain numbers (1234.5) to use them"
    return ""


def _count_times(raw: pd.Series) -> int:
    if not isinstance(raw.dtype, pd.StringDtype):
        return 0
    head = [parse_timestamp(text) for text in raw.iloc[:100]]
    if sum(time is not None for time in head) < 0.9 * len(head):
        return 0  # most columns end here, at the cost of a hundred values
    return sum(parse_timestamp(text) is not None for text in raw)


# Identifier --------------------------------------------------------------------------------------


def _identifier(values: Values, report: Report, *, is_unique: bool) -> Column:
    what = "unique" if is_unique else "not unique"
    blank = f", {values.n_missing:,} blank" if values.n_missing else ""
    severity = Severity.NOTE if is_unique else Severity.WARNING
    report(values.name, severity, f"identifier ({what}{blank}): carried along, never a feature")
    return replace(values.column, optional=True)


def rows_in_words(count: int) -> str:
    """The number of rows with its noun: "1 row", "1,000 rows"."""
    return "1 row" if count == 1 else f"{count:,} rows"

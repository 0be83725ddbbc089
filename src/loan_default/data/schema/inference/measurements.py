"""A column of numbers: codes among them, bounds that only impossible values break, values far from others."""

from dataclasses import replace

import numpy as np

from loan_default.data.schema.column import Column
from loan_default.data.schema.inference.findings import Report, Severity, rows_in_words
from loan_default.data.schema.inference.plausibility import (
    age_bounds,
    heavy_tail,
    isolated_bounds,
    names_age,
    names_count,
    names_stock,
    special_codes,
)
from loan_default.data.schema.number_rules import plain_number

_FEWEST_COUNTS, _LARGEST_COUNT = 100, 1_000
"""Whole numbers from 0 or 1 on, in so many rows and below so much, are counts."""
_MOST_NEGATIVE = 0.02
"""Share of rows up to which negative counts are mistakes; where there are more, they mean something."""


def measured(column: Column, numbers: np.ndarray, report: Report) -> Column:
    """The column with its codes and bounds.

    Args:
        numbers: its finite values.
    """
    name = column.name
    special = special_codes(numbers)
    if special:
        coded = np.isin(numbers, special)
        codes = ", ".join(plain_number(code) for code in special)
        report(
            name,
            Severity.WARNING,
            f"{codes} look like codes, not measurements ({rows_in_words(int(coded.sum()))}): read as missing",
        )
        numbers = numbers[~coded]
    minimum, maximum = _possible(name, numbers, report)
    inside = numbers[~_outside(numbers, minimum, maximum)]
    _report_far(name, inside, report)
    return replace(column, minimum=minimum, maximum=maximum, special=special)


def _possible(name: str, numbers: np.ndarray, report: Report) -> tuple[float | None, float | None]:
    """Bounds that no true value breaks; a value that is only large breaks none."""
    if names_age(name) and (ages := age_bounds(numbers)):
        impossible = numbers[_outside(numbers, *ages)]
        if len(impossible):
            few = ", ".join(plain_number(value) for value in np.unique(impossible)[:5])
            report(
                name,
                Severity.WARNING,
                f"{rows_in_words(len(impossible))} with {few}: an age lies between {plain_number(ages[0])} "
                f"and {plain_number(ages[1])}. Quarantined; edit the bounds to keep",
            )
        return ages
    is_whole = bool((np.trunc(numbers) == numbers).all())
    if numbers.min() < 0:
        negative = numbers[numbers < 0]
        # An income may be a loss, a count of anything cannot.
        if not (is_whole and names_count(name)):
            return None, None
        few = ", ".join(plain_number(value) for value in np.unique(negative)[:5])
        found = f"{rows_in_words(len(negative))} with {few}: a count cannot be negative."
        if len(negative) > _MOST_NEGATIVE * len(numbers):
            ways = f"Kept, as so many may be codes; special = [{few}] reads them as missing"
            report(name, Severity.WARNING, f"{found} {ways}")
            return None, None
        ways = f"Quarantined; special = [{few}] reads them as missing, and without minimum they are kept"
        report(name, Severity.WARNING, f"{found} {ways}")
        return 0.0, None
    is_count = (
        is_whole and len(numbers) >= _FEWEST_COUNTS and numbers.min() <= 1 and numbers.max() < _LARGEST_COUNT
    )
    return (0.0 if is_count or names_count(name) or names_stock(name) else None), None


def _outside(numbers: np.ndarray, minimum: float | None, maximum: float | None) -> np.ndarray:
    low = -np.inf if minimum is None else minimum
    high = np.inf if maximum is None else maximum
    return (numbers < low) | (numbers > high)


def _report_far(name: str, numbers: np.ndarray, report: Report) -> None:
    low, high = isolated_bounds(numbers)
    far = numbers[_outside(numbers, low, high)]
    if len(far):
        few = ", ".join(plain_number(value) for value in np.unique(far)[:5])
        report(
            name,
            Severity.WARNING,
            f"{rows_in_words(len(far))} with {few}: far from all other values. Kept; minimum and maximum "
            "in the schema refuse what cannot be",
        )
        return
    percentile = heavy_tail(numbers)
    if percentile is not None:
        report(
            name,
            Severity.NOTE,
            f"heavy tail: 1 % of values exceed {percentile:,.10g}, the largest is {numbers.max():,.10g}; "
            "kept",
        )

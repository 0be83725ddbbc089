"""What names the rows of a file: known by what it does, by its name only in doubt.

An identifier is never repeated and measures nothing: its values count the rows, or are different although
chance would have repeated some, or look all alike.
"""

import re
from enum import StrEnum

import numpy as np
import pandas as pd

from loan_default.data.schema.inference.code_names import (
    names_identifier,
    names_organisation,
    names_person,
    names_region,
    names_thing,
)
from loan_default.data.schema.inference.plausibility import (
    names_amount,
)

_FEWEST_ROWS = 20
"""With fewer rows all values may differ by chance; then only a name tells."""
_EXPECTED_TIES = 10.0
"""Repetitions that chance would have made among so many numbers of that range; none = they are given out."""
_LONG, _FULL_DECADE = 9, 6
"""Digits that all values have: more than amounts do; as many as amounts may have, if they spread evenly."""
_FEWEST_EVEN = 60
_LARGEST_DISTANCE = 1.36
"""Of Kolmogorov and Smirnov, times the root of the rows: 95 % of even draws lie nearer to even steps."""
_DEVIATIONS = 2.0
_NARROWEST = 0.6
"""Share of all numbers with so many digits that the smallest and the largest lie apart."""
_FEWEST_NAMES = 50
_ROWS_PER_NAME = 3
"""An id that repeats less often names customers; one that repeats more often is a group."""
_ROWS_PER_PERSON = 60
"""The same for an id that by its name is a person's: five years of months."""
EXACT = 2.0**53
"""From here on different whole numbers may be one float."""
_LONGEST = 64
_FEW_SHAPES = 8


class Naming(StrEnum):
    """Whether the values of a column name the rows."""

    NO = "no"
    DOUBT = "doubt"
    """All different, and yet it may be a measurement."""
    YES = "yes"
    REPEATED = "repeated"
    """Names with some repetitions, such as a customer of two loans."""


def naming_by_numbers(name: str, texts: pd.Series, numbers: np.ndarray) -> Naming:
    """Whether whole numbers name the rows.

    Args:
        texts: the numbers as text, in file order: beyond 2**53 floats are not exact.
        numbers: the same as floats.
    """
    if texts.nunique() < len(texts):
        return _repeated(name, texts)
    is_index = "unnamed" in name.lower() or name.startswith("__index_level")
    if names_identifier(name) or is_index:
        return Naming.YES
    if len(texts) < _FEWEST_ROWS or names_region(name):
        return Naming.NO
    steps = np.diff(numbers)
    is_counted = bool((steps == steps[0]).all())  # 1, 2, 3 … or 100, 107, 114 …
    if names_amount(name):
        return Naming.YES if is_counted and steps[0] == 1 else Naming.NO
    is_sorted = bool((steps > 0).all() or (steps < 0).all())
    naming = Naming.YES if is_counted else _by_spread(texts, numbers, is_sorted=is_sorted)
    return Naming.YES if naming is Naming.DOUBT and names_thing(name) else naming


def _repeated(name: str, texts: pd.Series) -> Naming:
    """Whether values that repeat are names of customers; those that repeat often are groups of rows.

    A name that says that they are persons settles how often they may repeat, as in a file of months.
    """
    n_distinct = texts.nunique()
    most = _ROWS_PER_PERSON if names_person(name) else _ROWS_PER_NAME
    is_rare = n_distinct > _FEWEST_NAMES and n_distinct * most >= len(texts)
    is_name = names_identifier(name) and not names_organisation(name)
    return Naming.REPEATED if is_rare and is_name else Naming.NO


def _by_spread(texts: pd.Series, numbers: np.ndarray, *, is_sorted: bool) -> Naming:
    low, high = float(numbers.min()), float(numbers.max())
    if np.abs(numbers).max() >= EXACT:
        return Naming.YES
    width = high - low + 1
    is_round = bool((np.mod(numbers, 10) == 0).mean() > 0.5)
    digits = texts.str.len()
    same_digits = int(digits.iloc[0]) if digits.nunique() == 1 and low > 0 else 0
    if not is_round and len(numbers) ** 2 / (2 * width) >= _EXPECTED_TIES:
        return Naming.YES
    if is_sorted or same_digits >= _LONG:
        return Naming.YES
    if same_digits >= _FULL_DECADE and not is_round and _is_even(numbers):
        return Naming.YES
    return Naming.DOUBT if same_digits >= 5 and not is_round else Naming.NO


def _is_even(numbers: np.ndarray) -> bool:
    """Whether numbers look drawn from their range with equal chances, as numbers that are given out do.

    Amounts crowd somewhere and thin out above: their upper quarter is nearly empty.
    """
    n_rows = len(numbers)
    if n_rows < _FEWEST_EVEN:
        return False
    low, high = float(numbers.min()), float(numbers.max())
    if high - low < _NARROWEST * 10.0 ** np.ceil(np.log10(high)):
        return False  # amounts of one kind lie close together
    shares = np.sort((numbers - low) / (high - low))
    steps = np.arange(n_rows + 1) / n_rows
    distance = max(np.abs(shares - steps[1:]).max(), np.abs(shares - steps[:-1]).max())
    slack = _DEVIATIONS * np.sqrt(0.25 * 0.75 / n_rows)
    ends = (shares < 0.25).mean(), (shares > 0.75).mean()
    return bool(distance * np.sqrt(n_rows) < _LARGEST_DISTANCE and min(ends) > 0.25 - slack)


def naming_by_texts(name: str, texts: pd.Series) -> Naming:
    """Whether texts that are no numbers name the rows."""
    if texts.nunique() < len(texts):
        return _repeated(name, texts)
    if names_identifier(name):
        return Naming.YES
    if (
        len(texts) < _FEWEST_ROWS
        or names_region(name)
        or not texts.str.fullmatch(rf"\S{{1,{_LONGEST}}}").all()
    ):
        return Naming.NO
    shapes = texts.map(_shape).nunique()
    is_hexadecimal = texts.str.fullmatch("[0-9a-fA-F-]{8,64}").all() and texts.str.len().nunique() == 1
    if is_hexadecimal or shapes <= _FEW_SHAPES:
        return Naming.YES
    return Naming.DOUBT


def _shape(text: str) -> str:
    """Each character by its kind: L00012 and L00013 are of one shape."""
    return re.sub("[A-Z]", "A", re.sub("[a-z]", "a", re.sub("[0-9]+", "9", text)))

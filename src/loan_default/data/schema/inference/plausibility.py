"""What a column's name and numbers suggest: ages, missing-value codes, impossible and distant values.

These are rules of thumb, each with its thresholds in its docstring; their decisions are written to the
inferred schema with a finding, and can be edited there. `values` are always the finite numbers of a column.
"""

import re
from itertools import pairwise

import numpy as np

AGE_MINIMUM, AGE_MAXIMUM, AGE_RECORD = 18.0, 100.0, 110.0

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_HIGH_CODES = frozenset(
    float(10**digits - last) for digits in range(2, 10) for last in (1, 2, 3, 4)
)  # 96 … 99, 996 … 999, 9996 …
_LOW_CODES = frozenset({-7.0, -8.0, -9.0} | {1.0 - 10**digits for digits in range(2, 10)})  # -9, -99, -999 …

_LENDER_WORDS = frozenset({"grade", "subgrade", "apr", "installment", "instalment"})
_AFTERMATH_WORDS = frozenset(
    {"recoveries", "recovered", "recovery", "collection", "collections", "settlement"}
)
_PROTECTED_WORDS = frozenset(
    {"sex", "gender", "race", "ethnicity", "ethnic", "religion", "nationality"}
    | {"marital", "marriage", "age", "disability"}
)
_OTHER_TIME_WORDS = frozenset(
    {"birth", "born", "dob", "birthday", "maturity", "closed", "closing", "end", "expiry", "last", "next"}
)
_APPLICATION_TIME_WORDS = frozenset(
    {"application", "applied", "apply", "issue", "issued", "origination", "originated", "decision"}
    | {"created", "submitted", "funded", "disbursed", "disbursement"}
)
_IDENTIFIER_WORDS = frozenset({"id", "ids", "uuid", "guid"})


def words_of(name: str) -> tuple[str, ...]:
    """The words of a column name in lower case: "LoanID" and "loan_id" are both loan, id."""
    return tuple(word.lower() for word in _WORDS.findall(name))


def names_identifier(name: str) -> bool:
    """Whether a name says that the column names things: id, LoanID, customer_uuid."""
    return not _IDENTIFIER_WORDS.isdisjoint(words_of(name))


def names_another_time(name: str) -> bool:
    """Whether a name is that of another time than the application's, such as a birth or an end."""
    return not _OTHER_TIME_WORDS.isdisjoint(words_of(name))


def names_application_time(name: str) -> bool:
    """Whether a name is that of the application's time, or of the loan that it became."""
    return not _APPLICATION_TIME_WORDS.isdisjoint(words_of(name)) and not names_another_time(name)


def names_lender_decision(name: str) -> bool:
    """Whether a name sounds like what the lender sets, or learns later: a grade, the rate, recoveries."""
    words = words_of(name)
    rate = any(first in {"int", "interest"} and second == "rate" for first, second in pairwise(words))
    return rate or not (_LENDER_WORDS | _AFTERMATH_WORDS).isdisjoint(words)


def names_protected(name: str) -> bool:
    """Whether a name sounds like a trait that laws on lending protect."""
    return not _PROTECTED_WORDS.isdisjoint(words_of(name))


def names_age(name: str) -> bool:
    """Whether a name has the word age in it."""
    return "age" in words_of(name)


def age_bounds(values: np.ndarray) -> tuple[float, float] | None:
    """Bounds of an applicant's age in years: 18 to 100, or to the oldest up to 110 that is in the file.

    None if more than 1 % of the values lie outside: then the column is some other age.
    """
    outside = (values < AGE_MINIMUM) | (values > AGE_RECORD)
    if outside.mean() > 0.01:
        return None
    return AGE_MINIMUM, max(AGE_MAXIMUM, float(values[~outside].max()))


def special_codes(values: np.ndarray) -> tuple[float, ...]:
    """Values that are codes for "unknown" rather than measurements, in ascending order.

    High: 96-99, 996-999, 9996-9999 …, in at least 2 rows, when nothing else lies as high and the gap
    below them is at least the range of all other values. Low: -7, -8, -9, -99, -999 …, in at least
    2 rows, when every other value is 0 or more.
    """
    distinct, counts = np.unique(values, return_counts=True)
    is_low = distinct < 0
    low: tuple[float, ...] = ()
    if (
        is_low.any()
        and (~is_low).sum() > 1
        and set(distinct[is_low]) <= _LOW_CODES
        and counts[is_low].sum() > 1
    ):
        low = tuple(float(value) for value in distinct[is_low])
        distinct, counts = distinct[~is_low], counts[~is_low]
    first = len(distinct)
    while first > 0 and float(distinct[first - 1]) in _HIGH_CODES:
        first -= 1
    # 97 in a column that runs to 95 is a number: every split below a code is tried.
    for start in range(first, len(distinct)):
        body = distinct[:start]
        is_far = len(body) > 1 and distinct[start] - body[-1] >= body[-1] - body[0]
        if is_far and counts[start:].sum() > 1:
            return (*low, *(float(value) for value in distinct[start:]))
    return low


def isolated_bounds(values: np.ndarray) -> tuple[float | None, float | None]:
    """Bounds that leave out values too far from all others to be possible; None where there are none.

    A value is too far if at most 0.1 % of the rows (at least 3 are allowed) lie beyond a gap of 1.5 times
    the range of the rest. Only columns of 100 values and 20 distinct ones whose tail is light get such
    bounds: of an income, the largest may be anything. The bound lies one such range beyond the rest.
    """
    upper = _isolated_upper(values)
    lower = _isolated_upper(-values)
    return (None if lower is None else -lower), upper


def heavy_tail(values: np.ndarray) -> float | None:
    """The 99th percentile, where the largest value is more than 20 times that; otherwise None."""
    percentile = float(np.quantile(values, 0.99))
    return percentile if percentile > 0 and values.max() > 20 * percentile else None


def _isolated_upper(values: np.ndarray) -> float | None:
    if len(values) < 100:
        return None
    distinct, counts = np.unique(values, return_counts=True)
    beyond = counts[::-1].cumsum()[::-1]  # rows from each distinct value on
    gaps, ranges = np.diff(distinct), distinct[:-1] - distinct[0]
    few = beyond[1:] <= max(3, len(values) // 1000)
    candidates = np.flatnonzero(few & (gaps >= 1.5 * ranges) & (np.arange(1, len(distinct)) >= 20))
    if len(candidates) == 0:
        return None
    rest, spread = float(distinct[candidates[0]]), float(ranges[candidates[0]])
    median, high = np.quantile(values, [0.5, 0.99])
    is_light = rest - median <= 4 * (high - median)
    return rest + spread if is_light else None

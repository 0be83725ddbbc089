"""The rules that a number obeys: finite, whole, within its bounds; for one number and for many."""

import math
import re
from decimal import Decimal

import numpy as np

from loan_default.data.schema.column import Column, Kind

MUST_BE_NUMBER = "must be a number"
MUST_BE_FINITE = "must be finite"
MUST_BE_WHOLE = "must be a whole number"
MUST_BE_POSITIVE = "must be above 0"

_ONE_GROUP = {mark: re.compile(rf"[1-9][0-9]{{0,2}}{re.escape(mark)}[0-9]{{3}}") for mark in ".,"}
_SIGN, _UNIT = re.compile(r"^[(+\-\s]*"), re.compile(r"[)\-\s]*$")
_CURRENCY, _CURRENCY_BEHIND = re.compile("^[^0-9.,]{0,6}"), re.compile("[^0-9.,]{0,6}$")

# ASCII digits only, no thousands separators: "1,234" may mean two different numbers.
NUMBER_PATTERN = (
    r"^[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?)$"
)


def number_problems(values: np.ndarray, column: Column) -> list[tuple[str, np.ndarray]]:
    """The broken rules of a column of numbers (NaN = missing, no problem), each with the mask of its rows.

    A value is listed under the first rule that it breaks.
    """
    rules: list[tuple[str, np.ndarray]] = [(MUST_BE_FINITE, np.isinf(values))]
    if column.kind is Kind.WEIGHT:
        rules.append((MUST_BE_POSITIVE, values <= 0))
    if column.integer:
        rules.append((MUST_BE_WHOLE, np.trunc(values) != values))
    if column.minimum is not None:
        rules.append((at_least(column.minimum), values < column.minimum))
    if column.maximum is not None:
        rules.append((at_most(column.maximum), values > column.maximum))
    problems = []
    is_unlisted = ~np.isnan(values)
    for rule, broken in rules:
        mask = broken & is_unlisted
        if mask.any():
            problems.append((rule, mask))
            is_unlisted &= ~mask
    return problems


def number_problem(number: float, column: Column) -> str:
    """The first rule that a number, which is not NaN, breaks; empty = none."""
    # The same rules as in `number_problems`, which is faster for many numbers and slower for one.
    if math.isinf(number):
        return MUST_BE_FINITE
    if column.kind is Kind.WEIGHT and number <= 0:
        return MUST_BE_POSITIVE
    if column.integer and not number.is_integer():
        return MUST_BE_WHOLE
    if column.minimum is not None and number < column.minimum:
        return at_least(column.minimum)
    if column.maximum is not None and number > column.maximum:
        return at_most(column.maximum)
    return ""


def at_least(bound: float) -> str:
    """The rule that a lower bound makes."""
    return f"must be at least {plain_number(bound)}"


def at_most(bound: float) -> str:
    """The rule that an upper bound makes."""
    return f"must be at most {plain_number(bound)}"


def is_whole(value: Decimal) -> bool:
    """Whether a decimal is a whole number; NaN and infinity are not."""
    return value.is_finite() and value == value.to_integral_value()


def plain_number(value: float) -> str:
    """The shortest text of a number: "18" of 18.0, "0.1" of 0.1."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e16 else repr(float(value))


def rule_of_text(text: str, column: Column) -> str:
    """The rule that a text breaks which is no number of a column."""
    text = text.strip()
    if _is_infinite(text):
        return MUST_BE_FINITE
    mark = "." if column.decimal == "," else ","
    before, behind = (_CURRENCY, _CURRENCY_BEHIND) if column.format else (_SIGN, _UNIT)
    if not column.thousands and _ONE_GROUP[mark].fullmatch(behind.sub("", before.sub("", text))):
        return f'{MUST_BE_NUMBER} that reads in one way (thousands = "{mark}" in the schema allows groups)'
    return MUST_BE_NUMBER


def _is_infinite(text: str) -> bool:
    """Whether a text is a number that no float can hold, or infinity."""
    return re.fullmatch(NUMBER_PATTERN, text) is not None and math.isinf(float(text))

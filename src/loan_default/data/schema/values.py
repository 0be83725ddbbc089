"""One value at a time: what a raw value means in a column, and which rule it breaks.

Files and single records are validated by the same functions, so that they cannot disagree.
A reader takes a raw value and returns `(canonical value or None, broken rule or "")`.
"""

import math
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np

from loan_default.data.schema.booleans import UNMISTAKABLE, boolean_aliases, truth_of
from loan_default.data.schema.capped_numbers import NumberReader
from loan_default.data.schema.column import NUMBER_KINDS, TIME_KINDS, Column, Kind
from loan_default.data.schema.missing_texts import MISSING_TEXTS, stands_for_no_number, stands_for_no_time
from loan_default.data.schema.number_rules import (
    MUST_BE_FINITE,
    MUST_BE_NUMBER,
    is_whole,
    number_problem,
    plain_number,
    rule_of_text,
)
from loan_default.data.schema.number_texts import has_rules, missing_numbers, number_reader
from loan_default.data.schema.time_texts import TimeReader, rule_of_format, time_of_number, time_reader

Reading = tuple[Any, str]
Reader = Callable[[object], Reading]
MissingTest = Callable[[str], bool]

MUST_NOT_BE_MISSING = "must not be missing"
MUST_BE_TEXT = "must be text"
MUST_BE_PRINTABLE = "must be printable text of at most 256 characters"
MUST_BE_TIME = "must be a date or time in ISO 8601, such as 2024-01-31 or 2024-01-31T12:00:00Z"

_MAX_TEXT = 256
_NOTHING_OF_PANDAS = frozenset({"NAType", "NaTType"})
"""By name, so that pandas need not be imported where single records are read."""
_WHOLE = re.compile(r"([+-]?[0-9]+)\.0+")


def value_reader(column: Column) -> Reader:
    """The reader of a column's values, by its kind.

    Text in a column of numbers is read where the column says how: by a format, marks or missing markers.
    Otherwise numbers must be numbers, or one of the texts that can only mean "no value".
    """
    is_marker = missing_test(column)
    if column.kind in NUMBER_KINDS:
        of_text = number_reader(column) if has_rules(column) else None
        return partial(
            _read_number,
            column=column,
            of_text=of_text,
            is_marker=is_marker,
            missing_numbers=frozenset(missing_numbers(column)),
        )
    if column.kind in TIME_KINDS:
        of_text_in_format = time_reader(column.format, column.first_year) if column.format else None
        return partial(_read_time, column=column, of_text=of_text_in_format, is_marker=is_marker)
    if column.kind is Kind.IDENTIFIER:
        return partial(_read_identifier, column=column, is_marker=is_marker)
    if column.kind is Kind.TARGET:
        return _label_reader(column)
    declared = frozenset(fold(text) for text in column.missing)
    return partial(_read_category, column=column, lookup=_lookup_of(column), declared=declared)


def missing_test(column: Column) -> MissingTest:
    """The test of whether a text means "no value" in a column.

    Among numbers and times it knows many words, since none of them can be a value there.
    """
    declared = frozenset(fold(text) for text in column.missing)
    says_nothing: MissingTest = MISSING_TEXTS.__contains__
    if column.kind in NUMBER_KINDS:
        says_nothing = stands_for_no_number
    elif column.kind in TIME_KINDS:
        says_nothing = stands_for_no_time

    def is_marker(text: str) -> bool:
        folded = fold(text)
        return folded in declared or says_nothing(folded)

    return is_marker


def time_rule(column: Column) -> str:
    """The rule that the format of a column of times makes."""
    return rule_of_format(column.format) if column.format else MUST_BE_TIME


def parse_timestamp(value: object) -> datetime | None:
    """The timestamp that a value means, in UTC also where it names no zone; None where it is not one."""
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value.strip())
        elif isinstance(value, np.datetime64):
            value = value.astype("datetime64[us]").item()
        elif hasattr(value, "to_pydatetime") and not is_missing(value):
            value = value.to_pydatetime(warn=False)
        elif isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day, tzinfo=UTC)
        if not isinstance(value, datetime):
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def is_missing(value: object) -> bool:
    """Whether a single raw value stands for "no value" by its type: None, NaN, NaT, NA."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or type(value).__name__ in _NOTHING_OF_PANDAS


def reason(rule: str, value: object) -> str:
    """The text of a broken rule with the value that breaks it."""
    return rule if rule == MUST_NOT_BE_MISSING else f"{rule}, however: {show(value)}"


def show(value: object) -> str:
    """A raw value as a message shows it: quoted if it is text, and never long."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Decimal):
        return str(value)[:60]
    if isinstance(value, int) and value.bit_length() > 1024:
        return f"a whole number of {value.bit_length()} bits"
    text = (
        repr(value) if isinstance(value, str | int | float) or value is None else f"a {type(value).__name__}"
    )
    return text if len(text) <= 60 else f"{text[:57]}..."


def fold(text: str) -> str:
    """A spelling without differences that do not count: case, outer spaces, Unicode form, "1.0" for "1"."""
    text = unicodedata.normalize("NFC", text.strip()).casefold()
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def category_lookup(categories: tuple[str, ...], aliases: Any) -> Callable[[str], str | None]:
    """A function from a spelling to its category, or None: exact first, then without case and spaces."""
    exact = dict(aliases) | {category: category for category in categories}
    folded: dict[str, str | None] = {}
    for spelling, category in exact.items():
        key = fold(spelling)
        # Two categories that differ by case alone are distinguished by exact spelling only.
        folded[key] = category if folded.get(key, category) == category else None

    def find(text: str) -> str | None:
        return exact.get(text) or folded.get(fold(text))

    return find


def one_of(categories: tuple[str, ...]) -> str:
    """The rule that a closed list of categories makes."""
    few = ", ".join(categories[:8])
    return f"must be one of {few}" + (f", … ({len(categories)} in all)" if len(categories) > 8 else "")


def as_text(value: object) -> str | None:
    """A code as text: 2 and 2.0 as "2", true as "true"; None where it is neither text, number nor boolean."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(value) if int(value).bit_length() <= 1024 else None
    if isinstance(value, Decimal) and is_whole(value):
        return str(int(value)) if value.adjusted() <= 308 else None  # a float would round long ones
    if isinstance(value, float | np.floating | Decimal) and math.isfinite(value):
        return plain_number(float(value))
    return None


def _read_number(
    value: object,
    *,
    column: Column,
    of_text: NumberReader | None,
    is_marker: MissingTest,
    missing_numbers: frozenset[float],
) -> Reading:
    number = None
    if isinstance(value, str) and of_text is not None:
        if (number := of_text(value.strip())) is None:
            return _missing(column) if is_marker(value) else (None, rule_of_text(value, column))
    elif is_missing(value) or (isinstance(value, str) and is_marker(value)):
        return _missing(column)
    elif isinstance(value, bool | np.bool_) and column.format == "boolean":
        number = float(value)
    elif isinstance(value, bool | np.bool_) or not isinstance(value, int | float | Decimal | np.number):
        # A feed sends a number that JSON cannot hold as the text that stood in the file.
        return None, rule_of_text(value, column) if isinstance(value, str) else MUST_BE_NUMBER
    else:
        try:
            number = float(value)
        except (OverflowError, TypeError):
            return None, MUST_BE_FINITE
    return _missing(column) if number in missing_numbers else _checked_number(number, column)


def _checked_number(number: float, column: Column) -> Reading:
    if number in column.special:
        return None, ""
    rule = number_problem(number, column)
    return (None, rule) if rule else (number + 0.0, "")  # no -0.0


def _lookup_of(column: Column) -> Callable[[str], str | None]:
    """The lookup of a coded column: its categories and aliases, then other spellings of yes and no."""
    find = category_lookup(column.categories, column.aliases)
    others = boolean_aliases(column)
    if not others:
        return find
    return lambda text: find(text) or others.get(fold(text))


def _read_category(
    value: object, *, column: Column, lookup: Callable[[str], str | None], declared: frozenset[str]
) -> Reading:
    text = as_text(value)
    if is_missing(value) or (text is not None and declared and fold(text) in declared):
        return _missing(column)
    if text is None:
        return None, MUST_BE_TEXT
    category = lookup(text)
    if category is not None:
        return category, ""
    if text.strip().casefold() in MISSING_TEXTS:
        return _missing(column)
    if not column.open:
        return None, one_of(column.categories)
    return _printable(text)


def _label_reader(column: Column) -> Reader:
    """The reader of a target: 1.0 = default, 0.0 = none, None = not known yet."""
    find_outcome = outcome_lookup(column)
    find_other = category_lookup((*column.without_outcome, *column.excluded), {})
    missing = MISSING_TEXTS | {fold(text) for text in column.missing}

    def read(value: object) -> Reading:
        if is_missing(value):
            return None, ""
        text = as_text(value)
        if text is None:
            return None, one_of((column.negative, column.positive))
        outcome = find_outcome(text)
        if outcome is not None:
            return float(outcome == column.positive), ""
        other = find_other(text)
        if other is not None:
            return None, excluded_outcome(other) if other in column.excluded else ""
        if fold(text) in missing or column.open:
            return None, ""  # a loan that is still running has no label yet: kept, never trained on
        return None, one_of((column.negative, column.positive))

    return read


def outcome_lookup(column: Column) -> Callable[[str], str | None]:
    """A function from a spelling to the outcome of a target that it means, `positive` or `negative`, or None.

    Where the two outcomes say yes and no, all other words for yes and no are spellings of them.
    """
    find = category_lookup((column.negative, column.positive), column.aliases)
    find_other = category_lookup((*column.without_outcome, *column.excluded), {})
    truths = {truth_of(fold(value)): value for value in (column.negative, column.positive)}
    says_yes_or_no = truths.keys() == {True, False}

    def find_or_translate(text: str) -> str | None:
        outcome = find(text)
        if outcome is not None or not says_yes_or_no or find_other(text) is not None:
            return outcome
        word = fold(text)
        truth = truth_of(word) if len(word) > 1 or word in UNMISTAKABLE else None
        return None if truth is None else truths[truth]

    return find_or_translate


def excluded_outcome(value: str) -> str:
    """The rule that a value in `excluded` of the target makes."""
    return f"must not be {show(value)}, which the schema excludes"


def _read_identifier(value: object, *, column: Column, is_marker: MissingTest) -> Reading:
    if is_missing(value):
        return _missing(column)
    text = as_text(value)
    if text is None or isinstance(value, bool | np.bool_):
        return None, MUST_BE_TEXT
    if is_marker(text):
        return _missing(column)
    return _printable(text)


def _read_time(
    value: object, *, column: Column, of_text: TimeReader | None, is_marker: MissingTest
) -> Reading:
    if is_missing(value):
        return _missing(column)
    is_number = isinstance(value, int | float | Decimal | np.number) and not isinstance(value, bool)
    text = as_text(value) if isinstance(value, str) or (is_number and column.missing) else None
    if text is not None and column.missing and is_marker(text):
        return _missing(column)
    time: datetime | None
    if of_text is not None and isinstance(value, str):
        time = of_text(value.strip())
    elif of_text is not None and is_number:
        time = _time_of_typed_number(value, column, of_text)
    else:
        time = parse_timestamp(value)
    if time is None and text is not None and is_marker(text):
        return _missing(column)
    return (time, "") if time is not None else (None, time_rule(column))


def _time_of_typed_number(value: Any, column: Column, of_text: TimeReader) -> datetime | None:
    if "%" in column.format:  # 20111231 as a number is the text of the same digits
        text = as_text(value)
        return None if text is None else of_text(text)
    try:
        return time_of_number(float(value), column.format)
    except (OverflowError, ValueError):
        return None


def _missing(column: Column) -> Reading:
    return None, "" if column.nullable else MUST_NOT_BE_MISSING


def _printable(text: str) -> Reading:
    # Control and zero-width characters forge log lines and make two names look like one.
    text = unicodedata.normalize("NFC", text.strip())
    return (text, "") if text.isprintable() and len(text) <= _MAX_TEXT else (None, MUST_BE_PRINTABLE)

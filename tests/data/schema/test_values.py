"""The rules for a single value, at their limits."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.number_rules import (
    MUST_BE_FINITE,
    MUST_BE_NUMBER,
    MUST_BE_WHOLE,
    is_whole,
    number_problems,
    plain_number,
)
from loan_default.data.schema.values import (
    MUST_BE_PRINTABLE,
    MUST_BE_TEXT,
    MUST_BE_TIME,
    MUST_NOT_BE_MISSING,
    as_text,
    category_lookup,
    fold,
    is_missing,
    one_of,
    parse_timestamp,
    reason,
    show,
    value_reader,
)

AMOUNT = Column(name="amount", kind=Kind.NUMERICAL, minimum=-1, maximum=5, special=(98,))
COUNT = Column(name="count", kind=Kind.NUMERICAL, integer=True, nullable=True)
PURPOSE = Column(
    name="purpose", kind=Kind.CATEGORICAL, categories=("car", "2", "true"), aliases={"auto": "car"}
)
CITY = Column(name="city", kind=Kind.CATEGORICAL, open=True)
NAME = Column(name="id", kind=Kind.IDENTIFIER)
MADE = Column(name="made", kind=Kind.TIMESTAMP)
BAD = Column(name="bad", kind=Kind.TARGET, positive="yes", negative="no")


@pytest.mark.parametrize(
    ("value", "number", "rule"),
    [
        (-1, -1.0, ""),
        (5, 5.0, ""),
        (np.float32(2.5), 2.5, ""),
        (Decimal("0.5"), 0.5, ""),
        (98, None, ""),
        (np.nextafter(5, 6), None, "must be at most 5"),
        (np.nextafter(-1, -2), None, "must be at least -1"),
        (float("inf"), None, MUST_BE_FINITE),
        (10**400, None, MUST_BE_FINITE),
        (True, None, MUST_BE_NUMBER),
        (np.bool_(True), None, MUST_BE_NUMBER),
        ("1", None, MUST_BE_NUMBER),
        ("1e400", None, MUST_BE_FINITE),
        (" -1e400 ", None, MUST_BE_FINITE),
        ("Infinity", None, MUST_BE_FINITE),
        ("1e400x", None, MUST_BE_NUMBER),
        ("1e_400", None, MUST_BE_NUMBER),
        ([1], None, MUST_BE_NUMBER),
        (None, None, MUST_NOT_BE_MISSING),
        (float("nan"), None, MUST_NOT_BE_MISSING),
    ],
)
def test_numbers_within_their_bounds(value: object, number: float | None, rule: str) -> None:
    assert value_reader(AMOUNT)(value) == (number, rule)


def test_whole_numbers_may_be_written_as_fractions_of_nothing() -> None:
    read = value_reader(COUNT)
    assert read(3.0) == (3.0, "")
    assert read(2.5) == (None, MUST_BE_WHOLE)
    assert read(None) == (None, "")
    assert str(read(-0.0)[0]) == "0.0"


def test_a_column_of_numbers_lists_a_value_under_the_first_rule_that_it_breaks() -> None:
    column = Column(name="n", kind=Kind.NUMERICAL, integer=True, minimum=0, maximum=10)
    values = np.array([0, 10, -0.5, 10.5, -1, 11, np.inf, -np.inf, np.nan])
    found = {rule: np.flatnonzero(mask).tolist() for rule, mask in number_problems(values, column)}
    assert found == {
        MUST_BE_FINITE: [6, 7],
        MUST_BE_WHOLE: [2, 3],
        "must be at least 0": [4],
        "must be at most 10": [5],
    }


def test_one_column_rule_is_the_slow_twin_of_the_other() -> None:
    for column in (AMOUNT, COUNT):
        for number in (-2.0, -1.0, 0.0, 2.5, 5.0, 5.5, float("inf"), float("-inf")):
            of_many = [rule for rule, _ in number_problems(np.array([number]), column)]
            assert value_reader(column)(number)[1] == (of_many[0] if of_many else "")


@pytest.mark.parametrize(
    ("value", "category", "rule"),
    [
        ("car", "car", ""),
        (" AUTO ", "car", ""),
        (2.0, "2", ""),
        (Decimal("2.0"), "2", ""),
        (np.int64(2), "2", ""),
        (True, "true", ""),
        ("boat", None, "must be one of car, 2, true"),
        (float("inf"), None, MUST_BE_TEXT),
        (["car"], None, MUST_BE_TEXT),
        (" n/a ", None, MUST_NOT_BE_MISSING),
        (None, None, MUST_NOT_BE_MISSING),
    ],
)
def test_categories_are_found_by_their_spellings(value: object, category: str | None, rule: str) -> None:
    assert value_reader(PURPOSE)(value) == (category, rule)


def test_categories_that_differ_by_case_alone_are_distinguished_by_exact_spelling_only() -> None:
    find = category_lookup(("A", "a", "b"), {"one": "b"})
    assert [find(text) for text in ("A", "a", " A", "B", "ONE", "c")] == ["A", "a", None, "b", "b", None]


def test_spellings_are_folded() -> None:
    assert fold(" E\u0301tude ") == fold("\u00e9TUDE") == "\u00e9tude"
    assert [fold(text) for text in ("1.0", "1.00", "-2.0", "1.5", "1.")] == ["1", "1", "-2", "1.5", "1."]


def test_a_closed_list_names_its_first_eight() -> None:
    names = tuple("abcdefghi")
    assert one_of(names[:8]) == "must be one of a, b, c, d, e, f, g, h"
    assert one_of(names) == "must be one of a, b, c, d, e, f, g, h, … (9 in all)"


def test_text_is_printable_and_at_most_256_characters() -> None:
    for column in (CITY, NAME):
        read = value_reader(column)
        assert read(" x" + "y" * 255 + " ") == ("x" + "y" * 255, "")
        assert read("y" * 257) == (None, MUST_BE_PRINTABLE)
        assert read("a\u200bb") == (None, MUST_BE_PRINTABLE)
        assert read("e\u0301") == ("\u00e9", "")
        assert read("n/a") == read(" NA ") == (None, MUST_NOT_BE_MISSING)
    assert value_reader(NAME)(True) == (None, MUST_BE_TEXT)
    assert value_reader(CITY)(True) == ("true", "")


def test_labels_know_three_states() -> None:
    read = value_reader(BAD)
    assert [read(value) for value in ("yes", "NO", None, " ", float("nan"))] == [
        (1.0, ""),
        (0.0, ""),
        (None, ""),
        (None, ""),
        (None, ""),
    ]
    assert read("perhaps") == read({}) == (None, "must be one of no, yes")


STATUS = Column(
    name="status",
    kind=Kind.TARGET,
    positive="Charged Off",
    negative="Fully Paid",
    aliases={"Default": "Charged Off", "2.0": "Fully Paid"},
    unknown=("Current",),
    excluded=("Fraud",),
    missing=("-",),
)


def test_outcomes_have_spellings_and_values_that_are_none() -> None:
    read = value_reader(STATUS)
    assert [read(value) for value in ("charged off", " Default ", "FULLY PAID", 2, "2", 2.0)] == [
        *[(1.0, "")] * 2,
        *[(0.0, "")] * 4,
    ]
    assert [read(value) for value in ("current", "-", "n/a")] == [(None, "")] * 3
    assert read("fraud") == (None, "must not be 'Fraud', which the schema excludes")
    assert read("Sold") == (None, "must be one of Fully Paid, Charged Off")
    is_open = value_reader(replace(STATUS, open=True))
    assert is_open("Sold") == (None, "")
    assert is_open("Fraud") == read("fraud")


def test_yes_and_no_are_read_in_their_other_words() -> None:
    read = value_reader(Column(name="bad", kind=Kind.TARGET))
    assert [read(value)[0] for value in ("1", True, "Yes", "sim", "TRUE", 1.0)] == [1.0] * 6
    assert [read(value)[0] for value in ("0", False, "nein", "não", 0)] == [0.0] * 5
    assert read("o") == (None, "must be one of 0, 1")  # a zero that was typed as an O, or the French yes
    turned = value_reader(Column(name="approved", kind=Kind.TARGET, positive="no", negative="yes"))
    assert [turned(value)[0] for value in (False, True, "0", "N")] == [1.0, 0.0, 1.0, 1.0]
    assert value_reader(Column(name="x", kind=Kind.TARGET, positive="2", negative="1"))(True)[1] != ""


def test_times_are_read_in_utc() -> None:
    noon = datetime(2025, 1, 31, 12, tzinfo=UTC)
    same = [  # what has no zone is read as UTC
        "2025-01-31T12:00:00Z",
        " 2025-01-31 12:00 ",
        "2025-01-31T14:00+02:00",
        datetime(2025, 1, 31, 12),  # noqa: DTZ001
        datetime(2025, 1, 31, 14, tzinfo=timezone(timedelta(hours=2))),
        np.datetime64("2025-01-31T12:00"),
        pd.Timestamp("2025-01-31T12:00"),
    ]
    for value in same:
        assert parse_timestamp(value) == noon
        assert value_reader(MADE)(value) == (noon, "")
    assert parse_timestamp(date(2025, 1, 31)) == datetime(2025, 1, 31, tzinfo=UTC)
    for value in ("yesterday", "2025-02-30", 20250131, None, "0001-01-01T00:00+14:00"):
        assert parse_timestamp(value) is None
    assert value_reader(MADE)("yesterday") == (None, MUST_BE_TIME)
    assert value_reader(MADE)(" n/a ") == value_reader(MADE)(pd.NaT) == (None, MUST_NOT_BE_MISSING)


def test_no_value_is_known_by_its_type() -> None:
    assert all(is_missing(value) for value in (None, pd.NA, pd.NaT, float("nan"), np.float64("nan")))
    assert not any(is_missing(value) for value in (0, "", "nan", False, [], float("inf")))


def test_codes_as_text() -> None:
    assert as_text("x") == "x"
    assert [as_text(value) for value in (True, np.bool_(False), 2, 2.0, np.float64(2.5), -0.0)] == [
        "true",
        "false",
        "2",
        "2",
        "2.5",
        "0",
    ]
    assert [as_text(value) for value in (2**1024 - 1, -(2**1024), Decimal("1e308"))] == [
        str(2**1024 - 1),
        None,
        "1" + "0" * 308,
    ]
    assert [as_text(value) for value in (Decimal("1e309"), Decimal("NaN"), float("nan"), None, b"x", [])] == [
        None
    ] * 6
    assert as_text(Decimal(12345678901234567890)) == "12345678901234567890"
    assert as_text(Decimal("2.50")) == "2.5"


def test_whole_decimals() -> None:
    assert [is_whole(Decimal(text)) for text in ("2", "2.0", "1e3", "2.5", "NaN", "Infinity")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


def test_numbers_are_shown_plainly() -> None:
    assert [plain_number(value) for value in (18.0, 0.1, -3.0, 1e15, 1e16, 1e300)] == [
        "18",
        "0.1",
        "-3",
        "1000000000000000",
        "1e+16",
        "1e+300",
    ]


def test_values_in_messages_are_short() -> None:
    assert show("x" * 58) == "'" + "x" * 58 + "'"
    assert show("x" * 59) == "'" + "x" * 56 + "..."
    assert show(2**1024 - 1) == str(2**1024 - 1)[:57] + "..."
    assert show(2**1024) == "a whole number of 1025 bits"
    assert show(np.float64(1.5)) == "1.5"
    assert show(Decimal("1." + "2" * 80)) == "1." + "2" * 58
    assert show(None) == "None"
    assert show({"income": 1}) == "a dict"
    assert reason(MUST_BE_NUMBER, "much") == "must be a number, however: 'much'"
    assert reason(MUST_NOT_BE_MISSING, None) == MUST_NOT_BE_MISSING

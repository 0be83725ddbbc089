import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loan_default.data.schema.column import Column, Kind
from loan_default.evaluation import formats
from loan_default.evaluation.formats import NOTHING

MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.78149, "0.781"),
        (-0.0123, f"{MINUS}0.012"),
        (-0.0001, "0.000"),
        (None, NOTHING),
        (math.nan, NOTHING),
        (math.inf, NOTHING),
    ],
)
def test_number(value: float | None, text: str) -> None:
    assert formats.number(value) == text


@given(st.floats(-1000, 1000))
def test_number_reads_back(value: float) -> None:
    assert float(formats.number(value, 4).replace(MINUS, "-")) == pytest.approx(value, abs=6e-5)


@given(st.floats(-1000, 1000))
def test_signed_never_hides_a_sign(value: float) -> None:
    text = formats.signed(value, 2)
    assert text.startswith("+" if value > 0 else MINUS if round(value, 2) < 0 else "0")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.2212, "22.1%"),
        (0, "0.0%"),
        (0.0004, "0.04%"),
        (0.00001, "<0.01%"),
        (1, "100.0%"),
        (None, NOTHING),
        (math.nan, NOTHING),
    ],
)
def test_percent_never_makes_a_small_share_none(value: float | None, text: str) -> None:
    assert formats.percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (False, "no"),
        (None, NOTHING),
        (30000, "30,000"),
        (1024, "1024"),
        (3e-4, "0.0003"),
        (2.0, "2"),
        (math.inf, "inf"),
        ([32, 0.5], "32, 0.5"),
        ((), NOTHING),
        ("cpu", "cpu"),
    ],
)
def test_plain(value: object, text: str) -> None:
    assert formats.plain(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (3.14, "3.1 s"),
        (12.6, "13 s"),
        (59.7, "1 min 00 s"),
        (252, "4 min 12 s"),
        (3790, "1 h 03 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (Column(name="a", kind=Kind.NUMERICAL), NOTHING),
        (Column(name="a", kind=Kind.NUMERICAL, integer=True), "whole numbers"),
        (Column(name="a", kind=Kind.NUMERICAL, minimum=18, maximum=100, integer=True), "18 to 100, whole"),
        (Column(name="a", kind=Kind.NUMERICAL, minimum=-2.5), f"from {MINUS}2.5"),
        (Column(name="a", kind=Kind.NUMERICAL, maximum=1e6), "up to 1,000,000"),
        (Column(name="a", kind=Kind.CATEGORICAL, categories=("1", "2"), labels={"1": "rent"}), "1 = rent, 2"),
        (Column(name="a", kind=Kind.CATEGORICAL, open=True), "any"),
        (Column(name="a", kind=Kind.ORDINAL, categories=("x",), open=True), "x, and unseen ones"),
        (Column(name="a", kind=Kind.TARGET), "1 = default, 0 = none"),
        (Column(name="a", kind=Kind.IDENTIFIER), NOTHING),
    ],
)
def test_allowed(column: Column, text: str) -> None:
    assert formats.allowed(column) == text


def test_many_levels_are_counted_instead_of_listed() -> None:
    column = Column(name="a", kind=Kind.CATEGORICAL, categories=tuple("abcdefghij"))
    assert formats.allowed(column) == "a, b, c, d, e, f, … (10 levels)"


def test_settings_are_grouped_by_their_top_level() -> None:
    nested = {"encoder": {"width": 32, "tokens": {"bins": 48}}, "seed": 0, "empty": {}}
    assert formats.grouped(nested) == {
        "general": [("seed", "0")],
        "encoder": [("width", "32"), ("tokens.bins", "48")],
    }


# Limits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (formats.percent(0.0001), "0.01%"),
        (formats.percent(0.00999), "1.00%"),
        (formats.percent(0.01), "1.0%"),
        (formats.percent(math.inf), NOTHING),
        (formats.number(1.23456), "1.235"),
        (formats.signed(0.1), "+0.100"),
        (formats.signed(0.0), "0.000"),
        (formats.signed(-0.1), f"{MINUS}0.100"),
        (formats.signed(math.inf), NOTHING),
        (formats.signed(None), NOTHING),
        (formats.count(30_000), "30,000"),
        (formats.count(0), "0"),
        (formats.count(None), NOTHING),
        (formats.plain(9_999), "9999"),
        (formats.plain(10_000), "10,000"),
        (formats.plain(-10_000), "-10,000"),
        (formats.plain(10_000.0), "10,000"),
        (formats.plain(1e14), "100,000,000,000,000"),
        (formats.plain(1e15), "1e+15"),
        (formats.plain(1 / 3), "0.333333"),
        (formats.plain([True, None]), f"yes, {NOTHING}"),
        (formats.duration(9.94), "9.9 s"),
        (formats.duration(10.0), "10 s"),
        (formats.duration(59.4), "59 s"),
        (formats.duration(3_599.4), "59 min 59 s"),
        (formats.duration(3_600.0), "1 h 00 min"),
        (formats.duration(36_059.0), "10 h 00 min"),
    ],
)
def test_figures_at_the_limits_of_their_forms(text: str, expected: str) -> None:
    assert text == expected


def test_six_levels_are_listed_and_the_seventh_is_counted() -> None:
    six = Column(name="a", kind=Kind.CATEGORICAL, categories=tuple("abcdef"), labels={"f": "last"}, open=True)
    assert formats.allowed(six) == "a, b, c, d, e, f = last, and unseen ones"
    seven = Column(name="a", kind=Kind.CATEGORICAL, categories=tuple("abcdefg"))
    assert formats.allowed(seven) == "a, b, c, d, e, f, … (7 levels)"


def test_negative_bounds_carry_a_minus_sign() -> None:
    column = Column(name="a", kind=Kind.NUMERICAL, minimum=-2, maximum=-1)
    assert formats.allowed(column) == f"{MINUS}2 to {MINUS}1"
    assert formats.allowed(Column(name="a", kind=Kind.NUMERICAL, minimum=0, integer=True)) == "from 0, whole"
    target = Column(name="a", kind=Kind.TARGET, positive="late", negative="paid")
    assert formats.allowed(target) == "late = default, paid = none"


def test_settings_of_one_group_stay_together_and_general_ones_come_first() -> None:
    assert list(formats.grouped({"head": {"a": {"b": {"c": 1}}}, "members": 3})) == ["general", "head"]
    assert formats.grouped({"head": {"a": {"b": {"c": 1}}}}) == {"head": [("a.b.c", "1")]}
    assert formats.grouped({"general": {"x": 1}, "seed": 0}) == {"general": [("x", "1"), ("seed", "0")]}


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("calibration_slope", 100.0, "beyond 100"),
        ("calibration_slope", -100.0, "beyond \N{MINUS SIGN}100"),
        ("calibration_slope", 99.9996, "99.9996"),
        ("calibration_slope", -1.25, "\N{MINUS SIGN}1.2500"),
        ("calibration_slope", None, "\N{EN DASH}"),
        ("calibration_intercept", 100.0, "100.0000"),
    ],
)
def test_a_slope_that_was_capped_is_not_shown_as_measured(name: str, value: float | None, text: str) -> None:
    assert formats.metric(value, name, 4) == text

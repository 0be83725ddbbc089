"""Numbers as people write them come back as the same numbers, one by one and in columns."""

import math

import pandas as pd
import pytest
from babel.numbers import format_decimal
from hypothesis import given, settings
from hypothesis import strategies as st

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.frames import parse_numbers, read_column
from loan_default.data.schema.missing_texts import stands_for_no_number
from loan_default.data.schema.number_texts import number_reader
from loan_default.data.schema.values import fold, value_reader

MARKS = [(".", ""), (",", ""), (".", ","), (",", "."), (",", " "), (".", "'"), (".", "\u2019"), (".", "_")]
FORMATS = ["", "percent", "share", "money", "months", "years"]


def column(**settings: object) -> Column:
    return Column(name="a", kind=Kind.NUMERICAL, nullable=True, **settings)


def read(text: str, **settings: object) -> float | None:
    """The number of a text, read alone; a column of it must read the same."""
    alone = number_reader(column(**settings))(text.strip())
    if alone is None and stands_for_no_number(fold(text)):
        alone = math.nan
    numbers, unreadable = parse_numbers(pd.Series([text, "x", text], dtype="str"), column(**settings))
    assert unreadable.tolist() == [alone is None, True, alone is None]
    assert (
        repr(numbers.tolist()[0]) == repr(numbers.tolist()[2]) == repr(math.nan if alone is None else alone)
    )
    return alone


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("14.49%", 14.49),
        ("14.49 %", 14.49),
        ("14.49\u00a0%", 14.49),
        ("14.49\u3000\uff05", 14.49),
        ("% 14.49", 14.49),
        ("14.49 percent", 14.49),
        ("-0.5%", -0.5),
        ("(0.5%)", -0.5),
        ("14.49", 14.49),
        ("14.49%%", None),
        ("14,49%", None),
        ("%", None),
        ("(5%", None),
    ],
)
def test_percent(text, number):
    assert read(text, format="percent") == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("$1,250.00", 1250.0),
        ("1,250.00 USD", 1250.0),
        ("US$ 1,250", 1250.0),
        ("$1,250 USD", 1250.0),
        ("R$ 5", 5.0),
        ("eur 5", 5.0),
        ("\u20b91,00,000.50", 100_000.5),
        ("(1,250.00)", -1250.0),
        ("($1,250.00)", -1250.0),
        ("-$5", -5.0),
        ("$-5", -5.0),
        ("\u2212\u20ac5", -5.0),
        ("5-", -5.0),
        ("5.00 $-", -5.0),
        ("1,250.-", 1250.0),
        ("1,250.--", 1250.0),
        ("+5", 5.0),
        ("1,25", None),
        ("0,125", None),
        ("1250,000", None),
        ("1,0000", None),
        ("10,00,00", None),
        ("(-5)", None),
        ("--5", None),
        ("-5-", None),
        ("(5", None),
        ("5)", None),
        ("$", None),
        ("()", None),
        ("1.2k", None),
        ("3M", None),
        ("ABC 5", None),
        ("5 5", None),
    ],
)
def test_money(text, number):
    assert read(text, format="money", thousands=",") == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.250,50 \u20ac", 1250.5),
        ("1.250,-", 1250.0),
        ("1.250,\u2013", 1250.0),
        ("1250,5", 1250.5),
        ("1.5", None),
        ("1,250.50", None),
    ],
)
def test_money_with_a_decimal_comma(text, number):
    assert read(text, format="money", decimal=",", thousands=".") == number


@pytest.mark.parametrize(
    ("text", "months"),
    [
        ("36 months", 36),
        (" 36 months ", 36),
        ("36", 36),
        ("10+ years", 120),
        ("10 years +", 120),
        ("> 10 years", 120),
        ("more than 10 years", 120),
        ("< 1 year", 0),
        ("less than 1 year", 0),
        ("< 2 years", 12),
        ("2 yrs 3 mon", 27),
        ("1yrs 11mon", 23),
        ("0yrs 0mon", 0),
        ("2 years and 3 months", 27),
        ("3 Jahre", 36),
        ("3 Jahre und 1 Monat", 37),
        ("1 an et 2 mois", 14),
        ("1 a\u00f1o y 2 meses", 14),
        ("2 anos e 1 m\u00eas", 25),
        ("5 anni, 2 mesi", 62),
        ("1.5 years", 18),
        ("months", None),
        ("3 parsecs", None),
        ("3 months 2 years", None),
        ("1 2 years", None),
        ("1-2 years", None),
        ("", math.nan),
        ("n/a", math.nan),
    ],
)
def test_durations(text, months):
    in_months, in_years = read(text, format="months"), read(text, format="years")
    if months is None or math.isnan(months):
        assert repr(in_months) == repr(in_years) == repr(months)
    else:
        assert in_months == months
        assert in_years == (36 if text == "36" else pytest.approx(months / 12))


@pytest.mark.slow
@pytest.mark.parametrize("marks", MARKS)
@settings(deadline=None)
@given(
    number=st.decimals(-(10**9), 10**9, places=2) | st.integers(-(10**12), 10**12),
    form=st.sampled_from(["", "{} %", "{}%", "$ {}", "{} EUR", "CHF\u00a0{}"]),
)
def test_numbers_in_any_marks_come_back(marks, number, form):
    decimal, thousands = marks
    grouped = f"{number:,}" if thousands else f"{number}"
    text = grouped.replace(",", "t").replace(".", decimal).replace("t", thousands)
    kind = "percent" if "%" in form else "money" if form else ""
    written = form.format(text) if form else text
    assert read(written, format=kind, decimal=decimal, thousands=thousands) == float(number)


@pytest.mark.slow
@settings(deadline=None)
@given(
    number=st.decimals(-(10**9), 10**9, places=3),
    locale=st.sampled_from(
        [
            ("en", ".", ","),
            ("de", ",", "."),
            ("fr", ",", " "),
            ("it", ",", "."),
            ("de_CH", ".", "\u2019"),
            ("es", ",", "."),
            ("pt", ",", "."),
            ("en_IN", ".", ","),
        ]
    ),
)
def test_what_a_library_writes_for_a_country_is_read(number, locale):
    name, decimal, thousands = locale
    text = format_decimal(number, locale=name)
    assert read(text, format="money", decimal=decimal, thousands=thousands) == float(number)


@pytest.mark.slow
@settings(deadline=None)
@given(
    text=st.text("0123456789.,'()-+%$\u20ac \u00a0eEinf", max_size=9) | st.text(max_size=8),
    marks=st.sampled_from(MARKS),
    form=st.sampled_from(FORMATS),
)
def test_a_text_is_read_alone_as_in_a_column(text, marks, form):
    number = read(text, format=form, decimal=marks[0], thousands=marks[1])
    assert number is None or isinstance(number, float)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["1.5", "-1e3", ".5", "5.", "+7", "1e999", "-inf"])
def test_plain_numbers_stay_plain(text):
    assert read(text, missing=("?",)) == float(text)
    assert read(text, thousands=",") == float(text)


@pytest.mark.parametrize("text", ["21K€", "21 K€", "K€ 21", "21K$", "3M€", "MM$3", "21KK€"])
def test_a_multiplier_before_a_currency_is_never_dropped(text: str) -> None:
    assert read(text, format="money") is None


@pytest.mark.parametrize("text", ["US$21", "R$ 21", "21 NZ$", "EUR€21", "HK$21", "21CN¥"])
def test_a_country_before_a_currency_sign_is_money(text: str) -> None:
    assert read(text, format="money") == 21


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,250.00", 1250.0),
        ("-12,250.5", -12250.5),
        ("1,250,000", 1250000.0),
        ("1,250,000.75", 1250000.75),
        ("1,00,000", 100000.0),
        ("1,00,000.50", 100000.5),
        ("1,250.00e2", 125000.0),
        ("1,250", None),
        ("1,250.", None),
        ("1,250e3", None),
        ("1,25", None),
        ("12,50.00", None),
        ("1,250.000.000", None),
        ("1250,000.5", None),
        ("0,250.5", None),
        (",250.5", None),
    ],
)
@pytest.mark.parametrize("form", ["", "money", "percent"])
@pytest.mark.parametrize("decimal", [".", ","])
def test_groups_that_no_column_declares_are_read_where_they_can_mean_one_number(text, number, form, decimal):
    if decimal == ",":
        number = None if text.startswith("1,00,") else number  # only India writes so
        text = text.translate(str.maketrans(",.", ".,"))
    if (text, form) != ("1.250,", "money"):
        assert read(text, format=form, decimal=decimal) == number
    assert read(text, format=form, decimal=decimal, thousands=" ") is None


@pytest.mark.parametrize(
    ("settings_", "text", "names_way_out"),
    [
        ({}, "1,250", True),
        ({}, "-999,250", True),
        ({"decimal": ","}, "1.573", True),
        ({"format": "money"}, "$1,250", True),
        ({"format": "money", "decimal": ","}, "1.250 EUR", True),
        ({"thousands": " "}, "1,250", False),
        ({}, "1,25", False),
        ({}, "0,573", False),
        ({}, "about 1,250", False),
        ({"decimal": ","}, "1.5", False),
    ],
)
def test_a_number_that_reads_in_two_ways_is_refused_with_the_way_out(settings_, text, names_way_out):
    _, problems = read_column(pd.Series([text, "5"], dtype="str"), column(**settings_))
    ((rule, rows),) = problems
    assert rows.tolist() == [True, False]
    mark = "." if settings_.get("decimal") == "," else ","
    assert (f'thousands = "{mark}" in the schema' in rule) == names_way_out
    assert value_reader(column(**settings_))(text) == (None, rule)

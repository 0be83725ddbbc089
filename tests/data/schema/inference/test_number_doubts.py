"""Columns of numbers that mix what must not be mixed: fractions among percent, several currencies."""

import pandas as pd
import pytest

from loan_default.data.schema.column import Column
from loan_default.data.schema.frames import parse_numbers
from loan_default.data.schema.inference.columns import infer_column
from loan_default.data.schema.inference.findings import Severity
from loan_default.data.schema.inference.raw_values import Values


def inferred(texts: list[str]) -> tuple[Column | None, list[tuple[Severity, str]]]:
    """The column that texts make, and what is reported of it."""
    raw = pd.Series(texts, dtype="str")
    found: list[tuple[Severity, str]] = []
    values = Values(name="x", raw=raw, n_missing=0, numbers=parse_numbers(raw)[0])
    decision = infer_column(values, lambda _, severity, message: found.append((severity, message)))
    return decision.column, found


def answered(texts: list[str], **settings: str) -> list[float]:
    """The numbers that a declared column makes of texts."""
    column = Column(name="x", kind="numerical", nullable=True, **settings)  # type: ignore[arg-type]
    return parse_numbers(pd.Series(texts, dtype="str"), column)[0].tolist()


POINTS = [f"{number}.{number % 7}" for number in range(11, 95)]


@pytest.mark.parametrize("sign", ["{}%", "{} %", "% {}", "{} Prozent", "{} pct"])
@pytest.mark.parametrize("every", [2, 3, 10])
def test_fractions_among_percent_are_a_question(sign, every):
    texts = [
        f"{float(point) / 100:.4f}" if index % every == 0 else sign.format(point)
        for index, point in enumerate(POINTS * 3)
    ]
    column, found = inferred(texts)
    assert column is None
    [(severity, message)] = found
    assert severity is Severity.QUESTION
    assert 'format = "percent"' in message
    assert 'format = "share"' in message
    assert "[columns.x]" in message
    assert f"{sum('0.' in text for text in texts if text.startswith('0.')):,} of 252" in message


def test_fractions_with_a_decimal_comma_are_a_question_as_well():
    texts = [f"{point} %".replace(".", ",") for point in POINTS]
    texts += [f"{float(point) / 100:.3f}".replace(".", ",") for point in POINTS]
    column, found = inferred(texts)
    assert column is None
    assert 'decimal = ","' in found[0][1]


def test_the_answers_to_the_question_read_as_it_says():
    assert answered(["58%", "0.58"], format="percent") == [58, 0.58]
    assert answered(["58%", "0.58", "(7 %)", "-1 pct"], format="share") == [0.58, 0.58, -0.07, -0.01]
    assert answered(["58,5 %", "0,585"], format="share", decimal=",") == [0.585, 0.585]


def test_basis_points_among_percent_are_a_question():
    column, found = inferred([f"{int(float(point) * 100)}" for point in POINTS] + [f"{p}%" for p in POINTS])
    assert column is None
    assert found[0][0] is Severity.QUESTION


def test_signs_that_lack_beside_values_of_the_same_size_are_counted_and_read():
    column, found = inferred([f"{p}%" if index % 9 else p for index, p in enumerate(POINTS)])
    assert column is not None
    assert column.format == "percent"
    assert [each for each in found if "percent sign" in each[1]] == [
        (Severity.NOTE, "10 rows without a percent sign, of the same size as the others: read as percent")
    ]


def test_a_few_fractions_are_slips_with_a_warning():
    column, found = inferred([f"{p}%" for p in POINTS * 4] + ["0.58"])
    assert column is not None
    assert any(severity is Severity.WARNING and "1 row" in message for severity, message in found)


@pytest.mark.parametrize(
    "texts",
    [
        [f"{point}%" for point in POINTS],
        [f"{point}%" for point in POINTS] + ["0"] * 20,
        [f"{float(point) / 100}%" for point in POINTS],
        [f"{float(point) / 100:.3f}" for point in POINTS],
    ],
)
def test_plain_percent_is_not_asked_about(texts):
    column, found = inferred(texts)
    assert column is not None
    assert not [message for severity, message in found if severity is not Severity.NOTE]


AMOUNTS = [f"{number * 37}.{number % 90 + 10}" for number in range(60, 140)]


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("{}$", "{}€", "$ (60 rows), € (20 rows)"),
        ("USD {}", "EUR {}", "USD (60 rows), EUR (20 rows)"),
        ("{} zł", "{} Kč", "zł (60 rows), Kč (20 rows)"),
        ("{} euros", "£{}", "euros (60 rows), £ (20 rows)"),
        ("R$ {}", "US$ {}", "R$ (60 rows), US$ (20 rows)"),
    ],
)
def test_several_currencies_in_a_column_are_counted_in_a_warning(first, second, words):
    texts = [(first if index % 4 else second).format(amount) for index, amount in enumerate(AMOUNTS)]
    column, found = inferred(texts)
    assert column is not None
    assert column.format == "money"
    [message] = [message for severity, message in found if severity is Severity.WARNING]
    assert words in message
    assert not any(amount in message for amount in AMOUNTS)


@pytest.mark.parametrize(
    ("first", "second"),
    [("${}", "USD {}"), ("{} €", "eur {}"), ("{}", "{} CHF"), ("{} kr", "SEK {}"), ("₹{}", "Rs. {}")],
)
def test_two_spellings_of_one_currency_are_one(first, second):
    column, found = inferred([(first if n % 4 else second).format(a) for n, a in enumerate(AMOUNTS)])
    assert column is not None
    assert column.format == "money"
    assert not [message for severity, message in found if severity is not Severity.NOTE]

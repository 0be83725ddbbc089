"""One column without a schema: its kind, and what is reported of it."""

import numpy as np
import pandas as pd
import pytest

from loan_default.data.schema.frames import parse_numbers
from loan_default.data.schema.inference.columns import (
    Severity,
    Values,
    infer_column,
    infer_target,
    rows_in_words,
)
from loan_default.data.schema.language import Column, Kind
from loan_default.errors import DataError


def inferred(raw: list[object], *, name: str = "x", missing: int = 0) -> tuple[Column | None, list[str]]:
    """The column, and the findings as "severity: message"."""
    return _run(infer_column, raw, name, missing)


def _run(infer, raw, name, missing):
    series = pd.Series(raw, dtype="str" if all(isinstance(value, str) for value in raw) else None)
    found: list[str] = []

    def report(_: str, severity: Severity, message: str) -> None:
        found.append(f"{severity}: {message}")

    numbers = parse_numbers(series)[0] if len(series) else np.array([])
    return infer(Values(name=name, raw=series, n_missing=missing, numbers=numbers), report), found


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ([], "note: left out: it has no values"),
        (["7"] * 30, "note: left out: every value is '7'"),
        (["a", "A "], "note: left out: all values are spellings of one"),
        ([[1], [2]], "warning: left out: its values are neither numbers nor text"),
    ],
)
def test_a_column_that_says_nothing_is_left_out_with_its_reason(raw, message):
    assert inferred(raw) == (None, [message])


def test_one_value_that_is_there_or_not_is_a_flag():
    column, found = inferred(["yes"] * 10, missing=1)
    assert column is not None
    assert (column.kind, column.categories, column.nullable) == (Kind.CATEGORICAL, ("yes",), True)
    assert found == ["note: 'yes' or missing: kept, as that may say something"]
    assert inferred(["yes"] * 9, missing=1)[0] is None


def test_numbers_have_their_bounds_codes_and_wholeness():
    column, found = inferred([str(n % 12) for n in range(60)] + ["98", "98"])
    assert column is not None
    assert (column.kind, column.integer, column.minimum, column.special) == (Kind.NUMERICAL, True, 0, (98,))
    assert found == ["warning: 98 look like codes, not measurements (2 rows): read as missing"]
    column, _ = inferred(["0.5", "1.5", "-2.5"])
    assert column is not None
    assert (column.kind, column.integer, column.minimum) == (Kind.NUMERICAL, False, None)


def test_a_code_with_leading_zeros_is_no_number():
    column, _ = inferred(["00501", "10001"] * 5)
    assert column is not None
    assert (column.kind, column.categories) == (Kind.CATEGORICAL, ("00501", "10001"))


def test_the_most_frequent_spelling_is_the_category():
    column, found = inferred(["Car", "Car", "car", "house"])
    assert column is not None
    assert (column.categories, dict(column.aliases)) == (("Car", "house"), {"car": "Car"})
    assert found == ["note: spellings merged: 'car' = 'Car'"]


def test_times_and_names_of_rows():
    column, _ = inferred(["2024-01-31", "2024-02-01"])
    assert column is not None
    assert column.kind is Kind.TIMESTAMP
    column, found = inferred(["a", "b", "c"], name="LoanID", missing=2)
    assert column is not None
    assert column.kind is Kind.IDENTIFIER
    assert found == ["note: identifier (unique, 2 blank): carried along, never a feature"]


@pytest.mark.parametrize(
    ("raw", "positive", "negative", "severity"),
    [
        (["0", "0", "1"], "1", "0", "note"),
        (["1", "1", "0"], "1", "0", "warning"),  # more bads than goods
        (["Fully Paid", "Fully Paid", "Charged Off"], "charged off", "fully paid", "note"),
        (["red", "red", "blue"], "blue", "red", "warning"),  # a guess: the rarer one
    ],
)
def test_the_value_that_means_default(raw, positive, negative, severity):
    column, found = _run(infer_target, raw, "bad", 0)
    assert (column.kind, column.positive, column.negative) == (Kind.TARGET, positive, negative)
    assert [finding.split(":")[0] for finding in found] == [severity]


@pytest.mark.parametrize("raw", [["0", "0"], ["0", "1", "2"]])
def test_a_target_must_have_two_values(raw):
    with pytest.raises(DataError, match="the target must have two values, however: 'bad' has"):
        _run(infer_target, raw, "bad", 0)


def test_rows_are_counted_in_words():
    assert [rows_in_words(count) for count in (0, 1, 1000)] == ["0 rows", "1 row", "1,000 rows"]

"""Rows of a frame as JSON objects: what a producer would have sent."""

import json
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.sources.json_rows import json_rows, row_subjects

SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="id", kind=Kind.IDENTIFIER),
        Column(name="made", kind=Kind.TIMESTAMP),
        Column(name="income", kind=Kind.NUMERICAL),
        Column(name="purpose", kind=Kind.CATEGORICAL, open=True),
        Column(name="bad", kind=Kind.TARGET, positive="yes", negative="no"),
    ),
)


def values(name: str, cells: object, dtype: object = None) -> list[object]:
    """What the cells of one column become."""
    rows = json_rows(pd.DataFrame({name: pd.Series(cells, dtype=dtype)}), SCHEMA)
    json.dumps(rows, allow_nan=False)
    return [row[name] for row in rows]


def same(found: list[object], expected: list[object]) -> bool:
    """Equal values of equal types: 1 is not 1.0 here."""
    return [(type(each), each) for each in found] == [(type(each), each) for each in expected]


def test_whole_numbers_are_whole_as_far_as_a_float_is_exact() -> None:
    most = 2.0**53
    found = values("income", [3.0, -3.0, 2.5, -0.0, most - 1, most, 1 - most, -most, np.nan])
    assert same(found, [3, -3, 2.5, 0, int(most) - 1, most, 1 - int(most), -most, None])
    assert same(values("income", ["3", " 2.50 ", "", "NA"], "str"), [3, 2.5, None, None])


def test_what_is_no_finite_number_stays_as_it_was() -> None:
    assert values("income", ["much", "inf", "-inf", "1"], "str") == ["much", "inf", "-inf", 1]
    assert values("income", [np.inf, -np.inf, 1.5]) == ["inf", "-inf", 1.5]


def test_labels_have_the_spelling_of_the_schema() -> None:
    assert values("bad", ["YES", " no ", "", "perhaps"], "str") == ["yes", "no", None, "perhaps"]


def test_codes_of_typed_columns_keep_their_type() -> None:
    assert same(
        values("purpose", [1, "a", True, 2.5, None, np.int64(4)], object), [1, "a", True, 2.5, None, 4]
    )
    assert same(values("purpose", [1, 2]), [1, 2])
    assert same(values("purpose", ["car", "", None], "str"), ["car", None, None])


def test_decimals_are_numbers_as_far_as_json_holds_them() -> None:
    cells = ["2.5", "7", str(2**53 - 1), str(2**53), str(2**63 - 1), str(2**63), str(-(2**63))]
    found = values("purpose", [Decimal(cell) for cell in cells], object)
    assert same(
        found,
        [2.5, 7.0, float(2**53 - 1), 2**53, 2**63 - 1, str(2**63), str(-(2**63))],
    )


def test_what_json_cannot_hold_is_a_list_of_one_text() -> None:
    cells = [float("inf"), float("-inf"), {"a": 1}, b"x", date(2025, 1, 31)]
    assert values("purpose", cells, object) == [
        ["inf"],
        ["-inf"],
        ["a dict"],
        ["a bytes"],
        ["a date"],  # as text it would pass for a category
    ]
    assert values("made", [date(2025, 1, 31)], object) == ["2025-01-31T00:00:00+00:00"]


def test_times_are_iso_text_in_utc() -> None:
    times = pd.to_datetime(["2025-01-31T12:00:00.000001+02:00", None])
    assert values("made", times) == ["2025-01-31T10:00:00.000001Z", None]
    assert values("made", ["2025-01-31", ""], "str") == ["2025-01-31", None]


def test_only_columns_of_the_schema_are_sent_in_the_order_of_the_file() -> None:
    frame = pd.DataFrame({"purpose": ["car"], "secret": ["x"], "income": [1]})
    (row,) = json_rows(frame, SCHEMA)
    assert list(row.items()) == [("purpose", "car"), ("income", 1)]
    assert json_rows(frame.iloc[:0], SCHEMA) == []


@pytest.mark.parametrize("dtype", ["str", object])
def test_ids_that_fit_into_a_header(dtype: object) -> None:
    ids = ["x" * 200, "x" * 201, " A ", "n/a", "None", "a\tb", "\u00e9", None]
    frame = pd.DataFrame({"id": pd.Series(ids, dtype=dtype)})
    assert row_subjects(frame, SCHEMA) == ["x" * 200, None, "A", None, None, None, "\u00e9", None]


def test_without_a_column_of_ids_there_are_none() -> None:
    nameless = Schema(name="s", columns=(SCHEMA["income"], SCHEMA["bad"]))
    frame = pd.DataFrame({"id": ["a", "b"], "income": [1, 2]})
    assert row_subjects(frame, nameless) == [None, None]
    assert row_subjects(frame[["income"]], SCHEMA) == [None, None]
    assert row_subjects(frame, SCHEMA) == ["a", "b"]

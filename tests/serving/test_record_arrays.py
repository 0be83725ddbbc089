"""The arrays of records beside those of a frame: equal to the bit."""

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loan_default.data.schema.language import Schema
from loan_default.data.schema.records import records_frame
from loan_default.models.features import Features, Inputs, NumericalFeature
from loan_default.models.model import LoanModel
from loan_default.serving.record_arrays import FEW_ROWS, RecordArrays

EDGES = [0.0, -0.0, 1.0, 2.0, 2.5, 1e-320, -1e300, 1e308, 96.0, 1e17]


def assert_same_bits(found: Inputs, expected: Inputs) -> None:
    for name in ("numerical", "codes", "levels"):
        mine, theirs = getattr(found, name), getattr(expected, name)
        assert mine.dtype == theirs.dtype
        assert mine.shape == theirs.shape
        if name == "numerical":
            np.testing.assert_array_equal(np.isnan(mine), np.isnan(theirs))
            mine, theirs = np.nan_to_num(mine).view(np.int32), np.nan_to_num(theirs).view(np.int32)
        np.testing.assert_array_equal(mine, theirs, err_msg=name)


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(EDGES) | st.floats(-3, 500_000)
TIMES = st.datetimes(timezones=st.just(UTC))
TEXTS = st.sampled_from(["Berlin", "berlin ", "Ulm", "Firm 3", "FIRM 3", "Firm 69", "unseen", ""]) | st.text()
RECORDS = st.fixed_dictionaries(
    {
        "id": some(TEXTS),
        "made": some(TIMES),
        "born": some(TIMES),
        "income": some(NUMBERS),
        "late": some(NUMBERS),
        "ratio": some(NUMBERS),
        "grade": some(st.sampled_from(["low", "middle", "high", "none of them"])),
        "purpose": some(st.sampled_from(["car", "house", "study", "boat"])),
        "city": some(TEXTS),
        "employer": some(TEXTS),
        "weight": some(NUMBERS),
        "sex": some(st.sampled_from(["f", "m"])),
        "bad": some(st.sampled_from([0.0, 1.0])),
    }
)


@pytest.mark.slow
@settings(deadline=None)
@given(rows=st.lists(RECORDS, min_size=1, max_size=3 * FEW_ROWS))
def test_any_canonical_records_give_the_bits_of_their_frame(
    model: LoanModel, schema: Schema, rows: list[dict[str, Any]]
) -> None:
    features = model.architecture.features
    expected = features.transform(records_frame(rows, schema))
    assert_same_bits(RecordArrays(features)(rows), expected)
    singles = [RecordArrays(features)([row]) for row in rows]
    for name in ("numerical", "codes", "levels"):
        joined = np.concatenate([getattr(each, name) for each in singles])
        np.testing.assert_array_equal(joined, getattr(expected, name))


@pytest.mark.parametrize("rows", [1, 5, FEW_ROWS, FEW_ROWS + 1, 700])
def test_generated_rows_give_the_bits_of_their_frame(
    model: LoanModel, schema: Schema, frame: pd.DataFrame, rows: int
) -> None:
    features = model.architecture.features
    canonical = canonical_of(frame.head(rows))
    inputs = RecordArrays(features)(canonical)
    assert_same_bits(inputs, features.transform(records_frame(canonical, schema)))
    if rows == 700:
        assert (inputs.levels > 0).mean() > 0.5
        assert np.isnan(inputs.numerical).any(axis=0).sum() >= 3
        assert (
            len(np.unique(inputs.codes[:, [each.name for each in features.categorical].index("city")])) == 5
        )


def canonical_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [
        {
            str(name): value.to_pydatetime() if isinstance(value, pd.Timestamp) else value
            for name, value in row.items()
        }
        for row in rows
    ]


@settings(deadline=None)
@given(
    training=st.lists(st.floats(-1e6, 1e6) | st.sampled_from(EDGES), min_size=1, max_size=8),
    values=st.lists(NUMBERS, min_size=1, max_size=8),
)
@example(training=[1.0, 1.0], values=[1.0, 0.5, 1.5])
@example(training=[-1.7e308, 1.7e308], values=[0.0, 1.0, -1.0, 1.7e308])
@example(training=[0.0, 0.0, 0.0, 1.0, 1.0, 2.0], values=[-0.0, 0.0, 1.0, 2.0, 0.5, 3.0])
def test_any_quantiles_give_the_same_bits_by_bisection_and_by_numpy(
    training: list[float], values: list[float]
) -> None:
    """Ties at quantiles, differences beyond the largest float, one quantile, values between and outside."""
    quantiles = np.sort(np.array(training))
    feature = NumericalFeature(name="x", quantiles=quantiles, edges=np.array([-1.0, 1.0]))
    features = Features(numerical=(feature,), categorical=())
    asked = [*values, *training, *(quantiles[:-1] / 2 + quantiles[1:] / 2).tolist(), None]
    with np.errstate(all="ignore"):
        expected = features.transform(pd.DataFrame({"x": pd.Series(asked, dtype="float64")}))
        rows = [{"x": value} for value in asked]
        assert_same_bits(RecordArrays(features)(rows * FEW_ROWS), _repeated(expected, FEW_ROWS))
        few = [RecordArrays(features)([row]).numerical[0] for row in rows]
    np.testing.assert_array_equal(np.array(few), expected.numerical)


def _repeated(inputs: Inputs, times: int) -> Inputs:
    return Inputs(numerical=np.tile(inputs.numerical, (times, 1)), codes=np.tile(inputs.codes, (times, 1)))


def test_a_column_that_a_record_lacks_is_missing(model: LoanModel) -> None:
    inputs = RecordArrays(model.architecture.features)([{}])
    assert np.isnan(inputs.numerical).all()
    assert not inputs.codes.any()
    assert not inputs.levels.any()


def test_no_records_give_arrays_of_no_rows(model: LoanModel, frame: pd.DataFrame) -> None:
    features = model.architecture.features
    assert_same_bits(RecordArrays(features)([]), features.transform(frame.head(0)))


def test_values_that_are_not_canonical_are_missing_and_raise_nothing(model: LoanModel) -> None:
    odd: list[Any] = [math.inf, math.nan, "text", [1], object(), True, datetime(2024, 1, 1, tzinfo=UTC)]
    names = model.architecture.features.names
    for value in odd:
        inputs = RecordArrays(model.architecture.features)([dict.fromkeys(names, value)])
        assert np.isnan(inputs.numerical).all(), value

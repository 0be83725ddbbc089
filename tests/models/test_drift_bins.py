import numpy as np
import pandas as pd
import pytest

from loan_default.data.schema.language import Schema
from loan_default.data.sources.generator import generate
from loan_default.models.drift_bins import counted_sample
from loan_default.models.features import Features
from loan_default.models.reference import missing_categories, reference_of

PDS = np.random.default_rng(0).uniform(0.05, 0.6, 400)


@pytest.fixture(scope="module")
def reference(frame: pd.DataFrame, features: Features) -> dict[str, object]:
    missing = missing_categories(features, frame)
    return dict(reference_of(features.transform(frame), features, PDS, missing=missing))


def test_the_training_rows_themselves_fall_into_the_bins_as_they_did(frame, features, reference):
    counted = counted_sample(frame, PDS, features=features, reference=reference)
    assert counted.rows == 400
    assert {each.name for each in counted.columns} == set(features.names)
    for each in (*counted.columns, counted.score):
        assert each.actual.tolist() == each.expected.tolist(), each.name
        assert each.actual.sum() == 400
        assert len(each.bins) == len(each.actual)
        assert each.bins[each.missing] == "missing"


def test_each_row_of_another_sample_is_counted_once_in_each_column(schema: Schema, features, reference):
    other = generate(schema, rows=250, seed=9).frame
    counted = counted_sample(other, np.full(250, 0.2), features=features, reference=reference)
    for each in counted.columns:
        assert each.actual.sum() == 250
        assert each.actual[each.missing] == other[each.name].isna().sum()
    assert counted.score.actual.max() == 250


def test_unknown_categories_and_missing_values_have_bins_of_their_own(frame, features, reference):
    odd = frame.head(100).copy()
    odd["purpose"] = pd.Series(["boat"] * 30 + [None] * 20 + ["car"] * 50, index=odd.index, dtype="str")
    counted = counted_sample(odd, PDS[:100], features=features, reference=reference)
    purpose = next(each for each in counted.columns if each.name == "purpose")
    assert dict(zip(purpose.bins, purpose.actual.tolist(), strict=True)) == {
        "car": 50, "house": 0, "study": 0, "unknown": 30, "missing": 20,
    }  # fmt: skip
    assert (purpose.bins[purpose.unknown], purpose.bins[purpose.missing]) == ("unknown", "missing")


def test_a_file_of_an_older_release_has_one_bin_for_both(frame, features):
    older = reference_of(features.transform(frame), features, PDS)
    counted = counted_sample(frame, PDS, features=features, reference=older)
    purpose = next(each for each in counted.columns if each.name == "purpose")
    assert purpose.bins[-1] == "missing or unknown"
    assert (purpose.missing, purpose.unknown) == (None, None)
    assert purpose.actual.tolist() == purpose.expected.tolist()


def test_rare_categories_share_a_bin(features, frame, reference):
    counts = np.array([10, 500, 485, 15])
    rare = {
        **reference,
        "categorical": {**reference["categorical"], "purpose": {"counts": counts, "missing": 4}},
    }
    counted = counted_sample(frame, PDS, features=features, reference=rare)
    purpose = next(each for each in counted.columns if each.name == "purpose")
    assert purpose.bins == ("car", "house", "rarer categories", "unknown", "missing")
    assert purpose.expected.tolist() == [500, 485, 15, 6, 4]
    assert purpose.actual[2] == (frame["purpose"] == "study").sum()


def test_a_column_that_the_sample_lacks_is_missing_throughout(frame, features, reference):
    counted = counted_sample(
        frame.drop(columns=["purpose", "amount"]), PDS, features=features, reference=reference
    )
    for name in ("purpose", "amount"):
        column = next(each for each in counted.columns if each.name == name)
        assert column.actual[column.missing] == 400


def test_bins_are_named_in_the_values_of_the_column(frame, features, reference):
    counted = counted_sample(frame, PDS, features=features, reference=reference)
    amount = next(each for each in counted.columns if each.name == "amount")
    first = float(amount.bins[0].removeprefix("below ").replace(",", ""))
    below = (frame["amount"] < first).sum()
    assert abs(below - amount.actual[0]) <= 6, "up to the rounding of the transform"
    assert amount.bins[1].startswith(f"{first:,.6g} to ")
    grade = next(each for each in counted.columns if each.name == "grade")
    assert all("low" in name or "middle" in name or "high" in name for name in grade.bins[:-1])

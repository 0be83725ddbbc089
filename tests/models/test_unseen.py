"""What training never saw is counted by column and matter; the model answers for it all the same."""

import numpy as np
import pandas as pd
import pytest

from loan_default.data.schema.schema_files import schema_from_dict
from loan_default.models.features import Features, features_from_dict, features_to_dict, fit_features
from loan_default.models.unseen import (
    ABOVE,
    BELOW,
    FRACTION,
    MISSING,
    UNKNOWN_CATEGORY,
    count_unseen,
)

SCHEMA = schema_from_dict(
    {
        "name": "s",
        "columns": {
            "made": {"kind": "timestamp"},
            "late": {"kind": "numerical"},
            "income": {"kind": "numerical"},
            "home": {"kind": "categorical", "open": True},
            "zip": {"kind": "categorical", "open": True, "buckets": 4},
            "grade": {"kind": "ordinal", "categories": ["a", "b", "c"], "open": True},
            "opened": {"kind": "date", "derive": "years_before_application"},
        },
    }
)


@pytest.fixture(scope="module")
def training() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    made = pd.Series(pd.date_range("2020-01-01", periods=400, tz="UTC")).astype("datetime64[us, UTC]")
    return pd.DataFrame(
        {
            "made": made,
            "late": rng.integers(0, 9, 400).astype(float),
            "income": np.where(rng.random(400) < 0.2, np.nan, rng.normal(50, 9, 400)),
            "home": rng.choice(["own", "rent"], 400),
            "zip": rng.choice([f"{code}xx" for code in range(90)], 400),
            "grade": rng.choice(["a", "b", "c"], 400),
            "opened": made - pd.to_timedelta(rng.integers(100, 999, 400), unit="D"),
        }
    ).astype({"home": "str", "zip": "str", "grade": "str"})


@pytest.fixture(scope="module")
def features(training: pd.DataFrame) -> Features:
    fitted = fit_features(training, SCHEMA)
    again = features_from_dict(features_to_dict(fitted))
    np.testing.assert_equal(features_to_dict(again), features_to_dict(fitted))
    return again


def test_the_training_rows_hold_nothing_unseen(features: Features, training: pd.DataFrame) -> None:
    assert count_unseen(features, training) == {}


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("late", np.nan, MISSING),
        ("late", 2.5, FRACTION),
        ("late", -3.0, BELOW),
        ("late", 99.0, ABOVE),
        ("income", 9_999.5, ABOVE),
        ("home", None, MISSING),
        ("home", "castle", UNKNOWN_CATEGORY),
        ("grade", "d", UNKNOWN_CATEGORY),
        ("grade", None, MISSING),
        ("opened", pd.Timestamp("1950-01-01", tz="UTC"), ABOVE),
        ("opened", pd.NaT, MISSING),
    ],
)
def test_each_matter_is_counted_in_its_column(
    features: Features, training: pd.DataFrame, column: str, value: object, what: str
) -> None:
    rows = training.head(50).copy()
    rows.loc[[3, 8], column] = value
    assert count_unseen(features, rows) == {f"{column}: {what}": 2}


def test_what_training_knew_as_missing_and_what_a_bucket_holds_is_not_unseen(
    features: Features, training: pd.DataFrame
) -> None:
    rows = training.head(50).assign(income=np.nan)
    rows["zip"] = "any other"
    assert count_unseen(features, rows) == {}
    assert count_unseen(features, training.drop(columns=["late", "zip"])) == {}


def test_a_file_of_an_older_release_does_not_say_what_was_missing(
    features: Features, training: pd.DataFrame
) -> None:
    plain = features_to_dict(features)
    for item in [*plain["numerical"], *plain["categorical"]]:
        item.pop("is_complete", None)
        item.pop("is_whole", None)
    rows = training.assign(late=np.nan)
    rows.loc[0, "late"] = 2.5
    assert count_unseen(features_from_dict(plain), rows) == {}
    assert count_unseen(features, rows) == {f"late: {MISSING}": 399, f"late: {FRACTION}": 1}

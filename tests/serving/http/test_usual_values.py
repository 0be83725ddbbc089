"""Usual values: quantiles of the training rows, in the units and the steps of a column."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from serving_setup import SCHEMA, slow_scorer

from loan_default.data.schema.schema_files import schema_from_dict
from loan_default.models.features import Features, fit_features
from loan_default.serving.http.usual_values import usual_values

MADE = schema_from_dict(
    {
        "name": "made",
        "columns": {
            "income": {"kind": "numerical"},
            "late": {"kind": "numerical", "integer": True},
            "grade": {"kind": "ordinal", "categories": ["low", "middle", "high"]},
            "purpose": {"kind": "categorical", "categories": ["car", "house"]},
            "empty": {"kind": "numerical", "nullable": True},
        },
    }
)


@dataclass
class Shown:
    """A scorer that shows its features."""

    features: Features


def test_medians_ranges_and_categories_come_from_the_fitted_features():
    rows = 1001
    frame = pd.DataFrame(
        {
            "income": np.linspace(1000.123, 2000.456, rows),
            "late": np.arange(rows, dtype=np.float64) % 7,
            "grade": pd.Series(["low", "middle", "high", "high", "high"] * 200 + ["high"], dtype="str"),
            "purpose": pd.Series(["house"] * 900 + ["car"] * 101, dtype="str"),
            "empty": np.nan,
        }
    )
    usual = usual_values(Shown(fit_features(frame, MADE)))
    assert usual.typical["income"] == 1500
    assert usual.typical["late"] == 3
    assert isinstance(usual.typical["late"], int)
    assert usual.typical["grade"] == "high"
    assert usual.typical["purpose"] in ("car", "house")
    assert "empty" not in usual.typical
    assert usual.ranges["income"] == (1020, 1980)
    assert set(usual.ranges) == {"income", "late"}


def test_a_date_that_years_are_derived_from_has_its_median_years():
    schema = schema_from_dict(
        {
            "name": "dated",
            "columns": {
                "made": {"kind": "timestamp"},
                "born": {"kind": "date", "derive": "years_before_application"},
            },
        }
    )
    made = pd.Series(pd.date_range("2024-01-01", periods=101, tz="UTC"))
    days = pd.to_timedelta(np.arange(101) * 365.25, unit="D")
    usual = usual_values(Shown(fit_features(pd.DataFrame({"made": made, "born": made - days}), schema)))
    assert usual.years == {"born": 50}
    assert usual.typical == {}


def test_a_scorer_that_shows_no_features_has_none():
    scorer = slow_scorer("v1", seed=1, schema=SCHEMA)
    assert usual_values(scorer).typical == {}

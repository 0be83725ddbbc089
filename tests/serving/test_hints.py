"""Hints: verified by the score, within bounds, and the smallest of those looked at."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from loan_default.data.schema.schema_files import schema_from_dict
from loan_default.models.categories import CategoricalFeature
from loan_default.models.features import Features, NumericalFeature
from loan_default.serving.hints import Hint, hint_for

SCHEMA = schema_from_dict(
    {
        "name": "hints",
        "columns": {
            "income": {"kind": "numerical", "minimum": 0, "maximum": 80},
            "late": {"kind": "numerical", "integer": True, "special": [3]},
            "age": {"kind": "numerical", "actionable": False},
            "grade": {"kind": "ordinal", "categories": ["low", "middle", "high"]},
            "purpose": {"kind": "categorical", "categories": ["car", "house"]},
        },
    }
)


def number(name: str, high: float, **values: Any) -> NumericalFeature:
    return NumericalFeature(
        name=name, quantiles=np.linspace(0, high, 101), edges=np.array([-1.0, 1.0]), **values
    )


FEATURES = Features(
    numerical=(
        number("income", 100),
        number("late", 10, is_whole=True),
        number("age", 100),
        number("grade", 2, levels=("low", "middle", "high")),
    ),
    categorical=(CategoricalFeature(name="purpose", vocabulary=("car", "house")),),
)
RECORD = {"income": 20.0, "late": 5.0, "age": 50.0, "grade": "low", "purpose": "car"}


def hint(pd_of: Any, *, record: dict[str, Any] = RECORD, cutoff: float = 0.2, schema=SCHEMA) -> Hint | None:
    return hint_for(
        record,
        schema=schema,
        features=FEATURES,
        cutoff=cutoff,
        score=lambda rows: np.array([pd_of(row) for row in rows]),
    )


def test_the_smallest_change_wins_over_those_of_other_columns() -> None:
    # A fall of late by 4 passes 40 % of the rows, a rise of income by 15 some 15 %.
    found = hint(lambda row: 0.1 if row["income"] >= 34 or row["late"] <= 1 else 0.5)
    assert found is not None
    assert found.column == "income"
    assert 34 <= found.value <= 38
    assert (found.pd, found.note) == (0.1, "A what-if of the model, and no promise.")
    assert found.size == pytest.approx((float(found.value) - 20) / 100, abs=0.01)


def test_both_ways_are_looked_at_and_whole_numbers_stay_whole() -> None:
    found = hint(lambda row: 0.2 if row["late"] <= 4 else 0.9)
    assert found is not None
    assert (found.column, found.value) == ("late", 4.0)


def test_bounds_special_values_and_columns_that_nobody_can_act_on_are_left_alone() -> None:
    assert hint(lambda row: 0.1 if row["income"] > 80 else 0.5) is None
    assert hint(lambda row: 0.1 if row["late"] == 3 else 0.5) is None
    assert hint(lambda row: 0.1 if row["age"] != 50 else 0.5) is None
    free = replace(SCHEMA, columns=tuple(replace(each, actionable=True) for each in SCHEMA.columns))
    found = hint(lambda row: 0.1 if row["age"] != 50 else 0.5, schema=free)
    assert found is not None
    assert found.column == "age"


def test_levels_and_categories_are_named() -> None:
    found = hint(lambda row: 0.1 if row["grade"] == "high" else 0.5)
    assert found is not None
    assert (found.column, found.value) == ("grade", "high")
    found = hint(lambda row: 0.1 if row["purpose"] == "house" else 0.5)
    assert found is not None
    assert (found.column, found.value, found.size) == ("purpose", "house", 1.0)


def test_without_a_need_or_a_way_there_is_none() -> None:
    assert hint(lambda row: 0.1) is None
    assert hint(lambda row: 0.5) is None
    assert hint(lambda row: 0.1 if row["income"] else 0.5, record={**RECORD, "income": None}) is None

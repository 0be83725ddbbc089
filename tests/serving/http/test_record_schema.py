"""The JSON Schema of an application: its example validates for any schema, and it names units and words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.schema.records import validate_record
from loan_default.data.schema.schema_files import load_schema, schema_from_dict
from loan_default.models.features import Features, NumericalFeature
from loan_default.serving.http.record_schema import application_schema, example_application
from loan_default.serving.http.usual_values import UsualValues
from loan_default.serving.record_arrays import RecordArrays

BOUND = st.none() | st.integers(-1000, 1000).map(float) | st.floats(-1e6, 1e6)


@st.composite
def columns(draw, name):
    kind = draw(st.sampled_from([Kind.NUMERICAL, Kind.CATEGORICAL, Kind.ORDINAL, Kind.DATE, Kind.IDENTIFIER]))
    values = {"name": name, "kind": kind, "nullable": draw(st.booleans()), "optional": draw(st.booleans())}
    if kind is Kind.NUMERICAL:
        low, high = draw(BOUND), draw(BOUND)
        if low is not None and high is not None and low > high:
            low, high = high, low
        values |= {"minimum": low, "maximum": high}
        if low is None or high is None or high - low >= 1:
            values |= {"integer": draw(st.booleans()), "special": draw(st.sampled_from([(), (1.0,), (0.0,)]))}
    elif kind in (Kind.CATEGORICAL, Kind.ORDINAL):
        values |= {"categories": ("low", "high")[: draw(st.integers(1, 2))], "open": draw(st.booleans())}
    elif kind is Kind.DATE:
        values |= {"format": draw(st.sampled_from(["", "%d/%m/%Y", "epoch_seconds", "spreadsheet"]))}
    return Column(**values)


@st.composite
def schemas(draw):
    names = [f"c{number}" for number in range(draw(st.integers(0, 5)))]
    made = [draw(columns(name)) for name in names]
    made = [each for number, each in enumerate(made) if each.kind is not Kind.IDENTIFIER or number == 0]
    return Schema(name="any", columns=(*made, Column(name="x", kind=Kind.NUMERICAL)))


@pytest.mark.slow
@settings(deadline=None)
@given(schemas(), st.none() | st.floats(-1e4, 1e4), st.text(max_size=3))
def test_the_example_validates_whatever_the_schema_and_what_is_usual(schema, number, text):
    usual = {column.name: number if column.kind is Kind.NUMERICAL else text for column in schema.columns}
    validate_record(example_application(schema), schema)
    validate_record(example_application(schema, typical=usual), schema)


def test_units_bounds_words_and_what_is_usual_are_there():
    schema = load_schema(BUNDLED_SCHEMA)
    usual = UsualValues(typical={"LIMIT_BAL": 140_000}, ranges={"LIMIT_BAL": (20_000.0, 500_000.0)})
    described = application_schema(schema, usual=usual)
    limit, education = described["properties"]["LIMIT_BAL"], described["properties"]["EDUCATION"]
    assert (limit["minimum"], limit["maximum"], limit["x-unit"]) == (0, 10_000_000, "NT$")
    assert limit["x-usual-range"] == [20_000.0, 500_000.0]
    assert education["x-labels"]["2"] == "university"
    assert set(education["enum"]) == {"0", "1", "2", "3", "4", "5", "6"}
    assert described["examples"][0]["LIMIT_BAL"] == 140_000
    assert "default.payment.next.month" not in described["properties"]
    assert not described["properties"]["SEX"]["x-feature"]
    assert "SEX" not in described["examples"][0]
    assert described["required"] == [column.name for column in schema.columns if not column.may_be_left_out]


@pytest.mark.parametrize("value", [None, -1, "much", 1e9])
def test_an_unusable_usual_value_is_not_taken(value):
    schema = load_schema(BUNDLED_SCHEMA)
    assert example_application(schema, typical={"LIMIT_BAL": value}) == example_application(schema)


DATED = {
    "made": {"kind": "timestamp", "optional": True},
    "born": {"kind": "date", "derive": "years_before_application", "optional": True},
    "joined": {"kind": "date", "derive": "years_before_application", "format": "spreadsheet"},
    "debt": {"kind": "numerical"},
    "bad": {"kind": "target"},
}


def test_the_example_has_the_time_of_the_application_where_a_feature_is_derived_from_it():
    schema = schema_from_dict({"name": "dated", "columns": DATED})
    usual = UsualValues(typical={}, ranges={}, years={"born": 40.0, "joined": 2.0})
    (example,) = application_schema(schema, usual=usual)["examples"]
    assert example["made"] == "2024-01-31T12:00:00Z"
    assert example["born"].startswith("1984-01-31")
    assert example["joined"] == 45_322 - 730
    canonical = validate_record(example, schema)
    features = Features(
        numerical=tuple(
            NumericalFeature(
                name=name, quantiles=np.arange(100.0), edges=np.array([-1.0, 1.0]), application_time="made"
            )
            for name in ("born", "joined")
        ),
        categorical=(),
    )
    assert not np.isnan(RecordArrays(features)([canonical]).numerical).any()
    assert "made" in example_application(schema)


def test_a_time_that_no_feature_needs_is_left_out_of_the_example():
    plain = {
        **DATED,
        "born": {"kind": "date", "optional": True},
        "joined": {"kind": "date", "optional": True},
    }
    example = example_application(schema_from_dict({"name": "plain", "columns": plain}))
    assert set(example) == {"debt"}


def test_a_usual_date_of_another_age_is_not_taken():
    schema = schema_from_dict({"name": "dated", "columns": DATED})
    usual = UsualValues(typical={}, ranges={}, years={"born": 4000.0, "joined": -3.0})
    assert application_schema(schema, usual=usual)["examples"] == [example_application(schema)]

"""Single records: strict about types, and validated like rows of a file."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.frames import validate
from loan_default.data.schema.language import Schema
from loan_default.data.schema.records import record_model, records_frame, validate_record
from loan_default.data.schema.schema_files import load_schema
from loan_default.data.sources.table_files import RawFrame
from loan_default.errors import DataError

SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="loan.id", kind=Kind.IDENTIFIER),
        Column(name="made at", kind=Kind.TIMESTAMP, nullable=True),
        Column(name="age", kind=Kind.NUMERICAL, integer=True, minimum=18, maximum=100, description="Years."),
        Column(name="late", kind=Kind.NUMERICAL, nullable=True, special=(98,)),
        Column(name="class", kind=Kind.CATEGORICAL, categories=("A", "B", "1"), aliases={"x": "A"}),
        Column(name="city", kind=Kind.CATEGORICAL, open=True, optional=True),
        Column(name="bad", kind=Kind.TARGET),
    ),
)
MODEL = record_model(SCHEMA)
GOOD = {
    "loan.id": "a",
    "made at": "2024-01-31T12:00:00Z",
    "age": 30,
    "late": 2,
    "class": "a",
    "city": "Graz",
    "bad": 1,
}


def reasons(**changes):
    with pytest.raises(DataError) as caught:
        validate_record(GOOD | changes, SCHEMA, model=MODEL)
    return str(caught.value)


def test_canonical_record():
    assert validate_record(GOOD, SCHEMA) == {
        "loan.id": "a",
        "made at": datetime(2024, 1, 31, 12, tzinfo=UTC),
        "age": 30.0,
        "late": 2.0,
        "class": "A",
        "city": "Graz",
        "bad": 1.0,
    }


def test_what_may_be_left_out_is_none():
    got = validate_record({"loan.id": 7, "age": 30.0, "class": 1, "late": 98}, SCHEMA, model=MODEL)
    assert got == {
        "loan.id": "7",
        "made at": None,
        "age": 30.0,
        "late": None,
        "class": "1",
        "city": None,
        "bad": None,
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"age": "30"}, "age: must be a number, however: '30'"),
        ({"age": "1e400"}, "age: must be finite, however: '1e400'"),
        ({"age": True}, "age: must be a number, however: True"),
        ({"age": None}, "age: must not be missing"),
        ({"age": [30]}, "age: must be a number, however: a list"),
        ({"age": {"$gt": ""}}, "age: must be a number, however: a dict"),
        ({"age": float("nan")}, "age: must be finite, however: nan"),
        ({"late": float("nan")}, "late: must be finite, however: nan"),
        ({"late": float("inf")}, "late: must be finite, however: inf"),
        ({"late": 10**5000}, "late: must be finite, however: a whole number of 16610 bits"),
        ({"age": 30.5}, "age: must be a whole number, however: 30.5"),
        ({"age": 17}, "age: must be at least 18, however: 17"),
        ({"age": 1e308}, "age: must be at most 100, however: 1e+308"),
        ({"class": "C"}, "class: must be one of A, B, 1, however: 'C'"),
        ({"class": {"$ne": None}}, "class: must be text, however: a dict"),
        ({"class": "A\u200b"}, "class: must be one of A, B, 1, however: 'A\\u200b'"),
        ({"loan.id": "\ud800"}, "loan.id: must be printable text"),
        ({"loan.id": "a\nb"}, "loan.id: must be printable text"),
        ({"loan.id": True}, "loan.id: must be text, however: True"),
        ({"loan.id": "x" * 300}, "loan.id: must be printable text of at most 256 characters, however: 'xxx"),
        ({"made at": "2024-02-30"}, "made at: must be a date or time in ISO 8601"),
        ({"made at": 1706702400}, "made at: must be a date or time in ISO 8601"),
        ({"bad": 2}, "bad: must be one of 0, 1, however: 2"),
        ({"agee": 1}, "fields must be columns of the schema, however: 'agee'. Did you mean 'age'?"),
        ({"column_0": 1}, "fields must be columns of the schema, however: 'column_0'."),
        ({"__proto__": {}}, "fields must be columns of the schema"),
    ],
)
def test_refusals(changes, reason):
    got = reasons(**changes)
    assert got.startswith(reason)
    assert len(got) < 300


def test_all_reasons_at_once():
    assert (
        reasons(age=1, late="x")
        == "age: must be at least 18, however: 1; late: must be a number, however: 'x'"
    )
    with pytest.raises(
        DataError, match=r"^loan\.id: must be given; age: must be given; class: must be given$"
    ):
        validate_record({}, SCHEMA)


@pytest.mark.parametrize("record", [None, [], "x", 1, [("age", 30)]])
def test_what_is_no_record(record):
    with pytest.raises(DataError, match="must be an object"):
        validate_record(record, SCHEMA)


def test_model_describes_itself():
    fields = MODEL.model_json_schema()["properties"]
    assert list(fields) == [column.name for column in SCHEMA.columns]
    assert fields["age"]["type"] == "integer"
    assert (fields["age"]["minimum"], fields["age"]["maximum"]) == (18, 100)
    assert fields["class"]["enum"] == ["A", "B", "1"]
    assert set(MODEL.model_json_schema()["required"]) == {"loan.id", "age", "class"}


def test_bundled_schema_takes_a_json_record():
    schema = load_schema(Path(__file__).parents[3] / "config/schemas/credit_card.toml")
    record = {column.name: 1 for column in schema.columns} | {"AGE": 30, "EDUCATION": 5}
    got = validate_record(json.loads(json.dumps(record)), schema)
    assert (got["EDUCATION"], got["SEX"], got["default.payment.next.month"]) == ("4", "1", 1.0)


def test_records_frame_is_canonical():
    records = [validate_record(GOOD, SCHEMA), validate_record(GOOD | {"late": None, "bad": None}, SCHEMA)]
    frame = records_frame(records, SCHEMA)
    accepted = validate(
        RawFrame(frame=pd.DataFrame([GOOD, GOOD | {"late": None, "bad": None}])), SCHEMA, labelled=True
    )
    pd.testing.assert_frame_equal(frame, accepted.accepted)
    assert records_frame([], SCHEMA).dtypes.to_dict() == frame.dtypes.to_dict()


values = (
    st.none()
    | st.booleans()
    | st.integers(-100, 130)
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "A", " b ", "x", "1.0", "Graz", "NA", "2024-01-31", "2024-13-01", "yes", "no"])
    | st.text(max_size=5)
    | st.datetimes()
    | st.lists(st.none(), max_size=1)
)


@st.composite
def schemas(draw):
    bound = st.none() | st.integers(-50, 0)
    nullable = {name: draw(st.booleans()) for name in "abcde"}
    return Schema(
        name="random",
        columns=(
            Column(
                name="a",
                kind=Kind.NUMERICAL,
                nullable=nullable["a"],
                integer=draw(st.booleans()),
                minimum=draw(bound),
                maximum=draw(st.none() | st.integers(0, 50)),
                special=tuple(draw(st.lists(st.integers(90, 99), max_size=2))),
            ),
            Column(
                name="b",
                kind=Kind.CATEGORICAL,
                nullable=nullable["b"],
                categories=("A", "B", "1"),
                aliases={"x": "A"},
                open=draw(st.booleans()),
            ),
            Column(name="c", kind=Kind.IDENTIFIER, nullable=nullable["c"]),
            Column(name="d", kind=Kind.TIMESTAMP, nullable=nullable["d"]),
            Column(name="e", kind=Kind.TARGET, positive="yes", negative="no"),
        ),
    )


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(schemas(), st.fixed_dictionaries(dict.fromkeys("abcde", values)))
def test_records_and_frames_agree(schema, record):
    if isinstance(record["a"], str):
        record["a"] = None  # text is a number in a CSV file and never in a record
    frame = pd.DataFrame({name: pd.Series([value], dtype=object) for name, value in record.items()})
    by_frame = validate(RawFrame(frame=frame), schema, labelled=True)
    canonical, reasons = outcome(record, schema)
    assert by_frame.rejected["reason"].tolist() == reasons
    if canonical is not None:
        pd.testing.assert_frame_equal(records_frame([canonical], schema), by_frame.accepted)


def outcome(record, schema):
    try:
        return validate_record(record, schema), []
    except DataError as error:
        return None, [str(error)]


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(
    st.dictionaries(st.text(max_size=5) | st.sampled_from(list(GOOD)), values | st.just(np.nan), max_size=8)
)
def test_no_record_raises_anything_else(record):
    canonical, reasons = outcome(record, SCHEMA)
    assert (canonical is None) == bool(reasons)
    assert reasons != [""]

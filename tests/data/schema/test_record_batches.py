"""Records in batches: each is validated as it would be alone."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.schema.record_batches import RecordBatchReader
from loan_default.data.schema.records import RecordError, validate_record

SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="loan.id", kind=Kind.IDENTIFIER),
        Column(name="made at", kind=Kind.TIMESTAMP, nullable=True),
        Column(name="age", kind=Kind.NUMERICAL, integer=True, minimum=18, maximum=100),
        Column(name="late", kind=Kind.NUMERICAL, nullable=True, special=(98,)),
        Column(name="class", kind=Kind.CATEGORICAL, categories=("A", "B", "1", "true", "0")),
        Column(name="city", kind=Kind.CATEGORICAL, open=True, optional=True),
        Column(name="bad", kind=Kind.TARGET),
    ),
)
READ = RecordBatchReader(SCHEMA)

numbers = st.one_of(
    st.integers(15, 105),
    st.sampled_from([98, -0.0, 0, True, False, 10**400, 2**1024 - 1, 1e308, 30.5, math.nan, math.inf]),
)
oddities = st.one_of(
    st.none(), st.sampled_from([[], {}, "nan", "", "30", "\x00", "x" * 300, "2024-13-01"]), numbers, st.text()
)
fields = {
    "loan.id": st.text("ab1", min_size=1) | oddities,
    "made at": st.sampled_from(["2024-01-31", "2024-01-31T12:00:00Z", None]) | oddities,
    "age": numbers | oddities,
    "late": numbers | oddities,
    "class": st.sampled_from(["A", "b", 1, 1.0, True, 0, -0.0, 0.0, "1 ", None]) | oddities,
    "city": st.sampled_from(["Graz", None]) | oddities,
    "bad": st.sampled_from([0, 1, "0", "1", None, True, 0.0]) | oddities,
    "more": oddities,
}
records = st.fixed_dictionaries({}, optional=fields)


def alone(record: object) -> object:
    try:
        return validate_record(record, SCHEMA)
    except RecordError as error:
        return str(error), error.rules


def shown(result: object) -> object:
    return (str(result), result.rules) if isinstance(result, RecordError) else result


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.too_slow])  # how fast it is says the machine's load
@given(st.lists(records, max_size=12))
def test_a_record_is_validated_as_if_it_were_alone(batch):
    # By their text: a dict with 0.0 equals one with -0.0 and with False.
    assert list(map(repr, map(shown, READ(batch)))) == list(map(repr, map(alone, batch)))


@pytest.mark.slow
@given(st.lists(st.one_of(oddities, st.lists(oddities)), max_size=5))
def test_what_is_no_record_is_refused_alone(batch):
    sound = {"loan.id": "a", "age": 30, "class": "A"}
    *others, last = READ([*batch, sound])
    assert isinstance(last, dict)
    assert all(isinstance(other, RecordError) for other in others)


@pytest.mark.parametrize(
    "odd",
    [
        {"age": "30"},
        {"age": 10**400},
        {"age": 2**1024 - 1},
        {"age": 1 - 2**1024},
        {"class": ["A"]},
        {"city": math.nan},
    ],
)
def test_one_odd_record_puts_no_other_in_doubt(odd, monkeypatch):
    sound = {"loan.id": "a", "age": 30, "class": "A", "city": "Graz"}
    asked = []

    def counting(record, *rest, **named):
        asked.append(record)
        return validate_record(record, *rest, **named)

    monkeypatch.setattr("loan_default.data.schema.record_batches.validate_record", counting)
    result = READ([sound, sound | odd, sound])
    assert asked == [sound | odd]
    assert [isinstance(each, RecordError) for each in result] == [False, True, False]

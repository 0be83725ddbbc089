"""A canonical record that went through JSON is read again as what it was."""

from dataclasses import replace
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.schema.record_batches import RecordBatchReader
from loan_default.serving.canonical_records import record_reader


def of(column: Column, *values: object) -> tuple[Column, tuple[object, ...]]:
    return column, values


SPELLED = [
    of(Column(name="id", kind=Kind.IDENTIFIER), "a-1", 17, " b "),
    of(Column(name="made", kind=Kind.TIMESTAMP, format="%d/%m/%Y"), "03/04/2011", "31/12/1999"),
    of(Column(name="seconds", kind=Kind.DATE, format="epoch_seconds"), 0, 1_700_000_000, 1e9),
    of(Column(name="days", kind=Kind.DATE, format="spreadsheet"), 40_000, 2.5),
    of(Column(name="iso", kind=Kind.DATE, nullable=True), "2020-01-31", "2020-01-31T10:00:00+02:00", None),
    of(Column(name="income", kind=Kind.NUMERICAL, minimum=0, special=(-9.0, -8.0)), 0, 12.5, -9, -8),
    of(Column(name="debt", kind=Kind.NUMERICAL, nullable=True, special=(-9.0,)), None, -9, 3),
    of(Column(name="rate", kind=Kind.NUMERICAL, format="percent", nullable=True), "14.5 %", 3, None, "k.A."),
    of(Column(name="part", kind=Kind.NUMERICAL, format="share"), "58%", 0.25),
    of(
        Column(name="money", kind=Kind.NUMERICAL, format="money", decimal=",", thousands="."), "1.250,50 €", 7
    ),
    of(Column(name="late", kind=Kind.NUMERICAL, capped=True, missing=("?",), nullable=True), "90+", "?", 4),
    of(Column(name="months", kind=Kind.NUMERICAL, format="months"), "2 yrs 3 mon", 5),
    of(Column(name="owns", kind=Kind.NUMERICAL, format="boolean"), True, "nein", 1),
    of(
        Column(name="use", kind=Kind.CATEGORICAL, categories=("car", "house"), aliases={"auto": "car"}),
        "auto",
        " HOUSE ",
    ),
    of(Column(name="city", kind=Kind.CATEGORICAL, open=True, nullable=True), "Köln", None, "n/a", 3),
    of(Column(name="grade", kind=Kind.ORDINAL, categories=("1", "2")), 1, "2.0"),
    of(Column(name="works", kind=Kind.CATEGORICAL, categories=("no", "yes"), format="boolean"), True, "0"),
    of(Column(name="weight", kind=Kind.WEIGHT), 1, 0.5),
    of(
        Column(name="bad", kind=Kind.TARGET, positive="defaulted", negative="paid"), "paid", "defaulted", None
    ),
]
"""Columns of all kinds, and values that a source may write in them."""
SCHEMA = Schema(name="all", columns=tuple(column for column, _ in SPELLED))


READER = RecordBatchReader(SCHEMA)


def canonical(record: dict[str, Any]) -> dict[str, Any]:
    (read,) = READER([record])
    assert isinstance(read, dict), read
    return read


@given(st.fixed_dictionaries({column.name: st.sampled_from(values) for column, values in SPELLED}))
def test_what_a_source_wrote_is_read_from_the_topic_as_it_was_read_from_the_source(raw):
    first = canonical(raw)
    sent = orjson.loads(orjson.dumps(first))
    again = canonical(record_reader(SCHEMA)(sent))
    assert {**first, "bad": None} == again


def test_a_code_for_no_value_is_restored_only_where_nothing_else_may_be_missing():
    data = canonical({column.name: values[0] for column, values in SPELLED}) | {"income": None, "debt": None}
    record = record_reader(SCHEMA)(data)
    assert record["income"] == -9.0
    assert record["debt"] is None


def test_what_is_not_canonical_is_left_to_the_reader_of_the_schema():
    data = {"made": "no time", "income": "much", "surprise": 1, "seconds": 5}
    assert record_reader(SCHEMA)(data) == data


def test_a_model_without_an_outcome_leaves_no_column_out():
    columns = tuple(column for column in SCHEMA.columns if column.kind is not Kind.TARGET)
    schema = replace(SCHEMA, columns=columns)
    assert record_reader(schema)({"bad": 1.0}) == {"bad": 1.0}

"""Repeated rows: dropped only where they are surely the same application, grouped everywhere."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loan_default.data.datasets.duplicates import (
    are_equal_by_chance,
    drop_duplicates,
    duplicate_groups,
    kept_together,
    named_groups,
)
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema

NUMBER = Column(name="x", kind=Kind.NUMERICAL, nullable=True)
CODE = Column(name="c", kind=Kind.CATEGORICAL, categories=("a", "b"), nullable=True)
TARGET = Column(name="y", kind=Kind.TARGET)
PLAIN = Schema(name="plain", columns=(NUMBER, CODE, TARGET))
NAMED = Schema(
    name="named", columns=(Column(name="id", kind=Kind.IDENTIFIER, nullable=True), NUMBER, CODE, TARGET)
)
TIMED = Schema(name="timed", columns=(Column(name="at", kind=Kind.TIMESTAMP, nullable=True), NUMBER))


def frame(rows, schema=NAMED):
    return pd.DataFrame(rows, columns=[column.name for column in schema.columns])


def test_rows_with_an_identifier_are_dropped_once_repeated():
    rows = [("a", 1.0, "a", 1.0), ("a", 1.0, "a", 1.0), ("b", 1.0, "a", 1.0), ("a", 2.0, "a", 1.0)]
    assert drop_duplicates(frame(rows), NAMED).index.tolist() == [0, 2, 3]


def test_rows_with_a_blank_identifier_may_be_two_people():
    rows = [(None, 1.0, "a", 1.0), (None, 1.0, "a", 1.0), ("b", np.nan, "a", 1.0), ("b", np.nan, "a", 1.0)]
    assert drop_duplicates(frame(rows), NAMED).index.tolist() == [0, 1, 2]


def test_loans_of_one_applicant_may_look_alike_and_stay():
    who = Column(name="id", kind=Kind.IDENTIFIER, group=True)
    schema = Schema(name="s", columns=(who, NUMBER, CODE, TARGET))
    rows = [("a", 1.0, "a", 0.0), ("a", 1.0, "a", 0.0), ("b", 1.0, "a", 1.0)]
    assert len(drop_duplicates(frame(rows, schema), schema)) == 3
    loan = Column(name="loan", kind=Kind.IDENTIFIER)
    both = Schema(name="s", columns=(who, NUMBER, CODE, TARGET, loan))
    named = [(*row, name) for row, name in zip(rows, ("l1", "l2", "l3"), strict=True)]
    assert len(drop_duplicates(frame(named, both), both)) == 3
    assert len(drop_duplicates(frame([*named, named[0]], both), both)) == 3


def test_equal_rows_of_two_applicants_join_no_loans_of_theirs():
    """Three applicants with two loans each: one loan of each looks like one of the next."""
    who = Column(name="id", kind=Kind.IDENTIFIER, group=True, nullable=True)
    schema = Schema(name="s", columns=(who, NUMBER, TARGET))
    rows = [("a", 1.0, 0), ("a", 2.0, 0), ("b", 2.0, 0), ("b", 3.0, 0), ("c", 3.0, 0), ("c", 1.0, 0)]
    rows += [(None, 2.0, 0), (None, 2.0, 0), (None, 4.0, 1)]
    data = frame(rows, schema)
    labels = data["y"].to_numpy(float)
    groups = kept_together(duplicate_groups(data, schema), named_groups(data, schema), labels)
    _, together = np.unique(groups, return_inverse=True)
    assert [sorted(np.flatnonzero(together == number).tolist()) for number in dict.fromkeys(together)] == [
        [0, 1], [2, 3], [4, 5], [6, 7], [8],
    ]  # fmt: skip


def test_rows_of_few_values_are_equal_by_chance_and_copies_are_not():
    generator = np.random.default_rng(4)
    codes = generator.integers(0, 5, 1_000)
    coarse = (generator.random(1_000) < 0.1 + 0.05 * codes).astype(float)
    assert are_equal_by_chance(codes, coarse)
    alone = np.arange(1_000)
    assert kept_together(codes, alone, coarse).tolist() == alone.tolist()
    twice = np.arange(1_000) // 2
    assert not are_equal_by_chance(twice, coarse[twice]), "each row was written twice, with its outcome"
    assert kept_together(twice, alone, coarse[twice]).tolist() == twice.tolist()
    assert not are_equal_by_chance(np.minimum(alone, 600), coarse), "most rows have no equal one"
    coarse[::2] = np.nan
    assert are_equal_by_chance(codes, coarse)
    assert not are_equal_by_chance(codes, np.full(1_000, np.nan))


def test_rows_without_identifier_stay():
    rows = [(1.0, "a", 1.0), (1.0, "a", 1.0), (1.0, "a", 0.0)]
    assert len(drop_duplicates(frame(rows, PLAIN), PLAIN)) == 3


def test_rows_of_the_same_day_may_be_two_people():
    today = pd.Timestamp("2024-01-31", tz="UTC")
    rows = [(today, 1.0), (today, 1.0), (pd.NaT, 1.0), (pd.NaT, 1.0)]
    assert len(drop_duplicates(frame(rows, TIMED), TIMED)) == 4


rows = st.tuples(
    st.sampled_from(["p", "q"]),
    st.sampled_from([0.0, 1.0, np.nan]),
    st.sampled_from(["a", "b", None]),
    st.sampled_from([0.0, 1.0, np.nan]),
)


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(st.lists(rows, min_size=1, max_size=30))
def test_groups_are_those_of_pandas(rows):
    data = frame(rows)
    groups = duplicate_groups(data, NAMED)
    expected = data.groupby(["x", "c"], dropna=False, sort=False).ngroup().to_numpy()
    assert groups.dtype == np.int64
    np.testing.assert_array_equal(groups, expected)


def test_protected_columns_do_not_tell_rows_apart():
    schema = Schema(name="s", columns=(NUMBER, Column(name="age", kind=Kind.NUMERICAL, protected=True)))
    data = pd.DataFrame({"x": [1.0, 1.0], "age": [30.0, 40.0]})
    assert duplicate_groups(data, schema).tolist() == [0, 0]


def test_no_rows():
    empty = frame([]).astype({"x": "float64", "y": "float64", "id": "str", "c": "str"})
    assert duplicate_groups(empty, NAMED).shape == (0,)
    assert drop_duplicates(empty, NAMED).empty

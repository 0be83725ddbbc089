"""What must not be separated is on one side of each split; near-copies are named and move no row."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.twin_sets import clean_set, schema_of, with_twins
from loan_default.data.datasets.duplicates import duplicate_groups
from loan_default.data.datasets.splits import held_out, split_out_of_time, split_rows
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.pipelines.training.dataset import Dataset
from loan_default.pipelines.training.row_splits import split_dataset, twin_choice
from loan_default.pipelines.training.training_options import (
    PERMANENT_HOLDOUT,
    FileData,
    StoreData,
    TrainingOptions,
)


def dataset_of(frame: pd.DataFrame, labels: np.ndarray) -> Dataset:
    days = pd.date_range("2025-01-01", periods=len(frame), freq="h", tz="UTC").as_unit("us")
    columns = (
        *schema_of(frame).columns,
        Column(name="made", kind=Kind.TIMESTAMP),
        Column(name="bad", kind=Kind.TARGET),
    )
    return Dataset(
        schema=Schema(name="s", columns=columns),
        source="loans.csv",
        frame=frame.assign(made=days, bad=labels),
        quarantined=frame.iloc[:0],
        reasons={},
        rows_read=len(frame),
        duplicates=0,
        ignored_columns=(),
        digest="0",
        period=None,
    )


@pytest.fixture(scope="module")
def copied() -> Dataset:
    draw = np.random.default_rng(3)
    frame, labels = clean_set("mixed", draw, rows=1_500, signal=1.7)
    return dataset_of(*with_twins(frame, labels, draw, share=0.2, jitter=0.01))


def options(tmp_path, **given: object) -> TrainingOptions:
    return TrainingOptions(data=FileData(tmp_path / "loans.csv"), **given)


@pytest.mark.slow
@pytest.mark.parametrize("given", [{"seed": 0}, {"seed": 0, "out_of_time": True}])
def test_near_copies_are_named_and_move_no_row(copied, tmp_path, given):
    rows = split_dataset(options(tmp_path, **given), copied)
    assert rows.twins is not None
    assert rows.twins.with_copies_in(rows.split.test, rows.split.train).any()
    by = split_out_of_time if given.get("out_of_time") else split_rows
    alone = duplicate_groups(copied.frame, copied.schema)
    assert rows.split.digest == by(copied.frame, copied.schema, groups=alone, seed=0).digest
    (choice,) = twin_choice(rows.twins)
    assert "metrics without them" in choice.value
    assert f"{rows.twins.rows:,} of {rows.twins.labelled:,} rows" in choice.reason


@pytest.mark.slow
def test_the_permanent_holdout_is_as_it_was(copied, tmp_path):
    asked = TrainingOptions(data=StoreData(folder=tmp_path, maturity_days=1))
    assert asked.split == PERMANENT_HOLDOUT
    rows = split_dataset(asked, copied)
    assert rows.twins is not None
    assert rows.twins.with_copies_in(rows.split.test, rows.split.train).any()
    other = split_dataset(asked, dataset_of(copied.frame.iloc[:700, :-2], copied.labels[:700]))
    assert np.array_equal(other.split.test, rows.split.test[rows.split.test < 700])


def test_a_clean_set_is_split_as_ever(tmp_path):
    data = dataset_of(*clean_set("mixed", np.random.default_rng(4), rows=600, signal=1.7))
    rows = split_dataset(options(tmp_path), data)
    assert rows.twins is None
    assert twin_choice(rows.twins) == []
    assert len(np.unique(rows.groups)) == 600


def of_customers(rows: int, customers: int, *, seed: int) -> Dataset:
    """Applications of customers who come several times, each with an income and an outcome of its own."""
    draw = np.random.default_rng(seed)
    income = pd.DataFrame({"income": draw.normal(size=rows)})
    data = dataset_of(income, (draw.random(rows) < 0.4).astype(np.float64))
    names = pd.Series([f"C{number}" for number in draw.integers(0, customers, rows)], dtype="str")
    names[draw.random(rows) < 0.1] = None
    column = Column(name="customer", kind=Kind.IDENTIFIER, nullable=True, group=True)
    schema = Schema(name="s", columns=(*data.schema.columns, column))
    return replace(data, schema=schema, frame=data.frame.assign(customer=names))


@pytest.mark.slow
@settings(deadline=None, max_examples=12)
@given(
    st.integers(500, 1_200),
    st.integers(150, 600),
    st.integers(0, 1_000),
    st.sampled_from(["stratified", "out of time", PERMANENT_HOLDOUT]),
)
def test_no_split_separates_the_rows_of_an_applicant(rows, customers, seed, split):
    data = of_customers(rows, customers, seed=seed)
    if split == PERMANENT_HOLDOUT:
        asked = TrainingOptions(data=StoreData(folder=Path("store")), seed=seed)
    else:
        asked = TrainingOptions(data=FileData(Path("a.csv")), seed=seed, out_of_time=split == "out of time")
    made = split_dataset(asked, data).split
    parts = (made.train, made.validation, made.test)
    names = [set(data.frame["customer"].iloc[part].dropna()) for part in parts]
    assert len(set.union(*names)) == sum(len(each) for each in names)
    assert sum(map(len, parts)) == rows
    if split == "stratified":
        shares = [len(part) / rows for part in parts]
        assert shares == pytest.approx([0.64, 0.16, 0.2], abs=0.06)
        rates = [data.labels[part].mean() for part in parts]
        assert rates == pytest.approx([data.labels.mean()] * 3, abs=0.12)


def test_an_applicant_has_the_same_side_in_every_snapshot():
    """Also one who comes again, with other features."""
    asked = TrainingOptions(data=StoreData(folder=Path("store")))
    whole = of_customers(1_000, 300, seed=1)
    earlier = replace(whole, frame=whole.frame.iloc[:600])
    before, after = (split_dataset(asked, data).split for data in (earlier, whole))
    assert np.array_equal(before.test, after.test[after.test < 600])
    held = held_out(whole.frame, whole.schema)
    assert np.array_equal(np.flatnonzero(held), after.test)
    apart = whole.frame.assign(income=whole.frame["income"] + 1)
    named = whole.frame["customer"].notna().to_numpy()
    assert np.array_equal(held_out(apart, whole.schema)[named], held[named])


def test_several_columns_name_an_applicant_together():
    data = of_customers(600, 20, seed=2)
    town = pd.Series([f"T{number % 40}" for number in range(600)], dtype="str")
    columns = (*data.schema.columns, Column(name="town", kind=Kind.CATEGORICAL, open=True, group=True))
    data = replace(data, schema=Schema(name="s", columns=columns), frame=data.frame.assign(town=town))
    groups = split_dataset(TrainingOptions(data=FileData(Path("a.csv"))), data).groups
    both = data.frame["customer"] + data.frame["town"]
    named = both.notna().to_numpy()
    pairs = pd.DataFrame({"both": both[named], "group": groups[named]}).drop_duplicates()
    assert pairs["both"].is_unique
    assert pairs["group"].is_unique
    assert len(np.unique(groups[~named])) == (~named).sum()

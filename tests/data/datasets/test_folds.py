import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loan_default.data.datasets.folds import folds_of
from loan_default.data.datasets.splits import Split, split_rows
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema

SCHEMA = Schema(
    name="loans",
    columns=(Column(name="income", kind=Kind.NUMERICAL), Column(name="bad", kind=Kind.TARGET)),
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.integers(150, 600), st.integers(1, 4), st.integers(0, 9))
def test_folds_part_the_rows_outside_the_test_and_keep_groups_whole(
    rows: int, largest_group: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    labels = (generator.random(rows) < 0.3).astype(float)
    labels[:20] = np.repeat([1.0, 0.0], 10)
    groups = generator.integers(0, rows // largest_group, rows)
    frame = pd.DataFrame({"income": generator.normal(size=rows), "bad": labels})
    split = split_rows(frame, SCHEMA, groups=groups, seed=seed)
    folds = folds_of(split, labels, groups=groups, seed=seed)
    assert folds[0].tolist() == split.validation.tolist()
    together = np.concatenate(folds)
    assert len(np.unique(together)) == len(together)
    assert set(together.tolist()) == {*split.train.tolist(), *split.validation.tolist()}
    for fold in folds:
        assert (np.diff(fold) > 0).all()
        assert 0 < labels[fold].sum() < len(fold)
        others = np.setdiff1d(together, fold)
        assert not np.isin(groups[fold], groups[others]).any()
    again = folds_of(split, labels, groups=groups, seed=seed)
    assert [fold.tolist() for fold in again] == [fold.tolist() for fold in folds]


def test_both_outcomes_are_at_their_rate_in_each_fold() -> None:
    labels = (np.arange(2_000) % 10 == 0).astype(float)
    frame = pd.DataFrame({"income": np.arange(2_000.0), "bad": labels})
    split = split_rows(frame, SCHEMA, groups=np.arange(2_000), seed=0)
    folds = folds_of(split, labels, groups=np.arange(2_000), seed=0)
    assert [len(fold) for fold in folds] == [320] * 5
    assert [labels[fold].sum() for fold in folds] == [32] * 5


def test_a_fold_without_one_of_the_outcomes_is_left_out() -> None:
    labels = np.zeros(100)
    labels[[3, 40, 90]] = 1
    split = Split(
        train=np.arange(20, 100),
        validation=np.arange(20),
        test=np.array([], dtype=np.int64),
        unlabelled=np.array([], dtype=np.int64),
        reason="",
    )
    folds = folds_of(split, labels, groups=np.arange(100), seed=0)
    assert len(folds) == 3
    assert all(0 < labels[fold].sum() < len(fold) for fold in folds)

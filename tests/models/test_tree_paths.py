"""The paths to the leaves of trees lead each row where the trees score it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models.small_boosters import random_booster, random_inputs, trained_trees

from loan_default.models.features import Inputs
from loan_default.models.tree_paths import paths_of
from loan_default.models.tree_training import trees_of
from loan_default.models.trees import Trees


def logits_by_paths(trees: Trees, inputs: Inputs) -> np.ndarray:
    """The values of the leaves whose path a row follows in each column."""
    paths = paths_of(trees)
    rows = [inputs[slice(row, row + 1)] for row in range(len(inputs))]
    return np.array(
        [
            paths.constant
            + sum(leaves.value[paths.follow(leaves, row).all(axis=0)].sum() for leaves in paths.leaves)
            for row in rows
        ]
    )


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 2**32 - 1),
    numerical=st.integers(0, 5),
    categorical=st.integers(0, 3),
    codes=st.sampled_from([1, 3, 40]),
    leaves=st.sampled_from([2, 31, 64]),
)
def test_a_row_follows_the_path_to_its_leaf_and_no_other(seed, numerical, categorical, codes, leaves):
    numerical = max(numerical, 1 - categorical)
    generator = np.random.default_rng(seed)
    booster = random_booster(
        generator,
        random_inputs(generator, 300, numerical, categorical, codes=codes),
        num_leaves=leaves,
        min_data_in_leaf=5,
        min_data_per_group=5,
    )
    trees = trees_of(booster, numerical=numerical, categorical=categorical)
    others = random_inputs(generator, 40, numerical, categorical, codes=codes + 5)
    others.numerical[generator.random(others.numerical.shape) < 0.2] = np.nan
    np.testing.assert_allclose(logits_by_paths(trees, others), trees.logits(others), rtol=0, atol=1e-12)


def test_numbers_that_are_a_threshold_go_left():
    trees, _, _ = trained_trees()
    exact = np.unique(trees.threshold[trees.feature == 0].astype(np.float32))
    numbers = np.concatenate([exact, np.nextafter(exact, np.float32(-9)), np.nextafter(exact, np.float32(9))])
    inputs = Inputs(
        numerical=np.column_stack([numbers] + [np.zeros_like(numbers)] * 3),
        codes=np.zeros((len(numbers), 2), dtype=np.int64),
    )
    np.testing.assert_allclose(logits_by_paths(trees, inputs), trees.logits(inputs), rtol=0, atol=1e-12)


def test_each_leaf_has_one_path_and_each_path_asks_for_a_column_once():
    trees, _, _ = trained_trees()
    paths = paths_of(trees)
    assert sum(len(leaves.value) for leaves in paths.leaves) == trees.leaves
    for leaves in paths.leaves:
        assert (np.diff(leaves.columns, axis=0) > 0).all()
        assert (leaves.low < leaves.high).all() or leaves.missing[leaves.low >= leaves.high].all()
    assert len(np.unique(paths.sets, axis=0)) == len(paths.sets)

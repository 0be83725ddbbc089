"""Contributions of columns to trees: those of all coalitions, those of the paper, and complete."""

import math
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models.small_boosters import random_booster, random_inputs, trained_trees

from loan_default.models.features import Inputs
from loan_default.models.tree_attributions import (
    ColumnSpreads,
    TreeReference,
    coalition_logits,
    tree_contributions,
    tree_reference,
)
from loan_default.models.tree_paths import TreePaths, paths_of
from loan_default.models.tree_training import trees_of
from loan_default.models.trees import Trees


def spreads_of(inputs: Inputs, *, codes: int) -> ColumnSpreads:
    """How the values of each column are spread over some rows."""
    rows = len(inputs)
    known = [np.sort(column[~np.isnan(column)]).astype(np.float64) for column in inputs.numerical.T]
    return ColumnSpreads(
        values=known,
        weights=[np.full(len(each), 1 / rows) for each in known],
        missing=np.isnan(inputs.numerical).mean(axis=0),
        codes=[np.bincount(column, minlength=codes) / rows for column in inputs.codes.T],
    )


def mixed(row: Inputs, other: Inputs, coalition: tuple[bool, ...]) -> Inputs:
    """One row, with the columns outside a coalition from other rows."""
    numerical = row.numerical.shape[1]
    chosen = np.array(coalition)
    return Inputs(
        numerical=np.where(chosen[:numerical], row.numerical, other.numerical),
        codes=np.where(chosen[numerical:], row.codes, other.codes),
    )


def crossed(rows: Inputs) -> Inputs:
    """Each combination of the values that the columns of some rows have: columns of these spreads that are
    independent of one another."""
    table = np.array(list(product(*rows.numerical.T, *rows.codes.T)))
    numerical = rows.numerical.shape[1]
    return Inputs(
        numerical=table[:, :numerical].astype(np.float32), codes=table[:, numerical:].astype(np.int64)
    )


def shapley_by_definition(trees: Trees, row: Inputs, population: Inputs) -> np.ndarray:
    """Shapley (1953): over all coalitions, from what the trees themselves score."""
    columns = sum(trees.columns)
    value = {
        coalition: float(trees.logits(mixed(row, population, coalition)).mean())
        for coalition in product((False, True), repeat=columns)
    }
    found = np.zeros(columns)
    for column in range(columns):
        others = [each for each in range(columns) if each != column]
        for size in range(columns):
            weight = math.factorial(size) * math.factorial(columns - size - 1) / math.factorial(columns)
            for chosen in combinations(others, size):
                without = tuple(each in chosen for each in range(columns))
                beside = tuple(each in (*chosen, column) for each in range(columns))
                found[column] += weight * (value[beside] - value[without])
    return found


def by_the_formula_of_the_paper(paths: TreePaths, row: Inputs, other: Inputs) -> np.ndarray:
    """Lundberg et al. (2020): leaf by leaf, against one other row."""
    found = np.zeros(row.numerical.shape[1] + row.codes.shape[1])
    for leaves in paths.leaves:
        mine, theirs = paths.follow(leaves, row), paths.follow(leaves, other)
        for leaf, value in enumerate(leaves.value):
            x, r = mine[:, leaf], theirs[:, leaf]
            if not (x | r).all():
                continue
            a, b = int((x & ~r).sum()), int((r & ~x).sum())
            for column, own, their in zip(leaves.columns[:, leaf], x, r, strict=True):
                if own and not their:
                    found[column] += value * math.factorial(a - 1) * math.factorial(b) / math.factorial(a + b)
                elif their and not own:
                    found[column] -= value * math.factorial(a) * math.factorial(b - 1) / math.factorial(a + b)
    return found


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from([(3, 2), (5, 0), (0, 3), (2, 1)]),
    leaves=st.sampled_from([2, 8, 64]),
    population=st.sampled_from([1, 3]),
)
def test_they_are_the_shapley_values_of_all_coalitions(seed, shape, leaves, population):
    numerical, categorical = shape
    generator = np.random.default_rng(seed)
    booster = random_booster(
        generator,
        random_inputs(generator, 200, numerical, categorical, codes=6),
        rounds=6,
        num_leaves=leaves,
        min_data_in_leaf=3,
        min_data_per_group=3,
    )
    trees = trees_of(booster, numerical=numerical, categorical=categorical)
    rows = random_inputs(generator, 4, numerical, categorical, codes=9)
    rows.numerical[generator.random(rows.numerical.shape) < 0.2] = np.nan
    few = random_inputs(generator, population, numerical, categorical, codes=9)
    few.numerical[generator.random(few.numerical.shape) < 0.2] = np.nan
    reference = tree_reference(paths_of(trees), spreads_of(few, codes=9))
    everyone = crossed(few)
    found = tree_contributions(reference, rows)
    assert found.start == pytest.approx(float(trees.logits(everyone).mean()), abs=1e-12)
    for number in range(2):
        expected = shapley_by_definition(trees, rows[slice(number, number + 1)], everyone)
        np.testing.assert_allclose(found.of_columns[number], expected, atol=1e-12)
    total = found.start + found.of_columns.sum(axis=1)
    np.testing.assert_allclose(total, trees.logits(rows), rtol=0, atol=1e-12)


def test_against_one_row_they_are_those_of_the_paper():
    trees, _, inputs = trained_trees()
    paths = paths_of(trees)
    for number in range(0, 60, 5):
        row, other = (inputs[slice(at, at + 1)] for at in (number, number + 1))
        reference = tree_reference(paths, spreads_of(other, codes=9))
        found = tree_contributions(reference, row).of_columns[0]
        np.testing.assert_allclose(found, by_the_formula_of_the_paper(paths, row, other), atol=1e-13)
        assert np.abs(found).max() > 0.01


@pytest.mark.slow
def test_they_add_up_on_many_deep_trees_of_many_columns():
    generator = np.random.default_rng(3)
    inputs = random_inputs(generator, 3000, 25, 6, codes=20)
    booster = random_booster(generator, inputs, rounds=60, num_leaves=64, min_data_in_leaf=2)
    trees = trees_of(booster, numerical=25, categorical=6)
    reference = tree_reference(paths_of(trees), spreads_of(inputs, codes=20))
    assert len(reference.paths.leaves[-1].columns) > 11
    rows = random_inputs(generator, 50, 25, 6, codes=25)
    found = tree_contributions(reference, rows)
    total = found.start + found.of_columns.sum(axis=1)
    np.testing.assert_allclose(total, trees.logits(rows), rtol=0, atol=1e-12)


def test_a_row_has_the_same_contributions_in_any_company():
    trees, _, inputs = trained_trees()
    reference = tree_reference(paths_of(trees), spreads_of(inputs, codes=9))
    together = tree_contributions(reference, inputs[slice(0, 40)]).of_columns
    alone = tree_contributions(reference, inputs[slice(7, 8)]).of_columns[0]
    np.testing.assert_array_equal(alone, together[7])
    assert tree_contributions(reference, inputs[slice(0, 0)]).of_columns.shape == (0, 6)


def test_a_column_that_no_tree_asks_for_contributes_nothing():
    generator = np.random.default_rng(5)
    inputs = random_inputs(generator, 300, 4, 2, codes=9)
    booster = random_booster(generator, inputs)  # the column of number 3 is constant
    trees = trees_of(booster, numerical=4, categorical=2)
    assert not (trees.feature == 3).any()
    reference = tree_reference(paths_of(trees), spreads_of(inputs, codes=9))
    found = tree_contributions(reference, inputs).of_columns
    assert (found[:, 3] == 0).all()
    assert (np.abs(found).max(axis=0) > 0).sum() > 2


def test_a_tree_of_one_leaf_moves_the_reference_alone():
    plain = trees_of_one_leaf(-1.25)
    paths = paths_of(plain)
    assert (paths.constant, paths.leaves) == (-1.25, ())
    empty = ColumnSpreads(values=[np.zeros(0)], weights=[np.zeros(0)], missing=np.ones(1), codes=[])
    reference = tree_reference(paths, empty)
    row = Inputs(numerical=np.zeros((1, 1), np.float32), codes=np.zeros((1, 0), np.int64))
    assert tree_contributions(reference, row).of_columns.tolist() == [[0.0]]
    assert reference.logit == -1.25


def trees_of_one_leaf(value: float) -> Trees:
    none = np.zeros(1, np.int64)
    return Trees(
        columns=np.array([1, 0]), roots=none, feature=none - 1, threshold=np.zeros(1), left=none, right=none,
        missing_left=np.zeros(1, bool), value=np.array([value]), codes=np.zeros((0, 2), np.int64),
    )  # fmt: skip


def test_the_game_of_a_row_begins_at_the_reference_and_ends_at_the_row():
    trees, _, inputs = trained_trees()
    reference: TreeReference = tree_reference(paths_of(trees), spreads_of(inputs, codes=9))
    row = inputs[slice(3, 4)]
    found = coalition_logits(reference, row, np.array([[False] * 6, [True] * 6]))
    np.testing.assert_allclose(found, [reference.logit, trees.logits(row)[0]], rtol=0, atol=1e-12)

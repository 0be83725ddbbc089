from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models.small_boosters import matrix, random_booster, random_inputs, trained_trees

from loan_default.errors import ArtifactError
from loan_default.models.features import Inputs
from loan_default.models.tree_training import trees_of
from loan_default.models.trees import average, blend, trees_from_dict, trees_to_dict


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    rounds=st.sampled_from([1, 12, 140]),  # more than are looked up at once
    rows=st.sampled_from([30, 300, 900]),
    numerical=st.integers(0, 8),
    categorical=st.integers(0, 3),
    codes=st.sampled_from([1, 3, 12, 200]),
    leaves=st.sampled_from([2, 31, 64]),
    smallest=st.sampled_from([1, 20]),
)
def test_rows_are_scored_as_by_the_library(
    seed, rounds, rows, numerical, categorical, codes, leaves, smallest
):
    numerical = max(numerical, 1 - categorical)
    generator = np.random.default_rng(seed)
    booster = random_booster(
        generator,
        random_inputs(generator, rows, numerical, categorical, codes=codes),
        rounds=rounds,
        num_leaves=leaves,
        min_data_in_leaf=smallest,
        min_data_per_group=5,
        learning_rate=float(generator.uniform(0.02, 0.5)),
    )
    trees = trees_of(booster, numerical=numerical, categorical=categorical)
    # New rows: codes that no row had, numbers where none were missing and the other way round.
    others = random_inputs(generator, 700, numerical, categorical, codes=codes + 5)
    others.numerical[generator.random(others.numerical.shape) < 0.1] = np.nan
    others.numerical[:2] = [[np.float32(-3e38)], [np.float32(3e38)]]
    expected = booster.predict(matrix(others), raw_score=True)
    np.testing.assert_allclose(trees.logits(others), expected, rtol=1e-12, atol=1e-12)


def test_numbers_that_are_a_threshold_go_left():
    trees, booster, _ = trained_trees()
    asked = trees.feature == 0
    exact = np.unique(trees.threshold[asked])
    single = np.unique(exact.astype(np.float32))
    numbers = np.concatenate(
        [single, np.nextafter(single, np.float32(-9)), np.nextafter(single, np.float32(9))]
    )
    inputs = Inputs(
        numerical=np.column_stack([numbers] + [np.zeros_like(numbers)] * 3),
        codes=np.zeros((len(numbers), 2), dtype=np.int64),
    )
    expected = booster.predict(matrix(inputs), raw_score=True)
    np.testing.assert_allclose(trees.logits(inputs), expected, rtol=1e-12, atol=1e-12)


def test_a_row_is_scored_alone_as_among_others():
    trees, _, inputs = trained_trees(rows=600)
    together = trees.logits(inputs)
    alone = [trees.logits(inputs[slice(row, row + 1)])[0] for row in range(0, 600, 50)]
    np.testing.assert_array_equal(alone, together[::50])
    assert trees.logits(inputs[slice(0, 0)]).shape == (0,)


def test_trees_come_back_from_their_arrays():
    trees, _, inputs = trained_trees()
    again = trees_from_dict(trees_to_dict(trees))
    np.testing.assert_array_equal(again.logits(inputs), trees.logits(inputs))
    assert len(again) == len(trees)
    assert again.leaves == trees.leaves > len(trees)


def test_the_average_of_ensembles_has_the_mean_of_their_logits():
    ensembles = [trained_trees(seed)[0] for seed in (0, 1, 2)]
    inputs = random_inputs(np.random.default_rng(9), 500, 4, 2, codes=12)
    mean = np.mean([each.logits(inputs) for each in ensembles], axis=0)
    np.testing.assert_allclose(average(ensembles).logits(inputs), mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(average(ensembles[:1]).logits(inputs), ensembles[0].logits(inputs))


def test_rows_of_other_columns_are_refused():
    trees, _, inputs = trained_trees()
    other = Inputs(numerical=inputs.numerical[:, :3], codes=inputs.codes)
    with pytest.raises(ValueError, match=r"columns, however: \(3, 2\)"):
        trees.logits(other)


def test_networks_and_trees_have_equal_weights_on_the_logit_scale():
    logits = np.array([-3.0, 0.0, 2.0])
    net = 1 / (1 + np.exp(-np.array([1.0, 0.0, 4.0])))
    expected = 1 / (1 + np.exp(-np.array([-1.0, 0.0, 3.0])))
    np.testing.assert_allclose(blend(net, logits), expected, rtol=1e-12)
    extreme = blend(np.array([0.0, 1.0]), np.array([-50.0, 50.0]))
    assert ((extreme > 0) & (extreme < 1)).all()


def _without(name: str) -> Any:
    return lambda raw: raw.pop(name)


def _set(name: str, position: Any, value: Any) -> Any:
    def change(raw: dict[str, np.ndarray]) -> None:
        changed = raw[name].copy()
        changed[position] = value(raw) if callable(value) else value
        raw[name] = changed

    return change


def _replace(name: str, make: Any) -> Any:
    def change(raw: dict[str, np.ndarray]) -> None:
        raw[name] = make(raw[name])

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_without("value"), "missing 'value'"),
        (lambda raw: raw.update(more=np.zeros(1)), "unknown 'more'"),
        (_replace("left", lambda left: left[:-1]), "left of trees must be int64"),
        (_replace("threshold", lambda old: old.astype(np.float32)), "threshold of trees must be float64"),
        (_replace("codes", lambda codes: codes[:, :1]), "codes of trees must be"),
        (_set("roots", 0, 1), "roots must ascend"),
        (_set("roots", 1, 0), "roots must ascend"),
        (_set("roots", -1, 10**6), "roots must ascend"),
        (_replace("roots", lambda roots: roots[:0]), "roots must ascend"),
        (_set("feature", 0, 6), "nodes must ask for columns 0 to 5"),
        (_set("feature", 0, -2), "a number of the trees is negative"),
        (_set("columns", 0, -1), "a number of the trees is negative"),
        (_set("left", 0, 0), "children must come after"),
        (_set("left", 0, -1), "children must be nodes"),
        (_set("left", 0, 10**6), "children must be nodes"),
        (_set("left", 0, lambda raw: raw["roots"][1]), "children must come after"),
        (_set("left", 0, lambda raw: raw["right"][0]), "one parent"),
        (_set("feature", 0, -1), "children must be nodes"),
        (_set("value", 0, np.nan), "numbers of trees must be finite"),
        (_set("threshold", 0, np.inf), "numbers of trees must be finite"),
        (_replace("codes", lambda codes: codes[:0]), "must send a code left"),
        (_set("codes", (0, 0), -1), "codes must belong"),
        (_set("codes", (0, 0), 10**6), "codes must belong"),
        (_set("codes", (0, 0), lambda raw: np.flatnonzero(raw["feature"] == 0)[0]), "codes must belong"),
    ],
)
def test_what_is_no_tree_is_refused(change, reason):
    trees, _, _ = trained_trees()
    raw = dict(trees_to_dict(trees))
    change(raw)
    with pytest.raises(ArtifactError, match=reason):
        trees_from_dict(raw)


def test_trees_with_too_many_leaves_are_refused():
    generator = np.random.default_rng(1)
    inputs = random_inputs(generator, 2000, 4, 1, codes=4)
    booster = random_booster(generator, inputs, num_leaves=65, min_data_in_leaf=1)
    with pytest.raises(ArtifactError, match="at most 64 leaves"):
        trees_of(booster, numerical=4, categorical=1)

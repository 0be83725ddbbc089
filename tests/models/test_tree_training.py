import sys

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from loan_default.errors import ArtifactError, ConfigurationError
from loan_default.models import tree_training
from loan_default.models.features import Inputs
from loan_default.models.labelled import Labelled
from loan_default.models.tree_training import fit_trees, refit_trees
from loan_default.models.trees import trees_to_dict


def sample(rows: int, *, seed: int) -> Labelled:
    """An interaction, a category and a missing value decide."""
    generator = np.random.default_rng(seed)
    numbers = generator.normal(size=(rows, 4)).astype(np.float32)
    codes = generator.integers(0, 12, size=(rows, 2)).astype(np.int64)
    missing = generator.random(rows) < 0.2
    logits = 2 * numbers[:, 0] * numbers[:, 1] + (codes[:, 0] % 3 - 1) + 2 * missing - 1
    numbers[missing, 2] = np.nan
    labels = generator.random(rows) < 1 / (1 + np.exp(-logits))
    return Labelled(inputs=Inputs(numerical=numbers, codes=codes), labels=labels.astype(np.float32))


TRAIN, VALIDATION, TEST = sample(2000, seed=1), sample(1000, seed=2), sample(4000, seed=3)


@pytest.mark.slow
def test_trees_rank_rows_that_they_never_saw():
    trees = fit_trees(TRAIN, VALIDATION, seed=0)
    logits = trees.logits(TEST.inputs)
    assert roc_auc_score(TEST.labels, logits) > 0.8
    assert 10 < len(trees) < 500


@pytest.mark.slow
def test_as_many_rounds_are_kept_as_are_best_on_validation_rows():
    trees = fit_trees(TRAIN, VALIDATION, seed=0)

    def loss(rounds: int) -> float:
        logits = refit_trees(TRAIN, rounds=rounds, seed=0).logits(VALIDATION.inputs)
        return float(log_loss(VALIDATION.labels, 1 / (1 + np.exp(-logits))))

    found = loss(len(trees))
    assert all(found <= loss(len(trees) + step) for step in (-20, -5, 5, 20))


@pytest.mark.slow
def test_the_same_rows_and_seed_give_the_same_trees_on_any_threads():
    one, two = (refit_trees(VALIDATION, rounds=3, seed=4, threads=threads) for threads in (1, 2))
    for name, array in trees_to_dict(one).items():
        np.testing.assert_array_equal(array, trees_to_dict(two)[name], err_msg=name)


@pytest.mark.slow
def test_a_refit_learns_from_other_rows_for_as_many_rounds():
    trees = fit_trees(TRAIN, VALIDATION, seed=0)
    both = refit_trees(VALIDATION, rounds=len(trees), seed=0)
    assert len(both) == len(trees)
    assert np.abs(both.logits(TEST.inputs) - trees.logits(TEST.inputs)).max() > 0.1
    same = refit_trees(TRAIN, rounds=len(trees), seed=0)
    np.testing.assert_array_equal(same.logits(TEST.inputs), trees.logits(TEST.inputs))


def with_the_opposite(rows: Labelled, *, weight: float) -> Labelled:
    """The rows, and once more with the opposite outcome and another weight than 1."""
    n_rows = len(rows.labels)
    return Labelled(
        inputs=rows.inputs[np.tile(np.arange(n_rows), 2)],
        labels=np.concatenate([rows.labels, 1 - rows.labels]),
        weights=np.repeat([1.0, weight], n_rows),
    )


@pytest.mark.slow
def test_training_rows_count_by_their_weights():
    def auc(weight: float) -> float:
        trees = refit_trees(with_the_opposite(TRAIN, weight=weight), rounds=20, seed=0)
        return float(roc_auc_score(TEST.labels, trees.logits(TEST.inputs)))

    assert auc(1e-6) > 0.75
    assert auc(1e6) < 0.25


@pytest.mark.slow
def test_validation_rows_count_by_their_weights():
    plain = fit_trees(TRAIN, VALIDATION, seed=0)
    assert len(fit_trees(TRAIN, with_the_opposite(VALIDATION, weight=1e-9), seed=0)) == len(plain)
    assert len(fit_trees(TRAIN, with_the_opposite(VALIDATION, weight=1e9), seed=0)) == 1


def test_a_set_too_small_for_a_split_gives_the_default_rate():
    few = Labelled(inputs=TRAIN.inputs[slice(0, 12)], labels=np.array([1, 0, 0, 0] * 3, dtype=np.float32))
    logits = fit_trees(few, VALIDATION, seed=0).logits(TEST.inputs)
    np.testing.assert_allclose(logits, np.log(0.25 / 0.75), rtol=1e-6)


def test_without_the_library_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(
        ConfigurationError, match=r"LightGBM.*however.*loan-default\[trees\].*--no-with-trees"
    ):
        fit_trees(TRAIN, VALIDATION, seed=0)


@pytest.mark.slow
def test_trees_that_score_otherwise_than_the_library_are_refused(monkeypatch):
    copied = tree_training.trees_of

    def changed(booster, **columns):
        trees = copied(booster, **columns)
        trees.value[np.flatnonzero(trees.feature < 0)[3]] += 1e-9
        return trees

    monkeypatch.setattr(tree_training, "trees_of", changed)
    with pytest.raises(ArtifactError, match="as LightGBM does"):
        fit_trees(TRAIN, VALIDATION, seed=0)


def test_a_booster_that_takes_0_for_missing_is_refused():
    lightgbm = tree_training.import_lightgbm()
    rows = np.hstack([TRAIN.inputs.numerical, TRAIN.inputs.codes])
    rows[:500, 0] = 0
    data = lightgbm.Dataset(rows, label=TRAIN.labels, params={"zero_as_missing": True, "verbosity": -1})
    parameters = {"objective": "binary", "verbosity": -1, "num_threads": 1}
    booster = lightgbm.train(parameters, data, num_boost_round=5)
    with pytest.raises(ArtifactError, match="0 for missing"):
        tree_training.trees_of(booster, numerical=6, categorical=0)

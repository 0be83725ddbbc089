"""The generated sets of the benchmarks: their true PDs are those of their rows."""

import numpy as np
import pytest

from benchmarks.generated_sets import RECIPES, generated_set
from benchmarks.level_sets import level_set
from loan_default.evaluation.metrics import auc, calibration


@pytest.mark.slow
@pytest.mark.parametrize("name", ["smooth_500", "missing_5k", "levels_10k"])
def test_outcomes_are_drawn_by_the_true_pds(name):
    data = generated_set(name, seed=1)
    assert data.pd_true is not None
    intercept, slope = calibration(data.y[data.test], data.pd_true[data.test])
    assert slope == pytest.approx(1, abs=0.1)
    assert intercept == pytest.approx(0, abs=0.1)
    assert data.pd_true.mean() == pytest.approx(RECIPES[name].bad_rate, abs=1e-3)
    assert auc(data.y[data.test], data.pd_true[data.test]) > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("name", ["smooth_500", "noise_5k"])
def test_the_parts_are_disjoint_and_a_seed_gives_the_same_set(name):
    data, again, other = (generated_set(name, seed=seed) for seed in (3, 3, 4))
    parts = np.concatenate([data.train, data.validation, data.test])
    assert len(np.unique(parts)) == len(parts) == len(data.frame)
    assert len(data.train) + len(data.validation) == RECIPES[name].rows
    assert data.frame.equals(again.frame)
    assert not data.frame.equals(other.frame)


@pytest.mark.slow
def test_noise_says_nothing_and_missing_values_do():
    data = generated_set("noise_5k", seed=0)
    for column in [name for name in data.frame if name.startswith("noise")]:
        assert auc(data.y, data.frame[column]) == pytest.approx(0.5, abs=0.03)
    data = generated_set("missing_5k", seed=0)
    shares = data.frame.filter(like="number").isna().mean()
    assert shares.mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.slow
def test_levels_say_something_or_nothing():
    for name, says in (("employer_5k", True), ("meaningless_5k", False)):
        data = level_set(name, seed=0)
        assert data.pd_true is not None
        assert auc(data.y[data.test], data.pd_true[data.test]) > 0.65
        frequent = data.frame["employer_1"].value_counts().index[:30]
        rows = data.frame["employer_1"].isin(frequent)
        means = data.pd_true[rows]
        by_level = [means[data.frame["employer_1"][rows] == level].mean() for level in frequent]
        assert (np.std(by_level) > 0.05) == says
        assert not set(data.frame["employer_0"].iloc[data.test]) <= set(
            data.frame["employer_0"].iloc[data.train]
        )

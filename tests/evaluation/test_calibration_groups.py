import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta
from sklearn.metrics import roc_auc_score

from loan_default.errors import DataError
from loan_default.evaluation.calibration_groups import (
    NOT_GIVEN,
    by_decile,
    by_level,
    jeffreys_interval,
    unexpected_misses,
)


def simulated(rows, *, seed, shift=0.0):
    generator = np.random.default_rng(seed)
    pd = generator.beta(2, 8, rows)
    return (generator.random(rows) < np.clip(pd + shift, 0, 1)).astype(float), pd


@given(st.integers(1, 500), st.integers(0, 500))
def test_the_interval_is_that_of_the_beta_distribution(rows, bads):
    bads = min(bads, rows)
    low, high = jeffreys_interval(bads, rows)
    assert low == pytest.approx(0 if bads == 0 else beta.ppf(0.025, bads + 0.5, rows - bads + 0.5))
    assert high == pytest.approx(1 if bads == rows else beta.ppf(0.975, bads + 0.5, rows - bads + 0.5))
    assert low <= bads / rows <= high


def test_groups_by_hand():
    y, pd = [1, 0, 0, 1, 0, 1], [0.5, 0.25, 0.25, 0.5, 0.1, 0.9]
    groups = by_level(y, pd, ["a", "a", "a", "b", "b", None], labels={"a": "car", "b": "house"})
    assert [each.group for each in groups] == ["car", "house", NOT_GIVEN]
    assert [(each.rows, each.bads) for each in groups] == [(3, 1), (2, 1), (1, 1)]
    assert groups[0].mean_pd == pytest.approx(1 / 3)
    assert groups[0].bad_rate == pytest.approx(1 / 3)
    assert all(each.auc is None for each in groups)


def test_a_group_with_enough_outcomes_is_ranked():
    y, pd = simulated(2_000, seed=1)
    levels = np.where(np.arange(2_000) % 2, "odd", "even")
    for group, rows in zip(by_level(y, pd, list(levels)), (levels == "even", levels == "odd"), strict=True):
        assert group.auc == pytest.approx(roc_auc_score(y[rows], pd[rows]))


def test_right_pds_fit_and_wrong_ones_do_not():
    y, pd = simulated(20_000, seed=2)
    assert not unexpected_misses(by_decile(y, pd))
    y, pd = simulated(20_000, seed=2, shift=0.1)
    assert unexpected_misses(by_decile(y, pd))
    assert not any(each.fits for each in by_decile(y, pd))


def test_deciles_start_with_the_riskiest():
    y, pd = simulated(1_000, seed=3)
    groups = by_decile(y, pd)
    assert [each.group for each in groups] == [str(number) for number in range(1, 11)]
    assert sum(each.rows for each in groups) == 1_000
    means = [each.mean_pd for each in groups]
    assert means == sorted(means, reverse=True)


def test_lengths_must_agree():
    with pytest.raises(DataError, match="must be of one length"):
        by_level([0, 1], [0.1, 0.2], ["a"])

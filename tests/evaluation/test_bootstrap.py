import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from loan_default.errors import ConfigurationError, DataError
from loan_default.evaluation.bootstrap import bootstrap_intervals, paired_bootstrap
from loan_default.evaluation.metrics import WEIGHTED, logit, measure

Floats = NDArray[np.float64]


def simulated(rows: int, *, seed: int) -> tuple[Floats, Floats]:
    generator = np.random.default_rng(seed)
    pd = expit(generator.normal(-1.2, 1.0, rows))
    return (generator.random(rows) < pd).astype(float), pd


@pytest.mark.slow
def test_intervals_are_those_of_a_bootstrap_that_copies_rows() -> None:
    y, pd = simulated(400, seed=1)
    fast = bootstrap_intervals(y, pd, draws=100, seed=7)
    generator = np.random.default_rng(7)
    copies = []
    for _ in range(100):
        # The fast way counts positions in the order of the PDs; the same positions are taken here.
        chosen = np.argsort(pd, kind="stable")[generator.integers(0, 400, 400)]
        copies.append(measure(y[chosen], pd[chosen]))
    for name in ("auc", "ks", "pr_auc", "brier", "log_loss", "ece", "calibration_slope", "mean_pd"):
        drawn = np.array([getattr(metrics, name) for metrics in copies])
        if name == "ece":
            drawn = np.maximum(0, drawn - np.median(drawn) + measure(y, pd).ece)
        low, high = np.quantile(drawn, [0.025, 0.975])
        assert (fast[name].low, fast[name].high) == pytest.approx((low, high), rel=1e-6, abs=1e-9), name


def test_values_are_those_of_the_rows_and_lie_within() -> None:
    y, pd = simulated(2000, seed=2)
    metrics = dataclasses.asdict(measure(y, pd))
    intervals = bootstrap_intervals(y, pd, draws=60, seed=1)
    assert intervals.keys() == metrics.keys() - {"rows", "bads", "ks_at"}
    for name, interval in intervals.items():
        assert interval.value == metrics[name]
        assert interval.low < interval.high
    for name in ("auc", "brier", "calibration_slope", "calibration_intercept"):
        assert intervals[name].low < intervals[name].value < intervals[name].high


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(24))
def test_every_interval_holds_its_own_value(seed: int) -> None:
    """Also of the ECE, which is larger in nearly all draws: they repeat rows, so their groups are noisier."""
    y, pd = simulated((60, 300, 2000)[seed % 3], seed=seed)
    for name, interval in bootstrap_intervals(y, pd, draws=100, seed=seed).items():
        assert interval.low <= interval.value <= interval.high, name
    assert bootstrap_intervals(y, y.mean() + 0 * y, draws=20, seed=seed)["ece"].low >= 0


@pytest.mark.slow
def test_a_seed_gives_one_result_and_a_level_its_width() -> None:
    y, pd = simulated(500, seed=3)
    assert bootstrap_intervals(y, pd, draws=50, seed=1) == bootstrap_intervals(y, pd, draws=50, seed=1)
    assert bootstrap_intervals(y, pd, draws=50, seed=1) != bootstrap_intervals(y, pd, draws=50, seed=2)
    wide, narrow = (bootstrap_intervals(y, pd, draws=50, seed=1, level=level)["auc"] for level in (0.99, 0.5))
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.slow
def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    truth = measure(*simulated(400_000, seed=4)).auc
    hits = 0
    for seed in range(60):
        interval = bootstrap_intervals(*simulated(300, seed=100 + seed), draws=80, seed=seed, level=0.9)[
            "auc"
        ]
        hits += interval.low <= truth <= interval.high
    assert 46 <= hits <= 60  # 54 expected; outside with a probability below 1 %


def test_draws_with_one_class_are_made_again_and_counted() -> None:
    y = np.array([1.0] + [0.0] * 19)
    intervals = bootstrap_intervals(y, np.linspace(0.1, 0.9, 20), draws=100, seed=1)
    assert 30 < intervals["auc"].redrawn < 110  # a draw misses the only bad with a probability of 0.36
    y, pd = simulated(500, seed=5)
    assert bootstrap_intervals(y, pd, draws=50, seed=1)["auc"].redrawn == 0


@pytest.mark.slow
def test_paired_differences_are_those_of_the_same_rows() -> None:
    y, new = simulated(300, seed=6)
    old = np.clip(new + np.random.default_rng(1).normal(0, 0.2, 300), 0.001, 0.999)
    found = paired_bootstrap(y, new, old, metric="auc", draws=100, seed=9)
    generator, slow = np.random.default_rng(9), []
    for _ in range(100):
        i = generator.integers(0, 300, 300)
        slow.append(roc_auc_score(y[i], new[i]) - roc_auc_score(y[i], old[i]))
    assert found.value == pytest.approx(roc_auc_score(y, new) - roc_auc_score(y, old))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(slow, [0.025, 0.975])))


@pytest.mark.parametrize("metric", sorted(WEIGHTED))
def test_a_model_does_not_differ_from_itself(metric: str) -> None:
    y, pd = simulated(300, seed=7)
    same = paired_bootstrap(y, pd, pd, metric=metric, draws=20, seed=1)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_a_worse_model_is_distinguished_from_a_better_one() -> None:
    y, pd = simulated(3000, seed=8)
    noise = np.random.default_rng(2).normal(0, 1.5, 3000)
    worse = expit(logit(pd) + noise)
    for metric in ("auc", "ks"):
        assert paired_bootstrap(y, pd, worse, metric=metric, draws=100, seed=1).low > 0
    assert paired_bootstrap(y, pd, worse, metric="brier", draws=100, seed=1).high < 0


def test_impossible_options_are_refused() -> None:
    y, pd = simulated(100, seed=9)
    with pytest.raises(ConfigurationError, match="Did you mean 'brier'"):
        paired_bootstrap(y, pd, pd, metric="briers", seed=1)
    with pytest.raises(ConfigurationError, match="draws"):
        bootstrap_intervals(y, pd, draws=1, seed=1)
    with pytest.raises(ConfigurationError, match="level"):
        bootstrap_intervals(y, pd, draws=10, seed=1, level=95)
    with pytest.raises(DataError, match="both classes"):
        bootstrap_intervals(np.zeros(100), pd, draws=10, seed=1)


@pytest.mark.slow
def test_draws_and_95_percent_by_default() -> None:
    y, pd = simulated(60, seed=10)
    old = np.roll(pd, 1)
    assert bootstrap_intervals(y, pd, seed=3) == bootstrap_intervals(y, pd, seed=3, draws=300, level=0.95)
    paired = paired_bootstrap(y, pd, old, metric="auc", seed=3)
    assert paired == paired_bootstrap(y, pd, old, metric="auc", seed=3, draws=1000, level=0.95)
    assert paired != paired_bootstrap(y, pd, old, metric="auc", seed=3, draws=999)


def test_two_draws_make_an_interval_and_a_level_lies_between_none_and_all() -> None:
    y, pd = simulated(60, seed=11)
    assert bootstrap_intervals(y, pd, seed=1, draws=2)["auc"].low <= 1
    for level in (0.0, 1.0):
        with pytest.raises(ConfigurationError, match="level"):
            bootstrap_intervals(y, pd, seed=1, draws=2, level=level)
        with pytest.raises(ConfigurationError, match="level"):
            paired_bootstrap(y, pd, pd, metric="auc", seed=1, draws=2, level=level)
    with pytest.raises(ConfigurationError, match="draws"):
        paired_bootstrap(y, pd, pd, metric="auc", seed=1, draws=1)


def test_paired_draws_with_one_class_are_made_again_and_counted() -> None:
    y = np.array([1.0] + [0.0] * 19)
    pd = np.linspace(0.1, 0.9, 20)
    assert 30 < paired_bootstrap(y, pd, pd[::-1], metric="auc", draws=100, seed=1).redrawn < 110

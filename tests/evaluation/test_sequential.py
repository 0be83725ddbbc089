"""Intervals for many looks: their width by hand, that they hold at all looks, and the planned sample."""

import math

import numpy as np
import pytest
from scipy.special import expit

from loan_default.errors import ConfigurationError
from loan_default.evaluation.delong import paired_auc
from loan_default.evaluation.sequential import always_valid_half, planned_outcomes


def test_the_width_is_that_of_the_formula():
    rho = (-2 * math.log(0.05) + math.log(-2 * math.log(0.05)) + 1) / 5_000
    n = 1_234
    by_hand = math.sqrt(2 * (n * rho + 1) / (n**2 * rho) * math.log(math.sqrt(n * rho + 1) / 0.05))
    assert always_valid_half(1 / math.sqrt(n), outcomes=n) == pytest.approx(by_hand)
    assert always_valid_half(1.0, outcomes=5_000) == pytest.approx(3.03, abs=0.01)


def test_it_is_tightest_near_the_planned_outcomes():
    widths = {
        n: always_valid_half(1 / math.sqrt(n), outcomes=n, planned=5_000) * math.sqrt(n)
        for n in (200, 1_000, 5_000, 50_000)
    }
    assert min(widths, key=widths.get) == 5_000
    for other in (500, 2_000, 20_000, 80_000):
        assert always_valid_half(1, outcomes=5_000, planned=other) > widths[5_000]


def test_equal_models_rarely_differ_however_often_one_looks():
    """2,000 experiments with 60 daily looks of 100 rows; the interval of one look fails far more often."""
    generator = np.random.default_rng(0)
    days, daily, experiments = 60, 100, 2_000
    sums = generator.normal(size=(experiments, days)) * math.sqrt(daily)
    n = np.arange(1, days + 1) * daily
    means = np.cumsum(sums, axis=1) / n
    halves = np.array(
        [always_valid_half(1 / math.sqrt(each), outcomes=int(each), planned=3_000) for each in n]
    )
    ever = (np.abs(means) > halves).any(axis=1).mean()
    once = (np.abs(means) > 1.96 / np.sqrt(n)).any(axis=1).mean()
    assert ever <= 0.05
    assert once > 0.3


@pytest.mark.slow
def test_the_planned_sample_has_the_error_that_delong_finds():
    """Unpaired models: the formula against the error of a sample of the planned size."""
    generator = np.random.default_rng(1)
    rows = planned_outcomes(auc=0.75, default_rate=0.2, correlation=0.0)
    y = (generator.random(rows) < 0.2).astype(float)
    pds = expit(generator.normal(size=rows) + 0.9539 * y)
    found = paired_auc(y, pds, np.full(rows, 0.5))
    assert found.new == pytest.approx(0.75, abs=0.01)
    # A lead of 0.01 between two halves has twice the variance of a half: four times that of the whole.
    needed = always_valid_half(1.0, outcomes=1, planned=1) + 0.8416
    assert 2 * found.error * needed == pytest.approx(0.01, rel=0.05)


def test_more_alike_models_need_fewer_outcomes():
    sizes = [planned_outcomes(auc=0.75, default_rate=0.2, correlation=each) for each in (0.5, 0.9, 0.99)]
    assert sizes == sorted(sizes, reverse=True)
    assert planned_outcomes(auc=0.75, default_rate=0.2, correlation=0, share=0.1) > planned_outcomes(
        auc=0.75, default_rate=0.2, correlation=0
    )


@pytest.mark.parametrize(
    "wrong", [{"auc": 0.5}, {"auc": 1.0}, {"default_rate": 0.0}, {"correlation": 1.0}, {"share": 1.0}]
)
def test_what_plans_nothing_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        planned_outcomes(**({"auc": 0.75, "default_rate": 0.2, "correlation": 0.9} | wrong))
    with pytest.raises(ConfigurationError):
        always_valid_half(0.1, outcomes=0)

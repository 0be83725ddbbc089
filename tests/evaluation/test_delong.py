"""DeLong's paired test against all pairs, a published example, the bootstrap, and a case by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from loan_default.errors import ConfigurationError, DataError
from loan_default.evaluation.bootstrap import paired_bootstrap
from loan_default.evaluation.delong import PairedAuc, error_of_mean, paired_auc, placements


def scored(rows: int, seed: int, *, ties: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes and the PDs of two models of unlike skill that agree in part."""
    generator = np.random.default_rng(seed)
    risk = generator.normal(size=rows)
    y = (generator.random(rows) < expit(risk - 1)).astype(float)
    y[:2] = (0, 1)
    new, old = (expit(risk + generator.normal(size=rows) * noise) for noise in (0.8, 1.2))
    return (y, new.round(1), old.round(1)) if ties else (y, new, old)


def by_all_pairs(y: np.ndarray, new: np.ndarray, old: np.ndarray) -> tuple[float, float]:
    """Lead and its standard error from the definition: the kernel of each pair of a default and a good."""
    leads = []
    for pds in (new, old):
        bads, goods = pds[y == 1][:, None], pds[y == 0][None, :]
        leads.append((bads > goods) + 0.5 * (bads == goods))
    kernel = leads[0] - leads[1]
    of_bads, of_goods = kernel.mean(axis=1), kernel.mean(axis=0)
    variance = of_bads.var(ddof=1) / len(of_bads) + of_goods.var(ddof=1) / len(of_goods)
    return float(kernel.mean()), math.sqrt(variance)


@pytest.mark.slow
@settings(deadline=None)
@given(rows=st.integers(6, 80), seed=st.integers(0, 10_000), ties=st.booleans())
def test_ranks_give_what_all_pairs_give(rows, seed, ties):
    y, new, old = scored(rows, seed, ties=ties)
    lead, error = 0.0, 0.0
    if min(y.sum(), rows - y.sum()) > 1:
        lead, error = by_all_pairs(y, new, old)
        assert paired_auc(y, new, old).error == pytest.approx(error, abs=1e-12)
        assert paired_auc(y, new, old).lead == pytest.approx(lead, abs=1e-12)
    found = paired_auc(y, new, old)
    assert (found.new, found.old) == pytest.approx((roc_auc_score(y, new), roc_auc_score(y, old)), abs=1e-12)


def test_a_case_by_hand():
    """Two defaults and two goods: placements 1 and 1/2 of the new model, 1/2 and 1/2 of the old one."""
    y = np.array([1.0, 1.0, 0.0, 0.0])
    new, old = np.array([0.9, 0.5, 0.6, 0.1]), np.array([0.8, 0.3, 0.3, 0.8])
    of_bads, of_goods = placements(y, new, np.ones(4))
    assert of_bads.tolist() == [1.0, 0.5]
    assert of_goods.tolist() == [0.5, 1.0]
    old_bads, old_goods = placements(y, old, np.ones(4))
    assert old_bads.tolist() == [0.75, 0.25]
    assert old_goods.tolist() == [0.75, 0.25]
    found = paired_auc(y, new, old)
    assert (found.new, found.old, found.lead) == (0.75, 0.5, 0.25)
    # Differences (0.25, 0.25) and (-0.25, 0.75): variances 0 and 0.5, of 2 rows each.
    assert found.error == pytest.approx(math.sqrt(0.5 / 2))


PATIENTS = """
3.0 5.8 10 0   3.2 6.3  5 1   3.9 6.8  3 1   2.8 4.8  6 0   3.2 5.8  3 1   0.9 4.0  5 0   2.5 5.7  8 0
1.6 5.6  5 1   3.8 5.7  5 1   3.7 6.7  6 1   3.2 5.4  4 1   3.8 6.6  6 1   4.1 6.6  5 1   3.6 5.7  5 1
4.3 7.0  4 1   3.6 6.7  4 0   2.3 4.4  6 1   4.2 7.6  4 0   4.0 6.6  6 0   3.5 5.8  6 1   3.8 6.8  7 1
3.0 4.7  8 0   4.5 7.4  5 1   3.7 7.4  5 1   3.1 6.6  6 1   4.1 8.2  6 1   4.3 7.0  5 1   4.3 6.5  4 1
3.2 5.1  5 1   2.6 4.7  6 1   3.3 6.8  6 0   1.7 4.0  7 0   3.7 6.1  5 1   3.3 6.3  7 1   4.2 7.7  6 1
3.5 6.2  5 1   2.9 5.7  9 0   2.1 4.8  7 1   2.8 6.2  8 0   4.0 7.0  7 1   3.3 5.7  6 1   3.7 6.9  5 1
3.6 6.6  5 1
"""
"""Albumin, total protein, K-G score, outcome: the patients of DeLong, DeLong and Clarke-Pearson (1988)."""


@pytest.mark.parametrize(
    ("test", "auc", "lead", "error", "interval", "p_value"),
    [
        ("albumin", 0.7366, 0.0108, 0.0953, (-0.1761, 0.1976), 0.9102),
        ("protein", 0.6478, -0.0780, 0.1046, (-0.2830, 0.1271), 0.4561),
    ],
)
def test_a_published_example(test, auc, lead, error, interval, p_value):
    """Figures of the SAS/STAT documentation of PROC LOGISTIC, on comparing ROC curves."""
    albumin, protein, score, y = np.array(PATIENTS.split(), float).reshape(-1, 4).T
    tests = {"albumin": albumin / 10, "protein": protein / 10}  # only the order counts
    found = paired_auc(y, tests[test], (10 - score) / 10)
    assert len(y) == 43
    assert (found.new, found.old) == pytest.approx((auc, 0.7258), abs=5e-5)
    assert (found.lead, found.error) == pytest.approx((lead, error), abs=5e-5)
    assert found.interval(0.95) == pytest.approx(interval, abs=5e-5)
    assert found.p_value == pytest.approx(p_value, abs=5e-5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_bootstrap_agrees(seed):
    y, new, old = scored(1_500, seed)
    ours, drawn = paired_auc(y, new, old), paired_bootstrap(y, new, old, metric="auc", seed=seed, draws=2_000)
    assert ours.lead == pytest.approx(drawn.value, abs=1e-12)
    low, high = ours.interval(0.95)
    width = high - low
    assert (low, high) == (
        pytest.approx(drawn.low, abs=0.1 * width),
        pytest.approx(drawn.high, abs=0.1 * width),
    )


def test_the_p_value_is_that_of_the_interval_which_ends_at_zero():
    paired = PairedAuc(new=0.72, old=0.7, error=0.01)
    assert paired.p_value == pytest.approx(0.0455, abs=1e-4)
    assert paired.interval(1 - paired.p_value)[0] == pytest.approx(0, abs=1e-12)
    low, high = paired.interval(0.95)
    assert (low + high) / 2 == pytest.approx(paired.lead)
    assert (high - low) / 2 == pytest.approx(1.959964 * 0.01, abs=1e-6)


def test_models_that_rank_alike_differ_by_nothing_for_certain():
    y, new, _ = scored(60, 1)
    same = paired_auc(y, new, new**3)
    assert (same.lead, same.error, same.p_value, same.interval(0.999)) == (0, 0, 1, (0, 0))


@given(seed=st.integers(0, 1_000))
def test_the_auc_is_that_of_the_rank_test(seed):
    y, new, old = scored(50, seed, ties=True)
    statistic = mannwhitneyu(new[y == 1], new[y == 0]).statistic
    assert paired_auc(y, new, old).new == pytest.approx(statistic / (y.sum() * (1 - y).sum()), abs=1e-12)


def test_weights_move_the_auc_as_repeated_rows_do_and_add_no_certainty():
    y, new, old = scored(400, 5)
    weights = np.random.default_rng(1).integers(1, 4, len(y))
    ours = paired_auc(y, new, old, weights=weights)
    repeated = paired_auc(*(np.repeat(each, weights) for each in (y, new, old)))
    assert (ours.new, ours.old) == pytest.approx((repeated.new, repeated.old), abs=1e-12)
    assert ours.error > repeated.error
    threefold = paired_auc(y, new, old, weights=np.full(len(y), 3.0))
    assert threefold.error == pytest.approx(paired_auc(y, new, old).error, rel=1e-12)


def test_one_default_says_nothing():
    y, new, old = np.array([1.0, 0.0, 0.0]), np.array([0.5, 0.2, 0.7]), np.array([0.4, 0.3, 0.2])
    assert paired_auc(y, new, old).error == math.inf
    assert error_of_mean(np.ones(1), np.ones(1)) == math.inf


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(DataError, match="both classes"):
        paired_auc([1, 1], [0.1, 0.2], [0.1, 0.2])
    with pytest.raises(DataError, match="one length"):
        paired_auc([1, 0], [0.1, 0.2], [0.1])
    with pytest.raises(ConfigurationError, match="level must lie between 0 and 1"):
        PairedAuc(new=0.7, old=0.7, error=0.1).interval(95)

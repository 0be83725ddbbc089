"""Groups of rows that all but mean one outcome, against exact probabilities and sets counted by hand."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nchypergeom_fisher
from sklearn.metrics import roc_auc_score

from loan_default.data.datasets.leak_groups import (
    DOUBT,
    STRONG,
    SURE_RATE,
    by_cut,
    by_filling,
    by_level,
    by_levels_together,
    by_value,
    rank_auc,
)


def outcomes(*groups: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes and the number of the group of each row, for groups of (rows, defaults)."""
    y = np.concatenate([np.repeat([1.0, 0.0], [bads, rows - bads]) for rows, bads in groups])
    return y, np.repeat(np.arange(len(groups)), [rows for rows, _ in groups])


def test_levels_are_counted_and_the_largest_comes_first():
    y, codes = outcomes((12, 12), (20, 19), (400, 10))
    assert by_level(codes, ["few", "many", "rest"], y) == [
        (True, "many means default: 19 of 20 such rows defaulted"),
        (True, "few means default: 12 of 12 such rows defaulted"),
    ]


def test_a_level_with_few_of_all_defaults_is_a_warning():
    y, codes = outcomes((12, 12), (10_000, 300))
    assert by_level(codes, ["a", "b"], y) == [(False, "a means default: 12 of 12 such rows defaulted")]


@pytest.mark.parametrize(("rows", "bads"), [(5, 5), (20, 17), (60, 6)])
def test_too_few_rows_and_mixed_ones_mean_nothing(rows, bads):
    y, codes = outcomes((rows, bads), (400, 12))
    assert by_level(codes, ["a", "b"], y) == []


def test_what_a_strong_predictor_explains_means_nothing():
    """14 of 15 rows among 120 of 400: the odds ratio is 36, but chance makes that of 15 too."""
    y, codes = outcomes((15, 14), (385, 106))
    assert by_level(codes, ["bankrupt", "not"], y) == []
    y, codes = outcomes((60, 59), (340, 61))
    assert [stop for stop, _ in by_level(codes, ["bankrupt", "not"], y)] == [True]


@pytest.mark.parametrize("goods", range(6))
@pytest.mark.parametrize("bads", range(6, 60, 3))
@pytest.mark.parametrize(("all_bads", "all_goods"), [(60, 600), (200, 300), (60, 5_000)])
def test_a_group_counts_where_no_strong_predictor_makes_it(goods, bads, all_bads, all_goods):
    """Fisher's noncentral distribution is exact, where the rule is near enough and fast."""
    y, codes = outcomes((goods + bads, bads), (all_bads - bads + all_goods - goods, all_bads - bads))
    counts = bool(by_level(codes, ["a", "b"], y))
    exact = nchypergeom_fisher(len(y), goods + bads, all_bads, STRONG).sf(bads - 1)
    if counts:
        assert exact <= 3 * DOUBT
    else:
        assert exact >= 1e-5 or bads < SURE_RATE * (goods + bads)


def test_filled_for_one_outcome():
    y, codes = outcomes((50, 48), (950, 60))
    assert by_filling(codes == 0, y) == [(True, "filled for default only: 48 of 50 such rows defaulted")]
    y, codes = outcomes((800, 0), (200, 100))
    assert by_filling(codes == 0, y) == [(True, "filled for good ends only: 0 of 800 such rows defaulted")]
    assert by_filling(codes == 1, y) == [(True, "missing for good ends only: 0 of 800 such rows defaulted")]
    y, codes = outcomes((4_400, 43), (600, 150))
    assert by_filling(codes == 0, y) == [
        (True, "filled for good ends above all: 43 of 4,400 such rows defaulted")
    ]


def test_weakly_related_gaps_mean_nothing():
    y, codes = outcomes((400, 12), (100, 12))
    assert by_filling(codes == 0, y) == []


def test_all_values_but_the_most_frequent_one():
    y, codes = outcomes((12, 12), (500, 8))
    numbers = np.where(codes == 0, np.arange(512) + 0.5, 0.0)
    assert by_value(numbers, y) == [
        (True, "a value other than 0 means default: 12 of 12 such rows defaulted")
    ]
    assert by_value(np.full(512, np.nan), y) == []


def test_many_levels_together():
    y, codes = outcomes(*[(3, 3)] * 30, (900, 9))
    names = [f"agency {number}" for number in range(30)] + ["none"]
    assert by_level(codes, names, y) == []
    scores = np.where(codes < 30, 0.5, 0.01)
    assert by_levels_together(codes, names, scores, y) == [
        (True, "agency 0 and 29 more levels together mean default: 90 of 90 such rows defaulted")
    ]


def test_the_largest_end_of_the_numbers_either_way_round():
    y, _ = outcomes((40, 39), (900, 0), (60, 30))
    numbers = np.arange(1000.0)
    evidence = "means default: 39 of 43 such rows defaulted"
    assert by_cut(numbers, y, unit=" days") == [(True, f"up to 42 days {evidence}")]
    assert by_cut(-numbers, y) == [(True, f"from -42 {evidence}")]
    assert by_cut(np.random.default_rng(0).permutation(numbers), y) == []


def test_an_end_of_a_very_strong_predictor_is_no_sharp_edge():
    """AUC 0.93: an end has 30 % of the defaults and next to no others, and what follows still ranks well."""
    generator = np.random.default_rng(5)
    y = np.repeat([1.0, 0.0], [200, 600])
    predictor = generator.normal(size=800) + 2.1 * y
    top = np.argsort(-predictor)[:60]
    assert y[top].mean() > SURE_RATE
    assert by_cut(predictor, y) == []
    mistaken = np.where(generator.random(800) < 0.05, 1 - y, y)
    leaking = generator.normal(size=800) + 8 * y
    assert by_cut(leaking, mistaken)[0][0]


@pytest.mark.slow
def test_no_time_is_lost_where_every_end_looks_sure():
    y = np.ones(200_000)
    y[::20] = 0
    began = time.perf_counter()
    assert by_cut(np.random.default_rng(0).random(len(y)), y) == []
    assert time.perf_counter() - began < 2


@pytest.mark.slow
@given(st.integers(0, 2**32 - 1), st.integers(10, 90))
@settings(max_examples=40)
def test_the_rank_statistic_is_that_of_scikit_learn(seed, bads):
    generator = np.random.default_rng(seed)
    y = np.zeros(100)
    y[:bads] = 1
    scores = generator.integers(0, 8, 100).astype(float)
    assert rank_auc(scores, y) == pytest.approx(roc_auc_score(y, scores))

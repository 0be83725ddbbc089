import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loan_default.errors import DataError
from loan_default.evaluation.decision_costs import (
    approval_curve,
    choose_cutoff,
    outcome_at,
    score_bands,
)
from loan_default.evaluation.metrics import score_points
from loan_default.review_policy import LendingTerms

TERMS = LendingTerms(loss_given_default=0.5, margin=0.1)


def simulated(rows, *, seed):
    generator = np.random.default_rng(seed)
    pd = generator.beta(1, 6, rows)
    return (generator.random(rows) < pd).astype(float), pd


def test_an_outcome_by_hand():
    y, pd, exposure = [0, 1, 0, 1], [0.1, 0.2, 0.3, 0.9], [100, 200, 300, 400]
    found = outcome_at(0.3, y, pd, terms=TERMS, exposure=exposure)
    assert (found.approved, found.bads, found.approval_rate) == (3, 1, 0.75)
    assert found.bad_rate == pytest.approx(1 / 3)
    assert found.expected_loss == pytest.approx((0.1 * 100 + 0.2 * 200 + 0.3 * 300) * 0.5 / 1000)
    assert found.realised_loss == pytest.approx(200 * 0.5 / 1000)
    assert found.profit == pytest.approx((0.1 * 400 - 0.5 * 200) / 1000)


def test_nobody_approved_loses_and_earns_nothing():
    found = outcome_at(0.05, [0, 1], [0.1, 0.2], terms=TERMS)
    assert (found.approved, found.bad_rate, found.low, found.profit) == (0, None, None, 0)


def test_the_best_cutoff_of_right_pds_is_near_the_break_even():
    y, pd = simulated(200_000, seed=1)
    chosen = choose_cutoff(y, pd, terms=TERMS)
    assert chosen.break_even == pytest.approx(1 / 6)
    assert chosen.cutoff == pytest.approx(chosen.break_even, abs=0.03)
    assert chosen.points == pytest.approx(score_points([chosen.cutoff])[0])


@settings(deadline=None)
@given(st.integers(2, 60), st.integers(0, 50), st.sampled_from([1, 2, 9]))
def test_no_cutoff_earns_more_than_the_chosen_one(rows, seed, decimals):
    y, pd = simulated(rows, seed=seed)
    pd = np.round(pd, decimals)
    exposure = np.random.default_rng(seed).uniform(1, 9, rows)
    chosen = choose_cutoff(y, pd, terms=TERMS, exposure=exposure)
    tried = [outcome_at(cutoff, y, pd, terms=TERMS, exposure=exposure).profit for cutoff in (-1, *pd)]
    assert chosen.profit == pytest.approx(max(tried), abs=1e-12)
    if chosen.profit > 0:
        again = outcome_at(chosen.cutoff, y, pd, terms=TERMS, exposure=exposure)
        assert again.profit == pytest.approx(chosen.profit)


def test_where_every_loan_loses_nobody_is_approved():
    chosen = choose_cutoff([1, 1, 1], [0.1, 0.2, 0.3], terms=TERMS)
    assert (chosen.cutoff, chosen.profit) == (0, 0)


def test_the_curve_rises_in_approvals_and_ends_with_everybody():
    y, pd = simulated(1_000, seed=2)
    curve = approval_curve(y, pd, terms=TERMS)
    rates = [each.approval_rate for each in curve]
    assert rates == pytest.approx([share / 100 for share in range(5, 101, 5)])
    assert curve[-1].bads == y.sum()
    assert curve[-1].expected_loss == pytest.approx(0.5 * pd.mean())
    assert len(approval_curve(y, np.full(1_000, 0.2), terms=TERMS)) == 1


def test_bands_hold_each_row_once_and_double_the_odds():
    y, pd = simulated(5_000, seed=3)
    bands = score_bands(y, pd)
    assert sum(each.rows for each in bands) == 5_000
    assert sum(each.bads for each in bands) == y.sum()
    assert all(each.highest - each.lowest == 20 for each in bands)
    means = [each.mean_pd for each in bands]
    assert means == sorted(means)
    assert all(each.low <= each.bad_rate <= each.high for each in bands)


@pytest.mark.parametrize("exposure", [[1.0], [1.0, 0.0], [1.0, np.nan], [1.0, -2.0]])
def test_exposures_must_be_amounts(exposure):
    with pytest.raises(DataError, match=r"must be"):
        choose_cutoff([0, 1], [0.1, 0.2], terms=TERMS, exposure=exposure)

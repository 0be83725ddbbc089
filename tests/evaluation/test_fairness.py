"""Fairness against its definitions, worked examples and scipy."""

from itertools import product

import numpy as np
import pytest
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_ratio,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats.contingency import association as scipy_association
from scipy.stats.contingency import relative_risk

from loan_default.errors import DataError
from loan_default.evaluation.calibration_groups import NOT_GIVEN
from loan_default.evaluation.fairness import (
    GroupState,
    adverse_impact_ratio,
    association,
    banded,
    fairness_of,
    likely_proxies,
)

POLICY = {"cutoff": 0.2, "minimum_rows": 3, "minimum_ratio": 0.8}


def test_the_ratio_of_a_worked_example():
    ratio, low, high = adverse_impact_ratio(560, 1000, 700, 1000)
    assert ratio == pytest.approx(0.8)
    assert (low, high) == pytest.approx((0.7472, 0.8565), abs=1e-4)


@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 100), st.integers(0, 100))
def test_the_interval_is_that_of_a_relative_risk(approved, others, declined, others_declined):
    rows, reference = approved + declined, others + others_declined
    ratio, low, high = adverse_impact_ratio(approved, rows, others, reference)
    oracle = relative_risk(approved, rows, others, reference)
    interval = oracle.confidence_interval(0.95)
    assert ratio == pytest.approx(oracle.relative_risk)
    assert (low, high) == pytest.approx((interval.low, interval.high))


def test_nobody_approved_has_a_ratio_of_zero_and_an_interval():
    ratio, low, high = adverse_impact_ratio(0, 50, 40, 50)
    assert (ratio, low) == (0, 0)
    assert 0 < high < 1


def test_rates_by_hand():
    y = [0, 0, 1, 1, 0, 0, 0, 1]
    pd = [0.1, 0.3, 0.1, 0.4, 0.1, 0.2, 0.1, 0.3]
    group = ["a", "a", "a", "a", "b", "b", "b", "b"]
    found = fairness_of("sex", y, pd, group, labels={"a": "male"}, **POLICY)
    first, second = found.groups
    assert (first.group, second.group) == ("male", "b")
    assert (first.approved, first.approval_rate, second.approval_rate) == (2, 0.5, 0.75)
    assert (second.state, second.ratio) == (GroupState.REFERENCE, 1.0)
    assert first.ratio == pytest.approx(2 / 3)
    assert first.state is GroupState.WITHIN  # four rows prove nothing
    assert (first.bads_declined, second.bads_declined) == (0.5, 1.0)
    assert (first.goods_declined, second.goods_declined) == (0.5, 0.0)
    assert (found.gap_bads_declined, found.gap_goods_declined) == (0.5, 0.5)
    assert (first.bad_rate, first.mean_pd) == (0.5, pytest.approx(0.225))
    assert found.lowest_ratio == first.ratio


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 1)), min_size=12, max_size=200
    ).filter(lambda rows: {(group, bad) for group, bad, _ in rows} >= set(product("abc", (False, True))))
)
def test_rates_are_those_of_fairlearn(rows):
    """With an approval as the positive prediction, and a good end as the positive outcome."""
    group, bad, pd = (list(each) for each in zip(*rows, strict=True))
    good, approved = ~np.array(bad), np.array(pd) <= POLICY["cutoff"]
    rates = {"approved": selection_rate, "goods": true_positive_rate, "bads": false_positive_rate}
    oracle = MetricFrame(metrics=rates, y_true=good, y_pred=approved, sensitive_features=group)
    found = fairness_of("x", np.array(bad, float), np.array(pd), group, **POLICY | {"minimum_rows": 1})
    for each in found.groups:
        expected = oracle.by_group.loc[each.group]
        assert each.approval_rate == pytest.approx(expected["approved"])
        assert each.goods_declined == pytest.approx(1 - expected["goods"])
        assert each.bads_declined == pytest.approx(1 - expected["bads"])
    differences = oracle.difference()
    assert found.gap_goods_declined == pytest.approx(differences["goods"])
    assert found.gap_bads_declined == pytest.approx(differences["bads"])
    if approved.any():
        ratio = demographic_parity_ratio(good, approved, sensitive_features=group)
        assert found.lowest_ratio == pytest.approx(ratio)


@pytest.mark.parametrize(("rate", "state"), [(0.5, "below"), (0.85, "within")])
def test_a_ratio_below_the_minimum_beyond_chance_is_below(rate, state):
    rows = 2_000
    pd = np.where(np.arange(rows) % 2 == 0, 0.1, np.where(np.arange(rows) < rate * rows, 0.1, 0.9))
    group = np.where(np.arange(rows) % 2 == 0, "a", "b")
    found = fairness_of("sex", np.arange(rows) % 3 == 0, pd, list(group), **POLICY)
    assert {each.group: each.state for each in found.groups}["b"] == state
    assert found.is_below is (state == "below")


def test_few_rows_are_insufficient_and_no_reference():
    y, pd = np.zeros(12), np.full(12, 0.1)
    pd[:6] = 0.5
    group = ["a"] * 6 + ["b"] * 4 + ["c"] * 2
    found = {each.group: each for each in fairness_of("x", y, pd, group, **POLICY).groups}
    assert found["c"].state is GroupState.INSUFFICIENT
    assert (found["c"].ratio, found["c"].low) == (None, None)
    assert found["b"].state is GroupState.REFERENCE
    assert found["a"].bads_declined is None  # nobody defaulted


def test_rows_without_a_group_are_shown_and_never_compared():
    found = fairness_of("x", np.zeros(8), np.full(8, 0.1), ["a"] * 4 + [None, np.nan, None, None], **POLICY)
    assert [each.group for each in found.groups] == ["a", NOT_GIVEN]
    assert all(each.state is GroupState.INSUFFICIENT for each in found.groups)
    assert found.lowest_ratio is None


def test_lengths_must_agree():
    with pytest.raises(DataError, match="must be of one length"):
        fairness_of("x", [0], [0.1, 0.2], ["a", "b"], **POLICY)


def test_numbers_become_bands_of_nearly_equal_size():
    ages = np.arange(18, 78).astype(float)
    names = banded([*ages, np.nan], unit="years")
    assert names[-1] is None
    counts = {name: names.count(name) for name in dict.fromkeys(names[:-1])}
    assert list(counts) == ["18 to 37 years", "38 to 57 years", "58 to 77 years"]
    assert list(counts.values()) == [20, 20, 20]
    assert banded([np.nan, np.nan]) == [None, None]
    assert set(banded([5.0, 5.0])) == {"5 to 5"}


def test_the_association_is_cramers_v_less_chance():
    generator = np.random.default_rng(0)
    group, other = generator.integers(0, 3, 5_000), generator.integers(0, 4, 5_000)
    copied = np.where(generator.random(5_000) < 0.5, group, other)
    assert association(list(group), list(group)) == pytest.approx(1, abs=1e-3)
    assert association(list(group), list(other)) < 0.03
    table = np.zeros((3, 4))
    np.add.at(table, (group, copied), 1)
    plain = scipy_association(table.astype(int), method="cramer")
    assert association(list(group), list(copied)) == pytest.approx(plain, abs=0.01)
    assert association(list(group), ["same"] * 5_000) == 0


def test_the_strongest_proxies_come_first():
    group = ["a", "b"] * 200
    features = {"copy": group, "noise": ["x", "x", "y", "y"] * 100, "half": (["a", "b", "a", "a"] * 100)}
    found = likely_proxies(group, features, most=2)
    assert [each.column for each in found] == ["copy", "half"]
    assert found[0].association > found[1].association > 0

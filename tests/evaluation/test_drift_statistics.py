import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loan_default.errors import ConfigurationError, DataError
from loan_default.evaluation.drift_statistics import count_bins, psi, psi_of_samples

Counts = list[int]
TABLES = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=20).filter(
    lambda rows: sum(e for e, _ in rows) > 0 and sum(a for _, a in rows) > 0
)


def test_it_is_that_of_a_table_computed_by_hand() -> None:
    # Shares .20 .30 .50 against .25 .45 .30:
    # .05 ln 1.25 = .011157, .15 ln 1.5 = .060820, -.20 ln .6 = .102165
    value, critical = psi([20, 30, 50], [50, 90, 60])
    assert value == pytest.approx(0.174142, abs=1e-6)
    # With 2 degrees of freedom the 99 % quantile of chi-squared is -2 ln .01 = 9.21034.
    assert critical == pytest.approx((1 / 100 + 1 / 200) * 9.210340, abs=1e-6)
    assert psi([20, 30, 50], [50, 90, 60], level=0.95).critical == pytest.approx(0.015 * 5.991465, abs=1e-6)


def test_an_empty_bin_counts_as_half_a_row_and_one_that_is_empty_twice_as_none() -> None:
    value, critical = psi([50, 50, 0, 0], [40, 50, 10, 0])
    e, a = [50 / 100.5, 50 / 100.5, 0.5 / 100.5], [0.4, 0.5, 0.1]
    assert value == pytest.approx(
        sum((y - x) * math.log(y / x) for x, y in zip(e, a, strict=True)), rel=1e-12
    )
    assert critical == pytest.approx((1 / 100.5 + 1 / 100) * 9.210340, abs=1e-6)
    assert psi([7, 0], [3, 0]) == (0.0, 0.0)


@given(TABLES)
def test_it_is_never_negative_and_nothing_between_equal_shares(table: list[tuple[int, int]]) -> None:
    expected, actual = [e for e, _ in table], [a for _, a in table]
    value, critical = psi(expected, actual)
    assert value >= 0
    assert critical >= 0
    positive = [e + 1 for e in expected]
    assert psi(positive, [3 * e for e in positive]).value == pytest.approx(0, abs=1e-12)
    assert psi(positive, [a + 1 for a in actual]).value == pytest.approx(
        psi([a + 1 for a in actual], positive).value, abs=1e-12
    )


@pytest.mark.slow
@pytest.mark.parametrize("rows", [200, 500, 2000])
def test_a_sample_without_drift_exceeds_the_critical_value_as_often_as_the_level_says(
    rows: int,
) -> None:
    generator = np.random.default_rng(rows)
    alarms = 0
    for _ in range(2000):
        expected = generator.multinomial(20_000, [0.1] * 10)
        value, critical = psi(expected, generator.multinomial(rows, [0.1] * 10))
        alarms += value > critical
    # 20 alarms are expected; small samples give a few more.
    assert 5 <= alarms <= 45


def test_values_are_counted_into_frozen_bins_with_the_missing_ones_last() -> None:
    counts = count_bins([-5, 0.99, 1, 1.5, 2, 7, np.nan, np.inf], [1, 2])
    assert counts.tolist() == [2, 2, 2, 2]
    assert count_bins([], [1, 2]).tolist() == [0, 0, 0, 0]
    assert count_bins([3, np.nan], []).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("expected", "actual"),
    [([1, 2], [1]), ([0, 0], [1, 1]), ([1, 1], [0, 0]), ([1, -1], [1, 1]), ([[1]], [[1]]), ([np.nan], [1])],
)
def test_counts_of_other_bins_and_no_rows_are_refused(expected: Counts, actual: Counts) -> None:
    with pytest.raises(DataError, match="must"):
        psi(expected, actual)


def test_a_level_that_is_no_probability_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="level must lie between 0 and 1, however: level=1"):
        psi([1, 1], [1, 1], level=1.0)


def test_samples_are_compared_over_bins_of_the_expected_values() -> None:
    expected = np.arange(1000) / 1000
    assert psi_of_samples(expected, np.random.default_rng(0).permutation(expected)).value == pytest.approx(0)
    assert psi_of_samples(expected, expected[500:]).value > 0.25
    assert math.isfinite(psi_of_samples(expected, np.full(50, 0.999)).value)
    # Two bins by hand: shares of 0.5 and 0.5 become 0.25 and 0.75.
    found = psi_of_samples(np.repeat([0.0, 1.0], 50), np.repeat([0.0, 1.0], [25, 75]))
    assert found.value == pytest.approx(0.25 * math.log(0.75 / 0.5) - 0.25 * math.log(0.25 / 0.5))
    assert found.critical == pytest.approx((1 / 100 + 1 / 100) * 6.634897, abs=1e-6)
    with pytest.raises(DataError, match="must hold at least one row"):
        psi_of_samples(expected, [])

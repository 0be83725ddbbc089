import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from loan_default.errors import DataError
from loan_default.evaluation.performance_estimate import estimate_performance


@pytest.mark.slow
def test_it_is_the_mean_over_outcomes_that_are_drawn_from_the_pds() -> None:
    generator = np.random.default_rng(0)
    pds = generator.beta(1.2, 4, 400)
    found = estimate_performance(pds)
    drawn = []
    for _ in range(400):
        y = generator.random(400) < pds
        drawn.append([roc_auc_score(y, pds), brier_score_loss(y, pds), log_loss(y, pds), y.mean()])
    means = np.mean(drawn, axis=0)
    assert [found.auc, found.brier, found.log_loss, found.mean_pd] == pytest.approx(means, abs=0.006)


def test_the_auc_is_that_of_all_pairs() -> None:
    pds = np.array([0.1, 0.1, 0.3, 0.8])
    in_order, pairs = 0.0, 0.0
    for i, bad in enumerate(pds):
        for j, good in enumerate(pds):
            if i != j:
                weight = bad * (1 - good)
                pairs += weight
                in_order += weight * (1.0 if bad > good else 0.5 if bad == good else 0.0)
    assert estimate_performance(pds).auc == pytest.approx(in_order / pairs, rel=1e-12)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=50))
def test_it_lies_within_its_bounds_whatever_the_pds(pds: list[float]) -> None:
    found = estimate_performance(pds)
    assert 0.5 - 1e-9 <= found.auc <= 1 + 1e-9
    assert 0 <= found.brier <= 0.25
    if len(set(pds)) == 1:
        assert found.auc == pytest.approx(0.5)


@pytest.mark.parametrize("pds", [[0.1], [0.1, 1.2], [0.1, np.nan], [[0.1, 0.2]]])
def test_what_is_no_pd_is_refused(pds: list[float]) -> None:
    with pytest.raises(DataError, match="must"):
        estimate_performance(pds)

"""The two logistic fits, beside scikit-learn and at the cases where Newton's steps overshoot."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from loan_default.evaluation.logistic import fit_line, fit_shift


def sample(seed: int, rows: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits, outcomes of another slope and level, and counts per row as a bootstrap draws them."""
    generator = np.random.default_rng(seed)
    x = generator.normal(-1, 1.5, rows)
    y = (generator.random(rows) < expit(0.3 + 0.7 * x)).astype(float)
    return x, y, np.bincount(generator.integers(0, rows, rows), minlength=rows).astype(float)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("start", [None, (0.0, 1.0), (3.0, -2.0)])
def test_a_line_is_that_of_scikit_learn(seed, start):
    x, y, weights = sample(seed)
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1_000)
    oracle.fit(x[:, None], y, sample_weight=weights)
    expected = (oracle.intercept_[0], oracle.coef_[0, 0])
    assert fit_line(x, y, weights, start=start) == pytest.approx(expected, abs=1e-5)


@given(seed=st.integers(0, 1_000), offset=st.floats(-25, 25))
def test_a_shift_makes_the_mean_pd_the_base_rate(seed, offset):
    x, y, weights = sample(seed)
    shift = fit_shift(x + offset, y, weights)
    assert weights @ expit(x + offset + shift) == pytest.approx(weights @ y, rel=1e-6)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.calibration import _sigmoid_calibration
from sklearn.linear_model import LogisticRegression

from loan_default.models.calibration import Platt, fit_platt


def overconfident(rows: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities whose logits are twice as far out as they should be, and labels."""
    rng = np.random.default_rng(seed)
    true = rng.normal(-1.5, 1, rows)
    return expit(2 * true + 0.5), (rng.random(rows) < expit(true)).astype(np.float32)


def test_it_undoes_a_known_distortion() -> None:
    probability, labels = overconfident(40_000)
    platt = fit_platt(probability, labels)
    assert platt.slope == pytest.approx(0.5, abs=0.03)
    assert platt.intercept == pytest.approx(-0.25, abs=0.05)


@pytest.mark.parametrize("rows", [300, 5_000])
def test_it_is_the_likelihoods_maximum_and_scikit_learns(rows: int) -> None:
    probability, labels = overconfident(rows, seed=rows)
    raw = logit(probability)
    platt = fit_platt(probability, labels)

    def surprise(parameters: np.ndarray) -> float:
        logits = parameters[0] * raw + parameters[1]
        return float(np.mean(np.logaddexp(0, logits) - labels * logits))

    best = minimize(surprise, x0=[1.0, 0.0], method="BFGS").x
    np.testing.assert_allclose([platt.slope, platt.intercept], best, atol=2e-3)
    logistic = LogisticRegression(C=np.inf).fit(raw[:, None], labels)
    np.testing.assert_allclose(
        platt.apply(probability), logistic.predict_proba(raw[:, None])[:, 1], atol=1e-3
    )
    # scikit-learn's Platt scaling shrinks the labels a little towards one half: close, not equal.
    a, b = _sigmoid_calibration(raw, labels)
    np.testing.assert_allclose([platt.slope, platt.intercept], [-a, -b], atol=30 / rows)


def test_the_mean_pd_on_the_fitted_rows_is_their_rate() -> None:
    probability, labels = overconfident(2_000)
    assert fit_platt(probability, labels).apply(probability).mean() == pytest.approx(labels.mean(), abs=1e-3)


@pytest.mark.parametrize("kind", ["the wrong way round", "no information"])
def test_a_slope_that_is_not_positive_leaves_the_ranking_alone(kind: str) -> None:
    probability, labels = overconfident(2_000)
    given_ = 1 - probability if kind == "the wrong way round" else np.full(2_000, 0.3)
    platt = fit_platt(given_, labels)
    calibrated = platt.apply(given_)
    order = np.argsort(given_, kind="stable")
    assert (np.diff(calibrated[order]) >= 0).all()
    if kind == "no information":
        assert calibrated.mean() == pytest.approx(labels.mean(), abs=1e-3)
    else:
        assert platt.slope == 1.0


def test_separated_classes_stay_inside_0_and_1() -> None:
    probability = np.array([0.1, 0.2, 0.8, 0.9] * 20)
    labels = (probability > 0.5).astype(np.float32)
    calibrated = fit_platt(probability, labels).apply(probability)
    assert ((calibrated > 0) & (calibrated < 1)).all()
    assert calibrated[0] < 0.01
    assert calibrated[2] > 0.99


@given(
    slope=st.floats(0.01, 1e6),
    intercept=st.floats(-1e6, 1e6),
    probability=st.lists(st.floats(0, 1), min_size=1, max_size=30),
)
def test_pds_lie_strictly_inside_0_and_1_and_keep_the_order(
    slope: float, intercept: float, probability: list[float]
) -> None:
    values = np.sort(np.array(probability))
    calibrated = Platt(slope=slope, intercept=intercept).apply(values)
    assert ((calibrated > 0) & (calibrated < 1)).all()
    assert (np.diff(calibrated) >= 0).all()


def test_without_calibration_nothing_changes() -> None:
    values = np.array([0.001, 0.3, 0.99])
    np.testing.assert_allclose(Platt().apply(values), values)
    assert Platt().apply(np.zeros(0)).shape == (0,)


def test_whole_weights_calibrate_like_repeated_rows():
    generator = np.random.default_rng(1)
    p = generator.uniform(0.02, 0.98, 300)
    y = (generator.random(300) < p).astype(np.float32)
    weights = generator.integers(1, 4, 300)
    weighted = fit_platt(p, y, weights.astype(float))
    repeated = fit_platt(np.repeat(p, weights), np.repeat(y, weights))
    assert weighted.slope == pytest.approx(repeated.slope, rel=1e-3)
    assert weighted.intercept == pytest.approx(repeated.intercept, abs=1e-3)
    turned = fit_platt(1 - p, y, weights.astype(float))
    same = fit_platt(np.repeat(1 - p, weights), np.repeat(y, weights))
    assert turned.intercept == pytest.approx(same.intercept, rel=1e-6)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.calibration import _sigmoid_calibration
from sklearn.linear_model import LogisticRegression

from loan_default.choices import CalibrationMethod
from loan_default.models.calibration import (
    CALIBRATION_METHODS,
    Calibration,
    choose_calibration,
    fit_calibration,
    with_confidence_of,
)


def overconfident(rows: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities whose logits are twice as far out as they should be, and labels."""
    rng = np.random.default_rng(seed)
    true = rng.normal(-1.5, 1, rows)
    return expit(2 * true + 0.5), (rng.random(rows) < expit(true)).astype(np.float32)


def test_it_undoes_a_known_distortion() -> None:
    probability, labels = overconfident(40_000)
    platt = fit_calibration("platt", probability, labels)
    assert platt.slope == pytest.approx(0.5, abs=0.03)
    assert platt.intercept == pytest.approx(-0.25, abs=0.05)


@pytest.mark.parametrize("rows", [300, 5_000])
def test_it_is_the_likelihoods_maximum_and_scikit_learns(rows: int) -> None:
    probability, labels = overconfident(rows, seed=rows)
    raw = logit(probability)
    platt = fit_calibration("platt", probability, labels)

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
    assert fit_calibration("platt", probability, labels).apply(probability).mean() == pytest.approx(
        labels.mean(), abs=1e-3
    )


@pytest.mark.parametrize("kind", ["the wrong way round", "no information"])
def test_a_slope_that_is_not_positive_leaves_the_ranking_alone(kind: str) -> None:
    probability, labels = overconfident(2_000)
    given_ = 1 - probability if kind == "the wrong way round" else np.full(2_000, 0.3)
    platt = fit_calibration("platt", given_, labels)
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
    calibrated = fit_calibration("platt", probability, labels).apply(probability)
    assert ((calibrated > 0) & (calibrated < 1)).all()
    assert calibrated[0] < 0.01
    assert calibrated[2] > 0.99


@given(
    slope=st.floats(0.01, 1e6),
    intercept=st.floats(-1e6, 1e6),
    asymmetry=st.floats(-1, 1),
    curvature=st.floats(-1, 1),
    probability=st.lists(st.floats(0, 1), min_size=1, max_size=30),
)
def test_pds_lie_strictly_inside_0_and_1_and_keep_the_order(
    slope: float, intercept: float, asymmetry: float, curvature: float, probability: list[float]
) -> None:
    values = np.sort(np.array(probability))
    calibration = Calibration(
        slope=slope, intercept=intercept, asymmetry=asymmetry * slope / 2, curvature=curvature * slope / 56
    )
    assert calibration.is_rising
    calibrated = calibration.apply(values)
    assert ((calibrated > 0) & (calibrated < 1)).all()
    assert (np.diff(calibrated) >= -1e-9).all()


@pytest.mark.parametrize("method", CALIBRATION_METHODS)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(4, 300))
def test_every_form_keeps_the_ranking_of_any_rows(method: CalibrationMethod, seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([[0, 1], rng.integers(0, 2, rows - 2)]).astype(np.float32)
    assert fit_calibration(method, rng.random(rows) ** rng.integers(1, 9), labels).is_rising


def test_beta_is_the_logistic_regression_on_both_logarithms() -> None:
    probability, labels = overconfident(20_000)
    terms = np.column_stack([np.log(probability), -np.log(1 - probability)])
    oracle = LogisticRegression(C=np.inf).fit(terms, labels)
    beta = fit_calibration("beta", probability, labels)
    np.testing.assert_allclose(beta.apply(probability), oracle.predict_proba(terms)[:, 1], atol=2e-3)


def test_a_quadratic_undoes_a_bend() -> None:
    rng = np.random.default_rng(5)
    z = rng.normal(-1, 1.5, 60_000)
    labels = (rng.random(60_000) < expit(z + 0.02 * z**2)).astype(np.float32)
    bent = fit_calibration("quadratic", expit(z), labels)
    assert bent.slope == pytest.approx(1.0, abs=0.05)
    assert bent.curvature == pytest.approx(0.02, abs=0.01)


def test_the_level_alone_moves_to_the_observed_rate() -> None:
    probability, labels = overconfident(2_000)
    level = fit_calibration("level", probability, labels)
    assert (level.slope, level.asymmetry, level.curvature) == (1.0, 0.0, 0.0)
    assert level.apply(probability).mean() == pytest.approx(labels.mean(), abs=1e-9)


def drawn(rows: int, *, slope: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities whose logits must be multiplied by the slope to be true, and labels."""
    rng = np.random.default_rng(seed)
    true = rng.normal(-1.7, 1, rows)
    return expit(true / slope), (rng.random(rows) < expit(true)).astype(np.float32)


@pytest.mark.slow
def test_calibrated_probabilities_stay_as_they_are() -> None:
    chosen = [choose_calibration(*drawn(4_000, slope=1.0, seed=seed)).method for seed in range(20)]
    assert chosen.count("none") >= 12


@pytest.mark.slow
def test_what_is_clearly_off_is_mended() -> None:
    for seed in range(5):
        probability, labels = drawn(4_000, slope=0.6, seed=seed)
        choice = choose_calibration(probability, labels)
        assert choice.method not in ("none", "level")
        true = expit(0.6 * logit(probability))
        assert np.abs(choice.calibration.apply(probability) - true).mean() < 0.02
        assert choice.log_losses[choice.method] < choice.log_losses["none"]
    probability, labels = drawn(4_000, slope=1.0, seed=0)
    shifted = choose_calibration(expit(logit(probability) + 0.5), labels)
    assert shifted.method == "level"
    assert shifted.calibration.intercept == pytest.approx(-0.5, abs=0.1)


def test_two_defaults_are_enough_to_choose() -> None:
    labels = np.array([1, 1] + [0] * 50, dtype=np.float32)
    assert choose_calibration(np.linspace(0.9, 0.01, 52), labels).calibration.is_rising


@pytest.mark.slow
def test_whole_weights_choose_as_repeated_rows_do_where_it_is_clear() -> None:
    probability, labels = drawn(3_000, slope=0.5, seed=3)
    weights = np.random.default_rng(3).integers(1, 4, 3_000)
    weighted = choose_calibration(probability, labels, weights.astype(float))
    repeated = choose_calibration(np.repeat(probability, weights), np.repeat(labels, weights))
    assert weighted.calibration.slope == pytest.approx(repeated.calibration.slope, rel=0.05)


def test_without_calibration_nothing_changes() -> None:
    values = np.array([0.001, 0.3, 0.99])
    np.testing.assert_allclose(Calibration().apply(values), values)
    assert Calibration().apply(np.zeros(0)).shape == (0,)


def test_whole_weights_calibrate_like_repeated_rows():
    generator = np.random.default_rng(1)
    p = generator.uniform(0.02, 0.98, 300)
    y = (generator.random(300) < p).astype(np.float32)
    weights = generator.integers(1, 4, 300)
    weighted = fit_calibration("platt", p, y, weights.astype(float))
    repeated = fit_calibration("platt", np.repeat(p, weights), np.repeat(y, weights))
    assert weighted.slope == pytest.approx(repeated.slope, rel=1e-3)
    assert weighted.intercept == pytest.approx(repeated.intercept, abs=1e-3)
    turned = fit_calibration("platt", 1 - p, y, weights.astype(float))
    same = fit_calibration("platt", np.repeat(1 - p, weights), np.repeat(y, weights))
    assert turned.intercept == pytest.approx(same.intercept, rel=1e-6)


def noisy_members(rows: int, *, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of four members `(4, rows)`, their average, and outcomes that follow the average."""
    rng = np.random.default_rng(seed)
    members = expit(rng.normal(-1.5, 1, rows) + rng.normal(0, 0.7, (4, rows)))
    average = members.mean(axis=0)
    return members, average, (rng.random(rows) < average).astype(np.float32)


def test_a_member_with_the_confidence_of_the_average_is_calibrated_where_the_average_is() -> None:
    members, average, labels = noisy_members(60_000, seed=4)
    seen, unseen = slice(0, 30_000), slice(30_000, 60_000)
    alone = fit_calibration("platt", members[0, unseen], labels[unseen])
    assert alone.slope < 0.85
    matched = with_confidence_of(members[0, unseen], member=members[0, seen], average=average[seen])
    assert fit_calibration("platt", matched, labels[unseen]).slope == pytest.approx(1, abs=0.04)
    # Scikit-learn's regression on both outcomes of each row, weighted by the average, is the same one.
    z = logit(members[0, seen])
    both = LogisticRegression(C=np.inf).fit(
        np.tile(z, 2)[:, None],
        np.repeat([1, 0], len(z)),
        sample_weight=np.concatenate([average[seen], 1 - average[seen]]),
    )
    expected = both.predict_proba(logit(members[0, unseen])[:, None])[:, 1]
    np.testing.assert_allclose(matched, expected, atol=1e-4)


def test_a_member_that_is_the_average_stays_as_it_is() -> None:
    _, average, _ = noisy_members(500, seed=5)
    same = with_confidence_of(average, member=average, average=average)
    np.testing.assert_allclose(same, average, atol=1e-4)

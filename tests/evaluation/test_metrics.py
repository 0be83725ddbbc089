import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import ks_2samp
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

from loan_default.errors import ConfigurationError, DataError
from loan_default.evaluation import metrics
from loan_default.evaluation.logistic import fit_line, fit_shift
from loan_default.evaluation.metrics import Metrics, measure, rank_rows, score_points, weigh

Floats = NDArray[np.float64]


def simulated(rows: int, *, seed: int, decimals: int = 17) -> tuple[Floats, Floats]:
    generator = np.random.default_rng(seed)
    pd = expit(generator.normal(-1.2, 1.0, rows))
    return (generator.random(rows) < pd).astype(float), np.round(pd, decimals)


@st.composite
def predictions(draw: st.DrawFn, *, most: int = 60) -> tuple[Floats, Floats]:
    """Both classes, PDs with many ties, 0 and 1 included."""
    y = [*draw(st.lists(st.sampled_from([0.0, 1.0]), max_size=most)), 0.0, 1.0]
    some = st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9, 1.0]) | st.floats(0, 1)
    return np.array(y), np.array(draw(st.lists(some, min_size=len(y), max_size=len(y))))


@pytest.mark.parametrize("decimals", [17, 2, 1])
def test_ranking_and_error_figures_agree_with_scikit_learn(decimals: int) -> None:
    y, pd = simulated(5000, seed=1, decimals=decimals)
    kept = np.clip(pd, 1e-6, 1 - 1e-6)
    fpr, tpr, _ = sk.roc_curve(y, pd, drop_intermediate=False)
    measured = measure(y, pd)
    assert measured.auc == pytest.approx(sk.roc_auc_score(y, pd), abs=1e-12)
    assert measured.gini == pytest.approx(2 * sk.roc_auc_score(y, pd) - 1, abs=1e-12)
    assert measured.ks == pytest.approx(np.max(tpr - fpr), abs=1e-12)
    assert measured.pr_auc == pytest.approx(sk.average_precision_score(y, pd), abs=1e-12)
    assert measured.brier == pytest.approx(sk.brier_score_loss(y, pd), abs=1e-12)
    assert measured.log_loss == pytest.approx(sk.log_loss(y, kept), abs=1e-12)
    assert (measured.rows, measured.bads) == (5000, int(y.sum()))


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(predictions(), st.data())
def test_weighted_figures_agree_with_scikit_learn_and_with_repeated_rows(
    sample: tuple[Floats, Floats], data: st.DataObject
) -> None:
    y, pd = sample
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(y), max_size=len(y))))
    counts[-2:] = 1  # the rows that make sure of both classes
    rows = rank_rows(y, pd)
    weighted = weigh(rows, counts[rows.order].astype(float))
    repeated = measure(np.repeat(y, counts), np.repeat(pd, counts))
    if weighted.ks == 0:  # then the place where it is reached means nothing
        weighted, repeated = dataclasses.replace(weighted, ks_at=0), dataclasses.replace(repeated, ks_at=0)
    assert dataclasses.astuple(weighted) == pytest.approx(dataclasses.astuple(repeated), rel=1e-5, abs=1e-6)
    assert weighted.auc == pytest.approx(sk.roc_auc_score(y, pd, sample_weight=counts), abs=1e-9)
    assert weighted.pr_auc == pytest.approx(sk.average_precision_score(y, pd, sample_weight=counts), abs=1e-9)


@pytest.mark.slow
@settings(deadline=None)
@given(predictions())
def test_ks_agrees_with_scipy_and_its_place_reaches_it(sample: tuple[Floats, Floats]) -> None:
    y, pd = sample
    lead, at = metrics.ks(y, pd)
    assert lead == pytest.approx(ks_2samp(pd[y == 0], pd[y == 1], alternative="greater").statistic, abs=1e-12)
    assert lead == pytest.approx(np.mean(pd[y == 0] <= at) - np.mean(pd[y == 1] <= at), abs=1e-12)
    assert at in pd


@settings(deadline=None)
@given(predictions())
def test_every_figure_is_finite_and_inside_its_range(sample: tuple[Floats, Floats]) -> None:
    measured = measure(*sample)
    assert all(math.isfinite(value) for value in dataclasses.astuple(measured))
    for share in (measured.auc, measured.ks, measured.ks_at, measured.pr_auc, measured.brier, measured.ece):
        assert -1e-12 <= share <= 1 + 1e-12
    assert measured.brier_skill <= 1
    assert abs(measured.calibration_slope) <= metrics.STEEPEST_SLOPE
    assert measured.log_loss >= 0


@settings(deadline=None)
@given(predictions(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_never_matters(sample: tuple[Floats, Floats], random: object) -> None:
    y, pd = sample
    order = list(range(len(y)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = measure(y[order], pd[order])
    assert dataclasses.astuple(measure(y, pd)) == pytest.approx(
        dataclasses.astuple(shuffled), rel=1e-5, abs=1e-6
    )


@settings(deadline=None)
@given(predictions())
def test_ranking_figures_ignore_monotone_transforms(sample: tuple[Floats, Floats]) -> None:
    y, pd = sample
    places = np.unique(pd, return_inverse=True)[1]
    score = places.astype(float) ** 3 - 40
    assert metrics.auc(y, score) == pytest.approx(metrics.auc(y, pd), abs=1e-12)
    assert metrics.gini(y, score) == pytest.approx(metrics.gini(y, pd), abs=1e-12)
    assert metrics.ks(y, score)[0] == pytest.approx(metrics.ks(y, pd)[0], abs=1e-12)
    assert metrics.pr_auc(y, score) == pytest.approx(metrics.pr_auc(y, pd), abs=1e-12)
    assert metrics.auc(y, -score) == pytest.approx(1 - metrics.auc(y, pd), abs=1e-12)


def test_single_figures_are_those_of_measure() -> None:
    y, pd = simulated(500, seed=2)
    measured = measure(y, pd)
    singles = {
        "auc": metrics.auc(y, pd),
        "gini": metrics.gini(y, pd),
        "pr_auc": metrics.pr_auc(y, pd),
        "brier": metrics.brier(y, pd),
        "brier_skill": metrics.brier_skill(y, pd),
        "log_loss": metrics.log_loss(y, pd),
        "ece": metrics.ece(y, pd),
    }
    assert singles == {name: pytest.approx(getattr(measured, name), abs=1e-14) for name in singles}
    assert metrics.ks(y, pd) == (measured.ks, measured.ks_at)
    assert metrics.calibration(y, pd) == (measured.calibration_intercept, measured.calibration_slope)
    rows = rank_rows(y, pd)
    for name, figure in metrics.WEIGHTED.items():
        assert figure(rows, np.ones(500)) == pytest.approx(getattr(measured, name), abs=1e-14)


@pytest.mark.slow
def test_calibration_of_known_mistakes() -> None:
    y, pd = simulated(200_000, seed=3)
    x = metrics.logit(pd)
    for mistake, intercept, slope in ((x, 0.0, 1.0), (2 * x, None, 0.5), (x + 0.5, -0.5, 1.0)):
        found = metrics.calibration(y, expit(mistake))
        assert found[1] == pytest.approx(slope, abs=0.02)
        if intercept is not None:
            assert found[0] == pytest.approx(intercept, abs=0.02)


@pytest.mark.parametrize("seed", range(5))
def test_slope_and_shift_agree_with_scikit_learn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    x = generator.normal(generator.normal(0, 3), generator.uniform(0.1, 4), 400)
    y = (generator.random(400) < expit(generator.normal() + generator.normal() * x)).astype(float)
    y[np.argmin(x)], y[np.argmax(x)] = 1, 1
    y[np.argsort(x)[200]] = 0
    weights = generator.integers(1, 4, 400).astype(float)
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x[:, None], y, sample_weight=weights)
    assert fit_line(x, y, weights) == pytest.approx(
        (oracle.intercept_[0], oracle.coef_[0, 0]), rel=1e-4, abs=1e-5
    )
    shift = fit_shift(x, y, weights)
    assert weights @ expit(x + shift) == pytest.approx(weights @ y, rel=1e-8)


def test_a_slope_is_found_from_a_start_where_all_pds_are_near_0_and_1() -> None:
    x, y = np.array([-13.8, -13.8, -2.2, -2.2]), np.array([0.0, 1.0, 0.0, 1.0])
    for start in (None, (0.0, 1.0), (0.0, -20.0), (30.0, 5.0)):
        assert fit_line(x, y, np.ones(4), start=start) == pytest.approx((0, 0), abs=1e-6)


def test_a_shift_is_found_where_plain_newton_diverges() -> None:
    y = np.array([0.0] * 5 + [1.0] * 5)
    pd = np.array([1.0] * 5 + [0.0] * 5)
    intercept, slope = metrics.calibration(y, pd)
    assert intercept == pytest.approx(0, abs=1e-6)
    assert slope == -metrics.STEEPEST_SLOPE
    assert metrics.calibration(y, np.full(10, 1e-6))[0] == pytest.approx(-metrics.logit(1e-6), abs=1e-6)


def test_hopeless_slopes_are_defined() -> None:
    y = np.array([0.0, 0.0, 1.0, 1.0])
    assert metrics.calibration(y, np.full(4, 0.5)) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert metrics.calibration(y, np.array([0.1, 0.2, 0.3, 0.4]))[1] == metrics.STEEPEST_SLOPE
    assert metrics.calibration(y, np.array([0.1, 0.3, 0.3, 0.4]))[1] == metrics.STEEPEST_SLOPE
    assert metrics.calibration(y, np.array([0.4, 0.3, 0.2, 0.1]))[1] == -metrics.STEEPEST_SLOPE


def test_perfect_and_useless_predictions() -> None:
    y = np.array([0.0, 1.0, 0.0, 1.0])
    perfect = measure(y, y)
    assert (perfect.auc, perfect.ks, perfect.pr_auc, perfect.brier, perfect.brier_skill) == (1, 1, 1, 0, 1)
    useless = measure(y, np.full(4, 0.5))
    assert (useless.auc, useless.gini, useless.ks, useless.pr_auc, useless.ece) == (0.5, 0, 0, 0.5, 0)
    assert useless.brier_skill == 0
    assert measure(y, 1 - y).ks == 0


def test_ece_by_hand() -> None:
    y = np.array([0, 0, 1, 0, 1, 1, 1, 0], float)
    pd = np.array([0.1, 0.1, 0.1, 0.1, 0.6, 0.7, 0.8, 0.9])
    assert metrics.ece(y, pd, bins=2) == pytest.approx((4 * abs(0.25 - 0.1) + 4 * abs(0.75 - 0.75)) / 8)
    assert metrics.ece(y, pd, bins=1) == pytest.approx(abs(0.5 - 3.4 / 8))


@settings(deadline=None)
@given(predictions(), st.integers(1, 12))
def test_bins_keep_ties_together_and_rise(sample: tuple[Floats, Floats], bins: int) -> None:
    rows = rank_rows(*sample)
    number = metrics.mass_bins(rows, np.ones(len(rows.y)), bins)
    assert number.min() >= 0
    assert number.max() < bins
    assert (np.diff(number) >= 0).all()
    assert all(len(set(number[rows.pd == value])) == 1 for value in rows.pd)


def test_bins_without_ties_have_equal_mass() -> None:
    rows = rank_rows(np.tile([0.0, 1.0], 500), np.linspace(0, 1, 1000))
    assert np.bincount(metrics.mass_bins(rows, np.ones(1000), 10)).tolist() == [100] * 10


def test_score_points_at_known_odds() -> None:
    assert score_points([1 / 51, 1 / 101, 1 / 26]) == pytest.approx([600, 620, 580])
    assert score_points(1 / 36, base=600, odds=35, pdo=60) == pytest.approx(600)
    assert np.isfinite(score_points([0.0, 1.0])).all()


@settings(deadline=None)
@given(st.floats(1e-5, 0.9), st.floats(200, 900), st.floats(1, 100), st.floats(5, 100))
def test_pdo_more_points_double_the_odds(pd: float, base: float, odds: float, pdo: float) -> None:
    doubled = 2 * (1 - pd) / pd
    scores = score_points([pd, 1 / (1 + doubled)], base=base, odds=odds, pdo=pdo)
    assert scores[1] - scores[0] == pytest.approx(pdo, rel=1e-6)


@settings(deadline=None)
@given(st.lists(st.floats(1e-6, 1 - 1e-6), min_size=2, max_size=20))
def test_points_fall_as_pds_rise(pds: list[float]) -> None:
    assert (np.diff(score_points(sorted(pds))) <= 0).all()


@pytest.mark.parametrize(
    ("y", "pd", "message"),
    [
        ([0, 1], [0.1, 0.2, 0.3], "one length"),
        ([[0, 1]], [[0.1, 0.2]], "one length"),
        ([0, 0], [0.1, 0.2], "both classes"),
        ([1, 1], [0.1, 0.2], "both classes"),
        ([], [], "both classes"),
        ([0, 1], [0.1, math.nan], "finite"),
        ([0, 1], [0.1, math.inf], "finite"),
        ([0, math.nan], [0.1, 0.2], "0 or 1"),
        ([0, 2], [0.1, 0.2], "0 or 1"),
        ([0, 1], [0.1, 1.2], "between 0 and 1"),
        ([0, 1], [-0.1, 0.2], "between 0 and 1"),
    ],
)
def test_unusable_predictions_are_refused(y: list[float], pd: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        measure(y, pd)


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="pdo"):
        score_points(0.1, pdo=0)
    with pytest.raises(ConfigurationError, match="bins"):
        metrics.ece([0, 1], [0.1, 0.2], bins=0)


def test_figures_are_frozen_and_all_documented_numbers() -> None:
    measured = measure([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4])
    with pytest.raises(dataclasses.FrozenInstanceError):
        measured.auc = 1.0  # type: ignore[misc]
    assert all(
        type(getattr(measured, field.name)).__name__ == field.type.__name__
        for field in dataclasses.fields(Metrics)
    )


# Weights -----------------------------------------------------------------------------------------------


def weighted_rows(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    pd_ = np.round(generator.uniform(0.01, 0.99, 200), 3)
    y = (generator.random(200) < pd_).astype(float)
    return y, pd_, generator.integers(1, 5, 200).astype(float)


@pytest.mark.parametrize("seed", range(3))
def test_whole_weights_say_the_same_as_repeated_rows(seed):
    y, pd_, weights = weighted_rows(seed)
    times = weights.astype(int)
    repeated = measure(np.repeat(y, times), np.repeat(pd_, times))
    weighted = measure(y, pd_, weights=weights)
    for name in (
        "auc",
        "gini",
        "ks",
        "ks_at",
        "pr_auc",
        "brier",
        "brier_skill",
        "log_loss",
        "ece",
        "mean_pd",
    ):
        assert getattr(weighted, name) == pytest.approx(getattr(repeated, name)), name
    for name in ("base_rate", "calibration_slope", "calibration_intercept"):
        assert getattr(weighted, name) == pytest.approx(getattr(repeated, name), abs=1e-6), name
    assert (weighted.rows, weighted.bads) == (200, int(y.sum()))


def test_weighted_metrics_are_those_of_scikit_learn():
    y, pd_, weights = weighted_rows(9)
    found = measure(y, pd_, weights=7 * weights)
    assert found.auc == pytest.approx(sk.roc_auc_score(y, pd_, sample_weight=weights))
    assert found.pr_auc == pytest.approx(sk.average_precision_score(y, pd_, sample_weight=weights))
    assert found.brier == pytest.approx(sk.brier_score_loss(y, pd_, sample_weight=weights))
    assert found.log_loss == pytest.approx(sk.log_loss(y, pd_, sample_weight=weights))


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, -1.0], [1.0, np.nan], [np.inf, 1.0]])
def test_weights_are_above_0_one_a_row(weights):
    with pytest.raises(DataError, match="weights must be above 0, one a row"):
        measure([0.0, 1.0], [0.2, 0.4], weights=weights)

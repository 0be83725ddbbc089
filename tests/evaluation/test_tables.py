import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import beta
from sklearn.metrics import auc as area
from sklearn.metrics import roc_curve

from loan_default.errors import ConfigurationError, DataError
from loan_default.evaluation import metrics, tables

Floats = NDArray[np.float64]


def simulated(rows: int, *, seed: int, decimals: int = 17) -> tuple[Floats, Floats]:
    generator = np.random.default_rng(seed)
    pd = expit(generator.normal(-1.2, 1.0, rows))
    return (generator.random(rows) < pd).astype(float), np.round(pd, decimals)


def test_deciles_by_hand() -> None:
    table = tables.decile_table([0, 0, 0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], bins=3)
    assert table["bin"].tolist() == [1, 2, 3]
    assert table["rows"].tolist() == [2, 2, 2]
    assert table["bads"].tolist() == [1, 1, 0]
    assert table["bad_rate"].tolist() == [0.5, 0.5, 0]
    assert table["mean_pd"].to_numpy() == pytest.approx([0.55, 0.35, 0.15])
    assert table["lowest_pd"].tolist() == [0.5, 0.3, 0.1]
    assert table["highest_pd"].tolist() == [0.6, 0.4, 0.2]
    assert table["capture"].tolist() == [0.5, 1, 1]
    assert table["lift"].to_numpy() == pytest.approx([1.5, 1.5, 1])
    assert table["ks"].to_numpy() == pytest.approx([0.25, 0.5, 0])


@settings(deadline=None)
@given(st.integers(2, 400), st.integers(1, 20), st.sampled_from([1, 2, 17]), st.integers(0, 50))
def test_deciles_add_up(rows: int, bins: int, decimals: int, seed: int) -> None:
    y, p = simulated(rows, seed=seed, decimals=decimals)
    y[:2] = 0, 1
    table = tables.decile_table(y, p, bins=bins)
    assert len(table) <= bins
    assert table["rows"].sum() == rows
    assert table["bads"].sum() == y.sum()
    assert np.average(table["mean_pd"], weights=table["rows"]) == pytest.approx(p.mean())
    assert (table["lowest_pd"].to_numpy()[:-1] > table["highest_pd"].to_numpy()[1:]).all()
    assert table["capture"].is_monotonic_increasing
    assert table.iloc[-1][["capture", "lift", "ks"]].tolist() == pytest.approx([1, 1, 0])
    assert table["ks"].max() <= metrics.ks(y, p)[0] + 1e-12
    inside = (table["low"] <= table["bad_rate"]) & (table["bad_rate"] <= table["high"])
    assert inside.all()


def test_deciles_without_ties_have_equal_size() -> None:
    y, p = simulated(1000, seed=1)
    assert tables.decile_table(y, p)["rows"].tolist() == [100] * 10


def test_constant_predictions_give_one_bin() -> None:
    table = tables.decile_table([0, 1, 0, 0], [0.3] * 4)
    assert table[["rows", "bads"]].to_numpy().tolist() == [[4, 1]]
    assert table["lift"].tolist() == [1]


def test_the_calibration_curve_is_the_deciles_upside_down() -> None:
    y, p = simulated(1000, seed=2)
    curve, table = tables.calibration_curve(y, p), tables.decile_table(y, p)
    pd.testing.assert_frame_equal(curve, table[curve.columns][::-1].reset_index(drop=True))
    gaps = (curve["bad_rate"] - curve["mean_pd"]).abs()
    assert np.average(gaps, weights=curve["rows"]) == pytest.approx(metrics.ece(y, p))


def test_intervals_are_jeffreys_and_closed_at_the_ends() -> None:
    y = np.array([0] * 10 + [1, 0, 0, 1, 0, 0, 0, 1, 0, 0] + [1] * 10, float)
    curve = tables.calibration_curve(y, np.repeat([0.1, 0.2, 0.9], 10), bins=3, level=0.9)
    assert curve["bads"].tolist() == [0, 3, 10]
    assert curve["low"].tolist() == pytest.approx([0, beta.ppf(0.05, 3.5, 7.5), beta.ppf(0.05, 10.5, 0.5)])
    assert curve["high"].tolist() == pytest.approx([beta.ppf(0.95, 0.5, 10.5), beta.ppf(0.95, 3.5, 7.5), 1])


@pytest.mark.parametrize("decimals", [17, 2])
def test_roc_points_are_those_of_scikit_learn(decimals: int) -> None:
    y, p = simulated(300, seed=3, decimals=decimals)
    fpr, tpr, _ = roc_curve(y, p, drop_intermediate=False)
    points = tables.roc_points(y, p)
    assert points["fpr"].to_numpy() == pytest.approx(fpr)
    assert points["tpr"].to_numpy() == pytest.approx(tpr)


@pytest.mark.slow
@settings(deadline=None)
@given(st.integers(2, 3000), st.integers(3, 500), st.integers(0, 20))
def test_thinned_curves_keep_ends_peak_and_area(rows: int, limit: int, seed: int) -> None:
    y, p = simulated(rows, seed=seed)
    y[:2] = 0, 1
    points, curves = tables.roc_points(y, p, limit=limit), tables.ks_curves(y, p, limit=limit)
    assert max(len(points), len(curves)) <= limit
    assert points.iloc[[0, -1]].to_numpy().tolist() == [[0, 0], [1, 1]]
    assert points["fpr"].is_monotonic_increasing
    assert points["tpr"].is_monotonic_increasing
    assert curves["pd"].is_monotonic_increasing
    assert curves.iloc[-1][["bads", "goods"]].tolist() == [1, 1]
    lead, at = metrics.ks(y, p)
    assert curves["lead"].max() == pytest.approx(lead, abs=1e-12)
    assert curves.loc[curves["lead"].idxmax(), "pd"] == at
    assert (points["tpr"] - points["fpr"]).max() == pytest.approx(lead, abs=1e-12)
    if limit >= 200:
        assert area(points["fpr"], points["tpr"]) == pytest.approx(metrics.auc(y, p), abs=0.01)


def test_curves_of_constant_predictions() -> None:
    assert tables.roc_points([0, 1], [0.5, 0.5]).to_numpy().tolist() == [[0, 0], [1, 1]]
    assert tables.ks_curves([0, 1], [0.5, 0.5]).to_numpy().tolist() == [[0.5, 1, 1, 0]]


def test_the_histogram_holds_every_row_of_each_class_once() -> None:
    y, p = simulated(2000, seed=4)
    points = metrics.score_points(p)
    table = tables.score_histogram(y, points, bins=25)
    assert len(table) == 25
    assert table["bads"].sum() == pytest.approx(1)
    assert table["goods"].sum() == pytest.approx(1)
    assert (table["low"].iloc[0], table["high"].iloc[-1]) == (points.min(), points.max())
    place = 12
    inside = (points >= table["low"][place]) & (points < table["high"][place])
    assert table["bads"][place] == pytest.approx(y[inside].sum() / y.sum())
    assert len(tables.score_histogram([0, 1], [3.0, 3.0], bins=5)) == 5


def test_unusable_input_is_refused() -> None:
    with pytest.raises(DataError, match="both classes"):
        tables.decile_table([0, 0], [0.1, 0.2])
    with pytest.raises(DataError, match="both classes"):
        tables.score_histogram([0, 0], [0.1, 0.2])
    with pytest.raises(DataError, match="finite"):
        tables.score_histogram([0, 1], [0.1, np.nan])
    with pytest.raises(ConfigurationError, match="limit"):
        tables.roc_points([0, 1], [0.1, 0.2], limit=2)
    with pytest.raises(ConfigurationError, match="level"):
        tables.calibration_curve([0, 1], [0.1, 0.2], level=1.5)


def test_tables_and_curves_are_as_long_as_they_say_by_default() -> None:
    y, p = simulated(5000, seed=6)
    assert len(tables.decile_table(y, p)) == len(tables.calibration_curve(y, p)) == 10
    assert 300 < len(tables.roc_points(y, p)) <= 400
    assert 300 < len(tables.ks_curves(y, p)) <= 400
    assert len(tables.score_histogram(y, p)) == 40


def test_intervals_hold_95_of_100_by_default() -> None:
    y = np.repeat([1.0, 0.0], [3, 7])
    for table in (tables.decile_table, tables.calibration_curve):
        row = table(y, np.full(10, 0.5)).iloc[0]
        assert (row["low"], row["high"]) == pytest.approx(
            (beta.ppf(0.025, 3.5, 7.5), beta.ppf(0.975, 3.5, 7.5))
        )


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1])
def test_a_level_lies_between_none_and_all(level: float) -> None:
    with pytest.raises(ConfigurationError, match="level must lie between 0 and 1"):
        tables.decile_table([0, 1], [0.1, 0.2], level=level)


def test_three_points_are_both_ends_and_the_peak() -> None:
    y, p = simulated(200, seed=7)
    points = tables.roc_points(y, p, limit=3)
    assert 2 <= len(points) <= 3
    assert (points["tpr"] - points["fpr"]).max() == pytest.approx(metrics.ks(y, p)[0])
    curves = tables.ks_curves(y, p, limit=3)
    assert curves["lead"].max() == pytest.approx(metrics.ks(y, p)[0])
    assert curves["lead"].to_numpy() == pytest.approx(curves["goods"] - curves["bads"])


def test_as_many_points_as_the_limit_are_all_kept() -> None:
    p = np.linspace(0.1, 0.9, 5)
    y = np.array([0.0, 1, 0, 1, 1])
    assert tables.ks_curves(y, p, limit=5)["pd"].tolist() == p.tolist()
    assert len(tables.ks_curves(y, p, limit=4)) <= 4


def test_one_row_of_each_class_is_enough_for_a_histogram() -> None:
    table = tables.score_histogram([1, 0, 0], [1.0, 2.0, 3.0], bins=2)
    assert table["low"].tolist() == [1, 2]
    assert table["high"].tolist() == [2, 3]
    assert table["bads"].tolist() == [1, 0]
    assert table["goods"].tolist() == [0, 1]
    for y, scores in (
        ([1, 1], [0.1, 0.2]),
        ([0, 1], [0.1]),
        ([[0, 1]], [[0.1, 0.2]]),
        ([0, 1], [0.1, np.inf]),
    ):
        with pytest.raises(DataError):
            tables.score_histogram(y, scores)


@pytest.mark.parametrize("seed", range(5))
def test_whole_weights_draw_the_curves_of_repeated_rows(seed: int) -> None:
    y, p = simulated(300, seed=seed, decimals=3)
    weights = np.random.default_rng(seed).integers(1, 5, 300)
    again = np.repeat(y, weights), np.repeat(p, weights)
    for curve in (tables.roc_points, tables.ks_curves, tables.score_histogram):
        pd.testing.assert_frame_equal(curve(y, p, weights=7.0 * weights), curve(*again))
    for table in (tables.decile_table, tables.calibration_curve):
        own, expected = table(y, p, weights=weights), table(*again)
        counts = ["rows", "bads", "low", "high"]
        pd.testing.assert_frame_equal(own.drop(columns=counts), expected.drop(columns=counts))
        assert own["rows"].sum() == 300
        assert own["bads"].sum() == y.sum()
        # Repeated rows would look surer than the rows that there are.
        assert (own["high"] - own["low"] > (expected["high"] - expected["low"])).all()
    points = tables.roc_points(y, p, weights=weights, limit=1000)
    wrong, right, _ = roc_curve(y, p, sample_weight=weights)
    assert area(points["fpr"], points["tpr"]) == pytest.approx(area(wrong, right))


def test_equal_weights_change_nothing() -> None:
    y, p = simulated(300, seed=8)
    for table in (tables.decile_table, tables.calibration_curve, tables.roc_points, tables.ks_curves):
        pd.testing.assert_frame_equal(table(y, p, weights=np.full(300, 3.0)), table(y, p))

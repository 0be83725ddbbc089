"""What the quality is measured with: paired intervals, the search, slopes and what is kept."""

import json

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from benchmarks.calibration import line_of, lines_of, slope_of, table
from benchmarks.comparison import METRICS, best_of, difference, mean_difference, resample
from benchmarks.credit_sets import load
from benchmarks.figures import Figures, add_figures, figures_table, read_figures
from benchmarks.kept import keep, kept_path, kept_runs
from benchmarks.quality_tables import tables
from benchmarks.tuning import best_trial
from loan_default.evaluation.metrics import log_loss, measure
from loan_default.models.calibration import CALIBRATION_METHODS


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    """Outcomes and the logits that they were drawn by."""
    rng = np.random.default_rng(0)
    logits = rng.normal(-1.5, 1.2, 2_000)
    return (rng.random(2_000) < expit(logits)).astype(np.float64), logits


@pytest.mark.slow
def test_the_values_are_the_metrics_and_the_interval_of_a_mean_is_that_of_its_standard_error(rows):
    y, logits = rows
    right, noisy = expit(logits), expit(logits + np.random.default_rng(1).normal(0, 1, len(y)))
    found = resample(y, {"right": [right], "noisy": [noisy]}, draws=400)
    for metric in METRICS:
        expected = getattr(measure(y, right), metric) - getattr(measure(y, noisy), metric)
        gap = difference(found["right"], found["noisy"], metric)
        assert gap.value == pytest.approx(expected, abs=1e-12)
        assert gap.low < gap.value < gap.high
    gap = difference(found["right"], found["noisy"], "brier")
    rowwise = (right - y) ** 2 - (noisy - y) ** 2
    # The outcomes are drawn at their rates: only the spread within each of them counts.
    error = np.sqrt(sum(rowwise[y == each].var() * (y == each).sum() for each in (0, 1))) / len(y)
    assert gap.high - gap.low == pytest.approx(2 * 1.96 * error, rel=0.15)
    assert (best_of(found, "auc"), best_of(found, "log_loss")) == ("right", "right")


@pytest.mark.slow
def test_a_model_does_not_differ_from_itself_and_seeds_that_differ_widen_the_interval(rows):
    y, logits = rows
    same, shifts = expit(logits), (-0.4, -0.2, 0.0, 0.2, 0.4)
    found = resample(y, {"a": [same] * 5, "b": [expit(logits + shift) for shift in shifts]}, draws=200)
    itself = difference(found["a"], found["a"], "auc")
    assert (itself.value, itself.low, itself.high) == (0, 0, 0)
    all_seeds = difference(found["b"], found["a"], "log_loss")
    one_seed = resample(y, {"a": [same], "b": [expit(logits + 0.2)]}, draws=200)
    alone = difference(one_seed["b"], one_seed["a"], "log_loss")
    assert all_seeds.high - all_seeds.low > alone.high - alone.low


@pytest.mark.slow
def test_the_mean_over_sets_is_narrower_than_the_sets(rows):
    y, logits = rows
    rng = np.random.default_rng(3)
    gaps = []
    for _ in range(4):
        noisy = expit(logits + rng.normal(0, 1, len(y)))
        found = resample(y, {"right": [expit(logits)], "noisy": [noisy]}, draws=200)
        gaps.append(difference(found["right"], found["noisy"], "log_loss"))
    mean = mean_difference(gaps)
    assert mean.value == pytest.approx(np.mean([each.value for each in gaps]))
    widths = [each.high - each.low for each in gaps]
    assert mean.high - mean.low == pytest.approx(np.mean(widths) / 2, rel=0.2)


def test_the_search_goes_on_where_it_was_killed_and_takes_the_least(tmp_path):
    proposed, tried = [{"x": 3.0}, {"x": 1.0}, {"x": 2.0}], []

    def killed_at_the_second(settings):
        if len(tried) == 1:
            raise KeyboardInterrupt
        tried.append(settings["x"])
        return settings["x"], 7

    kept = tmp_path / "trials.json"
    with pytest.raises(KeyboardInterrupt):
        best_trial(proposed, killed_at_the_second, kept=kept)
    assert [each["settings"] for each in json.loads(kept.read_text())] == proposed[:1]

    def measured(settings):
        tried.append(settings["x"])
        return settings["x"], 7

    assert best_trial(proposed, measured, kept=kept).settings == {"x": 1.0}
    assert tried == [3.0, 1.0, 2.0]
    assert best_trial(proposed, measured, kept=kept).rounds == 7
    assert tried == [3.0, 1.0, 2.0]


def test_kept_runs_are_those_that_were_measured(tmp_path):
    for seed in (0, 2):
        keep(
            kept_path(tmp_path, "hmeq", "scratch", seed), {"test": [0.1 * seed], "method": "none"}, seconds=1
        )
    runs = kept_runs(tmp_path, "hmeq", "scratch", seeds=5)
    assert sorted(runs) == [0, 2]
    assert runs[2]["test"] == pytest.approx([0.2])
    assert str(runs[0]["method"]) == "none"


@pytest.mark.slow
def test_the_slope_is_that_of_a_logistic_regression_and_its_interval_covers(rows):
    y, logits = rows
    off = 0.2 + 0.7 * logits
    peer = LogisticRegression(C=np.inf).fit(off[:, None], y)
    assert slope_of(y, expit(off)).value == pytest.approx(float(peer.coef_[0, 0]), rel=1e-3)
    assert not slope_of(y, expit(2 * logits)).contains_one
    rng = np.random.default_rng(5)
    draws = [(rng.random(len(logits)) < expit(logits)).astype(np.float64) for _ in range(200)]
    covered = sum(slope_of(drawn, expit(logits)).contains_one for drawn in draws)
    assert 180 <= covered <= 199  # 190 are expected, their standard deviation is 3


def test_a_line_of_the_calibration_shows_each_form_and_what_was_chosen(rows):
    y, logits = rows
    overconfident, half = expit(2 * logits), len(y) // 2
    run = {
        "pooled_refitted": overconfident[half:],
        "pooled_unseen": overconfident[:half],
        "unseen": np.arange(half),
        "refitted": expit(logits[half:]),
        "method": np.asarray("platt"),
    }
    labels, test = y.astype(np.float32), np.arange(half, len(y))
    line = line_of(run, labels, test, learned="refitted", name="drawn", model="scratch", seed=1)
    assert line.forms["none"] == pytest.approx(log_loss(y[half:], overconfident[half:]))
    assert line.forms["platt"] < line.forms["none"]
    assert line.loss == pytest.approx(log_loss(y[half:], expit(logits[half:])) - line.forms["none"])
    shown = table([line])
    assert all(method in shown for method in CALIBRATION_METHODS)
    assert "contains 1 in 1 of 1 runs" in shown


@pytest.mark.slow
def test_the_lines_of_a_set_are_of_the_runs_that_were_kept(tmp_path):
    data = load("uci_credit_card")
    rate = float(data.y[data.validation].mean())
    arrays = {
        "pooled_refitted": np.full(len(data.test), rate),
        "pooled_unseen": np.full(len(data.validation), 0.5),
        "unseen": data.validation,
        "refitted": np.linspace(0.1, 0.3, len(data.test)),
        "method": "level",
    }
    keep(kept_path(tmp_path, data.name, "scratch", 3), arrays, seconds=1)
    (line,) = lines_of(data.name, "scratch", learned="refitted", seeds=5, folder=tmp_path)
    assert (line.seed, line.method) == (3, "level")
    y = data.y[data.test]
    assert line.chosen == pytest.approx(log_loss(y, arrays["refitted"]))
    assert line.forms["none"] == pytest.approx(log_loss(y, arrays["pooled_refitted"]))
    assert lines_of(data.name, "pretrained", learned="refitted", seeds=5, folder=tmp_path) == []


@pytest.mark.slow
def test_the_tables_show_each_model_that_was_measured_and_compare_ours_with_the_booster(tmp_path):
    data = load("uci_credit_card")
    rng = np.random.default_rng(0)

    def pds(n: int) -> np.ndarray:
        return rng.uniform(0.05, 0.6, n)

    n_test, n_validation = len(data.test), len(data.validation)
    plain = {"test": pds(n_test), "refitted": pds(n_test)}
    nets = {
        "validation": pds(n_validation),
        "raw_test": pds(n_test)[None],
        "raw_refitted": pds(n_test)[None],
    }
    for model, arrays in (
        ("LightGBM", plain),
        ("pretrained", plain | nets),
        ("with-trees", plain),
    ):
        keep(kept_path(tmp_path, data.name, model, 0), arrays, seconds=1.0)
    shown = tables([data.name], folder=tmp_path, seeds=1, boosters=("LightGBM",))
    for label in ("LightGBM", "ours, pretrained", "ours, pretrained, with trees"):
        assert f"| uci_credit_card | {label} |" in shown
    # All have the same PDs.
    assert "| ours, pretrained, with trees: AUC | +0.0000 (+0.0000 to +0.0000) |" in shown


def test_figures_of_several_machines_are_gathered_and_the_last_of_the_same_counts(tmp_path):
    path = tmp_path / "quality.csv"
    assert read_figures(path) == {}

    def figures(seed, auc):
        same = {"ks": 0.4, "brier": 0.1, "log_loss": 0.3, "slope": None, "auc_before": None}
        rest = {"log_loss_before": 0.31, "seconds": 7.0, "commit": "abc"}
        return Figures(set="hmeq", model="pretrained", seed=seed, auc=auc, **same, **rest)

    for each in (figures(1, 0.7), figures(0, 0.8), figures(1, 0.9)):
        add_figures(each, path)
    assert read_figures(path) == {each.key: each for each in (figures(0, 0.8), figures(1, 0.9))}
    assert "| hmeq | pretrained | 2 | .8500 | .4000 |" in figures_table(read_figures(path).values())


def test_the_figures_that_are_kept_with_the_code_can_be_read():
    for each in read_figures().values():
        assert 0.5 < each.auc < 1
        assert each.commit

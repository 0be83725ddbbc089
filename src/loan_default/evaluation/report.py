"""The report of a training run: what a risk manager and an engineer ask about it, in one HTML file.

`render_report(ReportInputs(…))` returns the text of a page that opens from disk: no scripts, no network,
charts inline, a light and a dark scheme, and a layout for paper. A section without data is left out; text
from data is escaped. Words and layout are in `templates/`, conclusions in `statements`.
"""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from pandas import DataFrame

from loan_default.evaluation import charts, formats, statements
from loan_default.evaluation.bootstrap import Interval
from loan_default.evaluation.card_blocks import blocks_for_page
from loan_default.evaluation.metrics import Metrics, measure
from loan_default.evaluation.pages import page_templates
from loan_default.evaluation.reject_section import rejected_applications
from loan_default.evaluation.report_inputs import ReportInputs, TestPredictions
from loan_default.evaluation.statements import Statement
from loan_default.evaluation.tables import (
    calibration_curve,
    decile_table,
    ks_curves,
    roc_points,
    score_histogram,
)

MOST_FEATURES = 20
"""Bars in the importance chart; the rest is counted in its caption."""
MOST_COLUMNS = 400
"""Rows in the table of columns; the rest is counted below it. Keeps the file small."""


def render_report(inputs: ReportInputs) -> str:
    """The page as HTML text.

    Raises:
        DataError: the test predictions are no PDs, or hold one class only.
    """
    metrics = measure(inputs.test.y, inputs.test.calibrated, weights=inputs.test.weights)
    deciles = decile_table(inputs.test.y, inputs.test.calibrated, weights=inputs.test.weights)
    before = inputs.test.uncalibrated
    split_rows = sum(split.rows for split in inputs.data.splits)
    split_defaults = sum(split.rows * split.default_rate for split in inputs.data.splits)
    rejects = rejected_applications(inputs.rejects)
    page = {
        "report": inputs,
        "byline": _byline(inputs),
        "strip": _strip(inputs, metrics),
        "lead": statements.headline(
            metrics.auc, rows=metrics.rows, predicted=metrics.mean_pd, observed=metrics.base_rate
        ),
        "statements": _statements(inputs, metrics, deciles),
        "sections": _sections(inputs),
        "metrics": metrics,
        "metrics_before": None
        if before is None
        else measure(inputs.test.y, before, weights=inputs.test.weights),
        "deciles": list(deciles.itertuples(index=False)),
        "metric_rows": _metric_rows(inputs),
        "part_metrics": _PART_METRICS,
        "settings": formats.grouped(inputs.hyperparameters),
        "total_seconds": sum(inputs.timings.values()),
        "longest_seconds": max(inputs.timings.values(), default=0.0),
        "split_rows": split_rows,
        "split_rate": split_defaults / split_rows if split_rows else None,
        "most_columns": MOST_COLUMNS,
        "most_features": MOST_FEATURES,
        "rejects": {"intro": rejects.intro, "blocks": blocks_for_page(rejects.blocks)},
        "charts": {name: Markup(svg) for name, svg in _charts(inputs, metrics, deciles).items()},  # noqa: S704
    }
    return page_templates().get_template("report.html").render(page).lstrip()


_SECTIONS = (
    ("summary", "Summary"),
    ("data", "Data"),
    ("training", "Training curves"),
    ("discrimination", "Discrimination"),
    ("calibration", "Calibration"),
    ("metrics", "All metrics"),
    ("rejects", "Rejected applications"),
    ("importance", "Features that matter"),
    ("settings", "Settings and choices"),
    ("provenance", "Provenance"),
)

_METRICS = {
    "auc": ("AUC", "Chance that a defaulter gets the higher PD; 0.5 is luck, 1 is perfect."),
    "gini": ("Gini", "The same on another scale, twice the AUC less 1; 0 is luck."),
    "ks": ("KS", "Largest distance between the two classes at one cut-off; 0 is luck."),
    "pr_auc": (
        "PR-AUC",
        "Mean share of defaulters among those ranked at least as risky; luck is the default rate.",
    ),
    "brier": ("Brier score", "Mean squared distance of PD and outcome; lower is better."),
    "brier_skill": (
        "Brier skill",
        "Part of the Brier score of the bare default rate that the PDs remove; 0 is none.",
    ),
    "log_loss": ("Log loss", "Mean surprise at the outcomes; lower is better, and sure errors cost most."),
    "ece": (
        "ECE",
        "Mean distance of PD and default rate over ten equal groups, the interval centred; lower is better.",
    ),
    "calibration_slope": ("Calibration slope", "1 is right; below 1 the PDs are too far apart."),
    "calibration_intercept": ("Calibration intercept", "0 is right; above 0 the PDs are too low on average."),
}


_PART_METRICS = {name: _METRICS[name][0] for name in ("auc", "ks", "brier", "log_loss")}


def _byline(inputs: ReportInputs) -> list[str]:
    created_at = inputs.created_at.astimezone(UTC)
    return [", ".join(inputs.data.sources), f"{created_at:%Y-%m-%d %H:%M} UTC"]


def _strip(inputs: ReportInputs, metrics: Metrics) -> list[dict[str, str]]:
    names = {
        "auc": "AUC",
        "gini": "Gini",
        "ks": "KS",
        "brier": "Brier score",
        "calibration_slope": "Calibration slope",
    }
    rows = []
    for name, text in names.items():
        interval = inputs.intervals[name]
        rows.append(
            {"name": text, "value": formats.metric(interval.value, name), "note": _range(interval, name)}
        )
    tested = f"{metrics.rows:,} tested"
    rows.append({"name": "Rows", "value": formats.count(inputs.data.accepted), "note": tested})
    rate = formats.percent(inputs.data.default_rate)
    rows.append(
        {"name": "Default rate", "value": rate, "note": f"{formats.percent(metrics.base_rate)} tested"}
    )
    return rows


def _range(interval: Interval, name: str) -> str:
    return f"{formats.metric(interval.low, name)} to {formats.metric(interval.high, name)}"


def _statements(inputs: ReportInputs, metrics: Metrics, deciles: DataFrame) -> list[Statement]:
    data, intervals = inputs.data, inputs.intervals
    found = [
        statements.ranking(intervals["auc"], rows=metrics.rows, defaults=metrics.bads, alone=inputs.alone),
        statements.rank_order(deciles["bad_rate"].tolist()),
        statements.calibration(
            intervals["calibration_slope"],
            intervals["calibration_intercept"],
            predicted=metrics.mean_pd,
            observed=metrics.base_rate,
        ),
    ]
    if inputs.test.uncalibrated is not None:
        before = measure(inputs.test.y, inputs.test.uncalibrated, weights=inputs.test.weights).log_loss
        found.append(statements.calibration_step(before, metrics.log_loss))
    if inputs.auc_difference is not None:
        found.insert(1, statements.against_baseline(inputs.auc_difference))
    if intervals["auc"].value > statements.TOO_GOOD:
        found = [statements.in_doubt(each) for each in found]
    if inputs.near_copies is not None:
        found.append(statements.near_copies(inputs.near_copies, metrics=metrics))
    accounting = statements.accounting(
        read=data.rows_read,
        accepted=data.accepted,
        duplicates=data.duplicates,
        quarantined=data.quarantined,
    )
    return [*found, accounting]


def _sections(inputs: ReportInputs) -> list[dict[str, str]]:
    empty = {
        "training": not (inputs.pretraining or inputs.training),
        "importance": not inputs.importance,
        "settings": not (inputs.hyperparameters or inputs.choices),
        "provenance": not (inputs.provenance or inputs.timings),
    }
    return [{"anchor": anchor, "title": title} for anchor, title in _SECTIONS if not empty.get(anchor)]


def _metric_rows(inputs: ReportInputs) -> list[dict[str, Any]]:
    """The known metrics in the order of `_METRICS`, then all others that were measured."""
    names = [name for name in _METRICS if name in inputs.intervals]
    names += [
        name for name in inputs.intervals if name not in _METRICS and name not in ("base_rate", "mean_pd")
    ]
    rows = []
    for name in names:
        text, meaning = _METRICS.get(name, (name.replace("_", " "), ""))
        baseline = inputs.baseline_intervals.get(name)
        ours = inputs.intervals[name]
        rows.append({"key": name, "name": text, "meaning": meaning, "ours": ours, "baseline": baseline})
    return rows


def _charts(inputs: ReportInputs, metrics: Metrics, deciles: DataFrame) -> dict[str, str]:
    """Name -> SVG text; charts without data are left out."""
    return _test_charts(inputs, metrics, deciles) | _epoch_charts(inputs) | _importance_chart(inputs)


def _test_charts(inputs: ReportInputs, metrics: Metrics, deciles: DataFrame) -> dict[str, str]:
    test = inputs.test
    roc = {"this model": test.calibrated}
    if test.baseline is not None:
        roc["logistic regression"] = test.baseline
    shares = ks_curves(test.y, test.calibrated, weights=test.weights)
    curve = calibration_curve(test.y, test.calibrated, weights=test.weights)
    scores = score_histogram(test.y, test.calibrated, weights=test.weights)
    before = None
    if test.uncalibrated is not None:
        before = _groups(calibration_curve(test.y, test.uncalibrated, weights=test.weights))
    riskiest = deciles.iloc[0]
    return {
        "roc": charts.roc_chart(
            {name: (points["fpr"], points["tpr"]) for name, points in _roc(test, roc).items()},
            label=f"ROC curve on the test split. Area under the curve {metrics.auc:.3f}.",
        ),
        "ks": charts.ks_chart(
            shares["pd"].to_numpy(),
            shares["bads"].to_numpy(),
            shares["goods"].to_numpy(),
            at=metrics.ks_at,
            label=f"Share of each class up to a PD; largest distance (KS) {metrics.ks:.3f} "
            f"at PD {metrics.ks_at:.1%}.",
        ),
        "scores": charts.score_chart(
            np.append(scores["low"], scores["high"].iloc[-1]),
            scores["bads"].to_numpy(),
            scores["goods"].to_numpy(),
            label="Distribution of the PDs of defaulters and of non-defaulters.",
        ),
        "deciles": charts.deciles_chart(
            _groups(deciles),
            label=f"Mean PD beside the observed default rate by group of PD; in the riskiest group "
            f"{riskiest['mean_pd']:.1%} expected and {riskiest['bad_rate']:.1%} observed.",
        ),
        "reliability": charts.reliability_chart(
            _groups(curve),
            before=before,
            label=f"Observed default rate against mean PD in {len(curve)} groups; "
            f"mean distance (ECE) {metrics.ece:.4f}.",
        ),
    }


def _roc(test: TestPredictions, predictions: Mapping[str, NDArray[np.float64]]) -> dict[str, DataFrame]:
    return {name: roc_points(test.y, pd, weights=test.weights) for name, pd in predictions.items()}


def _groups(table: DataFrame) -> charts.Groups:
    predicted, observed, low, high = table[["mean_pd", "bad_rate", "low", "high"]].to_numpy(np.float64).T
    return charts.Groups(predicted=predicted, observed=observed, low=low, high=high)


def _epoch_charts(inputs: ReportInputs) -> dict[str, str]:
    drawn = {}
    if inputs.pretraining:
        epochs = [point.epoch for point in inputs.pretraining]
        lines = [
            charts.Line(
                name=name, x=epochs, y=[point.losses.get(name, np.nan) for point in inputs.pretraining]
            )
            for name in inputs.pretraining[0].losses
        ]
        drawn["pretraining"] = charts.epochs_chart(
            "pretraining",
            lines,
            y_label="loss",
            label=f"Pretraining loss over {len(epochs)} epochs.",
            size=charts.WIDE,
        )
    if inputs.training:
        best = "; ".join(f"{curve.name}: best epoch {curve.best_epoch}" for curve in inputs.training)
        drawn["training_loss"] = charts.epochs_chart(
            "training-loss",
            [
                charts.Line(name=curve.name, x=curve.epochs, y=curve.training_loss)
                for curve in inputs.training
            ],
            y_label="training loss",
            label=f"Training loss per epoch of {len(inputs.training)} member(s).",
        )
        measure = inputs.training[0].measure
        drawn["validation"] = charts.epochs_chart(
            "validation",
            [
                charts.Line(name=curve.name, x=curve.epochs, y=curve.validation, mark=curve.best_epoch)
                for curve in inputs.training
            ],
            y_label=f"validation {measure}",
            label=f"Validation {measure} per epoch. {best}.",
        )
    return drawn


def _importance_chart(inputs: ReportInputs) -> dict[str, str]:
    if not inputs.importance:
        return {}
    shown = inputs.importance[:MOST_FEATURES]
    first = ", ".join(f"{part.column} {part.mean_drop:.4f}" for part in shown[:3])
    svg = charts.importance_chart(
        [part.column for part in shown],
        [part.mean_drop for part in shown],
        [part.sd for part in shown],
        label=f"Loss of AUC when a column is shuffled. Largest: {first}.",
    )
    return {"importance": svg}

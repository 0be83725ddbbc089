import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch
from scipy.special import expit

from loan_default.choices import Choice
from loan_default.data.schema.column import Column, Kind
from loan_default.errors import DataError
from loan_default.evaluation import charts
from loan_default.evaluation.bootstrap import Interval, bootstrap_intervals, paired_bootstrap
from loan_default.evaluation.importance import Importance
from loan_default.evaluation.metrics import measure
from loan_default.evaluation.report import MOST_FEATURES, render_report
from loan_default.evaluation.report_inputs import (
    REQUIRED_METRICS,
    ColumnSummary,
    DataSummary,
    EpochPoint,
    MemberCurve,
    ReportInputs,
    SplitSummary,
    TestPredictions,
)
from loan_default.evaluation.tables import (
    calibration_curve,
    decile_table,
    ks_curves,
    roc_points,
    score_histogram,
)

EVIL = "<script>alert(1)</script>"
ALL_SECTIONS = [
    "summary",
    "data",
    "training",
    "discrimination",
    "calibration",
    "metrics",
    "rejects",
    "importance",
    "settings",
    "provenance",
]
VOID = {"meta", "br", "link", "img", "hr"}


def _predictions(rows: int = 1500) -> TestPredictions:
    rng = np.random.default_rng(1)
    truth = rng.normal(-1.5, 1.3, rows)
    return TestPredictions(
        y=(rng.random(rows) < expit(truth)).astype(float),
        calibrated=expit(truth + rng.normal(0, 0.2, rows)),
        uncalibrated=expit(1.6 * truth + 0.3),
        baseline=expit(truth + rng.normal(0, 0.9, rows)),
    )


def _column(name: str, kind: Kind = Kind.NUMERICAL, **more: Any) -> ColumnSummary:
    return ColumnSummary(column=Column(name=name, kind=kind, **more), missing_share=0.031)


def _data(**changes: Any) -> DataSummary:
    whole = DataSummary(
        sources=("loans.csv",),
        rows_read=5000,
        accepted=4950,
        duplicates=35,
        quarantined=15,
        reasons={"income below its minimum": 15},
        unlabelled=50,
        default_rate=0.2,
        splits=(
            SplitSummary(name="train", rows=3400, default_rate=0.2),
            SplitSummary(name="test", rows=1500, default_rate=0.3),
        ),
        split_method="By time: the last quarter is the test split.",
        columns=(
            _column("income", unit="USD", minimum=0),
            _column("sex", Kind.CATEGORICAL, categories=("f", "m"), protected=True),
        ),
        findings=(("income", "Read as a measurement."), ("", "1 was taken as default.")),
    )
    return replace(whole, **changes)


def _full(**changes: Any) -> ReportInputs:
    test = _predictions()
    assert test.baseline is not None
    whole = ReportInputs(
        title="Loans",
        model="An ensemble of two.",
        created_at=datetime(2026, 11, 23, 22, 41, tzinfo=UTC),
        data=_data(),
        test=test,
        intervals=bootstrap_intervals(test.y, test.calibrated, seed=0, draws=20),
        baseline_intervals=bootstrap_intervals(test.y, test.baseline, seed=0, draws=20),
        auc_difference=paired_bootstrap(
            test.y, test.calibrated, test.baseline, metric="auc", seed=0, draws=20
        ),
        pretraining=tuple(
            EpochPoint(epoch=e, losses={"masking": 2 / e, "contrast": 3 / e}) for e in range(1, 6)
        ),
        training=tuple(
            MemberCurve(
                name=f"member {number}",
                epochs=(1, 2, 3),
                training_loss=(0.5, 0.45, 0.44),
                measure="AUC",
                validation=(0.7, 0.75, 0.74),
                best_epoch=2,
            )
            for number in (1, 2)
        ),
        importance=[
            Importance(column="income", mean_drop=0.05, sd=0.01),
            Importance(column="age", mean_drop=0, sd=0),
        ],
        hyperparameters={"encoder": {"width": 32}, "seed": 0},
        choices=(Choice(what="Device", value="cpu", reason="no CUDA device was found"),),
        provenance={"SHA-256": "9f86d081", "Command": "train.py --data loans.csv"},
        timings={"train": 128.4, "evaluate": 3.2},
    )
    return replace(whole, **changes)


def _minimal(y: list[float], pd: list[float], metrics: Mapping[str, Interval] | None = None) -> ReportInputs:
    """What every run has: no pretraining, no baseline, no calibrator, no importance."""
    unknown = Interval(value=0.5, low=0.4, high=0.6)
    return ReportInputs(
        title="Small",
        model="A model.",
        created_at=datetime(2026, 11, 23, tzinfo=UTC),
        data=_data(columns=(), findings=(), quarantined=0, reasons={}),
        test=TestPredictions(y=np.array(y), calibrated=np.array(pd)),
        intervals=metrics or dict.fromkeys(REQUIRED_METRICS, unknown),
    )


FEW = ([0.0, 1.0, 0.0, 1.0], [0.1, 0.3, 0.2, 0.4])
"""Outcomes and PDs of a few rows."""


class _Page(HTMLParser):
    """Tags, ids and texts of a page; complains about tags that do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style" and data.strip():
            self.words.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def inputs() -> ReportInputs:
    return _full()


@pytest.fixture(scope="module")
def html(inputs: ReportInputs) -> str:
    return render_report(inputs)


@pytest.fixture(scope="module")
def page(html: str) -> _Page:
    return _Page(html)


def test_all_sections_are_there_and_linked(html: str, page: _Page) -> None:
    assert html.startswith("<!DOCTYPE html>")
    assert [section["id"] for section in page.all("section")] == ALL_SECTIONS
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        assert str(link["href"]).removeprefix("#") in ids


def test_the_page_needs_nothing_but_itself(html: str, page: _Page) -> None:
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert not re.findall(r"\bsrc=|@import|@font-face|url\((?!#)", html)
    namespaces = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert set(re.findall(r'https?://[^"\s]+', html)) <= namespaces
    assert len(html.encode()) < 1_000_000


def test_charts_and_tables_say_what_they_are(html: str, page: _Page) -> None:
    charts = page.all("svg")
    assert len(charts) == 9
    assert all(chart["role"] == "img" and len(str(chart["aria-label"])) > 30 for chart in charts)
    assert len(page.all("table")) == len(page.all("caption")) >= 7
    assert page.all("html")[0]["lang"] == "en"
    assert all(heading.get("scope") in ("row", "col") for heading in page.all("th"))


def test_the_key_figures_are_those_that_were_given(inputs: ReportInputs, page: _Page) -> None:
    for name in ("auc", "gini", "ks", "brier", "calibration_slope"):
        interval = inputs.intervals[name]
        assert f"{interval.value:.3f} {interval.low:.3f} to {interval.high:.3f}" in page.text
    assert "Rows 4,950 1,500 tested" in page.text
    assert "Default rate 20.0%" in page.text


def test_the_metrics_table_holds_both_models_and_the_difference(inputs: ReportInputs, page: _Page) -> None:
    for name in REQUIRED_METRICS:
        for metrics in (inputs.intervals, inputs.baseline_intervals):
            assert f"{metrics[name].value:.4f}".replace("-", "\N{MINUS SIGN}") in page.words
    difference = inputs.auc_difference
    assert difference is not None
    assert f"Paired difference in AUC: {difference.value:+.4f}" in page.text


def test_data_are_counted_and_columns_described(page: _Page) -> None:
    assert "Read 5,000 100.0%" in page.text
    assert "of them with a known outcome 4,900 98.0%" in page.text
    assert "income below its minimum 15 0.30%" in page.text
    assert "Together 4,900 23.1%" in page.text  # (3,400 * 0.2 + 1,500 * 0.3) / 4,900
    assert "income numerical USD from 0 3.1% feature" in page.text
    assert "sex categorical \N{EN DASH} f, m 3.1% protected" in page.text
    assert "By time: the last quarter is the test split." in page.text


@pytest.mark.slow
def test_rows_that_break_several_rules_count_once() -> None:
    data = _data(reasons={"income below its minimum": 15, "age above its maximum": 4})
    page = _Page(render_report(_full(data=data)))
    assert "Quarantined 15 0.30%" in page.text
    assert "A row may break several rules" in page.text
    assert "5,000 read = 4,950 accepted + 15 quarantined + 35 duplicates." in page.text


def test_verdicts_are_computed(page: _Page) -> None:
    for title in (
        "Ranks better than chance.",
        "Better than logistic regression.",
        "Every row is accounted for.",
    ):
        assert title in page.words
    assert "The calibration step helped." in page.words


def test_training_names_each_best_epoch(html: str) -> None:
    assert html.count("(best: epoch 2)") == 2
    assert "masking" in html


@pytest.mark.slow
def test_the_same_run_gives_the_same_page(inputs: ReportInputs, html: str) -> None:
    assert render_report(inputs) == html


@pytest.mark.slow
def test_what_comes_from_data_is_escaped() -> None:
    evil = _full(
        title=EVIL,
        model=EVIL,
        data=_data(
            sources=(EVIL,),
            reasons={EVIL: 15},
            splits=(SplitSummary(name=EVIL, rows=5, default_rate=0.2),),
            split_method=EVIL,
            columns=(
                _column(EVIL, unit=EVIL, description=EVIL),
                _column("c", Kind.CATEGORICAL, categories=(EVIL,), labels={EVIL: EVIL}),
            ),
            findings=((EVIL, EVIL),),
        ),
        pretraining=(EpochPoint(epoch=1, losses={EVIL: 1.0}),),
        training=(
            MemberCurve(
                name=EVIL, epochs=(1,), training_loss=(1.0,), measure="AUC", validation=(0.6,), best_epoch=1
            ),
        ),
        importance=[Importance(column=EVIL, mean_drop=0.1, sd=0.01)],
        hyperparameters={EVIL: {EVIL: EVIL}},
        choices=(Choice(what=EVIL, value=EVIL, reason=EVIL),),
        provenance={EVIL: EVIL},
        timings={EVIL: 1.0},
    )
    html = render_report(evil)
    assert "<script" not in html.lower()
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 25
    assert _Page(html).all("script") == []


@pytest.mark.slow
def test_missing_parts_leave_no_trace() -> None:
    rng = np.random.default_rng(3)
    y = (rng.random(400) < 0.3).astype(float)
    html = render_report(
        _minimal(list(y), list(np.clip(0.3 + 0.2 * y + rng.normal(0, 0.1, 400), 0.01, 0.99)))
    )
    page = _Page(html)
    sections = [section["id"] for section in page.all("section")]
    assert sections == ["summary", "data", "discrimination", "calibration", "metrics", "rejects"]
    numbers = re.findall(r'<h2[^>]*><span class="number">(\d)</span>', html)
    assert numbers == ["1", "2", "3", "4", "5", "6"]
    assert "Rank order" in page.text
    for absent in ("logistic regression", "Before", "before calibration", "Columns", "schema inference"):
        assert absent.lower() not in page.text.lower()


@pytest.mark.slow
def test_training_without_pretraining_and_the_reverse() -> None:
    assert "Pretraining" not in _Page(render_report(_full(pretraining=()))).words
    words = _Page(render_report(_full(training=()))).words
    assert "Pretraining" in words
    assert "Validation AUC" not in words


@pytest.mark.slow
@pytest.mark.parametrize(
    ("y", "pd"),
    [
        ([0, 1, 0, 1], [0.2, 0.2, 0.2, 0.2]),
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]),
        ([0, 0, 1], [0.0, 0.0, 1.0]),
        ([0, 1], [1.0, 0.0]),
    ],
    ids=["all PDs alike", "perfect separation", "certain PDs", "two rows, wrong way round"],
)
def test_degenerate_predictions_still_make_a_page(y: list[float], pd: list[float]) -> None:
    assert len(_Page(render_report(_minimal(y, pd))).all("svg")) == 5


@pytest.mark.slow
def test_a_slope_that_was_capped_is_nowhere_shown_as_measured() -> None:
    y, pd = [0.0, 0.0, 1.0, 1.0], [0.1, 0.2, 0.8, 0.9]
    text = _Page(render_report(_minimal(y, pd, bootstrap_intervals(y, pd, seed=0, draws=20)))).text
    assert text.count("beyond 100") >= 5  # the strip, its range, the statement and the tables
    assert "100.000" not in text


@pytest.mark.slow
def test_a_wide_and_long_run_stays_small() -> None:
    test = _predictions(60_000)
    members = tuple(
        MemberCurve(
            name=f"member {number}",
            epochs=tuple(range(1, 201)),
            training_loss=tuple(np.random.default_rng(number).random(200)),
            measure="log loss",
            validation=tuple(np.random.default_rng(number).random(200)),
            best_epoch=7,
        )
        for number in range(16)
    )
    columns = tuple(_column(f"column_{number}", description="What it holds.") for number in range(1200))
    importance = [Importance(column=part.column.name, mean_drop=0.01, sd=0.001) for part in columns]
    html = render_report(
        _full(test=test, training=members, data=_data(columns=columns), importance=importance)
    )
    assert len(html.encode()) < 1_000_000
    assert "800 more columns are in the schema" in html
    assert "The 20 largest of 1200 columns." in html


def test_a_missing_figure_is_an_error() -> None:
    metrics = dict.fromkeys(REQUIRED_METRICS, Interval(value=0.5, low=0.4, high=0.6))
    del metrics["ks"]
    with pytest.raises(DataError, match=r"missing=\['ks'\]"):
        _minimal([0, 1], [0.1, 0.9], metrics)


def test_a_time_without_zone_is_an_error() -> None:
    with pytest.raises(DataError, match="time zone"):
        _full(created_at=datetime(2026, 11, 23))  # noqa: DTZ001


def test_predictions_that_are_no_pds_are_an_error() -> None:
    with pytest.raises(DataError, match="between 0 and 1"):
        render_report(_minimal([0, 1], [0.1, 1.9]))


# What the charts of a page are drawn from --------------------------------------------------------------


@contextmanager
def _kept_figures() -> Iterator[list[Figure]]:
    """Collects the figures that are drawn, in their order."""
    figures: list[Figure] = []

    class Kept(Figure):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            figures.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charts, "Figure", Kept)
        yield figures


def _axes_of(inputs: ReportInputs) -> list[Axes]:
    """The axes of the charts of a page, in the order of the page's parts."""
    with _kept_figures() as figures:
        render_report(inputs)
    return [figure.axes[0] for figure in figures]


@pytest.fixture(scope="module")
def whole() -> tuple[ReportInputs, str, list[Axes]]:
    """All that a run can show, its page, and the axes of the page's charts."""
    inputs = _full()
    with _kept_figures() as figures:
        page = render_report(inputs)
    return inputs, page, [figure.axes[0] for figure in figures]


def _line(axes: Axes, name: str) -> tuple[list[float], list[float]]:
    (line,) = [line for line in axes.get_lines() if line.get_label() == name]
    return _xy(line)


def _xy(line: Line2D) -> tuple[list[float], list[float]]:
    return [float(x) for x in line.get_xdata()], [float(y) for y in line.get_ydata()]


def test_charts_show_the_tables_of_the_test_rows(whole) -> None:
    inputs, _, axes = whole
    y, pd = inputs.test.y, inputs.test.calibrated
    measured = measure(y, pd)
    roc, ks, scores, deciles, reliability, *_ = axes
    for name, predicted in (("this model", pd), ("logistic regression", inputs.test.baseline)):
        points = roc_points(y, predicted)
        assert _line(roc, name) == (points["fpr"].tolist(), points["tpr"].tolist())
    curves = ks_curves(y, pd)
    assert _line(ks, "defaulters") == (curves["pd"].tolist(), curves["bads"].tolist())
    assert _line(ks, "non-defaulters") == (curves["pd"].tolist(), curves["goods"].tolist())
    assert _line(ks, f"KS {measured.ks:.3f} at PD {measured.ks_at:.1%}")[0] == [measured.ks_at] * 2
    bins = score_histogram(y, pd)
    for name, column in (("defaulters", "bads"), ("non-defaulters", "goods")):
        (steps,) = [
            each for each in scores.patches if isinstance(each, StepPatch) and each.get_label() == name
        ]
        assert steps.get_data().values.tolist() == bins[column].tolist()
        assert steps.get_data().edges.tolist() == [*bins["low"], bins["high"].iloc[-1]]
    groups = decile_table(y, pd)
    assert [bar.get_height() for bar in deciles.patches] == groups["mean_pd"].tolist()
    observed = next(line for line in deciles.get_lines() if line.get_marker() == "o")
    assert _xy(observed)[1] == groups["bad_rate"].tolist()
    before, after = calibration_curve(y, inputs.test.uncalibrated), calibration_curve(y, pd)
    assert _line(reliability, "before calibration") == (
        before["mean_pd"].tolist(),
        before["bad_rate"].tolist(),
    )
    assert (after["mean_pd"].tolist(), after["bad_rate"].tolist()) in [
        _xy(line) for line in reliability.get_lines()
    ]


def test_charts_of_epochs_show_each_loss_and_each_member(whole) -> None:
    pretraining, loss, auc = whole[2][5:8]
    assert _line(pretraining, "masking") == ([1, 2, 3, 4, 5], [2 / e for e in range(1, 6)])
    assert _line(pretraining, "contrast") == ([1, 2, 3, 4, 5], [3 / e for e in range(1, 6)])
    assert pretraining.get_ylabel() == "loss"
    assert tuple(pretraining.figure.get_size_inches()) == charts.WIDE
    for number in (1, 2):
        assert _line(loss, f"member {number}") == ([1, 2, 3], [0.5, 0.45, 0.44])
        assert _line(auc, f"member {number} (best: epoch 2)") == ([1, 2, 3], [0.7, 0.75, 0.74])
    assert (loss.get_ylabel(), auc.get_ylabel()) == ("training loss", "validation AUC")


@pytest.mark.slow
def test_a_loss_that_an_epoch_lacks_is_a_gap() -> None:
    points = (EpochPoint(epoch=1, losses={"a": 1.0, "b": 2.0}), EpochPoint(epoch=2, losses={"a": 0.5}))
    pretraining = _axes_of(replace(_minimal(*FEW), pretraining=points))[5]
    assert _line(pretraining, "a")[1] == [1.0, 0.5]
    assert np.isnan(_line(pretraining, "b")[1][1])


@pytest.mark.slow
def test_the_most_important_features_are_drawn_with_their_deviations() -> None:
    found = [
        Importance(column=f"c{n}", mean_drop=0.5 - n / 100, sd=n / 1000) for n in range(MOST_FEATURES + 3)
    ]
    axes = _axes_of(replace(_minimal(*FEW), importance=found))[-1]
    assert [text.get_text() for text in axes.get_yticklabels()] == [f"c{n}" for n in range(20)]
    assert [bar.get_width() for bar in axes.patches] == [each.mean_drop for each in found[:20]]


def test_what_a_chart_shows_is_also_written_for_those_who_cannot_see_it(whole) -> None:
    inputs, page, _ = whole
    measured = measure(inputs.test.y, inputs.test.calibrated)
    riskiest = decile_table(inputs.test.y, inputs.test.calibrated).iloc[0]
    labels = [attributes["aria-label"] for tag, attributes in _Page(page).tags if tag == "svg"]
    assert labels == [label for label in labels if label]
    spoken = " ".join(map(str, labels))
    for words in (
        f"Area under the curve {measured.auc:.3f}.",
        f"largest distance (KS) {measured.ks:.3f} at PD {measured.ks_at:.1%}.",
        f"{riskiest['mean_pd']:.1%} expected and {riskiest['bad_rate']:.1%} observed.",
        f"in 10 groups; mean distance (ECE) {measured.ece:.4f}.",
        "Pretraining loss over 5 epochs.",
        "Training loss per epoch of 2 member(s).",
        "member 1: best epoch 2; member 2: best epoch 2.",
        "Largest: income 0.0500, age 0.0000.",
    ):
        assert words in spoken


@pytest.mark.slow
def test_nothing_about_a_model_is_called_good_where_its_auc_is_too_good() -> None:
    """The PDs separate the classes: ranks hold, and the calibrator and the net beat what they are beside."""
    test = _predictions()
    y, noise = test.y, np.random.default_rng(5).random(len(test.y)) / 10
    separated = replace(test, calibrated=0.01 + 0.88 * y + noise, uncalibrated=0.3 + 0.3 * y + noise)
    metrics = bootstrap_intervals(separated.y, separated.calibrated, draws=20, seed=0)
    better = Interval(value=0.2, low=0.1, high=0.3)
    page = _Page(render_report(_full(test=separated, intervals=metrics, auc_difference=better)))
    assert {"Too good to be believed before it is explained.", "The calibration step helped."} < set(
        page.words
    )
    assert page.words.count("Good") == 1
    assert page.words[page.words.index("Good") + 1] == "Every row is accounted for."


@pytest.mark.slow
def test_the_curves_of_weighted_rows_are_those_of_repeated_rows() -> None:
    test = _predictions(400)
    times = np.random.default_rng(6).integers(1, 4, 400)
    parts = {name: getattr(test, name) for name in ("y", "calibrated", "uncalibrated", "baseline")}
    repeated = TestPredictions(**{name: np.repeat(part, times) for name, part in parts.items()})

    def drawn(predictions: TestPredictions) -> list[str]:
        page = render_report(_full(test=predictions))
        found = re.findall(r'<svg class="chart".*?</svg>', page, flags=re.DOTALL)
        labels = ("ROC curve", "Share of each class", "Distribution of the PDs")
        return [svg for svg in found if any(f'aria-label="{label}' in svg for label in labels)]

    own, expected = drawn(replace(test, weights=times.astype(float))), drawn(repeated)
    assert len(own) == 3
    assert own == expected
    assert not set(drawn(test)) & set(expected)

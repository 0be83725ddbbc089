"""The sections of a model card in words, computed from its contents: data, method, figures."""

import numpy as np

from loan_default.evaluation import charts, formats
from loan_default.evaluation.calibration_groups import CalibrationGroup
from loan_default.evaluation.card_blocks import Block, Chart, Note, Section, Table, Text
from loan_default.evaluation.card_contents import ModelCard
from loan_default.evaluation.statements import Tone
from loan_default.evaluation.training_evidence import DataFacts, MetricFacts, TrainingEvidence

_NAMES = {
    "auc": "AUC",
    "gini": "Gini",
    "ks": "KS",
    "pr_auc": "PR-AUC",
    "brier": "Brier score",
    "brier_skill": "Brier skill",
    "log_loss": "Log loss",
    "ece": "ECE",
    "calibration_intercept": "Calibration intercept",
    "calibration_slope": "Calibration slope",
    "mean_pd": "Mean PD",
    "base_rate": "Default rate",
}
"""Metric -> its name for people."""


def name_of(metric: str) -> str:
    """Return the name of a metric for people."""
    return _NAMES.get(metric, metric.replace("_", " "))


def metric_of(evidence: TrainingEvidence, name: str) -> MetricFacts:
    """Return a metric on the test rows, which every evidence has."""
    return next(each for each in evidence.metrics if each.name == name)


def with_range(value: float, low: float | None, high: float | None, *, digits: int = 3) -> str:
    """`0.755 (0.742 to 0.768)`."""
    shown = formats.number(value, digits)
    if low is None or high is None:
        return shown
    return f"{shown} ({formats.number(low, digits)} to {formats.number(high, digits)})"


def share_with_range(value: float, low: float | None, high: float | None) -> str:
    """`22.1% (21.0% to 23.2%)`."""
    if low is None or high is None:
        return formats.percent(value)
    return f"{formats.percent(value)} ({formats.percent(low)} to {formats.percent(high)})"


def purpose(card: ModelCard) -> Section:
    """What the model is for, and what its sample is."""
    data = card.evidence.data
    about = f" {data.description}" if data.description else ""
    target = f" ({data.target_description.removesuffix('.')})" if data.target_description else ""
    return Section(
        anchor="purpose",
        title="Purpose and use",
        intro=(
            f"The model estimates the probability of default (PD) of an application of the schema "
            f"{data.schema_name}. Default is what the column {data.target}{target} records."
        ),
        blocks=[
            *([Text(text=about.strip())] if about else []),
            _materiality(card.materiality),
            Text(
                text=(
                    "A loan is approved up to a PD of "
                    f"{formats.percent(card.evidence.money.operating.cutoff)}, the cut-off in use. The PD "
                    "supports a decision; who declines an application owes its reasons, which are computed "
                    "for each decision apart from this document."
                )
            ),
            Table(
                caption="Protected columns. They are in the data to compare groups, and never features.",
                columns=("Column", "Description"),
                rows=[(each.name, each.description) for each in data.protected],
                texts=2,
            )
            if data.protected
            else Note(tone=Tone.NOTE, text="The schema declares no protected column."),
        ],
    )


def _materiality(tier: str | None) -> Block:
    if tier is None:
        text = (
            "No materiality tier is assigned. The lender assigns one by exposure and purpose "
            "(LOAN_DEFAULT_MATERIALITY)."
        )
        return Text(text=text)
    return Text(text=f"Materiality tier, as the lender assigned it by exposure and purpose: {tier}.")


def data_sheet(card: ModelCard) -> Section:
    """Where the rows come from and what became of them."""
    data = card.evidence.data
    period = f"{data.first_at} to {data.last_at}" if data.first_at and data.last_at else "not in the data"
    rows = [
        ("Sources", ", ".join(data.sources)),
        ("Applications from", period),
        ("Rows read", formats.count(data.rows_read)),
        ("accepted", formats.count(data.rows_accepted)),
        ("quarantined, as they broke the schema", formats.count(data.rows_quarantined)),
        ("duplicates", formats.count(data.rows_duplicate)),
        ("accepted without an outcome yet", formats.count(data.rows_unlabelled)),
        ("How the rows were split", data.split_method),
    ]
    return Section(
        anchor="data",
        title="Data and exclusions",
        intro=f"{data.rows_accepted:,} of {data.rows_read:,} rows were accepted; no row is lost uncounted.",
        blocks=[
            Table(caption="Rows.", columns=("What", "Value"), rows=rows, texts=2),
            Table(
                caption="Splits.",
                columns=("Split", "Rows", "Default rate"),
                rows=[
                    (each.name, formats.count(each.rows), formats.percent(each.bad_rate))
                    for each in data.splits
                ],
            ),
            *_exclusions(data),
            Table(
                caption=f"The {len(data.features)} features.",
                columns=("Column", "Kind", "Description", "Missing"),
                rows=[
                    (each.name, each.kind, each.description, formats.percent(each.missing))
                    for each in data.features
                ],
                texts=3,
                long=True,
            ),
        ],
    )


def _exclusions(data: DataFacts) -> list[Block]:
    if not data.exclusions:
        return []
    return [
        Table(
            caption="Why rows were quarantined; a row may break several rules.",
            columns=("Rule", "Rows"),
            rows=[(each.name, formats.count(each.count)) for each in data.exclusions],
        )
    ]


def method(card: ModelCard) -> Section:
    """How the model came about."""
    facts = card.evidence.method
    return Section(
        anchor="method",
        title="Method and assumptions",
        intro=(
            f"{facts.model} All networks together have {card.parameters:,} weights. Metrics are of networks "
            "that have not seen the test rows."
        ),
        blocks=[
            Text(text=f"Calibration: {facts.calibration}, {facts.calibration_reason}."),
            Table(
                caption="What was decided automatically, and why.",
                columns=("What", "Value", "Reason"),
                rows=facts.choices,
                texts=3,
            ),
        ],
    )


def performance(card: ModelCard) -> Section:
    """Metrics on the test rows, and of the newest evaluation."""
    evidence = card.evidence
    area = metric_of(evidence, "auc")
    test = next(each for each in evidence.data.splits if each.name == "test")
    kind = "the latest applications" if evidence.data.out_of_time else "random applications"
    blocks: list[Block] = [
        Table(
            caption="On the test rows, with 95% bootstrap intervals, beside logistic regression.",
            columns=("Metric", "Model", "Interval", "Logistic regression"),
            rows=[
                (
                    name_of(each.name),
                    formats.metric(each.value, each.name, 4),
                    formats.NOTHING
                    if each.low is None
                    else f"{formats.metric(each.low, each.name, 4)} to "
                    f"{formats.metric(each.high, each.name, 4)}",
                    formats.metric(each.baseline, each.name, 4),
                )
                for each in evidence.metrics
            ],
        )
    ]
    if card.evaluation is not None:
        beside = card.evaluation.beside
        blocks.append(
            Table(
                caption=(
                    f"The newest evaluation after the training: {card.evaluation.rows:,} rows "
                    f"({card.evaluation.dataset.replace('_', ' ')}) of {card.evaluation.snapshot}"
                    + (f", beside the champion {beside} on the same rows." if beside else ", alone.")
                ),
                columns=("Metric", "Model", "Champion"),
                rows=[
                    (
                        name_of(each.name),
                        with_range(each.value, each.low, each.high, digits=4),
                        formats.number(each.champion, 4),
                    )
                    for each in card.evaluation.metrics
                ],
            )
        )
    return Section(
        anchor="performance",
        title="Performance",
        intro=(
            f"AUC {with_range(area.value, area.low, area.high)} on {test.rows:,} test rows, {kind}; "
            "0.5 is chance and 1 is perfect."
        ),
        blocks=blocks,
    )


def calibration(card: ModelCard) -> Section:
    """Do PDs mean what they say, by decile and by segment."""
    evidence = card.evidence
    misses = [each for each in evidence.deciles if not each.fits]
    table = np.array(
        [(each.mean_pd, each.bad_rate, each.low, each.high) for each in evidence.deciles], np.float64
    )
    drawn = charts.Groups(predicted=table[:, 0], observed=table[:, 1], low=table[:, 2], high=table[:, 3])
    blocks: list[Block] = [
        Chart(
            title="Mean PD beside the default rate, by decile",
            caption="The riskiest tenth first, with 95% intervals.",
            svg=charts.deciles_chart(
                drawn, label=f"Mean PD and default rate of ten groups; {len(misses)} lie outside."
            ),
        ),
        Note(
            tone=Tone.GOOD if len(misses) <= 1 else Tone.CAUTION,
            text=f"In {10 - len(misses)} of {len(evidence.deciles)} deciles the mean PD lies within the "
            "interval of the default rate; one in twenty misses it by chance."
            if len(evidence.deciles) == 10
            else f"{len(misses)} of {len(evidence.deciles)} groups lie outside.",
        ),
        _groups_table("By decile of PD; 1 is the riskiest.", "Decile", evidence.deciles, ranked=False),
    ]
    for segment in evidence.segments:
        blocks.append(_groups_table(f"By {segment.column}.", segment.column, segment.groups, ranked=True))
        if segment.unexpected:
            blocks.append(
                Note(
                    tone=Tone.CAUTION,
                    text=f"More groups of {segment.column} miss their interval than chance explains.",
                )
            )
    slope = metric_of(evidence, "calibration_slope")
    return Section(
        anchor="calibration",
        title="Calibration by decile and segment",
        intro=(
            f"Of a hundred applications with a PD of 20%, about twenty should default. The slope is "
            f"{with_range(slope.value, slope.low, slope.high)}; 1 is right."
        ),
        blocks=blocks,
    )


def _groups_table(caption: str, head: str, groups: tuple[CalibrationGroup, ...], *, ranked: bool) -> Table:
    columns = (head, "Rows", "Defaults", "Mean PD", "Default rate (95%)", "Fits")
    rows = []
    for each in groups:
        row = [
            each.group,
            formats.count(each.rows),
            formats.count(each.bads),
            formats.percent(each.mean_pd),
            share_with_range(each.bad_rate, each.low, each.high),
            "yes" if each.fits else "no",
        ]
        rows.append([*row, formats.number(each.auc, 3)] if ranked else row)
    return Table(caption=caption, columns=(*columns, "AUC") if ranked else columns, rows=rows)

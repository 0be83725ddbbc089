"""The evidence of a run: the figures of a model's documents, from the plan and the trained model."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import distributions

import numpy as np
import pandas as pd

from loan_default.data.schema.column import Column, Kind
from loan_default.errors import ConfigurationError
from loan_default.evaluation.bootstrap import Interval
from loan_default.evaluation.calibration_groups import by_decile, by_level, unexpected_misses
from loan_default.evaluation.drift_statistics import psi_of_samples
from loan_default.evaluation.importance import Importance
from loan_default.evaluation.metrics import measure
from loan_default.evaluation.training_evidence import (
    ColumnFacts,
    Counted,
    DataFacts,
    ImportanceFacts,
    MethodFacts,
    MetricFacts,
    SegmentFacts,
    SplitFacts,
    StabilityFacts,
    TrainingEvidence,
)
from loan_default.evaluation.vintages import Vintage, vintage_table
from loan_default.pipelines.training.decision_evidence import fairness_facts, money_of, plain_levels
from loan_default.pipelines.training.monotonic_sweeps import monotonic_sweeps
from loan_default.pipelines.training.plan import TrainingPlan
from loan_default.pipelines.training.predictions import Predictions
from loan_default.pipelines.training.provenance import provenance_in_words
from loan_default.pipelines.training.stages import Trained
from loan_default.review_policy import ReviewPolicy

MOST_LEVELS = 12
"""Levels of a coded feature that is a segment; of more, each group would be small."""
_SHOWN = (
    "auc",
    "gini",
    "ks",
    "pr_auc",
    "brier",
    "brier_skill",
    "log_loss",
    "ece",
    "calibration_intercept",
    "calibration_slope",
    "mean_pd",
    "base_rate",
)
"""Metrics of the documents."""


def check_terms(plan: TrainingPlan, policy: ReviewPolicy) -> None:
    """Check that the exposure can be read; ConfigurationError before anything slow has begun."""
    name = policy.terms.exposure_column
    if name is None:
        return
    kinds = {column.name: column.kind for column in plan.schema.columns}
    if kinds.get(name) is not Kind.NUMERICAL:
        raise ConfigurationError(
            f"LOAN_DEFAULT_EXPOSURE_COLUMN must be a numerical column of the schema, however: {name!r} is "
            f"{kinds.get(name, 'none of its columns')}. Change it, or unset it: then each loan counts as one."
        )


def evidence_of(
    plan: TrainingPlan,
    trained: Trained,
    *,
    intervals: Mapping[str, Interval],
    importance: Sequence[Importance],
    policy: ReviewPolicy,
) -> TrainingEvidence:
    """Compute the evidence of a trained model.

    Args:
        intervals: metrics on the test rows with their ranges.
        policy: profile and terms of the review.
    """
    test = trained.test
    return TrainingEvidence(
        data=_data(plan),
        method=_method(plan, trained),
        metrics=_metrics(test, intervals),
        deciles=tuple(by_decile(test.y, test.calibrated, weights=test.weights)),
        segments=_segments(plan, test),
        vintages=_vintages(plan, test),
        importance=tuple(
            ImportanceFacts(column=each.column, auc_drop=each.mean_drop, sd=each.sd) for each in importance
        ),
        monotonic=monotonic_sweeps(trained.model, plan.dataset.frame.iloc[plan.split.test]),
        stability=_stability(trained),
        fairness=fairness_facts(plan, trained, policy),
        money=money_of(plan, trained, policy),
        rejects=trained.rejects,
        policy=policy.profile.name,
        provenance=(
            ("model sha256", trained.sha256),
            *provenance_in_words(trained.model.provenance).items(),
        ),
        distributions=installed(),
    )


def installed() -> tuple[tuple[str, str], ...]:
    """Name and version of every installed distribution, by name."""
    found = {}
    for distribution in distributions():
        metadata = distribution.metadata  # parsed anew at each access
        if name := metadata["Name"]:
            found[str(name)] = str(metadata["Version"])
    return tuple(sorted(found.items(), key=lambda pair: pair[0].lower()))


def _data(plan: TrainingPlan) -> DataFacts:
    dataset, split, schema = plan.dataset, plan.split, plan.schema
    assert schema.target is not None
    first, last = dataset.period or (None, None)
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    return DataFacts(
        schema_name=schema.name,
        description=schema.description,
        target=schema.target.name,
        target_description=schema.target.description,
        features=tuple(_column(plan, each) for each in schema.columns if each.is_feature),
        protected=tuple(_column(plan, each) for each in schema.protected),
        sources=(dataset.source,),
        first_at=None if first is None else first.isoformat(timespec="seconds"),
        last_at=None if last is None else last.isoformat(timespec="seconds"),
        rows_read=dataset.rows_read,
        rows_accepted=len(dataset.frame),
        rows_quarantined=len(dataset.quarantined),
        rows_duplicate=dataset.duplicates,
        rows_unlabelled=len(split.unlabelled),
        exclusions=tuple(Counted(name=name, count=count) for name, count in dataset.reasons.items()),
        splits=tuple(
            SplitFacts(name=name, rows=len(rows), bad_rate=float(dataset.labels[rows].mean()))
            for name, rows in parts.items()
        ),
        split_method=split.reason,
        out_of_time=plan.options.out_of_time,
        near_copies=0 if plan.twins is None else plan.twins.rows,
        warned_columns=tuple(leak.column for leak in plan.leaks.leaks),
    )


def _column(plan: TrainingPlan, column: Column) -> ColumnFacts:
    frame = plan.dataset.frame
    known = column.name in frame.columns
    return ColumnFacts(
        name=column.name,
        kind=column.kind.value,
        description=column.description,
        missing=float(frame[column.name].isna().mean()) if known else 1.0,
    )


def _method(plan: TrainingPlan, trained: Trained) -> MethodFacts:
    members, trees = len(trained.members), trained.model.trees
    parts = "1 network" if members == 1 else f"{members} networks"
    boosted = "" if trees is None else f" and {len(trees)} boosted trees, averaged with equal weights"
    start = "pretrained without labels" if plan.starts_pretrained else "from random weights"
    return MethodFacts(
        model=f"{parts} (tabular transformers, preset {plan.preset.name}, {start}){boosted}.",
        calibration=trained.calibration.method,
        calibration_reason=trained.calibration.reason,
        choices=tuple((each.what, str(each.value), each.reason) for each in plan.choices),
    )


def _metrics(test: Predictions, intervals: Mapping[str, Interval]) -> tuple[MetricFacts, ...]:
    own = asdict(measure(test.y, test.calibrated, weights=test.weights))
    baseline = asdict(measure(test.y, test.baseline, weights=test.weights))
    return tuple(
        MetricFacts(
            name=name,
            value=own[name],
            low=intervals[name].low if name in intervals else None,
            high=intervals[name].high if name in intervals else None,
            baseline=baseline[name],
        )
        for name in _SHOWN
    )


def _segments(plan: TrainingPlan, test: Predictions) -> tuple[SegmentFacts, ...]:
    rows, found = plan.dataset.frame.iloc[plan.split.test], []
    for column in plan.schema.columns:
        if not (column.is_feature and column.is_coded and column.name in rows.columns):
            continue
        levels = rows[column.name]
        if not 1 < levels.nunique() <= MOST_LEVELS:
            continue
        groups = by_level(test.y, test.calibrated, plain_levels(levels), labels=column.labels)
        found.append(
            SegmentFacts(column=column.name, groups=tuple(groups), unexpected=unexpected_misses(groups))
        )
    return tuple(found)


def _vintages(plan: TrainingPlan, test: Predictions) -> tuple[Vintage, ...]:
    column = plan.schema.timestamp
    if column is None or column.name not in plan.dataset.frame.columns:
        return ()
    pds = np.full(len(plan.dataset.frame), np.nan)
    pds[plan.split.test] = test.calibrated
    labelled = np.flatnonzero(~np.isnan(plan.dataset.labels))
    times = pd.DatetimeIndex(plan.dataset.frame[column.name].iloc[labelled])
    return tuple(vintage_table(times, plan.dataset.labels[labelled], pds[labelled]))


def _stability(trained: Trained) -> StabilityFacts:
    reference, sample = trained.validation.calibrated, trained.test.calibrated
    found = psi_of_samples(reference, sample)
    return StabilityFacts(
        psi=found.value, critical=found.critical, reference_rows=len(reference), rows=len(sample)
    )

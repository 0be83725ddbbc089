"""The report of a training run: what the page shows, collected from the plan and the trained model."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loan_default.choices import Choice
from loan_default.data.schema.column import Kind
from loan_default.evaluation.bootstrap import Interval, bootstrap_intervals, paired_bootstrap
from loan_default.evaluation.importance import Importance, permutation_importance
from loan_default.evaluation.report import render_report
from loan_default.evaluation.report_inputs import (
    ColumnSummary,
    DataSummary,
    EpochPoint,
    MemberCurve,
    NearCopies,
    PartMetrics,
    ReportInputs,
    SplitSummary,
    TestPredictions,
)
from loan_default.files import write_atomically
from loan_default.models.trees import Trees
from loan_default.pipelines.training.member_fits import rows_learned_from
from loan_default.pipelines.training.plan import TrainingPlan
from loan_default.pipelines.training.predictions import Predictions
from loan_default.pipelines.training.provenance import provenance_in_words
from loan_default.pipelines.training.stages import Trained, with_threads_of_run
from loan_default.pipelines.training.stopwatch import Stopwatch


def importance_of(plan: TrainingPlan, trained: Trained) -> list[Importance]:
    """How much AUC is lost on the test rows when a column is shuffled, the largest loss first."""
    rows = plan.dataset.frame.iloc[plan.split.test]
    return permutation_importance(
        trained.measured.predict_pd,
        rows,
        trained.test.y,
        list(plan.features.names),
        seed=plan.options.seed,
        rows=1000,
    )


def intervals_on_test_rows(trained: Trained, *, seed: int) -> Mapping[str, Interval]:
    """Metrics on the test rows with their bootstrap ranges."""
    test = trained.test
    return bootstrap_intervals(test.y, test.calibrated, seed=seed, weights=test.weights)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportFigures:
    """What was computed for the page and is stored as well."""

    intervals: Mapping[str, Interval]
    """Metrics on the test rows with their ranges."""
    importance: Sequence[Importance] = ()


@with_threads_of_run
def write_report(
    plan: TrainingPlan, trained: Trained, path: Path, *, command: str, watch: Stopwatch
) -> ReportFigures:
    """Write the page of a run, as a stage of it; returns what was computed for it."""
    watch.start("report", "bootstrap intervals, permutation importance, charts")
    intervals = intervals_on_test_rows(trained, seed=plan.options.seed)
    importance = importance_of(plan, trained)
    page = build_report(plan, trained, intervals=intervals, importance=importance, command=command)
    write_atomically(path, page.encode())
    return ReportFigures(intervals=intervals, importance=importance)


_CALIBRATED = {
    "none": "calibrated as it is",
    "level": "its level calibrated",
    "platt": "Platt-calibrated",
    "beta": "beta-calibrated",
    "quadratic": "calibrated by a quadratic",
}
"""Form of the calibration -> what the report says of the model."""


def _learned_from(plan: TrainingPlan) -> str:
    """What the measured model and the one in the file learned from, in words; empty = they are one."""
    if not plan.options.refit:
        return ""
    return (
        f" The metrics are of networks that learned from {rows_learned_from(plan):,} rows, none of them in "
        "the test. Those of the model file took the same passes over all "
        f"{len(plan.refit_rows):,} labelled rows."
    )


def _blended(members: int, trees: Trees | None) -> str:
    """What the model consists of, in words; empty = of networks alone."""
    if trees is None:
        return ""
    networks = "1 network" if members == 1 else f"{members} networks"
    return (
        f" {networks} and 1 tree ensemble, equal weights on the logit scale: the ensemble has {len(trees):,} "
        f"boosted trees with {trees.leaves:,} leaves."
    )


def _part_metrics(name: str, pd: NDArray[np.float64], test: Predictions, *, seed: int) -> PartMetrics:
    return PartMetrics(
        name=name,
        intervals=bootstrap_intervals(test.y, pd, seed=seed, weights=test.weights),
        auc_difference=paired_bootstrap(
            test.y, test.calibrated, pd, metric="auc", seed=seed, weights=test.weights
        ),
    )


def build_report(
    plan: TrainingPlan,
    trained: Trained,
    *,
    intervals: Mapping[str, Interval],
    importance: list[Importance],
    command: str,
) -> str:
    """The report of a run as HTML text."""
    seed, test, preset = plan.options.seed, trained.test, plan.preset
    pretrained = trained.pretrained.fitted.history if trained.pretrained else ()
    parameters = sum(parameter.numel() for parameter in trained.model.members[0].parameters())
    members, trees = len(trained.members), trained.model.trees
    nets = f"Mean of {members} tabular transformers" if members > 1 else "A tabular transformer"
    origin = "pretrained" if plan.starts_pretrained else "not pretrained"
    inputs = ReportInputs(
        title=f"Probability of default: {plan.schema.name}",
        model=(
            f"{nets} with {preset.encoder.n_layers} layers and {parameters:,} weights"
            f"{' each' if members > 1 else ''}, {origin}, {_CALIBRATED[trained.calibration.method]}."
            f"{_blended(members, trees)}{_learned_from(plan)}"
        ),
        created_at=datetime.now(UTC),
        data=_data_summary(plan),
        alone=plan.leaks.alone,
        test=TestPredictions(
            y=test.y,
            calibrated=test.calibrated,
            uncalibrated=test.raw,
            baseline=test.baseline,
            weights=test.weights,
        ),
        intervals=intervals,
        near_copies=_near_copies(plan, trained),
        baseline_intervals=bootstrap_intervals(test.y, test.baseline, seed=seed, weights=test.weights),
        auc_difference=paired_bootstrap(
            test.y, test.calibrated, test.baseline, metric="auc", seed=seed, weights=test.weights
        ),
        rejects=trained.rejects,
        parts=tuple(_part_metrics(name, pd, test, seed=seed) for name, pd in test.parts.items()),
        pretraining=tuple(EpochPoint(epoch=each.epoch, losses=each.losses) for each in pretrained),
        training=tuple(
            MemberCurve(
                name=f"Member {number}",
                epochs=tuple(each.epoch for each in fitted.history),
                training_loss=tuple(
                    each.losses["loss"] - each.losses.get("pretraining", 0) for each in fitted.history
                ),
                measure=preset.training.measure,
                validation=tuple(abs(each.score) for each in fitted.history if each.score is not None),
                best_epoch=fitted.best.epoch,
            )
            for number, fitted in enumerate(trained.members, start=1)
        ),
        importance=importance,
        hyperparameters={
            "encoder": asdict(preset.encoder),
            "head": asdict(preset.head),
            "members": preset.members,
            **({"trees": f"{len(trees)} trees"} if trees is not None else {}),
            "training": asdict(preset.training),
            **(
                {"pretraining": {**asdict(preset.pretraining), **asdict(preset.objective)}}
                if trained.pretrained
                else {}
            ),
            "calibration": asdict(trained.model.calibration),
        },
        choices=(
            *plan.choices,
            Choice(what="calibration", value=trained.calibration.method, reason=trained.calibration.reason),
            Choice(what="schema", value=plan.schema.name, reason=plan.schema_choice.origin),
        ),
        provenance={
            "model version": trained.model.version,
            "model sha256": trained.sha256,
            **provenance_in_words(trained.model.provenance),
            "command": command,
            "started": trained.started_at.isoformat(timespec="seconds"),
        },
        timings=trained.seconds,
    )
    return render_report(inputs)


def _near_copies(plan: TrainingPlan, trained: Trained) -> NearCopies | None:
    twins = plan.twins
    if twins is None:
        return None
    without = trained.measured.metrics.get("test_without_near_copies")
    return NearCopies(
        rows=twins.rows,
        share=twins.share,
        agreement=twins.agreement,
        ordinary=twins.ordinary,
        auc_straddling=twins.auc_straddling,
        auc_apart=twins.auc_apart,
        tested=int(plan.straddling.sum()),
        without=None if without is None else (without["auc"], without["ks"], without["brier"]),
    )


def _data_summary(plan: TrainingPlan) -> DataSummary:
    dataset, split = plan.dataset, plan.split
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    return DataSummary(
        sources=(dataset.source,),
        rows_read=dataset.rows_read,
        accepted=len(dataset.frame),
        duplicates=dataset.duplicates,
        quarantined=len(dataset.quarantined),
        reasons=dataset.reasons,
        unlabelled=len(split.unlabelled),
        not_known_yet=dataset.not_known_yet,
        rejected_applications=len(dataset.declined),
        default_rate=float(np.nanmean(dataset.labels)),
        splits=tuple(
            SplitSummary(name=name, rows=len(rows), default_rate=float(dataset.labels[rows].mean()))
            for name, rows in parts.items()
        ),
        split_method=split.reason,
        columns=tuple(
            ColumnSummary(column=column, missing_share=float(dataset.frame[column.name].isna().mean()))
            for column in dataset.schema.columns
            if column.kind is not Kind.TARGET
        ),
        findings=(
            *((leak.column, f"may give the outcome away: {leak.evidence}") for leak in plan.leaks.leaks),
            *((finding.column, finding.message) for finding in plan.schema_choice.findings),
        ),
    )

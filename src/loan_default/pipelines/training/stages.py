"""The slow part of training: pretrain, train, calibrate, predict the test rows, write the model file.

Each stage goes on from its checkpoints where the run is resumed.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from loan_default.database.documents import model_version
from loan_default.evaluation.metrics import measure
from loan_default.models.baseline import fit_logistic
from loan_default.models.calibration import Calibration, CalibrationChoice, choose_calibration
from loan_default.models.classifier import Classifier
from loan_default.models.device import torch_threads
from loan_default.models.features import Inputs
from loan_default.models.fitting import Fitted, OnProgress, StateDict
from loan_default.models.member_training import Labelled, trained_classifier
from loan_default.models.model import (
    LoanModel,
    PretrainedEncoder,
    golden_rows_of,
    raw_probability,
    save_encoder,
    save_model,
)
from loan_default.models.populations import KEY as POPULATIONS
from loan_default.models.populations import populations_of, populations_to_dict
from loan_default.models.pretraining import Pretrained, pretrain
from loan_default.models.trees import Trees, blend
from loan_default.pipelines.training.member_fits import (
    architecture_of,
    first_weights,
    fit_members,
    out_of_fold,
    refit_members,
    rows_learned_from,
)
from loan_default.pipelines.training.plan import TrainingPlan
from loan_default.pipelines.training.provenance import (
    digest_of_values,
    fingerprint_of_stage,
    provenance_of,
    provenance_of_weights,
)
from loan_default.pipelines.training.reference_rows import reference_of_refit, reference_of_run
from loan_default.pipelines.training.stopwatch import Stopwatch
from loan_default.pipelines.training.tree_fits import (
    TreesOfRun,
    each_part_alone,
    fit_trees_of_run,
    refit_trees_of_run,
)

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """PDs `(n,)` of the rows of one split, beside what became of them."""

    y: NDArray[np.float64]
    """1 = default, 0 = none."""
    calibrated: NDArray[np.float64]
    raw: NDArray[np.float64]
    """Of all parts of the model before calibration."""
    baseline: NDArray[np.float64]
    """PDs of logistic regression."""
    weights: NDArray[np.float64] | None = None
    """How much each row counts; None = all alike."""
    parts: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """Part of the model -> PDs of it alone; empty = it has one part, or they were not needed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """A model, how it came about, and its PDs of the labelled rows that it was not fitted on."""

    model: LoanModel
    """What is handed over: where the run refits, it has learned from all labels."""
    measured: LoanModel
    """The model that the predictions and the metrics are of: it has learned from the training rows."""
    path: Path
    sha256: str
    pretrained: Pretrained | None
    members: tuple[Fitted, ...]
    calibration: CalibrationChoice
    validation: Predictions
    test: Predictions
    started_at: datetime
    seconds: dict[str, float]
    """Stage -> wall-clock seconds."""


def with_threads_of_run(
    work: Callable[Concatenate[TrainingPlan, P], R],
) -> Callable[Concatenate[TrainingPlan, P], R]:
    """Make a function of a plan compute on as many threads as were decided for the run.

    After each call torch computes on as many as before.
    """

    @wraps(work)
    def working(plan: TrainingPlan, /, *arguments: P.args, **named: P.kwargs) -> R:
        with torch_threads(plan.compute.threads):
            return work(plan, *arguments, **named)

    return working


@with_threads_of_run
def pretrain_encoder(
    plan: TrainingPlan,
    *,
    out: Path,
    watch: Stopwatch,
    on_progress: OnProgress,
    before_write: Callable[[], None] = lambda: None,
) -> tuple[Pretrained, Path]:
    """Pretrain on the training rows and unlabelled ones; returns the weights and the encoder file.

    No weight is fitted on validation or test rows: their metrics shall be those of new applications. The
    validation rows decide which epoch is the best.

    Args:
        before_write: called before the encoder file is written; what it raises ends the run.
    """
    split, preset = plan.split, plan.preset
    rows = plan.inputs[plan.pretraining]
    watch.start("pretrain", f"{preset.objective.objective}, {len(rows):,} rows, no labels")
    torch.manual_seed(plan.options.seed)
    pretrained = pretrain(
        architecture_of(plan).new_encoder(),
        rows,
        plan.inputs[split.validation],
        objective=preset.objective,
        config=preset.pretraining,
        seed=plan.options.seed,
        device=plan.compute.device,
        fingerprint=fingerprint_of_stage(
            plan, "pretraining", asdict(preset.pretraining), asdict(preset.objective)
        ),
        checkpoint=out / "checkpoints" / "pretraining.ckpt",
        resume=plan.options.resume,
        on_progress=on_progress,
    )
    path = out / "encoder.pth"
    encoder = PretrainedEncoder(
        schema=plan.schema,
        features=plan.features,
        config=preset.encoder,
        state=pretrained.state,
        provenance=provenance_of(plan) | {"pretraining_epochs": preset.pretraining.epochs},
    )
    before_write()
    save_encoder(path, encoder)
    return pretrained, path


@with_threads_of_run
def train_classifier(
    plan: TrainingPlan,
    pretrained: Pretrained | None,
    *,
    out: Path,
    watch: Stopwatch,
    on_progress: OnProgress,
    started_at: datetime,
    before_write: Callable[[], None] = lambda: None,
) -> Trained:
    """Train the members and trees, calibrate them, predict the test rows and write the model file.

    Args:
        pretrained: what the members start from; None = the given encoder, or random weights.
        started_at: time in the model's version.
        before_write: called before the model file is written; what it raises ends the run.
    """
    watch.start("train", _training_detail(plan))
    start = first_weights(plan, pretrained)
    fitted = fit_members(plan, start, out=out, on_progress=on_progress)
    learned = plan.inputs[plan.measured_rows]
    members = _members_of(plan, fitted, learned)
    unseen = out_of_fold(plan, members)
    found = fit_trees_of_run(plan, watch=watch)
    raw, trees = unseen.raw, None
    if found is not None:
        raw, trees = blend(unseen.raw, found.out_of_fold), found.trees
    watch.start("calibrate", f"on {len(unseen.positions):,} rows that what predicts them did not learn from")
    rows = plan.labelled(unseen.positions)
    choice = choose_calibration(raw, rows.labels, rows.weights)
    watch.start("evaluate", f"on {len(plan.split.test):,} test rows")
    test = plan.labelled(plan.split.test)
    baseline = fit_logistic(plan.features, plan.labelled(plan.split.train))
    validation = plan.labelled(plan.split.validation)
    on_validation = _predictions(validation, raw[: len(validation.labels)], choice.calibration, baseline)
    on_test = replace(
        _predictions(test, raw_probability(members, trees, test.inputs), choice.calibration, baseline),
        parts={} if found is None else each_part_alone(members, found, unseen.raw, rows, test.inputs),
    )
    measured = _assemble(
        plan,
        members=members,
        trees=trees,
        calibration=choice.calibration,
        on_validation=on_validation,
        on_test=on_test,
        reference={
            **reference_of_run(plan, learned, on_validation.calibrated),
            POPULATIONS: populations_to_dict(
                populations_of(rows.inputs, plan.features, choice.calibration.apply(raw))
            ),
        },
        started_at=started_at,
    )
    model = measured
    if plan.options.refit:
        watch.start("refit", f"on all {len(plan.refit_rows):,} labelled rows, for the passes that were found")
        model = _refitted(
            plan, measured, start, fitted, found, out=out, on_progress=on_progress, started_at=started_at
        )
    model = replace(model, golden=golden_rows_of(model))
    path = out / "model.pth"
    watch.stop()
    before_write()
    return Trained(
        model=model,
        measured=measured,
        path=path,
        sha256=save_model(path, model),
        pretrained=pretrained,
        members=tuple(fitted),
        calibration=choice,
        validation=on_validation,
        test=on_test,
        started_at=started_at,
        seconds=dict(watch.seconds),
    )


def _training_detail(plan: TrainingPlan) -> str:
    origin = "a pretrained encoder" if plan.starts_pretrained else "random weights"
    return f"{plan.preset.members} x {plan.preset.training.epochs} epochs at most, from {origin}"


def _refitted(
    plan: TrainingPlan,
    measured: LoanModel,
    start: StateDict | None,
    found: list[Fitted],
    found_trees: TreesOfRun | None,
    *,
    out: Path,
    on_progress: OnProgress,
    started_at: datetime,
) -> LoanModel:
    """The measured model with members that took the same passes over all labelled rows, and trees of them.

    Features and calibration stay those of the measured model: learned rows cannot calibrate a network.
    """
    fitted = refit_members(plan, start, found, out=out, on_progress=on_progress)
    members = _members_of(plan, fitted, plan.inputs[plan.refit_rows])
    trees = None if found_trees is None else refit_trees_of_run(plan, found_trees)
    provenance = dict(measured.provenance) | provenance_of_weights(members, trees)
    version = model_version(started_at, digest_of_values(provenance))
    model = replace(measured, version=version, members=members, trees=trees, provenance=provenance)
    return replace(model, reference=reference_of_refit(plan, measured.reference, model.predict_inputs))


def _members_of(plan: TrainingPlan, fitted: list[Fitted], train: Inputs) -> tuple[Classifier, ...]:
    architecture = architecture_of(plan)
    return tuple(trained_classifier(architecture, each.state, train) for each in fitted)


def _predictions(
    rows: Labelled,
    raw: NDArray[np.float64],
    calibration: Calibration,
    baseline: Callable[[Inputs], NDArray[np.float64]],
) -> Predictions:
    return Predictions(
        y=rows.labels.astype(np.float64),
        calibrated=calibration.apply(raw),
        raw=raw,
        baseline=baseline(rows.inputs),
        weights=rows.weights,
    )


def without_near_copies(plan: TrainingPlan, on_test: Predictions) -> list[tuple[str, Predictions]]:
    """Test rows that have no near-copy among rows that were learned from, with their name in the metrics.

    Empty where all are such rows, or where those that are left hold one outcome only.
    """
    kept = ~plan.straddling
    if kept.all() or not 0 < on_test.y[kept].sum() < kept.sum():
        return []
    rows = Predictions(
        y=on_test.y[kept],
        calibrated=on_test.calibrated[kept],
        raw=on_test.raw[kept],
        baseline=on_test.baseline[kept],
        weights=None if on_test.weights is None else on_test.weights[kept],
    )
    return [("test_without_near_copies", rows)]


def _assemble(
    plan: TrainingPlan,
    *,
    members: tuple[Classifier, ...],
    trees: Trees | None,
    calibration: Calibration,
    on_validation: Predictions,
    on_test: Predictions,
    reference: Mapping[str, Any],
    started_at: datetime,
) -> LoanModel:
    """The model with its metrics, its reference histograms and its provenance."""
    provenance = provenance_of(plan) | {
        "epochs": plan.preset.training.epochs,
        "labels_learned_from": len(plan.refit_rows) if plan.options.refit else rows_learned_from(plan),
        "members": plan.preset.members,
        **provenance_of_weights(members, trees),
    }
    return LoanModel(
        version=model_version(started_at, digest_of_values(provenance)),
        schema=plan.schema,
        architecture=architecture_of(plan),
        members=members,
        trees=trees,
        calibration=calibration,
        metrics={
            name: asdict(measure(rows.y, rows.calibrated, weights=rows.weights))
            for name, rows in (
                ("validation", on_validation),
                ("test", on_test),
                *without_near_copies(plan, on_test),
            )
        },
        reference=reference,
        provenance=provenance,
    )

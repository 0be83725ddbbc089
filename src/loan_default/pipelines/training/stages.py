"""The slow part of training: pretrain, train, calibrate, predict the test rows, write the model file.

Each stage goes on from its checkpoints where the run is resumed.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import torch

from loan_default.database.documents import model_version
from loan_default.evaluation.metrics import measure
from loan_default.evaluation.reject_metrics import RejectFacts
from loan_default.models.baseline import fit_logistic
from loan_default.models.calibration import CalibrationChoice
from loan_default.models.device import torch_threads
from loan_default.models.fitting import Fitted, OnProgress, StateDict
from loan_default.models.model import (
    LoanModel,
    PretrainedEncoder,
    golden_rows_of,
    save_encoder,
    save_model,
)
from loan_default.models.populations import KEY as POPULATIONS
from loan_default.models.populations import populations_of, populations_to_dict
from loan_default.models.pretraining import Pretrained, pretrain
from loan_default.pipelines.training.ensemble_fits import (
    EnsembleFit,
    fit_ensemble,
    members_of,
    refits_at_once,
)
from loan_default.pipelines.training.member_fits import (
    AddedRejects,
    architecture_of,
    first_weights,
    refit_members,
    rows_learned_from,
)
from loan_default.pipelines.training.plan import TrainingPlan
from loan_default.pipelines.training.predictions import (
    Predictions,
    predictions_of,
    without_near_copies,
)
from loan_default.pipelines.training.provenance import (
    digest_of_values,
    fingerprint_of_stage,
    provenance_of,
    provenance_of_rejects,
    provenance_of_weights,
)
from loan_default.pipelines.training.reference_rows import reference_of_refit, reference_of_run
from loan_default.pipelines.training.reject_evidence import reject_facts
from loan_default.pipelines.training.reject_fits import (
    reject_predictions,
    rejects_to_measure,
    rejects_to_refit,
)
from loan_default.pipelines.training.stopwatch import Stopwatch
from loan_default.pipelines.training.tree_fits import (
    each_part_alone,
    refit_trees_of_run,
)

P = ParamSpec("P")
R = TypeVar("R")


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
    rejects: RejectFacts | None = None
    """What is known of rejected applications; None = the data name none."""


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
    fit = first = fit_ensemble(plan, start, out=out, watch=watch, on_progress=on_progress)
    if plan.options.infers_rejects:
        added = rejects_to_measure(plan, first)
        watch.start("rejects", f"the same with {len(added.positions):,} rejected applications")
        fit = fit_ensemble(plan, start, out=out, watch=watch, on_progress=on_progress, rejects=added)
    watch.start("evaluate", f"on {len(plan.split.test):,} test rows")
    calibration, unseen = fit.calibration.calibration, plan.labelled(fit.networks.positions)
    test, validation = plan.labelled(plan.split.test), plan.labelled(plan.split.validation)
    baseline = fit_logistic(plan.features, plan.labelled(plan.split.train))
    on_validation = predictions_of(validation, fit.raw[: len(validation.labels)], calibration, baseline)
    on_test = replace(
        predictions_of(test, fit.raw_probability(test.inputs), calibration, baseline),
        parts={}
        if fit.trees_of_run is None
        else each_part_alone(fit.members, fit.trees_of_run, fit.networks.raw, unseen, test.inputs),
    )
    measured = _assemble(
        plan,
        fit,
        on_validation=on_validation,
        on_test=on_test,
        reference={
            **reference_of_run(plan, plan.inputs[plan.measured_rows], on_validation.calibrated),
            POPULATIONS: populations_to_dict(
                populations_of(unseen.inputs, plan.features, calibration.apply(fit.raw))
            ),
        },
        started_at=started_at,
    )
    rejects = reject_facts(plan, on_test, reject_predictions(plan, first, fit))
    model = measured
    if plan.options.refit:
        if fit.refitted is None or fit.trees_of_run is not None:
            watch.start("refit", _refitting_detail(plan))
        model = _refitted(
            plan,
            measured,
            start,
            fit,
            out=out,
            on_progress=on_progress,
            started_at=started_at,
            rejects=rejects_to_refit(plan, first) if plan.options.infers_rejects else None,
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
        members=tuple(fit.fitted),
        calibration=fit.calibration,
        validation=on_validation,
        test=on_test,
        rejects=rejects,
        started_at=started_at,
        seconds=dict(watch.seconds),
    )


def _training_detail(plan: TrainingPlan) -> str:
    origin = "a pretrained encoder" if plan.starts_pretrained else "random weights"
    detail = f"{plan.preset.members} x {plan.preset.training.epochs} epochs at most, from {origin}"
    if refits_at_once(plan):
        detail += f"; then as many passes over all {len(plan.refit_rows):,} labelled rows"
    return detail


def _refitting_detail(plan: TrainingPlan) -> str:
    beside = ""
    if plan.options.infers_rejects and plan.rejects is not None:
        beside = f" and {len(plan.rejects.all):,} rejected applications"
    return f"on all {len(plan.refit_rows):,} labelled rows{beside}, for the passes that were found"


def _refitted(
    plan: TrainingPlan,
    measured: LoanModel,
    start: StateDict | None,
    fit: EnsembleFit,
    *,
    out: Path,
    on_progress: OnProgress,
    started_at: datetime,
    rejects: AddedRejects | None,
) -> LoanModel:
    """The measured model with members that took the same passes over all labelled rows, and trees of them.

    Features and calibration stay those of the measured model: learned rows cannot calibrate a network.
    """
    fitted = fit.refitted
    if fitted is None:
        fitted = refit_members(plan, start, fit.fitted, out=out, on_progress=on_progress, rejects=rejects)
    learned = plan.refit_rows
    if rejects is not None:
        learned = np.concatenate([learned, rejects.positions])
    members = members_of(plan, fitted, learned)
    trees = None if fit.trees_of_run is None else refit_trees_of_run(plan, fit.trees_of_run, rejects=rejects)
    provenance = dict(measured.provenance) | provenance_of_weights(members, trees)
    version = model_version(started_at, digest_of_values(provenance))
    model = replace(measured, version=version, members=members, trees=trees, provenance=provenance)
    return replace(model, reference=reference_of_refit(plan, measured.reference, model.predict_inputs))


def _assemble(
    plan: TrainingPlan,
    fit: EnsembleFit,
    *,
    on_validation: Predictions,
    on_test: Predictions,
    reference: Mapping[str, Any],
    started_at: datetime,
) -> LoanModel:
    """The model with its metrics, its reference histograms and its provenance."""
    provenance = provenance_of(plan) | {
        "epochs": plan.preset.training.epochs,
        "pretraining_weight": plan.preset.pretraining_weight,
        "labels_learned_from": len(plan.refit_rows) if plan.options.refit else rows_learned_from(plan),
        "members": plan.preset.members,
        **provenance_of_rejects(plan),
        **provenance_of_weights(fit.members, fit.trees),
    }
    return LoanModel(
        version=model_version(started_at, digest_of_values(provenance)),
        schema=plan.schema,
        architecture=architecture_of(plan),
        members=fit.members,
        trees=fit.trees,
        calibration=fit.calibration.calibration,
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

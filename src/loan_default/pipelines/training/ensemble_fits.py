"""The ensemble of a run as it is measured: members and trees, and a calibration on rows unseen by each."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loan_default.models.calibration import CalibrationChoice, choose_calibration
from loan_default.models.classifier import Classifier
from loan_default.models.features import Inputs
from loan_default.models.fitting import Fitted, OnProgress, StateDict
from loan_default.models.member_training import trained_classifier
from loan_default.models.model import raw_probability
from loan_default.models.trees import Trees, blend
from loan_default.pipelines.training.member_fits import (
    AddedRejects,
    OutOfFold,
    architecture_of,
    fit_and_refit_members,
    fit_members,
    out_of_fold,
)
from loan_default.pipelines.training.plan import TrainingPlan
from loan_default.pipelines.training.stopwatch import Stopwatch
from loan_default.pipelines.training.tree_fits import TreesOfRun, fit_trees_of_run


@dataclass(frozen=True, kw_only=True, slots=True)
class EnsembleFit:
    """Members and trees that have learned from the training and validation rows, each without its fold."""

    fitted: list[Fitted]
    refitted: list[Fitted] | None
    """The same members after as many passes over all labelled rows; None = they are not fitted yet."""
    members: tuple[Classifier, ...]
    trees_of_run: TreesOfRun | None
    """None = the run has no trees."""
    networks: OutOfFold
    """Predictions of the members for rows that they did not learn from."""
    raw: NDArray[np.float64]
    """The same rows by members and trees together, before calibration."""
    calibration: CalibrationChoice

    @property
    def trees(self) -> Trees | None:
        """The trees that are measured; None = the run has none."""
        return None if self.trees_of_run is None else self.trees_of_run.trees

    def raw_probability(self, inputs: Inputs) -> NDArray[np.float64]:
        """Probabilities `(rows,)` of members and trees together, before calibration."""
        return raw_probability(self.members, self.trees, inputs)

    def pds(self, inputs: Inputs) -> NDArray[np.float64]:
        """Calibrated PDs `(rows,)`."""
        return self.calibration.calibration.apply(self.raw_probability(inputs))


def fit_ensemble(
    plan: TrainingPlan,
    start: StateDict | None,
    *,
    out: Path,
    watch: Stopwatch,
    on_progress: OnProgress,
    rejects: AddedRejects | None = None,
) -> EnsembleFit:
    """Fit members and trees out of fold, and calibrate them on the rows of the folds.

    Args:
        start: weights that the encoder of each member starts with; None = random ones.
        rejects: what they learn besides; the calibration is of labelled rows alone. None = nothing.
    """
    refitted = None
    if refits_at_once(plan):
        fitted, refitted = fit_and_refit_members(plan, start, out=out, on_progress=on_progress)
    else:
        fitted = fit_members(plan, start, out=out, on_progress=on_progress, rejects=rejects)
    learned = plan.measured_rows
    if rejects is not None:
        learned = np.concatenate([learned, rejects.positions])
    members = members_of(plan, fitted, learned)
    networks = out_of_fold(plan, members)
    trees = fit_trees_of_run(plan, watch=watch, rejects=rejects)
    raw = networks.raw if trees is None else blend(networks.raw, trees.out_of_fold)
    rows = plan.labelled(networks.positions)
    watch.start("calibrate", f"on {len(rows.labels):,} rows that what predicts them did not learn from")
    return EnsembleFit(
        fitted=fitted,
        refitted=refitted,
        members=members,
        trees_of_run=trees,
        networks=networks,
        raw=raw,
        calibration=choose_calibration(raw, rows.labels, rows.weights),
    )


def refits_at_once(plan: TrainingPlan) -> bool:
    """Whether members are refitted as soon as their passes are known, before the ensemble is measured.

    What is inferred of rejects, and learned in the last fit, is known after that only.
    """
    return plan.options.refit and not plan.options.infers_rejects


def members_of(
    plan: TrainingPlan, fitted: list[Fitted], learned: NDArray[np.int64]
) -> tuple[Classifier, ...]:
    """The networks with their fitted weights.

    Args:
        learned: positions of the rows that they learned from, beside those that went on pretraining them.
    """
    architecture = architecture_of(plan)
    if plan.preset.pretraining_weight:
        learned = np.union1d(learned, plan.pretraining)
    train = plan.inputs[learned]
    return tuple(trained_classifier(architecture, each.state, train) for each in fitted)

"""The trees of a run: fitted out of fold to be measured, then on all labels to be handed over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from loan_default.models.calibration import choose_calibration
from loan_default.models.classifier import Classifier
from loan_default.models.features import Inputs
from loan_default.models.labelled import Labelled
from loan_default.models.model import mean_probability
from loan_default.models.tree_training import fit_trees, refit_trees
from loan_default.models.trees import Trees, average
from loan_default.pipelines.training.member_fits import AddedRejects
from loan_default.pipelines.training.plan import TrainingPlan
from loan_default.pipelines.training.stopwatch import Stopwatch

NETWORKS, TREES = "networks alone", "trees alone"
"""Parts of a model with trees."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TreesOfRun:
    """What the fits of a run have found."""

    trees: Trees
    """The mean of the ensembles of the folds: what is measured."""
    rounds: int
    """Trees of an ensemble, on the average of the folds."""
    of_fold: tuple[Trees, ...]
    """The ensembles of the folds, each without the rows of its fold."""
    out_of_fold: NDArray[np.float64]
    """Logits `(rows,)` of the rows of the folds, each by the ensemble that did not learn from it."""


def fit_trees_of_run(
    plan: TrainingPlan, *, watch: Stopwatch, rejects: AddedRejects | None = None
) -> TreesOfRun | None:
    """An ensemble for each fold that a network is scored on, learned from the rows of the others.

    It takes seconds: a run that is resumed fits them again, and gets the same. None = the run has no trees.

    Args:
        rejects: what they learn besides, as the first network of the same fold does; None = nothing.
    """
    if not plan.options.with_trees:
        return None
    watch.start("trees", f"LightGBM, on {len(plan.measured_rows):,} rows, out of fold")
    ensembles, logits = [], []
    for number, fold in enumerate(plan.folds[: plan.preset.members], start=1):
        others = np.setdiff1d(plan.measured_rows, fold)
        ensemble = fit_trees(
            _rows_of(plan, others, rejects, number=number),
            plan.labelled(fold),
            seed=plan.options.seed,
            threads=plan.compute.threads,
            directions=plan.features.directions,
        )
        ensembles.append(ensemble)
        logits.append(ensemble.logits(plan.inputs[fold]))
    return TreesOfRun(
        trees=average(ensembles),
        of_fold=tuple(ensembles),
        rounds=round(np.mean([len(each) for each in ensembles])),
        out_of_fold=np.concatenate(logits),
    )


def refit_trees_of_run(
    plan: TrainingPlan, found: TreesOfRun, *, rejects: AddedRejects | None = None
) -> Trees:
    """As many trees as were found, fitted on all labelled rows; nothing is scored.

    Args:
        rejects: what they learn besides, as the first network does; None = nothing.
    """
    return refit_trees(
        _rows_of(plan, plan.refit_rows, rejects, number=1),
        rounds=found.rounds,
        seed=plan.options.seed,
        threads=plan.compute.threads,
        directions=plan.features.directions,
    )


def _rows_of(
    plan: TrainingPlan, positions: NDArray[np.int64], rejects: AddedRejects | None, *, number: int
) -> Labelled:
    if rejects is None:
        return plan.labelled(positions)
    return rejects.learned_with(plan, positions, number=number)


def each_part_alone(
    members: Sequence[Classifier],
    found: TreesOfRun,
    networks: NDArray[np.float64],
    unseen: Labelled,
    test: Inputs,
) -> Mapping[str, NDArray[np.float64]]:
    """PDs `(test rows,)` of the networks and of the trees, each calibrated alone.

    Args:
        networks: probabilities of the unseen rows by the networks that did not learn from them.
        unseen: the rows that are calibrated on.
    """
    parts = {
        NETWORKS: (networks, mean_probability(members, test)),
        TREES: (np.asarray(expit(found.out_of_fold)), np.asarray(expit(found.trees.logits(test)))),
    }
    return {
        name: choose_calibration(before, unseen.labels, unseen.weights).calibration.apply(raw)
        for name, (before, raw) in parts.items()
    }

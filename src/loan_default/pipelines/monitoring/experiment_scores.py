"""The two models of an experiment on live applications: their kept predictions, beside the known outcomes.

    kept = latest_predictions(database, experiment)
    compared = compare_models(experiment, kept, outcomes, cutoff=0.2, number=1)

An application counts once in each group, with its latest prediction. Who names nobody was not drawn.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from loan_default.database.connect import Database
from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.experiment_documents import Experiment, Mode
from loan_default.database.prediction_repository import PredictionRepository
from loan_default.database.serving_documents import Group, Prediction
from loan_default.database.serving_repositories import ExperimentRepository
from loan_default.evaluation.live_comparison import Measure, Scores, compare_groups, compare_pairs
from loan_default.evaluation.sequential import PLANNED

Kept = Mapping[tuple[str, Group], Prediction]
"""Application and group -> the latest prediction."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ComparedModels:
    """Two models on live applications."""

    champion: Scores
    challenger: Scores
    """In shadow of the same people, in the same order."""
    measures: tuple[Measure, ...]


def other_group(experiment: Experiment) -> Group:
    """Return the group of the challenger's predictions."""
    return Group.SHADOW if experiment.mode is Mode.SHADOW else Group.CHALLENGER


def latest_predictions(database: Database, experiment: Experiment) -> Kept:
    """Return the latest prediction of each application in each group; DependencyError without a database."""
    latest: dict[tuple[str, Group], Prediction] = {}
    for each in PredictionRepository(database).of_experiment(experiment.id):
        if each.application is None:
            continue
        unit = (each.application, each.group)
        before = latest.get(unit)
        if before is None or (before.scored_at, before.id) < (each.scored_at, each.id):
            latest[unit] = each
    return latest


def compare_models(
    experiment: Experiment, kept: Kept, outcomes: Mapping[str, float], *, cutoff: float, number: int
) -> ComparedModels:
    """Compare the models of an experiment on what is known.

    Args:
        outcomes: application -> 1.0 = default, 0.0 = none.
        cutoff: PD up to which a loan counts as approved.
        number: which experiment beside this champion it is, see `experiment_number`.
    """
    planned, other = experiment.planned_outcomes or PLANNED, other_group(experiment)
    if experiment.mode is Mode.SHADOW:
        pairs = sorted(unit for unit, group in kept if group is other and (unit, Group.CHAMPION) in kept)
        first = _scores((kept[unit, Group.CHAMPION] for unit in pairs), outcomes)
        second = _scores((kept[unit, other] for unit in pairs), outcomes)
        measures = compare_pairs(first, second, cutoff=cutoff, planned=planned, number=number)
    else:
        first, second = (
            _scores((each for (_, found), each in kept.items() if found is group), outcomes)
            for group in (Group.CHAMPION, other)
        )
        measures = compare_groups(first, second, cutoff=cutoff, planned=planned, number=number)
    return ComparedModels(champion=first, challenger=second, measures=tuple(measures))


def experiment_number(database: Database, experiment: Experiment) -> int:
    """Return which experiment beside its champion it is, since that became one: 1 = the first.

    Whoever starts experiments until one of them wins is bound to find a winner: the k-th has a smaller error.
    """
    move = DecisionRepository(database).last_move(experiment.champion)
    beside = [
        each
        for each in ExperimentRepository(database).of_champion(experiment.champion)
        if each.started_at <= experiment.started_at and (move is None or move.decided_at <= each.started_at)
    ]
    return max(1, len(beside))


def _scores(predictions: Iterable[Prediction], outcomes: Mapping[str, float]) -> Scores:
    listed = list(predictions)
    return Scores(
        pds=np.array([each.pd for each in listed], np.float64),
        outcomes=np.array([outcomes.get(each.application or "", np.nan) for each in listed], np.float64),
    )

"""What live applications say about a model and the champion, for the gate."""

from loan_default.data.datasets.known_outcomes import known_outcomes
from loan_default.database.experiment_documents import Mode
from loan_default.database.gate_documents import StoredEstimate, StoredLive
from loan_default.database.serving_repositories import ExperimentRepository
from loan_default.evaluation.live_comparison import Estimate
from loan_default.evaluation.live_rule import LiveLead
from loan_default.pipelines.layout import TRAINING_STORE
from loan_default.pipelines.monitoring.experiment_scores import (
    compare_models,
    experiment_number,
    latest_predictions,
)
from loan_default.pipelines.promotion.evaluation_run import EvaluationRun


def live_evidence(run: EvaluationRun, version: str, champion: str) -> StoredLive | None:
    """Compare a model with the champion on live applications; None where no experiment has done so.

    The newest experiment of the two counts, whether it runs or has ended.

    Raises:
        DataError: a part of the training store is damaged.
        DependencyError: the database is away.
    """
    beside = ExperimentRepository(run.services.database).of_champion(champion)
    experiment = next((each for each in beside if each.challenger == version), None)
    if experiment is None:
        return None
    kept = latest_predictions(run.services.database, experiment)
    target = run.services.schema.target
    outcomes = known_outcomes(
        run.home / TRAINING_STORE,
        target=None if target is None else target.name,
        only={application for application, _ in kept},
    )
    number = experiment_number(run.services.database, experiment)
    compared = compare_models(experiment, kept, outcomes, cutoff=run.policy.cutoff, number=number)
    auc = next(each for each in compared.measures if each.name == "auc")
    known = int(compared.champion.is_known.sum())
    if experiment.mode is not Mode.SHADOW:
        known += int(compared.challenger.is_known.sum())
    lead = auc.difference
    return StoredLive(
        experiment=experiment.id,
        number=number,
        outcomes=known,
        planned=experiment.planned_outcomes,
        lead=None if lead is None else StoredEstimate(value=lead.value, low=lead.low, high=lead.high),
        note=auc.note,
    )


def live_lead(stored: StoredLive | None) -> LiveLead | None:
    """Return stored evidence as the gate reads it."""
    if stored is None:
        return None
    lead = stored.lead
    return LiveLead(
        experiment=stored.experiment,
        outcomes=stored.outcomes,
        planned=stored.planned,
        lead=None if lead is None else Estimate(value=lead.value, low=lead.low, high=lead.high),
        note=stored.note,
    )

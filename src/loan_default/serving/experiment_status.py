"""What an experiment has shown so far: the predictions that were kept, beside the outcomes that are known.

Outcomes are known of loans that were granted, so a group's outcomes are those of the people whom its model,
or whoever decided, approved. Applications that name nobody were not drawn, and are no part of a comparison.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loan_default.database.connect import Database
from loan_default.database.experiment_documents import Experiment, Mode
from loan_default.database.serving_documents import Group
from loan_default.database.serving_repositories import ExperimentRepository
from loan_default.errors import DataError
from loan_default.evaluation.drift_statistics import psi_of_samples
from loan_default.evaluation.live_comparison import (
    Agreement,
    Conclusion,
    Estimate,
    Measure,
    Scores,
    agreement,
    conclusion_of,
    share_of,
)
from loan_default.pipelines.monitoring.experiment_scores import (
    compare_models,
    experiment_number,
    latest_predictions,
    other_group,
)
from loan_default.serving.experiments import champion_rev, runs_beside, who_answers
from loan_default.serving.outcomes import outcomes_of


@dataclass(frozen=True, kw_only=True, slots=True)
class ExperimentStatus:
    """The two models on the applications of an experiment, the latest score of each."""

    experiment: Experiment
    is_running: bool
    """Whether it runs, and beside the champion that it was started with."""
    cutoff: float
    number: int
    """Which experiment beside its champion it is: the intervals of a later one are wider."""
    scored: Mapping[str, int]
    """Group -> applications."""
    outcomes: Mapping[str, int]
    """Group -> applications whose outcome is known."""
    challenged: Estimate | None
    """Share of the applications that the challenger scored; None without any."""
    score_psi: float | None
    """Population stability index from the champion's PDs to the challenger's; None without either."""
    measures: tuple[Measure, ...]
    agreement: Agreement | None
    """On the same people, so in shadow only."""
    conclusion: Conclusion

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that can be written as JSON."""
        return {
            **self.experiment.model_dump(mode="json"),
            **{key: value for key, value in asdict(self).items() if key != "experiment"},
        }


def experiment_status(
    database: Database,
    *,
    store: Path,
    schema: Path | None,
    experiment: str | None = None,
    cutoff: float,
) -> ExperimentStatus:
    """Compare the two models of an experiment on what is known.

    Args:
        store: folder of the training store, which holds the outcomes.
        schema: of the ingestion, where the settings name one.
        experiment: its id; None = the one that runs, else the newest.
        cutoff: PD up to which a loan counts as approved.

    Raises:
        DataError: there is no such experiment.
        DependencyError: the database is away.
    """
    experiments = ExperimentRepository(database)
    chosen = experiments.get(experiment) if experiment else experiments.running() or experiments.latest()
    if chosen is None:
        raise DataError("there must be an experiment, however: none was ever started.")
    kept = latest_predictions(database, chosen)
    applications = {application for application, _ in kept}
    outcomes = outcomes_of(database, applications, version=chosen.champion, store=store, schema=schema)
    is_shadow, other = chosen.mode is Mode.SHADOW, other_group(chosen)
    number = experiment_number(database, chosen)
    compared = compare_models(chosen, kept, outcomes, cutoff=cutoff, number=number)
    first, second = compared.champion, compared.challenger
    scored = {str(group): sum(1 for _, found in kept if found is group) for group in (Group.CHAMPION, other)}
    total = scored[Group.CHAMPION] if is_shadow else sum(scored.values())
    both_scored = len(first.pds) > 0 and len(second.pds) > 0
    return ExperimentStatus(
        experiment=chosen,
        is_running=runs_beside(chosen, who_answers(database), rev=champion_rev(database)),
        cutoff=cutoff,
        number=number,
        scored=scored,
        outcomes={str(Group.CHAMPION): _known(first), str(other): _known(second)},
        challenged=share_of(min(scored[other], total), total) if total else None,
        score_psi=psi_of_samples(first.pds, second.pds).value if both_scored else None,
        measures=compared.measures,
        agreement=agreement(first, second, cutoff=cutoff) if is_shadow else None,
        conclusion=conclusion_of(compared.measures),
    )


def _known(scores: Scores) -> int:
    return int(scores.is_known.sum())

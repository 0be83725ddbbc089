"""Starting, growing and stopping an experiment: a challenger beside the champion on live applications.

An experiment in shadow decides nothing. One with a share decides about people, so a person answers for it,
and a model that was rejected may not take part in it.
"""

import secrets
from datetime import datetime

import structlog

from loan_default.database.audit_repository import record_challenge, record_withdrawal
from loan_default.database.connect import Database
from loan_default.database.documents import ModelMetadata, ModelStatus, moves_of
from loan_default.database.experiment_documents import Experiment, Mode
from loan_default.database.repositories import ModelRepository
from loan_default.database.serving_repositories import ExperimentRepository
from loan_default.errors import ConfigurationError, DataError
from loan_default.evaluation.sequential import planned_outcomes
from loan_default.pipelines.registry import find_model, model_that_answers

SAME_PEOPLE = 0.8
"""Correlation of the AUCs of two models on the same people, as it is assumed before any is known."""
LARGEST_SHARE = 0.99
"""With a larger share the champion has too few people to be compared with."""

log = structlog.get_logger()


def challenge(
    database: Database,
    version: str,
    *,
    mode: Mode,
    share: float,
    by: str,
    now: datetime,
    reason: str | None = None,
) -> Experiment:
    """Start an experiment, or give that of the same challenger a larger share; return it.

    Args:
        version: version of the challenger, or the beginning of one.
        share: share of the applicants whom it scores, above 0 to 1.
        by: who answers for it.

    Raises:
        ConfigurationError: the share is out of range, or nobody is named.
        DataError: there is no such model, or it is the champion or was rejected, another experiment
            runs, or the share would shrink.
        DependencyError: the database is away.
    """
    _check_name(by)
    if not 0 < share <= 1:
        raise ConfigurationError(f"the share must be above 0 % and at most 100 %, however: {share:.1%}")
    experiments = ExperimentRepository(database)
    champion, model = who_answers(database), find_model(database, version).model
    _check_challenger(model, champion, mode)
    rev, running = champion_rev(database), experiments.running()
    if running is not None and not runs_beside(running, champion, rev=rev):
        # a new champion had ended its effect
        record_withdrawal(database, experiments.end(running.id, by=by, now=now), who=by)
        running = None
    if running is not None and (running.challenger, running.mode) == (model.version, mode):
        grown = experiments.grow(running.id, share)
        record_challenge(database, grown, who=by)
        log.info("experiment_grown", experiment=grown.id, share=grown.share, by=by)
        return grown
    experiment = Experiment(
        experiment=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}",
        champion=champion,
        champion_rev=rev,
        challenger=model.version,
        challenger_digest=model.sha256,
        mode=mode,
        share=share,
        started_at=now,
        started_by=by,
        reason=reason,
        planned_outcomes=_planned(database, champion, model.version, mode=mode, share=share),
    )
    experiments.begin(experiment)
    record_challenge(database, experiment, who=by)
    log.info("experiment_started", experiment=experiment.id, challenger=model.version, mode=str(mode), by=by)
    return experiment


def stop(database: Database, *, by: str, now: datetime) -> Experiment:
    """Stop the experiment that runs and return it.

    Raises:
        ConfigurationError: nobody is named.
        DataError: no experiment runs.
        DependencyError: the database is away.
    """
    _check_name(by)
    experiments = ExperimentRepository(database)
    running = experiments.running()
    if running is None:
        raise DataError("an experiment must run before it can be stopped, however: none does.")
    ended = experiments.end(running.id, by=by, now=now)
    record_withdrawal(database, ended, who=by)
    log.info("experiment_stopped", experiment=ended.id, by=by)
    return ended


def who_answers(database: Database) -> str:
    """Return the version that answers where no experiment runs: the champion, or the newest without one.

    DataError where no model is registered, or the pointer to a former champion is gone.
    """
    return model_that_answers(database)[0].version


def champion_rev(database: Database) -> int:
    """Return how often the champion's pointer has moved; 0 = there is none."""
    return moves_of(ModelRepository(database).champion())


def runs_beside(experiment: Experiment, champion: str, *, rev: int) -> bool:
    """Return whether an experiment is one of this champion: after a promotion it compares nothing any more.

    Scorers ask this before they give anybody to the challenger, so a new champion ends the effect of an
    experiment at once, although somebody has yet to stop it. It stays so where a rollback brings the former
    champion back: nobody has started the experiment anew.

    Args:
        rev: moves of the champion's pointer so far.
    """
    is_beside = experiment.champion == champion and experiment.champion_rev in (None, rev)
    return experiment.ended_at is None and is_beside


def _check_name(by: str) -> None:
    if not by.strip():
        raise ConfigurationError("a person must answer for an experiment, however: the name is blank.")


def _planned(database: Database, champion: str, challenger: str, *, mode: Mode, share: float) -> int | None:
    """The outcomes that the experiment needs, from metrics on unseen rows; None = there are none."""
    known = find_model(database, champion).test or find_model(database, challenger).test
    if known is None or known.label_rate is None:
        return None
    auc = known.figures.get("auc")
    if auc is None or not 0.5 < auc < 1 or not 0 < known.label_rate < 1:
        return None
    alike = SAME_PEOPLE if mode is Mode.SHADOW else 0.0
    return planned_outcomes(
        auc=auc, default_rate=known.label_rate, correlation=alike, share=min(share, LARGEST_SHARE)
    )


def _check_challenger(model: ModelMetadata, champion: str, mode: Mode) -> None:
    if model.version == champion:
        raise DataError(f"the challenger must not be the champion, however: {model.version} is.")
    if mode is Mode.SHARE and model.status is ModelStatus.REJECTED:
        raise DataError(
            f"a model that decides about people must not have been rejected, however: {model.version} was. "
            "Compare it by --shadow."
        )

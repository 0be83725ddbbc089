"""How good a model has been: its own predictions, made before the outcomes came, beside these outcomes."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from loan_default.data.datasets.known_outcomes import known_outcomes
from loan_default.database.connect import Database
from loan_default.database.monitoring_documents import Realised
from loan_default.database.prediction_repository import PredictionRepository
from loan_default.database.serving_documents import Prediction
from loan_default.evaluation.bootstrap import bootstrap_intervals
from loan_default.evaluation.performance_estimate import estimate_performance

MOST_DAYS = 90
"""Days of predictions that are looked at."""
FEWEST_OF_EACH = 30
"""Defaults, and good ends, without which there is no AUC."""
_DRAWS = 200


def realised_performance(
    database: Database, version: str, *, store: Path, target: str | None, since: datetime, now: datetime
) -> Realised | None:
    """Measure a model on its predictions whose outcomes are known; None where none is.

    The first prediction of an application counts: it was the answer.

    Args:
        store: folder of the training store, which holds the outcomes.
        target: name of the target in the schema; None = labels of applications do not count.
        since: predictions from that time on, at most `MOST_DAYS` ago.
    """
    since = max(since, now - timedelta(days=MOST_DAYS))
    first: dict[str, Prediction] = {}
    predictions = PredictionRepository(database)
    for days in range((now.date() - since.date()).days + 1):
        for each in predictions.of_model_on(version, since.date() + timedelta(days=days)):
            if each.application is not None and since <= each.scored_at <= now:
                first.setdefault(each.application, each)
    outcomes = known_outcomes(store, target=target, only=first.keys()) if first else {}
    if not outcomes:
        return None
    y = np.array([outcomes[application] for application in sorted(outcomes)], np.float64)
    pds = np.array([first[application].pd for application in sorted(outcomes)], np.float64)
    bads = int(y.sum())
    intervals = {}
    if min(bads, len(y) - bads) >= FEWEST_OF_EACH:
        intervals = dict(bootstrap_intervals(y, pds, seed=0, draws=_DRAWS))
    auc = intervals.get("auc")
    return Realised(
        since=since,
        rows=len(y),
        bads=bads,
        mean_pd=float(pds.mean()),
        bad_rate=bads / len(y),
        auc=None if auc is None else auc.value,
        auc_low=None if auc is None else auc.low,
        auc_high=None if auc is None else auc.high,
        expected_auc=None if auc is None else estimate_performance(pds).auc,
        brier=float(np.square(pds - y).mean()),
    )

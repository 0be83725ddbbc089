"""What we are measured against: boosted trees and logistic regression.

`tune` gives a booster 30 trials on the validation rows' log loss: its defaults at a learning rate of .05,
then 29 settings drawn at random, the same on every set.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from benchmarks.boosters import (
    DEFAULTS,
    PD,
    Booster,
    Positions,
    draw_catboost,
    draw_lightgbm,
    draw_xgboost,
    fit_catboost,
    fit_lightgbm,
    fit_xgboost,
)
from benchmarks.credit_sets import CreditSet
from benchmarks.tuning import Settings, best_trial
from loan_default.evaluation.metrics import log_loss
from loan_default.models.baseline import fit_logistic
from loan_default.models.features import fit_features
from loan_default.models.labelled import Labelled

TRIALS = 30


class Fit(Protocol):
    """How a library is fitted: `fit_lightgbm` and its like."""

    def __call__(
        self,
        data: CreditSet,
        train: Positions,
        settings: Settings,
        *,
        seed: int,
        rounds: int | None = None,
    ) -> Booster: ...


BOOSTERS: dict[str, tuple[Fit, Callable[[np.random.Generator], Settings]]] = {
    "LightGBM": (fit_lightgbm, draw_lightgbm),
    "XGBoost": (fit_xgboost, draw_xgboost),
    "CatBoost": (fit_catboost, draw_catboost),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """PDs by a peer."""

    validation: PD
    test: PD
    """Of the test rows, learned from the training rows alone."""
    refitted: PD
    """Of the test rows, learned from training and validation rows in as many rounds."""


def tune(name: str, data: CreditSet, *, kept: Path, trials: int = TRIALS) -> Settings:
    """The settings of least log loss on the validation rows; `kept` is the JSON file of the trials."""
    fit, draw = BOOSTERS[name]
    rng = np.random.default_rng(0)

    def measure(settings: Settings) -> tuple[float, int]:
        booster = fit(data, data.train, settings, seed=0)
        return log_loss(data.y[data.validation], booster.predict(data.validation)), booster.rounds

    proposed = [DEFAULTS, *(draw(rng) for _ in range(trials - 1))]
    return best_trial(proposed, measure, kept=kept).settings


def predictions(name: str, data: CreditSet, settings: Settings, *, seed: int) -> Predictions:
    """A booster's PDs, as measured and as it would be used."""
    fit, _ = BOOSTERS[name]
    measured = fit(data, data.train, settings, seed=seed)
    everything = np.concatenate([data.train, data.validation])
    refitted = fit(data, everything, settings, seed=seed, rounds=measured.rounds)
    return Predictions(
        validation=measured.predict(data.validation),
        test=measured.predict(data.test),
        refitted=refitted.predict(data.test),
    )


def logistic_predictions(data: CreditSet) -> Predictions:
    """Logistic regression's PDs, likewise; nothing in it is random."""
    everything = np.concatenate([data.train, data.validation])
    return Predictions(
        validation=_logistic(data, data.train, data.validation),
        test=_logistic(data, data.train, data.test),
        refitted=_logistic(data, everything, data.test),
    )


def lightgbm(data: CreditSet, train: Positions, *, seed: int) -> PD:
    """PDs of the test rows by LightGBM at its defaults."""
    return fit_lightgbm(data, train, DEFAULTS, seed=seed).predict(data.test)


def xgboost(data: CreditSet, train: Positions, *, seed: int) -> PD:
    """PDs of the test rows by XGBoost at its defaults."""
    return fit_xgboost(data, train, DEFAULTS, seed=seed).predict(data.test)


def catboost(data: CreditSet, train: Positions, *, seed: int) -> PD:
    """PDs of the test rows by CatBoost at its defaults."""
    return fit_catboost(data, train, DEFAULTS, seed=seed).predict(data.test)


def logistic(data: CreditSet, train: Positions, *, seed: int) -> PD:  # noqa: ARG001 (no randomness)
    """PDs of the test rows by logistic regression."""
    return _logistic(data, train, data.test)


def _logistic(data: CreditSet, train: Positions, rows: Positions) -> PD:
    features = fit_features(data.frame.iloc[train], data.schema)
    learned = Labelled(inputs=features.transform(data.frame.iloc[train]), labels=data.y[train])
    return fit_logistic(features, learned)(features.transform(data.frame.iloc[rows]))


PEERS: dict[str, Callable[..., PD]] = {
    "LightGBM": lightgbm,
    "XGBoost": xgboost,
    "CatBoost": catboost,
    "logistic": logistic,
}
"""Peers at their defaults."""

"""LightGBM, XGBoost and CatBoost on a credit set: how each is fitted, and the space that it is tuned in.

The spaces follow what the papers that compare nets with boosters search (Gorishniy and others, 2021 and 2025;
TabArena, 2025) and the libraries' advice, around a learning rate of .02 to .15.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import catboost as cb
import lightgbm as lgb
import numpy as np
import pandas as pd
import xgboost as xgb
from numpy.typing import NDArray

from benchmarks.credit_sets import CreditSet
from benchmarks.tuning import Settings

PD = NDArray[np.float64]
Positions = NDArray[np.int64]
DEFAULTS: Settings = {"learning_rate": 0.05}
PATIENCE = 50
_ROUNDS = 3_000
_FEWER_ROUNDS, _MANY_ROWS = 1_500, 50_000
"""CatBoost's bound on large sets, where a round takes a tenth of a second."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Booster:
    """A fitted one."""

    rounds: int
    """Trees that it predicts with."""
    predict: Callable[[Positions], PD]
    """PDs of rows of the set."""


def fit_lightgbm(
    data: CreditSet, train: Positions, settings: Settings, *, seed: int, rounds: int | None = None
) -> Booster:
    """Fitted for so many rounds, or till the validation rows' log loss has not fallen for 50 of them."""
    frame = _with_categories(data)
    model = lgb.LGBMClassifier(
        n_estimators=rounds or _ROUNDS,
        random_state=seed,
        n_jobs=1,
        verbose=-1,
        subsample_freq=1,
        **_whole(settings, "num_leaves", "min_child_samples"),
    )
    if rounds:
        model.fit(frame.iloc[train], data.y[train])
    else:
        model.fit(
            frame.iloc[train],
            data.y[train],
            eval_X=frame.iloc[data.validation],
            eval_y=data.y[data.validation],
            eval_metric="binary_logloss",
            callbacks=[lgb.early_stopping(PATIENCE, verbose=False)],
        )

    def predict(rows: Positions) -> PD:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(model.predict_proba(frame.iloc[rows]), np.float64)[:, 1]

    return Booster(rounds=rounds or model.best_iteration_, predict=predict)


def fit_xgboost(
    data: CreditSet, train: Positions, settings: Settings, *, seed: int, rounds: int | None = None
) -> Booster:
    """Fitted for so many rounds, or till the validation rows' log loss has not fallen for 50 of them."""
    frame = _with_categories(data)
    model = xgb.XGBClassifier(
        n_estimators=rounds or _ROUNDS,
        early_stopping_rounds=None if rounds else PATIENCE,
        eval_metric="logloss",
        enable_categorical=True,
        random_state=seed,
        n_jobs=1,
        **_whole(settings, "max_depth"),
    )
    held_out = (frame.iloc[data.validation], data.y[data.validation])
    model.fit(frame.iloc[train], data.y[train], eval_set=None if rounds else [held_out], verbose=False)
    return Booster(
        rounds=rounds or model.best_iteration + 1,
        predict=lambda rows: np.asarray(model.predict_proba(frame.iloc[rows])[:, 1], np.float64),
    )


def fit_catboost(
    data: CreditSet, train: Positions, settings: Settings, *, seed: int, rounds: int | None = None
) -> Booster:
    """Fitted for so many rounds, or till the validation rows' log loss has not fallen for 50 of them."""
    frame = data.frame.fillna(dict.fromkeys(data.categories, ""))  # it takes no missing category
    bound = _FEWER_ROUNDS if len(data.train) > _MANY_ROWS else _ROUNDS
    model = cb.CatBoostClassifier(
        iterations=rounds or bound,
        random_seed=seed,
        thread_count=1,
        verbose=False,
        allow_writing_files=False,
        cat_features=data.categories,
        **_whole(settings, "depth", "leaf_estimation_iterations"),
    )
    if rounds:
        model.fit(frame.iloc[train], data.y[train])
    else:
        held_out = (frame.iloc[data.validation], data.y[data.validation])
        model.fit(frame.iloc[train], data.y[train], eval_set=held_out, early_stopping_rounds=PATIENCE)
    return Booster(
        rounds=model.tree_count_,
        predict=lambda rows: np.asarray(model.predict_proba(frame.iloc[rows])[:, 1], np.float64),
    )


def draw_lightgbm(rng: np.random.Generator) -> Settings:
    """Settings drawn from LightGBM's space."""
    return {
        "learning_rate": _log(rng, 0.02, 0.15),
        "num_leaves": round(_log(rng, 4, 200)),
        "min_child_samples": round(_log(rng, 2, 200)),
        "subsample": rng.uniform(0.5, 1),
        "colsample_bytree": rng.uniform(0.4, 1),
        "reg_alpha": _log(rng, 1e-4, 10),
        "reg_lambda": _log(rng, 1e-4, 10),
    }


def draw_xgboost(rng: np.random.Generator) -> Settings:
    """Settings drawn from XGBoost's space."""
    return {
        "learning_rate": _log(rng, 0.02, 0.15),
        "max_depth": int(rng.integers(2, 10)),
        "min_child_weight": _log(rng, 0.1, 100),
        "subsample": rng.uniform(0.5, 1),
        "colsample_bytree": rng.uniform(0.4, 1),
        "reg_alpha": _log(rng, 1e-4, 10),
        "reg_lambda": _log(rng, 1e-4, 10),
    }


def draw_catboost(rng: np.random.Generator) -> Settings:
    """Settings drawn from CatBoost's space."""
    return {
        "learning_rate": _log(rng, 0.02, 0.15),
        "depth": int(rng.integers(4, 9)),
        "l2_leaf_reg": _log(rng, 0.5, 20),
        "bagging_temperature": rng.uniform(0, 1),
        "random_strength": _log(rng, 0.1, 5),
        "rsm": rng.uniform(0.5, 1),
        "leaf_estimation_iterations": int(rng.integers(1, 11)),
    }


def _with_categories(data: CreditSet) -> pd.DataFrame:
    return data.frame.astype(dict.fromkeys(data.categories, "category"))


def _log(rng: np.random.Generator, low: float, high: float) -> float:
    """A number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _whole(settings: Settings, *names: str) -> dict[str, Any]:
    """The settings, those of the names as whole numbers, which JSON may have kept as 6.0."""
    return {name: int(value) if name in names else value for name, value in settings.items()}

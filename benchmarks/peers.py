"""What we are measured against: boosted trees at their defaults with a learning rate of 0.05, and logistic
regression. The boosters stop early on the validation rows' log loss."""

import warnings
from collections.abc import Callable

import catboost as cb
import lightgbm as lgb
import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from benchmarks.credit_sets import CreditSet
from loan_default.models.baseline import fit_logistic
from loan_default.models.features import fit_features
from loan_default.models.member_training import Labelled

PD = NDArray[np.float64]
_ROUNDS, _PATIENCE, _RATE = 3_000, 50, 0.05


def lightgbm(data: CreditSet, train: NDArray[np.int64], *, seed: int) -> PD:
    """PDs of the test rows."""
    frame = data.frame.astype(dict.fromkeys(data.categories, "category"))
    model = lgb.LGBMClassifier(
        n_estimators=_ROUNDS, learning_rate=_RATE, random_state=seed, n_jobs=1, verbose=-1
    )
    model.fit(
        frame.iloc[train],
        data.y[train],
        eval_X=frame.iloc[data.validation],
        eval_y=data.y[data.validation],
        eval_metric="binary_logloss",
        callbacks=[lgb.early_stopping(_PATIENCE, verbose=False)],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.predict_proba(frame.iloc[data.test])[:, 1]


def xgboost(data: CreditSet, train: NDArray[np.int64], *, seed: int) -> PD:
    """PDs of the test rows."""
    frame = data.frame.astype(dict.fromkeys(data.categories, "category"))
    model = xgb.XGBClassifier(
        n_estimators=_ROUNDS,
        learning_rate=_RATE,
        early_stopping_rounds=_PATIENCE,
        eval_metric="logloss",
        enable_categorical=True,
        random_state=seed,
        n_jobs=1,
    )
    held_out = (frame.iloc[data.validation], data.y[data.validation])
    model.fit(frame.iloc[train], data.y[train], eval_set=[held_out], verbose=False)
    return model.predict_proba(frame.iloc[data.test])[:, 1]


def catboost(data: CreditSet, train: NDArray[np.int64], *, seed: int) -> PD:
    """PDs of the test rows."""
    model = cb.CatBoostClassifier(
        iterations=_ROUNDS,
        learning_rate=_RATE,
        random_seed=seed,
        thread_count=1,
        verbose=False,
        allow_writing_files=False,
        cat_features=data.categories,
    )
    frame = data.frame.fillna(dict.fromkeys(data.categories, ""))  # it takes no missing category
    held_out = (frame.iloc[data.validation], data.y[data.validation])
    model.fit(frame.iloc[train], data.y[train], eval_set=held_out, early_stopping_rounds=_PATIENCE)
    return model.predict_proba(frame.iloc[data.test])[:, 1]


def logistic(data: CreditSet, train: NDArray[np.int64], *, seed: int) -> PD:  # noqa: ARG001 (no randomness)
    """PDs of the test rows."""
    features = fit_features(data.frame.iloc[train], data.schema)
    rows = Labelled(inputs=features.transform(data.frame.iloc[train]), labels=data.y[train])
    return fit_logistic(features, rows)(features.transform(data.frame.iloc[data.test]))


PEERS: dict[str, Callable[..., PD]] = {
    "LightGBM": lightgbm,
    "XGBoost": xgboost,
    "CatBoost": catboost,
    "logistic": logistic,
}

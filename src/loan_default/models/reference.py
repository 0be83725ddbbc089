"""Reference histograms, kept in the model for drift: the training rows, and PDs of labelled rows.

Bins are frozen here. Later samples are counted into the same bins, so that counts stay comparable.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loan_default.models.features import Features, Inputs

if TYPE_CHECKING:
    import pandas as pd

_BINS = 10
_QUANTILES = 101


def reference_of(
    train: Inputs,
    features: Features,
    pd_: NDArray[np.float64],
    *,
    missing: Mapping[str, int] | None = None,
) -> Mapping[str, Any]:
    """Counts of each feature and of the PD over frozen bins.

    Args:
        train: the training rows, as `features` transforms them.
        pd_: calibrated PDs `(n,)` of rows that the network was not fitted on, at least one.
        missing: training rows by categorical column that lacked it; None = not known.

    Returns:
        `numerical`: name -> inner `edges` of bins of equal mass, `counts` of the bins and, last, of missing;
        ordinal columns are counted by rank. `categorical`: name -> `counts` by code, 0 = unknown or missing,
        and `missing`, those of code 0 that are missing. `pd`: inner `edges`, `counts`, `mean`, `sd`, and
        `quantiles`, evenly spaced from 0 to 1. Files of older releases lack `missing` and the last three.
    """
    numerical = {
        feature.name: _histogram(train.numerical[:, column].astype(np.float64))
        for column, feature in enumerate(features.numerical)
    }
    categorical = {
        feature.name: {"counts": np.bincount(train.codes[:, column], minlength=feature.cardinality)}
        | ({} if missing is None else {"missing": int(missing[feature.name])})
        for column, feature in enumerate(features.categorical)
    }
    return {"numerical": numerical, "categorical": categorical, "pd": score_histogram(pd_)}


def score_histogram(pds: NDArray[np.float64]) -> dict[str, Any]:
    """The histogram of calibrated PDs `(n,)`, at least one; its keys are those of `pd` in `reference_of`."""
    return _histogram(pds) | {
        "mean": float(pds.mean()),
        "sd": float(pds.std()),
        "quantiles": np.quantile(pds, np.linspace(0, 1, _QUANTILES)),
    }


def missing_categories(features: Features, frame: "pd.DataFrame") -> dict[str, int]:
    """Rows of a canonical frame by categorical column that lack it."""
    return {
        feature.name: int(frame[feature.name].isna().sum()) if feature.name in frame else len(frame)
        for feature in features.categorical
    }


def counts_over(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Counts of values over frozen bins `(B + 1,)`, those that are missing last."""
    known = values[np.isfinite(values)]
    inside = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    return np.append(inside, len(values) - len(known)).astype(np.int64)


def _histogram(values: NDArray[np.float64]) -> dict[str, Any]:
    """Edges and counts of values in the units of the features: normal scores, ranks of levels, PDs."""
    known = values[np.isfinite(values)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])) if len(known) else np.zeros(0)
    return {"edges": edges, "counts": counts_over(values, edges)}

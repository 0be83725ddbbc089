"""Reference histograms, kept in the model for drift: the training rows, and the PDs of validation rows.

Bins are frozen here. Later samples are counted into the same bins, so that figures stay comparable.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from loan_default.models.features import Features

_BINS = 10


def reference_of(frame: pd.DataFrame, features: Features, pd_: NDArray[np.float64]) -> Mapping[str, Any]:
    """Counts of each feature and of the PD over frozen bins.

    Args:
        frame: canonical training rows.
        pd_: calibrated PDs `(n,)` of rows that the network was not fitted on, at least one.

    Returns:
        `numerical`: name -> inner `edges` of bins of equal mass, `counts` of the bins and, last, of missing;
        ordinal columns are counted by rank. `categorical`: name -> `counts` by code, 0 = unknown or missing.
        `pd`: inner `edges` and `counts`.
    """
    inputs = features.transform(frame)
    numerical = {
        feature.name: _histogram(inputs.numerical[:, place].astype(np.float64))
        for place, feature in enumerate(features.numerical)
    }
    categorical = {
        feature.name: {"counts": np.bincount(inputs.codes[:, place], minlength=feature.cardinality)}
        for place, feature in enumerate(features.categorical)
    }
    return {"numerical": numerical, "categorical": categorical, "pd": _histogram(pd_)}


def _histogram(values: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """Values in the units of the features: normal scores, ranks of levels, PDs."""
    known = values[np.isfinite(values)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])) if len(known) else np.zeros(0)
    inside = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    return {"edges": edges, "counts": np.append(inside, len(values) - len(known)).astype(np.int64)}

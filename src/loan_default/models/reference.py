"""Reference histograms, kept in the model for drift: the training rows, and the PDs of validation rows.

Bins are frozen here. Later samples are counted into the same bins, so that counts stay comparable.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loan_default.models.features import Features, Inputs

_BINS = 10


def reference_of(train: Inputs, features: Features, pd_: NDArray[np.float64]) -> Mapping[str, Any]:
    """Counts of each feature and of the PD over frozen bins.

    Args:
        train: the training rows, as `features` transforms them.
        pd_: calibrated PDs `(n,)` of rows that the network was not fitted on, at least one.

    Returns:
        `numerical`: name -> inner `edges` of bins of equal mass, `counts` of the bins and, last, of missing;
        ordinal columns are counted by rank. `categorical`: name -> `counts` by code, 0 = unknown or missing.
        `pd`: inner `edges` and `counts`.
    """
    numerical = {
        feature.name: _histogram(train.numerical[:, column].astype(np.float64))
        for column, feature in enumerate(features.numerical)
    }
    categorical = {
        feature.name: {"counts": np.bincount(train.codes[:, column], minlength=feature.cardinality)}
        for column, feature in enumerate(features.categorical)
    }
    return {"numerical": numerical, "categorical": categorical, "pd": _histogram(pd_)}


def _histogram(values: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """Edges and counts of values in the units of the features: normal scores, ranks of levels, PDs."""
    known = values[np.isfinite(values)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])) if len(known) else np.zeros(0)
    inside = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    return {"edges": edges, "counts": np.append(inside, len(values) - len(known)).astype(np.int64)}

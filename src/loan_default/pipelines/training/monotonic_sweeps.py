"""Sweeps of the columns in which the schema wants a PD to be monotonic."""

from typing import Any

import numpy as np
import pandas as pd

from loan_default.evaluation.monotonicity import MonotonicSweep, sweep
from loan_default.models.features import NumericalFeature
from loan_default.models.model import LoanModel

_ROWS = 300
_VALUES = 13
"""Values of a numerical column: its training quantiles, evenly spaced."""


def monotonic_sweeps(model: LoanModel, frame: pd.DataFrame) -> tuple[MonotonicSweep, ...]:
    """Sweep each column in which the PD of a model must be monotonic, over some rows of a canonical frame.

    Columns that the model does not see, as they were constant in training, cannot move a PD.
    """
    chosen = frame.iloc[np.unique(np.linspace(0, len(frame) - 1, _ROWS).round().astype(int))]
    asked = {column.name: column.monotonic for column in model.schema.features if column.monotonic}
    features = {feature.name: feature for feature in model.architecture.features.numerical}
    return tuple(
        sweep(model.predict_pd, chosen, name, values=_grid(features.get(name)), direction=direction)
        for name, direction in asked.items()
    )


def _grid(feature: NumericalFeature | None) -> list[Any]:
    if feature is None:
        return [None]
    if feature.levels:
        return list(feature.levels)
    return list(np.unique(np.quantile(feature.quantiles, np.linspace(0, 1, _VALUES))))

"""PDs of the rows of one split, which the metrics, the report and the evidence are computed from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from loan_default.models.calibration import Calibration
from loan_default.models.features import Inputs
from loan_default.models.labelled import Labelled
from loan_default.pipelines.training.plan import TrainingPlan


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """PDs `(n,)` of the rows of one split, beside what became of them."""

    y: NDArray[np.float64]
    """1 = default, 0 = none."""
    calibrated: NDArray[np.float64]
    raw: NDArray[np.float64]
    """Of all parts of the model before calibration."""
    baseline: NDArray[np.float64]
    """PDs of logistic regression."""
    weights: NDArray[np.float64] | None = None
    """How much each row counts; None = all alike."""
    parts: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """Part of the model -> PDs of it alone; empty = it has one part, or they were not needed."""


def predictions_of(
    rows: Labelled,
    raw: NDArray[np.float64],
    calibration: Calibration,
    baseline: Callable[[Inputs], NDArray[np.float64]],
) -> Predictions:
    """Predictions for labelled rows.

    Args:
        raw: `(rows,)`, probabilities before calibration.
        baseline: returns PDs of logistic regression.
    """
    return Predictions(
        y=rows.labels.astype(np.float64),
        calibrated=calibration.apply(raw),
        raw=raw,
        baseline=baseline(rows.inputs),
        weights=rows.weights,
    )


def without_near_copies(plan: TrainingPlan, on_test: Predictions) -> list[tuple[str, Predictions]]:
    """Test rows that have no near-copy among rows that were learned from, with their name in the metrics.

    Empty where all are such rows, or where those that are left hold one outcome only.
    """
    kept = ~plan.straddling
    if kept.all() or not 0 < on_test.y[kept].sum() < kept.sum():
        return []
    rows = Predictions(
        y=on_test.y[kept],
        calibrated=on_test.calibrated[kept],
        raw=on_test.raw[kept],
        baseline=on_test.baseline[kept],
        weights=None if on_test.weights is None else on_test.weights[kept],
    )
    return [("test_without_near_copies", rows)]

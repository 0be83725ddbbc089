"""Rows with their outcomes, as networks and trees learn them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loan_default.models.features import Inputs


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelled:
    """Inputs of rows, and whether they defaulted."""

    inputs: Inputs
    labels: NDArray[np.float32]
    """(rows,), 1 = default, 0 = none; never missing."""
    weights: NDArray[np.float64] | None = None
    """(rows,), how much each row counts, above 0; None = all alike."""

    def __post_init__(self) -> None:
        if self.weights is not None and (
            len(self.weights) != len(self.labels)
            or not np.isfinite(self.weights).all()
            or self.weights.min(initial=1) <= 0
        ):
            raise ValueError(
                f"weights must be above 0, one a row, however: rows={len(self.labels)}, "
                f"weights={len(self.weights)}, smallest={self.weights.min(initial=1)}"
            )
        if len(self.inputs) != len(self.labels) or not np.isin(self.labels, (0, 1)).all():
            raise ValueError(
                f"labels must be 0 or 1, one a row, however: rows={len(self.inputs)}, "
                f"labels={np.unique(self.labels)[:5]} x {len(self.labels)}"
            )

    def __getitem__(self, positions: NDArray[np.int64]) -> "Labelled":
        """The rows at some positions."""
        weights = None if self.weights is None else self.weights[positions]
        return Labelled(inputs=self.inputs[positions], labels=self.labels[positions], weights=weights)

"""Platt calibration: two numbers, fitted on validation rows, that calibrate the odds of a model."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

_CLIP = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class Platt:
    """logit(PD) = slope * logit(p) + intercept (Platt, 1999)."""

    slope: float = 1.0
    intercept: float = 0.0

    def apply(self, probability: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated PD `(rows,)` of raw probabilities `(rows,)`, strictly between 0 and 1."""
        raw = logit(np.clip(probability, _CLIP, 1 - _CLIP))
        return np.clip(np.asarray(expit(self.slope * raw + self.intercept)), _CLIP, 1 - _CLIP)


def fit_platt(
    probability: NDArray[np.float64],
    labels: NDArray[np.float32],
    weights: NDArray[np.float64] | None = None,
) -> Platt:
    """Slope and intercept of largest likelihood on rows that the network was not fitted on.

    A slope that is not positive would turn the ranking round; it means that the network learned nothing,
    and then the odds are left as they are but for the level.
    """
    raw = logit(np.clip(probability, _CLIP, 1 - _CLIP))
    model = LogisticRegression(C=1e6, max_iter=1000).fit(raw[:, None], labels, sample_weight=weights)
    slope = float(model.coef_[0, 0])
    if slope <= 0:
        mean = float(np.clip(np.average(labels, weights=weights), _CLIP, 1 - _CLIP))
        return Platt(intercept=float(logit(mean) - np.average(raw, weights=weights)))
    return Platt(slope=slope, intercept=float(model.intercept_[0]))

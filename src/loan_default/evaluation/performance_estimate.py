"""How good a model may be before any outcome is known, from its own calibrated PDs.

If the PDs are right, an application with a PD of 0.2 is a default and a good end in 20 and 80 of 100 worlds;
each metric has an expectation over these worlds (confidence-based performance estimation). It sees that other
people apply; it cannot see that the same people pay otherwise than before: that needs outcomes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy

from loan_default.errors import DataError
from loan_default.evaluation.metrics import SMALLEST_PD, Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class PerformanceEstimate:
    """Expectations of metrics, if the PDs are right."""

    rows: int
    mean_pd: float
    """The expected default rate."""
    auc: float
    """Probability that a default has a higher PD than a good end, ties one half."""
    brier: float
    """Mean of PD (1 - PD)."""
    log_loss: float
    """Mean entropy, in nats."""


def estimate_performance(pds: ArrayLike) -> PerformanceEstimate:
    """Estimate the metrics of a model on applications without outcomes.

    Args:
        pds: `(N,)` calibrated PDs, at least two.

    Raises:
        DataError: they are no PDs, or fewer than two.
    """
    values = np.asarray(pds, np.float64)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise DataError(f"pds must be two or more finite numbers, however: shape={values.shape}")
    if values.min() < 0 or values.max() > 1:
        raise DataError(f"PDs must lie between 0 and 1, however: {values.min()} to {values.max()}")
    kept = np.clip(values, SMALLEST_PD, 1 - SMALLEST_PD)
    return PerformanceEstimate(
        rows=len(kept),
        mean_pd=float(values.mean()),
        auc=_expected_auc(kept),
        brier=float((kept * (1 - kept)).mean()),
        log_loss=float(-(xlogy(kept, kept) + xlogy(1 - kept, 1 - kept)).mean()),
    )


def _expected_auc(pds: Floats) -> float:
    """Expected pairs in order, by all expected pairs of a default and a good end among different people."""
    _, at = np.unique(pds, return_inverse=True)
    bads, goods = np.bincount(at, weights=pds), np.bincount(at, weights=1 - pds)
    below = np.cumsum(goods) - goods
    alone = float((pds * (1 - pds)).sum())
    in_order = float((bads * (below + goods / 2)).sum()) - alone / 2
    pairs = float(bads.sum() * goods.sum()) - alone
    return in_order / pairs

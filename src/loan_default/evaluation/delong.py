"""Two models on the same rows: the difference of their AUCs with its standard error, in one sort.

    paired = paired_auc(y, new, old)
    low, high = paired.interval(0.95)

The variance is that of DeLong, DeLong and Clarke-Pearson (1988). Placement values come from the ranks of the
sorted rows (Sun and Xu, 2014), so that N rows cost N log N and no pair is formed.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from loan_default.evaluation.bootstrap import check_level
from loan_default.evaluation.metrics import Floats, checked_weights, rank_rows

Z_95 = 1.959963984540054
"""Quantile of the normal distribution for intervals of 95 %."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedAuc:
    """AUCs of two models on the same rows, and how certain their difference is."""

    new: float
    old: float
    error: float
    """Standard error of the difference; 0 = both rank all rows alike, infinite = one default or one good."""

    @property
    def lead(self) -> float:
        """How far the new model is ahead of the old one."""
        return self.new - self.old

    @property
    def p_value(self) -> float:
        """Probability of a difference this large or larger, either way, between two equally good models."""
        if self.error == 0:
            return 1.0
        return 2 * float(ndtr(-abs(self.lead) / self.error))

    def interval(self, level: float) -> tuple[float, float]:
        """Both ends of the two-sided normal interval of the difference; ConfigurationError for no level."""
        check_level(level)
        half = 0.0 if self.error == 0 else float(ndtri((1 + level) / 2)) * self.error
        return self.lead - half, self.lead + half


def paired_auc(
    y: ArrayLike, new: ArrayLike, old: ArrayLike, *, weights: ArrayLike | None = None
) -> PairedAuc:
    """Compare the AUCs of two models on the same rows.

    Args:
        y: `(N,)` 1 = default, 0 = none.
        new, old: `(N,)` PDs of the two models.
        weights: `(N,)` how much each row counts; None = all alike.

    Raises:
        DataError: as `metrics.measure`.
    """
    for pds in (new, old):
        rank_rows(y, pds)  # checks them
    outcomes = np.asarray(y, np.float64)
    counts_as = np.ones(len(outcomes)) if weights is None else checked_weights(weights, len(outcomes))
    first = placements(outcomes, np.asarray(new, np.float64), counts_as)
    second = placements(outcomes, np.asarray(old, np.float64), counts_as)
    of_class = (counts_as[outcomes == 1], counts_as[outcomes == 0])
    errors = (
        error_of_mean(one - other, weight) for one, other, weight in zip(first, second, of_class, strict=True)
    )
    return PairedAuc(
        new=float(np.average(first[0], weights=of_class[0])),
        old=float(np.average(second[0], weights=of_class[0])),
        error=math.hypot(*errors),
    )


def placements(y: Floats, pds: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return for each default the share of goods below it, and for each good that of defaults above it.

    Rows of the same PD count one half. The mean of either is the AUC.

    Args:
        weights: `(N,)` how much each row counts.
    """
    is_bad = y == 1
    return (
        _share_below(pds[is_bad], pds[~is_bad], weights[~is_bad]),
        1 - _share_below(pds[~is_bad], pds[is_bad], weights[is_bad]),
    )


def error_of_mean(values: Floats, weights: Floats) -> float:
    """Return the standard error of a weighted mean of independent values; infinite for a single one."""
    rows = len(values)
    if rows < 2:
        return math.inf
    distances = weights * (values - np.average(values, weights=weights))
    return float(math.sqrt(rows / (rows - 1) * (distances @ distances)) / weights.sum())


def _share_below(values: Floats, others: Floats, weights: Floats) -> Floats:
    """`(V,)` share of the weight of `others` that lies below each value, ties one half."""
    order = np.argsort(others, kind="stable")
    ranked, mass = others[order], np.append(0.0, np.cumsum(weights[order]))
    first, last = np.searchsorted(ranked, values, "left"), np.searchsorted(ranked, values, "right")
    return np.asarray((mass[first] + mass[last]) / (2 * mass[-1]))

"""Metrics of one set of predictions: who is riskier (AUC, KS …) and how much (Brier, calibration …).

    measure(y, pd)                                  # all metrics at once
    auc(y, pd), ks(y, pd), brier(y, pd), …          # one at a time

`y` is 1.0 for default and 0.0 for none, `pd` the probability of default, both `(N,)`. No metric needs a
threshold, so none can be tuned on a holdout. Rows with the same PD count as one step: the order of the rows
never matters. Internally, every metric is computed from `Ranked` rows and a weight per row, which is what
makes the bootstrap fast: it sorts once and then only draws weights.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from loan_default.errors import ConfigurationError, DataError
from loan_default.evaluation.logistic import fit_line, fit_shift

Floats = NDArray[np.float64]

SMALLEST_PD = 1e-6
"""PDs are kept this far from 0 and 1 wherever a logarithm is taken: log loss, calibration, score points."""
STEEPEST_SLOPE = 100.0
"""The calibration slope when the PDs separate the classes perfectly, where the formula says infinity."""
ECE_BINS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Metrics:
    """All metrics of one set of predictions."""

    rows: int
    bads: int
    """Rows that defaulted."""
    base_rate: float
    """Share of the rows that defaulted."""
    mean_pd: float
    auc: float
    """Probability that a random bad has a higher PD than a random good, ties one half. 0.5 = no skill."""
    gini: float
    """2 * AUC - 1."""
    ks: float
    """Largest lead of the share of goods over the share of bads up to one PD, 0 to 1. 0 = no skill."""
    ks_at: float
    """The PD up to which that lead is reached."""
    pr_auc: float
    """Average precision: mean share of bads above each bad. No skill = the base rate."""
    brier: float
    """Mean squared distance of PD and outcome. Smaller is better."""
    brier_skill: float
    """Share of the base rate's Brier score that the PDs remove; 0 or less = no better than the base rate."""
    log_loss: float
    """Mean surprise in nats, PDs kept inside [1e-6, 1 - 1e-6]. Smaller is better."""
    ece: float
    """Mean distance of mean PD and bad rate over ten bins of equal mass. Smaller is better."""
    calibration_intercept: float
    """What to add to all logits to make the mean PD the base rate. 0 = right level, above 0 = PDs too low."""
    calibration_slope: float
    """Slope of the outcome on the logits. 1 = right, below 1 = overconfident. All PDs alike: 0; perfectly
    separated classes: ±100."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranked:
    """Rows in ascending order of PD, with what is the same for all weights."""

    order: NDArray[np.int64]
    """`(N,)` positions of the rows in the arrays that were given."""
    y: Floats
    """`(N,)` outcomes, 1.0 for default and 0.0 for none."""
    pd: Floats
    """`(N,)` PDs, ascending."""
    starts: NDArray[np.int64]
    """`(G,)` the first row of each group of equal PDs."""

    @cached_property
    def logits(self) -> Floats:
        """`(N,)`, finite."""
        return logit(self.pd)

    @cached_property
    def squared(self) -> Floats:
        """`(N,)` squared distance of PD and outcome."""
        return np.square(self.pd - self.y)

    @cached_property
    def surprise(self) -> Floats:
        """`(N,)` minus the logarithm of the probability that was given to the outcome."""
        kept = _inside(self.pd)
        return np.asarray(-xlogy(self.y, kept) - xlogy(1 - self.y, 1 - kept), np.float64)

    @cached_property
    def start(self) -> tuple[float, float]:
        """Intercept and slope of the unweighted rows: a start for weighted ones. The classes must overlap."""
        return fit_line(self.logits, self.y, np.ones(len(self.y)))


def rank_rows(y: ArrayLike, pd: ArrayLike) -> Ranked:
    """Check the rows and sort them by PD.

    Raises:
        DataError: lengths differ, one class only, outcomes other than 0 and 1, PDs outside [0, 1].
    """
    outcomes, scores = _checked(y, pd)
    if scores.min() < 0 or scores.max() > 1:
        raise DataError(
            f"PDs must lie between 0 and 1, however: min={scores.min()}, max={scores.max()}."
            " Scores of another scale can only be ranked: use auc, gini, ks or pr_auc."
        )
    return _ranked(outcomes, scores)


def measure(y: ArrayLike, pd: ArrayLike, *, weights: ArrayLike | None = None) -> Metrics:
    """Compute all metrics of one set of predictions.

    Args:
        weights: `(N,)` how much each row counts, above 0; None = all alike. Weights of 3 say the same as rows
            that stand there three times, but `rows` and `bads` count rows.

    Raises:
        DataError: as `rank_rows`, or weights that are not above 0, one a row.
    """
    rows = rank_rows(y, pd)
    if weights is None:
        return weigh(rows, np.ones(len(rows.y)))
    metrics = weigh(rows, checked_weights(weights, len(rows.y))[rows.order])
    return replace(metrics, rows=len(rows.y), bads=int(rows.y.sum()))


def checked_weights(weights: ArrayLike, rows: int) -> Floats:
    """Weights `(N,)` with a mean of 1.

    Raises:
        DataError: they are not above 0 and finite, one a row.
    """
    array = np.asarray(weights, np.float64)
    if array.shape != (rows,) or not np.isfinite(array).all() or array.min() <= 0:
        raise DataError(
            f"weights must be above 0, one a row, however: shape={array.shape} for {rows} rows, "
            f"smallest={array.min(initial=np.inf)}"
        )
    return np.asarray(array / array.mean())


def weigh(rows: Ranked, weights: Floats) -> Metrics:
    """Compute all metrics of rows that count `weights` times, `(N,)` in the order of `rows`.

    Both classes must have weight; a weight of 0 leaves a row out.
    """
    total, bads = float(weights.sum()), float(weights @ rows.y)
    area = _auc(rows, weights)
    lead, at = _ks(rows, weights)
    intercept, slope = _calibration(rows, weights)
    return Metrics(
        rows=round(total),
        bads=round(bads),
        base_rate=bads / total,
        mean_pd=float(weights @ rows.pd / total),
        auc=area,
        gini=2 * area - 1,
        ks=lead,
        ks_at=at,
        pr_auc=_pr_auc(rows, weights),
        brier=_brier(rows, weights),
        brier_skill=_brier_skill(rows, weights),
        log_loss=_log_loss(rows, weights),
        ece=_ece(rows, weights),
        calibration_intercept=intercept,
        calibration_slope=slope,
    )


def auc(y: ArrayLike, pd: ArrayLike) -> float:
    """Area under the ROC curve of any finite scores that rise with risk."""
    return _plain(_ranked(*_checked(y, pd)), _auc)


def gini(y: ArrayLike, pd: ArrayLike) -> float:
    """2 * AUC - 1 of any finite scores that rise with risk."""
    return 2 * auc(y, pd) - 1


def ks(y: ArrayLike, pd: ArrayLike) -> tuple[float, float]:
    """Kolmogorov-Smirnov: (largest lead of goods over bads, the PD up to which it is reached).

    Any finite scores that rise with risk will do.
    """
    rows = _ranked(*_checked(y, pd))
    return _ks(rows, np.ones(len(rows.y)))


def pr_auc(y: ArrayLike, pd: ArrayLike) -> float:
    """Average precision of any finite scores that rise with risk."""
    return _plain(_ranked(*_checked(y, pd)), _pr_auc)


def brier(y: ArrayLike, pd: ArrayLike) -> float:
    """Mean squared distance of PD and outcome."""
    return _plain(rank_rows(y, pd), _brier)


def brier_skill(y: ArrayLike, pd: ArrayLike) -> float:
    """Share of the base rate's Brier score that the PDs remove."""
    return _plain(rank_rows(y, pd), _brier_skill)


def log_loss(y: ArrayLike, pd: ArrayLike) -> float:
    """Mean surprise in nats, PDs kept inside [1e-6, 1 - 1e-6]."""
    return _plain(rank_rows(y, pd), _log_loss)


def ece(y: ArrayLike, pd: ArrayLike, *, bins: int = ECE_BINS) -> float:
    """Expected calibration error over bins of equal mass; rows of equal PD share a bin."""
    return _plain(rank_rows(y, pd), lambda rows, weights: _ece(rows, weights, bins=bins))


def calibration(y: ArrayLike, pd: ArrayLike) -> tuple[float, float]:
    """(intercept with the slope fixed at 1, slope): ideal (0, 1)."""
    rows = rank_rows(y, pd)
    return _calibration(rows, np.ones(len(rows.y)))


def logit(pd: ArrayLike) -> Floats:
    """ln(PD / (1 - PD)), PDs kept inside [1e-6, 1 - 1e-6]."""
    kept = _inside(np.asarray(pd, np.float64))
    return np.asarray(np.log(kept) - np.log1p(-kept))


def score_points(pd: ArrayLike, *, base: float = 600, odds: float = 50, pdo: float = 20) -> Floats:
    """Score points of PDs: `base` at `odds` goods to one bad, `pdo` more whenever the odds double.

    Raises:
        ConfigurationError: odds or pdo not above 0.
    """
    if odds <= 0 or pdo <= 0:
        raise ConfigurationError(f"odds and pdo must be above 0, however: odds={odds}, pdo={pdo}")
    doublings = (logit(pd) + np.log(odds)) / np.log(2)
    return np.asarray(base - pdo * doublings)


def mass_bins(rows: Ranked, weights: Floats, bins: int) -> NDArray[np.int64]:
    """`(N,)` the bin of each ranked row, 0 (lowest PDs) to `bins` - 1, of nearly equal weight each.

    Rows of equal PD share the bin that the middle of their group falls into; many ties leave bins empty.
    """
    if bins < 1:
        raise ConfigurationError(f"bins must be at least 1, however: bins={bins}")
    ends = np.cumsum(np.add.reduceat(weights, rows.starts))
    middles = (ends + np.append(0.0, ends[:-1])) / 2
    # A middle on the edge of two bins belongs to the upper one, however the weights are scaled and rounded.
    groups = np.minimum((middles / ends[-1] * bins + 1e-9).astype(np.int64), bins - 1)
    return np.repeat(groups, np.diff(np.append(rows.starts, len(rows.y))))


def _checked(y: ArrayLike, pd: ArrayLike) -> tuple[Floats, Floats]:
    outcomes, scores = np.asarray(y, np.float64), np.asarray(pd, np.float64)
    if outcomes.ndim != 1 or outcomes.shape != scores.shape:
        raise DataError(
            f"y and pd must be arrays (N,) of one length, however: y={outcomes.shape}, pd={scores.shape}"
        )
    if not np.isfinite(scores).all():
        raise DataError(
            f"PDs must be finite, however: {int((~np.isfinite(scores)).sum())} of {len(scores)} are not"
        )
    bads = int((outcomes == 1).sum())
    if bads + int((outcomes == 0).sum()) != len(outcomes):
        raise DataError("outcomes must be 0 or 1, however: there are others. Leave out rows without a label.")
    if bads in (0, len(outcomes)):
        raise DataError(f"both classes must be among the rows, however: bads={bads} of rows={len(outcomes)}")
    return outcomes, scores


def _ranked(y: Floats, scores: Floats) -> Ranked:
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    return Ranked(order=order, y=y[order], pd=ordered, starts=starts)


def _plain(rows: Ranked, metric: Callable[[Ranked, Floats], float]) -> float:
    return metric(rows, np.ones(len(rows.y)))


def _inside(pd: Floats) -> Floats:
    return np.asarray(np.clip(pd, SMALLEST_PD, 1 - SMALLEST_PD))


def _classes(rows: Ranked, weights: Floats) -> tuple[Floats, Floats]:
    """`(G,)` bads and goods per group of equal PDs."""
    bads = weights * rows.y
    if len(rows.starts) == len(rows.y):
        return bads, weights - bads
    return np.add.reduceat(bads, rows.starts), np.add.reduceat(weights - bads, rows.starts)


def _auc(rows: Ranked, weights: Floats) -> float:
    bads, goods = _classes(rows, weights)
    below = np.cumsum(goods) - goods / 2
    return float(bads @ below / (bads.sum() * goods.sum()))


def _ks(rows: Ranked, weights: Floats) -> tuple[float, float]:
    bads, goods = (np.cumsum(part) for part in _classes(rows, weights))
    lead = goods / goods[-1] - bads / bads[-1]
    at = int(np.argmax(lead))
    return float(lead[at]), float(rows.pd[rows.starts[at]])


def _pr_auc(rows: Ranked, weights: Floats) -> float:
    bads, goods = (part[::-1] for part in _classes(rows, weights))
    found = np.cumsum(bads)
    flagged = found + np.cumsum(goods)
    with_bads = bads > 0  # a bootstrap weight may be 0, and nothing flagged has no precision
    return float(bads[with_bads] @ (found[with_bads] / flagged[with_bads]) / found[-1])


def _brier(rows: Ranked, weights: Floats) -> float:
    return float(weights @ rows.squared / weights.sum())


def _brier_skill(rows: Ranked, weights: Floats) -> float:
    base = float(weights @ rows.y / weights.sum())
    return 1 - _brier(rows, weights) / (base * (1 - base))


def _log_loss(rows: Ranked, weights: Floats) -> float:
    return float(weights @ rows.surprise / weights.sum())


def _ece(rows: Ranked, weights: Floats, *, bins: int = ECE_BINS) -> float:
    gaps = np.bincount(mass_bins(rows, weights, bins), weights * (rows.y - rows.pd))
    return float(np.abs(gaps).sum() / weights.sum())


def _calibration(rows: Ranked, weights: Floats) -> tuple[float, float]:
    """Intercept and slope; cases in which the slope cannot be fitted are decided before the fit."""
    used = weights > 0
    bad, good = rows.logits[used & (rows.y == 1)], rows.logits[used & (rows.y == 0)]
    lowest, highest = min(bad[0], good[0]), max(bad[-1], good[-1])
    if highest - lowest < 1e-9:
        slope = 0.0
    elif good[-1] <= bad[0]:
        slope = STEEPEST_SLOPE
    elif bad[-1] <= good[0]:
        slope = -STEEPEST_SLOPE
    else:
        slope = fit_line(rows.logits, rows.y, weights, start=rows.start)[1]
        slope = float(np.clip(slope, -STEEPEST_SLOPE, STEEPEST_SLOPE))
    return fit_shift(rows.logits, rows.y, weights), slope


WEIGHTED: Mapping[str, Callable[[Ranked, Floats], float]] = {
    "auc": _auc,
    "ks": lambda rows, weights: _ks(rows, weights)[0],
    "pr_auc": _pr_auc,
    "brier": _brier,
    "brier_skill": _brier_skill,
    "log_loss": _log_loss,
    "ece": _ece,
}
"""Single metrics of weighted rows by name, for comparisons that need only one."""

"""What a cut-off means in money: bands of score points, approvals and defaults, expected and realised loss.

A loan of exposure E earns `margin * E` where it is repaid and loses `loss_given_default * E` where it
defaults. Its expected loss is PD * LGD * EAD. A loan is approved where its PD is at most the cut-off; the
rows that choose the cut-off are not those that it is measured on.

`y` is 1.0 for default and 0.0 for none, `pd` the probability of default, `exposure` above 0, all `(N,)`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import FiniteFloat

from loan_default.errors import DataError
from loan_default.evaluation.calibration_groups import jeffreys_interval
from loan_default.evaluation.metrics import score_points
from loan_default.review_policy import LendingTerms

Floats = NDArray[np.float64]

BAND_POINTS = 20
"""Score points of a band: within it, the odds double."""
_MOST_CUTOFFS = 2_000
"""Cut-offs that are tried: quantiles of the PDs."""
CURVE = tuple(share / 100 for share in range(5, 101, 5))
"""Approval rates of the curve."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreBand:
    """Rows whose score points lie in one band."""

    lowest: int
    highest: int
    """Score points, the lowest inclusive and the highest exclusive."""
    rows: int
    bads: int
    bad_rate: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat
    """95 % interval of the default rate (Jeffreys)."""
    mean_pd: FiniteFloat


@dataclass(frozen=True, kw_only=True, slots=True)
class CutoffChoice:
    """The cut-off that earns most on the rows that chose it."""

    cutoff: FiniteFloat
    """PD up to which a loan is approved."""
    points: FiniteFloat
    """The same as score points: a loan is approved from them on."""
    break_even: FiniteFloat
    """PD at which a loan earns as much as it loses; for right PDs the best cut-off."""
    rows: int
    """Rows that chose it."""
    profit: FiniteFloat
    """Profit of the approved loans over the exposure of all rows, at the cut-off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CutoffOutcome:
    """What a cut-off would have led to on some rows."""

    cutoff: FiniteFloat
    approval_rate: FiniteFloat
    approved: int
    bads: int
    """Defaults among the approved rows."""
    bad_rate: FiniteFloat | None
    low: FiniteFloat | None
    high: FiniteFloat | None
    """Default rate of the approved rows, with its interval of 95 % (Jeffreys); None = none is approved."""
    expected_loss: FiniteFloat
    """Sum of PD * LGD * EAD of the approved rows, over the exposure of all rows."""
    realised_loss: FiniteFloat
    """Sum of LGD * EAD of the approved rows that defaulted, over the exposure of all rows."""
    profit: FiniteFloat
    """Margin of the approved rows that did not default less the realised loss, over the exposure of all."""


def choose_cutoff(
    y: ArrayLike, pd: ArrayLike, *, terms: LendingTerms, exposure: ArrayLike | None = None
) -> CutoffChoice:
    """Find the cut-off with the highest profit; of equal ones the lowest, which approves fewest.

    Raises:
        DataError: lengths differ, there are no rows, or an exposure is not above 0.
    """
    outcomes, scores, amounts = _checked(y, pd, exposure)
    order = np.argsort(scores, kind="stable")
    ranked, gains = scores[order], _gains(outcomes[order], amounts[order], terms)
    profit = np.cumsum(gains) / amounts.sum()
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    if len(ends) > _MOST_CUTOFFS:
        ends = ends[np.unique(np.linspace(0, len(ends) - 1, _MOST_CUTOFFS).astype(int))]
    best = int(ends[np.argmax(profit[ends])])
    # Where no approval earns anything, nobody is approved.
    cutoff, earned = (float(ranked[best]), float(profit[best])) if profit[best] > 0 else (0.0, 0.0)
    return CutoffChoice(
        cutoff=cutoff,
        points=float(score_points([cutoff])[0]),
        break_even=terms.break_even,
        rows=len(scores),
        profit=earned,
    )


def outcome_at(
    cutoff: float, y: ArrayLike, pd: ArrayLike, *, terms: LendingTerms, exposure: ArrayLike | None = None
) -> CutoffOutcome:
    """Compute what a cut-off would have led to.

    Raises:
        DataError: as `choose_cutoff`.
    """
    outcomes, scores, amounts = _checked(y, pd, exposure)
    approved = scores <= cutoff
    rows, bads, whole = int(approved.sum()), int(outcomes[approved].sum()), float(amounts.sum())
    low, high = jeffreys_interval(bads, rows) if rows else (None, None)
    lost = terms.loss_given_default * amounts
    return CutoffOutcome(
        cutoff=float(cutoff),
        approval_rate=float(approved.mean()),
        approved=rows,
        bads=bads,
        bad_rate=bads / rows if rows else None,
        low=low,
        high=high,
        expected_loss=float((scores * lost)[approved].sum() / whole),
        realised_loss=float((outcomes * lost)[approved].sum() / whole),
        profit=float(_gains(outcomes, amounts, terms)[approved].sum() / whole),
    )


def approval_curve(
    y: ArrayLike, pd: ArrayLike, *, terms: LendingTerms, exposure: ArrayLike | None = None
) -> list[CutoffOutcome]:
    """Outcomes of the cut-offs that approve 5 %, 10 % … of the rows; equal PDs are approved together."""
    scores = np.asarray(pd, np.float64)
    cutoffs = np.unique(np.quantile(scores, CURVE, method="inverted_cdf"))
    return [outcome_at(float(cutoff), y, pd, terms=terms, exposure=exposure) for cutoff in cutoffs]


def score_bands(y: ArrayLike, pd: ArrayLike) -> list[ScoreBand]:
    """Rows by bands of score points, the safest first; empty bands between others are left out."""
    outcomes, scores, _ = _checked(y, pd, None)
    bands = np.floor(score_points(scores) / BAND_POINTS).astype(int)
    found = []
    for band in np.unique(bands)[::-1]:
        inside = bands == band
        rows, bads = int(inside.sum()), int(outcomes[inside].sum())
        low, high = jeffreys_interval(bads, rows)
        found.append(
            ScoreBand(
                lowest=int(band) * BAND_POINTS,
                highest=(int(band) + 1) * BAND_POINTS,
                rows=rows,
                bads=bads,
                bad_rate=bads / rows,
                low=low,
                high=high,
                mean_pd=float(scores[inside].mean()),
            )
        )
    return found


def _gains(y: Floats, exposure: Floats, terms: LendingTerms) -> Floats:
    return np.asarray(exposure * np.where(y == 1, -terms.loss_given_default, terms.margin))


def _checked(y: ArrayLike, pd: ArrayLike, exposure: ArrayLike | None) -> tuple[Floats, Floats, Floats]:
    outcomes, scores = np.asarray(y, np.float64), np.asarray(pd, np.float64)
    amounts = np.ones(len(scores)) if exposure is None else np.asarray(exposure, np.float64)
    if not len(outcomes) == len(scores) == len(amounts) or len(scores) == 0:
        raise DataError(
            "y, pd and exposure must be of one length of at least 1, however: "
            f"{len(outcomes)}, {len(scores)}, {len(amounts)}"
        )
    if not (np.isfinite(amounts).all() and amounts.min() > 0):
        raise DataError(f"exposures must be finite and above 0, however: smallest={amounts.min()}")
    return outcomes, scores, amounts

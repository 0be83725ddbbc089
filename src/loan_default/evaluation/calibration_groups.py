"""Do PDs mean what they say, group by group: deciles of PD, and the levels of each coded column.

`y` is 1.0 for default and 0.0 for none, `pd` the probability of default, both `(N,)`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import FiniteFloat
from scipy.special import betaincinv, ndtri

from loan_default.errors import DataError
from loan_default.evaluation.metrics import auc
from loan_default.evaluation.tables import decile_table

NOT_GIVEN = "not given"
"""The group of rows without a value."""
FEWEST_TO_RANK = 10
"""Rows of each outcome that a group must have before its AUC is computed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationGroup:
    """Mean PD beside the default rate of one group of rows."""

    group: str
    """The group in words of the schema; deciles are numbered from the riskiest."""
    rows: int
    bads: int
    bad_rate: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat
    """95 % interval of the default rate (Jeffreys)."""
    mean_pd: FiniteFloat
    fits: bool
    """Whether the mean PD lies within the interval; of 20 right groups, one does not by chance."""
    auc: FiniteFloat | None = None
    """None = too few rows of one outcome, or the groups are made by PD."""


def by_decile(y: ArrayLike, pd: ArrayLike, *, weights: ArrayLike | None = None) -> list[CalibrationGroup]:
    """Calibration of ten groups of equal mass, the riskiest first.

    Raises:
        DataError: as `metrics.rank_rows`.
    """
    columns = ("bin", "rows", "bads", "bad_rate", "low", "high", "mean_pd")
    table = decile_table(y, pd, weights=weights)[list(columns)].to_numpy(np.float64)
    return [
        CalibrationGroup(
            group=f"{number:.0f}",
            rows=int(rows),
            bads=int(bads),
            bad_rate=float(rate),
            low=float(low),
            high=float(high),
            mean_pd=float(mean_pd),
            fits=bool(low <= mean_pd <= high),
        )
        for number, rows, bads, rate, low, high, mean_pd in table
    ]


def by_level(
    y: ArrayLike, pd: ArrayLike, levels: Sequence[object], *, labels: Mapping[str, str] | None = None
) -> list[CalibrationGroup]:
    """Calibration of the rows of each level, the largest group first; rows without a level are a group.

    Args:
        levels: `(N,)` levels of the rows; None or NaN = none is given.
        labels: level -> words; a level without words stands for itself.

    Raises:
        DataError: lengths differ.
    """
    outcomes, scores = np.asarray(y, np.float64), np.asarray(pd, np.float64)
    names = level_names(levels)
    if not len(outcomes) == len(scores) == len(names):
        raise DataError(
            f"y, pd and levels must be of one length, however: {len(outcomes)}, {len(scores)}, {len(names)}"
        )
    found, counts = np.unique(names, return_counts=True)
    order = np.lexsort((found, -counts))
    words = labels or {}
    return [
        _group(words.get(str(found[at]), str(found[at])), outcomes[rows], scores[rows])
        for at in order
        for rows in [names == found[at]]
    ]


def level_names(levels: Sequence[object]) -> NDArray[np.str_]:
    """`(N,)` levels as text, `NOT_GIVEN` for those that are None or NaN."""
    return np.array(
        [
            NOT_GIVEN if level is None or (isinstance(level, float) and np.isnan(level)) else str(level)
            for level in levels
        ],
        dtype=np.str_,
    )


def jeffreys_interval(bads: float, rows: float, *, level: float = 0.95) -> tuple[float, float]:
    """Equal-tailed interval of a rate under Beta(1/2, 1/2) (Brown, Cai, DasGupta 2001)."""
    tail = (1 - level) / 2
    low = 0.0 if bads == 0 else float(betaincinv(bads + 0.5, rows - bads + 0.5, tail))
    high = 1.0 if bads == rows else float(betaincinv(bads + 0.5, rows - bads + 0.5, 1 - tail))
    return low, high


def unexpected_misses(groups: Sequence[CalibrationGroup]) -> bool:
    """Whether more groups miss their interval than chance explains once in a hundred times.

    A normal approximation of the number of misses, each with probability 5 %.
    """
    misses, count = sum(not each.fits for each in groups), len(groups)
    return bool(misses > 0.05 * count + ndtri(0.99) * math.sqrt(0.05 * 0.95 * count) + 0.5)


def _group(name: str, y: NDArray[np.float64], pd: NDArray[np.float64]) -> CalibrationGroup:
    rows, bads, mean_pd = len(y), int(y.sum()), float(pd.mean())
    low, high = jeffreys_interval(bads, rows)
    ranked = min(bads, rows - bads) >= FEWEST_TO_RANK
    return CalibrationGroup(
        group=name,
        rows=rows,
        bads=bads,
        bad_rate=bads / rows,
        low=low,
        high=high,
        mean_pd=mean_pd,
        fits=low <= mean_pd <= high,
        auc=auc(y, pd) if ranked else None,
    )

"""Vintages: do default rate, PD and rank order hold from cohort to cohort of applications?

A cohort is a calendar month, or a quarter where the applications span more than two years. The data have one
outcome a loan and no date of default, so a cohort has one default rate and no curve by months on book.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pandas import DatetimeIndex
from pydantic import FiniteFloat

from loan_default.errors import DataError
from loan_default.evaluation.calibration_groups import FEWEST_TO_RANK, jeffreys_interval
from loan_default.evaluation.metrics import auc

_MOST_MONTHS = 24
"""Months that are cohorts of their own; longer spans are cut into quarters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Vintage:
    """The applications of one cohort."""

    cohort: str
    """`2026-03` or `2026-Q1`."""
    rows: int
    bads: int
    bad_rate: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat
    """95 % interval of the default rate (Jeffreys)."""
    tested: int
    """Rows among them that the model has not learned from."""
    mean_pd: FiniteFloat | None
    """Of the tested rows; None = there are none."""
    auc: FiniteFloat | None
    """Of the tested rows; None = too few of one outcome."""


def vintage_table(times: DatetimeIndex, y: ArrayLike, pd: ArrayLike) -> list[Vintage]:
    """Cohorts in the order of time; rows without a time are left out.

    Args:
        times: `(N,)` times of the applications.
        y: `(N,)`, 1.0 for default and 0.0 for none.
        pd: `(N,)`, NaN where the model has learned from the row.

    Raises:
        DataError: lengths differ.
    """
    outcomes, scores = np.asarray(y, np.float64), np.asarray(pd, np.float64)
    if not len(times) == len(outcomes) == len(scores):
        raise DataError(
            f"times, y and pd must be of one length, however: {len(times)}, {len(outcomes)}, {len(scores)}"
        )
    known = ~np.asarray(times.isna())
    if not known.any():
        return []
    years, months = np.asarray(times.year), np.asarray(times.month)
    index = years * 12 + months
    span = index[known].max() - index[known].min() + 1
    by_quarter = span > _MOST_MONTHS
    names = np.array(
        [
            ""
            if not there
            else f"{int(y_)}-Q{(int(m) + 2) // 3}"
            if by_quarter
            else f"{int(y_)}-{int(m):02d}"
            for there, y_, m in zip(known, years, months, strict=True)
        ]
    )
    return [
        _vintage(str(name), outcomes[rows], scores[rows])
        for name in np.unique(names[known])
        for rows in [names == name]
    ]


def _vintage(cohort: str, y: NDArray[np.float64], pd: NDArray[np.float64]) -> Vintage:
    rows, bads, tested = len(y), int(y.sum()), np.isfinite(pd)
    low, high = jeffreys_interval(bads, rows)
    bad, count = int(y[tested].sum()), int(tested.sum())
    return Vintage(
        cohort=cohort,
        rows=rows,
        bads=bads,
        bad_rate=bads / rows,
        low=low,
        high=high,
        tested=count,
        mean_pd=float(pd[tested].mean()) if count else None,
        auc=auc(y[tested], pd[tested]) if min(bad, count - bad) >= FEWEST_TO_RANK else None,
    )

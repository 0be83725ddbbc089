"""Applications of an hour, scored and counted: what is stored of them, and what drift they show."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from loan_default.database.monitoring_documents import ColumnDrift, Estimated, StoredSignal
from loan_default.evaluation.drift import (
    ColumnSample,
    DriftLimits,
    DriftSample,
    Mean,
    Signal,
    find_drift,
)
from loan_default.evaluation.drift_statistics import psi
from loan_default.evaluation.performance_estimate import estimate_performance
from loan_default.models.drift_bins import BinCounts, CountedSample, counted_sample
from loan_default.models.features import Features
from loan_default.models.frozen_model import FrozenModel

_AT_ONCE = 1_024
"""Rows that are scored at once."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ScoredArrivals:
    """Applications in the order of their arrival, with the PDs that the monitored model gives them."""

    frame: pd.DataFrame
    times: pd.Series
    pds: NDArray[np.float64]

    def between(self, since: datetime, until: datetime) -> "ScoredArrivals":
        """Return those from `since` to before `until`."""
        inside = ((self.times >= since) & (self.times < until)).to_numpy()
        return ScoredArrivals(frame=self.frame[inside], times=self.times[inside], pds=self.pds[inside])


def score_arrivals(model: FrozenModel, frame: pd.DataFrame, times: pd.Series) -> ScoredArrivals:
    """Score a canonical frame by a model without torch."""
    inputs = model.features.transform(frame)
    parts = [model.predict_pd(inputs[begin : begin + _AT_ONCE]) for begin in range(0, len(frame), _AT_ONCE)]
    pds = np.concatenate(parts) if parts else np.zeros(0)
    return ScoredArrivals(frame=frame, times=times, pds=pds)


def count_sample(model: FrozenModel, arrivals: ScoredArrivals) -> CountedSample:
    """Count applications into the bins that were frozen when the model was trained."""
    return counted_sample(arrivals.frame, arrivals.pds, features=model.features, reference=model.reference)


def drift_of(
    frame: pd.DataFrame,
    pds: NDArray[np.float64],
    *,
    features: Features,
    reference: Mapping[str, Any],
    cutoff: float,
    limits: DriftLimits,
) -> tuple[Signal, ...]:
    """Compare a canonical frame and its PDs `(rows,)` with the training of the model; empty = too few rows.

    Args:
        features, reference: those of the model file.
        cutoff: PD up to which an application counts as approved.
    """
    if len(frame) < limits.fewest_rows:
        return ()
    counted = counted_sample(frame, pds, features=features, reference=reference)
    return find_drift(
        DriftSample(
            rows=counted.rows,
            columns=[_column(each) for each in counted.columns],
            score=_column(counted.score),
            mean_pd=_mean_pds(reference["pd"], pds),
            approved=_approved(reference["pd"], pds, cutoff),
        ),
        limits=limits,
    )


def score_psi(counted: CountedSample) -> float | None:
    """Return the PSI of the score, None without rows."""
    return psi(counted.score.expected, counted.score.actual).value if counted.rows else None


def columns_of(counted: CountedSample) -> Iterator[ColumnDrift]:
    """Return what is stored of each column of an hour; none for an hour without rows."""
    for each in counted.columns if counted.rows else ():
        shares = each.actual / counted.rows
        yield ColumnDrift(
            name=each.name,
            psi=psi(each.expected, each.actual).value,
            missing=None if each.missing is None else float(shares[each.missing]),
            unknown=None if each.unknown is None else float(shares[each.unknown]),
        )


def estimated(pds: NDArray[np.float64], *, fewest_rows: int) -> Estimated | None:
    """Return what the metrics may be, None with too few rows."""
    if len(pds) < fewest_rows:
        return None
    found = estimate_performance(pds)
    return Estimated(mean_pd=found.mean_pd, auc=found.auc, brier=found.brier)


def stored(signal: Signal) -> StoredSignal:
    """Return a measure as it is stored."""
    return StoredSignal(
        measured=str(signal.measured),
        column=signal.column,
        value=signal.value,
        expected=signal.expected,
        critical=signal.critical,
        limit=signal.limit,
        level=str(signal.level),
        sentence=signal.sentence,
    )


def _column(counts: BinCounts) -> ColumnSample:
    return ColumnSample(
        name=counts.name,
        expected=counts.expected,
        actual=counts.actual,
        missing=counts.missing,
        unknown=counts.unknown,
    )


def _mean_pds(scores: Mapping[str, Any], pds: NDArray[np.float64]) -> tuple[Mean, Mean] | None:
    if "mean" not in scores:
        return None
    before = Mean(value=float(scores["mean"]), sd=float(scores["sd"]), rows=int(np.sum(scores["counts"])))
    return before, Mean(value=float(pds.mean()), sd=float(pds.std()), rows=len(pds))


def _approved(scores: Mapping[str, Any], pds: NDArray[np.float64], cutoff: float) -> tuple[Mean, Mean] | None:
    """Shares up to the cut-off; that of the training is interpolated between 101 quantiles."""
    if "quantiles" not in scores:
        return None
    quantiles = np.asarray(scores["quantiles"], np.float64)
    share = float(np.interp(cutoff, quantiles, np.linspace(0, 1, len(quantiles)), left=0.0, right=1.0))
    return _share(share, int(np.sum(scores["counts"]))), _share(float((pds <= cutoff).mean()), len(pds))


def _share(share: float, rows: int) -> Mean:
    """A share; the spread counts half a row on either side, so that none is never certain."""
    smooth = (share * rows + 0.5) / (rows + 1)
    return Mean(value=share, sd=float(np.sqrt(smooth * (1 - smooth))), rows=rows)

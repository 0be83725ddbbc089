"""Drift: does a sample of applications still look like the training, beyond what chance explains?

    signals = find_drift(sample)            # one a measure: PSI of the score, of each column, rates, means
    level = overall(signals)                # ok | warn | act | insufficient

A measure warns, or asks for action, where it exceeds both a limit that matters and what it may be by chance.
The chance of any alarm at all without drift is at most 1 %, however many columns there are: each measure has
its part of that (Bonferroni). Samples below `fewest_rows` are not assessed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from loan_default.evaluation.drift_statistics import psi

FALSE_ALARMS = 0.01
"""Probability of any alarm in one sample without drift."""


class DriftLevel(StrEnum):
    """What a measure of drift asks for."""

    OK = "ok"
    INSUFFICIENT = "insufficient"
    """Too few rows to say anything."""
    WARN = "warn"
    """Somebody should look."""
    ACT = "act"
    """The model should be trained anew, or the source mended."""


class Measured(StrEnum):
    """What is compared."""

    SCORE = "score_psi"
    COLUMN = "column_psi"
    MISSING = "missing_rate"
    UNKNOWN = "unknown_rate"
    MEAN_PD = "mean_pd"
    APPROVED = "approval_rate"
    DEFAULTED = "default_rate"
    """Of predictions whose outcomes have come, beside their PDs."""
    AUC = "realised_auc"
    """Of the same predictions, beside the AUC that their PDs promise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftLimits:
    """From where on a difference matters; each is a limit to warn and one to act."""

    fewest_rows: int = 200
    psi: tuple[float, float] = (0.10, 0.25)
    rate: tuple[float, float] = (0.05, 0.15)
    """Of missing values and unknown categories, as differences of shares."""
    mean_pd: tuple[float, float] = (0.10, 0.25)
    """As a share of the mean PD of the training, and for default rates of the mean PD of the same people."""
    approval: tuple[float, float] = (0.05, 0.10)
    """As a difference of shares."""
    auc: tuple[float, float] = (0.05, 0.10)
    """How far the realised AUC may fall below the expected one."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ColumnSample:
    """A column, or the score, in frozen bins; see `loan_default.models.drift_bins`."""

    name: str
    expected: ArrayLike
    """`(B,)` rows of the training."""
    actual: ArrayLike
    """`(B,)` rows of the sample."""
    missing: int | None = None
    unknown: int | None = None
    """Index of the bin of missing values, and of that of unknown categories; None = it has none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mean:
    """A mean over rows, with the spread of the values."""

    value: float
    sd: float
    rows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftSample:
    """A sample of applications beside the training."""

    rows: int
    columns: Sequence[ColumnSample]
    score: ColumnSample
    mean_pd: tuple[Mean, Mean] | None = None
    """Of the training and of the sample; None = the model file does not say it."""
    approved: tuple[Mean, Mean] | None = None
    """Share of the applications up to the cut-off; None as above."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Signal:
    """One measure, and what it asks for."""

    measured: Measured
    column: str | None
    """None = it is of the score."""
    value: float
    """PSI, or the value in the sample."""
    expected: float | None
    """The value of the training; None for a PSI."""
    critical: float
    """What the PSI, or the distance from the training, exceeds by chance as often as this measure may."""
    limit: float
    """What it must exceed to warn: the larger one of the limit that matters and of `critical`."""
    level: DriftLevel

    @property
    def share_of_limit(self) -> float:
        """How near the measure comes to a warning: 1 = it is at the limit."""
        distance = self.value if self.expected is None else abs(self.value - self.expected)
        if self.measured is Measured.AUC and self.expected is not None:
            distance = self.expected - self.value
        return distance / self.limit if self.limit else 0.0

    @property
    def sentence(self) -> str:
        """The measure in words."""
        where = "of the score" if self.column is None else f"of {self.column}"
        if self.measured is Measured.AUC:
            return (
                f"The AUC of predictions whose outcomes have come is {self.value:.3f}, by their PDs "
                f"{self.expected:.3f}; a fall by more than {self.limit:.3f} is a warning."
            )
        if self.expected is None:
            return f"PSI {where} is {self.value:.3f}; above {self.limit:.3f} is a warning."
        name = {
            Measured.MISSING: f"Missing values {where}",
            Measured.UNKNOWN: f"Unknown categories {where}",
            Measured.MEAN_PD: "The mean PD",
            Measured.APPROVED: "The approval rate",
            Measured.DEFAULTED: "The default rate",
        }[self.measured]
        verb = "are" if self.measured in (Measured.MISSING, Measured.UNKNOWN) else "is"
        beside = "by the PDs" if self.measured is Measured.DEFAULTED else "in training"
        return (
            f"{name} {verb} {self.value:.1%}, {beside} {self.expected:.1%}; "
            f"a difference above {self.limit:.1%} is a warning."
        )


def find_drift(
    sample: DriftSample, *, limits: DriftLimits | None = None, false_alarms: float = FALSE_ALARMS
) -> tuple[Signal, ...]:
    """Compare a sample with the training, the measures that ask for most first; empty = too few rows.

    Args:
        limits: None = the defaults.
        false_alarms: probability of any alarm in a sample without drift.
    """
    limits = limits or DriftLimits()
    if sample.rows < limits.fewest_rows:
        return ()
    tests = 1 + len(sample.columns) + (sample.mean_pd is not None) + (sample.approved is not None)
    tests += sum((each.missing is not None) + (each.unknown is not None) for each in sample.columns)
    alone = false_alarms / tests
    signals = [_stability(Measured.SCORE, sample.score, limits, alone)]
    if sample.mean_pd is not None:
        signals.append(_moved(Measured.MEAN_PD, *sample.mean_pd, limits=limits, alone=alone))
    if sample.approved is not None:
        signals.append(_moved(Measured.APPROVED, *sample.approved, limits=limits, alone=alone))
    for column in sample.columns:
        signals.append(_stability(Measured.COLUMN, column, limits, alone))
        for measured, index in ((Measured.MISSING, column.missing), (Measured.UNKNOWN, column.unknown)):
            if index is not None:
                before, now = _share(column.expected, index), _share(column.actual, index)
                signals.append(_moved(measured, before, now, limits=limits, alone=alone, column=column.name))
    return tuple(sorted(signals, key=lambda each: (-_RANK[each.level], -each.share_of_limit)))


def default_rate_signal(
    *, bads: int, rows: int, mean_pd: float, limits: DriftLimits, false_alarms: float = FALSE_ALARMS
) -> Signal:
    """Compare the default rate of predictions whose outcomes have come with their mean PD.

    Args:
        bads, rows: defaults among the predictions, and all of them; at least one row.
    """
    spread = float(np.sqrt(mean_pd * (1 - mean_pd)))
    # The PDs are what is compared with: they have no error of their own.
    return _moved(
        Measured.DEFAULTED,
        Mean(value=mean_pd, sd=0.0, rows=1),
        Mean(value=bads / rows, sd=spread, rows=rows),
        limits=limits,
        alone=false_alarms,
    )


def realised_auc_signal(
    *, auc: float, error: float, expected: float, limits: DriftLimits, false_alarms: float = FALSE_ALARMS
) -> Signal:
    """Compare the AUC of predictions whose outcomes have come with the one that their PDs promise.

    People who are easier or harder to tell apart move both; only a worse order of the same people moves one.

    Args:
        error: standard error of `auc`.
        expected: AUC that the same predictions have on the average if their PDs are right.
    """
    critical = float(-ndtri(false_alarms) * error)  # a higher AUC is no alarm
    warn, act = (max(limit, critical) for limit in limits.auc)
    return Signal(
        measured=Measured.AUC,
        column=None,
        value=auc,
        expected=expected,
        critical=critical,
        limit=warn,
        level=_level(expected - auc, warn, act),
    )


def overall(signals: Iterable[Signal]) -> DriftLevel:
    """The most that any measure asks for; without any measure there were too few rows."""
    levels = [each.level for each in signals]
    return max(levels, key=_RANK.__getitem__) if levels else DriftLevel.INSUFFICIENT


_RANK = {level: rank for rank, level in enumerate(DriftLevel)}


def _stability(measured: Measured, column: ColumnSample, limits: DriftLimits, alone: float) -> Signal:
    value, critical = psi(column.expected, column.actual, level=1 - alone)
    warn, act = (max(limit, critical) for limit in limits.psi)
    return Signal(
        measured=measured,
        column=None if measured is Measured.SCORE else column.name,
        value=value,
        expected=None,
        critical=critical,
        limit=warn,
        level=_level(value, warn, act),
    )


def _moved(
    measured: Measured,
    before: Mean,
    now: Mean,
    *,
    limits: DriftLimits,
    alone: float,
    column: str | None = None,
) -> Signal:
    """A mean or a share that may have moved, by the normal distribution."""
    error = np.sqrt(before.sd**2 / before.rows + now.sd**2 / now.rows)
    critical = float(-ndtri(alone / 2) * error)
    if measured in (Measured.MEAN_PD, Measured.DEFAULTED):
        matters = tuple(limit * before.value for limit in limits.mean_pd)
    else:
        matters = limits.approval if measured is Measured.APPROVED else limits.rate
    warn, act = (max(limit, critical) for limit in matters)
    return Signal(
        measured=measured,
        column=column,
        value=now.value,
        expected=before.value,
        critical=critical,
        limit=warn,
        level=_level(abs(now.value - before.value), warn, act),
    )


def _level(value: float, warn: float, act: float) -> DriftLevel:
    if value > act:
        return DriftLevel.ACT
    return DriftLevel.WARN if value > warn else DriftLevel.OK


def _share(counts: ArrayLike, index: int) -> Mean:
    """The share of a bin; the spread counts half a row on either side, so that none is never certain."""
    rows = np.asarray(counts, np.float64)
    total = float(rows.sum())
    smooth = (float(rows[index]) + 0.5) / (total + 1)
    return Mean(value=float(rows[index]) / total, sd=float(np.sqrt(smooth * (1 - smooth))), rows=int(total))

"""Columns that give the outcome away: each alone, and its being filled, against the outcome of training rows.

    check_leaks(frame, schema, labels)     # before anything is trained

A column whose values nearly decide the outcome is almost never a predictor: it is the outcome under another
name, filled in after it, or a weight made of it. Words in names are not looked at; the data speak.

Scores of categories and of bins are fitted on other rows than they are measured on, so that a column with
many levels does not look like a leak. Single groups of rows are looked at by `leak_groups.py`. With fewer
than `FEWEST` rows of an outcome nothing can be decided, and nothing is found.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from loan_default.data.datasets.leak_groups import (
    by_cut,
    by_filling,
    by_level,
    by_levels_together,
    by_value,
    rank_auc,
)
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema

FEWEST = 10
"""Rows of each outcome below which no column is checked."""
STOP, WARN = 0.98, 0.95
"""AUC of a column alone from which on it stops a training, or is warned of."""
ENOUGH = 50
"""Rows of the rarer outcome below which these thresholds come nearer to 1: by chance, a sample of 10 defaults
easily shows 0.05 more than there is."""

_FOLDS, _BINS, _SMOOTHING = 5, 20, 2.0
_MOST_REASONS = 2
_FEW_WEIGHTS = 10
_SECONDS_OF_DAY = 86_400.0

Labels = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Leak:
    """A column that nearly decides the outcome, with the evidence."""

    column: str
    evidence: str
    """What was found, as a clause: "AUC 1.000 alone"."""
    stops: bool
    """Whether a training must not go on without a word of a person; False = a warning."""
    could_be_weight: bool = False
    """Whether it has few distinct numbers above 0, as a weight made of the outcome has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LeakCheck:
    """What each column says of the outcome by itself."""

    alone: Mapping[str, float]
    """Column -> AUC of the column alone, 0.5 to 1, the highest first; empty = too few rows to decide."""
    leaks: tuple[Leak, ...] = ()
    """The highest AUC first."""

    @property
    def stopping(self) -> tuple[Leak, ...]:
        """Leaks that stop a training."""
        return tuple(leak for leak in self.leaks if leak.stops)


def check_leaks(frame: pd.DataFrame, schema: Schema, labels: Labels) -> LeakCheck:
    """Check each column of a canonical frame of training rows by itself.

    Columns whose `known_after_decision` is set, protected ones, identifiers and weights are not checked. A
    date is checked as the days from it to the application, whether it is a feature or not. Of the
    application's time, and of dates where there is none, only their being filled is checked.

    Args:
        labels: `(n,)`, 1 = default, 0 = none.
    """
    bads = int((labels == 1).sum())
    if min(bads, len(labels) - bads) < FEWEST:
        return LeakCheck(alone={})
    folds = _folds(labels)
    found: list[tuple[float, Leak | None, str]] = []
    for column in schema.columns:
        if not _is_checked(column) or column.name not in frame:
            continue
        values = _values_of(column, frame, schema)
        auc, leak = _check(column, values, labels, folds)
        found.append((auc, leak, column.name))
    found.sort(key=lambda each: -each[0])
    return LeakCheck(
        alone={name: auc for auc, _, name in found},
        leaks=tuple(leak for _, leak, _ in found if leak is not None),
    )


def thresholds_of(labels: Labels) -> tuple[float, float]:
    """AUC of a column alone from which on it stops a training, and is warned of, for so many rows.

    Args:
        labels: `(n,)`, 1 = default, 0 = none.
    """
    bads = int((labels == 1).sum())
    certainty = min(1.0, min(bads, len(labels) - bads) / ENOUGH)
    return 1 - certainty * (1 - STOP), 1 - certainty * (1 - WARN)


def _is_checked(column: Column) -> bool:
    if column.known_after_decision is not None or column.protected:
        return False
    return column.kind not in (Kind.TARGET, Kind.IDENTIFIER, Kind.WEIGHT)


def _values_of(column: Column, frame: pd.DataFrame, schema: Schema) -> pd.Series:
    """The values that a model would see, or could: a date is the days from it to the application."""
    values = frame[column.name]
    timestamp = schema.timestamp
    if column.kind is Kind.DATE and timestamp is not None and timestamp.name in frame:
        return (frame[timestamp.name] - values).dt.total_seconds() / _SECONDS_OF_DAY
    return values


def _check(
    column: Column, values: pd.Series, labels: Labels, folds: NDArray[np.int64]
) -> tuple[float, Leak | None]:
    filled = values.notna().to_numpy(dtype=bool)
    stop, warn = thresholds_of(labels)
    reasons: list[tuple[bool, str]] = []
    if not filled.all():
        reasons += by_filling(filled, labels)
    auc = 0.5
    if not filled.all():
        auc = max(auc, rank_auc(_crossfitted(filled.astype(np.int64), labels, folds), labels))
    could_be_weight = False
    closing: list[str] = []
    if column.is_coded:
        codes, names = pd.factorize(values, use_na_sentinel=True)
        codes = codes.astype(np.int64)
        texts = [repr(str(name)) for name in names]
        scores = _crossfitted(codes, labels, folds)
        auc = max(auc, rank_auc(scores, labels))
        reasons += by_level(codes, texts, labels)
        if auc < stop and not _stops(reasons):
            reasons += by_levels_together(codes, texts, scores, labels)
    elif column.kind is Kind.DATE and values.dtype.kind == "f":
        numbers = values.to_numpy(dtype=np.float64)
        known = labels[filled]
        if min(known.sum(), len(known) - known.sum()) >= FEWEST:  # no date yet says only that it is early
            auc = max(auc, _auc_of_numbers(numbers[filled], known, folds[filled]))
        if auc < stop and not _stops(reasons):
            reasons += by_cut(numbers, labels, unit=" days before the application")
        if later := int((numbers < 0).sum()):
            closing = [f"{later:,} of {int(filled.sum()):,} lie after the application"]
    elif column.is_feature:
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        auc = max(auc, _auc_of_numbers(numbers, labels, folds))
        reasons += by_value(numbers, labels)
        if auc < stop and not _stops(reasons):
            reasons += by_cut(numbers, labels)
        distinct = np.unique(numbers[filled])
        could_be_weight = 1 < len(distinct) <= _FEW_WEIGHTS and float(distinct[0]) > 0
    if auc >= warn and _is_significant(auc, labels):
        reasons.insert(0, (auc >= stop, f"AUC {auc:.3f} alone"))
    if not reasons:
        return auc, None
    stops = _stops(reasons)
    chosen = [text for is_stop, text in reasons if is_stop or not stops]
    evidence = "; ".join([*chosen[:_MOST_REASONS], *closing])
    return auc, Leak(column=column.name, evidence=evidence, stops=stops, could_be_weight=could_be_weight)


def _stops(reasons: list[tuple[bool, str]]) -> bool:
    return any(is_stop for is_stop, _ in reasons)


# AUC -------------------------------------------------------------------------------------------------------


def _auc_of_numbers(numbers: NDArray[np.float64], labels: Labels, folds: NDArray[np.int64]) -> float:
    """The better of the ranks of the numbers, and of bins with a rate each; missing ones have a bin."""
    known = ~np.isnan(numbers)
    by_rank = 0.5
    if 0 < labels[known].sum() < known.sum() and known.mean() > 0.5:
        by_rank = rank_auc(numbers[known], labels[known])
        by_rank = max(by_rank, 1 - by_rank) if known.all() else 0.5 + abs(by_rank - 0.5) * known.mean()
    inner = np.linspace(0, 1, _BINS + 1)[1:-1]
    edges = np.unique(np.quantile(numbers[known], inner)) if known.any() else np.zeros(0)
    bins = np.where(known, np.searchsorted(edges, numbers, side="left"), -1).astype(np.int64)
    return max(by_rank, rank_auc(_crossfitted(bins, labels, folds), labels))


def _crossfitted(codes: NDArray[np.int64], labels: Labels, folds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Smoothed default rates of the codes (-1 = missing), fitted on the other folds."""
    codes = codes + 1
    size = int(codes.max()) + 1
    scores = np.empty(len(labels))
    for fold in range(_FOLDS):
        inside = folds == fold
        rows = np.bincount(codes[~inside], minlength=size)
        bads = np.bincount(codes[~inside], labels[~inside], minlength=size)
        rate = (bads + _SMOOTHING * labels[~inside].mean()) / (rows + _SMOOTHING)
        scores[inside] = rate[codes[inside]]
    return scores


def _folds(labels: Labels) -> NDArray[np.int64]:
    """The fold of each row, both outcomes evenly over all of them; the same for the same labels."""
    generator = np.random.default_rng(0)
    folds = np.empty(len(labels), np.int64)
    for outcome in (0, 1):
        rows = np.flatnonzero(labels == outcome)
        folds[generator.permutation(rows)] = np.arange(len(rows)) % _FOLDS
    return folds


def _is_significant(auc: float, labels: Labels) -> bool:
    """Whether so high an AUC is at least five standard deviations from chance."""
    bads = labels.sum()
    goods = len(labels) - bads
    return bool(auc - 0.5 >= 5 * np.sqrt((bads + goods + 1) / (12 * bads * goods)))

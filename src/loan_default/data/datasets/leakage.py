"""Columns that give the outcome away: each alone, and its being filled, against the outcome of training rows.

    check_leaks(frame, schema, labels)     # before anything is trained

A column whose values nearly decide the outcome is almost never a predictor: it is the outcome under another
name, filled in after it, or a weight made of it. Words in names are not looked at; the data speak.

Scores of categories and of bins are fitted on other rows than they are measured on, so that a column with
many levels does not look like a leak. A single level counts where so many rows of it cannot have defaulted by
chance. With fewer than `FEWEST` rows of an outcome nothing can be decided, and nothing is found.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom, rankdata

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.schema.number_rules import plain_number

FEWEST = 10
"""Rows of each outcome below which no column is checked."""
STOP, WARN = 0.98, 0.95
"""AUC of a column alone from which on it stops a training, or is warned of."""
SURE_RATE, SURE_ODDS = 0.9, 40.0
"""Default rate of a level, and its odds as a multiple of all rows' odds, from where on it means default."""
SURE_SHARE = 0.1
"""Share of all defaults that such a level must hold to stop a training; below it is warned of."""
CHANCE = 1e-6
"""Probability, over all levels of a column, below which a level is not due to chance."""

_FOLDS, _BINS, _SMOOTHING = 5, 20, 2.0
_EXPECTED_BADS, _FEW_OF_EXPECTED = 20, 0.025
_MODE_SHARE, _CUT_SHARE = 0.1, 0.75
_FEW_VALUES = 50
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
    base = float(labels.mean())
    reasons: list[tuple[bool, str]] = []
    if not filled.all():
        reasons += _by_filling(filled, labels, base)
    auc = max(0.5, _crossfitted_auc(filled.astype(np.int64), labels, folds)) if not filled.all() else 0.5
    could_be_weight = False
    closing: list[str] = []
    if column.is_coded:
        codes, names = pd.factorize(values, use_na_sentinel=True)
        codes = codes.astype(np.int64)
        auc = max(auc, _crossfitted_auc(codes, labels, folds))
        reasons += _by_level(codes, [repr(str(name)) for name in names], labels, base)
    elif column.kind is Kind.DATE and values.dtype.kind == "f":
        numbers = values.to_numpy(dtype=np.float64)
        known = labels[filled]
        if min(known.sum(), len(known) - known.sum()) >= FEWEST:  # no date yet says only that it is early
            auc = max(auc, _auc_of_numbers(numbers[filled], known, folds[filled]))
        if auc < STOP and not reasons:
            reasons += _by_cut(numbers, labels, base, unit=" days before the application")
        if later := int((numbers < 0).sum()):
            closing = [f"{later:,} of {int(filled.sum()):,} lie after the application"]
    elif column.is_feature:
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        auc = max(auc, _auc_of_numbers(numbers, labels, folds))
        codes, names_of_numbers = _number_levels(numbers)
        # A rare high count may well mean default: only a value of many defaulted rows is suspicious.
        reasons += [each for each in _by_level(codes, names_of_numbers, labels, base) if each[0]]
        reasons += [] if auc >= STOP or reasons else _by_cut(numbers, labels, base)
        distinct = np.unique(numbers[filled])
        could_be_weight = 1 < len(distinct) <= _FEW_WEIGHTS and float(distinct[0]) > 0
    if auc >= WARN and _is_significant(auc, labels):
        reasons.insert(0, (auc >= STOP, f"AUC {auc:.3f} alone"))
    if not reasons:
        return auc, None
    stops = any(stop for stop, _ in reasons)
    chosen = [text for stop, text in reasons if stop or not stops]
    evidence = "; ".join([*chosen[:_MOST_REASONS], *closing])
    return auc, Leak(column=column.name, evidence=evidence, stops=stops, could_be_weight=could_be_weight)


# Single levels ---------------------------------------------------------------------------------------------


def _by_filling(filled: NDArray[np.bool_], labels: Labels, base: float) -> list[tuple[bool, str]]:
    """Whether a column is filled, or missing, for one outcome only."""
    found = []
    for rows, what in ((filled, "filled"), (~filled, "missing")):
        n, bads = int(rows.sum()), int(labels[rows].sum())
        if _means_default(n, bads, base, levels=2):
            stop = bads >= SURE_SHARE * labels.sum()
            found.append((stop, f"{what} for default only: {bads:,} of {n:,} such rows defaulted"))
        expected = n * base
        if expected >= _EXPECTED_BADS and bads <= _FEW_OF_EXPECTED * expected:
            goods = n - bads
            stop = goods >= SURE_SHARE * (len(labels) - labels.sum())
            found.append((stop, f"{what} for good ends only: {bads:,} of {n:,} such rows defaulted"))
    return found


def _by_level(
    codes: NDArray[np.int64], names: list[str], labels: Labels, base: float
) -> list[tuple[bool, str]]:
    """Levels whose rows nearly all defaulted."""
    present = codes >= 0
    rows = np.bincount(codes[present], minlength=len(names))
    bads = np.bincount(codes[present], labels[present], minlength=len(names))
    candidates = np.flatnonzero(bads >= np.maximum(FEWEST, SURE_RATE * rows))
    found = []
    for level in candidates:
        n, bad = int(rows[level]), round(bads[level])
        if _means_default(n, bad, base, levels=len(names)):
            stop = bool(bad >= SURE_SHARE * labels.sum())
            found.append((bad, stop, f"{names[level]} means default: {bad:,} of {n:,} such rows defaulted"))
    found.sort(reverse=True)
    return [(stop, text) for _, stop, text in found[:3]]


def _by_cut(
    numbers: NDArray[np.float64], labels: Labels, base: float, *, unit: str = ""
) -> list[tuple[bool, str]]:
    """Whether nearly all rows at one end of the numbers, with most of the defaults, defaulted."""
    known = np.flatnonzero(~np.isnan(numbers))
    for sign, words in ((1, "up to"), (-1, "from")):
        order = known[np.argsort(sign * numbers[known], kind="stable")]
        ordered = numbers[order]
        is_end = np.append(ordered[1:] != ordered[:-1], np.ones(min(1, len(ordered)), bool))
        rows, bads = np.arange(1, len(order) + 1)[is_end], np.cumsum(labels[order])[is_end]
        for end in np.flatnonzero(bads >= max(FEWEST, _CUT_SHARE * labels.sum())):
            n, bad = int(rows[end]), int(bads[end])
            if bad < SURE_RATE * n:
                break
            if _means_default(n, bad, base, levels=len(rows)):
                at = plain_number(float(f"{ordered[n - 1]:.6g}"))
                return [(True, f"{words} {at}{unit} means default: {bad:,} of {n:,} such rows defaulted")]
    return []


def _means_default(n: int, bads: int, base: float, *, levels: int) -> bool:
    if bads < FEWEST or bads < SURE_RATE * n or bads * (1 - base) < SURE_ODDS * base * (n - bads):
        return False
    return bool(binom.sf(bads - 1, n, base) * levels <= CHANCE)


def _number_levels(numbers: NDArray[np.float64]) -> tuple[NDArray[np.int64], list[str]]:
    """Levels of numbers: their values where they are few, otherwise the most frequent one and the rest."""
    known = ~np.isnan(numbers)
    codes = np.full(len(numbers), -1, np.int64)
    distinct, inverse, counts = np.unique(numbers[known], return_inverse=True, return_counts=True)
    if len(distinct) == 0:
        return codes, []
    if len(distinct) <= _FEW_VALUES:
        codes[known] = inverse
        return codes, [plain_number(float(value)) for value in distinct]
    mode = int(np.argmax(counts))
    if counts[mode] < _MODE_SHARE * known.sum():
        return codes, []
    codes[known] = (inverse != mode).astype(np.int64)
    common = plain_number(float(distinct[mode]))
    return codes, [common, f"a value other than {common}"]


# AUC -------------------------------------------------------------------------------------------------------


def _auc_of_numbers(numbers: NDArray[np.float64], labels: Labels, folds: NDArray[np.int64]) -> float:
    """The better of the ranks of the numbers, and of bins with a rate each; missing ones have a bin."""
    known = ~np.isnan(numbers)
    by_rank = 0.5
    if 0 < labels[known].sum() < known.sum() and known.mean() > 0.5:
        by_rank = _auc(numbers[known], labels[known])
        by_rank = max(by_rank, 1 - by_rank) if known.all() else 0.5 + abs(by_rank - 0.5) * known.mean()
    inner = np.linspace(0, 1, _BINS + 1)[1:-1]
    edges = np.unique(np.quantile(numbers[known], inner)) if known.any() else np.zeros(0)
    bins = np.where(known, np.searchsorted(edges, numbers, side="left"), -1).astype(np.int64)
    return max(by_rank, _crossfitted_auc(bins, labels, folds))


def _crossfitted_auc(codes: NDArray[np.int64], labels: Labels, folds: NDArray[np.int64]) -> float:
    """AUC of smoothed default rates of the codes (-1 = missing), fitted on the other folds."""
    codes = codes + 1
    size = int(codes.max()) + 1
    scores = np.empty(len(labels))
    for fold in range(_FOLDS):
        inside = folds == fold
        rows = np.bincount(codes[~inside], minlength=size)
        bads = np.bincount(codes[~inside], labels[~inside], minlength=size)
        rate = (bads + _SMOOTHING * labels[~inside].mean()) / (rows + _SMOOTHING)
        scores[inside] = rate[codes[inside]]
    return _auc(scores, labels)


def _folds(labels: Labels) -> NDArray[np.int64]:
    """The fold of each row, both outcomes evenly over all of them; the same for the same labels."""
    generator = np.random.default_rng(0)
    folds = np.empty(len(labels), np.int64)
    for outcome in (0, 1):
        rows = np.flatnonzero(labels == outcome)
        folds[generator.permutation(rows)] = np.arange(len(rows)) % _FOLDS
    return folds


def _auc(scores: NDArray[np.float64], labels: Labels) -> float:
    bads = labels.sum()
    goods = len(labels) - bads
    ranks = rankdata(scores)
    return float((ranks[labels == 1].sum() - bads * (bads + 1) / 2) / (bads * goods))


def _is_significant(auc: float, labels: Labels) -> bool:
    """Whether so high an AUC is at least five standard deviations from chance."""
    bads = labels.sum()
    goods = len(labels) - bads
    return bool(auc - 0.5 >= 5 * np.sqrt((bads + goods + 1) / (12 * bads * goods)))

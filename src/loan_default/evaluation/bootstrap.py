"""Intervals by the bootstrap: how much would the metrics move with another sample of the same size?

A draw of N rows with replacement is a count per row: rows are sorted once, and each draw only weighs them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from loan_default.errors import ConfigurationError, did_you_mean
from loan_default.evaluation.metrics import (
    WEIGHTED,
    Floats,
    Metrics,
    checked_weights,
    measure,
    rank_rows,
    weigh,
)

_NOT_ESTIMATES = ("rows", "bads", "ks_at")
_RAISED_BY_NOISE = ("ece",)
"""Metrics that are larger in nearly every draw than in the sample: a draw repeats rows, so that the bad rates
of its bins are noisier, and a mean distance counts noise of both signs. Their draws are moved until the
median is the value of the sample; otherwise the interval may lie wholly above the value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A metric and the range in which another sample would put it."""

    value: float
    """The metric of the rows themselves, not of the draws."""
    low: float
    high: float
    """`low` and `high` are percentiles of the draws, which are centred on `value` for the ECE."""
    redrawn: int = 0
    """Draws that held one class only and were made again; many of them mean that the sample is too small."""


def bootstrap_intervals(
    y: ArrayLike,
    pd: ArrayLike,
    *,
    seed: int,
    weights: ArrayLike | None = None,
    draws: int = 300,
    level: float = 0.95,
) -> Mapping[str, Interval]:
    """Compute intervals of all fields of `Metrics` that are estimates, by name.

    Args:
        weights: `(N,)` how much each row counts; rows are drawn alike and count by them. None = all alike.

    Raises:
        DataError: as `measure`.
        ConfigurationError: draws or level make no interval.
    """
    _check(draws, level)
    names = [field.name for field in fields(Metrics) if field.name not in _NOT_ESTIMATES]
    whole, rows, redrawn = measure(y, pd, weights=weights), rank_rows(y, pd), _Counter()
    counts_as = np.ones(len(rows.y)) if weights is None else checked_weights(weights, len(rows.y))[rows.order]
    drawn = np.empty((draws, len(names)))
    for number, drawn_rows in enumerate(_draws(rows.y, draws, seed=seed, redrawn=redrawn)):
        metrics = weigh(rows, drawn_rows * counts_as)
        drawn[number] = [getattr(metrics, name) for name in names]
    for name in _RAISED_BY_NOISE:
        column = drawn[:, names.index(name)]
        column += getattr(whole, name) - np.median(column)
        np.maximum(column, 0.0, out=column)
    low, high = _percentiles(drawn, level)
    return {
        name: Interval(
            value=getattr(whole, name), low=float(low[index]), high=float(high[index]), redrawn=redrawn.count
        )
        for index, name in enumerate(names)
    }


def paired_bootstrap(
    y: ArrayLike,
    new: ArrayLike,
    old: ArrayLike,
    *,
    metric: str,
    seed: int,
    weights: ArrayLike | None = None,
    draws: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Compute the interval of metric(new) - metric(old): each draw takes the same rows for both.

    Args:
        metric: a key of `metrics.WEIGHTED`: auc, ks, pr_auc, brier …
        weights: `(N,)` how much each row counts; None = all alike.

    Raises:
        DataError: as `measure`.
        ConfigurationError: no such metric; draws or level make no interval.
    """
    _check(draws, level)
    if metric not in WEIGHTED:
        raise ConfigurationError(
            f"metric must be one of {list(WEIGHTED)}, however: metric={metric!r}."
            + did_you_mean(metric, WEIGHTED)
        )
    compute, redrawn = WEIGHTED[metric], _Counter()
    challenger, champion = rank_rows(y, new), rank_rows(y, old)

    outcomes = np.asarray(y, np.float64)
    counts_as = np.ones(len(outcomes)) if weights is None else checked_weights(weights, len(outcomes))

    def difference(drawn_rows: Floats) -> float:
        used = drawn_rows * counts_as
        return compute(challenger, used[challenger.order]) - compute(champion, used[champion.order])

    drawn = np.array([difference(rows) for rows in _draws(outcomes, draws, seed=seed, redrawn=redrawn)])
    low, high = _percentiles(drawn, level)
    return Interval(
        value=difference(np.ones(len(outcomes))), low=float(low), high=float(high), redrawn=redrawn.count
    )


@dataclass(slots=True)
class _Counter:
    count: int = 0


def _draws(y: Floats, draws: int, *, seed: int, redrawn: _Counter) -> Iterator[Floats]:
    """How often each row of `y` was drawn; a draw with one class only has no AUC and is made again."""
    generator = np.random.default_rng(seed)
    rows = len(y)
    for _ in range(draws):
        while True:
            weights = np.bincount(generator.integers(0, rows, rows), minlength=rows).astype(np.float64)
            if 0 < weights @ y < rows:
                break
            redrawn.count += 1
        yield weights


def _percentiles(drawn: Floats, level: float) -> tuple[Floats, Floats]:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def _check(draws: int, level: float) -> None:
    if draws < 2:
        raise ConfigurationError(f"draws must be at least 2, however: draws={draws}")
    check_level(level)


def check_level(level: float) -> None:
    """Raise a ConfigurationError unless a level makes an interval."""
    if not 0 < level < 1:
        raise ConfigurationError(f"level must lie between 0 and 1, however: level={level}")

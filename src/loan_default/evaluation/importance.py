"""Permutation importance: how much AUC is lost when the values of one column change hands."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pandas import DataFrame

from loan_default.errors import ConfigurationError, DataError, did_you_mean
from loan_default.evaluation.metrics import auc

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Importance:
    """What a model loses without a column. Columns that carry the same information share its importance."""

    column: str
    mean_drop: float
    """AUC minus AUC with the column's values shuffled, mean of the repeats. 0 or below = not used."""
    sd: float
    """Standard deviation over the repeats; 0 with one repeat."""


def permutation_importance(
    predict: Callable[[DataFrame], Floats],
    frame: DataFrame,
    y: ArrayLike,
    columns: Sequence[str],
    *,
    seed: int,
    repeats: int = 3,
    rows: int = 2000,
) -> list[Importance]:
    """Importance of each column, the largest first.

    Args:
        predict: frame `(N, …)` -> PDs or other scores `(N,)`. Called 1 + repeats * columns times.
        y: `(N,)`, 1.0 for default and 0.0 for none.
        rows: so many rows at most are used, drawn at the base rate of `y`.

    Raises:
        DataError: unknown column, lengths differ, one class only.
        ConfigurationError: repeats below 1 or rows below 2.
    """
    outcomes = np.asarray(y, np.float64)
    _check(frame, outcomes, columns, repeats=repeats, rows=rows)
    generator = np.random.default_rng(seed)
    chosen = _sample(outcomes, rows, generator)
    sample, outcomes = frame.iloc[chosen], outcomes[chosen]
    whole = auc(outcomes, predict(sample))

    def drop(column: str) -> float:
        shuffled = sample.copy(deep=False)
        shuffled[column] = sample[column].array.take(generator.permutation(len(sample)))
        return whole - auc(outcomes, predict(shuffled))

    found = []
    for column in columns:
        drops = np.array([drop(column) for _ in range(repeats)])
        sd = float(drops.std(ddof=1)) if repeats > 1 else 0.0
        found.append(Importance(column=column, mean_drop=float(drops.mean()), sd=sd))
    return sorted(found, key=lambda importance: -importance.mean_drop)


def _check(frame: DataFrame, y: Floats, columns: Sequence[str], *, repeats: int, rows: int) -> None:
    if repeats < 1 or rows < 2:
        raise ConfigurationError(
            f"repeats must be at least 1 and rows at least 2, however: repeats={repeats}, rows={rows}"
        )
    if y.shape != (len(frame),):
        raise DataError(f"y must have one outcome per row, however: y={y.shape}, rows={len(frame)}")
    for column in columns:
        if column not in frame.columns:
            hint = did_you_mean(column, frame.columns)
            raise DataError(f"column must be in the frame, however: column={column!r}.{hint}")


def _sample(y: Floats, rows: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Positions in ascending order, both classes at their rates and never fewer than one row of each."""
    if len(y) <= rows:
        return np.arange(len(y))
    bad, good = np.flatnonzero(y == 1), np.flatnonzero(y != 1)
    bads = int(np.clip(round(rows * len(bad) / len(y)), min(1, len(bad)), rows - min(1, len(good))))
    return np.sort(
        np.concatenate(
            [generator.choice(bad, bads, replace=False), generator.choice(good, rows - bads, replace=False)]
        )
    )

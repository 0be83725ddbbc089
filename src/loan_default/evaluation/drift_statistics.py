"""Population stability: how far a sample lies from the reference of its bins, and how far by chance.

    value, critical = psi(expected, actual)     # counts of the same bins

The rules of thumb for the index (0.10 and 0.25) are wrong for small samples: of 100 rows without any drift,
more than a third exceed 0.10. Without drift the index is about (1/n + 1/m) times a chi-squared number with
one degree of freedom less than there are bins; `critical` is a quantile of that.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri

from loan_default.errors import ConfigurationError, DataError

_BINS = 10
_EMPTY = 0.5
"""Rows that an empty bin counts as: its logarithm would be infinite."""


class Stability(NamedTuple):
    """An index and what it may be by chance."""

    value: float
    """Sum over bins of (a - e) ln(a / e), of shares; 0 = the same shares, without an upper end."""
    critical: float
    """What the index exceeds without drift with probability 1 - level."""


def psi(expected: ArrayLike, actual: ArrayLike, *, level: float = 0.99) -> Stability:
    """Compute the population stability index of a sample and its critical value.

    Bins that are empty on both sides count as none; a bin that is empty on one side counts as half a row.

    Args:
        expected: `(B,)` rows of the reference by bin, at least one row.
        actual: `(B,)` rows of the sample in the same bins, at least one row.
        level: probability that a sample without drift stays at or below the critical value.

    Raises:
        DataError: the counts are no counts of the same bins.
        ConfigurationError: the level is no probability.
    """
    if not 0 < level < 1:
        raise ConfigurationError(f"level must lie between 0 and 1, however: level={level}")
    reference, sample = _counts("expected", expected), _counts("actual", actual)
    if reference.shape != sample.shape:
        raise DataError(
            "expected and actual must have the same bins, however: "
            f"expected={len(reference)}, actual={len(sample)}"
        )
    used = (reference > 0) | (sample > 0)
    e, a = np.maximum(reference[used], _EMPTY), np.maximum(sample[used], _EMPTY)
    chance = float(chdtri(used.sum() - 1, 1 - level)) if used.sum() > 1 else 0.0
    critical = (1 / e.sum() + 1 / a.sum()) * chance
    e, a = e / e.sum(), a / a.sum()
    return Stability(value=float(((a - e) * np.log(a / e)).sum()), critical=float(critical))


def psi_of_samples(expected: ArrayLike, actual: ArrayLike, *, level: float = 0.99) -> Stability:
    """Compute the index of a sample over ten bins that hold the expected values in equal shares.

    Args:
        expected: `(N,)` numbers of the reference, at least one.
        actual: `(M,)` numbers of the sample, at least one.
        level: as of `psi`.

    Raises:
        DataError: one of them is empty.
    """
    numbers = np.asarray(expected, np.float64)
    known = numbers[np.isfinite(numbers)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])) if len(known) else known
    return psi(count_bins(numbers, edges), count_bins(actual, edges), level=level)


def count_bins(values: ArrayLike, edges: ArrayLike) -> NDArray[np.int64]:
    """Count values into frozen bins: those of the inner `edges`, the lower edge within, and one of missing.

    Args:
        values: `(N,)` numbers; whatever is not finite is missing.
        edges: `(B - 1,)` inner edges, ascending.

    Returns:
        `(B + 1,)` rows by bin, the missing ones last.
    """
    numbers, inner = np.asarray(values, np.float64), np.asarray(edges, np.float64)
    known = numbers[np.isfinite(numbers)]
    inside = np.bincount(np.searchsorted(inner, known, side="right"), minlength=len(inner) + 1)
    return np.append(inside, len(numbers) - len(known)).astype(np.int64)


def _counts(name: str, counts: ArrayLike) -> NDArray[np.float64]:
    rows = np.asarray(counts, np.float64)
    if rows.ndim != 1 or not np.isfinite(rows).all() or (rows < 0).any():
        raise DataError(f"{name} must be one row of numbers of at least 0, however: shape={rows.shape}")
    if not rows.sum() > 0:
        raise DataError(f"{name} must hold at least one row, however: rows=0")
    return rows

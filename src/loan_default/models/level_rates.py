"""Default rates of the levels of columns that have many, such as employer, city and postcode.

Most levels of such a column have a handful of rows: too few for a token that is learned, enough for a rate
that is shrunk towards the average, the more the less the levels of the column differ. The rate of a level is
one number that is added to the column's token. A training row gets that of the other folds' rows, so that no
row's own label is in its input; every other row gets that of all training rows. A level that no training row
had has the average rate.

The rates are a buffer of the network, so that each member has those of the rows that it learned from.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from loan_default.models.categories import LEVEL_UNIT

FOLDS = 5
_LEAST_SHRINKAGE = 2.0
"""Rows with the average rate that are added to those of each level at least."""


class LevelRates(nn.Module):
    """What the default rates of levels add to the tokens of their columns.

    **Shape**

    - Input: `(B, R)` int64, positions among the levels of R columns, 0 = none of them
    - Output: `(B, R, d)`

    **Examples**

    >>> LevelRates([300, 2000], 8)(torch.zeros(4, 2, dtype=torch.int64)).shape
    torch.Size([4, 2, 8])
    """

    rates: Tensor
    offset: Tensor

    def __init__(self, counts: Sequence[int], width: int) -> None:
        super().__init__()
        starts = np.cumsum([0, *(count + 1 for count in counts)])
        self.n_positions = int(starts[-1])
        self.weight = nn.Parameter(torch.empty(len(counts), width))
        nn.init.uniform_(self.weight, -(width**-0.5), width**-0.5)
        self.register_buffer("offset", torch.tensor(starts[:-1], dtype=torch.int64))
        self.register_buffer("rates", torch.zeros(self.n_positions))

    def forward(self, levels: Tensor) -> Tensor:
        """Vectors `(B, R, d)` of levels `(B, R)`."""
        return (self.rates[levels + self.offset] / LEVEL_UNIT)[..., None] * self.weight

    def learn(
        self,
        levels: NDArray[np.int64],
        labels: NDArray[np.float32],
        weights: NDArray[np.float64] | None,
        *,
        seed: int,
    ) -> NDArray[np.int64]:
        """Take the rates from labelled rows; returns the positions by which these rows look them up.

        Args:
            levels: `(rows, R)`; the result has the same shape, and its positions are those of the rates of
                the other folds.
        """
        folds = np.random.default_rng(seed).permutation(len(labels)) % FOLDS
        counts = np.ones(len(labels)) if weights is None else weights / weights.mean()
        tables = [self._table(levels, labels, counts)]
        for fold in range(FOLDS):
            others = folds != fold
            tables.append(self._table(levels[others], labels[others], counts[others]))
        self.rates = torch.from_numpy(np.concatenate(tables).astype(np.float32))
        return levels + self.n_positions * (1 + folds[:, None])

    def _table(
        self, levels: NDArray[np.int64], labels: NDArray[np.float32], counts: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Log-odds of all positions, `(n_positions,)`."""
        sizes = np.diff([*self.offset.tolist(), self.n_positions])
        tables = [
            _log_odds(column, labels, counts, size=size) for column, size in zip(levels.T, sizes, strict=True)
        ]
        return np.concatenate(tables)


def _log_odds(
    positions: NDArray[np.int64], labels: NDArray[np.float32], counts: NDArray[np.float64], *, size: int
) -> NDArray[np.float64]:
    """Log-odds of default of each level of a column, above those of all rows, `(size,)`; 0 = the average.

    Each level gets as many rows with the average rate as are best if rates of levels spread as they do here,
    by the estimate of DerSimonian and Laird (1986). Where they spread no more than chance makes them, all are
    the average.
    """
    n_rows = np.bincount(positions, counts, size)
    n_bad = np.bincount(positions, counts * labels, size)
    average = float(n_bad.sum() / max(n_rows.sum(), 1e-12))
    is_level = n_rows > 0
    is_level[0] = False
    n, rates = n_rows[is_level], n_bad[is_level] / n_rows[is_level]
    variance = average * (1 - average)
    if len(n) < 2 or variance <= 0:
        return np.zeros(size)
    excess = (n * (rates - average) ** 2).sum() - (len(n) - 1) * variance
    between = excess / (n.sum() - (n**2).sum() / n.sum())
    if between <= 0:
        return np.zeros(size)
    shrinkage = max(_LEAST_SHRINKAGE, variance / between)
    shrunk = (n_bad + shrinkage * average) / (n_rows + shrinkage)
    log_odds: NDArray[np.float64] = np.log(shrunk / (1 - shrunk)) - np.log(average / (1 - average))
    return np.where(is_level, log_odds, 0.0)

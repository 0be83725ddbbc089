"""Default rates of the levels of columns that have many, such as employer, city and postcode.

Most levels of such a column have a handful of rows: too few for a token that is learned, enough for a rate
that is shrunk towards the average. The rate of a level is one number that is added to the column's token. A
training row gets that of the other folds' rows, so that no row's own label is in its input; every other row
gets that of all training rows. A level that no training row had has the average rate.

The rates are a buffer of the network, so that each member has those of the rows that it learned from.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

FOLDS = 5
SHRINKAGE = 20.0
"""Rows with the average rate that are added to those of each level."""
_UNIT = 1 / 3
"""Log-odds that the network sees as 1: about the spread of rates, as numbers have theirs in normal units."""


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
        return (self.rates[levels + self.offset] / _UNIT)[..., None] * self.weight

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
        flat = levels + self.offset.numpy()
        folds = np.random.default_rng(seed).permutation(len(labels)) % FOLDS
        counts = np.ones(len(labels)) if weights is None else weights / weights.mean()
        tables = [_rates(flat, labels, counts, size=self.n_positions)]
        for fold in range(FOLDS):
            others = folds != fold
            tables.append(_rates(flat[others], labels[others], counts[others], size=self.n_positions))
        for table in tables:
            table[self.offset.numpy()] = 0.0
        self.rates = torch.from_numpy(np.concatenate(tables).astype(np.float32))
        return levels + self.n_positions * (1 + folds[:, None])


def _rates(
    positions: NDArray[np.int64], labels: NDArray[np.float32], counts: NDArray[np.float64], *, size: int
) -> NDArray[np.float64]:
    """Log-odds of default of each level, above those of all rows, `(size,)`; 0 where all rows are alike."""
    n_rows, n_bad = np.zeros(size), np.zeros(size)
    for column in positions.T:
        n_rows += np.bincount(column, counts, size)
        n_bad += np.bincount(column, counts * labels, size)
    average = float((counts * labels).sum() / max(counts.sum(), 1e-12))
    if not 0 < average < 1:
        return np.zeros(size)
    shrunk = (n_bad + SHRINKAGE * average) / (n_rows + SHRINKAGE)
    result: NDArray[np.float64] = np.log(shrunk / (1 - shrunk)) - np.log(average / (1 - average))
    return result

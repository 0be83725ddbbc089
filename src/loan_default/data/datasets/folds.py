"""Folds of the rows that are not the test: a member of a model is scored on one and learns from the others.

folds_of(split, labels, groups=…, seed=…)    # the validation rows are the first fold
"""

import numpy as np
from numpy.typing import NDArray

from loan_default.data.datasets.splits import Split, spread_groups

Positions = NDArray[np.int64]


def folds_of(
    split: Split, labels: NDArray[np.float64], *, groups: NDArray[np.int64], seed: int
) -> tuple[Positions, ...]:
    """The validation rows, and the training rows in parts of about their size; ascending positions.

    Both outcomes are spread evenly over the folds, and rows of one group lie in one fold. A fold without one
    of the outcomes cannot be scored and is left out: then fewer are returned.

    Args:
        labels: `(N,)` of all rows, 1 = default, 0 = none.
        groups: `(N,)` whole numbers; rows with the same number stay together.
    """
    count = max(1, round(len(split.train) / len(split.validation)))
    generator = np.random.default_rng(seed)
    group, _, middles = spread_groups(labels[split.train], groups[split.train], generator)
    fold = (middles * count).astype(np.int64)
    parts = [split.train[fold[group] == number] for number in range(count)]
    scorable = [part for part in parts if 0 < labels[part].sum() < len(part)]
    return (split.validation, *scorable)

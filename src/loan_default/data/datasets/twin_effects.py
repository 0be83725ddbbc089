"""What near-copies do to a model: PDs and AUC of a boosted model in cross-validation, with and without them.

The model is a small one of scikit-learn. It stands for any model with a memory, and takes seconds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from loan_default.data.datasets.neighbours import Points

MOST_ROWS = 10_000
"""Rows that the model learns from and is measured on; with more, rows without a near-copy are left out."""

_FOLDS = 5

Numbers = NDArray[np.float64]
Positions = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Booster:
    """PDs of a boosted model for rows that it has not learned from."""

    labels: Numbers
    """`(n,)`, 1 = default, 0 = none."""
    apart: Numbers
    """`(n,)`, PDs of a model that has learned from no row of the same group; NaN = row left out."""
    straddling: Numbers
    """`(n,)`, PDs of a model that has learned from other rows, of the same group too; NaN = row left out."""

    def disagreement(self, pairs: Positions) -> float:
        """How often the outcomes of pairs `(m, 2)` would differ if they were independent given the PDs."""
        first, second = self.apart[pairs[:, 0]], self.apart[pairs[:, 1]]
        return float(np.nanmean(first * (1 - second) + second * (1 - first)))

    def aucs(self) -> tuple[float, float]:
        """AUC where near-copies straddle the folds, and where they are kept together."""
        used = ~np.isnan(self.apart)
        labels = self.labels[used]
        return (
            float(roc_auc_score(labels, self.straddling[used])),
            float(roc_auc_score(labels, self.apart[used])),
        )


def booster_of(points: Points, labels: Numbers, groups: Positions, *, first: Positions) -> Booster:
    """The model's PDs for rows with a near-copy and others, in cross-validation with groups and without.

    Args:
        groups: `(n,)`, near-copies share a number.
        first: rows that have a near-copy; none is left out while there are others.
    """
    is_other = np.ones(points.rows, bool)
    is_other[first] = False
    others = np.flatnonzero(is_other)[: max(0, MOST_ROWS - len(first))]
    # Rows are in the order of their hashes: the first ones, and every fifth one, are random samples.
    rows = np.sort(np.concatenate([first, others]))
    values = np.column_stack([points.below[rows][:, points.coded], points.coordinates[rows]])
    of_group = np.unique(groups[rows], return_inverse=True)[1]
    return Booster(
        labels=labels,
        apart=_spread(_predicted(values, labels[rows], of_group % _FOLDS), rows, points.rows),
        straddling=_spread(
            _predicted(values, labels[rows], np.arange(len(rows)) % _FOLDS), rows, points.rows
        ),
    )


def _spread(predicted: Numbers, rows: Positions, size: int) -> Numbers:
    """`(size,)`, the predictions at their rows and NaN elsewhere."""
    spread = np.full(size, np.nan)
    spread[rows] = predicted
    return spread


def _predicted(values: Numbers, labels: Numbers, folds: Positions) -> Numbers:
    """PDs `(n,)` of models that have learned from the other folds."""
    predicted = np.full(len(labels), labels.mean())
    for fold in range(_FOLDS):
        inside = folds == fold
        if 0 < labels[~inside].sum() < (~inside).sum() and inside.any():
            predicted[inside] = _fitted(values[~inside], labels[~inside]).predict_proba(values[inside])[:, 1]
    return predicted


def _fitted(values: Numbers, labels: Numbers) -> HistGradientBoostingClassifier:
    model = HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.1, max_leaf_nodes=15, early_stopping=False, random_state=0
    )
    return model.fit(values, labels)

"""Exact Shapley values of boosted trees: how much each column moved their logit away from a reference.

They are interventional (Lundberg et al., "From local explanations to global understanding with explainable AI
for trees", 2020): a column outside a coalition has a value of the reference population instead of the row's
own. The population is what a model keeps of it (`populations`): how each column is spread, the columns
independent of one another. So no row of a person is needed, and nothing is sampled.

A leaf of value v is then reached by a coalition S with probability prod_{i in S} x_i prod_{i not in S} q_i,
where x_i says whether the row follows the path in column i, and q_i which share of the population does. The
Shapley value of column j in this product is (Owen, "Multilinear extensions of games", 1972)

    v (x_j - q_j) integral over t from 0 to 1 of prod_{i != j} (t x_i + (1 - t) q_i)

a polynomial in t, which Gauss and Legendre's rule integrates without error. Where the population is one row,
so that each q_i is 0 or 1, it is v (a-1)! b! / (a+b)! for the a columns in which the row alone follows, and
-v a! (b-1)! / (a+b)! for the b columns in which the other row alone does, as in the paper.

Shapes are those of `tree_paths`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from loan_default.models.features import Inputs
from loan_default.models.tree_paths import Bools, Floats, Integers, Leaves, TreePaths


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ColumnSpreads:
    """How the values of each column are spread over a population, with F numerical and C categorical ones."""

    values: Sequence[Floats]
    """F arrays: known numbers, ascending."""
    weights: Sequence[Floats]
    """F arrays: the share of the population that each number stands for."""
    missing: Floats
    """(F,): share of the population that lacks a number."""
    codes: Sequence[Floats]
    """C arrays: share of the population with each code."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TreeReference:
    """What the logits of trees are explained against."""

    paths: TreePaths
    shares: tuple[Floats, ...]
    """(n, L) for each of `paths.leaves`: share of the population that follows each path in each column."""

    @property
    def logit(self) -> float:
        """Mean logit of the trees over the population."""
        values = (
            float(leaves.value @ share.prod(axis=0))
            for leaves, share in zip(self.paths.leaves, self.shares, strict=True)
        )
        return self.paths.constant + sum(values)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TreeContributions:
    """What columns did to the logits of trees, between a reference and some rows."""

    start: float
    """Logit at the reference."""
    of_columns: Floats
    """(B, T): they add up to the distance of each row's logit from the start."""


def tree_reference(paths: TreePaths, spreads: ColumnSpreads) -> TreeReference:
    """The reference that a population is for the trees of some paths."""
    last = paths.sets.shape[1] - 1
    of_sets = [paths.sets[:, np.minimum(np.arange(len(each)), last)] @ each for each in spreads.codes]
    return TreeReference(
        paths=paths,
        shares=tuple(_shares(paths.numerical, leaves, spreads, of_sets) for leaves in paths.leaves),
    )


def tree_contributions(reference: TreeReference, rows: Inputs) -> TreeContributions:
    """What the columns did to the logits of rows; the same row has the same ones in any company."""
    columns = rows.numerical.shape[1] + rows.codes.shape[1]
    found = np.zeros((len(rows), columns))
    for number in range(len(rows)):
        row = rows[slice(number, number + 1)]
        for leaves, shares in zip(reference.paths.leaves, reference.shares, strict=True):
            each = _shapley_values(leaves.value, reference.paths.follow(leaves, row), shares)
            found[number] += np.bincount(leaves.columns.ravel(), each.ravel(), minlength=columns)
    return TreeContributions(start=reference.logit, of_columns=found)


def coalition_logits(reference: TreeReference, row: Inputs, coalitions: Bools) -> Floats:
    """Mean logits `(coalitions,)` where columns of a coalition `(coalitions, T)` have the values of one row
    and all others those of the population: the game whose Shapley values are the contributions."""
    found = np.full(len(coalitions), reference.paths.constant)
    for leaves, shares in zip(reference.paths.leaves, reference.shares, strict=True):
        follows = reference.paths.follow(leaves, row)
        for number, coalition in enumerate(coalitions):
            probability = np.where(coalition[leaves.columns], follows, shares).prod(axis=0)
            found[number] += leaves.value @ probability
    return found


def _shapley_values(value: Floats, follows: Bools, shares: Floats) -> Floats:
    """Shapley values `(n, L)` of the columns of paths whose leaves have values `(L,)`."""
    own = follows.astype(np.float64)
    unreachable = ~follows & (shares == 0)
    integral = np.zeros_like(shares)
    for node, weight in _rule(len(shares)):
        reached = node * own + (1 - node) * shares
        reached[unreachable] = 1.0  # a path that neither side can follow adds nothing: see `value` below
        integral += weight * reached.prod(axis=0) / reached
    value = np.where(unreachable.any(axis=0), 0.0, value)
    result: Floats = value * (own - shares) * integral
    return result


@cache
def _rule(columns: int) -> tuple[tuple[float, float], ...]:
    """Nodes on [0, 1] and their weights by which polynomials of a degree below `columns` are integrated."""
    nodes, weights = np.polynomial.legendre.leggauss((columns + 1) // 2)
    return tuple(zip(((nodes + 1) / 2).tolist(), (weights / 2).tolist(), strict=True))


def _shares(numerical: int, leaves: Leaves, spreads: ColumnSpreads, of_sets: Sequence[Floats]) -> Floats:
    """Share of a population `(n, L)` that follows each path in each column.

    Args:
        of_sets: C arrays `(S,)`: share of the population whose code is in each set.
    """
    shares = np.empty(leaves.columns.shape)
    for column in np.unique(leaves.columns).tolist():
        asked = leaves.columns == column
        if column < numerical:
            values, total = spreads.values[column], np.append(0.0, np.cumsum(spreads.weights[column]))
            ends = [total[_up_to(values, bound[asked])] for bound in (leaves.low, leaves.high)]
            missing = np.where(leaves.missing[asked], spreads.missing[column], 0.0)
            shares[asked] = np.maximum(ends[1] - ends[0], 0.0) + missing
        else:
            shares[asked] = of_sets[column - numerical][leaves.codes[asked]]
    # What cancels to a rounding error is a share of nobody, or of all.
    shares[np.abs(shares) < _ROUNDING] = 0.0
    shares[np.abs(shares - 1) < _ROUNDING] = 1.0
    return shares


def _up_to(values: Floats, bounds: Floats) -> Integers:
    """How many of the ascending values are not above each bound."""
    return np.searchsorted(values, bounds, side="right").astype(np.int64)


_ROUNDING = 1e-12

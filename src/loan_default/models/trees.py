"""Boosted trees as plain arrays, and how they score rows: without the library that fitted them.

A row meets no node on its way. For each column it is looked up which leaves of each tree its value leaves
reachable, as a set of bits, and the sets of all columns have exactly one leaf of each tree in common: the
idea of QuickScorer (Lucchese et al., 2015), with a table for each column in place of its lists. The numbers
that are compared are those of the fit, in double precision.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from loan_default.errors import ArtifactError
from loan_default.models.features import Inputs

MAX_LEAVES = 64
"""Leaves of a tree at most: a set of them is one number."""
NETWORKS_SHARE = 0.5
"""Weight of all networks together on the logit scale; the trees have the rest."""

_TREES = 128
"""Trees whose tables are built together: so many stay in the cache."""
_ROWS = 256
"""Rows that are looked up at once."""
_ALL = np.uint64(2**64 - 1)
_CLIP = 1e-6

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bits = NDArray[np.uint64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trees:
    """T trees with N nodes, the nodes of each tree after those of the tree before, parents before children.

    Raises:
        ArtifactError: the arrays are no such trees.
    """

    columns: Integers
    """(2,): numbers of numerical and of categorical columns."""
    roots: Integers
    """(T,): the node that each tree begins with, ascending from 0."""
    feature: Integers
    """(N,): the column that a node asks for, the categorical ones after the numerical; -1 = it is a leaf."""
    threshold: Floats
    """(N,): numbers up to this go left; 0 where no number is asked for."""
    left: Integers
    right: Integers
    """(N,): the children of a node; 0 for a leaf."""
    missing_left: NDArray[np.bool_]
    """(N,): whether a missing number goes left."""
    value: Floats
    """(N,): what a leaf adds to the logit."""
    codes: Integers
    """(W, 2): pairs of a node that asks for a category and a code that goes left; all others go right."""

    def __post_init__(self) -> None:
        _check_layout(self)
        _check_nodes(self)

    def __len__(self) -> int:
        return len(self.roots)

    @property
    def leaves(self) -> int:
        """Leaves of all trees together."""
        return int((self.feature < 0).sum())

    def logits(self, inputs: Inputs) -> Floats:
        """Sum over the trees `(rows,)`: the logit of the probability of default."""
        found = (inputs.numerical.shape[1], inputs.codes.shape[1])
        if found != tuple(self.columns):
            raise ValueError(f"rows must have {tuple(self.columns)} columns, however: {found}")
        result = np.zeros(len(inputs))
        for block in self._blocks:
            states = [column.states(inputs) for column in block.columns]
            for start in range(0, len(inputs), _ROWS):
                rows = slice(start, start + _ROWS)
                reachable = np.tile(block.leaves, (len(result[rows]), 1))
                for column, state in zip(block.columns, states, strict=True):
                    reachable &= column.reachable[state[rows]]
                leaf = np.bitwise_count(reachable - np.uint64(1))  # one bit is left: its position
                result[rows] += block.values[np.arange(len(block.values)), leaf].sum(axis=1)
        return result

    @cached_property
    def _blocks(self) -> "list[_Block]":
        below, leaf = _leaves_below(self)
        return [_block(self, below, leaf, start) for start in range(0, len(self), _TREES)]


def blend(net_probability: Floats, tree_logits: Floats) -> Floats:
    """Probability `(rows,)` of networks and trees with equal weights on the logit scale, not calibrated."""
    z = logit(np.clip(net_probability, _CLIP, 1 - _CLIP))
    return np.asarray(expit(NETWORKS_SHARE * z + (1 - NETWORKS_SHARE) * tree_logits))


def average(ensembles: Sequence[Trees]) -> Trees:
    """Trees whose logits are the mean of those of some ensembles, which ask for the same columns."""
    starts = np.cumsum([0, *(len(each.feature) for each in ensembles[:-1])]).tolist()
    moved = [
        {
            "roots": each.roots + start,
            "feature": each.feature,
            "threshold": each.threshold,
            "left": np.where(each.feature < 0, 0, each.left + start),
            "right": np.where(each.feature < 0, 0, each.right + start),
            "missing_left": each.missing_left,
            "value": each.value / len(ensembles),
            "codes": each.codes + np.array([start, 0]),
        }
        for each, start in zip(ensembles, starts, strict=True)
    ]
    joined = {name: np.concatenate([arrays[name] for arrays in moved]) for name in moved[0]}
    return Trees(columns=ensembles[0].columns, **joined)


def trees_to_dict(trees: Trees) -> dict[str, NDArray[Any]]:
    """The arrays that `trees_from_dict` reads back."""
    return {field.name: getattr(trees, field.name) for field in fields(trees)}


def trees_from_dict(raw: Mapping[str, Any]) -> Trees:
    """Trees from their arrays.

    Raises:
        ArtifactError: an array is missing, unknown, or not what trees consist of.
    """
    names = {field.name for field in fields(Trees)}
    for name in sorted(names ^ raw.keys()):
        side = "missing" if name in names else "unknown"
        raise ArtifactError(f"trees must be stored whole, however: they have {side} {name[:40]!r}")
    return Trees(**raw)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Column:
    """What each value of a column leaves reachable of some trees.

    Numbers have a state for each interval between thresholds, and one for missing; codes one for each that
    some node asks for, and one for all others.
    """

    index: int
    is_numerical: bool
    known: NDArray[Any]
    """Thresholds or codes, ascending."""
    reachable: Bits
    """(states, trees)"""

    def states(self, inputs: Inputs) -> Integers:
        """The state of each row `(rows,)`."""
        if self.is_numerical:
            numbers = inputs.numerical[:, self.index].astype(np.float64)
            states = np.searchsorted(self.known, numbers)  # thresholds below the number
            return np.where(np.isnan(numbers), len(self.known) + 1, states)
        codes = inputs.codes[:, self.index]
        states = np.minimum(np.searchsorted(self.known, codes), len(self.known) - 1)
        return np.where(self.known[states] == codes, states, len(self.known))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Block:
    """Some trees as tables."""

    columns: list[_Column]
    leaves: Bits
    """(trees,): all leaves of each."""
    values: Floats
    """(trees, MAX_LEAVES)"""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asking:
    """K nodes of some trees that ask for the same column."""

    nodes: Integers
    """(K,), ascending."""
    tree: Integers
    """(K,): the tree of each, counted from the first of the block."""
    to_left: Bits
    to_right: Bits
    """(K,): leaves that a node leaves reachable, by where it sends a row; those of other nodes among them."""
    n_trees: int


def _block(trees: Trees, below: Bits, leaf: Integers, start: int) -> _Block:
    """The tables of `_TREES` trees from one on."""
    ends = np.append(trees.roots[1:], len(trees.feature))
    roots = trees.roots[start : start + _TREES]
    nodes = np.arange(roots[0], ends[start : start + _TREES][-1])
    tree = np.searchsorted(roots, nodes, side="right") - 1
    feature, is_leaf = trees.feature[nodes], trees.feature[nodes] < 0
    values = np.zeros((len(roots), MAX_LEAVES))
    values[tree[is_leaf], leaf[nodes[is_leaf]]] = trees.value[nodes[is_leaf]]
    numerical = int(trees.columns[0])
    columns = []
    for column in np.unique(feature[~is_leaf]).tolist():
        asked = feature == column
        asking = _Asking(
            nodes=nodes[asked],
            tree=tree[asked],
            to_left=~below[trees.right[nodes[asked]]],
            to_right=~below[trees.left[nodes[asked]]],
            n_trees=len(roots),
        )
        is_numerical = column < numerical
        known, reachable = (_table_of_numbers if is_numerical else _table_of_codes)(trees, asking)
        columns.append(
            _Column(
                index=column if is_numerical else column - numerical,
                is_numerical=is_numerical,
                known=known,
                reachable=reachable,
            )
        )
    return _Block(columns=columns, leaves=below[roots], values=values)


def _table_of_numbers(trees: Trees, asking: _Asking) -> tuple[Floats, Bits]:
    """Thresholds, and what is reachable in each state."""
    known, at = np.unique(trees.threshold[asking.nodes], return_inverse=True)
    above, up_to = (np.full((len(known) + 1, asking.n_trees), _ALL) for _ in range(2))
    np.bitwise_and.at(above, (at + 1, asking.tree), asking.to_right)
    np.bitwise_and.at(up_to, (at, asking.tree), asking.to_left)
    reachable = np.bitwise_and.accumulate(above) & np.bitwise_and.accumulate(up_to[::-1])[::-1]
    missing = np.full(asking.n_trees, _ALL)
    sent = np.where(trees.missing_left[asking.nodes], asking.to_left, asking.to_right)
    np.bitwise_and.at(missing, asking.tree, sent)
    return known, np.concatenate([reachable, missing[None]])


def _table_of_codes(trees: Trees, asking: _Asking) -> tuple[Integers, Bits]:
    """Codes that some node sends left, and what is reachable in each state; the last is any other code."""
    pairs = trees.codes[np.isin(trees.codes[:, 0], asking.nodes)]
    known, at = np.unique(pairs[:, 1], return_inverse=True)
    goes_left = np.zeros((len(known) + 1, len(asking.nodes)), dtype=bool)
    goes_left[at, np.searchsorted(asking.nodes, pairs[:, 0])] = True
    reachable = np.full((len(known) + 1, asking.n_trees), _ALL)
    for number, tree in enumerate(asking.tree):
        sent = np.where(goes_left[:, number], asking.to_left[number], asking.to_right[number])
        reachable[:, tree] &= sent
    return known, reachable


def _leaves_below(trees: Trees) -> tuple[Bits, Integers]:
    """For each node the set of the leaves below it `(N,)`, and for a leaf its number in its tree `(N,)`."""
    is_leaf = trees.feature < 0
    counted: Integers = np.cumsum(is_leaf) - is_leaf
    leaf: Integers = counted - np.repeat(counted[trees.roots], np.diff(np.append(trees.roots, len(is_leaf))))
    sets = [
        1 << number if leafy else 0 for number, leafy in zip(leaf.tolist(), is_leaf.tolist(), strict=True)
    ]
    children = zip(trees.left.tolist(), trees.right.tolist(), strict=True)
    for node, (left, right) in reversed(list(enumerate(children))):
        if left:
            sets[node] = sets[left] | sets[right]
    return np.array(sets, dtype=np.uint64), leaf


def _check_layout(trees: Trees) -> None:
    """Refuse arrays of other types and shapes."""
    nodes = len(trees.feature)
    shapes = {
        "columns": (2,), "roots": (len(trees.roots),), "feature": (nodes,), "threshold": (nodes,),
        "left": (nodes,), "right": (nodes,), "missing_left": (nodes,), "value": (nodes,),
        "codes": (len(trees.codes), 2),
    }  # fmt: skip
    types = dict.fromkeys(shapes, np.int64) | {
        "threshold": np.float64, "value": np.float64, "missing_left": np.bool_,
    }  # fmt: skip
    for name, shape in shapes.items():
        array = getattr(trees, name)
        if array.shape != shape or array.dtype != types[name]:
            raise ArtifactError(
                f"{name} of trees must be {types[name].__name__} of shape {shape}, however: {array.dtype} of "
                f"shape {array.shape}"
            )


def _check_nodes(trees: Trees) -> None:
    """Refuse nodes that do not form trees, or that ask for columns that are not there."""
    n_nodes, inner = len(trees.feature), np.flatnonzero(trees.feature >= 0)
    leaves, roots = trees.feature == -1, trees.roots
    if not (len(roots) and roots[0] == 0 and (np.diff(roots) > 0).all() and roots[-1] < n_nodes):
        raise ArtifactError("roots must ascend from 0, however: those of the trees do not")
    numerical, categorical = trees.columns
    if (trees.columns < 0).any() or not (leaves | (trees.feature >= 0)).all():
        raise ArtifactError("nodes must ask for columns, however: a number of the trees is negative")
    if (trees.feature >= numerical + categorical).any():
        raise ArtifactError(f"nodes must ask for columns 0 to {numerical + categorical - 1}, however: others")
    tree = np.searchsorted(roots, np.arange(n_nodes), side="right") - 1
    for children in (trees.left, trees.right):
        if (children < 0).any() or (children >= n_nodes).any() or children[leaves].any():
            raise ArtifactError("children must be nodes, however: those of a node are not")
        if (children[inner] <= inner).any() or (tree[children[inner]] != tree[inner]).any():
            raise ArtifactError("children must come after their parent, however: those of a node do not")
    parents = np.bincount(np.concatenate([trees.left[inner], trees.right[inner]]), minlength=n_nodes)
    parents[roots] += 1
    if (parents != 1).any():
        raise ArtifactError("each node must have one parent, however: a node of the trees has not")
    if np.bincount(tree[leaves]).max() > MAX_LEAVES:
        raise ArtifactError(f"a tree must have at most {MAX_LEAVES} leaves, however: one has more")
    if not np.isfinite(trees.threshold).all() or not np.isfinite(trees.value).all():
        raise ArtifactError("numbers of trees must be finite, however: one is not")
    asked = trees.codes[:, 0]
    if (asked < 0).any() or (asked >= n_nodes).any() or (trees.feature[asked] < numerical).any():
        raise ArtifactError("codes must belong to nodes that ask for a category, however: one does not")
    if not np.isin(np.flatnonzero(trees.feature >= numerical), asked).all():
        raise ArtifactError("nodes must send a code left, however: one that asks for a category does not")

"""The way to each leaf of boosted trees as conditions on columns: what explains trees without a walk.

A leaf is reached where each column that its path asks for meets one condition: the numbers of an interval,
missing or not, or a set of codes. Leaves whose paths ask for as many columns stand in one array.

Shapes: L leaves whose paths ask for n different columns, T columns, the categorical ones after the numerical,
S sets of codes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loan_default.models.features import Inputs
from loan_default.models.trees import Trees

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Leaves:
    """Leaves whose paths ask for equally many columns."""

    value: Floats
    """(L,): what each adds to the logit."""
    columns: Integers
    """(n, L): those that the path asks for."""
    low: Floats
    high: Floats
    """(n, L): numbers above `low` and up to `high` follow the path; all where no number is asked for."""
    missing: Bools
    """(n, L): whether a missing number follows it."""
    codes: Integers
    """(n, L): the set of the codes that follow it; 0 = the set of all."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TreePaths:
    """The paths to all leaves of some trees."""

    numerical: int
    """Numerical columns."""
    constant: float
    """What trees of one leaf add to the logit."""
    leaves: tuple[Leaves, ...]
    """Those of paths that ask for one column, for two, and so on; none is empty."""
    sets: Bools
    """(S, known codes + 1): whether a code is in a set; the last is any code that no node asks for."""

    def follow(self, leaves: Leaves, row: Inputs) -> Bools:
        """Whether a row meets the condition of each column of each path `(n, L)`."""
        numbers = np.zeros(self.numerical + row.codes.shape[1])
        codes = np.zeros(len(numbers), dtype=np.int64)
        numbers[: self.numerical] = row.numerical[0]
        codes[self.numerical :] = np.minimum(row.codes[0], self.sets.shape[1] - 1)
        asked = numbers[leaves.columns]
        known = (leaves.low < asked) & (asked <= leaves.high)
        found: Bools = (known | leaves.missing & np.isnan(asked)) & self.sets[
            leaves.codes, codes[leaves.columns]
        ]
        return found


class _Condition(NamedTuple):
    """What a column must be for a path to go on; one for each node, so a plain tuple."""

    low: float = -np.inf
    high: float = np.inf
    missing: bool = True
    codes: int = 0


def paths_of(trees: Trees) -> TreePaths:
    """The paths to the leaves of trees."""
    sets = _Sets(trees)
    numerical = int(trees.columns[0])
    conditions: list[Mapping[int, _Condition]] = [{}] * len(trees.feature)
    by_size: dict[int, list[int]] = {}
    # Parents come before their children, so one pass meets each path after the one that it continues.
    for node, column in enumerate(trees.feature.tolist()):
        above = conditions[node]
        if column < 0:
            by_size.setdefault(len(above), []).append(node)
            continue
        before = above.get(column, _Condition())
        if column < numerical:
            to_left, to_right = _split_numbers(before, trees, node)
        else:
            to_left, to_right = sets.split(before, node)
        conditions[trees.left[node]] = {**above, column: to_left}
        conditions[trees.right[node]] = {**above, column: to_right}
    constant = float(trees.value[by_size.pop(0, [])].sum())
    return TreePaths(
        numerical=numerical,
        constant=constant,
        leaves=tuple(_leaves(trees, by_size[size], conditions) for size in sorted(by_size)),
        sets=np.array(sets.members),
    )


def _split_numbers(before: _Condition, trees: Trees, node: int) -> tuple[_Condition, _Condition]:
    """The conditions of both children of a node that asks for a number."""
    threshold, left = float(trees.threshold[node]), bool(trees.missing_left[node])
    return (
        _Condition(low=before.low, high=min(before.high, threshold), missing=before.missing and left),
        _Condition(low=max(before.low, threshold), high=before.high, missing=before.missing and not left),
    )


class _Sets:
    """Sets of codes while paths are followed; equal ones are kept once."""

    def __init__(self, trees: Trees) -> None:
        known = int(trees.codes[:, 1].max(initial=-1)) + 1
        self.members = [np.ones(known + 1, dtype=bool)]
        self._number = {self.members[0].tobytes(): 0}
        self._left: dict[int, Bools] = {}
        for node, code in trees.codes.tolist():
            self._left.setdefault(node, np.zeros(known + 1, dtype=bool))[code] = True

    def split(self, before: _Condition, node: int) -> tuple[_Condition, _Condition]:
        """The conditions of both children of a node that asks for a category."""
        members, left = self.members[before.codes], self._left[node]
        return _Condition(codes=self._kept(members & left)), _Condition(codes=self._kept(members & ~left))

    def _kept(self, members: Bools) -> int:
        number = self._number.setdefault(members.tobytes(), len(self.members))
        if number == len(self.members):
            self.members.append(members)
        return number


def _leaves(trees: Trees, nodes: list[int], conditions: list[Mapping[int, _Condition]]) -> Leaves:
    """The arrays of some leaves."""
    table = np.array(
        [[(column, *each) for column, each in sorted(conditions[node].items())] for node in nodes],
        dtype=np.float64,
    )
    columns, low, high, missing, codes = np.ascontiguousarray(table.transpose(2, 1, 0))
    return Leaves(
        value=trees.value[nodes],
        columns=columns.astype(np.int64),
        low=low,
        high=high,
        missing=missing.astype(np.bool_),
        codes=codes.astype(np.int64),
    )

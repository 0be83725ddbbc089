"""Rows as points, and the nearest neighbours of each: numbers by their ranks, so that units do not matter.

    points = points_of(frame, schema)
    found = nearest(points, queries)
    chance = log_chance(points, found.rows, found.nearest)

Categories are no distance, but they count as evidence: a value that two rows share says the more, the rarer
it is.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.neighbors import NearestNeighbors

from loan_default.data.schema.column import TIME_KINDS, Column
from loan_default.data.schema.language import Schema

NEIGHBOURS = 20
"""Neighbours that are found of each row; those from the 10th on are ordinary ones."""
ORDINARY = 10

_MISSING = -1.0
"""Where ranks are 0 to 1: a missing number is far from every other one, and near to none but missing ones."""

Numbers = NDArray[np.float64]
Positions = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Points:
    """Rows `(n,)` with the ranks of their numbers, and how rare their values are."""

    coordinates: NDArray[np.float32]
    """`(n, numbers)`, 0 to 1; -1 = missing."""
    below: Numbers
    """`(n, columns)`, the share of rows with a smaller value."""
    up_to: Numbers
    """`(n, columns)`, the share of rows with a value that is not larger."""
    coded: NDArray[np.bool_]
    """`(columns,)`, whether the values are categories, whose order means nothing."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.coordinates)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Neighbours:
    """The nearest other rows of some rows."""

    rows: Positions
    """`(q,)`, the rows that were asked for."""
    nearest: Positions
    """`(q, NEIGHBOURS)`, the nearest first."""
    distances: Numbers
    """`(q, NEIGHBOURS)`."""

    @property
    def closeness(self) -> Numbers:
        """`(q,)`, distance of the nearest row over that of the first ordinary one; 1 where both are 0."""
        ordinary = self.distances[:, ORDINARY - 1]
        return np.where(ordinary > 0, self.distances[:, 0] / np.where(ordinary > 0, ordinary, 1.0), 1.0)


def points_of(frame: pd.DataFrame, schema: Schema) -> Points:
    """The rows of a canonical frame as points, whatever the order of its columns."""
    coordinates, below, up_to, coded = [], [], [], []
    for column in sorted(schema.features, key=lambda each: each.name):
        values = _values(frame, column)
        known = ~np.isnan(values)
        low, high = np.zeros(len(values)), np.full(len(values), 1 - known.mean())
        low[known] = (rankdata(values[known], "min") - 1) / len(values)
        high[known] = rankdata(values[known], "max") / len(values)
        below.append(low)
        up_to.append(high)
        coded.append(column.is_coded)
        if not column.is_coded:
            ranks = np.full(len(values), _MISSING, np.float32)
            ranks[known] = (rankdata(values[known]) - 0.5) / max(1, known.sum())
            coordinates.append(ranks)
    return Points(
        coordinates=np.column_stack(coordinates) if coordinates else np.zeros((len(frame), 0), np.float32),
        below=np.column_stack(below),
        up_to=np.column_stack(up_to),
        coded=np.array(coded),
    )


def nearest(points: Points, rows: Positions) -> Neighbours:
    """The nearest other rows of some rows `(q,)`; all points must be more than `NEIGHBOURS`."""
    search = NearestNeighbors(n_neighbors=NEIGHBOURS + 1, algorithm="brute").fit(points.coordinates)
    distances, found = search.kneighbors(points.coordinates[rows])
    itself = found == rows[:, None]
    itself[~itself.any(axis=1), -1] = True  # among many equal rows it may not be found
    others = ~itself
    return Neighbours(
        rows=rows,
        nearest=found[others].reshape(len(rows), NEIGHBOURS).astype(np.int64),
        distances=distances[others].reshape(len(rows), NEIGHBOURS).astype(np.float64),
    )


def log_chance(points: Points, first: Positions, second: Positions) -> Numbers:
    """`(m,)`, the logarithm of how many rows would lie so near to one in all columns, were those independent.

    A value that all rows share says nothing; two values are as near as the share of rows that lie between
    them, both included.
    """
    chance = np.full(len(first), np.log(points.rows))
    for column, is_coded in enumerate(points.coded):
        below, up_to = points.below[:, column], points.up_to[:, column]
        between = np.maximum(up_to[first], up_to[second]) - np.minimum(below[first], below[second])
        equal = (below[first] == below[second]) & (up_to[first] == up_to[second])
        chance += np.log(np.where(equal | (not is_coded), np.minimum(between, 1.0), 1.0))
    return chance


def _values(frame: pd.DataFrame, column: Column) -> Numbers:
    """`(n,)`, numbers, codes of categories or microseconds; NaN = missing."""
    values = frame[column.name]
    if column.is_coded:
        codes = pd.factorize(values, sort=True)[0].astype(np.float64)
        return np.where(codes < 0, np.nan, codes)
    if column.kind in TIME_KINDS:
        micros = values.to_numpy(dtype="datetime64[us]").astype(np.int64).astype(np.float64)
        return np.where(values.isna(), np.nan, micros)
    return values.to_numpy(dtype=np.float64, na_value=np.nan)

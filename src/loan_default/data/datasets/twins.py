"""Near-copies among labelled rows: jittered rows, one applicant several times, with one outcome for all.

    twins = find_twins(frame, schema, labels)     # None = there are none, or too few to tell

Where near-copies straddle a split, a model is tested on rows that it has all but seen, and every metric
flatters. Rows that lie close together are no evidence yet: lattices and clusters have them by nature. But the
outcomes of two different applicants are independent given their PDs, however near they are. So near-copies
are pairs whose outcomes differ much less often than those of ordinary neighbours of the same rows, and much
less often than their PDs allow, as a boosted model gives them that has learned from other rows.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.stats import binom

from loan_default.data.datasets.neighbours import (
    ORDINARY,
    Neighbours,
    Points,
    log_chance,
    nearest,
    points_of,
)
from loan_default.data.datasets.row_hashing import hash_rows
from loan_default.data.datasets.twin_effects import Booster, booster_of
from loan_default.data.schema.language import Schema

FEWEST_ROWS = 200
"""Different labelled rows below which nothing can be decided."""
CLOSENESS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4)
"""Distances of the nearest row, as parts of that of the tenth, up to which pairs are looked at."""
RARE = 0.01
"""Rows that would be so near to a near-copy if columns were independent, at most."""
SMALLEST_SHARE, FEWEST_COPIES = 0.003, 16
"""Share and number of rows with a near-copy below which there is no finding."""
DISAGREEMENT, LEVEL = 0.5, 0.02
"""Near-copies must differ less often than this part of what is expected, surely on this level."""

_DISTANCES = 400_000_000
"""Distances that are computed to decide: of all rows up to 20,000 rows, of a sample of them beyond."""
_FEWEST_QUERIES = 2_000

Positions = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Twins:
    """Near-copies among the labelled rows of a frame, and how much they flatter on both sides of a split."""

    pairs: Positions
    """`(m, 2)`, positions of near-copies in the frame, the smaller one first."""
    groups: Positions
    """`(n,)`, a number per row of the frame: near-copies, and copies of copies, share one."""
    labelled: int
    """Different labelled rows that were looked at."""
    agreement: float
    """Share of pairs with one outcome, 0 to 1."""
    ordinary: float
    """The same share among ordinary neighbours of the same rows."""
    expected: float
    """The share that the PDs of the rows allow, were their outcomes independent."""
    auc_straddling: float
    """AUC of a boosted model in cross-validation that splits near-copies at random."""
    auc_apart: float
    """AUC of the same model where near-copies are kept together."""

    @property
    def rows(self) -> int:
        """Different rows that have a near-copy."""
        return len(np.unique(self.pairs))

    @property
    def share(self) -> float:
        """Share of the different labelled rows that have a near-copy, 0 to 1."""
        return self.rows / self.labelled

    def with_copies_in(self, rows: Positions, others: Positions) -> NDArray[np.bool_]:
        """Whether a near-copy of each of some rows, or of its copies, is among other rows."""
        return np.isin(self.groups[rows], self.groups[others])


def find_twins(
    frame: pd.DataFrame,
    schema: Schema,
    labels: NDArray[np.float64],
    *,
    hashes: NDArray[np.uint64] | None = None,
) -> Twins | None:
    """The near-copies among the labelled rows of a canonical frame; None where no near-copies are certain.

    Equal rows count once; they are groups of a split anyway. The result does not depend on the order of rows
    and columns.

    Args:
        labels: `(n,)`, 1 = default, 0 = none, NaN = not known.
        hashes: `hash_rows` of the features `(n,)`; None = they are computed here.
    """
    hashes = hash_rows(frame, schema.features) if hashes is None else hashes
    different = _different(hashes, labels)
    y = labels[different]
    if len(different) < FEWEST_ROWS or not 0 < y.sum() < len(y):
        return None
    points = points_of(frame.iloc[different], schema)
    if points.coordinates.shape[1] < 2:
        return None
    sample = np.arange(min(len(y), max(_FEWEST_QUERIES, _DISTANCES // len(y))))  # hashes are evenly spread
    found = nearest(points, sample)
    cut = _closest(points, found, y)
    if cut is None:
        return None
    if len(sample) < len(y):
        found = nearest(points, _candidates(points, found, cut))
    near = _near(points, found, cut)
    pairs = _pairs(found.rows[near], found.nearest[near, 0])
    groups = _components(pairs, len(y))
    booster = booster_of(points, y, groups, first=np.unique(pairs))
    expected = booster.disagreement(pairs)
    if not _is_surely_less(_differing(y, pairs), pairs=len(pairs), expected=expected):
        return None
    ordinary = _ordinary(found, y, near)
    return _twins(different, pairs, groups, y, hashes, ordinary=ordinary, expected=expected, booster=booster)


def _twins(
    different: Positions,
    pairs: Positions,
    groups: Positions,
    y: NDArray[np.float64],
    hashes: NDArray[np.uint64],
    *,
    ordinary: float,
    expected: float,
    booster: Booster,
) -> Twins:
    straddling, apart = booster.aucs()
    return Twins(
        pairs=np.sort(different[pairs], axis=1),
        groups=_groups_of_all(different, groups, hashes),
        labelled=len(y),
        agreement=float((y[pairs[:, 0]] == y[pairs[:, 1]]).mean()),
        ordinary=1 - ordinary,
        expected=1 - expected,
        auc_straddling=straddling,
        auc_apart=apart,
    )


def _different(hashes: NDArray[np.uint64], labels: NDArray[np.float64]) -> Positions:
    """Positions of the labelled rows, one of each that are equal, in an order that no file decides."""
    labelled = np.flatnonzero(~np.isnan(labels))
    order = labelled[np.lexsort((labels[labelled], hashes[labelled]))]
    _, first = np.unique(hashes[order], return_index=True)
    return order[first].astype(np.int64)


def _closest(points: Points, found: Neighbours, y: NDArray[np.float64]) -> float | None:
    """How near a row must be to be a near-copy: the widest closeness up to which outcomes agree too often."""
    chosen, former = None, 0.0
    for cut in CLOSENESS:
        near = _near(points, found, cut)
        pairs = _pairs(found.rows[near], found.nearest[near, 0])
        if len(pairs) == 0:
            continue
        ring = near & (found.closeness > former)
        in_ring = _pairs(found.rows[ring], found.nearest[ring, 0])
        if len(in_ring) and _is_ordinary(_differing(y, in_ring), len(in_ring), _ordinary(found, y, ring)):
            return chosen
        former = cut
        differing = _differing(y, pairs)
        is_many = near.sum() >= max(FEWEST_COPIES, SMALLEST_SHARE * len(near))
        if is_many and _is_surely_less(differing, pairs=len(pairs), expected=_ordinary(found, y, near)):
            chosen = cut
    return chosen


def _differing(y: NDArray[np.float64], pairs: Positions) -> int:
    """Pairs with two outcomes."""
    return int((y[pairs[:, 0]] != y[pairs[:, 1]]).sum())


def _is_ordinary(differing: int, pairs: int, expected: float) -> bool:
    """Whether pairs at some distance are mostly ordinary neighbours, and not a few of copies by chance."""
    is_above = differing > DISAGREEMENT * expected * pairs
    return is_above and bool(binom.sf(differing - 1, pairs, DISAGREEMENT / 2 * expected) <= 0.05)


def _is_surely_less(differing: int, *, pairs: int, expected: float) -> bool:
    """Whether so few pairs differ that chance cannot be the reason."""
    return bool(binom.cdf(differing, pairs, DISAGREEMENT * expected) <= LEVEL / len(CLOSENESS))


def _near(points: Points, found: Neighbours, cut: float) -> NDArray[np.bool_]:
    """`(q,)`, whether the nearest row is so close that it is a near-copy, if outcomes say so too."""
    is_rare = log_chance(points, found.rows, found.nearest[:, 0]) <= np.log(RARE)
    near: NDArray[np.bool_] = is_rare & (found.closeness <= cut)
    return near


def _ordinary(found: Neighbours, y: NDArray[np.float64], near: NDArray[np.bool_]) -> float:
    """How often the outcomes of ordinary neighbours differ from those of the rows, 0 to 1."""
    return float((y[found.rows[near], None] != y[found.nearest[near, ORDINARY:]]).mean())


def _candidates(points: Points, found: Neighbours, cut: float) -> Positions:
    """All rows that have a row as near as those of the sample have their near-copies."""
    radius = float(np.quantile(found.distances[_near(points, found, cut), 0], 0.95)) + 1e-5
    tree = cKDTree(points.coordinates)
    distances = np.asarray(tree.query(points.coordinates, k=[2], distance_upper_bound=radius)[0])
    return np.flatnonzero(np.isfinite(distances[:, 0])).astype(np.int64)


def _pairs(rows: Positions, others: Positions) -> Positions:
    """`(m, 2)`, each pair once, the smaller position first."""
    both = np.sort(np.column_stack([rows, others]), axis=1)
    return np.unique(both, axis=0) if len(both) else both


def _components(pairs: Positions, rows: int) -> Positions:
    """`(rows,)`, a number per row: those that pairs connect share one."""
    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(rows, rows))
    numbers: Positions = connected_components(graph, directed=False)[1].astype(np.int64)
    return numbers


def _groups_of_all(different: Positions, groups: Positions, hashes: NDArray[np.uint64]) -> Positions:
    """`(n,)`, the groups of the different rows, of rows that equal them, and of others by themselves."""
    distinct, codes = np.unique(hashes, return_inverse=True)
    numbers: Positions = groups.max(initial=-1) + 1 + np.arange(len(distinct), dtype=np.int64)
    numbers[codes[different]] = groups
    of_all: Positions = numbers[codes]
    return of_all

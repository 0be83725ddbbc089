"""Rows of canonical frames that are the same: copies, and groups that a split keeps together."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from loan_default.data.datasets.row_hashing import hash_rows
from loan_default.data.schema.language import Schema


def drop_duplicates(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """The frame without the later copies of rows that are equal in every column.

    Only rows with an identifier of their application are dropped. Without one, two equal rows may be two
    people, also two of the same day: they stay.
    """
    if schema.identifier is None or schema.identifier.name not in frame:
        return frame
    copies = frame.duplicated().to_numpy() & frame[schema.identifier.name].notna().to_numpy()
    return frame[~copies] if copies.any() else frame


def duplicate_groups(
    frame: pd.DataFrame, schema: Schema, *, hashes: NDArray[np.uint64] | None = None
) -> np.ndarray:
    """Group of each row, `(n,)` int64 from 0: rows with equal features (missing equals missing) share one.

    A model that has seen one row of a group knows the others: a split must keep a group together.
    Identifier, timestamp, target and protected columns do not count.

    Args:
        hashes: `hash_rows` of the features `(n,)`; None = they are computed here.
    """
    # Two different rows fall together by chance in 1 of 10^7 files of a million rows, and would then merely
    # share a side of the split.
    groups, _ = pd.factorize(hash_rows(frame, schema.features) if hashes is None else hashes)
    return groups.astype(np.int64)


def named_groups(frame: pd.DataFrame, schema: Schema) -> NDArray[np.int64]:
    """Group of each row, `(n,)` from 0: rows that are equal in all columns with `group = true` share one.

    A row in which such a column is missing is alone.
    """
    columns = schema.groups
    alone = np.arange(len(frame), dtype=np.int64)
    if not columns or any(column.name not in frame for column in columns):
        return alone
    named = frame[[column.name for column in columns]].notna().all(axis=1).to_numpy(dtype=bool)
    numbers, _ = pd.factorize(hash_rows(frame, columns))
    return np.where(named, len(frame) + numbers, alone)


def joined_groups(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Groups `(n,)` in which rows are together that either grouping has together, directly or by others."""
    rows = np.arange(len(first))
    size = len(rows) + int(first.max(initial=-1)) + int(second.max(initial=-1)) + 2
    ends = np.concatenate([len(rows) + first, len(rows) + int(first.max(initial=-1)) + 1 + second])
    edges = (np.ones(len(ends), np.int8), (np.concatenate([rows, rows]), ends))
    components = connected_components(coo_array(edges, shape=(size, size)), directed=False)[1]
    groups, _ = pd.factorize(components[: len(rows)])
    return groups.astype(np.int64)

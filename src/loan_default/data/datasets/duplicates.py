"""Rows of canonical frames that are the same: copies, and groups that a split keeps together."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from loan_default.data.datasets.row_hashing import hash_rows
from loan_default.data.schema.language import Schema


def drop_duplicates(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """The frame without the later copies of rows that are equal in every column.

    Only rows with an identifier of their application are dropped. Without one, two equal rows may be two
    people, also two of the same day, and those of a named applicant two of his loans: they stay.
    """
    if schema.identifier is None or schema.identifier.group or schema.identifier.name not in frame:
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


def kept_together(
    copies: NDArray[np.int64], named: NDArray[np.int64], labels: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Groups `(n,)` of rows that no split separates: those of an applicant, else equal ones.

    Rows that name their applicant are together with no others: equal rows of two applicants are two people,
    and would join the loans of one with those of the other, and these with more, until all are one group.

    Args:
        copies: of `duplicate_groups`.
        named: of `named_groups`.
        labels: `(n,)`, 1 = default, 0 = none, NaN = not known.
    """
    rows = np.arange(len(copies), dtype=np.int64)
    equal = rows if are_equal_by_chance(copies, labels) else copies
    return np.where(named < len(rows), equal, len(rows) + named)


def are_equal_by_chance(copies: NDArray[np.int64], labels: NDArray[np.float64]) -> bool:
    """Whether rows are equal because few values describe them, and not because one was written twice.

    Then more than half of the labelled rows have an equal one, and the outcomes within such groups differ
    nearly as often as those of any two rows; copies of one row have the same outcome.
    """
    known = ~np.isnan(labels)
    numbers, outcomes = copies[known], labels[known]
    size = np.bincount(numbers)
    bads = np.bincount(numbers, weights=outcomes)
    if len(numbers) == 0 or size[size > 1].sum() <= _RULE * len(numbers):
        return False
    pairs, differing = (size * (size - 1)).sum(), (2 * bads * (size - bads)).sum()
    rate = outcomes.mean()
    return bool(differing / pairs >= _AS_OTHERS * 2 * rate * (1 - rate))


_RULE = 0.5
"""Share of rows with an equal one beyond which that is the rule."""
_AS_OTHERS = 0.2
"""Share of the differing outcomes of any two rows: good features leave less than all within a group."""

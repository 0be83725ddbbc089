"""Rows of canonical frames that are the same: copies, and groups that a split keeps together."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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

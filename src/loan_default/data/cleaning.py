"""Rows of canonical frames that are the same: copies, groups that a split keeps together, digests."""

import hashlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from loan_default.data.schema import Schema

_HASHED_ROWS = 65_536
"""Rows that are hashed together; memory, not meaning."""


def drop_duplicates(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """The frame without the later copies of rows that are equal in every column.

    Only rows that say which application they are, by an identifier, are dropped. Without one, two equal rows
    may be two people, also two of the same day: they stay.
    """
    if schema.identifier is None or schema.identifier.name not in frame:
        return frame
    copies = frame.duplicated().to_numpy() & frame[schema.identifier.name].notna().to_numpy()
    return frame[~copies] if copies.any() else frame


def duplicate_groups(frame: pd.DataFrame, schema: Schema) -> np.ndarray:
    """Group of each row, `(n,)` int64 from 0: rows with equal features (missing equals missing) share one.

    A model that has seen one row of a group knows the others: a split must keep a group together.
    Identifier, timestamp, target and protected columns do not count.
    """
    # Two different rows fall together by chance in 1 of 10^7 files of a million rows, and would then merely
    # share a side of the split.
    groups, _ = pd.factorize(hash_features(frame, schema))
    return groups.astype(np.int64)


def hash_features(frame: pd.DataFrame, schema: Schema) -> NDArray[np.uint64]:
    """A number for the features of each row, `(n,)`: equal for equal features, in every frame and process."""
    names = sorted(column.name for column in schema.features if column.name in frame)
    return np.asarray(pd.util.hash_pandas_object(frame[names], index=False), dtype=np.uint64)


def digest_of(frame: pd.DataFrame) -> str:
    """SHA-256 of a frame: its column names, and its values in order."""
    content = hashlib.sha256("\0".join(map(str, frame.columns)).encode())
    for start in range(0, len(frame), _HASHED_ROWS):
        rows = frame.iloc[start : start + _HASHED_ROWS]
        content.update(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes())
    return content.hexdigest()

"""Canonical bytes of rows and frames, and hashes over them that are the same in every release and process.

    hash_rows(frame, schema.features)    a number per row, for splits that must never change
    hash_sides(frame, schema)            the same where the schema names no applicants, else one per applicant
    digest_of(frame)                     SHA-256 of a whole frame, for snapshots that must be the same rows

Hashes of pandas and NumPy may change between releases; here the bytes are defined, and the functions are
BLAKE2b (RFC 7693) and SHA-256 of the standard library. They do not depend on the order of columns, the index,
the dtype that holds a value, the order of categories, or how many rows are hashed together.

A number is its big-endian float64 with one bit pattern for NaN and none for -0.0; a text is its UTF-8; a time
is its whole microseconds since 1970 in UTC. A missing value differs from every other. A change here changes
hashes that are stored: raise `splits.SPLIT_VERSION` or `DIGEST_VERSION`.
"""

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loan_default.data.schema.column import NUMBER_KINDS, TIME_KINDS, Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.errors import DataError

DIGEST_VERSION = 2
"""Version of `digest_of`; version 1 used pandas' row hashes."""

_ROWS = 65_536
"""Rows that are hashed together: this bounds the memory and changes no result."""
_TEXT_BYTES = 16
_PERSON = b"loan-default/row"
"""Keeps these hashes apart from any other use of BLAKE2b."""


def hash_rows(frame: pd.DataFrame, columns: Sequence[Column]) -> NDArray[np.uint64]:
    """A number for the values of each row, `(n,)`, evenly spread over 64 bits; equal for equal values.

    Args:
        columns: which values count; a column that the frame lacks is missing in every row.

    Raises:
        DataError: a value is not of its column's kind: the frame is not canonical.
    """
    ordered = sorted(columns, key=lambda column: column.name)
    names = json.dumps([[column.name, column.kind.value] for column in ordered], ensure_ascii=True)
    salt = hashlib.blake2b(names.encode(), digest_size=hashlib.blake2b.SALT_SIZE).digest()
    hashes = bytearray()
    for start in range(0, len(frame), _ROWS):
        rows = frame.iloc[start : start + _ROWS]
        cells = np.concatenate([_cells(rows, column) for column in ordered], axis=1)
        width, content = cells.shape[1], cells.tobytes()
        for offset in range(0, len(content), width):
            row = content[offset : offset + width]
            hashes += hashlib.blake2b(row, digest_size=8, salt=salt, person=_PERSON).digest()
    return np.frombuffer(bytes(hashes), dtype=">u8").astype(np.uint64)


def hash_sides(frame: pd.DataFrame, schema: Schema) -> NDArray[np.uint64]:
    """What decides the side of each row in the permanent holdout `(n,)`: its applicant, else its features.

    A row names its applicant where no column with `group = true` is missing in it.
    """
    hashes = hash_rows(frame, schema.features)
    if not schema.groups or any(column.name not in frame for column in schema.groups):
        return hashes
    named = frame[[column.name for column in schema.groups]].notna().all(axis=1).to_numpy(dtype=bool)
    return np.where(named, hash_rows(frame, schema.groups), hashes)


def digest_of(frame: pd.DataFrame) -> str:
    """SHA-256 of a frame: the names of its columns, and their values in the order of the rows."""
    content = hashlib.sha256(f"loan-default/frame/{DIGEST_VERSION}/{len(frame)}".encode())
    for name in sorted(map(str, frame.columns)):
        values = frame[name]
        content.update(hashlib.sha256(name.encode()).digest())
        if values.dtype.kind == "M":
            content.update(b"time" + hashlib.sha256(_times(values).tobytes()).digest())
        elif pd.api.types.is_numeric_dtype(values.dtype):
            content.update(b"numb" + hashlib.sha256(_numbers(values).tobytes()).digest())
        else:
            content.update(b"text" + _digest_of_texts(values))
    return content.hexdigest()


# Canonical values ----------------------------------------------------------------------------------------


def _cells(frame: pd.DataFrame, column: Column) -> NDArray[np.uint8]:
    """`(n, width)` bytes of a column; every cell is of one width."""
    if column.name not in frame:
        values = pd.Series(None, index=frame.index, dtype=column.kind.dtype)
    else:
        values = frame[column.name]
    if column.kind in NUMBER_KINDS or column.kind is Kind.TARGET:
        return _bytes_of(_numbers(values))
    if column.kind in TIME_KINDS:
        return _bytes_of(_times(values))
    return _text_cells(values)


def _bytes_of(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(values).view(np.uint8).reshape(len(values), values.dtype.itemsize)


def _numbers(values: pd.Series) -> NDArray[np.float64]:
    """Big-endian float64."""
    try:
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise _not_canonical(values, "numbers") from None
    numbers = np.where(np.isnan(numbers), np.nan, numbers) + 0.0  # adding 0.0 turns -0.0 into 0.0
    return numbers.astype(">f8")


def _times(values: pd.Series) -> NDArray[np.int64]:
    """Big-endian microseconds since 1970 in UTC; a missing time is the smallest number there is."""
    if values.dtype.kind != "M":
        raise _not_canonical(values, "times")
    return values.to_numpy(dtype="datetime64[us]").astype(np.int64).astype(">i8")


def _text_cells(values: pd.Series) -> NDArray[np.uint8]:
    """The BLAKE2b hash of each text, zeros where it is missing; the few distinct texts are hashed once."""
    codes, distinct = pd.factorize(values.astype(object), use_na_sentinel=True)
    table = np.zeros((len(distinct) + 1, _TEXT_BYTES), np.uint8)
    for number, text in enumerate(distinct):
        if not isinstance(text, str):
            raise _not_canonical(values, "texts")
        digest = hashlib.blake2b(text.encode(), digest_size=_TEXT_BYTES, person=_PERSON).digest()
        table[number] = np.frombuffer(digest, np.uint8)
    return table[codes]  # a missing text has the code -1: the last row


def _digest_of_texts(values: pd.Series) -> bytes:
    """SHA-256 over the lengths of the texts in bytes (-1 = missing), then over the texts."""
    lengths, content = hashlib.sha256(), hashlib.sha256()
    for start in range(0, len(values), _ROWS):
        part = values.iloc[start : start + _ROWS].astype(object)
        try:
            texts = pa.array(part, type=pa.large_string(), from_pandas=True)
        except (pa.ArrowException, UnicodeEncodeError):
            raise _not_canonical(values, "texts") from None
        sizes = pc.fill_null(pc.binary_length(texts), -1)
        lengths.update(sizes.to_numpy(zero_copy_only=False).astype(">i8").tobytes())
        content.update("".join(text for text in texts.to_pylist() if text is not None).encode())
    return hashlib.sha256(lengths.digest() + content.digest()).digest()


def _not_canonical(values: pd.Series, what: str) -> DataError:
    return DataError(
        f"the column {str(values.name)!r} must hold {what} or nothing, however: its dtype is {values.dtype}, "
        "and some values are others. Validate the rows first."
    )

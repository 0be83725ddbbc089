"""Rows of a frame as values that JSON can hold, invalid ones as invalid as they were.

A feed does not validate. `records.validate_record` validates what it sends, with the same result as
`frames.validate` has for the frame: so numbers become numbers, and text that is no number stays text.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loan_default.data.schema.column import NUMBER_KINDS, TIME_KINDS, Column, Kind
from loan_default.data.schema.frames import parse_numbers, read_column
from loan_default.data.schema.language import Schema
from loan_default.data.schema.missing_texts import MISSING_TEXTS
from loan_default.data.schema.number_rules import is_whole
from loan_default.data.schema.values import (
    as_text,
    is_missing,
    parse_timestamp,
    show,
)
from loan_default.limits import LONGEST_ID

_EXACT = 2.0**53
"""Below this number every whole number has a float of its own."""
_ANY_TIME = Column(name="any", kind=Kind.TIMESTAMP, nullable=True)


def json_rows(frame: pd.DataFrame, schema: Schema) -> list[dict[str, Any]]:
    """The rows of a raw frame, text or typed, as objects of its columns that the schema knows.

    Blanks are None. Numerical columns: numbers, whole ones as int; values that are no numbers stay as they
    are, and infinite ones become their text. Labels: the schema's spelling. Times: ISO 8601 in UTC,
    `2025-01-31T12:00:00.000000Z`. Codes of typed columns keep their type. A value that JSON cannot hold
    becomes a list of one text, which no column allows.
    """
    known = [str(name) for name in frame.columns if str(name) in schema]
    columns = {name: _json_values(frame[name], schema[name]) for name in known}
    return [dict(zip(known, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def row_subjects(frame: pd.DataFrame, schema: Schema) -> list[str | None]:
    """The id of the application in each row, in its canonical spelling; None where there is no usable one."""
    column = schema.identifier
    if column is None or column.name not in frame:
        return [None] * len(frame)
    values = frame[column.name]
    subjects, plain = _plain_ids(values)
    if not plain.all():
        ids, _ = read_column(values[~plain], column)
        subjects[~plain] = [text if isinstance(text, str) else None for text in ids]
    return [text if text and len(text) <= LONGEST_ID else None for text in subjects.tolist()]


def _plain_ids(values: pd.Series) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """The canonical spelling of ids that need no further check, and the mask of those."""
    if not isinstance(values.dtype, pd.StringDtype):
        return np.full(len(values), None, dtype=object), np.zeros(len(values), bool)
    text = pc.utf8_trim_whitespace(pa.array(values))
    absent = pc.is_in(pc.utf8_lower(text), pa.array(sorted(MISSING_TEXTS), text.type))
    plain = pc.fill_null(pc.and_not(pc.ascii_is_printable(text), absent), fill_value=False)
    return np.array(text.to_numpy(zero_copy_only=False)), plain.to_numpy(zero_copy_only=False)


def _json_values(values: pd.Series, column: Column) -> list[Any]:
    if column.kind in NUMBER_KINDS:
        return _numbers(values, column)
    if column.kind is Kind.TARGET:
        return _labels(values, column)
    if column.kind in TIME_KINDS and pd.api.types.is_datetime64_any_dtype(values.dtype):
        return _times(values)
    if isinstance(values.dtype, pd.StringDtype):
        return [text if isinstance(text, str) and text else None for text in values.tolist()]
    return [_json_value(value, column) for value in values.astype(object).tolist()]


def _numbers(values: pd.Series, column: Column) -> list[Any]:
    numbers, unreadable = parse_numbers(values, column)
    cells = numbers.astype(object)
    whole = (np.trunc(numbers) == numbers) & (np.abs(numbers) < _EXACT)
    cells[whole] = numbers[whole].astype(np.int64)
    cells[np.isnan(numbers)] = None
    listed = _with_originals(cells, unreadable, values, column)
    # JSON has no infinity: as null, an invalid value would be taken for a missing one.
    for position in np.flatnonzero(np.isinf(numbers)).tolist():
        value = values.iloc[position]
        listed[position] = value if isinstance(value, str) else str(numbers[position])
    return listed


def _labels(values: pd.Series, column: Column) -> list[Any]:
    labels, problems = read_column(values, column)
    spelling = {1.0: column.positive, 0.0: column.negative}
    cells = np.array([spelling.get(label) for label in labels.tolist()], dtype=object)
    is_invalid = np.zeros(len(cells), bool)
    for _, mask in problems:
        is_invalid |= mask
    return _with_originals(cells, is_invalid, values, column)


def _times(values: pd.Series) -> list[Any]:
    utc, _ = read_column(values, _ANY_TIME)
    texts = np.datetime_as_string(utc.dt.tz_localize(None).to_numpy(), unit="us", timezone="UTC")
    return [None if missing else text for text, missing in zip(texts.tolist(), utc.isna(), strict=True)]


def _with_originals(
    cells: NDArray[np.object_], mask: NDArray[np.bool_], values: pd.Series, column: Column
) -> list[Any]:
    listed: list[Any] = cells.tolist()
    for position in np.flatnonzero(mask).tolist():
        listed[position] = _json_value(values.iloc[position], column)
    return listed


def _json_value(value: object, column: Column) -> Any:
    if is_missing(value):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Decimal):
        if is_whole(value) and abs(value) >= _EXACT:
            # As a float it would be rounded, as in an identifier; JSON has whole numbers of 64 bits.
            value = int(value) if abs(value) < 2**63 else as_text(value)
        else:
            value = float(value)
    if isinstance(value, str | int) or (isinstance(value, float) and abs(value) < float("inf")):
        return value
    # As text, a time would pass for a category, which it is not in a file.
    if column.kind in TIME_KINDS and isinstance(value, datetime | date):
        time = parse_timestamp(value)
        return [show(value)] if time is None else time.isoformat()
    return [show(value)]

"""JSON lines, one object a line, as raw frames of text.

Numbers are text as JSON writes them; null and absent keys are missing.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd

from loan_default.data.schema.file_format import FileFormat
from loan_default.data.schema.frames import REJECT_COLUMNS, RawFrame
from loan_default.data.sources.packing import readable
from loan_default.data.sources.text_streams import open_text
from loan_default.errors import DataError

_KEY_ENDS = re.compile(rb'"\s*:')


def json_names(path: Path, form: FileFormat) -> list[str]:
    """The keys of all objects of a file, in the order in which they first come.

    Raises:
        DataError: the file breaks off, or no line is an object.
    """
    names: dict[str, None] = {}
    has_lines = False
    for line in _lines(path, form):
        has_lines = True
        found = _object(line)
        if found is not None:
            names.update(dict.fromkeys(found))
    if not names:
        what = "none is" if has_lines else "it is empty"
        raise DataError(f"each line must be a JSON object, however: {path.name}: {what}")
    return list(names)


def iter_json(path: Path, names: Mapping[str, str], rows: int, *, form: FileFormat) -> Iterator[RawFrame]:
    """The rows in raw frames of at most `rows` rows; a line that is no object is rejected.

    Args:
        names: key of `json_names` -> name of its column.

    Raises:
        DataError: the file breaks off.
    """
    columns = list(names.values())
    cells: list[list[str]] = []
    numbers: list[int] = []
    rejects: list[tuple[int, str, str]] = []
    for number, line in enumerate(_lines(path, form)):
        found = _object(line)
        reason = "a row must be a JSON object" if found is None else _twice(line, found)
        if found is None or reason:
            rejects.append((number, reason, line.decode(errors="replace").rstrip()))
        else:
            cells.append([json_text(found.get(key)) for key in names])
            numbers.append(number)
        if len(numbers) == rows:
            yield _raw_frame(cells, numbers, rejects, columns)
            cells, numbers, rejects = [], [], []
    if numbers or rejects:
        yield _raw_frame(cells, numbers, rejects, columns)


def json_text(value: Any) -> str:
    """A value of JSON as the text that it would be in a CSV file."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return orjson.dumps(value).decode()


def _lines(path: Path, form: FileFormat) -> Iterator[bytes]:
    with readable(path), open_text(path, form) as stream:
        for line in stream:
            if line.strip():
                yield line


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _twice(line: bytes, found: dict[str, Any]) -> str:
    """The reason against an object that has a key twice: which value is meant is not known; "" = none is."""
    if len(_KEY_ENDS.findall(line)) == len(found):
        return ""
    # Nested objects and texts with colons bring more as well: only then the slow parser is asked.
    try:
        pairs = json.loads(line, object_pairs_hook=list, parse_int=str, parse_float=str)
    except RecursionError:
        return "a row must not be nested so deeply"
    keys = [key for key, _ in pairs]
    if len(keys) == len(found):
        return ""
    return f"a row must have each key once, however: twice {max(keys, key=keys.count)!r}"


def _raw_frame(
    cells: list[list[str]], numbers: list[int], rejects: list[tuple[int, str, str]], names: list[str]
) -> RawFrame:
    frame = pd.DataFrame(cells, columns=names, dtype="str", index=pd.Index(numbers, dtype=np.int64))
    if not rejects:
        return RawFrame(frame=frame)
    return RawFrame(frame=frame, rejects=pd.DataFrame(rejects, columns=list(REJECT_COLUMNS)))

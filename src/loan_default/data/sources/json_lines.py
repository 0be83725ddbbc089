"""JSON lines, one object a line, as raw frames of text.

Numbers are text as JSON writes them; null and absent keys are missing.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from loan_default.data.schema.file_format import FileFormat
from loan_default.data.schema.frames import RawFrame
from loan_default.data.sources.packing import readable
from loan_default.data.sources.record_frames import Rejected, raw_frames
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
    yield from raw_frames(_records(path, list(names), form), list(names.values()), rows)


def _records(path: Path, keys: list[str], form: FileFormat) -> Iterator[list[str] | Rejected]:
    for line in _lines(path, form):
        found = _object(line)
        reason = "a row must be a JSON object" if found is None else _twice(line, found)
        if found is None or reason:
            yield Rejected(reason, line.decode(errors="replace").rstrip())
        else:
            yield [json_text(found.get(key)) for key in keys]


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

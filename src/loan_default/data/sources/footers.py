"""Lines after the rows that are no rows, taken from the end of raw frames and counted."""

import csv
from collections import deque
from collections.abc import Iterator
from typing import Any

import pandas as pd

from loan_default.data.schema.file_format import FileFormat
from loan_default.data.schema.frames import RawFrame
from loan_default.data.sources.cells import is_footer
from loan_default.data.sources.dialects import MOST_FOOTER_LINES, split_line


def without_footer(frames: Iterator[RawFrame], *, form: FileFormat) -> Iterator[RawFrame]:
    """The same frames without totals, notes and blank rows at their end; the last frame counts them."""
    kept: deque[RawFrame] = deque()
    for frame in frames:
        kept.append(frame)
        while sum(len(each.frame) + len(each.rejects) for each in list(kept)[1:]) > MOST_FOOTER_LINES:
            yield kept.popleft()
    yield from _trimmed(list(kept), form)


def _trimmed(frames: list[RawFrame], form: FileFormat) -> list[RawFrame]:
    lines = []
    for each in frames:
        lines += [(number, None) for number in each.frame.index[-MOST_FOOTER_LINES:].tolist()]
        lines += list(zip(each.rejects["row"].tolist(), each.rejects["text"].tolist(), strict=True))
    footer: set[int] = set()
    n_columns = len(frames[0].frame.columns) if frames else 0
    for number, text in sorted(lines, key=lambda line: -line[0])[:MOST_FOOTER_LINES]:
        cells = _cells_of(frames, number) if text is None else _split(text, form)
        if not is_footer(cells, n_columns):
            break
        footer.add(number)
    if not footer:
        return frames
    first = min(footer)
    trimmed = [
        RawFrame(frame=each.frame[each.frame.index < first], rejects=_before(each.rejects, first))
        for each in frames
    ]
    filled = [each for each in trimmed if len(each.frame) or len(each.rejects)]
    if not filled:
        return []
    last = filled[-1]
    return [*filled[:-1], RawFrame(frame=last.frame, rejects=last.rejects, footer_lines=len(footer))]


def _cells_of(frames: list[RawFrame], number: Any) -> list[str]:
    for each in frames:
        if number in each.frame.index:
            return [str(value) for value in each.frame.loc[number].tolist()]
    raise AssertionError(f"row {number} must be in the frames")


def _split(text: str, form: FileFormat) -> list[str]:
    try:
        return split_line(text, form.delimiter, form.quote)
    except csv.Error:
        return [text]


def _before(rejects: pd.DataFrame, first: int) -> pd.DataFrame:
    return rejects[rejects["row"] < first].reset_index(drop=True)

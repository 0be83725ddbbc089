"""Records of text, one after the other, as raw frames: what sheets, JSON lines and ARFF have in common."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from loan_default.data.schema.frames import REJECT_COLUMNS, RawFrame


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be split into columns."""

    reason: str
    text: str


def raw_frames(records: Iterable[list[str] | Rejected], names: list[str], rows: int) -> Iterator[RawFrame]:
    """The records in raw frames of at most `rows` rows, numbered from 0; rejected ones stand beside them."""
    cells: list[list[str]] = []
    numbers: list[int] = []
    rejects: list[tuple[int, str, str]] = []
    for number, record in enumerate(records):
        if isinstance(record, Rejected):
            rejects.append((number, record.reason, record.text))
            continue
        cells.append(record)
        numbers.append(number)
        if len(numbers) == rows:
            yield _raw_frame(cells, numbers, rejects, names)
            cells, numbers, rejects = [], [], []
    if numbers or rejects:
        yield _raw_frame(cells, numbers, rejects, names)


def _raw_frame(
    cells: list[list[str]], numbers: list[int], rejects: list[tuple[int, str, str]], names: list[str]
) -> RawFrame:
    frame = pd.DataFrame(cells, columns=names, dtype="str", index=pd.Index(numbers, dtype=np.int64))
    if not rejects:
        return RawFrame(frame=frame)
    return RawFrame(frame=frame, rejects=pd.DataFrame(rejects, columns=list(REJECT_COLUMNS)))

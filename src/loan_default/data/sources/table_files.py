"""Files as raw frames: CSV, gzipped CSV and Parquet, read as a stream and never trusted.

A raw frame holds the values as they stood in the file; its index is the row's number, from 0 for the
first row after the header (blank lines are not rows). Rows that cannot be split into columns are not
lost: they stand beside the frame with their number and text.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from loan_default.data.schema.frames import RawFrame
from loan_default.data.schema.inference.infer import Inference, infer_frame_schema
from loan_default.data.schema.inference.target_values import NamedOutcomes
from loan_default.data.sources.csv_files import iter_csv, read_header
from loan_default.errors import DataError

SUFFIXES = (".csv", ".csv.gz", ".parquet")


def read_columns(path: Path) -> list[str]:
    """The column names of a file, stripped; a column without a name is called `unnamed_1` by its number.

    Raises:
        DataError: no such file, not one of `SUFFIXES`, not what its suffix says, or an unusable header.
    """
    if _checked_suffix(path) == ".parquet":
        return _clean_names(_open_parquet(path).schema_arrow.names, path)
    return _clean_names(read_header(path), path)


def iter_frames(path: Path, *, rows: int = 65_536) -> Iterator[RawFrame]:
    """A file in raw frames of at most `rows` rows; memory stays flat whatever the size of the file.

    Raises:
        DataError: as `read_columns`, at once; no rows, or a file that breaks off, while reading.
    """
    if rows < 1:
        raise DataError(f"rows must be a positive integer, however: rows={rows}")
    names = read_columns(path)
    if _checked_suffix(path) == ".parquet":
        return _not_empty(_iter_parquet(path, names, rows), path)
    return _not_empty(iter_csv(path, names, rows), path)


def read_frame(path: Path) -> RawFrame:
    """A whole file as one raw frame.

    Raises:
        DataError: as `iter_frames`.
    """
    parts = list(iter_frames(path))
    if len(parts) == 1:
        return parts[0]
    return RawFrame(
        frame=pd.concat([part.frame for part in parts]),
        rejects=pd.concat([part.rejects for part in parts], ignore_index=True),
    )


def infer_schema(path: Path, *, target: str | None, named: NamedOutcomes | None = None) -> Inference:
    """Read a whole file and infer its schema, as `infer_frame_schema` does.

    Raises:
        ConfigurationError: as `infer_frame_schema`.
        DataError: the file cannot be read, or gives no schema.
    """
    return infer_frame_schema(
        read_frame(path), name=stem_of(path), source=path.name, target=target, named=named
    )


def stem_of(path: Path) -> str:
    """The name of a data file without its suffix: "loans.2024" of loans.2024.csv.gz."""
    suffix = suffix_of(path)
    if suffix is None or len(suffix) == len(path.name):
        return path.name
    return path.name[: -len(suffix)]


def suffix_of(path: Path) -> str | None:
    """Which of `SUFFIXES` a file has; None = another one."""
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            return suffix
    return None


def _checked_suffix(path: Path) -> str:
    if path.is_dir():
        raise DataError(f"the data must be a file, however: {path} is a directory. Name one file in it.")
    if not path.exists():
        raise DataError(f"the data file must exist, however: {path} was not found. Check the path.")
    suffix = suffix_of(path)
    if suffix is None:
        raise DataError(
            f"the data file must end in {', '.join(SUFFIXES)}, however: {path.name}. "
            "Save it as CSV or Parquet."
        )
    return suffix


def _clean_names(raw: list[str], path: Path) -> list[str]:
    if any("\n" in name for name in raw):
        raise DataError(
            f"the header must be one line, however: {path.name} breaks it in a quoted name. Close the quote."
        )
    names = [name.strip() for name in raw]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise DataError(f"column names must be distinct, however: {path.name} has twice {twice}. Rename one.")
    for name in names:
        if not name.isprintable():
            raise DataError(f"column names must be printable, however: {path.name} has {name!r}. Rename it.")
    cleaned: list[str] = []
    for number, name in enumerate(names, start=1):
        new = name or f"unnamed_{number}"
        while not name and (new in names or new in cleaned):
            new += "_"
        cleaned.append(new)
    return cleaned


def _not_empty(frames: Iterator[RawFrame], path: Path) -> Iterator[RawFrame]:
    has_rows = False
    for frame in frames:
        has_rows = True
        yield frame
    if not has_rows:
        raise DataError(f"the data file must hold rows, however: {path.name} has a header only")


# Parquet -------------------------------------------------------------------------------------------------


def _open_parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"the data file must be Parquet, however: {path.name}: {reason}") from error


def _iter_parquet(path: Path, names: list[str], rows: int) -> Iterator[RawFrame]:
    # Whole numbers stay whole beside missing ones: identifiers beyond 2**53 would change as floats.
    small = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32())
    dtypes: dict[Any, Any] = {**dict.fromkeys(small, pd.Int64Dtype()), pa.uint64(): pd.UInt64Dtype()}
    start = 0
    try:
        for batch in _open_parquet(path).iter_batches(batch_size=rows):
            table = pa.Table.from_batches([batch]).rename_columns(names)
            frame = table.to_pandas(types_mapper=dtypes.get, ignore_metadata=True, date_as_object=False)
            frame.index = pd.RangeIndex(start, start + len(frame))
            start += len(frame)
            yield RawFrame(frame=frame)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise DataError(
            f"the data file must be readable to its end, however: {path.name}: {error}"
        ) from error

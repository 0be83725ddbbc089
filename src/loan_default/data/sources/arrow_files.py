"""Parquet and Feather files as raw frames: typed columns, read in parts."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

from loan_default.data.schema.file_format import Container, FileFormat
from loan_default.data.schema.frames import RawFrame
from loan_default.data.sources.packing import unpacked_bytes
from loan_default.errors import DataError

_SHOWN = {Container.PARQUET: "Parquet", Container.FEATHER: "Feather"}


def arrow_names(path: Path, form: FileFormat) -> list[str]:
    """The column names of a Parquet or Feather file.

    Raises:
        DataError: it is damaged.
    """
    with _damage_named(path, form):
        if form.container is Container.PARQUET:
            return list(pq.ParquetFile(_source(path)).schema_arrow.names)
        return list(_open_feather(path).schema.names)


def iter_arrow(path: Path, names: list[str], rows: int, *, form: FileFormat) -> Iterator[RawFrame]:
    """The rows in raw frames of at most `rows` rows, under the given column names.

    Raises:
        DataError: the file is damaged.
    """
    # Whole numbers stay whole beside missing ones: identifiers beyond 2**53 would change as floats.
    small = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32())
    dtypes: dict[Any, Any] = {**dict.fromkeys(small, pd.Int64Dtype()), pa.uint64(): pd.UInt64Dtype()}
    start = 0
    with _damage_named(path, form):
        for batch in _batches(path, rows, form):
            table = pa.Table.from_batches([batch]).rename_columns(names)
            frame = table.to_pandas(types_mapper=dtypes.get, ignore_metadata=True, date_as_object=False)
            frame.index = pd.RangeIndex(start, start + len(frame))
            start += len(frame)
            yield RawFrame(frame=frame)


def _batches(path: Path, rows: int, form: FileFormat) -> Iterator[pa.RecordBatch]:
    if form.container is Container.PARQUET:
        yield from pq.ParquetFile(_source(path)).iter_batches(batch_size=rows)
        return
    table = _open_feather(path)
    if isinstance(table, pa.Table):
        yield from table.to_batches(max_chunksize=rows)
        return
    for index in range(table.num_record_batches):
        batch = table.get_batch(index)
        for offset in range(0, batch.num_rows, rows):
            yield batch.slice(offset, rows)


def _open_feather(path: Path) -> Any:
    """A reader of Feather; the first version of it, which has no parts, as a table."""
    content = unpacked_bytes(path)
    if content is None:
        with path.open("rb") as stream:
            is_first_version = stream.read(4) == b"FEA1"
    else:
        is_first_version = content.startswith(b"FEA1")
    if is_first_version:
        return pyarrow.feather.read_table(_source(path))
    return pa.ipc.open_file(pa.memory_map(str(path)) if content is None else pa.py_buffer(content))


def _source(path: Path) -> Any:
    content = unpacked_bytes(path)
    return str(path) if content is None else io.BytesIO(content)


@contextmanager
def _damage_named(path: Path, form: FileFormat) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"the data file must be {_SHOWN[form.container]} that is readable to its end, however: "
            f"{path.name}: {reason}"
        ) from error

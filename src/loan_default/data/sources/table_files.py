"""Files as raw frames: CSV, gzipped CSV and Parquet, read as a stream and never trusted.

A raw frame holds the values as they stood in the file; its index is the row's number, from 0 for the
first row after the header (blank lines are not rows). Rows that cannot be split into columns are not
lost: they stand beside the frame with their number and text.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from loan_default.data.schema.frames import REJECT_COLUMNS, RawFrame
from loan_default.data.sources.spreadsheets import MARK, from_text
from loan_default.errors import DataError

SUFFIXES = (".csv", ".csv.gz", ".parquet")

_BLOCK_BYTES = 512 * 1024
"""Of a CSV file that are parsed together. Arrow reads up to 32 blocks ahead, whatever it is asked for."""
_LONGEST_ROW = 8 * 1024 * 1024
"""Bytes; a file with rows that are longer than a block is read in blocks of this size from there on."""
_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_HEADER = -1  # its row number: the first row after it is 0


def read_columns(path: Path) -> list[str]:
    """The column names of a file, stripped; a column without a name is called `unnamed_1` by its place.

    Raises:
        DataError: no such file, not one of `SUFFIXES`, not what its suffix says, or an unusable header.
    """
    if _suffix(path) == ".parquet":
        return _clean_names(_open_parquet(path).schema_arrow.names, path)
    return _read_header(path)


def iter_frames(path: Path, *, rows: int = 65_536) -> Iterator[RawFrame]:
    """A file in raw frames of at most `rows` rows; memory stays flat whatever the size of the file.

    Raises:
        DataError: as `read_columns`, at once; no rows, or a file that breaks off, while reading.
    """
    if rows < 1:
        raise DataError(f"rows must be a positive integer, however: rows={rows}")
    names = read_columns(path)
    frames = _iter_parquet(path, names, rows) if _suffix(path) == ".parquet" else _iter_csv(path, names, rows)
    return _not_empty(frames, path)


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


def stem_of(path: Path) -> str:
    """What a data file is called without its suffix: "loans.2024" of loans.2024.csv.gz."""
    suffix = suffix_of(path)
    return (path.name[: -len(suffix)] if suffix else "") or path.name


def suffix_of(path: Path) -> str | None:
    """Which of `SUFFIXES` a file has; None = another one."""
    return next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), None)


def _suffix(path: Path) -> str:
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


def _not_empty(frames: Iterator[RawFrame], path: Path) -> Iterator[RawFrame]:
    seen = False
    for part in frames:
        seen = True
        yield part
    if not seen:
        raise DataError(f"the data file must hold rows, however: {path.name} has a header only")


# CSV ---------------------------------------------------------------------------------------------------


def _read_header(path: Path) -> list[str]:
    try:
        with _open_bytes(path) as stream:
            start = stream.read(4096)
            if not start.strip():
                raise DataError(f"the data file must hold a header and rows, however: {path.name} is empty")
            if b"\0" in start.splitlines()[0] or start.startswith(b"PK\3\4"):
                raise DataError(
                    f"a CSV file must be text in UTF-8, however: {path.name} looks binary or UTF-16. "
                    "Export it as CSV in UTF-8."
                )
            stream.seek(0)
            # Bad bytes of later rows are reported with their rows; only the header must be clean here.
            text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
            names = [from_text(name) for name in next((cells for cells in csv.reader(text) if cells), [])]
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise DataError(f"the data file must be readable, however: {path.name}: {error}") from error
    if any("\udc80" <= character <= "\udcff" for name in names for character in name):
        raise DataError(
            f"a CSV file must be in UTF-8, however: the header of {path.name} is not. Save it as UTF-8."
        )
    if len(names) == 1:
        # A single column is fine, as long as it does not look like several.
        for delimiter, word in _DELIMITERS.items():
            if delimiter in names[0]:
                raise DataError(
                    f"fields must be separated by commas, however: {path.name} uses {word} ({delimiter!r}). "
                    "Save it with commas."
                )
    if len(names) > 1 and all(_is_number(name) for name in names):
        raise DataError(
            f"the first line must name the columns, however: {path.name} begins with numbers. "
            "Add a header line."
        )
    return _clean_names(names, path)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


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
    for place, name in enumerate(names, start=1):
        new = name or f"unnamed_{place}"
        while not name and (new in names or new in cleaned):
            new += "_"
        cleaned.append(new)
    return cleaned


def _open_bytes(path: Path) -> IO[bytes]:
    # gzip.open's type is wider than what mode "rb" returns.
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]


Reject = tuple[int, str, str]


def _iter_csv(path: Path, names: list[str], rows: int) -> Iterator[RawFrame]:
    tables: list[pa.Table] = []
    numbers, rejects = np.array([], np.int64), list[Reject]()
    for table, placed, broken in _iter_any_records(path, names):
        tables.append(table)
        numbers = np.concatenate([numbers, placed])
        rejects += broken
        while len(numbers) >= rows:
            whole = pa.concat_tables(tables)
            yield _raw_frame(whole.slice(0, rows), numbers[:rows], rejects)
            tables, numbers, rejects = [whole.slice(rows)], numbers[rows:], []
    if len(numbers) or rejects:
        yield _raw_frame(pa.concat_tables(tables), numbers, rejects)


class _LongRowError(Exception):
    """A row is longer than a block."""


def _iter_any_records(path: Path, names: list[str]) -> Iterator[tuple[pa.Table, np.ndarray, list[Reject]]]:
    """As `_iter_records`, in small blocks as long as the rows fit into them."""
    unread = 0
    try:
        for table, numbers, broken in _iter_records(path, names, block_bytes=_BLOCK_BYTES):
            yield table, numbers, broken
            unread = max([unread, *(numbers[-1:] + 1).tolist(), *(number + 1 for number, _, _ in broken)])
    except _LongRowError:
        for table, numbers, broken in _iter_records(path, names, block_bytes=_LONGEST_ROW):
            new = numbers >= unread
            yield table.filter(pa.array(new)), numbers[new], [each for each in broken if each[0] >= unread]


def _iter_records(
    path: Path, names: list[str], *, block_bytes: int
) -> Iterator[tuple[pa.Table, np.ndarray, list[Reject]]]:
    """Blocks of text columns, the number of each row, and the rows that are not usable."""
    ragged: list[Reject] = []

    def skip(row: Any) -> str:
        fields = f"{row.actual_columns} field{'s' * (row.actual_columns != 1)}"
        reason = f"a row must have {row.expected_columns} fields, however: {fields}"
        # The reader counts records from 1, with the header.
        ragged.append((row.number - 1 + _HEADER, reason, _bytes_of(row.text).decode(errors="replace")))
        return "skip"

    unread, last = _HEADER, (_HEADER, "")
    try:
        for batch in _open_csv(path, names, skip, block_bytes=block_bytes):
            # The reader may be ahead: of the ragged rows, those after this block wait for a later one.
            candidates = np.arange(unread, unread + batch.num_rows + len(ragged), dtype=np.int64)
            numbers = candidates[~np.isin(candidates, [number for number, _, _ in ragged])][: batch.num_rows]
            unread = int(numbers[-1]) + 1 if len(numbers) else unread
            table, numbers, broken = _decode(batch, numbers)
            if len(numbers) and numbers[0] == _HEADER:
                table, numbers = table.slice(1), numbers[1:]
            if len(numbers):
                last = (int(numbers[-1]), "".join(column[-1].as_py() for column in table.columns))
            due = [reject for reject in ragged if reject[0] < unread]
            ragged[:] = [reject for reject in ragged if reject[0] >= unread]
            yield table, numbers, due + broken
    except (pa.ArrowInvalid, OSError, EOFError) as error:
        if "straddling" in str(error):
            if block_bytes < _LONGEST_ROW:
                raise _LongRowError from None
            raise _unclosed_quote(path, row=unread) from None
        raise DataError(
            f"the data file must be readable to its end, however: {path.name}: {error}"
        ) from error
    last = max([last, *((number, text) for number, _, text in ragged)])
    # Only then is the file read again: a line break in the last value and an odd number of quotes.
    if "\n" in last[1] and _count_quotes(path) % 2:
        raise _unclosed_quote(path, row=last[0])
    if ragged:
        yield _no_text(names), np.array([], np.int64), ragged


def _open_csv(path: Path, names: list[str], skip: Any, *, block_bytes: int) -> Iterator[pa.RecordBatch]:
    compression = "gzip" if path.name.lower().endswith(".gz") else None
    # The header is read as the first record under names of our own: two columns may lack one.
    own = [str(place) for place in range(len(names))]
    reader = pa_csv.open_csv(
        pa.input_stream(str(path), compression=compression),
        # Latin-1 is any bytes: the reader stops at a row that it cannot show to `skip` as text.
        read_options=pa_csv.ReadOptions(
            block_size=block_bytes, column_names=own, use_threads=False, encoding="latin-1"
        ),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(own, pa.binary()), strings_can_be_null=False
        ),
    )
    for batch in reader:
        yield batch.rename_columns(names)


def _no_text(names: list[str]) -> pa.Table:
    return pa.schema([(name, pa.string()) for name in names]).empty_table()


def _decode(batch: pa.RecordBatch, numbers: np.ndarray) -> tuple[pa.Table, np.ndarray, list[Reject]]:
    """Text columns of bytes read as Latin-1; rows with bytes that are not UTF-8 apart."""
    table = pa.Table.from_batches([batch])
    layout = _no_text(table.column_names).schema
    texts = [column.cast(pa.string()) for column in table.columns]
    raw = {
        place: [_bytes_of(value) for value in text.to_pylist()]
        for place, text in enumerate(texts)
        if not pc.all(pc.string_is_ascii(text), min_count=0).as_py()
    }
    good = np.ones(table.num_rows, bool)
    for place, values in raw.items():
        good &= np.array([_is_utf8(value) for value in values], bool)
        decoded = [value.decode(errors="replace") for value in values]
        texts[place] = pa.chunked_array([decoded], pa.string())
    whole = pa.table([_without_marks(text) for text in texts], schema=layout)
    if good.all():
        return whole, numbers, []
    broken = [
        (
            int(numbers[position]),
            "text must be in UTF-8, however: other bytes. Save the file as UTF-8",
            b",".join(
                raw[place][position] if place in raw else text[int(position)].as_py().encode()
                for place, text in enumerate(texts)
            ).decode(errors="replace"),
        )
        for position in np.flatnonzero(~good)
    ]
    return whole.filter(pa.array(good)), numbers[good], broken


def _without_marks(text: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pc.any(pc.starts_with(text, MARK), min_count=0).as_py():
        return text
    return pa.chunked_array([[from_text(value) for value in text.to_pylist()]], pa.string())


def _bytes_of(text: str) -> bytes:
    """The bytes of the file that were read as Latin-1."""
    return text.encode("latin-1")


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _raw_frame(table: pa.Table, numbers: np.ndarray, rejects: list[Reject]) -> RawFrame:
    frame = table.to_pandas()
    frame.index = pd.Index(numbers, dtype=np.int64)
    if not rejects:
        return RawFrame(frame=frame)
    return RawFrame(frame=frame, rejects=pd.DataFrame(sorted(rejects), columns=list(REJECT_COLUMNS)))


def _unclosed_quote(path: Path, *, row: int) -> DataError:
    return DataError(
        f"a quoted value must end, however: in {path.name} one opened after row {max(row - 1, 0)} does not. "
        'Close it, or double it (""), if it is part of the text.'
    )


def _count_quotes(path: Path) -> int:
    with _open_bytes(path) as stream:
        return sum(block.count(b'"') for block in iter(lambda: stream.read(_BLOCK_BYTES), b""))


# Parquet -----------------------------------------------------------------------------------------------


def _open_parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"the data file must be Parquet, however: {path.name}: {reason}") from error


def _iter_parquet(path: Path, names: list[str], rows: int) -> Iterator[RawFrame]:
    # Whole numbers stay whole beside missing ones: identifiers beyond 2**53 would change as floats.
    small = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32())
    whole: dict[Any, Any] = {**dict.fromkeys(small, pd.Int64Dtype()), pa.uint64(): pd.UInt64Dtype()}
    start = 0
    try:
        for batch in _open_parquet(path).iter_batches(batch_size=rows):
            table = pa.Table.from_batches([batch]).rename_columns(names)
            frame = table.to_pandas(types_mapper=whole.get, ignore_metadata=True, date_as_object=False)
            frame.index = pd.RangeIndex(start, start + len(frame))
            start += len(frame)
            yield RawFrame(frame=frame)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise DataError(
            f"the data file must be readable to its end, however: {path.name}: {error}"
        ) from error

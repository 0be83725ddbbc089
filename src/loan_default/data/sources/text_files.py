"""Text files as raw frames, in flat memory: every row keeps its number, and none that is damaged is lost.

A file is read by its format: encoding, delimiter, quote, lines above the header. Rows with a wrong number of
fields, or with bytes that are not of the encoding, stand beside the frame with their number and text. A file
that cannot be read at all is refused with the reason: it is no text, a quote does not end, or it breaks off.
"""

import atexit
import csv
import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from loan_default.data.schema.file_format import Compression, FileFormat
from loan_default.data.schema.frames import REJECT_COLUMNS, RawFrame
from loan_default.data.sources.dialects import text_reader
from loan_default.data.sources.encodings import same_encoding
from loan_default.data.sources.packing import (
    PACKING_ERRORS,
    compression_of,
    readable,
)
from loan_default.data.sources.spreadsheets import MARK, unmark_formula
from loan_default.data.sources.text_streams import EndableStream, open_text
from loan_default.errors import DataError

_BLOCK_BYTES = 512 * 1024
"""Size of the blocks that are parsed. Arrow reads up to 32 blocks ahead, whatever it is asked for."""
_LONGEST_ROW = 8 * 1024 * 1024
"""Size in bytes of the blocks in which a file is read on after a row that is longer than a block."""

_Reject = tuple[int, str, str]
"""Row number, reason and text of a row that cannot be used."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Block:
    """Rows that are parsed together."""

    table: pa.Table
    """Text columns."""
    numbers: np.ndarray
    """The row number of each row of the table."""
    rejects: list[_Reject]

    @property
    def end(self) -> int:
        """The row number after the last row."""
        last = int(self.numbers[-1]) if len(self.numbers) else -1
        for number, _, _ in self.rejects:
            last = max(last, number)
        return last + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class _Source:
    """A file that is being read, and how."""

    path: Path
    form: FileFormat
    names: list[str]

    @property
    def first(self) -> int:
        """The number of the first record: the first row after a header is 0."""
        return -1 if self.form.header else 0


def first_record(path: Path, form: FileFormat) -> list[str]:
    """The fields of the header as they stand in the file; of the first row, where there is no header.

    Raises:
        DataError: the file is empty, or its header is not in the encoding.
    """
    with readable(path), open_text(path, form) as stream:
        # Bad bytes of later rows are reported with their rows; only the header must be clean here.
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
        names: list[str] = []
        try:
            for cells in text_reader(text, delimiter=form.delimiter, quote=form.quote):
                if len(cells) > 1 or (cells and cells[0].strip()):
                    names = [unmark_formula(cell) for cell in cells]
                    break
        except csv.Error as error:
            raise DataError(f"the data file must be readable, however: {path.name}: {error}") from error
        finally:
            text.detach()  # or it would close the stream
    if not names:
        raise DataError(f"the data file must hold a header and rows, however: {path.name} is empty")
    if form.header and any("\udc80" <= character <= "\udcff" for name in names for character in name):
        raise DataError(
            f"the header must be in {form.encoding}, however: that of {path.name} is not. Save it as UTF-8."
        )
    return names


def iter_text(path: Path, names: list[str], rows: int, *, form: FileFormat) -> Iterator[RawFrame]:
    """The rows of a text file in raw frames of at most `rows` rows, under the given column names.

    Raises:
        DataError: a quote does not end, or the file breaks off.
    """
    source = _Source(path=path, form=form, names=names)
    tables: list[pa.Table] = []
    numbers = np.array([], np.int64)
    rejects: list[_Reject] = []
    for block in _read_blocks(source):
        tables.append(block.table)
        numbers = np.concatenate([numbers, block.numbers])
        rejects += block.rejects
        while len(numbers) >= rows:
            table = pa.concat_tables(tables)
            yield _raw_frame(table.slice(0, rows), numbers[:rows], rejects)
            tables, numbers, rejects = [table.slice(rows)], numbers[rows:], []
    if len(numbers) or rejects:
        yield _raw_frame(pa.concat_tables(tables), numbers, rejects)


# Blocks --------------------------------------------------------------------------------------------------


class _LongRowError(Exception):
    """A row is longer than a block."""


def _read_blocks(source: _Source) -> Iterator[_Block]:
    """Blocks of the small size until a row does not fit into one, then of the large size."""
    unread = 0
    try:
        for block in _parse_blocks(source, block_bytes=_BLOCK_BYTES):
            yield block
            unread = max(unread, block.end)
    except _LongRowError:
        for block in _parse_blocks(source, block_bytes=_LONGEST_ROW):
            is_new = block.numbers >= unread
            yield _Block(
                table=block.table.filter(pa.array(is_new)),
                numbers=block.numbers[is_new],
                rejects=[reject for reject in block.rejects if reject[0] >= unread],
            )


def _parse_blocks(source: _Source, *, block_bytes: int) -> Iterator[_Block]:
    """All blocks of one size, without the header.

    Raises:
        _LongRowError: a row does not fit into a block, and larger blocks are possible.
    """
    ragged: list[_Reject] = []
    blank: list[int] = []
    """Records of blanks only, which are no rows."""

    def skip(row: Any) -> str:
        fields = "1 field" if row.actual_columns == 1 else f"{row.actual_columns} fields"
        reason = f"a row must have {row.expected_columns} fields, however: {fields}"
        # The reader counts records from 1, with the header.
        text = _bytes_of(row.text).decode(errors="replace")
        if not text.strip() and source.form.delimiter not in text:
            blank.append(row.number - 1 + source.first)
            return "skip"
        ragged.append((row.number - 1 + source.first, reason, text))
        return "skip"

    unread = source.first
    last_number, last_text = source.first, ""
    try:
        for batch in _open_csv(source, skip, block_bytes=block_bytes):
            numbers = _row_numbers(batch.num_rows, unread, [*blank, *(number for number, _, _ in ragged)])
            unread = int(numbers[-1]) + 1 if len(numbers) else unread
            block = _decode(batch, numbers, source.form)
            if source.form.header and len(block.numbers) and block.numbers[0] == source.first:
                block = _Block(table=block.table.slice(1), numbers=block.numbers[1:], rejects=block.rejects)
            if len(block.numbers):
                last_number = int(block.numbers[-1])
                last_text = "".join(column[-1].as_py() for column in block.table.columns)
            # The reader may be ahead: ragged rows after this block wait for a later one.
            blank[:] = [number for number in blank if number >= unread]
            due = [reject for reject in ragged if reject[0] < unread]
            ragged[:] = [reject for reject in ragged if reject[0] >= unread]
            yield _Block(table=block.table, numbers=block.numbers, rejects=due + block.rejects)
    except (pa.ArrowInvalid, *PACKING_ERRORS) as error:
        if "straddling" in str(error):
            if block_bytes < _LONGEST_ROW:
                raise _LongRowError from None
            raise _unclosed_quote(source, row=unread) from None
        raise DataError(
            f"the data file must be readable to its end, however: {source.path.name}: {error}"
        ) from error
    for number, _, text in ragged:
        if number > last_number:
            last_number, last_text = number, text
    # Only where the last row has a line break is the file read again, to count its quotes.
    if "\n" in last_text and _count_quotes(source) % 2:
        raise _unclosed_quote(source, row=last_number)
    if ragged:
        yield _Block(
            table=_text_schema(source.names).empty_table(), numbers=np.array([], np.int64), rejects=ragged
        )


def _row_numbers(count: int, first: int, taken: list[int]) -> np.ndarray:
    """The numbers of the next `count` rows from `first` on, those of ragged and blank rows left out."""
    candidates = np.arange(first, first + count + len(taken), dtype=np.int64)
    return candidates[~np.isin(candidates, taken)][:count]


def _open_csv(source: _Source, skip: Callable[[Any], str], *, block_bytes: int) -> Iterator[pa.RecordBatch]:
    # The header is read as the first record under names of our own: two columns may lack one.
    indices = [str(index) for index in range(len(source.names))]
    with ExitStack() as opened:
        stream = EndableStream(opened.enter_context(_open_arrow(source)))
        reader = pa_csv.open_csv(
            stream,
            # Any bytes are Latin-1: the reader stops at a row that it cannot show to `skip` as text.
            read_options=pa_csv.ReadOptions(
                block_size=block_bytes, column_names=indices, use_threads=False, encoding="latin-1"
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=source.form.delimiter,
                quote_char=source.form.quote or False,
                newlines_in_values=True,
                invalid_row_handler=skip,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(indices, pa.binary()), strings_can_be_null=False
            ),
        )
        opened.callback(_end, reader, stream)
        # Arrow reads ahead in a thread. Python hangs or aborts at its exit, if that thread still reads.
        atexit.register(opened.close)
        try:
            for batch in reader:
                yield batch.rename_columns(source.names)
        finally:
            atexit.unregister(opened.close)


def _end(reader: Any, stream: EndableStream) -> None:
    """Bring a reader to its end, wherever it is, so that its thread reads no more."""
    stream.end()
    # What breaks off here was not to be read: a row is cut where the stream was ended.
    with suppress(pa.ArrowInvalid, *PACKING_ERRORS):
        for _ in reader:
            pass


@contextmanager
def _open_arrow(source: _Source) -> Iterator[Any]:
    """The text as Arrow reads it: by itself where nothing must be changed on the way, which is faster."""
    form, compression = source.form, compression_of(source.path)
    is_plain = same_encoding(form.encoding, "utf-8") and not form.skip and form.delimiter != " "
    if is_plain and compression is not Compression.ZIP:
        with pa.input_stream(str(source.path), compression="gzip" if compression else None) as stream:
            yield stream
        return
    with open_text(source.path, form) as stream:
        yield stream


def _unclosed_quote(source: _Source, *, row: int) -> DataError:
    return DataError(
        f"a quoted value must end, however: in {source.path.name} one opened after row {max(row - 1, 0)} "
        'does not. Close it, or double it (""), if it is part of the text.'
    )


def _count_quotes(source: _Source) -> int:
    count = 0
    with open_text(source.path, source.form) as stream:
        while block := stream.read(_BLOCK_BYTES):
            count += block.count(source.form.quote.encode()) if source.form.quote else 0
    return count


# Text ----------------------------------------------------------------------------------------------------


def _decode(batch: pa.RecordBatch, numbers: np.ndarray, form: FileFormat) -> _Block:
    """Text columns of bytes that were read as Latin-1; rows with bytes of no character are rejected."""
    table = pa.Table.from_batches([batch])
    texts = [column.cast(pa.string()) for column in table.columns]
    raw: dict[int, list[bytes]] = {}
    """Index of a column that is not all ASCII -> its bytes."""
    is_valid = np.ones(table.num_rows, bool)
    for index, text in enumerate(texts):
        if pc.all(pc.string_is_ascii(text), min_count=0).as_py():
            continue
        raw[index] = [_bytes_of(value) for value in text.to_pylist()]
        is_valid &= np.array([_is_utf8(value) for value in raw[index]], bool)
    original = list(texts)
    for index, values in raw.items():
        decoded = [value.decode(errors="replace") for value in values]
        texts[index] = pa.chunked_array([decoded], pa.string())
    decoded_table = pa.table(
        [_without_marks(text) for text in texts], schema=_text_schema(table.column_names)
    )
    if is_valid.all():
        return _Block(table=decoded_table, numbers=numbers, rejects=[])
    rejects = []
    name = "UTF-8" if same_encoding(form.encoding, "utf-8") else form.encoding
    reason = f"text must be in {name}, however: other bytes. Save the file as UTF-8"
    for position in np.flatnonzero(~is_valid).tolist():
        cells = [_bytes_of(text[position].as_py()) for text in original]
        line = form.delimiter.encode().join(cells).decode(errors="replace")
        rejects.append((int(numbers[position]), reason, line))
    return _Block(table=decoded_table.filter(pa.array(is_valid)), numbers=numbers[is_valid], rejects=rejects)


def _text_schema(names: list[str]) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in names])


def _without_marks(text: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pc.any(pc.starts_with(text, MARK), min_count=0).as_py():
        return text
    return pa.chunked_array([[unmark_formula(value) for value in text.to_pylist()]], pa.string())


def _bytes_of(text: str) -> bytes:
    """The bytes of the file that were read as Latin-1."""
    return text.encode("latin-1")


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _raw_frame(table: pa.Table, numbers: np.ndarray, rejects: list[_Reject]) -> RawFrame:
    frame = table.to_pandas()
    frame.index = pd.Index(numbers, dtype=np.int64)
    if not rejects:
        return RawFrame(frame=frame)
    return RawFrame(frame=frame, rejects=pd.DataFrame(sorted(rejects), columns=list(REJECT_COLUMNS)))

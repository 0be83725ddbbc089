"""Sheets of workbooks (xlsx, xlsb, xls, ods) as rows of text, as they would stand in a CSV file.

Whole numbers have no decimals, times are ISO 8601, and text is as it is. A sheet is in memory as a whole.
"""

import io
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

from loan_default.data.schema.file_format import FileFormat
from loan_default.data.schema.frames import RawFrame
from loan_default.data.sources.packing import readable, unpacked_bytes
from loan_default.data.sources.record_frames import Rejected, raw_frames
from loan_default.errors import DataError, UnclearFileError, did_you_mean


def read_sheet(path: Path, *, sheet: str) -> list[list[str]]:
    """The rows of a sheet; "" = the only sheet that has rows.

    Rows begin at the first filled cell. Blank rows are empty lists; empty cells at the end are left out.

    Raises:
        DataError: the workbook cannot be read, is empty, or has no such sheet.
        UnclearFileError: several sheets have rows, and none is named.
    """
    content = unpacked_bytes(path)
    try:
        with readable(path):
            workbook = CalamineWorkbook.from_object(io.BytesIO(content) if content is not None else str(path))
            names = workbook.sheet_names
            if sheet and sheet not in names:
                hint = did_you_mean(sheet, names) or f" It has {', '.join(map(repr, names))}."
                raise DataError(f"the sheet {sheet!r} must be in {path.name}, however: it is not.{hint}")
            sheets = {name: _rows_of(workbook, name) for name in ([sheet] if sheet else names)}
    except CalamineError as error:
        raise DataError(
            f"the data file must be a workbook that can be read, however: {path.name}: {error}"
        ) from error
    filled = {name: rows for name, rows in sheets.items() if any(rows)}
    if len(filled) > 1:
        raise UnclearFileError(
            f"a workbook must have one sheet with rows, however: {path.name} has "
            f"{', '.join(map(repr, filled))}. Say which by --sheet, or in a schema file "
            f"by [format] sheet = {next(iter(filled))!r}."
        )
    if not filled:
        raise DataError(f"the data file must hold a header and rows, however: {path.name} is empty")
    return next(iter(filled.values()))


def iter_records(
    records: list[list[str]], names: list[str], rows: int, *, form: FileFormat
) -> Iterator[RawFrame]:
    """Rows of text in raw frames of at most `rows` rows, under the given column names.

    A row with a value beyond the last column is rejected; blank rows are none.
    """
    below = [record for record in records[form.skip :] if record][form.header :]
    return raw_frames((_padded(record, len(names)) for record in below), names, rows)


def _padded(record: list[str], n_columns: int) -> list[str] | Rejected:
    if len(record) > n_columns:
        reason = f"a row must have {n_columns} fields, however: {len(record)} fields"
        return Rejected(reason, ",".join(record))
    return [*record, *[""] * (n_columns - len(record))]


def _rows_of(workbook: CalamineWorkbook, name: str) -> list[list[str]]:
    rows = []
    for row in workbook.get_sheet_by_name(name).to_python():
        cells = [cell_text(cell) for cell in row]
        while cells and not cells[-1].strip():
            cells.pop()
        rows.append(cells)
    return rows


def cell_text(cell: Any) -> str:
    """A cell as the text that it would be in a CSV file."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 2**53 else repr(cell)
    if isinstance(cell, datetime):
        is_day = (cell.hour, cell.minute, cell.second, cell.microsecond) == (0, 0, 0, 0)
        return cell.date().isoformat() if is_day else cell.isoformat(sep=" ")
    if isinstance(cell, date | time):
        return cell.isoformat()
    return "" if cell is None else str(cell)

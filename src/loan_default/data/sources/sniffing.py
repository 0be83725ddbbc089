"""How a file is written, found out from its content: what a person would see who opened it.

detect_format   a file of which nothing is known
format_for      the next file of a schema: written as the schema says, or refused with both formats named
"""

import json
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from loan_default.data.schema.column import Kind
from loan_default.data.schema.file_format import Container, FileFormat
from loan_default.data.schema.language import Schema
from loan_default.data.sources.arff_files import is_arff
from loan_default.data.sources.cells import is_footer
from loan_default.data.sources.date_orders import check_orders, has_order
from loan_default.data.sources.dialects import (
    Dialect,
    count_footer_lines,
    find_dialect,
    find_header,
    header_of,
    title_records,
)
from loan_default.data.sources.encodings import Glance, is_written_in, look_through
from loan_default.data.sources.format_words import describe_format, name_of_encoding
from loan_default.data.sources.no_tables import check_file, check_no_document, check_promise
from loan_default.data.sources.number_marks import find_marks, uses_in
from loan_default.data.sources.packing import compression_of, open_unpacked, readable
from loan_default.data.sources.workbooks import read_sheet
from loan_default.errors import DataError, UnclearFileError

_BINARY = {b"PAR1": Container.PARQUET, b"ARROW1": Container.FEATHER, b"FEA1": Container.FEATHER}
_TYPED = (Container.PARQUET, Container.FEATHER)
_WORKBOOKS = (b"PK\3\4", b"\xd0\xcf\x11\xe0")
_SAMPLE_ROWS = 1_000
_RARE = 10
"""One in so many numbers with the other decimal mark may be a typing error."""
_MARK_ROWS = 200
"""Rows that are looked at for decimal and thousands marks; the inference corrects them by all."""


def detect_format(
    path: Path,
    *,
    header: bool | None = None,
    sheet: str = "",
    delimiter: str = "",
    encoding: str = "",
    known: Collection[str] = (),
) -> FileFormat:
    """How a file is written.

    Args:
        header: whether a line names the columns; None = it is found out.
        sheet: of a workbook; "" = the only one with rows.
        delimiter, encoding: of a text file; "" = it is found out.
        known: names of columns that a header would hold; empty = none are known.

    Raises:
        DataError: no such file, or it is damaged or no table.
        UnclearFileError: it can be read in two ways, and a person has to say which.
    """
    check_file(path)
    glance = _text_of(path, encoding=encoding)
    form = _format_of(path, glance, header=header, sheet=sheet, delimiter=delimiter, known=known)
    return form if not encoding or glance is None else _in_encoding(form, encoding, path)


def _in_encoding(form: FileFormat, encoding: str, path: Path) -> FileFormat:
    """The format of a text file with the encoding that a person names."""
    if is_written_in(form.encoding, encoding):
        return replace(form, encoding=encoding)
    raise DataError(
        f"--encoding must be that of the file, however: {path.name} is in {name_of_encoding(form.encoding)}, "
        f"not in {name_of_encoding(encoding)}. Leave it out to have the encoding found out."
    )


def format_for(
    path: Path,
    schema: Schema | None,
    *,
    header: bool | None = None,
    sheet: str = "",
    delimiter: str = "",
    encoding: str = "",
) -> FileFormat:
    """How the next file of a schema is written; what changes no value may differ from the schema's format.

    Args:
        schema: its format is that of the file; None, or one without a format = it is found out.
        header, sheet, delimiter, encoding: as for `detect_format`, for a schema without a format.

    Raises:
        DataError: as `detect_format`, or it is not written as the schema says.
        UnclearFileError: as `detect_format`, for a schema without a format.
    """
    names = [column.name for column in schema.columns] if schema is not None else []
    declared = schema.format if schema is not None else None
    if schema is None or declared is None:
        found = detect_format(
            path, header=header, sheet=sheet, delimiter=delimiter, encoding=encoding, known=names
        )
        if schema is not None and found.container is Container.TEXT and any(map(has_order, schema.columns)):
            dialect = _dialect_of(path, look_through(path, encoding=found.encoding), found)
            check_orders(path.name, schema, _texts_of_columns(dialect, found))
        return found
    header_known = names if declared.header else ()
    check_file(path)
    glance = _text_of(path, encoding=declared.encoding)
    try:
        found = _format_of(path, glance, header=declared.header, sheet=declared.sheet, known=header_known)
    except UnclearFileError:
        # Its schema answers the question.
        encoding = glance.encoding if glance is not None else declared.encoding
        found = replace(declared, compression=compression_of(path), encoding=encoding)
    if found.container in _TYPED:
        return found  # its numbers and times are values already: no mark can be misread
    if not _is_same_kind(found, declared):
        raise _written_otherwise(path, declared, found)
    if found.container is not Container.TEXT or glance is None:
        return replace(found, decimal=declared.decimal, thousands=declared.thousands)
    dialect = _dialect_of(path, glance, declared)
    skip = dialect.lines[dialect.first]
    if not declared.header or not _names_columns(dialect, names):
        # Without its names, only the same delimiter and the same title lines show that it is that table.
        is_split = any(delimiter in glance.head for delimiter in (declared.delimiter, found.delimiter))
        if (found.delimiter != declared.delimiter and is_split) or skip != declared.skip:
            raise _written_otherwise(path, declared, found)
    if columns := _contradicting_columns(dialect, schema, declared):
        raise _written_otherwise(path, declared, found, columns=columns)
    check_orders(path.name, schema, _texts_of_columns(dialect, declared))
    return replace(
        declared,
        compression=found.compression,
        encoding=found.encoding,
        quote=dialect.quote if dialect.quote != '"' or declared.quote == "" else declared.quote,
        skip=skip,
        footer=declared.footer or count_footer_lines(glance.tail.splitlines(), dialect) > 0,
    )


def _dialect_of(path: Path, glance: Glance, form: FileFormat) -> Dialect:
    return find_dialect(glance.head, is_whole=glance.is_whole, name=path.name, delimiter=form.delimiter)


def _is_same_kind(found: FileFormat, declared: FileFormat) -> bool:
    """Whether a file is of the container and the encoding of a schema; a sheet also begins in its line."""
    if found.container is not declared.container:
        return False
    if found.container is Container.EXCEL:
        return declared.header or found.skip == declared.skip
    return is_written_in(found.encoding, declared.encoding)


def _text_of(path: Path, *, encoding: str) -> Glance | None:
    """What is known of the text of a file; None where it is no text by its first bytes.

    Args:
        encoding: the expected one; "" = none is.
    """
    with readable(path), open_unpacked(path) as stream:
        start = stream.read(8)
    if start.startswith((*_BINARY, *_WORKBOOKS)):
        return None
    return look_through(path, encoding=encoding)


def _format_of(
    path: Path,
    glance: Glance | None,
    *,
    header: bool | None,
    sheet: str,
    known: Collection[str],
    delimiter: str = "",
) -> FileFormat:
    """How a file is written, by its text or, where it has none, by its content."""
    compression = compression_of(path)
    if glance is not None:
        form = _text_format(path, glance, header=header, delimiter=delimiter, known=known)
        return replace(form, compression=compression, encoding_is_guessed=glance.is_guess)
    with readable(path), open_unpacked(path) as stream:
        start = stream.read(8)
    for magic, container in _BINARY.items():
        if start.startswith(magic):
            return FileFormat(container=container, compression=compression)
    return replace(_sheet_format(path, header=header, sheet=sheet, known=known), compression=compression)


def _written_otherwise(
    path: Path, declared: FileFormat, found: FileFormat, *, columns: Collection[str] = ()
) -> DataError:
    """The refusal; `columns` are those whose numbers have another decimal mark than their schema says."""
    marks = f", and the decimal mark is another one in {', '.join(map(repr, columns))}" if columns else ""
    return DataError(
        f"{path.name} must be written as its schema says, however: the schema says "
        f"{describe_format(declared)}; the file is {describe_format(found)}{marks}. Save it as the schema "
        "says. A schema file can be changed: its [format]. The schema within a model cannot: to score files "
        "that are written like this one, train on one of them."
    )


def _names_columns(dialect: Dialect, names: Collection[str]) -> bool:
    cells = {cell.strip() for cell in dialect.records[dialect.first]}
    return dialect.n_columns > 1 and len(cells & set(names)) * 2 >= min(len(names), len(cells))


def _contradicting_columns(dialect: Dialect, schema: Schema, declared: FileFormat) -> list[str]:
    """The columns of numbers with another decimal mark than their schema says; none where it may be read.

    They are named where they are the most, or where values would be misread without a word.
    """
    agreeing = 0
    contradicting: list[str] = []
    misread = False
    for name, texts in _texts_of_columns(dialect, declared).items():
        if name not in schema or schema[name].kind is not Kind.NUMERICAL:
            continue
        column = schema[name]
        uses = uses_in(texts, is_percent=column.format in ("percent", "share"))
        agree, differ = uses.votes(column.decimal), uses.votes("." if column.decimal == "," else ",")
        either = uses.single_rows.total()
        if differ <= agree:
            agreeing += agree > 0
            continue
        contradicting.append(name)
        # Beside 0.573 in a column of decimal commas, 1.573 would be read as 1573.
        misread |= either > 0 and differ * _RARE >= differ + either
    return contradicting if misread or len(contradicting) > agreeing else []


def _texts_of_columns(dialect: Dialect, declared: FileFormat) -> dict[str, list[str]]:
    """The raw values of each column in the sample of a text file."""
    header = [cell.strip() for cell in dialect.records[dialect.first]]
    if not declared.header:
        header = [f"column_{index + 1}" for index in range(dialect.n_columns)]
    rows = [
        row for row in dialect.records[dialect.first + declared.header :] if len(row) == dialect.n_columns
    ]
    return {name: [row[index] for row in rows[:_SAMPLE_ROWS]] for index, name in enumerate(header)}


# Text ----------------------------------------------------------------------------------------------------


def _text_format(
    path: Path, glance: Glance, *, header: bool | None, delimiter: str, known: Collection[str]
) -> FileFormat:
    head = glance.head.lstrip()
    check_no_document(head, path)
    if head.startswith("{") and _is_object(head.splitlines()[0]):
        return FileFormat(container=Container.JSON_LINES, encoding=glance.encoding)
    if is_arff(head):
        return FileFormat(container=Container.ARFF, encoding=glance.encoding)
    if delimiter and delimiter not in glance.head:
        raise DataError(
            f"--delimiter must be in the file, however: {path.name} has no {delimiter!r}. Leave it out to "
            "have the delimiter found out."
        )
    dialect = find_dialect(glance.head, is_whole=glance.is_whole, name=path.name, delimiter=delimiter or None)
    if not dialect.records:
        raise DataError(f"the data file must hold a header and rows, however: {path.name} is empty")
    if dialect.n_columns == 1:
        check_promise(path)
    if header is None:
        header = find_header(dialect, name=path.name, known=known)
    if header is None:
        raise _unclear_header(path)
    rows = dialect.records[dialect.first + header :]
    rows = [row for row in rows if len(row) == dialect.n_columns]
    decimal, thousands = find_marks(rows[:_MARK_ROWS])
    return FileFormat(
        encoding=glance.encoding,
        delimiter=dialect.delimiter,
        quote=dialect.quote,
        header=header,
        skip=dialect.lines[dialect.first],
        footer=count_footer_lines(glance.tail.splitlines(), dialect) > 0,
        decimal=decimal,
        thousands=thousands,
    )


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _unclear_header(path: Path) -> UnclearFileError:
    return UnclearFileError(
        f"the first line must name the columns, however: that of {path.name} looks like a row. "
        "--header none reads it as a row (the columns are then column_1, column_2, …), --header first as "
        "names; in a schema file, [format] header = false or true."
    )


# Workbooks -----------------------------------------------------------------------------------------------


def _sheet_format(path: Path, *, header: bool | None, sheet: str, known: Collection[str]) -> FileFormat:
    records = read_sheet(path, sheet=sheet)
    filled = [index for index, record in enumerate(records) if record]
    width = max(len(records[index]) for index in filled)
    padded = [[*records[index], *[""] * (width - len(records[index]))] for index in filled]
    first = title_records(padded, width)
    if header is None:
        cells = [cell.strip() for cell in padded[first]]
        is_known = sum(cell in known for cell in cells) * 2 >= min(len(known), len(cells)) if known else False
        header = True if is_known else header_of(padded[first], padded[first + 1 : first + 1 + _SAMPLE_ROWS])
    if header is None:
        raise _unclear_header(path)
    return FileFormat(
        container=Container.EXCEL,
        header=header,
        skip=filled[first],
        footer=is_footer(padded[-1], width) if len(padded) > first + 1 else False,
        sheet=sheet,
    )

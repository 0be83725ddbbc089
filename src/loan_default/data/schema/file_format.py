"""How a file of applications is written: what a reader must know before it can split the file into columns.

`data.sources` finds it out from a file; the schema keeps it, so that the next file is read alike:

    [format]
    container = "text"          # text (CSV and its kin) | excel | parquet | feather | json_lines | arff
    compression = "gzip"        # gzip | zip; absent = none
    encoding = "cp1252"         # text: as Python names it; "ascii" = any that extends it
    delimiter = ";"             # text: one character; " " = any run of blanks
    quote = '"'                 # text: one character; "" = none
    header = false              # absent = the first row names the columns; false = column_1, column_2, …
    skip = 1                    # title lines above the header
    footer = true               # lines after the rows that are none, such as a total, are passed over
    decimal = ","               # of number columns that do not say otherwise
    thousands = "."
    sheet = "Loans"             # excel: name of the sheet; absent = the only one with rows
"""

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from enum import StrEnum
from typing import Any

from loan_default.errors import DataError, did_you_mean


class Container(StrEnum):
    """What holds the rows."""

    TEXT = "text"
    """Fields between delimiters, such as CSV."""
    EXCEL = "excel"
    """A sheet of a workbook: xlsx, xls, xlsb, ods."""
    PARQUET = "parquet"
    FEATHER = "feather"
    JSON_LINES = "json_lines"
    """One object a line."""
    ARFF = "arff"
    """The format of Weka and OpenML."""


class Compression(StrEnum):
    """What a file is packed in."""

    NONE = ""
    GZIP = "gzip"
    ZIP = "zip"


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFormat:
    """How a file is written."""

    container: Container = Container.TEXT
    compression: Compression = Compression.NONE
    encoding: str = "utf-8"
    """Text: a codec of Python. "ascii" = any that extends it: a file of ASCII does not show its encoding."""
    delimiter: str = ","
    """Text: one character between fields; a blank = any run of blanks."""
    quote: str = '"'
    """Text: one character around fields; empty = none."""
    header: bool = True
    """Whether a line names the columns; otherwise they are called column_1, column_2, …"""
    skip: int = 0
    """Lines above the header, or above the rows where there is no header."""
    footer: bool = False
    """Whether lines at the end that are no rows, such as a total, are passed over."""
    decimal: str = "."
    """Decimal mark of number columns that do not have their own."""
    thousands: str = ""
    """Mark between thousands of number columns that do not have their own; empty = none."""
    sheet: str = ""
    """Excel: name of the sheet; empty = the only one with rows."""
    encoding_is_guessed: bool = field(default=False, compare=False)
    """Whether the encoding is only the likeliest one; no schema file holds it, as it is known of one file."""

    def __post_init__(self) -> None:
        if len(self.delimiter) != 1 or self.delimiter in '\r\n"':
            raise DataError(f"format: delimiter must be one character, however: {self.delimiter!r}")
        if len(self.quote) > 1:
            raise DataError(f"format: quote must be one character or none, however: {self.quote!r}")
        if self.skip < 0:
            raise DataError(f"format: skip must be at least 0, however: skip={self.skip}")
        try:
            "a".encode(self.encoding)
        except (LookupError, UnicodeError):  # none, none of text, or the one that fails always
            raise DataError(
                f"format: encoding must be one that Python knows, such as utf-8, cp1252 or utf-16, however: "
                f"{self.encoding!r}"
            ) from None
        check_marks("format", decimal=self.decimal, thousands=self.thousands)


def check_marks(where: str, *, decimal: str, thousands: str) -> None:
    """Check that two marks make numbers that can be read in one way only.

    Raises:
        DataError: they are no marks, or both are the same.
    """
    if decimal not in (".", ","):
        raise DataError(f"{where}: decimal must be '.' or ',', however: {decimal!r}")
    if thousands not in ("", ".", ",", "'", "\N{RIGHT SINGLE QUOTATION MARK}", " ", "_"):
        raise DataError(f"{where}: thousands must be one of . , ' _ or a blank, however: {thousands!r}")
    if decimal == thousands:
        raise DataError(f"{where}: decimal and thousands must differ, however: both={decimal!r}")


def format_to_dict(form: FileFormat) -> dict[str, Any]:
    """The settings of a format as a schema file holds them, those at their defaults left out."""
    content: dict[str, Any] = {}
    for each in _kept_fields():
        value = getattr(form, each.name)
        if value != each.default or each.name == "container":
            content[each.name] = str(value) if isinstance(value, StrEnum) else value
    return content


def format_from_dict(raw: Any, *, where: str) -> FileFormat:
    """Build a format from plain values, such as those of `format_to_dict`.

    Raises:
        DataError: an unknown key, a wrong type, or a contradiction.
    """
    where = f"{where}: [format]"
    if not isinstance(raw, Mapping):
        raise DataError(f"{where} must be a table, however: {raw!r}")
    defaults = {each.name: each.default for each in _kept_fields()}
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in defaults:
            raise DataError(
                f"{where}: keys must be of {', '.join(defaults)}, however: {key!r}."
                + did_you_mean(str(key), list(defaults))
            )
        expected = type(defaults[key])
        if issubclass(expected, StrEnum):
            choices = [str(each) for each in expected]
            if value not in choices:
                hint = did_you_mean(str(value), choices)
                raise DataError(f"{where}: {key} must be one of {choices}, however: {value!r}.{hint}")
            values[key] = expected(value)
        elif type(value) is expected:
            values[key] = value
        else:
            raise DataError(f"{where}: {key} must be {expected.__name__}, however: {value!r}")
    return FileFormat(**values)


def _kept_fields() -> list[Field[Any]]:
    return [each for each in fields(FileFormat) if each.compare]

"""How a file is written, in words for people."""

import codecs
from collections.abc import Iterator
from typing import TypeVar

import structlog

from loan_default.data.schema.file_format import Compression, Container, FileFormat
from loan_default.data.sources.dialects import DELIMITERS

_CONTAINERS = {
    Container.EXCEL: "Excel",
    Container.PARQUET: "Parquet",
    Container.FEATHER: "Feather",
    Container.JSON_LINES: "JSON lines",
    Container.ARFF: "ARFF",
}
_ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "ascii": "ASCII",
    "cp1252": "Windows-1252",
    "cp1250": "Windows-1250",
    "cp1251": "Windows-1251",
    "iso8859-1": "Latin-1",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
}
_QUOTES = {"'": "single quotes"}
_MARKS = {
    ".": "dots",
    ",": "commas",
    " ": "blanks",
    "'": "apostrophes",
    "\u2019": "apostrophes",
    "_": "underscores",
}

log = structlog.get_logger()

Batch = TypeVar("Batch")


def describe_format(form: FileFormat) -> str:
    """A format in words, such as "CSV in Windows-1252, fields separated by semicolons, a footer"."""
    parts = [_kind(form)]
    if form.container is Container.TEXT:
        if form.delimiter != ",":
            parts.append(f"fields separated by {DELIMITERS.get(form.delimiter, repr(form.delimiter))}")
        if form.quote in _QUOTES:
            parts.append(f"texts in {_QUOTES[form.quote]}")
        if not form.quote:
            parts.append("no quotes")
    if form.sheet:
        parts.append(f"sheet {form.sheet!r}")
    if form.skip:
        lines = "1 title line" if form.skip == 1 else f"{form.skip} title lines"
        parts.append(f"{lines} above the {'header' if form.header else 'rows'}")
    if not form.header:
        parts.append("no header")
    if form.footer:
        parts.append("a footer")
    if form.decimal == ",":
        parts.append("decimal commas")
    if form.thousands:
        parts.append(f"{_MARKS.get(form.thousands, form.thousands)} between thousands")
    return ", ".join(parts)


def name_of_encoding(encoding: str) -> str:
    """The name of an encoding by which people know it, such as "Windows-1252"."""
    name = codecs.lookup(encoding).name
    return _ENCODINGS.get(name, name)


def format_logged(batches: Iterator[Batch], form: FileFormat, *, file: str) -> Iterator[Batch]:
    """The batches of a file; before the first one, how the file is written is logged.

    A file that is looked at again and has nothing new is not logged again.
    """
    for number, batch in enumerate(batches):
        if not number:
            log.info("file_read", file=file, written_as=describe_format(form))
        yield batch


def log_footer(lines: int, *, file: str) -> None:
    """Log how many lines at the end of a file are no rows."""
    log.info("footer_passed_over", file=file, lines=lines)


def _kind(form: FileFormat) -> str:
    kind = _CONTAINERS.get(form.container, "CSV" if form.delimiter in ",;" else "text")
    if form.container in (Container.TEXT, Container.JSON_LINES, Container.ARFF):
        kind += f" in {name_of_encoding(form.encoding)}"
    packed = {Compression.GZIP: ", gzipped", Compression.ZIP: ", in a zip"}
    return kind + packed.get(form.compression, "")

"""Files as raw frames, whatever their kind, read as a stream and never trusted.

    text (CSV and its kin)   text_files.py      Parquet, Feather   arrow_files.py
    Excel                    workbooks.py       JSON lines, ARFF   json_lines.py, arff_files.py

A raw frame holds the values as they stood in the file; its index is the row's number, from 0 for the first
row after the header (blank lines are not rows). Rows that cannot be split into columns are not lost: they
stand beside the frame with their number and text. Lines at the end that are no rows, such as a total, are
counted.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd

from loan_default.data.schema.file_format import Container, FileFormat
from loan_default.data.schema.frames import RawFrame
from loan_default.data.schema.inference.findings import Finding, Severity
from loan_default.data.schema.inference.infer import Inference, infer_frame_schema
from loan_default.data.schema.inference.target_values import NamedOutcomes
from loan_default.data.sources.arff_files import arff_names, iter_arff
from loan_default.data.sources.arrow_files import arrow_names, iter_arrow
from loan_default.data.sources.footers import without_footer
from loan_default.data.sources.json_lines import iter_json, json_names
from loan_default.data.sources.sniffing import detect_format
from loan_default.data.sources.text_files import first_record, iter_text
from loan_default.data.sources.workbooks import iter_records, read_sheet
from loan_default.errors import DataError

SCORES_SUFFIXES = (".csv", ".csv.gz", ".parquet")
"""Suffixes of files of scores."""
_PLAIN_SUFFIXES = (
    ".csv", ".tsv", ".tab", ".psv", ".txt", ".dat", ".data", ".asc", ".jsonl", ".ndjson", ".arff",
)  # fmt: skip
SUFFIXES = (
    *(f"{suffix}{packed}" for suffix in _PLAIN_SUFFIXES for packed in (".gz", ".zip", "")),
    ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".parquet", ".feather", ".arrow", ".zip", ".gz",
)  # fmt: skip
"""Suffixes of files of applications. What is in a file decides how it is read; a folder is looked through for
files of these names."""


def read_columns(path: Path, *, form: FileFormat | None = None) -> list[str]:
    """The column names of a file, stripped; a column without a name is called `unnamed_1` by its number.

    Args:
        form: how the file is written, by `format_for`; None = it is found out.

    Raises:
        DataError: no such file, it is damaged or no table, or its header is unusable.
        UnclearFileError: it can be read in two ways.
    """
    form = form or detect_format(path)
    if form.container is Container.EXCEL:
        return _sheet_names(read_sheet(path, sheet=form.sheet), form, path)
    if form.container in (Container.PARQUET, Container.FEATHER):
        return _clean_names(arrow_names(path, form), path)
    if form.container is Container.JSON_LINES:
        return _clean_names(json_names(path, form), path)
    if form.container is Container.ARFF:
        return _clean_names(arff_names(path, form), path)
    return _header_names(first_record(path, form), form, path)


def iter_frames(path: Path, *, rows: int = 65_536, form: FileFormat | None = None) -> Iterator[RawFrame]:
    """A file in raw frames of at most `rows` rows; memory stays flat whatever the size of a text file.

    Args:
        form: as for `read_columns`.

    Raises:
        DataError: as `read_columns`, at once; no rows, or a file that breaks off, while reading.
        UnclearFileError: as `read_columns`.
    """
    if rows < 1:
        raise DataError(f"rows must be a positive integer, however: rows={rows}")
    form = form or detect_format(path)
    if form.container is Container.EXCEL:
        records = read_sheet(path, sheet=form.sheet)
        frames = iter_records(records, _sheet_names(records, form, path), rows, form=form)
    elif form.container is Container.JSON_LINES:
        keys = json_names(path, form)
        columns = dict(zip(keys, _clean_names(keys, path), strict=True))
        frames = iter_json(path, columns, rows, form=form)
    else:
        names = read_columns(path, form=form)
        readers = {
            Container.PARQUET: iter_arrow,
            Container.FEATHER: iter_arrow,
            Container.ARFF: iter_arff,
        }
        frames = readers.get(form.container, iter_text)(path, names, rows, form=form)
    if form.footer:
        frames = without_footer(frames, form=form)
    return _not_empty(frames, path)


def read_frame(path: Path, *, form: FileFormat | None = None) -> RawFrame:
    """A whole file as one raw frame.

    Raises:
        DataError, UnclearFileError: as `iter_frames`.
    """
    parts = list(iter_frames(path, form=form))
    if len(parts) == 1:
        return parts[0]
    return RawFrame(
        frame=pd.concat([part.frame for part in parts]),
        rejects=pd.concat([part.rejects for part in parts], ignore_index=True),
        footer_lines=sum(part.footer_lines for part in parts),
    )


def infer_schema(
    path: Path, *, target: str | None, named: NamedOutcomes | None = None, form: FileFormat | None = None
) -> Inference:
    """Read a whole file and infer its schema, with the format of the file, as `infer_frame_schema` does.

    Raises:
        ConfigurationError: as `infer_frame_schema`, or the file can be read in two ways.
        DataError: the file cannot be read, or gives no schema.
    """
    form = form or detect_format(path)
    raw = read_frame(path, form=form)
    inference = infer_frame_schema(
        raw, name=stem_of(path), source=path.name, target=target, named=named, form=form
    )
    return replace(inference, findings=(*inference.findings, *file_findings(raw, form=form)))


def file_findings(raw: RawFrame, *, form: FileFormat) -> list[Finding]:
    """What is in doubt or passed over in a file as a whole, read in a format that was found out."""
    findings = []
    if raw.footer_lines:
        one = raw.footer_lines == 1
        lines = "1 line at the end is no row" if one else f"{raw.footer_lines} lines at the end are no rows"
        findings.append(Finding("", Severity.NOTE, f"{lines}, but a footer: passed over"))
    if form.encoding_is_guessed:
        advice = (
            f"the encoding {form.encoding} is only the likeliest one: look at words with accents. Where they "
            "are wrong, say it by --encoding (cp1250, for example; in a schema file: [format] encoding), or "
            "save the file as UTF-8"
        )
        findings.append(Finding("", Severity.WARNING, advice))
    return findings


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


def _header_names(cells: list[str], form: FileFormat, path: Path) -> list[str]:
    if form.header:
        return _clean_names(cells, path)
    return [f"column_{number}" for number in range(1, len(cells) + 1)]


def _sheet_names(records: list[list[str]], form: FileFormat, path: Path) -> list[str]:
    below = [record for record in records[form.skip :] if record]
    if not below:
        raise DataError(f"the data file must hold a header and rows, however: {path.name} is empty")
    width = len(below[0]) if form.header else max(len(record) for record in below)
    return _header_names([*below[0], *[""] * (width - len(below[0]))], form, path)


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

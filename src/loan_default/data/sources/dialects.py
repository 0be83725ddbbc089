"""How the text of a table is written: delimiter, quote, title lines, header, footer lines.

Each possible delimiter and quote is tried on the beginning of the file. The one is taken under which the rows
have equally many fields and the fields look like values; where two are equally good, nothing is guessed.
"""

import csv
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from loan_default.data.sources.cells import is_footer, is_no_value, is_number, is_time
from loan_default.errors import DataError, UnclearFileError

DELIMITERS = {
    ",": "commas",
    ";": "semicolons",
    "\t": "tabs",
    "|": "vertical bars",
    " ": "blanks",
    "^": "carets",
    "~": "tildes",
    "\x01": "control characters (\\x01)",
}
"""The characters that are tried, in words."""
_WORDS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "blank"}
"""Delimiter -> the word by which `--delimiter` knows it."""
_SAMPLE_ROWS = 1_000
_HEADER_ROWS = 50
"""Rows below a line that are enough to know it for a header, or for one of them."""
_LONGEST_TITLE = 50
"""Most lines above the header."""
_CLEARLY = 0.03
"""By so much the best delimiter must be better than the next one."""
_MOSTLY = 0.9
"""Share of the fields that begin with a quote and must end with it, so that it is taken for one."""
MOST_FOOTER_LINES = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialect:
    """How fields are split, with the records of the sample that is split so."""

    delimiter: str
    quote: str
    records: list[list[str]]
    """Fields of each line that is not blank."""
    lines: list[int]
    """The line that each record begins in, from 0."""
    n_columns: int
    first: int
    """Index of the first record with the rows' number of fields: the header, or a row."""
    quality: float
    """0 to 1: share of the rows with that number of fields times that of the fields that are values."""


def split_line(line: str, delimiter: str, quote: str) -> list[str]:
    """The fields of one line or record."""
    if delimiter == " ":
        return split_blanks(line, quote)
    return next(text_reader([line], delimiter=delimiter, quote=quote), [])


def text_reader(lines: Iterable[str], *, delimiter: str, quote: str) -> Iterator[list[str]]:
    """The records of lines, by Python's own reader of CSV; `quote` may be empty."""
    if quote:
        return csv.reader(lines, delimiter=delimiter, quotechar=quote)
    return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)


def split_blanks(line: str, quote: str) -> list[str]:
    """The fields of a line between runs of blanks and tabs."""
    if not quote or quote not in line:
        return line.split()
    pattern = f"{quote}((?:[^{quote}]|{quote}{quote})*){quote}(?=\\s|$)|(\\S+)"
    return [
        match[2] if match[2] is not None else match[1].replace(quote * 2, quote)
        for match in re.finditer(pattern, line)
    ]


def find_dialect(head: str, *, is_whole: bool, name: str, delimiter: str | None = None) -> Dialect:
    """The delimiter and quote of the beginning of a file.

    Args:
        is_whole: whether it is the whole file; otherwise its last record may be cut off.
        name: of the file, for messages.
        delimiter: the one to take; None = the best of `DELIMITERS`.

    Raises:
        UnclearFileError: two delimiters are equally good.
    """
    head = head.replace("\r\n", "\n").replace("\r", "\n")
    if delimiter is None and (named := re.match(r'"?sep=(.)"?\s*\n', head)) is not None:
        delimiter = named[1]  # a line by which spreadsheets tell one another
        head = "\n" + head[named.end() :]
    found = []
    for each in [delimiter] if delimiter else [each for each in DELIMITERS if each in head]:
        best = None
        for quote in ('"', "'", ""):
            if quote == "'" and not _is_quoted_by(head, "'", each):
                continue
            if not quote and (each == "," or '"' not in head):
                continue  # an open quote in a CSV file is an error to be named
            dialect = _try(head, each, quote, is_whole=is_whole)
            is_better = best is None or dialect.quality > best.quality + _CLEARLY
            if is_better or (quote == "'" and best is not None and _has_column_within(best, quote)):
                best = dialect
        if best is not None and (best.n_columns > 1 or delimiter):
            found.append(best)
    if not found:
        return _try(head, ",", '"', is_whole=is_whole)
    tabs = next((each.n_columns for each in found if each.delimiter == "\t"), 0)
    # Runs of blanks include tabs: what tabs alone split as well is split by tabs.
    found = [each for each in found if each.delimiter != " " or each.n_columns > tabs]
    found.sort(key=lambda each: -each.quality)
    if len(found) > 1 and found[1].quality > found[0].quality - _CLEARLY:
        equal = [each for each in found if each.quality > found[0].quality - _CLEARLY]
        # Blanks stand within values of most files; only where nothing else splits they are delimiters.
        real = [each for each in equal if each.delimiter != " "]
        if len(real) > 1:
            raise _two_delimiters(real[0], real[1], name)
        return real[0]
    return found[0]


def find_header(dialect: Dialect, *, name: str, known: Collection[str]) -> bool | None:
    """Whether the first record of a table names the columns; None = it could be either.

    Args:
        known: names of columns that the header is expected to hold; empty = none are known.

    Raises:
        DataError: the header names more or fewer columns than the rows have.
    """
    cells = [cell.strip() for cell in dialect.records[dialect.first]]
    if known and sum(cell in known for cell in cells) * 2 >= min(len(known), len(cells)):
        return True
    rows = dialect.records[dialect.first + 1 : dialect.first + 1 + _HEADER_ROWS]
    rows = [row for row in rows if len(row) == len(cells)]
    answer = header_of(cells, rows)
    if answer is not True and dialect.first:
        _check_short_header(dialect, name)
    return answer


def header_of(cells: list[str], rows: list[list[str]]) -> bool | None:
    """Whether cells above rows name the columns: what is no number above numbers does, a number does not."""
    filled = [cell for cell in cells if cell.strip()]
    if filled and all(is_number(cell) or is_time(cell) for cell in filled):
        return None
    names = numbers = repeated = plain = 0
    for index, cell in enumerate(cells):
        values = [row[index] for row in rows if not is_no_value(row[index])]
        is_plain = is_number(cell) or is_time(cell)
        plain += is_plain
        if not values or is_no_value(cell):
            continue
        if sum(is_number(value) or is_time(value) for value in values) >= 0.9 * len(values):
            names += not is_plain
            # A column may be called by a year or a number.
            numbers += is_plain and not re.fullmatch(r"\s*\d{1,4}\s*", cell)
        elif cell.strip() in {value.strip() for value in values}:
            repeated += 1
    if numbers:
        return None
    if names:
        return True
    return None if plain or repeated else True


def title_records(records: list[list[str]], n_columns: int) -> int:
    """How many of the first records are titles: another number of fields, or most of them empty."""
    for index, cells in enumerate(records[:_LONGEST_TITLE]):
        filled = sum(bool(cell.strip()) for cell in cells)
        if len(cells) == n_columns and filled * 3 > n_columns:
            return index
    return 0


def count_footer_lines(lines: Iterable[str], dialect: Dialect) -> int:
    """How many of the last lines of a file are no rows; blank ones are not counted."""
    count = 0
    for line in reversed(list(lines)):
        if not line.strip():
            continue
        try:
            cells = split_line(line, dialect.delimiter, dialect.quote)
        except csv.Error:
            break
        if count >= MOST_FOOTER_LINES or not is_footer(cells, dialect.n_columns):
            break
        count += 1
    return count


# Trying one delimiter ------------------------------------------------------------------------------------


def _try(head: str, delimiter: str, quote: str, *, is_whole: bool) -> Dialect:
    records, lines = _records(head, delimiter, quote)
    if not is_whole and len(records) > 1:
        del records[-1], lines[-1]
    n_columns = _usual_count(records)
    first = title_records(records, n_columns)
    rows = records[first:]
    end = len(rows)
    if is_whole:
        while end > 1 and is_footer(rows[end - 1], n_columns):
            end -= 1
    rows = rows[:end]
    alike = [row for row in rows if len(row) == n_columns]
    share = len(alike) / max(1, len(rows))
    return Dialect(
        delimiter=delimiter,
        quote=quote,
        records=records,
        lines=lines,
        n_columns=n_columns,
        first=first,
        quality=share * _clean_share(alike, head, delimiter=delimiter, quote=quote) - 0.01 * min(first, 2),
    )


def _records(head: str, delimiter: str, quote: str) -> tuple[list[list[str]], list[int]]:
    records: list[list[str]] = []
    begins: list[int] = []
    lines = head.split("\n")
    if delimiter == " ":
        for number, line in enumerate(lines):
            if line.strip() and len(records) < _SAMPLE_ROWS:
                records.append(split_blanks(line, quote))
                begins.append(number)
        return records, begins
    taken = 0

    def counted() -> Iterator[str]:
        nonlocal taken
        for line in lines:
            taken += 1
            yield f"{line}\n"

    begin = 0
    try:
        for cells in text_reader(counted(), delimiter=delimiter, quote=quote):
            if len(cells) > 1 or (cells and cells[0].strip()):
                records.append(cells)
                begins.append(begin)
            begin = taken
            if len(records) >= _SAMPLE_ROWS:
                break
    except csv.Error:
        pass  # a field of more than 128 KB: what was split before it is enough to go by
    return records, begins


def _usual_count(records: list[list[str]]) -> int:
    """The number of fields that most records have; of few and different records, that of the first."""
    counts = Counter(len(cells) for cells in records)
    if not counts:
        return 1
    n_columns, times = counts.most_common(1)[0]
    return n_columns if times * 2 > len(records) else len(records[0])


def _clean_share(rows: list[list[str]], head: str, *, delimiter: str, quote: str) -> float:
    """Share of the fields that are values: not text in which, unquoted, another delimiter still stands."""
    others = [each for each in DELIMITERS if each not in (delimiter, " ")]
    n_clean = n_fields = 0
    for row in rows[:50]:
        for cell in row:
            n_fields += 1
            is_whole = is_number(cell) or not any(other in cell for other in others)
            n_clean += is_whole or (bool(quote) and f"{quote}{cell}{quote}" in head)
    return n_clean / max(1, n_fields)


def _is_quoted_by(head: str, quote: str, delimiter: str) -> bool:
    """Whether fields stand between two quotes, and hardly any that begins with one lacks the other.

    A lone apostrophe in front is the mark of a text (see `spreadsheets`), in the header above all.
    """
    edge = re.escape(delimiter) if delimiter != " " else r"\s"
    begin = rf"(?:^|(?<={edge})){quote}"
    whole = rf"{begin}(?:[^{quote}\n]|{quote}{quote})*{quote}(?={edge}|\r?$)"
    header = head.lstrip().split("\n", 1)[0]
    if len(re.findall(begin, header)) > len(re.findall(whole, header)):
        return False
    n_whole = len(re.findall(whole, head, re.MULTILINE))
    return n_whole > 1 and n_whole >= _MOSTLY * len(re.findall(begin, head, re.MULTILINE))


def _has_column_within(dialect: Dialect, quote: str) -> bool:
    """Whether all fields of a column, or all names of the header, still stand within another quote."""
    rows = [cells for cells in dialect.records[dialect.first :] if len(cells) == dialect.n_columns]
    for cells in [*rows[:1], *zip(*rows[1:], strict=True)]:
        filled = [cell.strip() for cell in cells if cell.strip()]
        if len(filled) > 1 and all(len(cell) > 1 and cell[0] == cell[-1] == quote for cell in filled):
            return True
    return False


def _check_short_header(dialect: Dialect, name: str) -> None:
    above = dialect.records[dialect.first - 1]
    names = [cell for cell in above if cell.strip()]
    if len(names) > 1 and abs(len(above) - dialect.n_columns) == 1 and not any(map(is_number, names)):
        raise DataError(
            f"the header must name each column once, however: {name} names {len(above)}, and its rows have "
            f"{dialect.n_columns} fields. Name all columns, or remove what is too much."
        )


def _two_delimiters(first: Dialect, second: Dialect, name: str) -> UnclearFileError:
    ways = []
    for each in (first, second):
        word = _WORDS.get(each.delimiter, repr(each.delimiter))
        ways.append(f"{DELIMITERS[each.delimiter]} ({each.n_columns} columns): --delimiter {word}")
    return UnclearFileError(
        f"the fields of a file must be separated in one way, however: {name} can be split in two. Say "
        f"which: {ways[0]}, or {ways[1]}; in a schema file, [format] delimiter = {first.delimiter!r}."
    )

"""Feeds: where applications come from, a batch at a time, each row under an id that never changes.

    for batch in feed.batches():
        deliver(batch.rows)     # an event each
        batch.done()            # moves the watermark; in order, and before the next batch is asked for

A process that dies between delivery and `done()` sends these rows once more, under the same ids: readers drop
duplicates. No row is left out. A feed does not validate rows; it refuses only a file none of whose rows could
be valid, since a column is missing.

    FileFeed        the next rows of a file
    GeneratedFeed   the next rows of the generator
    FolderFeed      files that drop into a folder: folder_feed.py
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import KW_ONLY, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

from loan_default.data.schema.file_format import FileFormat
from loan_default.data.schema.language import Schema
from loan_default.data.sources.format_words import format_logged, log_footer
from loan_default.data.sources.generator import chunks, to_text
from loan_default.data.sources.json_rows import json_rows, row_subjects
from loan_default.data.sources.sniffing import format_for
from loan_default.data.sources.table_files import iter_frames, read_columns, stem_of
from loan_default.errors import ConfigurationError, DataError, did_you_mean
from loan_default.files import sha256_of, write_atomically
from loan_default.limits import LONGEST_ID

BATCH_ROWS = 5_000
_FRAME_ROWS = 5_000
"""Rows that are converted together: this bounds the memory and changes no result."""


class FeedRow(NamedTuple):
    """One row of a source."""

    event_id: str
    """The same whenever the row is sent again."""
    subject: str
    """Id of the application; where the row has none, the event id."""
    data: dict[str, Any]
    """Column -> raw value, as JSON can hold it. A row that could not be split into columns: `raw_text`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FeedBatch:
    """Rows to be delivered together."""

    source: str
    """Name of the file or generator; at most 200 printable characters."""
    rows: list[FeedRow]
    """The rows of the batch, one or more."""
    done: Callable[[], None]
    """Call it when all rows are delivered; without that the next run sends them again."""


class Feed(Protocol):
    """What a pipeline asks of a source."""

    def batches(self) -> Iterator[FeedBatch]:
        """The rows that are available now and are not yet marked as done."""
        ...


@dataclass(frozen=True, slots=True)
class FileFeed:
    """The next rows of a file, for example some of them each hour, as if they had just arrived.

    `batches` raises DataError where the file cannot be read, lacks a column, or is not the one that the
    watermark was set for. Ids: `<name>-<8 digits of the file's SHA-256>-<row>`.
    """

    path: Path
    schema: Schema
    _: KW_ONLY
    state: Path
    """File of the watermark; where it is absent, the feed starts at the first row."""
    rows: int | None = None
    """Rows of one run, from the watermark on. None = all that are left."""
    batch_rows: int = BATCH_ROWS
    """Most rows of a batch."""

    def __post_init__(self) -> None:
        _check_positive(rows=self.rows, batch_rows=self.batch_rows)

    def batches(self) -> Iterator[FeedBatch]:
        """The next rows of the file."""
        form = format_for(self.path, self.schema)
        check_columns(self.path, self.schema, form)
        digest = sha256_of(self.path)
        watermark = Watermark(self.state, digest=digest, what=self.path.name)
        stop = None if self.rows is None else watermark.next_row + self.rows
        prefix = f"{plain_text(stem_of(self.path))}-{digest[:8]}"
        start = watermark.next_row
        rows = file_rows(self.path, self.schema, prefix=prefix, start=start, stop=stop, form=form)
        source = plain_text(self.path.name)
        found = batches_of(rows, watermark=watermark, source=source, batch_rows=self.batch_rows)
        yield from format_logged(found, form, file=source)


@dataclass(frozen=True, slots=True)
class GeneratedFeed:
    """The next rows of the generator. Ids: `generated-<seed>-<row>`.

    `batches` raises DataError where the watermark was set for other settings or another schema (a corrected
    description is no other schema), and ConfigurationError where a setting is out of its range.
    """

    schema: Schema
    _: KW_ONLY
    rows: int | None
    """Rows of one run, from the watermark on. None = all that are left of the population."""
    seed: int
    state: Path
    """File of the watermark; where it is absent, the feed starts at the first row."""
    population: int = 1_000_000
    """Rows in all; their times are spread over a year. After the last one the feed is empty."""
    batch_rows: int = BATCH_ROWS
    """Most rows of a batch."""
    base_rate: float = 0.2
    """Mean PD of the generated rows."""
    signal: float = 1.5
    """Standard deviation of the true logits. 0 = nothing to learn."""
    missing_rate: float = 0.05
    """Share of missing values in nullable columns. 0 = none."""

    def __post_init__(self) -> None:
        _check_positive(rows=self.rows, batch_rows=self.batch_rows, population=self.population)

    def batches(self) -> Iterator[FeedBatch]:
        """The next rows of the generator."""
        settings = {
            "seed": self.seed,
            "rows": self.population,
            "base_rate": self.base_rate,
            "signal": self.signal,
            "missing_rate": self.missing_rate,
        }
        names = [column.name for column in self.schema.columns]  # their order decides what is drawn
        watermark = Watermark(
            self.state,
            digest=_digest(settings | {"rules": self.schema.rules_digest, "columns": names}),
            former_digest=_digest(settings | {"schema": self.schema.digest}),
            what="the generator",
        )
        start = watermark.next_row
        stop = self.population if self.rows is None else min(start + self.rows, self.population)
        if start < stop:
            rows = self._generated_rows(settings, start=start, stop=stop)
            source = f"generator-{self.seed}"
            yield from batches_of(rows, watermark=watermark, source=source, batch_rows=self.batch_rows)

    def _generated_rows(self, settings: dict[str, Any], *, start: int, stop: int) -> Iterator["NumberedRows"]:
        # Only these rows are drawn: a run costs its own rows, however many were sent before.
        for chunk in chunks(self.schema, chunk_rows=_FRAME_ROWS, begin=start, end=stop, **settings):
            frame = chunk.frame
            if target := self.schema.target:
                # A canonical label is 1.0 or 0.0; a source writes it as the schema spells it.
                frame = frame.assign(**to_text(frame[[target.name]], self.schema))
            yield _number_rows(frame, self.schema, prefix=f"generated-{self.seed}")


# Parts that feeds are made of ----------------------------------------------------------------------------

NumberedRows = list[tuple[int, FeedRow]]
"""Rows with their row numbers, ascending and without a gap."""


class Watermark:
    """The next row of a feed, kept in a small JSON file with the digest of the content that it counts in.

    Args:
        digest: identifies the content.
        what: names the content in messages.
        advice: what a person can do where the file cannot be used.
        former_digest: what an earlier release has written for the same content; it is accepted too.

    Raises:
        DataError: the file is damaged or was written for another content.
    """

    def __init__(
        self, path: Path, *, digest: str, what: str, advice: str = "", former_digest: str | None = None
    ) -> None:
        self._path, self._digest, self._what = path, digest, what
        self._accepted = (digest, former_digest)
        self._advice = advice or (
            f"Restore it, or delete {path} (or name another file) to send all rows from the first one."
        )
        self.next_row = self._stored()

    def advance(self, start: int, stop: int) -> None:
        """Record that the rows from `start` to before `stop` are delivered.

        Raises:
            RuntimeError: rows before `start` are not delivered yet.
        """
        if start > self.next_row:
            raise RuntimeError(
                f"batches must be done in their order, however: row {self.next_row} is not, and {start} is"
            )
        # Another process with the same feed may be further on.
        self.next_row = max(stop, self.next_row, self._stored())
        state = {"source": self._what, "digest": self._digest, "next_row": self.next_row}
        write_atomically(self._path, json.dumps(state, ensure_ascii=True).encode())

    def _stored(self) -> int:
        try:
            state = json.loads(self._path.read_bytes())
            digest, next_row = str(state["digest"]), int(state["next_row"])
        except FileNotFoundError:
            return 0
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"a watermark must be JSON with digest and next_row, however: {self._path} is not. "
                + self._advice
            ) from error
        if digest not in self._accepted:
            raise DataError(
                f"{self._what} must be as it was when its watermark was set, however: it has changed since "
                f"the row {next_row} was next. {self._advice}"
            )
        return next_row


def batches_of(
    rows: Iterable[NumberedRows], *, watermark: Watermark, source: str, batch_rows: int
) -> Iterator[FeedBatch]:
    """Rows from the watermark on, in batches of `batch_rows`; each moves the watermark when it is done."""
    start = watermark.next_row
    for batch in _rebatch(rows, batch_rows):
        stop = batch[-1][0] + 1
        done = partial(watermark.advance, start, stop)
        yield FeedBatch(source=source, rows=[row for _, row in batch], done=done)
        start = stop


def file_rows(
    path: Path,
    schema: Schema,
    *,
    prefix: str,
    start: int,
    stop: int | None = None,
    form: FileFormat | None = None,
) -> Iterator[NumberedRows]:
    """The rows of a file from `start` to before `stop` (None = its end), with ids `<prefix>-<row>`.

    Raises:
        DataError: as `iter_frames`.
    """
    unsplit: NumberedRows = []
    for raw in iter_frames(path, rows=_FRAME_ROWS, form=form):
        for number, text in zip(raw.rejects["row"].tolist(), raw.rejects["text"].tolist(), strict=True):
            if number >= start and (stop is None or number < stop):
                unsplit.append((number, _unsplit_row(f"{prefix}-{number}", text)))
        if raw.frame.empty:
            continue
        # Rows that could not be split may be ahead of the frame, but never behind it.
        end = int(raw.frame.index[-1]) + 1
        if raw.footer_lines and end > start:
            log_footer(raw.footer_lines, file=plain_text(path.name))
        rows = _number_rows(_between(raw.frame, start, stop), schema, prefix=prefix)
        rows += [numbered for numbered in unsplit if numbered[0] < end]
        unsplit = [numbered for numbered in unsplit if numbered[0] >= end]
        yield sorted(rows, key=_row_number)
        if stop is not None and end >= stop:
            return
    yield sorted(unsplit, key=_row_number)


def check_columns(path: Path, schema: Schema, form: FileFormat) -> None:
    """Raise DataError where a file cannot be read, or lacks a column without which no row can pass."""
    names = read_columns(path, form=form)
    unknown = [name for name in names if name not in schema]
    for column in schema.columns:
        if column.name not in names and not column.may_be_left_out:
            hint = did_you_mean(column.name, unknown)
            raise DataError(
                f"the column {column.name!r} of the schema must be in {path.name}, however: it is not."
                + (hint or " Add it, or make it optional in the schema.")
            )
    if not any(column.name in names for column in schema.features):
        raise DataError(f"{path.name} must have a feature of the schema, however: its columns are {names}")


def plain_text(name: str) -> str:
    """A name for ids and headers: printable, and short enough to leave room for a digest and a number."""
    plain = ""
    for character in name[: LONGEST_ID - 50]:
        plain += character if character.isprintable() and not character.isspace() else "_"
    return plain


def _number_rows(frame: pd.DataFrame, schema: Schema, *, prefix: str) -> NumberedRows:
    rows: NumberedRows = []
    if frame.empty:
        return rows
    numbers, subjects, records = frame.index.tolist(), row_subjects(frame, schema), json_rows(frame, schema)
    for number, subject, data in zip(numbers, subjects, records, strict=True):
        event_id = f"{prefix}-{number}"
        rows.append((number, FeedRow(event_id=event_id, subject=subject or event_id, data=data)))
    return rows


def _unsplit_row(event_id: str, text: str) -> FeedRow:
    return FeedRow(event_id=event_id, subject=event_id, data={"raw_text": text})


def _row_number(numbered: tuple[int, FeedRow]) -> int:
    return numbered[0]


def _between(frame: pd.DataFrame, start: int, stop: int | None) -> pd.DataFrame:
    numbers = frame.index.to_numpy()
    first = int(np.searchsorted(numbers, start))
    return frame.iloc[first : len(numbers) if stop is None else int(np.searchsorted(numbers, stop))]


def _rebatch(batches: Iterable[NumberedRows], size: int) -> Iterator[NumberedRows]:
    """The same rows in batches of `size`; the last one may be shorter."""
    waiting: NumberedRows = []
    for batch in batches:
        waiting += batch
        n_whole = len(waiting) // size
        for index in range(n_whole):
            yield waiting[index * size : (index + 1) * size]
        waiting = waiting[n_whole * size :]
    if waiting:
        yield waiting


def _digest(identity: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def _check_positive(**counts: int | None) -> None:
    for name, count in counts.items():
        if count is not None and count < 1:
            raise ConfigurationError(f"{name} must be at least 1, however: {name}={count}")

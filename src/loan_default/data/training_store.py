"""The training store: Parquet files of processed events, and the table that they add up to.

    write_part(folder, topic="processed_data", partition=0, first=500, next=1000, rows=events)
    contents = read_store(folder, schema, maturity_days=30, now=datetime.now(UTC))

A part is named after the offsets it was made of: who reads the same range again writes the same file again.
Parts may overlap and lie in any order; the table depends on the events alone.
"""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from loan_default.data.cleaning import digest_of
from loan_default.data.schema import Column, Kind, Schema
from loan_default.errors import ConfigurationError, DataError
from loan_default.files import write_atomically

APPLICATION = "application.processed"
"""An application that passed the schema."""
OUTCOME = "outcome.observed"
"""What became of an application that came earlier."""

_TIME = pa.timestamp("us", tz="UTC")
_KEYS = pa.schema(
    [
        ("event_id", pa.string()),
        ("event_type", pa.string()),
        ("application_id", pa.string()),
        ("event_time", _TIME),
        ("outcome", pa.float64()),
    ]
)
"""Columns of every part; `outcome` is the label that an outcome event brings."""
_PREFIX = "record."
_OUTLINE = b"loan_default.outline"
_PART = re.compile(r".+-[0-9]+-[0-9]{12,}-[0-9]{12,}(-[0-9a-f]{8})?\.parquet")


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One processed event."""

    event_id: str
    event_type: str
    """`APPLICATION` or `OUTCOME`."""
    application_id: str
    event_time: datetime
    """UTC."""
    record: Mapping[str, Any]
    """Application: the canonical record of `records.validate_record`. Outcome: {"label": 1.0 or 0.0}."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StoreContents:
    """What the parts add up to: events = duplicates + superseded + applications + those of outcomes."""

    frame: pd.DataFrame
    """Canonical frame, one row per application, in the order of (event_time, event_id)."""
    digest: str
    """SHA-256 of the frame: its column names, and its values in order."""
    parts: tuple[str, ...]
    """Names of the files, in order."""
    events: int
    """Rows of all parts."""
    duplicates: int
    """Events that were there already, by their ids."""
    superseded: int
    """Applications of which a later event brought another state."""
    applications: int
    """Rows of the frame."""
    first_event_time: datetime | None
    """Of the applications; None without any."""
    last_event_time: datetime | None


def write_part(
    folder: Path,
    *,
    topic: str,
    partition: int,
    first: int,
    next: int,  # noqa: A002 - the offset after the last, as Kafka calls it
    rows: Sequence[StoredEvent],
) -> Path:
    """Write the events of the offsets from `first` to before `next`; the same range is the same file.

    Unless that holds other events, as where a topic was made anew and its offsets count from 0 again: then
    it stays, and these get a name of their own.

    Raises:
        DataError: the range is empty, or an event is neither an application nor an outcome with a label.
    """
    if not 0 <= first < next:
        raise DataError(f"a part must have offsets from 0 upwards, however: first={first}, next={next}")
    table = _table(rows)
    name = f"{topic}-{partition}-{first:012d}-{next:012d}"
    path, ids = folder / f"{name}.parquet", [row.event_id for row in rows]
    if _holds_others(path, ids):
        path = folder / f"{name}-{hashlib.sha256(chr(10).join(ids).encode()).hexdigest()[:8]}.parquet"

    def write(temporary: Path) -> None:
        # Checksums: without them Parquet reads a flipped bit as another number.
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)

    write_atomically(path, write)
    return path


def _holds_others(path: Path, ids: list[str]) -> bool:
    """Whether a part is there, sound, and of other events."""
    if not path.exists():
        return False
    try:
        found: list[str] = pq.read_table(path, columns=["event_id"])["event_id"].to_pylist()
    except (pa.ArrowException, OSError):
        return False  # it is written again
    return found != ids


def holds_parts(folder: Path) -> bool:
    """Whether a folder is a training store with something in it."""
    return any(_PART.fullmatch(path.name) for path in folder.iterdir())


def read_store(
    folder: Path,
    schema: Schema,
    *,
    maturity_days: int,
    now: datetime,
    only: Collection[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> StoreContents:
    """All parts, or those of these names, as one canonical frame, one row per application.

    Args:
        since, until: applications from that time on, and before that time; None = all.

    Copies of an event (the earliest stays) and earlier states of an application are dropped. The latest
    outcome of an application is its label, else the latest that one of its states came with: a state without
    one does not take back what is known. A label counts if its application is at least `maturity_days` old at
    `now` (0 = at once), else it is NaN; the row stays for pretraining. The time of an application is the
    schema's timestamp, or where that is missing the time of its event.

    Raises:
        DataError: a part is absent, damaged, or holds a column in another type than the schema's.
    """
    if maturity_days < 0 or now.tzinfo is None:
        rule = "maturity_days must be at least 0 and now in a time zone"
        raise ConfigurationError(f"{rule}, however: maturity_days={maturity_days}, now={now.isoformat()}")
    parts = _parts(folder, only)
    keys = [_read_keys(path) for path in parts]
    sizes = [part.num_rows for part in keys]
    chosen = _choose(pa.concat_tables([_KEYS.empty_table(), *keys]))
    del keys  # a third of the memory, no longer needed
    frame = _frame(parts, sizes, chosen.rows, schema.columns)
    if schema.target is not None and chosen.superseded:
        states = _frame(parts, sizes, chosen.states, (schema.target,))[schema.target.name].to_numpy()
        frame[schema.target.name] = chosen.latest_known(states)
    times, event_times, outcomes = chosen.times, chosen.times, chosen.outcomes
    if (timestamp := schema.timestamp) is not None:
        times = frame[timestamp.name].fillna(times)
    if since is not None or until is not None:
        inside = _inside(times, since, until)
        frame = frame[inside].reset_index(drop=True)
        times, event_times = (each[inside].reset_index(drop=True) for each in (times, event_times))
        outcomes = outcomes[inside.to_numpy()]
    if (target := schema.target) is not None:
        labels = np.where(np.isnan(outcomes), frame[target.name], outcomes)
        mature = (maturity_days == 0) | (times <= pd.Timestamp(now) - pd.Timedelta(days=maturity_days))
        frame[target.name] = np.where(mature, labels, np.nan)
    return StoreContents(
        frame=frame,
        digest=digest_of(frame),
        parts=tuple(path.name for path in parts),
        events=sum(sizes),
        duplicates=chosen.duplicates,
        superseded=chosen.superseded,
        applications=len(frame),
        first_event_time=event_times.iloc[0].to_pydatetime() if len(frame) else None,
        last_event_time=event_times.iloc[-1].to_pydatetime() if len(frame) else None,
    )


# Writing -------------------------------------------------------------------------------------------------


def _table(rows: Sequence[StoredEvent]) -> pa.Table:
    records = [row.record if row.event_type == APPLICATION else {} for row in rows]
    keys = {
        "event_id": [row.event_id for row in rows],
        "event_type": [row.event_type for row in rows],
        "application_id": [row.application_id for row in rows],
        "event_time": [row.event_time for row in rows],
        "outcome": [_outcome(row) for row in rows],
    }
    names = dict.fromkeys(chain.from_iterable(records))
    columns = {_stored_name(name): _column([record.get(name) for record in records], name) for name in names}
    table = pa.table(keys, schema=_KEYS)
    for name, values in columns.items():
        table = table.append_column(name, values)
    return table.replace_schema_metadata({_OUTLINE: _outline(table.schema, rows=len(rows))})


def _outcome(row: StoredEvent) -> float | None:
    if row.event_type == APPLICATION:
        return None
    label = row.record.get("label") if row.event_type == OUTCOME else None
    if label not in (0.0, 1.0):
        raise DataError(
            f"an event must be {APPLICATION!r} or {OUTCOME!r} with a label of 1.0 or 0.0, however: "
            f"{row.event_id!r} is {row.event_type!r} with label={label!r}"
        )
    return float(label)


def _column(values: list[Any], name: str) -> pa.Array:
    sample = next((value for value in values if value is not None), None)
    kinds = {str: pa.string(), datetime: _TIME, float: pa.float64(), int: pa.float64()}
    kind = next((kinds[kind] for kind in kinds if isinstance(sample, kind)), pa.null())
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(
            f"{name} must be text, a number or a time throughout, however: {kind} and {error}"
        ) from error


def _stored_name(name: str) -> str:
    """A column's name in a part: its own, unless that is one of the store's."""
    return f"{_PREFIX}{name}" if name in _KEYS.names or name.startswith(_PREFIX) else name


# Reading -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Chosen:
    """Which of all rows make the frame, in its order, and what else was found."""

    rows: NDArray[np.int64]
    states: NDArray[np.int64]
    """These and the earlier states of the same applications, in the order of their times."""
    applications: NDArray[np.int64]
    """A number for the application of each state."""
    times: pd.Series
    """Event times of the rows."""
    outcomes: NDArray[np.float64]
    """Labels of these rows by outcome events; NaN = none."""
    duplicates: int
    superseded: int

    def latest_known(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """For each row the latest value, of one for each state, that is not NaN; NaN where all are."""
        known = ~np.isnan(values)
        applications, values = self.applications[known], values[known]
        last = ~_duplicated(applications, keep="last")
        value_of = np.full(int(self.applications.max(initial=-1)) + 1, np.nan)
        value_of[applications[last]] = values[last]
        latest = ~_duplicated(self.applications, keep="last")
        return value_of[self.applications[latest]]


def _choose(keys: pa.Table) -> _Chosen:
    order = pc.sort_indices(
        keys, sort_keys=[("event_time", "ascending"), ("event_id", "ascending")]
    ).to_numpy()
    unique = order[~_duplicated(_codes(keys["event_id"])[order], keep="first")]
    is_application = pc.equal(keys["event_type"], APPLICATION).to_numpy()
    applications, outcomes = unique[is_application[unique]], unique[~is_application[unique]]
    ids = _codes(keys["application_id"])
    rows = applications[~_duplicated(ids[applications], keep="last")]
    latest = outcomes[~_duplicated(ids[outcomes], keep="last")]
    label_of = np.full(len(ids), np.nan)
    label_of[ids[latest]] = keys["outcome"].to_numpy()[latest]
    return _Chosen(
        rows=rows,
        states=applications,
        applications=ids[applications],
        times=pd.Series(keys["event_time"].to_numpy()[rows]).dt.tz_localize("UTC"),
        outcomes=label_of[ids[rows]],
        duplicates=len(order) - len(unique),
        superseded=len(applications) - len(rows),
    )


def _codes(texts: pa.ChunkedArray) -> NDArray[np.int64]:
    """A number for each text, the same for the same; all below the number of texts."""
    # In one piece, whose offsets need more than 32 bits from 2 GiB on: many pieces would take minutes.
    encoded = texts.cast(pa.large_string()).combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices.to_numpy(), dtype=np.int64)


def _duplicated(codes: NDArray[np.int64], *, keep: Literal["first", "last"]) -> NDArray[np.bool_]:
    return pd.Series(codes).duplicated(keep=keep).to_numpy()


def _frame(
    parts: list[Path], sizes: list[int], rows: NDArray[np.int64], columns: tuple[Column, ...]
) -> pd.DataFrame:
    """The given rows of all parts, counted through, in the given order."""
    types = {Kind.NUMERICAL: pa.float64(), Kind.TARGET: pa.float64(), Kind.TIMESTAMP: _TIME}
    fields = {column.name: types.get(column.kind, pa.string()) for column in columns}
    wanted = np.zeros(sum(sizes), bool)
    wanted[rows] = True
    chunks: dict[str, list[pa.Array]] = {name: [] for name in fields}
    for path, size, end in zip(parts, sizes, np.cumsum(sizes).tolist(), strict=True):
        mask = wanted[end - size : end]
        if mask.any():
            table = _read_columns(path, fields).filter(pa.array(mask))
            for name in fields:
                chunks[name] += table[name].chunks
    places = pa.array(np.searchsorted(np.flatnonzero(wanted), rows))
    # A column at a time, so that its parts are gone before the next is put together.
    data = {
        name: pa.chunked_array(chunks.pop(name), kind).take(places).to_pandas()
        for name, kind in fields.items()
    }
    return pd.DataFrame(data, copy=False)


def _inside(times: pd.Series, since: datetime | None, until: datetime | None) -> pd.Series:
    inside = times.notna()
    if since is not None:
        inside &= times >= pd.Timestamp(since)
    if until is not None:
        inside &= times < pd.Timestamp(until)
    return inside


def _parts(folder: Path, only: Collection[str] | None) -> list[Path]:
    there = sorted(path for path in folder.glob("*.parquet") if _PART.fullmatch(path.name))
    if only is None:
        return there
    chosen = [path for path in there if path.name in only]
    if absent := sorted(set(only) - {path.name for path in chosen}):
        raise DataError(
            f"the parts of a snapshot must be in the training store, however: {len(absent)} are not in "
            f"{folder}, among them {absent[0]}. Restore them, or prepare the training data anew."
        )
    return chosen


def _read_keys(path: Path) -> pa.Table:
    return _read(path, _KEYS.names).select(_KEYS.names)


def _read_columns(path: Path, fields: Mapping[str, pa.DataType]) -> pa.Table:
    stored = _read(path, [_stored_name(name) for name in fields])
    columns = {}
    for name, kind in fields.items():
        place = stored.schema.get_field_index(_stored_name(name))
        values = stored.column(place) if place >= 0 else pa.chunked_array([pa.nulls(stored.num_rows)])
        if values.type not in (kind, pa.null()):
            raise DataError(
                f"the column {name!r} must be {kind} in all parts, however: it is {values.type} in "
                f"{path.name}. Give it a new name where its meaning has changed, or use another folder."
            )
        columns[name] = values.cast(kind)
    return pa.table(columns)


def _read(path: Path, names: list[str]) -> pa.Table:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            outline = (file.schema_arrow.metadata or {}).get(_OUTLINE)
            if outline == _outline(file.schema_arrow, rows=file.metadata.num_rows):
                return file.read(columns=names)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, str(error).splitlines()[0]) from error
    raise _damaged(path, "its columns are not those that were written")


def _outline(schema: pa.Schema, *, rows: int) -> bytes:
    # The checksums of Parquet do not cover the names of the columns: a lost one would read as missing values.
    fields = [(field.name, str(field.type)) for field in schema]
    return hashlib.sha256(repr((fields, rows)).encode(errors="replace")).hexdigest().encode()


def _damaged(path: Path, what: str) -> DataError:
    return DataError(
        f"a part of the training store must be a Parquet file of events, however: {path.name}: {what}. "
        "Delete it and read its offsets, which its name says, once more."
    )

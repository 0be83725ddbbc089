"""The training store: the table that its parts add up to.

    contents = read_store(folder, schema, maturity_days=30, now=datetime.now(UTC))

Parts may overlap and lie in any order; the table depends on the events alone. It is the same, and so are all
counts, whether parts lie in files of their own or were compacted into larger ones (`store_compaction`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loan_default.data.datasets.row_hashing import digest_of
from loan_default.data.datasets.store_files import PartFile, find_part_files
from loan_default.data.datasets.store_parts import (
    APPLICATION,
    KEYS,
    TIME,
    stored_name,
)
from loan_default.data.schema.column import Column
from loan_default.data.schema.language import Schema
from loan_default.errors import ConfigurationError, DataError

STORED_TYPES = {"float64": pa.float64(), "datetime64[us, UTC]": TIME, "str": pa.string()}
"""Dtype of canonical values -> their type in a part."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StoreContents:
    """The table that the parts make, and how many events it was made from.

    events = duplicates + superseded + applications + outcome events, where `since` and `until` are None.
    """

    frame: pd.DataFrame
    """Canonical frame, one row per application, in the order of (event_time, event_id)."""
    digest: str
    """SHA-256 of the frame: its column names, and its values in order."""
    parts: tuple[str, ...]
    """Names of the files, in order."""
    events: int
    """Number of rows of all parts."""
    duplicates: int
    """Number of events whose ids occur in an earlier row."""
    superseded: int
    """Number of events of applications that have a later state."""
    applications: int
    """Number of rows of the frame."""
    first_event_time: datetime | None
    """Time of the first event of an application; None without any application."""
    last_event_time: datetime | None
    """Time of the last event of an application; None without any application."""


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
    """Read all parts, or those of these names, as one canonical frame, one row per application.

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
    files = find_part_files(folder, only)
    keys = [file.read(KEYS.names).select(KEYS.names) for file in files]
    sizes = [part.num_rows for part in keys]
    selection = _select(pa.concat_tables([KEYS.empty_table(), *keys]))
    del keys  # a third of the memory, no longer needed
    frame = _frame(files, sizes, selection.rows, schema.columns)
    if schema.target is not None and selection.superseded:
        states = _frame(files, sizes, selection.states, (schema.target,))[schema.target.name].to_numpy()
        frame[schema.target.name] = selection.latest_known(states)
    times, event_times, outcomes = selection.times, selection.times, selection.outcomes
    if (timestamp := schema.timestamp) is not None:
        times = frame[timestamp.name].fillna(times)
    if since is not None or until is not None:
        inside = _inside(times, since, until)
        frame = frame[inside].reset_index(drop=True)
        times = times[inside].reset_index(drop=True)
        event_times = event_times[inside].reset_index(drop=True)
        outcomes = outcomes[inside.to_numpy()]
    if (target := schema.target) is not None:
        labels = np.where(np.isnan(outcomes), frame[target.name], outcomes)
        mature = (maturity_days == 0) | (times <= pd.Timestamp(now) - pd.Timedelta(days=maturity_days))
        frame[target.name] = np.where(mature, labels, np.nan)
    return StoreContents(
        frame=frame,
        digest=digest_of(frame),
        parts=tuple(name for file in files for name in file.names),
        events=sum(sizes),
        duplicates=selection.duplicates,
        superseded=selection.superseded,
        applications=len(frame),
        first_event_time=event_times.iloc[0].to_pydatetime() if len(frame) else None,
        last_event_time=event_times.iloc[-1].to_pydatetime() if len(frame) else None,
    )


# Reading -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Selection:
    """The rows of all parts that make the frame, in its order, with counts of the others."""

    rows: NDArray[np.int64]
    states: NDArray[np.int64]
    """These rows and those of earlier states of the same applications, in the order of their times."""
    applications: NDArray[np.int64]
    """A number for the application of each state."""
    times: pd.Series
    """Event times of the rows."""
    outcomes: NDArray[np.float64]
    """Labels of these rows by outcome events; NaN = none."""
    duplicates: int
    superseded: int

    def latest_known(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """For each row the latest value of its states that is not NaN; NaN where all are."""
        known = ~np.isnan(values)
        applications, values = self.applications[known], values[known]
        last = ~_duplicated(applications, keep="last")
        value_of = np.full(int(self.applications.max(initial=-1)) + 1, np.nan)
        value_of[applications[last]] = values[last]
        latest = ~_duplicated(self.applications, keep="last")
        return value_of[self.applications[latest]]


def _select(keys: pa.Table) -> _Selection:
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
    return _Selection(
        rows=rows,
        states=applications,
        applications=ids[applications],
        times=pd.Series(keys["event_time"].to_numpy()[rows]).dt.tz_localize("UTC"),
        outcomes=label_of[ids[rows]],
        duplicates=len(order) - len(unique),
        superseded=len(applications) - len(rows),
    )


def _codes(texts: pa.ChunkedArray) -> NDArray[np.int64]:
    """A number for each text, equal for equal texts; all are below the number of texts."""
    # As one chunk, whose offsets need more than 32 bits from 2 GiB on: many chunks would take minutes.
    encoded = texts.cast(pa.large_string()).combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices.to_numpy(), dtype=np.int64)


def _duplicated(codes: NDArray[np.int64], *, keep: Literal["first", "last"]) -> NDArray[np.bool_]:
    return pd.Series(codes).duplicated(keep=keep).to_numpy()


def _frame(
    files: list[PartFile], sizes: list[int], rows: NDArray[np.int64], columns: tuple[Column, ...]
) -> pd.DataFrame:
    """The given rows in the given order; they are numbered through all parts."""
    fields = {column.name: STORED_TYPES[column.kind.dtype] for column in columns}
    wanted = np.zeros(sum(sizes), bool)
    wanted[rows] = True
    chunks: dict[str, list[pa.Array]] = {name: [] for name in fields}
    for file, size, end in zip(files, sizes, np.cumsum(sizes).tolist(), strict=True):
        mask = wanted[end - size : end]
        if mask.any():
            table = read_columns(file, fields).filter(pa.array(mask))
            for name in fields:
                chunks[name] += table[name].chunks
    positions = pa.array(np.searchsorted(np.flatnonzero(wanted), rows))
    # A column at a time, so that its chunks are freed before the next one is put together.
    data = {
        name: pa.chunked_array(chunks.pop(name), kind).take(positions).to_pandas()
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


def read_columns(file: PartFile, fields: Mapping[str, pa.DataType]) -> pa.Table:
    """Read columns of a part by their names in the schema; one that it lacks is missing.

    Raises:
        DataError: a column has another type than the one asked for.
    """
    # The id is in every part: a table that has no column of the schema has no number of rows either.
    stored = file.read(["event_id", *(stored_name(name) for name in fields)])
    columns = {}
    for name, kind in fields.items():
        index = stored.schema.get_field_index(stored_name(name))
        values = stored.column(index) if index >= 0 else pa.chunked_array([pa.nulls(stored.num_rows)])
        if values.type not in (kind, pa.null()):
            raise DataError(
                f"the column {name!r} must be {kind} in all parts, however: it is {values.type} in "
                f"{file.path.name}. Give it a new name where its meaning has changed, or use another "
                "folder."
            )
        columns[name] = values.cast(kind)
    return pa.table(columns)

"""Applications by the time at which they arrived: what came to the training store since some hour.

    arrivals = read_arrivals(folder, schema, since=hour, until=now)

The time is that of the event, not that of the schema's timestamp: a file of last year's applications arrives
when it is ingested.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from loan_default.data.datasets.store_files import find_part_files
from loan_default.data.datasets.store_parts import APPLICATION, KEYS, TIME, latest_event_time
from loan_default.data.datasets.training_store import STORED_TYPES, read_columns
from loan_default.data.schema.language import Schema


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Arrivals:
    """Applications in the order of their events, the latest state of each."""

    frame: pd.DataFrame
    """Canonical frame `(N, columns of the schema)`."""
    times: pd.Series
    """`(N,)` event times, in UTC."""


def read_arrivals(folder: Path, schema: Schema, *, since: datetime, until: datetime) -> Arrivals:
    """Read the applications whose events have times from `since` to before `until`.

    Parts that are older are not read beyond their statistics. Copies of an event count once.

    Raises:
        DataError: a part is damaged, or holds a column in another type than the schema's.
    """
    fields = {column.name: STORED_TYPES[column.kind.dtype] for column in schema.columns}
    tables = []
    for file in find_part_files(folder, None) if folder.is_dir() else []:
        latest = latest_event_time(file.path)
        if latest is not None and latest < since:
            continue
        keys = file.read(KEYS.names).select(KEYS.names)
        inside = pc.and_(
            pc.equal(keys["event_type"], APPLICATION),
            pc.and_(
                pc.greater_equal(keys["event_time"], pa.scalar(since, TIME)),
                pc.less(keys["event_time"], pa.scalar(until, TIME)),
            ),
        )
        if not pc.any(inside).as_py():
            continue
        columns = read_columns(file, fields)
        # Under names of their own: a column of the schema may be called like a key.
        named = {f"key.{name}": keys[name] for name in ("event_id", "application_id", "event_time")}
        table = pa.table({**named, **{f"value.{name}": columns[name] for name in fields}})
        tables.append(table.filter(inside).to_pandas())
    if not tables:
        return Arrivals(frame=_empty(fields), times=pd.Series([], dtype="datetime64[us, UTC]"))
    rows = pd.concat(tables, ignore_index=True).sort_values(["key.event_time", "key.event_id"], kind="stable")
    rows = rows.drop_duplicates("key.event_id", keep="first")
    rows = rows.drop_duplicates("key.application_id", keep="last").reset_index(drop=True)
    frame = rows[[f"value.{name}" for name in fields]].set_axis(list(fields), axis="columns")
    return Arrivals(frame=frame, times=rows["key.event_time"])


def _empty(fields: dict[str, pa.DataType]) -> pd.DataFrame:
    empty: pd.DataFrame = pa.table({name: pa.array([], kind) for name, kind in fields.items()}).to_pandas()
    return empty

"""What became of applications: the outcomes in the training store, without any other column of it.

    outcomes = known_outcomes(folder, target="Default", only=applications)      # application -> 1.0 or 0.0

They are those of `read_store`: the latest outcome event counts, else the latest label that a state of the
application came with.
"""

from collections.abc import Collection
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from loan_default.data.datasets.store_files import PartFile, find_part_files
from loan_default.data.datasets.store_parts import APPLICATION, KEYS, stored_name


def known_outcomes(
    folder: Path, *, target: str | None, only: Collection[str] | None = None
) -> dict[str, float]:
    """Return the outcome of each application that has one: 1.0 = default, 0.0 = none.

    Args:
        target: name of the target in the schema of the ingestion; None = labels of applications do not count.
        only: applications to look for; None = all.

    Raises:
        DataError: a part is damaged.
    """
    if not folder.is_dir():
        return {}
    tables = [_labels(file, target, only) for file in find_part_files(folder, None)]
    known = pd.concat([table.to_pandas() for table in tables]) if tables else pd.DataFrame()
    if known.empty:
        return {}
    known = known.sort_values(["is_event", "event_time", "event_id"], kind="stable")
    latest = known.drop_duplicates("application_id", keep="last")
    return dict(zip(latest["application_id"], latest["label"].astype(float), strict=True))


def _labels(file: PartFile, target: str | None, only: Collection[str] | None) -> pa.Table:
    """Return the labels in a file: application, time and id of the event, and whether it is an outcome's."""
    own = None if target is None else stored_name(target)
    table = file.read([*KEYS.names, *([own] if own else [])])
    is_event = pc.not_equal(table["event_type"], APPLICATION)
    labels = table["outcome"].cast(pa.float64())
    if own is not None and own in table.column_names:
        labels = pc.if_else(is_event, labels, table[own].cast(pa.float64()))
    else:
        labels = pc.if_else(is_event, labels, pa.scalar(None, pa.float64()))
    found = pa.table(
        {
            "application_id": table["application_id"],
            "event_time": table["event_time"],
            "event_id": table["event_id"],
            "is_event": is_event,
            "label": labels,
        }
    )
    keep = pc.and_(pc.is_valid(labels), pc.invert(pc.is_nan(pc.fill_null(labels, 0.0))))
    if only is not None:
        keep = pc.and_(keep, pc.is_in(table["application_id"], pa.array(list(only), pa.string())))
    return found.filter(keep)

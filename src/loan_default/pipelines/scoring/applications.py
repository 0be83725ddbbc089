"""One application of a file, as a canonical record."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from loan_default.data.schema.frames import validate
from loan_default.data.schema.language import Schema
from loan_default.data.sources.sniffing import format_for
from loan_default.data.sources.table_files import iter_frames, read_columns
from loan_default.errors import DataError
from loan_default.pipelines.scoring.column_positions import names_by_position


def read_application(path: Path, row: int, *, schema: Schema) -> dict[str, Any]:
    """The canonical record of a row of a file.

    Args:
        row: its number, from 0.

    Raises:
        DataError: the file is unusable, has fewer rows, or the row breaks the schema.
    """
    form = format_for(path, schema)
    found = read_columns(path, form=form)
    present = found if form.header else names_by_position(found, schema)
    read = 0
    for part in iter_frames(path, form=form):
        raw = replace(part, frame=part.frame.set_axis(present, axis=1))
        read += len(raw.frame) + len(raw.rejects)
        if row >= read:
            continue
        chosen = replace(
            raw,
            frame=raw.frame[raw.frame.index == row],
            rejects=raw.rejects[raw.rejects["row"] == row],
        )
        validation = validate(chosen, schema, labelled=False)
        if len(validation.accepted):
            return _record(validation.accepted)
        rules = "; ".join(validation.counts)
        raise DataError(f"an application must keep the schema of the model, however: row {row}: {rules}")
    raise DataError(f"a row must be in the file, however: row={row}, {path.name} has {read} rows")


def _record(accepted: pd.DataFrame) -> dict[str, Any]:
    """The only row of a canonical frame, None for what is missing."""
    (values,) = accepted.to_dict("records")
    record = {}
    for name, value in values.items():
        plain = value.to_pydatetime() if isinstance(value, pd.Timestamp) else value
        record[str(name)] = None if pd.isna(value) else plain
    return record

"""Canonical records that went through JSON, as a model's schema reads them again.

`processed_data` holds what the schema of the ingestion made of an application. The model has a schema of its
own, which reads records as they come from a source: so what only a source writes differently is written back.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from loan_default.data.schema.column import TIME_KINDS
from loan_default.data.schema.language import Schema

Record = dict[str, Any]


def record_reader(schema: Schema) -> Callable[[Mapping[str, Any]], Record]:
    """Return a function from the data of a processed event to a record for the reader of this schema.

    JSON has no times, and a canonical record has none of the codes that stand for "no value": both are
    restored. The outcome is left out: a score does not depend on it, and its canonical form is no spelling of
    it. What is not canonical passes as it is, so that the reader can name the rule that it breaks.
    """
    times = frozenset(column.name for column in schema.columns if column.kind in TIME_KINDS)
    codes = {
        column.name: column.special[0] for column in schema.columns if column.special and not column.nullable
    }
    outcome = schema.target.name if schema.target else None

    def read(data: Mapping[str, Any]) -> Record:
        record = {name: value for name, value in data.items() if name != outcome}
        for name in times:
            if isinstance(value := record.get(name), str):
                record[name] = _time(value)
        for name, code in codes.items():
            if name in record and record[name] is None:
                record[name] = code
        return record

    return read


def _time(text: str) -> datetime | str:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text

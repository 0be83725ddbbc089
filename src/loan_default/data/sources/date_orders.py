"""Whether the dates of a file begin with the day where its schema says the month, or the other way round.

Then the days up to 12 would be read as other dates, and the rest would be quarantined: the file is refused.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loan_default.data.schema.column import TIME_KINDS, Column
from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import table_heading
from loan_default.data.schema.time_texts import time_reader
from loan_default.errors import DataError

_FEWEST, _FEWEST_SHARE, _CLEAR_SHARE = 3, 0.02, 0.2
"""So many dates, and such a share of them, that only the other order can read; or the latter share alone."""
_MOST_AGAINST = 0.1
"""Dates that only the declared order reads, as a multiple of those, from which on they may be slips."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherOrder:
    """A column whose dates have the other order of day and month."""

    column: str
    declared: str
    found: str
    """The pattern that reads them."""
    n_unreadable: int
    """Values that the declared pattern cannot read and the other can."""
    n_values: int


def has_order(column: Column) -> bool:
    """Whether day and month of a column's dates are both numbers, so that they may be exchanged."""
    return bool(column.kind in TIME_KINDS and _swapped(column.format))


def check_orders(source: str, schema: Schema, columns: Mapping[str, Sequence[str]]) -> None:
    """Check that the dates of a file have the order of day and month of its schema.

    Args:
        source: name of the file.
        columns: raw values of a sample of its rows.

    Raises:
        DataError: those of a column have the other one.
    """
    for name, texts in columns.items():
        order = other_order(schema[name], texts) if name in schema else None
        if order is not None:
            raise DataError(
                f"{source} must have its dates as its schema says, however: of {order.n_values:,} dates in "
                f"{name!r}, {order.n_unreadable:,} cannot be read as {order.declared} and can be as "
                f"{order.found}: the others would change day and month. Write them as {order.declared}. A "
                f'schema file can be changed: format = "{order.found}" below {table_heading(name)}. The '
                "schema within a model cannot: to score files that are written like this one, train on one "
                "of them."
            )


def other_order(column: Column, texts: Sequence[str]) -> OtherOrder | None:
    """How a column's dates are written if day and month stand in the other order; None = they do not.

    Args:
        texts: raw values, missing ones among them.
    """
    swapped = _swapped(column.format) if column.kind in TIME_KINDS else ""
    if not swapped:
        return None
    read, read_swapped = time_reader(column.format), time_reader(swapped)
    n_values = only_declared = only_swapped = 0
    for text in texts:
        value = text.strip()
        is_read, is_read_swapped = read(value) is not None, read_swapped(value) is not None
        n_values += is_read or is_read_swapped
        only_declared += is_read and not is_read_swapped
        only_swapped += is_read_swapped and not is_read
    is_often = only_swapped >= max(_FEWEST, _FEWEST_SHARE * n_values)
    is_clear = only_swapped > 0 and only_swapped >= _CLEAR_SHARE * n_values
    if not (is_often or is_clear) or only_declared > _MOST_AGAINST * only_swapped:
        return None
    return OtherOrder(
        column=column.name,
        declared=column.format,
        found=swapped,
        n_unreadable=only_swapped,
        n_values=n_values,
    )


def _swapped(pattern: str) -> str:
    """The pattern with day and month exchanged; "" where it has not both as numbers."""
    if not {"%d", "%m"} <= set(re.findall("%.", pattern)):
        return ""
    return re.sub("%[dm]", lambda match: {"%d": "%m", "%m": "%d"}[match[0]], pattern)

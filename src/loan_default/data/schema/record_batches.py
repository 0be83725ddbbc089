"""Many single records at once: columns are read whole, only a record in doubt is validated by itself.

The result for each record is that of `records.validate_record`. Most values are numbers within their bounds
and known categories; checking a whole column for that takes a fraction of the time.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from loan_default.data.schema.column import NUMBER_KINDS, Column
from loan_default.data.schema.language import Schema
from loan_default.data.schema.number_rules import number_problems
from loan_default.data.schema.number_texts import missing_numbers
from loan_default.data.schema.records import RecordError, record_model, validate_record
from loan_default.data.schema.values import is_missing, value_reader

_ABSENT = object()
"""Marks that a record has no value where it must have one."""
_NUMBERS = frozenset({int, float, type(None)})
_CODES = frozenset({str, int, float, bool})
_FLOAT_BITS = 1023
"""A whole number of more bits may be more than a float can hold."""

Canonical = dict[str, Any]
_Read = Callable[[tuple[Any, ...], set[int]], list[Any]]
"""From the values of a column to canonical ones; adds the positions of those that are in doubt."""


class RecordBatchReader:
    """Reads and validates batches of records by a schema."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._model = record_model(schema)
        self._names = tuple(column.name for column in schema.columns)
        self._known = frozenset(self._names)
        self._defaults = [(each.name, None if each.may_be_left_out else _ABSENT) for each in schema.columns]
        self._blank_row = (None,) * len(self._names)
        self._pick = (
            itemgetter(*self._names) if len(self._names) > 1 else lambda record: (record[self._names[0]],)
        )
        self._columns = [_column_reader(column) for column in schema.columns]

    def __call__(self, records: Sequence[Mapping[str, Any]]) -> list[Canonical | RecordError]:
        """Return for each record what `validate_record` returns or raises."""
        if not records:
            return []
        doubtful: set[int] = set()
        rows = [self._row(record, position, doubtful) for position, record in enumerate(records)]
        values = zip(*rows, strict=True)
        columns = [read(column, doubtful) for read, column in zip(self._columns, values, strict=True)]
        read_records: list[Canonical | RecordError] = [
            dict(zip(self._names, row, strict=True)) for row in zip(*columns, strict=True)
        ]
        for position in doubtful:
            read_records[position] = self._read_single(records[position])
        return read_records

    def _row(self, record: Mapping[str, Any], position: int, doubtful: set[int]) -> tuple[Any, ...]:
        if type(record) is not dict or not record.keys() <= self._known:
            doubtful.add(position)
            return self._blank_row
        if len(record) == len(self._names):
            return self._pick(record)
        return tuple([record.get(name, default) for name, default in self._defaults])

    def _read_single(self, record: Mapping[str, Any]) -> Canonical | RecordError:
        try:
            return validate_record(record, self._schema, model=self._model)
        except RecordError as error:
            return error


def _column_reader(column: Column) -> _Read:
    return _number_reader(column) if column.kind in NUMBER_KINDS else _code_reader(column)


def _number_reader(column: Column) -> _Read:
    markers = missing_numbers(column)
    kinds = _NUMBERS | {bool} if column.format == "boolean" else _NUMBERS

    def read(values: tuple[Any, ...], doubtful: set[int]) -> list[Any]:
        known: Sequence[Any] = values
        if not kinds.issuperset(map(type, values)):
            known = _without(doubtful, values, lambda value: type(value) not in kinds)
        try:
            numbers = np.array(known, dtype=np.float64)
        except OverflowError:
            known = _without(
                doubtful, known, lambda value: type(value) is int and value.bit_length() > _FLOAT_BITS
            )
            numbers = np.array(known, dtype=np.float64)
        missing = np.isnan(numbers)
        if missing.any():
            # None is missing, NaN is a mistake.
            gaps = np.flatnonzero(missing).tolist()
            doubtful.update(gap for gap in gaps if not column.nullable or known[gap] is not None)
        if markers:
            doubtful.update(np.flatnonzero(np.isin(numbers, markers)).tolist())
        if column.special:
            missing |= np.isin(numbers, column.special)
            numbers[missing] = np.nan
        for _, broken in number_problems(numbers, column):
            doubtful.update(np.flatnonzero(broken).tolist())
        canonical: list[Any] = (numbers + 0.0).tolist()  # adding 0.0 turns -0.0 into 0.0
        for position in np.flatnonzero(missing).tolist():
            canonical[position] = None
        return canonical

    return read


def _code_reader(column: Column) -> _Read:
    read_one = value_reader(column)

    def read(values: tuple[Any, ...], doubtful: set[int]) -> list[Any]:
        # 1, 1.0 and true are one key of a dict, yet three codes; a list is no key at all. NaN is a mistake.
        kinds = Counter(map(type, values))
        kinds.pop(type(None), None)
        usual = max((kind for kind in kinds if kind in _CODES), key=kinds.__getitem__, default=str)
        if kinds.keys() - {usual} or usual is float:
            values = tuple(
                _without(doubtful, values, lambda value: type(value) is not usual or is_missing(value))
            )
        readings = {value: read_one(value) for value in set(values)}
        if any(rule for _, rule in readings.values()):
            doubtful.update(position for position, value in enumerate(values) if readings[value][1])
        return [readings[value][0] for value in values]

    return read


def _without(doubtful: set[int], values: Sequence[Any], is_unusual: Callable[[Any], bool]) -> list[Any]:
    """The values, with None for those that are unusual and therefore doubtful."""
    positions = {position for position, value in enumerate(values) if value is not None and is_unusual(value)}
    doubtful |= positions
    return [None if position in positions else value for position, value in enumerate(values)]

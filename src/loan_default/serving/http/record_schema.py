"""The JSON Schema of an application, as clients and the page need it: from the schema of the model.

It says more than `records.record_model`: units, words for categories, what a column is for, and an example
that validates. The server reads by the model's schema itself; this only describes it.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from loan_default.data.schema.column import NUMBER_KINDS, TIME_KINDS, Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.schema.records import RecordError, record_model, validate_record
from loan_default.serving.http.usual_values import UsualValues

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EXAMPLE_TIME = datetime(2024, 1, 31, 12, tzinfo=UTC)
_DAYS_OF_YEAR = 365.25
_MOST_YEARS = 100
"""A usual date that is longer ago is not in the example."""


def application_schema(schema: Schema, *, usual: UsualValues | None = None) -> dict[str, Any]:
    """The JSON Schema of one application.

    Beside the words of JSON Schema each property has `x-kind` and `x-feature` (whether the model sees it),
    and where they exist `x-unit`, `x-labels` (category -> words), `x-known` (categories of an open column)
    and `x-usual-range` (between which nearly all training rows lie). `examples` holds one application.

    Args:
        usual: for the example and the ranges; None = the example is made from bounds and categories alone.
    """
    usual = usual or UsualValues(typical={}, ranges={})
    described = record_model(schema).model_json_schema(by_alias=True)
    columns = {column.name: column for column in schema.columns if column.kind is not Kind.TARGET}
    properties = {name: _property(column, described["properties"][name]) for name, column in columns.items()}
    for name in usual.ranges.keys() & properties.keys():
        properties[name]["x-usual-range"] = list(usual.ranges[name])
    return {
        "$schema": _DIALECT,
        "title": schema.name,
        "description": schema.description or "An application for a loan.",
        "type": "object",
        "properties": properties,
        "required": [name for name, column in columns.items() if not column.may_be_left_out],
        "additionalProperties": False,
        "examples": [example_application(schema, typical=_typical(schema, usual))],
    }


def example_application(schema: Schema, *, typical: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """An application that the schema accepts, with all features and all columns that must be given.

    The time of the application is there too where a feature is derived from it.

    Args:
        typical: column -> a usual value; one that the column does not accept is not taken.
    """
    model = record_model(schema)
    example: dict[str, Any] = {}
    application_time = (
        schema.timestamp if any(each.derive and each.is_feature for each in schema.columns) else None
    )
    for column in schema.columns:
        if column.kind is Kind.TARGET or column.protected:
            wanted = not column.may_be_left_out and column.kind is not Kind.TARGET
        else:
            wanted = column.is_feature or not column.may_be_left_out or column.kind is Kind.IDENTIFIER
        if wanted or column is application_time:
            example[column.name] = _example(column)
    for name, value in (typical or {}).items():
        if name not in example or value is None:
            continue
        changed = example | {name: value}
        try:
            validate_record(changed, schema, model=model)
        except RecordError:
            continue
        example = changed
    return example


def _typical(schema: Schema, usual: UsualValues) -> dict[str, Any]:
    """Column -> a usual value, dates as they are written."""
    dates = {
        name: _example_time(schema[name], before=timedelta(days=round(years * _DAYS_OF_YEAR)))
        for name, years in usual.years.items()
        if 0 <= years <= _MOST_YEARS
    }
    return {**usual.typical, **dates}


def _property(column: Column, described: Mapping[str, Any]) -> dict[str, Any]:
    """The description of one column; `described` is what pydantic says of it."""
    content = {key: value for key, value in described.items() if key not in ("default", "title")}
    if column.is_coded and not column.open:
        _add_aliases(content, column)
    if (column.is_coded and column.open) or column.kind is Kind.IDENTIFIER:
        _add_other_codes(content)
    content |= {"title": column.name, "x-kind": str(column.kind), "x-feature": column.is_feature}
    if column.unit:
        content["x-unit"] = column.unit
    if column.labels:
        content["x-labels"] = dict(column.labels)
    if column.is_coded and column.open and column.categories:
        content["x-known"] = list(column.categories)
    return content


def _add_aliases(content: dict[str, Any], column: Column) -> None:
    """Let an enumeration name the other spellings too, which are read as well."""
    for part in (content, *content.get("anyOf", ())):
        if "enum" in part:
            part["enum"] = [*part["enum"], *(each for each in column.aliases if each not in part["enum"])]


def _add_other_codes(content: dict[str, Any]) -> None:
    """Let codes and ids be numbers and truth values too, which are read as their text."""
    for part in (content, *content.get("anyOf", ())):
        if part.get("type") == "string":
            part["type"] = ["string", "number", "boolean"]


def _example(column: Column) -> Any:
    if column.kind in NUMBER_KINDS:
        return _example_number(column)
    if column.is_coded:
        return column.categories[len(column.categories) // 2] if column.categories else "other"
    if column.kind in TIME_KINDS:
        return _example_time(column)
    return "example-1"


def _example_number(column: Column) -> float | int:
    low = column.minimum if column.minimum is not None else -math.inf
    high = column.maximum if column.maximum is not None else math.inf
    special = set(column.special)
    middle = (low + high) / 2 if math.isfinite(low + high) else max(low, min(high, 1.0))
    candidates = (
        [math.floor(middle), math.ceil(low) if math.isfinite(low) else 0, *range(math.ceil(max(low, -9)), 9)]
        if column.integer or column.format == "boolean"
        else [middle, low, high, 1.0]
    )
    for value in candidates:
        if low <= value <= high and value not in special and math.isfinite(value):
            return value
    return 1


def _example_time(column: Column, *, before: timedelta = timedelta()) -> Any:
    """The time of the example, or one that long before it, as the column writes it."""
    at = _EXAMPLE_TIME - before
    if column.format in ("epoch_seconds", "epoch_milliseconds"):
        return round(at.timestamp()) * (1_000 if column.format == "epoch_milliseconds" else 1)
    if column.format == "spreadsheet":
        return 45_322 - before.days
    if column.format:
        return at.strftime(column.format)
    return at.isoformat().replace("+00:00", "Z")

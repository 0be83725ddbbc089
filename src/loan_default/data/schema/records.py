"""Single records, as they come as JSON from a stream or a request, against a schema.

Records are typed: a number is a number ("5" and true are not), unknown fields are refused. Apart from
that a record is validated exactly like a row of a file.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    create_model,
)
from pydantic_core import PydanticCustomError

from loan_default.data.schema.column import NUMBER_KINDS, TIME_KINDS, Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.schema.number_rules import MUST_BE_FINITE
from loan_default.data.schema.number_texts import has_rules
from loan_default.data.schema.values import Reader, reason, show, time_rule, value_reader
from loan_default.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd


class RecordError(DataError):
    """A record breaks its schema; the message quotes the values, `rules` does not."""

    def __init__(self, message: str, rules: tuple[str, ...]) -> None:
        super().__init__(message)
        self.rules = rules
        """The broken rules, such as `income: must be at least 0`, in the order of the schema."""


def record_model(schema: Schema) -> type[BaseModel]:
    """A pydantic model of one record; its fields have the columns' names as aliases.

    Columns that are nullable, optional or the target may be absent. Building takes long: do it once a schema.
    """
    fields: dict[str, Any] = {
        # Column names need not be Python names ("default.payment.next.month"); aliases may be anything.
        f"column_{index}": (_field_type(column), _field_default(column))
        for index, column in enumerate(schema.columns)
    }
    model: type[BaseModel] = create_model(
        "Record",
        __config__=ConfigDict(extra="forbid", frozen=True, title=schema.name),
        __doc__=schema.description,
        **fields,
    )
    return model


def validate_record(
    record: Mapping[str, Any], schema: Schema, *, model: type[BaseModel] | None = None
) -> dict[str, Any]:
    """The canonical record: every column of the schema, None where the value is missing.

    Numbers are floats, codes and identifiers text, times UTC datetimes, labels 1.0 or 0.0. Give the
    `record_model` of the schema when there are many records.

    Raises:
        RecordError: all reasons, joined by "; ", in the order of the schema.
    """
    if not isinstance(record, Mapping):
        rule = "a record must be an object of named values"
        raise RecordError(f"{rule}, however: {show(record)}", (rule,))
    model = model or record_model(schema)
    try:
        read = model.model_validate(dict(record))
    except ValidationError as error:
        # The original error holds the values; it must not follow this one into a log.
        reasons, rules = zip(*_problems(error, schema), strict=True)
        raise RecordError("; ".join(reasons), tuple(dict.fromkeys(rules))) from None
    return {column.name: getattr(read, f"column_{index}") for index, column in enumerate(schema.columns)}


def records_frame(records: Iterable[Mapping[str, Any]], schema: Schema) -> "pd.DataFrame":
    """Canonical records as one canonical frame with all columns of the schema."""
    import pandas as pd  # noqa: PLC0415 (a process that reads single records does without)

    rows = list(records)
    return pd.DataFrame(
        {
            column.name: pd.Series([row[column.name] for row in rows], dtype=column.kind.dtype)
            for column in schema.columns
        }
    )


def _field_type(column: Column) -> Any:
    validator = PlainValidator(partial(_read, read=value_reader(column)))
    return Annotated[Any, validator, WithJsonSchema(_json_schema(column))]


def _field_default(column: Column) -> Any:
    default = None if column.may_be_left_out else ...
    return Field(default=default, alias=column.name, description=column.description or None)


def _read(value: object, *, read: Reader) -> Any:
    # In a file NaN is how a missing number looks; in a record it is a mistake, and null says missing.
    is_nan = isinstance(value, float) and math.isnan(value)
    canonical, rule = (None, MUST_BE_FINITE) if is_nan else read(value)
    if rule:
        raise PydanticCustomError("rule", "{reason}", {"reason": reason(rule, value), "rule": rule})
    return canonical


def _problems(error: ValidationError, schema: Schema) -> Iterator[tuple[str, str]]:
    """The problems in the order of the schema: in full, and as a rule without any value or unknown name."""
    for problem in error.errors(include_url=False, include_input=False):
        name = str(problem["loc"][0])
        if problem["type"] == "missing":
            rule = f"{name}: must be given"
            yield rule, rule
        elif problem["type"] == "rule":
            yield f"{name}: {problem['msg']}", f"{name}: {problem['ctx']['rule']}"
        else:
            rule = "fields must be columns of the schema"
            hint = did_you_mean(name, [column.name for column in schema.columns])
            yield f"{rule}, however: {show(name)}.{hint}", rule


def _json_schema(column: Column) -> dict[str, Any]:
    """What the JSON schema says of a field; `value_reader` is what validates it."""
    schema: dict[str, Any] = {"type": "string"}
    if column.kind in NUMBER_KINDS:
        bounds = {"minimum": column.minimum, "maximum": column.maximum}
        bounds |= {"exclusiveMinimum": 0} if column.kind is Kind.WEIGHT else {}
        schema = {"type": "integer" if column.integer else "number"}
        schema |= {key: bound for key, bound in bounds.items() if bound is not None}
        if has_rules(column):
            others = ["string", *(["boolean"] if column.format == "boolean" else [])]
            others += ["null"] if column.nullable else []
            return {"anyOf": [schema, *({"type": other} for other in others)]}
    elif column.is_coded and not column.open:
        schema["enum"] = list(column.categories)
    elif column.kind is Kind.TARGET:
        if not column.open:
            schema["enum"] = [column.negative, column.positive, *column.aliases, *column.without_outcome]
    elif column.kind in TIME_KINDS:
        schema = _json_schema_of_time(column)
    nullable = column.nullable or column.kind is Kind.TARGET
    return {"anyOf": [schema, {"type": "null"}]} if nullable else schema


def _json_schema_of_time(column: Column) -> dict[str, Any]:
    if not column.format:
        return {"type": "string", "format": "date-time"}
    return {"type": ["string", "number"], "description": time_rule(column)}

"""The part of MongoDB's query language that the repositories use, on plain documents.

Filters, updates, projections and the order of values, as a server applies them. Filters, sorts and indexes
take top-level fields with plain values. Everything outside this part raises, so that the embedded document
store never answers another question than a server would.
Source: MongoDB manual, "Query and Projection Operators", "Update Operators", "Comparison/Sort Order".
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import NoneType, UnionType
from typing import Any

from bson import ObjectId
from pymongo.errors import OperationFailure, WriteError

Document = dict[str, Any]
Sort = Sequence[tuple[str, int]]
"""Fields, the one that decides first, each with 1 for up or -1 for down."""

_KINDS: tuple[type | UnionType, ...] = (NoneType, int | float, str, ObjectId, bool, datetime)
"""Types in the order in which a server sorts them."""

BAD_VALUE = 2
TYPE_MISMATCH = 14
IMMUTABLE_FIELD = 66


def matches(document: Mapping[str, Any], condition: Mapping[str, Any]) -> bool:
    """Return whether the document satisfies the filter; OperationFailure for an operator outside the part."""
    for field, wanted in condition.items():
        if field.startswith("$"):
            raise _unsupported("filter operator", field)
        if not value_matches(value_at(document, field), wanted):
            return False
    return True


def value_matches(value: Any, wanted: Any) -> bool:
    """Return whether a field with this value satisfies the condition on it; None is a missing field too."""
    operators = _operators(wanted)
    if operators is None:
        return _equals(value, wanted)
    for operator, operand in operators.items():
        if operator not in _TESTS:
            raise _unsupported("filter operator", operator)
        if not _TESTS[operator](value, operand):
            return False
    return True


def fixed_values(wanted: Any) -> list[Any] | None:
    """Return the values among which a condition wants a field to be, or None where it does not fix them."""
    operators = _operators(wanted)
    if operators is None:
        return [wanted]
    return operators.get("$in")


def value_at(document: Mapping[str, Any], field: str) -> Any:
    """Return the value of a field, None where it is missing; OperationFailure for lists and documents."""
    if "." in field:
        raise _unsupported("field within a field", field)
    value = document.get(field)
    if isinstance(value, list | dict):
        raise _unsupported("filter, index or sort on a list or document, field", field)
    return value


def updated(document: Document, update: Mapping[str, Any]) -> Document:
    """Return a changed copy of the document; WriteError as a server's, ValueError without operators."""
    if not update or not all(key.startswith("$") for key in update):
        raise ValueError(f"an update must consist of $ operators, however: keys={list(update)}")
    result = dict(document)
    for operator, changes in update.items():
        if operator not in ("$set", "$inc"):
            raise _unsupported("update operator", operator)
        for field, value in changes.items():
            if "." in field:
                raise _unsupported("field within a field", field)
            result[field] = value if operator == "$set" else _increased(result, field, value)
    if order_key(result["_id"]) != order_key(document["_id"]):
        raise WriteError("_id must not change, however: the update changes it", IMMUTABLE_FIELD)
    return result


def project(document: Document, projection: Mapping[str, Any] | None) -> Document:
    """Return the document with the fields marked 1 and its `_id` alone; with None the whole of it."""
    if projection is None:
        return document
    for name, mark in projection.items():
        if "." in name or mark != 1:
            raise _unsupported("projection", str(dict(projection)))
    return {name: value for name, value in document.items() if name in projection or name == "_id"}


def order_key(value: Any) -> tuple[int, Any]:
    """Return a key that sorts values as a server does: by type first; equal keys mean equal values."""
    if isinstance(value, bool):  # an int as well in Python, far from the numbers on a server
        return _KINDS.index(bool), value
    for rank, kind in enumerate(_KINDS):
        if isinstance(value, kind):
            return rank, value
    raise _unsupported("value of type", type(value).__name__)


def in_order(found: Iterable[tuple[int, Document]], sort: Sort) -> list[tuple[int, Document]]:
    """Return row ids and documents, sorted as a server does; equals keep their order."""
    result = list(found)
    for field, direction in reversed(sort):  # the one that decides comes last
        result.sort(key=lambda item: order_key(value_at(item[1], field)), reverse=direction < 0)
    return result


def _operators(wanted: Any) -> dict[str, Any] | None:
    """Return the condition as operators, or None where it is a plain value."""
    if not isinstance(wanted, dict) or not any(key.startswith("$") for key in wanted):
        return None
    return wanted


def _equals(value: Any, wanted: Any) -> bool:
    return order_key(value) == order_key(wanted)


def _in(value: Any, wanted: list[Any]) -> bool:
    return any(_equals(value, each) for each in wanted)


def _compares(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(value: Any, limit: Any) -> bool:
        if limit is None:
            raise _unsupported("comparison with", "null")
        (kind, ours), (wanted_kind, theirs) = order_key(value), order_key(limit)
        return kind == wanted_kind and test(ours, theirs)

    return compare


_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "$ne": lambda value, wanted: not _equals(value, wanted),
    "$in": _in,
    "$gt": _compares(lambda value, limit: value > limit),
    "$gte": _compares(lambda value, limit: value >= limit),
    "$lt": _compares(lambda value, limit: value < limit),
    "$lte": _compares(lambda value, limit: value <= limit),
}


def _increased(document: Document, field: str, step: Any) -> Any:
    now = document.get(field, 0)
    if isinstance(now, bool) or not isinstance(now, int | float):
        raise WriteError(f"$inc must meet a number, however: type={type(now).__name__}", TYPE_MISMATCH)
    return now + step


def _unsupported(what: str, value: str) -> OperationFailure:
    return OperationFailure(f"The embedded document store does not know the {what} {value!r}", BAD_VALUE)

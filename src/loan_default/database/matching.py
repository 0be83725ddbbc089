"""The part of MongoDB's query language that the repositories use, on plain documents.

Filters, updates, projections and the order of values, as a server applies them. Everything outside this part
raises, so that the embedded store never answers another question than a server would.
Source: MongoDB manual, "Query and Projection Operators", "Update Operators", "Comparison/Sort Order".
"""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import NoneType, UnionType
from typing import Any

from bson import ObjectId
from pymongo.errors import OperationFailure, WriteError

Document = dict[str, Any]
Sort = Sequence[tuple[str, int]]
"""Fields, the one that decides first, each with 1 for up or -1 for down."""

_KINDS: tuple[type | UnionType, ...] = (
    NoneType, int | float, str, dict, list, bytes, ObjectId, bool, datetime,
)  # fmt: skip
"""Types in the order in which a server sorts them."""

IMMUTABLE_FIELD = 66
TYPE_MISMATCH = 14
CANNOT_CREATE_FIELD = 28
BAD_VALUE = 2


def matches(document: Mapping[str, Any], condition: Mapping[str, Any]) -> bool:
    """Whether the document satisfies the filter; OperationFailure for an operator outside the part above."""
    for key, wanted in condition.items():
        if key == "$and":
            accepted = all(matches(document, part) for part in wanted)
        elif key == "$or":
            accepted = any(matches(document, part) for part in wanted)
        elif key.startswith("$"):
            raise _unsupported("filter operator", key)
        else:
            accepted = _field_matches(values_at(document, key), wanted)
        if not accepted:
            return False
    return True


def updated(document: Document, update: Mapping[str, Any], *, inserting: bool) -> Document:
    """A changed copy of the document; WriteError as a server's, ValueError without operators."""
    if not update or not all(key.startswith("$") for key in update):
        raise ValueError(f"an update must consist of $ operators, however: keys={list(update)}")
    result = copy.deepcopy(document)
    for operator, changes in update.items():
        if operator == "$setOnInsert" and not inserting:
            continue
        if operator not in _CHANGES:
            raise _unsupported("update operator", operator)
        for path, value in changes.items():
            _change_at(result, path, _CHANGES[operator], value)
    return _same_id(document, result)


def replaced(document: Document, replacement: Mapping[str, Any]) -> Document:
    """The replacement under the document's `_id`; WriteError where it names another."""
    if any(key.startswith("$") for key in replacement):
        raise ValueError(f"a replacement must hold no $ operators, however: keys={list(replacement)}")
    kept = {"_id": document["_id"]} if "_id" in document else {}
    return _same_id(document, kept | dict(replacement))


def upsert_base(condition: Mapping[str, Any]) -> Document:
    """The document that an upsert starts from: the fields that the filter fixes by equality."""
    base: Document = {}
    for key, wanted in condition.items():
        if key == "$and":
            for part in wanted:
                base |= upsert_base(part)
        elif not key.startswith("$"):
            operators = _operators(wanted)
            if operators is None or "$eq" in operators:
                value = wanted if operators is None else operators["$eq"]
                _change_at(base, key, _CHANGES["$set"], value)
    return base


def fixed_values(wanted: Any) -> list[Any] | None:
    """The values among which a condition wants a field to be, or None where it does not say so."""
    operators = _operators(wanted)
    if operators is None:
        values = [wanted]
    elif "$eq" in operators:
        values = [operators["$eq"]]
    elif "$in" in operators:
        values = operators["$in"]
    else:
        return None
    return None if any(isinstance(value, list) for value in values) else values


def decided_by_key(wanted: Any) -> bool:
    """Whether an index key decides a condition: keys hold no lists, and null where a field is missing."""
    operators = _operators(wanted)
    if operators is None:
        values = [wanted]
    elif set(operators) <= _OF_KEYS:
        values = [item for name, value in operators.items() for item in (value if name == "$in" else [value])]
    else:
        return False
    return not any(value is None or isinstance(value, list | dict) for value in values)


def value_matches(value: Any, wanted: Any) -> bool:
    """Whether a field with this value satisfies the condition on it."""
    return _field_matches([value], wanted)


def values_at(document: Mapping[str, Any], path: str) -> list[Any]:
    """All values at a dotted path: none where it is missing, several through lists."""
    if "." not in path:
        return [document[path]] if path in document else []
    return _values(document, path.split("."))


def value_at(document: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, None where it is missing; for indexes and sorting, which take no lists."""
    found = values_at(document, path)
    if len(found) > 1 or (found and isinstance(found[0], list)):
        raise _unsupported("index or sort on a list, field", path)
    return found[0] if found else None


def project(document: Document, projection: Mapping[str, Any] | Iterable[str] | None) -> Document:
    """Only the named top-level fields (and `_id`), or all but those marked 0."""
    if projection is None:
        return document
    marks = dict(projection) if isinstance(projection, Mapping) else dict.fromkeys(projection, 1)
    if any("." in name or mark not in (0, 1) for name, mark in marks.items()):
        raise _unsupported("projection", str(marks))
    if any(mark for name, mark in marks.items() if name != "_id") or marks.get("_id"):
        kept = {name for name, mark in marks.items() if mark} | ({"_id"} if marks.get("_id", 1) else set())
        return {name: value for name, value in document.items() if name in kept}
    return {name: value for name, value in document.items() if marks.get(name, 1)}


def order_key(value: Any) -> tuple[int, Any]:
    """A key that sorts values as a server does: by type first; equal keys mean equal values."""
    rank = _rank(value)
    if isinstance(value, dict):
        return rank, tuple((name, order_key(item)) for name, item in value.items())
    if isinstance(value, list):
        return rank, tuple(order_key(item) for item in value)
    return rank, value


def in_order(found: Iterable[tuple[int, Document]], sort: Sort) -> list[tuple[int, Document]]:
    """Places and documents, sorted as a server does; equals keep their order."""
    result = list(found)
    for field, direction in reversed(sort):  # the one that decides comes last
        result.sort(key=lambda item: order_key(value_at(item[1], field)), reverse=direction < 0)
    return result


def _rank(value: Any) -> int:
    if isinstance(value, bool):  # an int as well in Python, far from the numbers on a server
        return _KINDS.index(bool)
    for rank, kind in enumerate(_KINDS):
        if isinstance(value, kind):
            return rank
    raise _unsupported("value of type", type(value).__name__)


def _same_id(document: Document, result: Document) -> Document:
    if "_id" in document and order_key(result.get("_id")) != order_key(document["_id"]):
        raise WriteError("_id must not change, however: the update changes it", IMMUTABLE_FIELD)
    return result


def _values(value: Any, path: list[str]) -> list[Any]:
    """All values at a path: one in nested documents, several through lists, none where it is missing."""
    if not path:
        return [value]
    head, *rest = path
    if isinstance(value, Mapping):
        return _values(value[head], rest) if head in value else []
    if isinstance(value, list):
        found = _values(value[int(head)], rest) if head.isdigit() and int(head) < len(value) else []
        return found + [leaf for item in value if isinstance(item, dict) for leaf in _values(item, path)]
    return []


def _operators(wanted: Any) -> dict[str, Any] | None:
    """The condition as operators, or None where it is a plain value."""
    if not isinstance(wanted, dict) or not any(key.startswith("$") for key in wanted):
        return None
    return wanted


def _field_matches(found: list[Any], wanted: Any) -> bool:
    operators = _operators(wanted)
    if operators is None:
        return _equals(found, wanted)
    for operator in operators:
        if operator not in _TESTS:
            raise _unsupported("filter operator", operator)
    return all(_TESTS[operator](found, value) for operator, value in operators.items())


def _equals(found: list[Any], wanted: Any) -> bool:
    key = order_key(wanted)
    return any(order_key(value) == key for value in _with_elements(found or [None]))


def _compares(test: Callable[[Any, Any], bool]) -> Callable[[list[Any], Any], bool]:
    def compare(found: list[Any], wanted: Any) -> bool:
        kind, limit = order_key(wanted)
        keys = (order_key(value) for value in _with_elements(found))
        return any(of == kind and test(value, limit) for of, value in keys)

    return compare


def _with_elements(found: list[Any]) -> list[Any]:
    """The values and, for lists, their elements: a condition on a list holds if one element meets it."""
    return found + [element for value in found if isinstance(value, list) for element in value]


_TESTS: dict[str, Callable[[list[Any], Any], bool]] = {
    "$eq": _equals,
    "$ne": lambda found, wanted: not _equals(found, wanted),
    "$in": lambda found, wanted: any(_equals(found, value) for value in wanted),
    "$nin": lambda found, wanted: not any(_equals(found, value) for value in wanted),
    "$exists": lambda found, wanted: bool(found) == bool(wanted),
    "$gt": _compares(lambda value, limit: value > limit),
    "$gte": _compares(lambda value, limit: value >= limit),
    "$lt": _compares(lambda value, limit: value < limit),
    "$lte": _compares(lambda value, limit: value <= limit),
}

_OF_KEYS = frozenset({"$eq", "$in", "$gt", "$gte", "$lt", "$lte"})
"""Operators that a missing field and null satisfy alike, where no operand is null."""

_MISSING = object()


def _change_at(document: Document, path: str, change: Callable[[Any, Any], Any], operand: Any) -> None:
    """Put `change(value, operand)` at a dotted path; _MISSING removes the field."""
    *parents, last = path.split(".")
    holder: Any = document
    missing: Document = {}
    for name in parents:
        holder = holder.get(name, missing)
        if not isinstance(holder, dict):
            raise WriteError(
                f"cannot create a field inside a value, however: path={path!r}", CANNOT_CREATE_FIELD
            )
    value = change(holder.get(last, _MISSING), operand)
    if value is _MISSING:
        holder.pop(last, None)
        return
    holder = document
    for name in parents:
        holder = holder.setdefault(name, {})
    holder[last] = value


def _increased(now: Any, step: Any) -> Any:
    if now is _MISSING:
        return step
    if isinstance(now, bool) or not isinstance(now, int | float):
        raise WriteError(f"$inc must meet a number, however: type={type(now).__name__}", TYPE_MISMATCH)
    return now + step


def _pushed(now: Any, item: Any) -> Any:
    if isinstance(item, dict) and any(key.startswith("$") for key in item):
        raise _unsupported("$push modifier", next(iter(item)))
    if now is _MISSING:
        return [item]
    if not isinstance(now, list):
        raise WriteError(f"$push must meet a list, however: type={type(now).__name__}", BAD_VALUE)
    return [*now, item]


_CHANGES: dict[str, Callable[[Any, Any], Any]] = {
    "$set": lambda _, new: new,
    "$setOnInsert": lambda _, new: new,
    "$unset": lambda _, __: _MISSING,
    "$inc": _increased,
    "$min": lambda now, new: new if now is _MISSING else min(now, new, key=order_key),
    "$max": lambda now, new: new if now is _MISSING else max(now, new, key=order_key),
    "$push": _pushed,
}


def _unsupported(what: str, value: str) -> OperationFailure:
    return OperationFailure(
        f"the embedded store must be asked only what it knows, however: {what} {value!r}", BAD_VALUE
    )

"""The query language of the embedded document store, against mongomock as an oracle, and what it refuses."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import mongomock_ng
import pytest
from bson import ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo.errors import OperationFailure, WriteError

from loan_default.database.matching import (
    fixed_values,
    in_order,
    matches,
    order_key,
    project,
    updated,
    value_at,
    value_matches,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)

# Without the corners in which mongomock is unlike MongoDB: booleans beside numbers, null in comparisons.
numbers = st.integers(-3, 3) | st.sampled_from([0.5, 1.0, -2.5])
scalars = (
    numbers
    | st.sampled_from(["", "a", "b", "ab"])
    | st.sampled_from([NOON, NOON + timedelta(milliseconds=1)])
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "x": scalars | st.none(),
        "y": scalars,
        "z": st.lists(scalars, max_size=3) | st.fixed_dictionaries({}, optional={"k": scalars}),
    },
)
tests = st.one_of(
    scalars,
    st.none(),
    st.dictionaries(st.sampled_from(["$gt", "$gte", "$lt", "$lte", "$ne"]), scalars, min_size=1, max_size=2),
    st.fixed_dictionaries({"$in": st.lists(scalars | st.none(), max_size=3)}),
)
conditions = st.dictionaries(st.sampled_from(["x", "y", "missing"]), tests, max_size=2)


def oracle(*stored: dict[str, Any]) -> Any:
    things = mongomock_ng.MongoClient(tz_aware=True)["d"]["c"]
    for number, document in enumerate(stored):
        things.insert_one({"_id": number, **copy.deepcopy(document)})
    return things


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(document=documents, condition=conditions)
def test_a_document_matches_as_on_a_server(document: dict[str, Any], condition: dict[str, Any]) -> None:
    assert matches(document, condition) == (oracle(document).find_one(condition) is not None)


changes = st.one_of(
    st.fixed_dictionaries({"$set": st.dictionaries(st.sampled_from(["x", "y", "w"]), scalars, min_size=1)}),
    st.fixed_dictionaries({"$inc": st.dictionaries(st.sampled_from(["y", "w"]), numbers, min_size=1)}),
)


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(document=documents, change=changes)
def test_a_document_is_changed_as_on_a_server(document: dict[str, Any], change: dict[str, Any]) -> None:
    before, things = copy.deepcopy(document), oracle(document)
    try:
        after = updated({"_id": 0, **document}, change)
    except WriteError:  # on a server too; mongomock raises another error
        assert not isinstance(document["y"], int | float)
    else:
        things.update_one({"_id": 0}, change)
        assert after == things.find_one({"_id": 0})
    assert document == before, "a copy is changed"


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(
    stored=st.lists(documents, max_size=6),
    direction=st.sampled_from([1, -1]),
    field=st.sampled_from(["x", "y"]),
)
def test_documents_are_sorted_as_on_a_server(
    stored: list[dict[str, Any]], direction: int, field: str
) -> None:
    order = [(field, direction), ("_id", 1)]
    expected = [each["_id"] for each in oracle(*stored).find({}).sort(order)]
    found = in_order([(n, {"_id": n, **each}) for n, each in enumerate(stored)], order)
    assert [rowid for rowid, _ in found] == expected


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(document=documents, names=st.sets(st.sampled_from(["x", "y", "z", "_id"]), min_size=1))
def test_fields_are_chosen_as_on_a_server(document: dict[str, Any], names: set[str]) -> None:
    projection = dict.fromkeys(sorted(names), 1)
    assert project({"_id": 0, **document}, projection) == oracle(document).find_one({}, projection)
    assert project({"_id": 0, **document}, None) == oracle(document).find_one({})


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(document=documents, test=tests)
def test_an_index_finds_the_documents_that_match(document: dict[str, Any], test: Any) -> None:
    """Its keys hold the value that a condition sees, and None for a missing field."""
    for field in ("x", "y"):
        matched = matches(document, {field: test})
        assert value_matches(value_at(document, field), test) == matched
        among = fixed_values(test)
        if among is not None:
            keys = [order_key(value) for value in among]
            assert (order_key(value_at(document, field)) in keys) == matched


def test_types_have_the_order_of_a_server() -> None:
    ordered = [None, -1, 0.5, 2, "", "a", ObjectId("0" * 24), False, True, NOON]
    keys = [order_key(value) for value in ordered]
    assert keys == sorted(keys)
    assert len({repr(key) for key in keys}) == len(keys)
    assert order_key(1) == order_key(1.0) != order_key(True)


@pytest.mark.parametrize(
    ("condition", "fixed"),
    [
        (1, [1]),
        (None, [None]),
        ({"$in": [1, "a"], "$gt": 0}, [1, "a"]),
        ({"$in": []}, []),
        ({"$gte": 1, "$lt": 2}, None),
        ({"$ne": 1}, None),
    ],
)
def test_the_values_that_a_condition_fixes(condition: Any, fixed: list[Any] | None) -> None:
    assert fixed_values(condition) == fixed


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda: matches({}, {"$or": []}), OperationFailure, r"filter operator '\$or'"),
        (lambda: matches({"x": 1}, {"x": {"$mod": [2, 1]}}), OperationFailure, r"filter operator '\$mod'"),
        (lambda: matches({"x": 1}, {"x": {1, 2}}), OperationFailure, "value of type 'set'"),
        (lambda: matches({"x": 1}, {"x": [1]}), OperationFailure, "value of type 'list'"),
        (lambda: matches({"x": [1]}, {"x": 1}), OperationFailure, "list or document, field 'x'"),
        (lambda: matches({"x": {"k": 1}}, {"x": 1}), OperationFailure, "list or document, field 'x'"),
        (lambda: matches({"x": {"k": 1}}, {"x.k": 1}), OperationFailure, r"field within a field 'x\.k'"),
        (lambda: matches({"x": 1}, {"x": {"$lte": None}}), OperationFailure, "comparison with 'null'"),
        (lambda: updated({"_id": 1}, {"$rename": {"a": "b"}}), OperationFailure, "update operator"),
        (lambda: updated({"_id": 1}, {}), ValueError, r"must consist of \$ operators"),
        (lambda: updated({"_id": 1}, {"x": 1}), ValueError, r"must consist of \$ operators"),
        (lambda: updated({"_id": 1}, {"$set": {"x.k": 1}}), OperationFailure, "field within a field"),
        (lambda: updated({"_id": 1}, {"$set": {"_id": 2}}), WriteError, "_id must not change"),
        (lambda: updated({"_id": 1, "x": True}, {"$inc": {"x": 1}}), WriteError, "must meet a number"),
        (lambda: project({}, {"x.k": 1}), OperationFailure, "projection"),
        (lambda: project({}, {"x": 0}), OperationFailure, "projection"),
    ],
)
def test_what_a_server_would_refuse_or_answer_otherwise_is_refused(
    act: Any, error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        act()

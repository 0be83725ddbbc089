"""The query language of the embedded store, against mongomock as an oracle, and what it refuses."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import mongomock_ng
import pytest
from bson import ObjectId
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymongo.errors import OperationFailure, WriteError

from loan_default.database.matching import (
    decided_by_key,
    fixed_values,
    in_order,
    matches,
    order_key,
    project,
    replaced,
    updated,
    upsert_base,
    value_at,
    value_matches,
    values_at,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)

# Without the corners in which mongomock is unlike MongoDB: booleans beside numbers, null in comparisons.
numbers = st.integers(-3, 3) | st.sampled_from([0.5, 1.0, -2.5])
scalars = (
    numbers
    | st.sampled_from(["", "a", "b", "ab"])
    | st.sampled_from([NOON, NOON + timedelta(milliseconds=1)])
)
fields = st.sampled_from(["x", "y", "z.k", "z"])
documents = st.fixed_dictionaries(
    {},
    optional={
        "x": scalars | st.none() | st.lists(scalars, max_size=3),
        "y": scalars,
        "z": st.fixed_dictionaries({}, optional={"k": scalars, "m": scalars}),
    },
)
tests = st.one_of(
    scalars,
    st.none(),
    st.dictionaries(
        st.sampled_from(["$gt", "$gte", "$lt", "$lte", "$eq", "$ne"]), scalars, min_size=1, max_size=2
    ),
    st.fixed_dictionaries({"$in": st.lists(scalars, max_size=3)}),
    st.fixed_dictionaries({"$nin": st.lists(scalars, max_size=3)}),
    st.fixed_dictionaries({"$exists": st.booleans()}),
)
simple = st.dictionaries(st.sampled_from(["x", "y", "z.k"]), tests, max_size=2)
conditions = simple | st.builds(
    lambda operator, parts: {operator: parts},
    st.sampled_from(["$and", "$or"]),
    st.lists(simple, min_size=1, max_size=3),
)


def oracle(*stored: dict[str, Any]) -> Any:
    things = mongomock_ng.MongoClient(tz_aware=True)["d"]["c"]
    for number, document in enumerate(stored):
        things.insert_one({"_id": number, **copy.deepcopy(document)})
    return things


def without_id(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "_id"}


@settings(deadline=None, max_examples=200)
@given(document=documents, condition=conditions)
def test_a_document_matches_as_on_a_server(document: dict[str, Any], condition: dict[str, Any]) -> None:
    assert matches(document, condition) == (oracle(document).find_one(condition) is not None)


changes = st.one_of(
    st.fixed_dictionaries(
        {"$set": st.dictionaries(st.sampled_from(["x", "y", "z.k", "z.n", "w"]), scalars, min_size=1)}
    ),
    st.fixed_dictionaries(
        {"$unset": st.dictionaries(st.sampled_from(["x", "z.k", "w"]), st.just(""), min_size=1)}
    ),
    st.fixed_dictionaries({"$inc": st.dictionaries(st.sampled_from(["y", "z.k", "w"]), numbers, min_size=1)}),
    st.fixed_dictionaries({"$push": st.dictionaries(st.sampled_from(["x", "w"]), scalars, min_size=1)}),
    st.fixed_dictionaries({"$min": st.dictionaries(st.sampled_from(["y", "w"]), numbers, min_size=1)}),
    st.fixed_dictionaries({"$max": st.dictionaries(st.sampled_from(["y", "w"]), numbers, min_size=1)}),
    st.fixed_dictionaries({"$setOnInsert": st.dictionaries(st.just("w"), scalars, min_size=1)}),
)


@settings(deadline=None, max_examples=200)
@given(document=documents, change=changes)
def test_a_document_is_changed_as_on_a_server(document: dict[str, Any], change: dict[str, Any]) -> None:
    before, things = copy.deepcopy(document), oracle(document)
    (operator,) = change
    if operator in (
        "$min",
        "$max",
    ):  # mongomock compares with Python's order, in which text and numbers have none
        assume(isinstance(document.get("y", 0), int | float))
    try:
        after = updated({"_id": 0, **document}, change, inserting=False)
    except WriteError:  # on a server too; mongomock raises another error, or none for a list beside $inc
        kinds = {"$inc": int | float, "$push": list}
        paths = [(path, values_at(document, path)) for path in change[operator]]
        assert any(found and not isinstance(found[0], kinds[operator]) for _, found in paths)
    else:
        things.update_one({"_id": 0}, change)
        assert without_id(after) == without_id(things.find_one({"_id": 0}))
    assert document == before, "a copy is changed"


@settings(deadline=None, max_examples=100)
@given(condition=st.dictionaries(st.sampled_from(["x", "y", "z.k"]), tests, max_size=3), change=scalars)
def test_what_an_upsert_starts_from_is_what_the_filter_fixes(condition: dict[str, Any], change: Any) -> None:
    assume(
        not any(isinstance(test, dict) and "$eq" not in test and "$in" in test for test in condition.values())
    )
    things = oracle()
    things.update_one({"_id": "new", **condition}, {"$set": {"w": change}}, upsert=True)
    base = upsert_base({"_id": "new", **condition})
    assert updated(base, {"$set": {"w": change}}, inserting=True) == things.find_one({})


@settings(deadline=None, max_examples=100)
@given(
    stored=st.lists(documents, max_size=6),
    direction=st.sampled_from([1, -1]),
    field=st.sampled_from(["y", "z.k"]),
)
def test_documents_are_sorted_as_on_a_server(
    stored: list[dict[str, Any]], direction: int, field: str
) -> None:
    things = oracle(*stored)
    expected = [each["_id"] for each in things.find({}).sort([(field, direction), ("_id", 1)])]
    found = in_order(
        [(n, {"_id": n, **each}) for n, each in enumerate(stored)], [(field, direction), ("_id", 1)]
    )
    assert [place for place, _ in found] == expected


@settings(deadline=None, max_examples=100)
@given(
    document=documents,
    names=st.sets(st.sampled_from(["x", "y", "z", "_id"]), min_size=1),
    mark=st.sampled_from([0, 1]),
)
def test_fields_are_chosen_as_on_a_server(document: dict[str, Any], names: set[str], mark: int) -> None:
    projection = dict.fromkeys(sorted(names), mark)
    assert project({"_id": 0, **document}, projection) == oracle(document).find_one({}, projection)


@settings(deadline=None, max_examples=200)
@given(document=documents, test=tests)
def test_what_an_index_may_answer_is_what_all_documents_answer(document: dict[str, Any], test: Any) -> None:
    for field in ("x", "y", "z.k"):
        found = values_at(document, field)
        if found and isinstance(found[0], list):
            continue  # no index takes it
        matched = matches(document, {field: test})
        among = fixed_values(test)
        if among is not None and matched and (found or None not in among):
            assert order_key(value_at(document, field)) in [order_key(value) for value in among]
        if decided_by_key(test):
            assert value_matches(value_at(document, field), test) == matched


def test_types_have_the_order_of_a_server() -> None:
    ordered = [
        None,
        -1,
        0.5,
        2,
        "",
        "a",
        {},
        {"k": 1},
        [],
        [1],
        b"",
        b"a",
        ObjectId("0" * 24),
        False,
        True,
        NOON,
    ]
    keys = [order_key(value) for value in ordered]
    assert keys == sorted(keys)
    assert len({repr(key) for key in keys}) == len(keys)
    assert order_key(1) == order_key(1.0) != order_key(True)


@pytest.mark.parametrize(
    ("condition", "fixed", "by_key"),
    [
        (1, [1], True),
        (None, [None], False),
        ([1], None, False),
        ({"k": 1}, [{"k": 1}], False),
        ({"$eq": 1, "$gt": 0}, [1], True),
        ({"$in": [1, "a"]}, [1, "a"], True),
        ({"$in": [1, None]}, [1, None], False),
        ({"$in": [[1]]}, None, False),
        ({"$gte": 1, "$lt": 2}, None, True),
        ({"$lte": None}, None, False),
        ({"$ne": 1}, None, False),
        ({"$exists": True}, None, False),
    ],
)
def test_what_a_condition_says_of_an_index(condition: Any, fixed: list[Any] | None, by_key: bool) -> None:
    assert fixed_values(condition) == fixed
    assert decided_by_key(condition) is by_key


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda: matches({}, {"$nor": []}), OperationFailure, r"filter operator '\$nor'"),
        (lambda: matches({"x": 1}, {"x": {"$mod": [2, 1]}}), OperationFailure, r"filter operator '\$mod'"),
        (lambda: matches({"x": 1}, {"x": {1, 2}}), OperationFailure, "value of type 'set'"),
        (lambda: updated({}, {"$rename": {"a": "b"}}, inserting=False), OperationFailure, "update operator"),
        (lambda: updated({}, {}, inserting=False), ValueError, r"must consist of \$ operators"),
        (lambda: updated({}, {"x": 1}, inserting=False), ValueError, r"must consist of \$ operators"),
        (lambda: updated({"x": 1}, {"$set": {"x.k": 1}}, inserting=False), WriteError, "inside a value"),
        (
            lambda: updated({"_id": 1}, {"$set": {"_id": 2}}, inserting=False),
            WriteError,
            "_id must not change",
        ),
        (lambda: updated({"x": True}, {"$inc": {"x": 1}}, inserting=False), WriteError, "must meet a number"),
        (lambda: updated({"x": 1}, {"$push": {"x": 1}}, inserting=False), WriteError, "must meet a list"),
        (lambda: replaced({"_id": 1}, {"$set": {}}), ValueError, r"must hold no \$ operators"),
        (lambda: replaced({"_id": 1}, {"_id": 2}), WriteError, "_id must not change"),
        (lambda: value_at({"x": [1]}, "x"), OperationFailure, "index or sort on a list"),
        (lambda: project({}, {"x.k": 1}), OperationFailure, "projection"),
    ],
)
def test_what_a_server_would_refuse_or_answer_otherwise_is_refused(
    act: Any, error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        act()


def test_a_replacement_keeps_the_id_and_nothing_else() -> None:
    assert replaced({"_id": 1, "x": 1}, {"y": 2}) == {"_id": 1, "y": 2}
    assert replaced({"_id": 1}, {"_id": 1.0, "y": 2}) == {"_id": 1, "y": 2}
    assert replaced({}, {"y": 2}) == {"y": 2}

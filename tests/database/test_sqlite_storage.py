"""Documents and indexes in SQLite: what comes back, what is unique, and what an index saves."""

from datetime import UTC, datetime, timedelta

import mongomock_ng
import pytest
from bson import encode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.errors import DuplicateKeyError, OperationFailure, WriteError
from reading import documents_read

from loan_default.database.embedded import EmbeddedDatabase

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "documents.sqlite3"


def test_a_failed_write_leaves_nothing(path):
    things = EmbeddedDatabase(path)["things"]
    things.create_index("v", unique=True)
    things.insert_many([{"_id": "a", "v": "text"}, {"_id": "b", "v": 1}])
    with pytest.raises(WriteError):
        things.update_one({"_id": "a"}, {"$set": {"w": 1}, "$inc": {"v": 1}})
    with pytest.raises(DuplicateKeyError):
        things.update_one({"_id": "a"}, {"$set": {"v": 1}})
    assert list(things.find({})) == [{"_id": "a", "v": "text"}, {"_id": "b", "v": 1}]
    assert [things.count_documents({"v": v}) for v in ("text", 1)] == [1, 1]


def test_missing_values_and_equal_numbers_share_a_key_of_a_unique_index(path):
    log = EmbeddedDatabase(path)["log"]
    log.create_index([("topic", 1), ("offset", 1)], unique=True)
    log.insert_one({"_id": "1", "topic": "t", "offset": 2})
    log.insert_one({"_id": "2", "topic": "t"})
    for taken in (2.0, None):
        with pytest.raises(DuplicateKeyError):
            log.insert_one({"_id": "3", "topic": "t", "offset": taken})
    log.insert_one({"_id": "3", "topic": "t", "offset": True})
    with pytest.raises(OperationFailure, match="list"):
        log.insert_one({"_id": "4", "topic": "t", "offset": [1]})
    with pytest.raises(OperationFailure, match="one index"):
        log.create_index("other", name="topic_1_offset_1")


# Values without the corners in which mongomock differs from MongoDB (see the contract for those).
_scalars = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([0.5, 1.5, -2.5]),
    st.sampled_from(["", "a", "b", "ab", "1"]),
    st.sampled_from([NOON, NOON + timedelta(milliseconds=1), NOON - timedelta(days=1)]),
)
_documents = st.lists(
    st.fixed_dictionaries({}, optional={"x": _scalars | st.none(), "y": _scalars, "z": _scalars}), max_size=8
)
_conditions = st.dictionaries(
    st.sampled_from(["x", "y", "z"]),
    st.one_of(
        _scalars,
        st.none(),
        st.dictionaries(
            st.sampled_from(["$gt", "$gte", "$lt", "$lte", "$ne"]), _scalars, min_size=1, max_size=2
        ),
        st.fixed_dictionaries({"$in": st.lists(_scalars | st.none(), max_size=3)}),
    ),
    max_size=2,
)


@pytest.mark.slow
@pytest.mark.parametrize("index", [None, "x", "z"])
def test_filters_agree_with_mongomock(path, index):
    database = EmbeddedDatabase(path)
    things = database["things"]
    if index:
        things.create_index(index)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(documents=_documents, condition=_conditions)
    def check(documents, condition):
        oracle = mongomock_ng.MongoClient(tz_aware=True)["d"]["c"]
        things.delete_many({})
        for number, document in enumerate(documents):
            things.insert_one({"_id": str(number), **document})
            oracle.insert_one({"_id": str(number), **document})
        found = [document["_id"] for document in things.find(condition)]
        assert sorted(found) == sorted(document["_id"] for document in oracle.find(condition))

    check()


@pytest.mark.slow
@pytest.mark.parametrize("index", [None, ["x"], ["y", "x"], ["z"], ["x", "z"]])
def test_counts_and_the_first_in_an_order_are_those_of_all_that_match(path, index):
    """By whatever index they are answered; the oracle counts the documents by itself."""
    things = EmbeddedDatabase(path)["things"]
    if index:
        things.create_index([(field, -1) for field in index])
    orders = st.lists(
        st.tuples(st.sampled_from(["x", "y", "z"]), st.sampled_from([1, -1])), min_size=1, max_size=2
    )

    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(documents=_documents, condition=_conditions, order=orders, count=st.integers(1, 4))
    def check(documents, condition, order, count):
        things.delete_many({})
        oracle = mongomock_ng.MongoClient(tz_aware=True)["d"]["c"]
        for number, document in enumerate(documents):
            things.insert_one({"_id": str(number), **document})
            oracle.insert_one({"_id": str(number), **document})
        everything = [document["_id"] for document in things.find(condition).sort(order)]
        assert things.count_documents(condition) == oracle.count_documents(condition) == len(everything)
        found = [each["_id"] for each in things.find(condition).sort(order).limit(count)]
        assert found == everything[:count]

    check()


@pytest.mark.slow
def test_documents_are_counted_and_ordered_by_an_index_without_reading_them(path):
    log = EmbeddedDatabase(path)["log"]
    log.create_index([("outcome", 1), ("at", 1)])
    log.create_index([("at", -1)])
    for n in range(200):
        log.insert_one(
            {"_id": f"e{n:03}", "outcome": "b" if n % 4 else "a", "at": NOON + timedelta(0, n // 2)}
        )
    log.insert_one({"_id": "none"})
    until = {"at": {"$lte": NOON + timedelta(seconds=49)}}
    with documents_read() as read:
        assert log.count_documents({"outcome": "a"}) == 50
        assert log.count_documents({"outcome": {"$in": ["a", "b"]}, **until}) == 100
        assert log.count_documents(until) == 100
        assert log.count_documents({"outcome": None}) == 1
    assert read == []
    with documents_read() as read:
        assert log.count_documents({"outcome": "a", "_id": {"$ne": "e000"}}) == 49  # not in one index
    assert len(read) == 200
    with documents_read() as read:
        newest = log.find({}).sort([("at", -1), ("_id", -1)]).limit(3)
        assert [each["_id"] for each in newest] == ["e199", "e198", "e197"]
    assert len(read) == 4
    with documents_read() as read:
        beginning = log.find({"_id": {"$gte": "e10", "$lt": "e11"}})
        assert [each["_id"] for each in beginning] == [f"e10{n}" for n in range(10)]
    assert len(read) == 10


_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        st.text(),
        st.binary(max_size=5),
        st.integers(-(10**13), 10**13).map(lambda ms: NOON + timedelta(milliseconds=ms)),
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3).map(lambda k: "k" + k.replace("\0", "")), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.slow
def test_any_document_comes_back(path):
    things = EmbeddedDatabase(path)["things"]

    @settings(max_examples=100, deadline=None)
    @given(value=_values, changed=_values)
    def check(value, changed):
        things.delete_many({})
        things.insert_one({"_id": "v", "value": value})
        assert encode(things.find_one({"_id": "v"})) == encode({"_id": "v", "value": value})
        things.update_one({"_id": "v"}, {"$set": {"value": changed}})
        assert encode(things.find_one({"_id": "v"})) == encode({"_id": "v", "value": changed})

    check()

"""What the contract cannot say: processes, crashes, threads, broken files; filters against mongomock."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import mongomock_ng
import pytest
from bson import encode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.errors import DuplicateKeyError, InvalidOperation, OperationFailure, WriteError
from reading import documents_read

from loan_default.database.embedded import EmbeddedDatabase

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "documents.sqlite3"


def run(code, *arguments):
    prelude = (
        "import sys; from pathlib import Path\n"
        "from loan_default.database.embedded import EmbeddedDatabase\n"
        "database = EmbeddedDatabase(Path(sys.argv[1]))\n"
    )
    command = [sys.executable, "-W", "error", "-c", prelude + code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_processes_write_at_once_from_the_first_moment(path):
    """The file does not exist yet: opening, making tables and writing all race."""
    code = (
        "things = database['things']; things.create_index('n', unique=True)\n"
        "from pymongo.errors import DuplicateKeyError\n"
        "won = 0\n"
        "for n in range(100):\n"
        "    things.update_one({'_id': 'counter'}, {'$inc': {'count': 1}}, upsert=True)\n"
        "    try: things.insert_one({'_id': f'{sys.argv[2]}-{n}', 'n': n}); won += 1\n"
        "    except DuplicateKeyError: pass\n"
        "print(won)\n"
    )
    processes = [run(code, path, number) for number in range(3)]
    results = [(*process.communicate(timeout=60), process.returncode) for process in processes]
    assert [(code, errors) for _, errors, code in results] == [(0, "")] * 3
    assert sum(int(won) for won, _, _ in results) == 100
    things = EmbeddedDatabase(path)["things"]
    assert things.find_one({"_id": "counter"})["count"] == 300
    assert sorted(things.distinct("n")) == list(range(100))


def test_a_killed_process_loses_nothing_that_was_acknowledged(path):
    code = (
        "for n in range(100000):\n"
        "    database['things'].insert_many([{'_id': f'{n}-{i}', 'n': n} for i in range(5)])\n"
        "    print(n, flush=True)\n"
    )
    process = run(code, path)
    assert process.stdout is not None
    acknowledged = 0
    deadline = time.monotonic() + 20
    while acknowledged < 30 and time.monotonic() < deadline:
        acknowledged = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    rest = process.communicate(timeout=20)[0].split("\n")[
        :-1
    ]  # what follows the last newline was not written whole
    acknowledged = max([acknowledged, *map(int, rest)])
    things = EmbeddedDatabase(path)["things"]
    stored = [document["n"] for document in things.find({})]
    assert set(range(acknowledged + 1)) <= set(stored)
    assert {stored.count(n) for n in set(stored)} == {5}, "a batch must be there whole or not at all"
    things.insert_one({"_id": "after"})


def test_threads_have_connections_of_their_own(path):
    database = EmbeddedDatabase(path)
    errors = []

    def work(number):
        try:
            for n in range(50):
                database["things"].insert_one({"_id": f"{number}-{n}"})
                database["things"].update_one({"_id": "counter"}, {"$inc": {"count": 1}}, upsert=True)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert database["things"].count_documents({}) == 201
    assert database["things"].find_one({"_id": "counter"})["count"] == 200


def test_a_forked_process_uses_its_own_connection(path):
    database = EmbeddedDatabase(path)
    database["things"].insert_one({"_id": "parent"})
    child = os.fork()
    if child == 0:
        status = 1
        try:
            database["things"].insert_one({"_id": "child"})
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    database["things"].insert_one({"_id": "parent again"})
    assert database["things"].count_documents({}) == 3


def test_a_failed_write_leaves_nothing(path):
    things = EmbeddedDatabase(path)["things"]
    with pytest.raises(WriteError):
        things.update_one({"_id": "a", "v": "text"}, {"$inc": {"v": 1}}, upsert=True)
    things.insert_one({"_id": "a", "v": "text"})
    things.insert_one({"_id": "b", "v": 1})
    with pytest.raises(WriteError):
        things.update_many({}, {"$inc": {"v": 1}})
    assert [document["v"] for document in things.find({})] == ["text", 1]


def test_missing_values_and_equal_numbers_share_a_place_in_a_unique_index(path):
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


def test_a_file_that_is_no_store_is_refused(path):
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(OperationFailure, match="not a database"):
        EmbeddedDatabase(path)


def test_a_store_of_another_layout_is_refused(path):
    EmbeddedDatabase(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(OperationFailure, match="layout=99"):
        EmbeddedDatabase(path)


def test_a_closed_store_says_so(path):
    database = EmbeddedDatabase(path)
    database.client.close()
    with pytest.raises(InvalidOperation, match="closed"):
        database["things"].insert_one({"_id": "a"})


def test_a_write_waits_and_then_fails_with_the_drivers_error(path, monkeypatch):
    database = EmbeddedDatabase(path)
    monkeypatch.setattr("loan_default.database.sqlite_file.BUSY_SECONDS", 0.1)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    caught = []

    def write():
        try:
            database["things"].insert_one({"_id": "a"})
        except OperationFailure as error:
            caught.append(str(error))

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    blocker.close()
    assert len(caught) == 1
    assert "locked" in caught[0]


def test_what_a_server_knows_and_the_store_does_not_is_refused(path):
    things = EmbeddedDatabase(path)["things"]
    things.insert_one({"_id": "a", "v": [1, 2]})
    with pytest.raises(OperationFailure, match=r"\$regex"):
        things.find_one({"v": {"$regex": "x"}})
    with pytest.raises(OperationFailure, match=r"\$each"):
        things.update_one({"_id": "a"}, {"$push": {"v": {"$each": [1]}}})
    with pytest.raises(OperationFailure, match="list"):
        things.find_one({}, sort=[("v", 1)])
    with pytest.raises(OperationFailure, match="projection"):
        things.find_one({}, {"v.k": 1})


# Values without the corners in which mongomock differs from MongoDB (see the contract for those).
_scalars = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([0.5, 1.5, -2.5]),
    st.sampled_from(["", "a", "b", "ab", "1"]),
    st.sampled_from([NOON, NOON + timedelta(milliseconds=1), NOON - timedelta(days=1)]),
)
_documents = st.lists(
    st.fixed_dictionaries(
        {}, optional={"x": _scalars | st.none(), "y": _scalars, "z": st.fixed_dictionaries({"k": _scalars})}
    ),
    max_size=8,
)
_conditions = st.dictionaries(
    st.sampled_from(["x", "y", "z.k"]),
    st.one_of(
        _scalars,
        st.none(),
        st.dictionaries(
            st.sampled_from(["$gt", "$gte", "$lt", "$lte", "$ne", "$eq"]), _scalars, min_size=1, max_size=2
        ),
        st.fixed_dictionaries({"$in": st.lists(_scalars, max_size=3)}),
        st.fixed_dictionaries({"$nin": st.lists(_scalars, max_size=3)}),
        st.fixed_dictionaries({"$exists": st.booleans()}),
    ),
    max_size=2,
)


@pytest.mark.parametrize("index", [None, "x", "z.k"])
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
@pytest.mark.parametrize("index", [None, ["x"], ["y", "x"], ["z.k"], ["x", "z.k"]])
def test_counts_and_the_first_in_an_order_are_those_of_all_that_match(path, index):
    """By whatever index they are answered; the oracle sorts the places of all documents by itself."""
    things = EmbeddedDatabase(path)["things"]
    if index:
        things.create_index([(field, -1) for field in index])
    orders = st.lists(
        st.tuples(st.sampled_from(["x", "y", "z.k"]), st.sampled_from([1, -1])), min_size=1, max_size=2
    )

    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(documents=_documents, condition=_conditions, order=orders, first=st.integers(0, 2), data=st.data())
    def check(documents, condition, order, first, data):
        things.delete_many({})
        oracle = mongomock_ng.MongoClient(tz_aware=True)["d"]["c"]
        for number, document in enumerate(documents):
            things.insert_one({"_id": str(number), **document})
            oracle.insert_one({"_id": str(number), **document})
        everything = [document["_id"] for document in things.find(condition).sort(order)]
        assert things.count_documents(condition) == oracle.count_documents(condition) == len(everything)
        count = data.draw(st.integers(1, 4))
        found = [each["_id"] for each in things.find(condition).sort(order).skip(first).limit(count)]
        assert found == everything[first : first + count]
        one = things.find_one(condition, sort=order)
        assert [one["_id"]] == everything[:1] if one else not everything

    check()


def test_what_an_index_says_is_counted_and_ordered_without_a_look_at_the_documents(path):
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
    assert read == []
    with documents_read() as read:
        assert log.count_documents({"outcome": None}) == 1  # a key does not tell null from missing: looked at
    assert len(read) == 201
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

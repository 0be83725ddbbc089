"""The contract of every database that the repositories may be given: the calls of pymongo that they use."""

import enum
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure

NOON = datetime(2026, 11, 23, 12, 0, 0, 123000, tzinfo=UTC)


def ids(cursor):
    return [document["_id"] for document in cursor]


@pytest.fixture
def people(database):
    people = database["people"]
    people.insert_many(
        [
            {"_id": "a", "age": 30, "name": "Ann", "at": NOON, "nested": {"k": 1}, "tags": ["x", "y"]},
            {
                "_id": "b",
                "age": None,
                "name": "Bob",
                "at": NOON - timedelta(milliseconds=1),
                "nested": {"k": 2},
            },
            {
                "_id": "c",
                "age": 41.5,
                "name": "Cid",
                "at": NOON + timedelta(days=1),
                "id": "77",
                "open": True,
            },
            {"_id": "d", "name": "Dan", "open": False, "tags": []},
        ]
    )
    return people


def test_values_come_back_as_they_were_stored(database):
    document = {
        "_id": "all",
        "time": NOON,
        "big": 2**63 - 1,
        "small": -(2**63),
        "half": 0.5,
        "tiny": 5e-324,
        "none": None,
        "true": True,
        "one": 1,
        "text": "ä€😀 \"quoted\" 'too' $x a.b",
        "looks_like_a_date": "2026-01-01T00:00:00Z",
        "looks_like_a_number": "0123",
        "list": [1, {"pair": [2, NOON]}, None],
        "empty": {"list": [], "dict": {}, "text": ""},
    }
    database["values"].insert_one(dict(document))
    found = database["values"].find_one({"_id": "all"})
    assert found == document
    assert {name: isinstance(value, bool) for name, value in found.items()} == {
        name: isinstance(value, bool) for name, value in document.items()
    }
    assert found["time"].utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "ids_alike", [("123", "0123"), ("1e2", "100"), ("1", "1.0"), ("a", "A"), ("a", "a ")]
)
def test_ids_that_look_like_numbers_stay_apart(database, ids_alike):
    for identifier in ids_alike:
        database["values"].insert_one({"_id": identifier})
    assert database["values"].count_documents({}) == 2
    assert database["values"].find_one({"_id": ids_alike[1]}) == {"_id": ids_alike[1]}


def test_times_are_kept_to_the_millisecond_in_utc(database):
    elsewhere = timezone(timedelta(hours=-5))
    time = datetime(2026, 11, 23, 7, 0, 0, 123999, tzinfo=elsewhere)
    database["values"].insert_one({"_id": "t", "time": time})
    assert database["values"].find_one({"_id": "t"})["time"] == NOON


def test_an_id_is_given_where_none_is(database):
    document = {"x": 1}
    result = database["values"].insert_one(document)
    assert document["_id"] == result.inserted_id
    assert database["values"].find_one({"_id": result.inserted_id}) == document


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({}, "abcd"),
        ({"_id": "c"}, "c"),
        ({"_id": {"$in": ["c", "a", "z", "c"]}}, "ac"),
        ({"_id": {"$ne": "a"}}, "bcd"),
        ({"age": 30}, "a"),
        ({"age": 30.0}, "a"),
        ({"age": "30"}, ""),
        ({"age": None}, "bd"),
        ({"age": {"$ne": 30}}, "bcd"),
        ({"age": {"$gt": 30}}, "c"),
        ({"age": {"$gte": 30, "$lt": 41}}, "a"),
        ({"at": NOON}, "a"),
        ({"at": {"$lt": NOON}}, "b"),
        ({"at": {"$gte": NOON}}, "ac"),
        ({"at": {"$lte": NOON}}, "ab"),
        ({"id": "77"}, "c"),
        ({"open": True}, "c"),
        ({"open": {"$ne": True}}, "abd"),
        ({"age": {"$in": [30, None]}}, "abd"),
        ({"name": "Ann", "age": 30}, "a"),
        ({"missing": {"$ne": 1}}, "abcd"),
    ],
)
def test_filters(people, condition, expected):
    assert sorted(ids(people.find(condition))) == list(expected)
    assert people.count_documents(condition) == len(expected)
    assert people.delete_many(condition).deleted_count == len(expected)
    assert people.count_documents({}) == 4 - len(expected)


def test_sort_limit_and_projection(people):
    assert ids(people.find({}).sort([("at", 1)])) == ["d", "b", "a", "c"]
    assert ids(people.find({}).sort([("at", -1), ("_id", 1)]).limit(2)) == ["c", "a"]
    assert ids(people.find({}).sort([("missing", 1), ("_id", -1)])) == ["d", "c", "b", "a"]
    assert people.find_one({"_id": "a"}, {"name": 1}) == {"_id": "a", "name": "Ann"}
    assert people.find_one({"_id": "a"}, {"_id": 1}) == {"_id": "a"}
    assert people.find_one({"_id": "z"}) is None


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        ({"$set": {"at": NOON, "open": True, "age": None}}, {"at": NOON, "open": True, "age": None}),
        ({"$set": {"nested": {"z": [1.5, None]}}}, {"nested": {"z": [1.5, None]}}),
        ({"$inc": {"age": 2, "count": 1}}, {"age": 32, "count": 1}),
        ({"$set": {"name": "Eve"}, "$inc": {"age": 0.5}}, {"name": "Eve", "age": 30.5}),
        ({"$set": {"tags": ["z"], "name": "Ann"}}, {"tags": ["z"], "name": "Ann"}),
    ],
)
def test_updates(people, update, expected):
    before = people.find_one({"_id": "a"})
    result = people.update_one({"_id": "a"}, update)
    found = people.find_one({"_id": "a"})
    for name, value in expected.items():
        assert found.get(name, "missing") == value
        assert isinstance(found.get(name), bool) == isinstance(value, bool)
    untouched = set(before) - set(expected)
    assert {name: found[name] for name in untouched} == {name: before[name] for name in untouched}
    assert (result.matched_count, result.modified_count) == (1, int(found != before))


def test_an_update_that_changes_nothing_or_matches_nothing_says_so(people):
    again = people.update_one({"_id": "a"}, {"$set": {"age": 30}})
    assert (again.matched_count, again.modified_count) == (1, 0)
    missed = people.update_one({"_id": "z"}, {"$set": {"seen": 1}})
    assert (missed.matched_count, missed.modified_count) == (0, 0)
    first = people.update_one({"age": {"$gte": 0}}, {"$set": {"seen": 1}})
    assert (first.matched_count, people.count_documents({"seen": 1})) == (1, 1)


def test_several_documents_are_updated_at_once(people):
    for modified in (2, 0):
        result = people.update_many({"_id": {"$in": ["a", "c", "z"]}}, {"$set": {"seen": 1}})
        assert (result.matched_count, result.modified_count) == (2, modified)
    assert people.update_many({"_id": "z"}, {"$set": {"seen": 1}}).matched_count == 0
    assert sorted(ids(people.find({"seen": 1}))) == ["a", "c"]


def test_updates_need_operators(database):
    database["things"].insert_one({"_id": "a"})
    with pytest.raises(ValueError, match=r"\$"):
        database["things"].update_one({"_id": "a"}, {"v": 1})


def test_a_taken_id_is_refused_and_the_stored_document_stays(database):
    things = database["things"]
    things.insert_one({"_id": "a", "v": 1})
    with pytest.raises(DuplicateKeyError) as caught:
        things.insert_one({"_id": "a", "v": 2})
    assert caught.value.code == 11000
    assert things.find_one({"_id": "a"}) == {"_id": "a", "v": 1}


def test_unique_indexes(database):
    log = database["log"]
    for _ in range(2):
        log.create_index([("topic", 1), ("offset", 1)], unique=True, name="place")
    log.insert_one({"_id": "1", "topic": "t", "offset": 1})
    log.insert_one({"_id": "2", "topic": "t", "offset": 2})
    with pytest.raises(DuplicateKeyError):
        log.insert_one({"_id": "4", "topic": "t", "offset": 1})
    log.insert_one({"_id": "4", "topic": "t", "offset": "1"})
    with pytest.raises(OperationFailure):  # a DuplicateKeyError, except on FerretDB
        log.update_one({"_id": "2"}, {"$set": {"offset": 1}})
    assert log.find_one({"_id": "2"})["offset"] == 2
    assert ids(log.find({"topic": "t", "offset": 2})) == ["2"]
    log.update_one({"_id": "2"}, {"$set": {"offset": 7}})
    log.insert_one({"_id": "5", "topic": "t", "offset": 2})
    log.delete_many({"_id": "5"})
    log.insert_one({"_id": "6", "topic": "t", "offset": 2})
    assert sorted(ids(log.find({"topic": "t", "offset": {"$in": [2, 7, None]}}))) == ["2", "6"]


def test_a_unique_index_is_refused_where_the_documents_are_not(database):
    database["log"].insert_many([{"_id": "1", "v": 1}, {"_id": "2", "v": 1}])
    with pytest.raises(OperationFailure):  # a DuplicateKeyError, except on FerretDB
        database["log"].create_index("v", unique=True)
    database["log"].create_index("v")
    assert sorted(ids(database["log"].find({"v": 1}))) == ["1", "2"]


@pytest.mark.parametrize(("ordered", "stored"), [(True, "ab"), (False, "abcd")])
def test_insert_many_with_duplicates_keeps_the_stored_ones(database, ordered, stored):
    things = database["things"]
    things.insert_one({"_id": "a", "v": "first"})
    batch = [{"_id": name, "v": "second"} for name in ("b", "a", "c", "b", "d")]
    with pytest.raises(BulkWriteError) as caught:
        things.insert_many(batch, ordered=ordered)
    details = caught.value.details
    assert details["nInserted"] == len(stored) - 1
    assert [(e["index"], e["code"]) for e in details["writeErrors"]] == [(1, 11000), (3, 11000)][
        : 1 if ordered else 2
    ]
    assert not details.get("writeConcernErrors")
    assert sorted(ids(things.find({}))) == list(stored)
    assert things.find_one({"_id": "a"})["v"] == "first"


def test_insert_many_with_two_unique_indexes(database):
    log = database["log"]
    log.create_index([("topic", 1), ("offset", 1)], unique=True, name="place")
    log.insert_one({"_id": "a", "topic": "t", "offset": 0})
    batch = [
        {"_id": name, "topic": "t", "offset": offset} for name, offset in zip("bacdbe", range(6), strict=True)
    ]
    batch.append({"_id": "f", "topic": "t", "offset": 0})
    batch.append({"_id": "g", "topic": "t", "offset": 3})
    with pytest.raises(BulkWriteError) as caught:
        log.insert_many(batch, ordered=False)
    errors = caught.value.details["writeErrors"]
    assert [(error["index"], error["code"]) for error in errors] == [
        (0, 11000), (1, 11000), (6, 11000), (7, 11000),
    ]  # fmt: skip
    assert caught.value.details["nInserted"] == 4
    assert {each["_id"]: each["offset"] for each in log.find({})} == {"a": 0, "b": 4, "c": 2, "d": 3, "e": 5}
    log.delete_many({"_id": "d"})
    log.insert_many([{"_id": "g", "topic": "t", "offset": 3}])


@pytest.mark.slow
def test_many_ids_at_once(database):
    things = database["things"]
    things.insert_many([{"_id": str(number), "even": number % 2 == 0} for number in range(1200)])
    wanted = [str(number) for number in range(0, 2000, 3)]
    expected = {str(number) for number in range(0, 1200, 3)}
    assert set(ids(things.find({"_id": {"$in": wanted}}))) == expected
    assert set(ids(things.find({"_id": {"$in": wanted}, "even": True}))) == {
        name for name in expected if int(name) % 2 == 0
    }
    assert ids(things.find({"_id": {"$in": ["1", "2", "3"], "$ne": "2"}}).sort([("_id", 1)])) == ["1", "3"]
    assert ids(things.find({"_id": {"$in": []}})) == []


@pytest.mark.slow
def test_documents_may_be_written_while_they_are_read(database):
    things = database["things"]
    things.insert_many([{"_id": str(number), "seen": 0} for number in range(300)])
    for document in things.find({"seen": {"$gte": 0}}):
        things.update_one({"_id": document["_id"]}, {"$inc": {"seen": 1}})
    assert {each["seen"] for each in things.find({})} == {1}


def test_find_one_and_update_is_a_compare_and_set(database):
    pointer = database["pointer"]
    pointer.insert_one({"_id": "p", "rev": 1})
    step = {"$set": {"at": NOON}, "$inc": {"rev": 1}}
    assert pointer.find_one_and_update({"_id": "p", "rev": 1}, step) == {"_id": "p", "rev": 1}
    assert pointer.find_one_and_update({"_id": "p", "rev": 1}, step) is None
    assert pointer.find_one_and_update({"_id": "p", "rev": 2}, step) == {"_id": "p", "rev": 2, "at": NOON}
    assert pointer.find_one({}) == {"_id": "p", "rev": 3, "at": NOON}


def test_empty_batches_are_mistakes(database):
    with pytest.raises(TypeError):
        database["things"].insert_many([])


def test_enums_and_tuples_are_stored_as_text_and_lists(database):
    class Colour(enum.StrEnum):
        RED = "red"

    database["things"].insert_one({"_id": "e", "colour": str(Colour.RED), "pair": [1, 2]})
    assert database["things"].find_one({"colour": Colour.RED}) == {
        "_id": "e",
        "colour": "red",
        "pair": [1, 2],
    }


def test_ping(database):
    assert database.command("ping")["ok"] == 1.0
    assert database.command({"ping": 1})["ok"] == 1.0


def test_unknown_commands_are_refused(database):
    with pytest.raises((OperationFailure, NotImplementedError)):
        database.command({"unheardOf": "things"})


def test_unknown_operators_are_refused(database):
    database["things"].insert_one({"_id": "a", "v": 1})
    with pytest.raises((OperationFailure, NotImplementedError)):
        list(database["things"].find({"v": {"$nonsense": 1}}))
    with pytest.raises((OperationFailure, NotImplementedError, ValueError)):
        database["things"].update_one({"_id": "a"}, {"$nonsense": {"v": 1}})

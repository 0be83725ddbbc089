"""The calls that a server answers and the embedded document store refuses; the rest is in the contract."""

import pytest
from pymongo.errors import OperationFailure


def test_what_a_server_knows_and_the_embedded_store_does_not_is_refused(embedded_database):
    things = embedded_database["things"]
    things.insert_one({"_id": "a", "v": [1, 2], "w": 1})
    with pytest.raises(OperationFailure, match=r"\$regex"):
        things.find_one({"w": {"$regex": "x"}})
    with pytest.raises(OperationFailure, match=r"\$push"):
        things.update_one({"_id": "a"}, {"$push": {"v": 1}})
    with pytest.raises(OperationFailure, match="pipeline"):
        things.update_one({"_id": "a"}, [{"$set": {"v": 1}}])
    with pytest.raises(OperationFailure, match="list"):
        list(things.find({}).sort([("v", 1)]))
    with pytest.raises(OperationFailure, match="projection"):
        things.find_one({}, {"v.k": 1})


def test_commands_of_a_server_are_refused(embedded_database):
    for command in ("buildInfo", {"collMod": "things", "validator": {}}, {"createUser": "a"}, {}):
        with pytest.raises(OperationFailure, match="command must be 'ping'") as caught:
            embedded_database.command(command)
        assert caught.value.code == 59


def test_a_limit_of_zero_gives_all_documents(embedded_database):
    embedded_database["things"].insert_many([{"_id": n} for n in range(5)])
    for count, expected in ((0, 5), (3, 3), (9, 5)):
        assert len(list(embedded_database["things"].find({}).limit(count))) == expected
        assert len(list(embedded_database["things"].find({}).sort([("_id", -1)]).limit(count))) == expected

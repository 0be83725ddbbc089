"""The file of the embedded document store: processes, crashes, threads, broken files."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
from pymongo.errors import InvalidOperation, OperationFailure

from loan_default.database.embedded import EmbeddedDatabase


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
def test_processes_write_at_once_from_the_first_millisecond(path):
    """The file does not exist yet: opening, making tables and writing all race."""
    code = (
        "things = database['things']; things.create_index('n', unique=True)\n"
        "from pymongo.errors import DuplicateKeyError\n"
        "try: things.insert_one({'_id': 'counter', 'count': 0})\n"
        "except DuplicateKeyError: pass\n"
        "won = 0\n"
        "for n in range(100):\n"
        "    things.update_one({'_id': 'counter'}, {'$inc': {'count': 1}})\n"
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
    assert sorted(each["n"] for each in things.find({}, {"n": 1}) if "n" in each) == list(range(100))


@pytest.mark.slow
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


@pytest.mark.slow
def test_threads_have_connections_of_their_own(path):
    database = EmbeddedDatabase(path)
    database["things"].insert_one({"_id": "counter", "count": 0})
    errors = []

    def work(number):
        try:
            for n in range(50):
                database["things"].insert_one({"_id": f"{number}-{n}"})
                database["things"].update_one({"_id": "counter"}, {"$inc": {"count": 1}})
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


@pytest.mark.slow
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


@pytest.mark.slow
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

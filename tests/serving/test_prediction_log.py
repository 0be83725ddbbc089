"""Nothing that was kept is lost: the store away, the process killed, the spool full."""

import errno
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from subprocess import PIPE, Popen

import pytest
from pymongo.errors import AutoReconnect

from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.prediction_repository import PredictionRepository
from loan_default.database.serving_documents import Door, Group, Prediction
from loan_default.errors import DependencyError
from loan_default.serving import prediction_log
from loan_default.serving.prediction_log import PredictionLog

NOON = datetime(2026, 11, 23, 12, 0, 0, 123000, tzinfo=UTC)


def prediction_of(event, version="v1", **values):
    fields = {
        "digest": "ab" * 32,
        "pd": 0.25,
        "points": 512.5,
        "scored_at": NOON,
        "door": Door.HTTP,
        **values,
    }
    return Prediction(event=event, version=version, **fields)


class Store:
    """A database whose predictions can be away, or lose the answers of writes that they did."""

    def __init__(self, database):
        self.collection = database["predictions"]
        self.is_away = self.loses_answers = False
        self.attempts = 0

    def __getitem__(self, name):
        return self

    def insert_many(self, batch, *, ordered):
        self.attempts += 1
        if self.is_away:
            raise AutoReconnect("connection refused")
        self.collection.insert_many(batch, ordered=ordered)
        if self.loses_answers:
            raise AutoReconnect("connection closed")

    def __getattr__(self, name):
        return getattr(self.collection, name)


@pytest.fixture
def database(tmp_path):
    database = EmbeddedDatabase(tmp_path / "documents.sqlite3")
    yield database
    database.close()


@pytest.fixture
def store(database):
    return Store(database)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


def ids_in(database):
    return sorted(each["_id"] for each in database["predictions"].find({}))


def wait_for(condition, *, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def is_refused(log, prediction):
    try:
        log.add([prediction])
    except DependencyError as error:
        return str(error).startswith("Cannot keep predictions")
    return False


@pytest.mark.slow
def test_predictions_reach_the_store_as_they_are(store, folder, database):
    kept = [
        prediction_of("a", application="7"),
        prediction_of("a", "v2"),
        prediction_of("b", latency_seconds=0.5),
    ]
    with PredictionLog(PredictionRepository(store), folder) as log:
        log.add(kept)
        log.add([])
        assert log.wait_until_stored(seconds=20)
        assert (log.waiting, log.waiting_bytes, log.lag, log.stored, log.failures) == (0, 0, 0, 3, 0)
        assert not log.is_full
    assert PredictionRepository(database).stored(["a/v1", "a/v2", "b/v1"]) == {each.id: each for each in kept}
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_many_are_few_writes(store, folder, database):
    with PredictionLog(PredictionRepository(store), folder) as log:
        for number in range(1_200):
            log.add([prediction_of(f"e-{number}")])
        assert log.wait_until_stored(seconds=30)
    assert len(ids_in(database)) == 1_200
    assert store.attempts < 60


@pytest.mark.slow
def test_while_the_store_is_away_predictions_wait_and_are_found(store, folder, database):
    store.is_away = True
    with PredictionLog(PredictionRepository(store), folder) as log:
        log.add([prediction_of("a"), prediction_of("a", "v2")])
        wait_for(lambda: log.failures >= 2)
        log.add([prediction_of("b")])
        assert log.waiting == 3
        assert log.lag > 0.1
        assert log.of_event("a") == [prediction_of("a"), prediction_of("a", "v2")]
        assert ids_in(database) == []
        store.is_away = False
        assert log.wait_until_stored(seconds=30)
        assert log.of_event("a") == [prediction_of("a"), prediction_of("a", "v2")]
        assert log.of_event("nobody") == []
    assert ids_in(database) == ["a/v1", "a/v2", "b/v1"]


@pytest.mark.slow
def test_an_answer_is_found_while_its_shadow_waits(store, folder, database):
    answered, shadowed = prediction_of("a"), prediction_of("a", "v2", group=Group.SHADOW)
    with PredictionLog(PredictionRepository(store), folder) as log:
        log.add([answered])
        assert log.wait_until_stored(seconds=20)
        store.is_away = True
        log.add([shadowed])
        assert log.of_event("a") == [answered, shadowed]
        store.is_away = False
        assert log.wait_until_stored(seconds=30)
        assert log.of_event("a") == [answered, shadowed]


@pytest.mark.slow
def test_what_is_stored_before_its_call_returns_does_not_wait_any_more(store, folder, monkeypatch):
    with PredictionLog(PredictionRepository(store), folder) as log:
        append = log._spool.append

        def slow(lines, *, number):
            append(lines, number=number)
            log._written.set()
            assert log.wait_until_stored(seconds=20)

        monkeypatch.setattr(log._spool, "append", slow)
        log.add([prediction_of("a")])
        assert log._pending == {}
        assert log.of_event("a") == [prediction_of("a")]


@pytest.mark.slow
@pytest.mark.parametrize("part", ["sync", "adopt"])
def test_the_threads_outlive_a_disk_or_a_system_that_fails(store, folder, database, monkeypatch, part):
    failures = []

    def fail():
        failures.append(part)
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(prediction_log, "_ADOPT_SECONDS", 0.01)
    with PredictionLog(PredictionRepository(store), folder) as log:
        monkeypatch.setattr(log._spool, part, fail)
        wait_for(lambda: len(failures) >= 2)
        monkeypatch.undo()
        log.add([prediction_of("a")])
        assert log.wait_until_stored(seconds=20)
        assert all(thread.is_alive() for thread in log._threads)
    assert ids_in(database) == ["a/v1"]


@pytest.mark.slow
def test_a_lost_answer_of_the_store_is_no_second_prediction(store, folder, database):
    store.loses_answers = True
    with PredictionLog(PredictionRepository(store), folder) as log:
        log.add([prediction_of(f"e-{number}") for number in range(50)])
        wait_for(lambda: log.failures >= 1)
        store.loses_answers = False
        assert log.wait_until_stored(seconds=30)
    assert len(ids_in(database)) == 50


@pytest.mark.slow
def test_what_the_store_never_took_waits_for_the_next_process(store, folder, database):
    store.is_away = True
    log = PredictionLog(PredictionRepository(store), folder)
    log.add([prediction_of("a"), prediction_of("b")])
    log.close(seconds=1)
    assert ids_in(database) == []
    store.is_away = False
    with PredictionLog(PredictionRepository(store), folder) as following:
        assert following.wait_until_stored(seconds=20)
    assert ids_in(database) == ["a/v1", "b/v1"]


@pytest.mark.slow
def test_a_full_spool_refuses_and_takes_again_once_the_store_is_back(store, folder, database):
    store.is_away = True
    with PredictionLog(PredictionRepository(store), folder, limit_bytes=5_000) as log:
        kept = 0
        while not is_refused(log, prediction_of(f"e-{kept:03d}")):
            kept += 1
        assert 5 < kept < 100
        assert log.of_event(f"e-{kept:03d}") == [], "what was refused is not known"
        store.is_away = False
        assert log.wait_until_stored(seconds=30)
        assert not log.is_full
        log.add([prediction_of("later")])
    assert ids_in(database) == [*(f"e-{number:03d}/v1" for number in range(kept)), "later/v1"]


@pytest.mark.slow
def test_a_damaged_line_costs_no_other(store, folder, database):
    store.is_away = True
    log = PredictionLog(PredictionRepository(store), folder)
    log.add([prediction_of("a"), prediction_of("b"), prediction_of("c")])
    log.close(seconds=1)
    (path,) = folder.glob("*.jsonl")
    first, _, last, _ = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([first, b"\0" * 40, last, b""]))
    store.is_away = False
    with PredictionLog(PredictionRepository(store), folder) as following:
        assert following.wait_until_stored(seconds=20)
    assert ids_in(database) == ["a/v1", "c/v1"]
    assert len(list(folder.glob("*.damaged"))) == 1


@pytest.mark.slow
def test_old_predictions_go_where_the_store_does_not_delete_them(store, folder, database):
    now = datetime.now(UTC)
    old, new = (prediction_of(f"e-{age}", scored_at=now - timedelta(days=age)) for age in (31, 29))
    PredictionRepository(database).add_new([old, new])
    with PredictionLog(PredictionRepository(store), folder, days=30) as log:
        wait_for(lambda: ids_in(database) == [new.id])
        log.add([prediction_of("later", scored_at=now)])
        assert log.wait_until_stored(seconds=20)
    assert ids_in(database) == [new.id, "later/v1"]


@pytest.mark.slow
def test_threads_may_add_at_once(store, folder, database):
    with PredictionLog(PredictionRepository(store), folder) as log:
        threads = [
            threading.Thread(target=lambda n=n: [log.add([prediction_of(f"{n}-{m}")]) for m in range(100)])
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert log.wait_until_stored(seconds=30)
    assert len(ids_in(database)) == 400


KILLED = """
import os, signal, sys
from pathlib import Path
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.prediction_repository import PredictionRepository
from loan_default.database.serving_documents import Prediction
from loan_default.serving.prediction_log import PredictionLog

home, number = Path(sys.argv[1]), int(sys.argv[2])
log = PredictionLog(PredictionRepository(EmbeddedDatabase(home / "documents.sqlite3")), home / "spool")
print("ready", flush=True)
for line in sys.stdin:
    fields = {"pd": 0.5, "points": 1, "scored_at": "2026-11-23T12:00:00Z"}
    log.add([Prediction(event=line.strip(), version="v1", **fields)])
    print(line.strip(), flush=True)  # the answer
    if line.strip().endswith(f"-{number}"):
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.integration
def test_a_process_that_is_killed_right_after_an_answer_loses_nothing(tmp_path, database):
    """Each time at another point; the process that comes next stores what the dead one left."""
    answered = []
    for round_, number in enumerate((0, 1, 7, 40, 150)):
        with Popen(
            [sys.executable, "-c", KILLED, str(tmp_path), str(number)], stdin=PIPE, stdout=PIPE, text=True
        ) as child:
            assert child.stdout.readline() == "ready\n"
            events = "".join(f"{round_}-{each}\n" for each in range(number + 1))
            out, _ = child.communicate(events, timeout=60)
        assert child.returncode == -signal.SIGKILL
        answered += out.split()
    assert len(answered) == sum(number + 1 for number in (0, 1, 7, 40, 150))
    with PredictionLog(PredictionRepository(database), tmp_path / "spool") as log:
        assert log.wait_until_stored(seconds=60)
    assert ids_in(database) == sorted(f"{event}/v1" for event in answered)


@pytest.mark.integration
@pytest.mark.parametrize("point", ["predictions_spooled", "predictions_stored"])
def test_a_kill_between_spool_and_store_loses_nothing(tmp_path, database, point):
    environment = {**os.environ, "LOAN_DEFAULT_TEST": "1", "LOAN_DEFAULT_FAILPOINTS": f"{point}=kill@2"}
    command = [sys.executable, "-c", KILLED, str(tmp_path), "999"]
    child = Popen(command, stdin=PIPE, stdout=PIPE, text=True, env=environment)
    answered = []
    with suppress(BrokenPipeError), child:
        assert child.stdout.readline() == "ready\n"
        for event in ("a", "b", "c"):
            child.stdin.write(f"{event}\n")
            child.stdin.flush()
            if not (line := child.stdout.readline()):
                break
            answered.append(line.strip())
            time.sleep(0.3)  # each is a write to the store of its own
    assert child.wait(timeout=60) == -signal.SIGKILL
    with PredictionLog(PredictionRepository(database), tmp_path / "spool") as log:
        assert log.wait_until_stored(seconds=60)
    stored = set(ids_in(database))
    assert {f"{event}/v1" for event in answered} <= stored <= {"a/v1", "b/v1", "c/v1"}
    assert answered in (["a"], ["a", "b"])

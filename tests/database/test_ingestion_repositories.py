"""Events and batches over every database: what is new, what comes again, what must not pass."""

import sys
from datetime import UTC, datetime, timedelta
from subprocess import PIPE, Popen

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.errors import AutoReconnect, BulkWriteError
from reading import documents_read

from loan_default.database.connect import connect
from loan_default.database.ingestion_documents import (
    EventStatus,
    IngestionBatch,
    OffsetRange,
    RawDataLog,
)
from loan_default.database.ingestion_repositories import (
    Arrival,
    IngestionBatchRepository,
    RawDataLogRepository,
)
from loan_default.errors import DataError, DependencyError
from loan_default.settings import Settings

NOON = datetime(2026, 11, 23, 12, 0, 0, 123000, tzinfo=UTC)
NEW, REDELIVERED, DUPLICATE = Arrival.NEW, Arrival.REDELIVERED, Arrival.DUPLICATE
ACCEPTED, REJECTED = EventStatus.ACCEPTED, EventStatus.REJECTED


def log_of(event, offset, *, partition=0, topic="raw_data", batch="b1", outcome=ACCEPTED):
    return RawDataLog(
        event=event,
        topic=topic,
        partition=partition,
        offset=offset,
        batch=batch,
        outcome=outcome,
        reason="income: must be a number" if outcome is REJECTED else None,
        application=f"application of {event}",
        logged_at=NOON,
    )


@pytest.fixture
def logs(database):
    repository = RawDataLogRepository(database)
    for _ in range(2):
        repository.ensure_indexes()
    return repository


def stored_in(database):
    return {each["_id"]: RawDataLog.from_store(each) for each in database["raw_data_logs"].find({})}


def test_new_events_are_logged(database, logs):
    batch = [log_of("a", 0), log_of("b", 1, outcome=REJECTED), log_of("c", 0, partition=1)]
    result = logs.add_new(batch)
    assert result.arrivals == (NEW, NEW, NEW)
    assert result.statuses == (ACCEPTED, REJECTED, ACCEPTED)
    assert (result.count(NEW), result.count(DUPLICATE)) == (3, 0)
    assert stored_in(database) == {log.event: log for log in batch}


def test_nothing_is_nothing(database, logs):
    assert logs.add_new([]).arrivals == ()
    assert stored_in(database) == {}


def test_a_record_that_comes_again_is_redelivered(database, logs):
    batch = [log_of("a", 0), log_of("b", 1)]
    logs.add_new(batch)
    result = logs.add_new(
        [log_of("a", 0, batch="b2"), log_of("b", 1, batch="b2"), log_of("c", 2, batch="b2")]
    )
    assert result.arrivals == (REDELIVERED, REDELIVERED, NEW)
    assert stored_in(database)["a"] == batch[0], "the first log stands"


def test_the_first_outcome_stands(logs):
    logs.add_new([log_of("a", 0), log_of("b", 1, outcome=REJECTED)])
    result = logs.add_new([log_of("a", 0, outcome=REJECTED), log_of("b", 1), log_of("b", 7)])
    assert result.arrivals == (REDELIVERED, REDELIVERED, DUPLICATE)
    assert result.statuses == (ACCEPTED, REJECTED, REJECTED)


def test_an_event_that_is_sent_again_is_a_duplicate(database, logs):
    logs.add_new([log_of("a", 0)])
    again = [log_of("a", 5), log_of("a", 0, partition=1), log_of("a", 0, topic="other"), log_of("b", 6)]
    for _ in range(2):  # a duplicate that comes again is a duplicate again
        assert logs.add_new(again).arrivals[:3] == (DUPLICATE,) * 3
    assert stored_in(database) == {"a": log_of("a", 0), "b": log_of("b", 6)}


def test_within_a_batch_the_first_is_kept(database, logs):
    batch = [log_of("a", 3), log_of("b", 4), log_of("a", 9), log_of("a", 3), log_of("b", 4)]
    assert logs.add_new(batch).arrivals == (NEW, NEW, DUPLICATE, REDELIVERED, REDELIVERED)
    assert logs.add_new(batch).arrivals == (REDELIVERED, REDELIVERED, DUPLICATE, REDELIVERED, REDELIVERED)
    assert stored_in(database) == {"a": log_of("a", 3), "b": log_of("b", 4)}


def test_a_topic_that_was_made_anew_is_refused(database, logs):
    logs.add_new([log_of("a", 0), log_of("b", 1)])
    for _ in range(2):
        with pytest.raises(DataError, match=r"at raw_data/0/1: another event is logged") as caught:
            logs.add_new([log_of("a", 0), log_of("secret", 1), log_of("d", 2)])
        assert "secret" not in str(caught.value), "ids are the producer's, they may say anything"
    assert stored_in(database)["b"] == log_of("b", 1)
    assert logs.add_new([log_of("d", 2)]).arrivals == (REDELIVERED,), "what was stored is done again"


def test_two_events_at_one_place_are_refused_before_anything_is_written(database, logs):
    with pytest.raises(DataError, match="raw_data/0/4 comes as two"):
        logs.add_new([log_of("a", 3), log_of("b", 4), log_of("c", 4)])
    assert stored_in(database) == {}


def test_events_are_found_by_id_and_moved_to_the_batch_that_finishes_them(logs):
    entries = [log_of("a", 1), log_of("b", 0, outcome=REJECTED), log_of("c", 3)]
    logs.add_new(entries)
    assert sorted(logs.find_all(["b", "a", "x"]), key=lambda log: log.event) == entries[:2]
    logs.move_to_batch(["b", "x"], "b2")
    assert [log.event for log in logs.of_batch("b2")] == ["b"]
    assert [log.event for log in logs.of_batch("b1")] == ["a", "c"]


def test_the_batches_that_are_stored_are_known(database):
    batches = IngestionBatchRepository(database)
    batches.add(batch_of("b1"))
    assert batches.known(["b0", "b1"]) == {"b1"}


def test_events_by_batch_and_outcome(logs):
    first = [log_of("a", 1), log_of("b", 0, outcome=REJECTED), log_of("c", 3)]
    assert logs.count_by_status() == {ACCEPTED: 0, REJECTED: 0}
    logs.add_new(first)
    logs.add_new([log_of("d", 4, batch="b2"), log_of("a", 9, batch="b2")])
    assert logs.of_batch("b1") == [first[1], first[0], first[2]]
    assert [log.event for log in logs.of_batch("b2")] == ["d"]
    assert logs.of_batch("b3") == []
    assert logs.count_by_status() == {ACCEPTED: 3, REJECTED: 1}
    assert logs.count_by_status(until=NOON) == {ACCEPTED: 3, REJECTED: 1}
    assert logs.count_by_status(until=NOON - timedelta(milliseconds=1)) == {ACCEPTED: 0, REJECTED: 0}
    assert sorted(logs.event_ids(ACCEPTED)) == ["a", "c", "d"]
    assert list(logs.event_ids(REJECTED)) == ["b"]


def test_which_events_are_known(logs, monkeypatch):
    monkeypatch.setattr("loan_default.database.ingestion_repositories.IDS_AT_ONCE", 2)
    logs.add_new([log_of("a", 1), log_of("b", 2, outcome=REJECTED), log_of("c", 3), log_of("d", 4)])
    assert logs.known(iter(["e", "a", "c", "b", "f"])) == {"a", "b", "c"}
    assert logs.known([]) == set()


class Wrapped:
    """A database of which one collection's `insert_many` is another function."""

    def __init__(self, database, insert_many):
        self.database, self.insert_many = database, insert_many

    def __getitem__(self, name):
        return WrappedCollection(self.database[name], self.insert_many)


class WrappedCollection:
    def __init__(self, collection, insert_many):
        self.collection, self._insert_many = collection, insert_many

    def insert_many(self, batch, *, ordered):
        return self._insert_many(self.collection, batch, ordered=ordered)

    def __getattr__(self, name):
        return getattr(self.collection, name)


def execute_and_time_out(collection, batch, *, ordered):
    """The write is done, its answer is lost."""
    collection.insert_many(batch, ordered=ordered)
    raise AutoReconnect("connection closed")


def test_a_write_whose_answer_is_lost_is_done_again_without_effect(database, logs):
    batch = [log_of(f"e{number}", number) for number in range(5)]
    with pytest.raises(DependencyError, match="Cannot write raw_data_logs"):
        RawDataLogRepository(Wrapped(database, execute_and_time_out)).add_new(batch)
    result = logs.add_new([*batch, log_of("new", 5), log_of("e0", 6)])
    assert result.arrivals == (*[REDELIVERED] * 5, NEW, DUPLICATE)
    assert stored_in(database) == {log.event: log for log in (*batch, log_of("new", 5))}


@pytest.mark.parametrize(
    "details",
    [
        {"writeErrors": [{"index": 0, "code": 11000}, {"index": 1, "code": 121, "errmsg": "secret"}]},
        {"writeErrors": [], "writeConcernErrors": [{"code": 64, "errmsg": "secret"}]},
    ],
)
def test_only_taken_keys_are_ignored(database, logs, details):
    def refuse(collection, batch, *, ordered):
        raise BulkWriteError({"nInserted": 1, **details})

    with pytest.raises(DependencyError, match=r"refused with code (121|64)") as caught:
        RawDataLogRepository(Wrapped(database, refuse)).add_new([log_of("a", 0), log_of("b", 1)])
    assert caught.value.__cause__ is not None
    assert "secret" not in str(caught.value) + str(caught.value.__cause__)


def test_documents_that_expire_in_the_middle_are_written_again(database, logs):
    logs.add_new([log_of("a", 0), log_of("b", 1)])

    def expire(collection, batch, *, ordered):
        try:
            return collection.insert_many(batch, ordered=ordered)
        finally:
            collection.delete_many({"_id": "a", "batch": "b1"})

    batch = [log_of("a", 0, batch="b2"), log_of("b", 1, batch="b2")]
    result = RawDataLogRepository(Wrapped(database, expire)).add_new(batch)
    assert result.arrivals == (NEW, REDELIVERED)
    assert stored_in(database) == {"a": batch[0], "b": log_of("b", 1)}


def test_documents_that_never_stay_are_a_dependency_error(database, logs):
    def refuse(collection, batch, *, ordered):
        raise BulkWriteError({"nInserted": 0, "writeErrors": [{"index": 0, "code": 11000}]})

    with pytest.raises(DependencyError, match="1 were there when they were written"):
        RawDataLogRepository(Wrapped(database, refuse)).add_new([log_of("a", 0)])


_topics = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=10)
"""Which event stands at each offset; an event may stand at several."""


@pytest.mark.slow
def test_any_deliveries_agree_with_a_dict(database, logs):
    @settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def check(data):
        database["raw_data_logs"].delete_many({})
        topic = data.draw(_topics)
        deliveries = st.tuples(st.integers(0, len(topic) - 1), st.sampled_from(EventStatus))
        model = {}
        for batch in data.draw(st.lists(st.lists(deliveries, max_size=8), max_size=4)):
            expected = []
            for offset, outcome in batch:
                known = model.get(topic[offset])
                arrival = NEW if known is None else REDELIVERED if known[0] == offset else DUPLICATE
                model.setdefault(topic[offset], (offset, outcome))
                expected.append((arrival, model[topic[offset]][1]))
            result = logs.add_new([log_of(topic[o], o, outcome=outcome) for o, outcome in batch])
            assert list(zip(result.arrivals, result.statuses, strict=True)) == expected
        assert {event: (log.offset, log.outcome) for event, log in stored_in(database).items()} == model
        for outcome in EventStatus:
            events = {event for event, (_, each) in model.items() if each is outcome}
            assert set(logs.event_ids(outcome)) == events
            assert logs.count_by_status()[outcome] == len(events)

    check()


def test_events_are_counted_by_outcome_up_to_a_time(logs):
    batch = [log_of(f"e{n}", n, outcome=REJECTED if n % 3 == 0 else ACCEPTED) for n in range(30)]
    hours = [changed_time(log, NOON + timedelta(hours=n)) for n, log in enumerate(batch)]
    logs.add_new(hours)
    assert logs.count_by_status() == {ACCEPTED: 20, REJECTED: 10}
    assert logs.count_by_status(until=NOON + timedelta(hours=4)) == {ACCEPTED: 3, REJECTED: 2}
    assert logs.count_by_status(until=NOON - timedelta(hours=1)) == {ACCEPTED: 0, REJECTED: 0}


def test_counting_events_reads_none_of_them(embedded_database):
    logs = RawDataLogRepository(embedded_database)
    logs.ensure_indexes()
    logs.add_new([log_of(f"e{n}", n) for n in range(500)])
    with documents_read() as read:
        assert logs.count_by_status()[ACCEPTED] == 500
        assert logs.count_by_status(until=NOON)[ACCEPTED] == 500
    assert read == []


def changed_time(log, time):
    return log.model_copy(update={"logged_at": time})


WRITER = """
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from loan_default.database.connect import connect
from loan_default.database.ingestion_documents import EventStatus, RawDataLog
from loan_default.database.ingestion_repositories import RawDataLogRepository
from loan_default.settings import Settings

logs = RawDataLogRepository(connect(Settings(home=Path(sys.argv[1]), mongodb_uri=None)))
logs.ensure_indexes()
print("ready", flush=True)
for line in sys.stdin:
    first = int(line)
    batch = [
        RawDataLog(
            event=f"e{number}", topic="raw_data", partition=0, offset=number, batch=sys.argv[2],
            outcome=EventStatus.ACCEPTED, logged_at=datetime.now(UTC),
        )
        for number in range(first, first + 300)
    ]
    counts = Counter(logs.add_new(batch).arrivals)
    print(counts["new"], counts["redelivered"], flush=True)
"""


@pytest.mark.slow
def test_two_processes_log_the_same_records_once(tmp_path):
    """After a rebalance the old owner of a partition and the new one may both be at work."""
    writers = []
    for name in ("one", "two"):
        command = [sys.executable, "-W", "error", "-c", WRITER, str(tmp_path), name]
        writers.append(Popen(command, stdin=PIPE, stdout=PIPE, text=True))
    assert [writer.stdout.readline() for writer in writers] == ["ready\n"] * 2
    for first in range(0, 3000, 150):  # half of each batch overlaps the one before
        for writer in writers:
            writer.stdin.write(f"{first}\n")
            writer.stdin.flush()
        results = [[int(number) for number in writer.stdout.readline().split()] for writer in writers]
        assert sum(new for new, _ in results) == (300 if first == 0 else 150)
        assert [sum(each) for each in results] == [300, 300]
    for writer in writers:
        writer.communicate(timeout=20)
    logs = RawDataLogRepository(connect(Settings(home=tmp_path, mongodb_uri=None)))
    assert logs.count_by_status()[ACCEPTED] == 3150
    assert sorted(logs.event_ids(ACCEPTED)) == sorted(f"e{number}" for number in range(3150))


def batch_of(name, **values):
    return IngestionBatch(
        **{
            "batch": name,
            "run": "r1",
            "worker": "w1",
            "ranges": [OffsetRange(topic="raw_data", partition=0, first=0, next=4)],
            "consumed": 4,
            "accepted": 1,
            "rejected": 1,
            "duplicates": 1,
            "redelivered": 1,
            "started_at": NOON,
            "seconds": {"validate": 0.5},
            **values,
        }
    )


def test_batches_are_kept_once(database):
    batches = IngestionBatchRepository(database)
    batches.ensure_indexes()
    first, second = batch_of("b1"), batch_of("b2", started_at=NOON + timedelta(seconds=1))
    for each in (first, second, first, batch_of("b1", seconds={}, started_at=NOON + timedelta(days=1))):
        batches.add(each)
    assert batches.newest_first() == [second, first]
    assert batches.newest_first(limit=1) == [second]
    with pytest.raises(DataError, match="comes again with another content"):
        batches.add(batch_of("b1", accepted=2, rejected=0))
    assert batches.get("b1") == first


def test_a_batch_whose_answer_is_lost_is_added_once(database):
    class LostAnswer(WrappedCollection):
        def insert_one(self, document):
            self.collection.insert_one(document)
            raise AutoReconnect("connection closed")

    class Database:
        def __getitem__(self, name):
            return LostAnswer(database[name], None)

    with pytest.raises(DependencyError):
        IngestionBatchRepository(Database()).add(batch_of("b1"))
    IngestionBatchRepository(database).add(batch_of("b1"))
    assert IngestionBatchRepository(database).newest_first() == [batch_of("b1")]


def test_a_database_that_went_away_is_a_dependency_error(tmp_path):
    database = connect(Settings(home=tmp_path, mongodb_uri=None))
    logs = RawDataLogRepository(database)
    database.client.close()
    calls = (
        logs.ensure_indexes,
        logs.count_by_status,
        lambda: logs.add_new([log_of("a", 0)]),
        lambda: logs.of_batch("b1"),
        lambda: list(logs.event_ids(ACCEPTED)),
    )
    for call in calls:
        with pytest.raises(DependencyError, match="Cannot "):
            call()

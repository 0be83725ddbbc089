"""From rows to `processed_data`: every row accounted for, whatever is in it and whoever dies in between."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Flag

import pytest

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.sources.feeds import GeneratedFeed
from loan_default.database.ingestion_documents import EventStatus
from loan_default.database.ingestion_repositories import IngestionBatchRepository, RawDataLogRepository
from loan_default.errors import DataError, DependencyError
from loan_default.kafka.broker import Broker, Producer
from loan_default.kafka.consuming import Polling, drain
from loan_default.kafka.dead_letters import read_dead_letter
from loan_default.kafka.events import Event, EventType, event_id, read_event, to_message
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.messages import Delivery, Message, Partition, Record, Refused
from loan_default.kafka.outbox import Outbox
from loan_default.kafka.topics import PROCESSED, PROCESSING, RAW, dead_letter_topic
from loan_default.pipelines.ingestion import worker as processing
from loan_default.pipelines.ingestion.ingestion_steps import (
    follow_raw_data,
    ingest_raw_data,
    process_raw_data,
    send_processed_data,
)
from loan_default.pipelines.ingestion.worker import Worker
from loan_default.pipelines.services import Services

SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="id", kind=Kind.IDENTIFIER),
        Column(name="made", kind=Kind.TIMESTAMP),
        Column(name="income", kind=Kind.NUMERICAL, minimum=0, nullable=True),
        Column(name="purpose", kind=Kind.CATEGORICAL, categories=("car", "house")),
        Column(name="bad", kind=Kind.TARGET),
    ),
)
POLLING = Polling(batch=50, poll_seconds=0.05, first_pause_seconds=0.01, retry_budget_seconds=0.2)
SOUND = b'{"id":"A-1","made":"2026-01-01T00:00:00Z","income":10,"purpose":"car","bad":null}'
POISON = {
    "no json": b"{",
    "not utf-8": b'{"id":"\xff"}',
    "empty": b"",
    "null": None,
    "array": b"[1]",
    "nan": b'{"income": NaN}',
    "wrong type": SOUND.replace(b":10,", b':"ten",'),
    "text for a number": SOUND.replace(b":10,", b':"10",'),
    "true for a number": SOUND.replace(b":10,", b":true,"),
    "out of bounds": SOUND.replace(b":10,", b":-5,"),
    "unknown category": SOUND.replace(b"car", b"boat"),
    "unknown field": SOUND.replace(b'"id"', b'"$where":1,"id"'),
    "missing field": SOUND.replace(b'"income":10,"purpose":"car",', b""),
    "null where none may be": SOUND.replace(b'"car"', b"null"),
    "huge number": SOUND.replace(b":10,", b":" + b"9" * 5000 + b","),
    "huge text": SOUND.replace(b"A-1", b"A" * 100_000),
    "impossible date": SOUND.replace(b"2026-01-01", b"2026-02-30"),
    "deep": b'{"id":' * 2000,
}


@pytest.fixture
def services(new_services) -> Services:
    return new_services(SCHEMA, POLLING)


@pytest.fixture
def feed(tmp_path: Path) -> Callable[[int], GeneratedFeed]:
    return lambda rows: GeneratedFeed(SCHEMA, rows=rows, seed=5, state=tmp_path / "feed.json", batch_rows=70)


@pytest.mark.slow
def test_every_row_of_a_feed_arrives_once_and_in_canonical_form(services, feed):
    ingested = ingest_raw_data(services, feed(200))
    assert (ingested.sent, ingested.refused) == (200, 0)
    processed = process_raw_data(services)
    assert (processed.consumed, processed.accepted, processed.rejected) == (200, 200, 0)
    assert send_processed_data(services) == 200
    events = [read_event(record) for record in records_of(services.broker, PROCESSED)]
    assert sorted(event.id for event in events) == sorted(f"generated-5-{row}" for row in range(200))
    assert {event.type for event in events} == {EventType.PROCESSED}
    assert all(set(event.data) == {column.name for column in SCHEMA.columns} for event in events)
    assert ledger(services) == {"accepted": 200}


def test_of_two_rows_of_one_file_the_second_is_the_later_event(services, feed):
    ingest_raw_data(services, feed(60))
    events = [read_event(record) for record in records_of(services.broker, RAW)]
    times = [event.time for event in sorted(events, key=lambda event: int(event.id.rpartition("-")[2]))]
    assert times == sorted(set(times))


@pytest.mark.slow
def test_nothing_new_is_nothing_to_do(services, feed):
    for _ in range(2):
        ingest_raw_data(services, feed(30))
    assert process_raw_data(services).accepted == 60
    assert process_raw_data(services).consumed == 0
    assert send_processed_data(services) == 60
    assert send_processed_data(services) == 0


def test_each_kind_of_poison_gives_one_dead_letter_with_its_place_and_no_value(services):
    raw(services, POISON | {"sound": SOUND})
    processed = process_raw_data(services)
    assert (processed.accepted, processed.rejected) == (1, len(POISON))
    send_processed_data(services)
    dead_letters = [
        read_dead_letter(record) for record in records_of(services.broker, dead_letter_topic(RAW))
    ]
    assert sorted(dead_letter.event for dead_letter in dead_letters) == sorted(POISON)
    stood = {event_id(record): record for record in records_of(services.broker, RAW)}
    for dead_letter in dead_letters:
        record = stood[dead_letter.event]
        assert (dead_letter.partition, dead_letter.offset) == (record.partition, record.offset)
        assert (dead_letter.original.value, dead_letter.original.headers) == (record.value, record.headers)
        assert dead_letter.reason
        assert not any(
            value in dead_letter.reason for value in ("ten", "boat", "-5", "AAAA", "9999", "$where")
        )
    assert [read_event(record).subject for record in records_of(services.broker, PROCESSED)] == ["sound"]
    assert ledger(services) == {"accepted": 1, "rejected": len(POISON)}


def test_no_personal_data_is_logged_or_stored_beside_the_record(services, capsys):
    secret = SOUND.replace(b"A-1", b"Jane-Canary")
    raw(services, {"fine": secret, "broken": secret.replace(b"car", b"Canary-boat")})
    process_raw_data(services)
    assert "Canary" not in "".join(capsys.readouterr())
    stored = str(list(services.database["raw_data_logs"].find({})))
    assert "Canary" not in stored


def test_a_record_that_is_no_event_is_called_after_its_place(services):
    producer = services.broker.producer()
    producer.deliver([Message(topic=RAW, key=b"k", value=SOUND), Message(topic=RAW, key=None, value=None)])
    assert process_raw_data(services).rejected == 2
    dead_letters = [
        read_dead_letter(record) for record in records_of(services.broker, dead_letter_topic(RAW))
    ]
    assert all(dead_letter.event.startswith("raw_data-") for dead_letter in dead_letters)
    assert {dead_letter.reason for dead_letter in dead_letters} == {"the header ce_id must be there"}


def test_an_event_over_the_size_limit_is_a_dead_letter_without_its_content(services, feed, monkeypatch):
    rows = next(feed(100).batches()).rows
    sizes = sorted(
        len(to_message(shell(data=row.data, subject=row.subject), RAW).value or b"") for row in rows
    )
    monkeypatch.setattr("loan_default.kafka.memory.MAX_BYTES", sizes[50] + len(rows[0].subject))
    ingested = ingest_raw_data(services, feed(100))
    assert ingested.sent + ingested.refused == 100
    assert 0 < ingested.refused < 100
    dead_letters = [
        read_dead_letter(record) for record in records_of(services.broker, dead_letter_topic(RAW))
    ]
    assert len(dead_letters) == ingested.refused
    assert not any(dead_letter.complete for dead_letter in dead_letters)
    assert {dead_letter.reason.split(" are ")[-1] for dead_letter in dead_letters} == {"over the size limit"}


class Strict:
    """A producer whose `processed_data` takes nothing."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    def deliver(self, messages: Iterable[Message], /) -> Delivery:
        taken, refused = [], []
        for message in messages:
            (refused if message.topic == PROCESSED else taken).append(message)
        self._producer.deliver(taken)
        return Delivery(
            delivered=len(taken), refused=tuple(Refused(message=each, reason="too large") for each in refused)
        )

    def close(self) -> None:
        self._producer.close()


def test_what_was_accepted_and_its_topic_refuses_is_an_error_and_no_empty_message(services):
    raw(services, {"one": SOUND, "bad": b"{"})
    with Worker(services) as worker:
        worker.producer = Strict(worker.producer)
        with pytest.raises(DataError, match="however: 1 messages do not: too large"):
            drain(worker.consumer, worker, ends=services.broker.end_offsets(RAW), polling=POLLING)
    assert records_of(services.broker, PROCESSED) == []
    assert set(services.broker.committed(PROCESSING, RAW).values()) <= {None, services.broker.first_offset}


def test_a_topic_that_was_given_more_partitions_is_worked_off_all_the_same(services):
    message = to_message(shell(id="new", subject="new"), RAW)._replace(value=SOUND)
    record = Record(Partition(RAW, 7), 0, message.key, message.value, message.headers)
    with Worker(services) as worker:
        worker([record])
    assert [event_id(each) for each in records_of(services.broker, PROCESSED)] == ["new"]


def test_an_event_that_is_sent_again_has_no_second_effect(services):
    for _ in range(3):
        raw(services, {"one": SOUND, "two": SOUND, "bad": b"{"})
    processed = process_raw_data(services)
    assert (processed.consumed, processed.accepted, processed.rejected, processed.duplicates) == (9, 2, 1, 6)
    assert send_processed_data(services) == 2
    assert len(records_of(services.broker, dead_letter_topic(RAW))) == 1


@pytest.mark.slow
def test_a_full_replay_from_the_first_offset_changes_nothing(services, feed):
    ingest_raw_data(services, feed(120))
    raw(services, {"bad": b"{"})
    process_raw_data(services)
    before = sorted(map(str, services.database["raw_data_logs"].find({})))
    services.broker.groups[PROCESSING].done.clear()
    processed = process_raw_data(services)
    assert (processed.redelivered, processed.accepted, processed.rejected) == (121, 0, 0)
    assert sorted(map(str, services.database["raw_data_logs"].find({}))) == before
    send_processed_data(services)
    # Sent again, as nobody can know whether they had been: under the same ids.
    assert len({event_id(record) for record in records_of(services.broker, PROCESSED)}) == 120
    assert len({record.key for record in records_of(services.broker, dead_letter_topic(RAW))}) == 1


STEPS = ("add_new", "deliver", "put", "add", "commit")


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_who_dies_around_any_step_loses_nothing_and_doubles_nothing(services, feed, step, when, monkeypatch):
    """`after` is also a write that succeeds but whose answer is lost."""
    ingest_raw_data(services, feed(90))
    raw(services, {"bad": b"{", "worse": b"["})
    owner = {
        "add_new": processing.RawDataLogRepository,
        "deliver": type(services.broker.producer()),
        "put": Outbox,
        "add": processing.IngestionBatchRepository,
        "commit": type(services.broker.consumer("other", [RAW])),
    }[step]
    real, calls = getattr(owner, step), Counter()

    def dies_once(self, *arguments):
        calls["all"] += 1
        if calls["all"] == 2 and when == "before":
            raise Killed
        result = real(self, *arguments)
        if calls["all"] == 2 and when == "after":
            raise Killed
        return result

    monkeypatch.setattr(owner, step, dies_once)
    with pytest.raises(Killed):
        process_raw_data(services)
    process_raw_data(services)
    monkeypatch.undo()
    send_processed_data(services)
    assert process_raw_data(services).consumed == 0
    assert ledger(services) == {"accepted": 90, "rejected": 2}


class Killed(BaseException):
    """Nothing may catch it: the process is gone."""


@pytest.mark.slow
def test_an_absent_store_is_waited_for_and_then_named(services, feed, monkeypatch):
    ingest_raw_data(services, feed(60))
    real, away = RawDataLogRepository.add_new, iter([True, True, False, True, False])

    def sometimes(self, logs):
        if next(away, False):
            raise DependencyError("the database must answer")
        return real(self, logs)

    monkeypatch.setattr(RawDataLogRepository, "add_new", sometimes)
    assert process_raw_data(services).accepted == 60
    monkeypatch.undo()
    ingest_raw_data(services, feed(60))
    committed = dict(services.broker.committed(PROCESSING, RAW))

    def never(self, logs):
        raise DependencyError("the database must answer")

    monkeypatch.setattr(RawDataLogRepository, "add_new", never)
    with pytest.raises(DependencyError, match="the database must answer"):
        process_raw_data(services)
    assert services.broker.committed(PROCESSING, RAW) == committed
    assert records_of(services.broker, dead_letter_topic(RAW)) == []


@pytest.mark.slow
def test_a_feed_whose_delivery_fails_is_sent_again_under_the_same_ids(services, feed, monkeypatch):
    real = type(services.broker.producer()).deliver
    calls = Counter()

    def answer_lost(self, messages) -> Delivery:
        delivery = real(self, messages)
        calls["all"] += 1
        if calls["all"] == 3:
            raise DependencyError("the answer is lost")
        return delivery

    monkeypatch.setattr(type(services.broker.producer()), "deliver", answer_lost)
    with pytest.raises(DependencyError):
        ingest_raw_data(services, feed(150))
    ingest_raw_data(services, feed(150))
    monkeypatch.undo()
    processed = process_raw_data(services)
    assert processed.duplicates > 0
    send_processed_data(services)
    ids = {event_id(record) for record in records_of(services.broker, PROCESSED)}
    assert {f"generated-5-{row}" for row in range(150)} <= ids
    assert len(ids) == processed.accepted


def test_the_batches_of_a_run_add_up(services, feed):
    ingest_raw_data(services, feed(130))
    process_raw_data(services)
    batches = IngestionBatchRepository(services.database).newest_first()
    assert sum(batch.consumed for batch in batches) == sum(batch.accepted for batch in batches) == 130
    assert {batch.run for batch in batches} == {services.run}
    assert set(batches[0].seconds) >= {"judge", "log", "send", "keep"}
    logs = RawDataLogRepository(services.database)
    assert sum(len(logs.of_batch(batch.batch)) for batch in batches) == 130


def test_an_outcome_that_comes_later_goes_on_as_one(services):
    def outcome(identifier: str, data: dict[str, object]) -> Message:
        return to_message(shell(id=identifier, type=EventType.OUTCOME, subject="A-1", data=data), RAW)

    wrong = [{"bad": "perhaps"}, {"bad": None}, {"income": 1}, {}, {"bad": "1", "income": 1}]
    producer = services.broker.producer()
    producer.deliver(
        [outcome("good", {"bad": "1"}), *(outcome(f"wrong-{n}", d) for n, d in enumerate(wrong))]
    )
    assert process_raw_data(services).rejected == len(wrong)
    send_processed_data(services)
    (record,) = records_of(services.broker, PROCESSED)
    event = read_event(record)
    assert (event.type, event.subject, event.data) == (EventType.OUTCOME, "A-1", {"label": 1.0})


def test_a_schema_that_changes_in_the_middle_of_a_batch_is_named(services, monkeypatch):
    raw(services, {"one": SOUND})

    def killed(self, messages):
        raise Killed

    monkeypatch.setattr(Outbox, "put", killed)
    with pytest.raises(Killed):
        process_raw_data(services)
    monkeypatch.undo()
    stricter = Schema(
        name="loans",
        columns=tuple(replace(c, minimum=100) if c.name == "income" else c for c in SCHEMA.columns),
    )
    with pytest.raises(DataError, match="must be finished with the schema that it was begun with"):
        process_raw_data(replace(services, schema=stricter))
    assert process_raw_data(services).redelivered == 1


@pytest.mark.slow
def test_records_are_followed_until_the_flag_is_set_and_the_batch_in_hand_is_finished(
    services, feed, monkeypatch
):
    """First goes what an earlier run had accepted and not sent."""
    ingest_raw_data(services, feed(30))
    process_raw_data(services)
    ingest_raw_data(services, feed(40))
    raw(services, {"bad": b"{"})
    stop, real = Flag(), IngestionBatchRepository.add

    def stops(self, batch) -> None:
        real(self, batch)
        stop.set()

    monkeypatch.setattr(IngestionBatchRepository, "add", stops)
    processed = follow_raw_data(services, stop=stop)
    assert processed.consumed == processed.accepted + processed.rejected > 0
    assert len(records_of(services.broker, PROCESSED)) == 30 + processed.accepted
    assert processed.consumed + process_raw_data(services).consumed == 41
    send_processed_data(services)
    assert ledger(services) == {"accepted": 70, "rejected": 1}


def test_absent_topics_are_named_before_anything_is_done(services, feed):
    empty = replace(services, broker=MemoryBroker())
    for step in (process_raw_data, send_processed_data, lambda services: ingest_raw_data(services, feed(3))):
        with pytest.raises(DependencyError, match="Create them with `loan-default init`"):
            step(empty)


def raw(services: Services, values: dict[str, bytes | None]) -> None:
    """Sends values as events of these ids, whatever is in them."""
    messages = (
        to_message(shell(id=name, subject=name), RAW)._replace(value=value) for name, value in values.items()
    )
    services.broker.producer().deliver(messages)


def shell(**fields: object) -> Event:
    """An event with these fields."""
    event = Event(
        id="?", type=EventType.RECEIVED, source="t", time=datetime.now(UTC), subject="?", schema="", data={}
    )
    return event._replace(**fields)


def records_of(broker: Broker, topic: str) -> list[Record]:
    """All records of a topic of the memory broker."""
    assert isinstance(broker, MemoryBroker)
    partitions: list[Partition] = broker.partitions_of(topic)
    return [record for partition in partitions for record in broker.logs[partition]]


def ledger(services: Services) -> dict[str, int]:
    """Sent = accepted + dead, nothing twice, nothing in both; returns how many of each."""
    sent = {event_id(record) for record in records_of(services.broker, RAW)}
    logs = RawDataLogRepository(services.database)
    accepted = set(logs.event_ids(EventStatus.ACCEPTED))
    rejected = set(logs.event_ids(EventStatus.REJECTED))
    processed = {event_id(record) for record in records_of(services.broker, PROCESSED)}
    dead = {read_dead_letter(record).event for record in records_of(services.broker, dead_letter_topic(RAW))}
    assert accepted | rejected == sent, "lost or phantom"
    assert not accepted & rejected
    assert processed == accepted
    assert dead == rejected
    counts = {"accepted": len(accepted), "rejected": len(rejected)}
    return {name: count for name, count in counts.items() if count}

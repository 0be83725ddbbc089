"""The worker's loop: it logs one batch while it validates the next, and leaves no write behind an error."""

import gc
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from threading import Event as Flag

import pytest

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.database.ingestion_documents import RawDataLog
from loan_default.database.ingestion_repositories import LogResult, RawDataLogRepository
from loan_default.errors import DependencyError
from loan_default.kafka.broker import Producer
from loan_default.kafka.consuming import Polling, drain
from loan_default.kafka.events import Event, EventType, event_id, to_message
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.messages import Delivery, Message, Partition, Record
from loan_default.kafka.topics import PROCESSED, RAW, dead_letter_topic
from loan_default.pipelines.ingestion import worker as processing
from loan_default.pipelines.ingestion.worker import Processed, Worker
from loan_default.pipelines.services import Services

SCHEMA = Schema(
    name="loans",
    columns=(Column(name="income", kind=Kind.NUMERICAL, minimum=0), Column(name="bad", kind=Kind.TARGET)),
)
POLLING = Polling(batch=100, poll_seconds=0.01, first_pause_seconds=0.01, retry_budget_seconds=5.0)
PATIENCE = 10.0
"""Seconds after which a test that waits for another thread gives up."""

AddNew = Callable[[RawDataLogRepository, list[RawDataLog]], LogResult]


class Interrupted(BaseException):
    """What a signal raises, in whatever line the main thread is."""


class Failing:
    """A producer whose first delivery fails after its first message, once the flag `after` is set.

    `held` is what outlives that.
    """

    def __init__(self, producer: Producer, error: DependencyError, *, after: Flag, failed: Flag) -> None:
        self._producer, self._error, self._after, self._failed = producer, error, after, failed
        self.held: list[object] = []

    def deliver(self, messages: Iterable[Message], /) -> Delivery:
        if self._failed.is_set():
            return self._producer.deliver(messages)
        self.held.append(messages)
        iterator = iter(messages)
        self.held.append(iterator)
        next(iterator)
        assert self._after.wait(PATIENCE)
        self._failed.set()
        raise self._error

    def close(self) -> None:
        self._producer.close()


@pytest.fixture
def services(
    new_services: Callable[[Schema, Polling], Services], monkeypatch: pytest.MonkeyPatch
) -> Services:
    monkeypatch.setattr(processing, "_LOG_BATCH", 4)
    return new_services(SCHEMA, POLLING)


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Without the garbage collector, what is in a reference cycle stays."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def replaced_add_new(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[AddNew], AddNew]], None]:
    """Puts a wrapper around the write to the store."""
    real = RawDataLogRepository.add_new

    def replace(wrap: Callable[[AddNew], AddNew]) -> None:
        monkeypatch.setattr(RawDataLogRepository, "add_new", wrap(real))

    return replace


@pytest.mark.slow
@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("in_a_cycle", [False, True])
def test_a_failed_delivery_leaves_no_write_behind(services, replaced_add_new, in_a_cycle):
    """Also where the exception, and with it whatever iterates over the messages, is kept alive."""
    second_begun, failed, trace = Flag(), Flag(), []

    def slow_once_delivery_failed(real: AddNew) -> AddNew:
        def add_new(self, logs):
            trace.append(("begun", logs[0].batch))
            if sum(what == "begun" for what, _ in trace) == 2:
                second_begun.set()
                assert failed.wait(PATIENCE)
                time.sleep(0.1)
            result = real(self, logs)
            trace.append(("done", logs[0].batch))
            return result

        return add_new

    replaced_add_new(slow_once_delivery_failed)
    error = DependencyError("the broker must answer")
    if in_a_cycle:
        error.itself = error
    send(services, [b'{"income":1}'] * 12)
    with Worker(services) as worker:
        worker.producer = Failing(worker.producer, error, after=second_begun, failed=failed)

        def traced(records: list[Record]) -> None:
            trace.append(("try", ""))
            worker(records)

        drain(worker.consumer, traced, ends=services.broker.end_offsets(RAW), polling=POLLING)
    second = [position for position, (what, _) in enumerate(trace) if what == "try"][1]
    first_try, second_try = trace[1:second], trace[second + 1 :]
    assert [what for what, _ in first_try] == ["begun", "done"] * 2
    assert {batch for _, batch in first_try}.isdisjoint(batch for _, batch in second_try)
    assert len(records_of(services, PROCESSED)) == worker.processed.consumed == 12


@pytest.mark.slow
@pytest.mark.parametrize("count", [4, 12])
def test_an_interrupted_worker_waits_for_the_write_that_runs_and_cancels_the_next(
    services, replaced_add_new, count
):
    """The signal comes while the first write runs; there is no other yet, or the second is pending."""
    begun, go_on, trace = Flag(), Flag(), []

    def held_up(real: AddNew) -> AddNew:
        def add_new(self, logs):
            trace.append("begun")
            begun.set()
            assert go_on.wait(PATIENCE)
            time.sleep(0.05)
            result = real(self, logs)
            trace.append("done")
            return result

        return add_new

    def interrupt(*_: object) -> None:
        go_on.set()
        raise Interrupted

    replaced_add_new(held_up)
    records = send(services, [b'{"income":1}'] * count)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with Worker(services) as worker:
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            with pytest.raises(Interrupted):
                worker(records)
            left_behind = trace.copy()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert begun.is_set()
    assert left_behind == trace == ["begun", "done"]
    assert records_of(services, PROCESSED) == []


@pytest.mark.slow
def test_a_batch_whose_write_fails_is_not_sent_and_its_pending_writes_end_before_the_next_try(
    services, replaced_add_new
):
    trace = []

    def fails_first(real: AddNew) -> AddNew:
        def add_new(self, logs):
            trace.append("begun")
            if trace.count("begun") == 1:
                raise DependencyError("the database must answer")
            time.sleep(0.05)
            result = real(self, logs)
            trace.append("done")
            return result

        return add_new

    replaced_add_new(fails_first)
    records = send(services, [b'{"income":1}'] * 12)
    with Worker(services) as worker:
        with pytest.raises(DependencyError, match="the database must answer"):
            worker(records)
        assert trace in (["begun"], ["begun", "begun", "done"])  # the second was cancelled, or it is done
        assert records_of(services, PROCESSED) == []
        assert worker.processed == Processed()
        worker(records)
    assert len(records_of(services, PROCESSED)) == 12
    assert worker.processed.consumed == 12


def test_the_store_writes_a_batch_while_the_next_is_validated(services, replaced_add_new, monkeypatch):
    validating = Flag()

    def waits_for_the_next(real: AddNew) -> AddNew:
        def add_new(self, logs):
            assert validating.wait(PATIENCE), "the next batch was not validated meanwhile"
            return real(self, logs)

        return add_new

    replaced_add_new(waits_for_the_next)
    records = send(services, [b'{"income":1}'] * 8)
    with Worker(services) as worker:
        real, calls = worker._validate, []

        def noting(some: list[Record]) -> list[object]:
            calls.append(len(some))
            if len(calls) == 2:
                validating.set()
            return real(some)

        worker._validate = noting
        worker(records)
    assert calls == [4, 4]


def test_no_event_is_sent_before_it_is_logged(services, replaced_add_new):
    """What was sent and never logged could be both accepted and a dead-letter record."""
    logged, seen = set(), []

    def noting(real: AddNew) -> AddNew:
        def add_new(self, logs):
            result = real(self, logs)
            logged.update(log.event for log in logs)
            return result

        return add_new

    class Watching:
        def __init__(self, producer: Producer) -> None:
            self._producer = producer

        def deliver(self, messages: Iterable[Message], /) -> Delivery:
            def watched() -> Iterator[Message]:
                for message in messages:
                    headers = dict(message.headers)
                    event = (headers.get("dead_event") or headers["ce_id"]).decode()
                    seen.append((event, event in logged))
                    yield message

            return self._producer.deliver(watched())

        def close(self) -> None:
            self._producer.close()

    replaced_add_new(noting)
    records = send(services, [b'{"income":1}', b'{"income":-1}'] * 5)
    with Worker(services) as worker:
        worker.producer = Watching(worker.producer)
        worker(records)
    assert sorted(seen) == sorted((f"e{number}", True) for number in range(10))


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 11])
def test_every_record_is_counted_and_sent_once_whatever_the_size(services, count):
    records = send(services, [b'{"income":1}', b"{"] * (count // 2) + [b'{"income":1}'] * (count % 2))
    with Worker(services) as worker:
        worker(records)
    assert worker.processed.counts == {
        "consumed": count,
        "accepted": count - count // 2,
        "rejected": count // 2,
        "duplicates": 0,
        "redelivered": 0,
    }
    sent = [event_id(each) for each in records_of(services, PROCESSED)]
    assert sorted(sent) == sorted(f"e{number}" for number in range(0, count, 2))
    assert len(records_of(services, dead_letter_topic(RAW))) == count // 2


def test_accepted_events_that_are_kept_are_not_sent(services):
    records = send(services, [b'{"income":1}', b"{"] * 5)
    kept: list[list[Message]] = []
    with Worker(services, keep=kept.append) as worker:
        worker(records)
    assert [len(messages) for messages in kept] == [5]
    assert {message.topic for message in kept[0]} == {PROCESSED}
    assert records_of(services, PROCESSED) == []
    assert len(records_of(services, dead_letter_topic(RAW))) == 5


def test_a_dead_letter_record_that_is_too_large_is_sent_without_its_content(services, monkeypatch):
    value = b'{"income":' + b"9" * 500 + b"x}"
    records = send(services, [value, b'{"income":1}'])
    monkeypatch.setattr("loan_default.kafka.memory.MAX_BYTES", len(value))  # the record itself, not its key
    with Worker(services) as worker:
        worker(records)
    (record,) = records_of(services, dead_letter_topic(RAW))
    assert record.value == b""
    assert ("dead_content", b"left out") in record.headers
    assert len(records_of(services, PROCESSED)) == 1


def test_the_interpreter_is_set_for_many_records_only_while_the_worker_runs(services):
    before = (gc.get_threshold(), sys.getswitchinterval())
    with Worker(services):
        assert gc.get_threshold() == (50_000, 20, 50)
        assert sys.getswitchinterval() == pytest.approx(0.001)
    assert (gc.get_threshold(), sys.getswitchinterval()) == before
    with pytest.raises(Interrupted), Worker(services):
        raise Interrupted
    assert (gc.get_threshold(), sys.getswitchinterval()) == before


def test_what_two_batches_came_to_adds_up():
    total = Processed(consumed=3, accepted=1, rejected=1, duplicates=1, seconds={"log": 1.0})
    total.add(Processed(consumed=2, accepted=1, redelivered=1, seconds={"log": 0.5, "send": 2.0}))
    assert total.counts == {"consumed": 5, "accepted": 2, "rejected": 1, "duplicates": 1, "redelivered": 1}
    assert total.seconds == {"log": 1.5, "send": 2.0}


def send(services: Services, values: list[bytes]) -> list[Record]:
    """Values as events `e0`, `e1`, … on `raw_data`; returns the records that came of them, in this order."""
    messages = [
        to_message(event(f"e{number}"), RAW)._replace(value=value) for number, value in enumerate(values)
    ]
    services.broker.producer().deliver(messages)
    return sorted(records_of(services, RAW), key=lambda record: int(event_id(record)[1:]))


def event(identifier: str) -> Event:
    """A received application of this id."""
    return Event(
        id=identifier,
        type=EventType.RECEIVED,
        source="test",
        time=datetime(2026, 1, 1, tzinfo=UTC),
        subject=identifier,
        schema="",
        data={},
    )


def records_of(services: Services, topic: str) -> list[Record]:
    """All records of a topic."""
    assert isinstance(services.broker, MemoryBroker)
    partitions: list[Partition] = services.broker.partitions_of(topic)
    return [record for partition in partitions for record in services.broker.logs[partition]]

"""Draining and following: every record is handled, and committed only then; what is absent is waited for."""

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from threading import Event, Thread

import pytest

from loan_default.errors import DependencyError
from loan_default.kafka.consuming import Polling, drain, follow
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.messages import Message, Record, next_offsets
from loan_default.kafka.topics import Topic

QUICK = Polling(
    batch=10,
    poll_seconds=0.05,
    first_pause_seconds=0.01,
    longest_pause_seconds=0.02,
    retry_budget_seconds=0.3,
)


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    broker.create_topics([Topic(name="t")])
    send(broker, range(100))
    return broker


def send(broker: MemoryBroker, numbers: range) -> None:
    messages = (Message(topic="t", key=str(n).encode(), value=str(n).encode()) for n in numbers)
    broker.producer().deliver(messages)


class Sink:
    """Keeps what it is given; can be away for a while."""

    def __init__(self, *, away: int = 0) -> None:
        self.away, self.calls = away, 0
        self.records: list[Record] = []

    def __call__(self, records: list[Record]) -> None:
        self.calls += 1
        if self.away:
            self.away -= 1
            raise DependencyError("the store is away")
        self.records += records

    @property
    def numbers(self) -> list[int]:
        return sorted(int(record.value or b"") for record in self.records)


def test_a_drain_handles_what_was_there_at_the_start_and_commits_it(broker):
    consumer, ends, sink = broker.consumer("g", ["t"]), broker.end_offsets("t"), Sink()
    send(broker, range(100, 103))  # too late for this drain, or not: the batch decides
    consumed = drain(consumer, sink, ends=ends, polling=QUICK)
    assert set(range(100)) <= set(sink.numbers)
    assert consumed.records == len(sink.records)
    committed = broker.committed("g", "t")
    assert all((committed[partition] or 0) >= end for partition, end in ends.items())


def test_a_drain_ends_though_more_records_keep_coming(broker):
    consumer, ends, sink = broker.consumer("g", ["t"]), broker.end_offsets("t"), Sink()
    numbers = count(100)

    def handle(records: list[Record]) -> None:
        sink(records)
        first = next(numbers)
        assert first < 1_000, "it must end"
        send(broker, range(first, first + 1))

    drain(consumer, handle, ends=ends, polling=replace(QUICK, poll_seconds=1))
    assert set(range(100)) <= set(sink.numbers)


def test_an_empty_topic_is_drained_at_once(broker):
    broker.create_topics([Topic(name="empty")])
    consumer = broker.consumer("g", ["empty"])
    assert drain(consumer, Sink(), ends=broker.end_offsets("empty"), polling=QUICK).batches == 0


def stopping(sink: Sink, *, after: int, stop: Event) -> Callable[[list[Record]], None]:
    """Handles records as `sink` does, and stops when that has so many."""

    def handle(records: list[Record]) -> None:
        sink(records)
        if len(sink.records) >= after:
            stop.set()

    return handle


def test_a_drain_stops_after_the_batch_in_hand(broker):
    sink, stop = Sink(), Event()
    handle = stopping(sink, after=25, stop=stop)
    consumer, ends = broker.consumer("g", ["t"]), broker.end_offsets("t")
    consumed = drain(consumer, handle, ends=ends, polling=QUICK, stop=stop)
    assert (consumed.records, consumed.batches, len(sink.records)) == (30, 3, 30)
    consumer.close()
    rest = Sink()
    drain(broker.consumer("g", ["t"]), rest, ends=ends, polling=QUICK)
    assert sorted(sink.numbers + rest.numbers) == list(range(100))


@pytest.mark.slow
def test_a_member_without_partitions_waits_until_the_others_have_committed_all(broker):
    members = [broker.consumer("g", ["t"]) for _ in range(4)]
    ends, consumed = broker.end_offsets("t"), []
    assert not members[3].assigned()
    worker = Thread(
        target=lambda: consumed.append(
            drain(members[3], Sink(), ends=ends, polling=replace(QUICK, retry_budget_seconds=60))
        )
    )
    worker.start()
    for member in members[:3]:
        worker.join(0.1)
        assert worker.is_alive()
        while records := member.poll(max_records=10, timeout_seconds=0.01):
            member.commit(next_offsets(records))
    worker.join(10)
    assert [each.records for each in consumed] == [0]


def test_what_a_member_leaves_behind_is_handled_by_one_that_had_nothing_to_do(broker):
    members = [broker.consumer("g", ["t"]) for _ in range(4)]
    sink, ends = Sink(), broker.end_offsets("t")
    polling = replace(QUICK, retry_budget_seconds=60)
    worker = Thread(target=drain, args=(members[3], sink), kwargs={"ends": ends, "polling": polling})
    worker.start()
    with broker.changed:  # all leave at once: nothing is assigned to the worker and taken from it again
        for member in members[:3]:
            member.close()
    worker.join(10)
    assert sink.numbers == list(range(100))


def test_a_commit_while_partitions_are_assigned_is_repeated_by_who_keeps_them(broker, monkeypatch):
    consumer, ends, sink = broker.consumer("g", ["t"]), broker.end_offsets("t"), Sink()
    real, answers = consumer.commit, [False]
    monkeypatch.setattr(consumer, "commit", lambda offsets: answers.pop() if answers else real(offsets))
    drain(consumer, sink, ends=ends, polling=replace(QUICK, batch=1_000))
    assert sink.numbers == list(range(100))
    assert broker.committed("g", "t") == ends


@pytest.mark.slow
def test_a_stuck_member_ends_a_drain_though_more_records_keep_coming_to_others(broker):
    members = [broker.consumer("g", ["t"]) for _ in range(2)]
    ends, turns = broker.end_offsets("t"), count()
    ours = min(members[0].assigned()).number
    more = Message(topic="t", key=b"k", value=b"more", partition=ours)

    def handle(_: list[Record]) -> None:
        assert next(turns) < 100, "it must end"
        time.sleep(0.01)
        broker.producer().deliver([more])

    with pytest.raises(DependencyError, match=r"uncommitted for 0\.3 s"):
        drain(members[0], handle, ends=ends, polling=QUICK)


@pytest.mark.slow
def test_a_consumer_that_is_stuck_with_its_records_is_waited_for_within_the_retry_budget(broker):
    members = [broker.consumer("g", ["t"]) for _ in range(4)]
    with pytest.raises(DependencyError, match=r"100 records of 3 partitions uncommitted for 0\.3 s"):
        drain(members[3], Sink(), ends=broker.end_offsets("t"), polling=QUICK)


@pytest.mark.slow
def test_an_absent_dependency_is_waited_for_and_gets_each_record(broker):
    sink = Sink(away=4)
    consumed = drain(broker.consumer("g", ["t"]), sink, ends=broker.end_offsets("t"), polling=QUICK)
    assert sink.numbers == list(range(100))
    assert sink.calls == consumed.batches + 4


def test_a_commit_whose_broker_is_away_is_repeated_and_the_batch_is_not(broker, monkeypatch):
    consumer, sink, calls = broker.consumer("g", ["t"]), Sink(), []
    real = type(consumer).commit

    def away_at_first(self, offsets) -> bool:
        calls.append(offsets)
        if len(calls) <= 3:
            raise DependencyError("the broker is away")
        return real(self, offsets)

    monkeypatch.setattr(type(consumer), "commit", away_at_first)
    consumed = drain(consumer, sink, ends=broker.end_offsets("t"), polling=QUICK)
    assert sink.numbers == list(range(100))
    assert len(calls) == consumed.batches + 3


@pytest.mark.slow
def test_commits_of_others_that_cannot_be_read_for_a_while_are_asked_for_again(broker, monkeypatch):
    consumer, sink, asked = broker.consumer("g", ["t"]), Sink(), []
    real = type(consumer).uncommitted

    def away_at_first(self, ends):
        asked.append(ends)
        if len(asked) <= 2:
            raise DependencyError("the broker is away")
        return real(self, ends)

    monkeypatch.setattr(type(consumer), "uncommitted", away_at_first)

    def slowly(records: list[Record]) -> None:
        time.sleep(QUICK.retry_budget_seconds / 5)  # all batches together take longer than the patience
        sink(records)

    drain(consumer, slowly, ends=broker.end_offsets("t"), polling=QUICK)
    assert (sink.numbers, len(asked)) == (list(range(100)), 3)


@pytest.mark.slow
def test_commits_of_others_that_can_never_be_read_end_the_drain(broker, monkeypatch):
    consumer, sink = broker.consumer("g", ["t"]), Sink()

    def away(self, ends):
        raise DependencyError("the broker is away")

    monkeypatch.setattr(type(consumer), "uncommitted", away)
    with pytest.raises(DependencyError, match="the broker is away"):
        drain(consumer, sink, ends=broker.end_offsets("t"), polling=QUICK)
    assert sink.numbers == list(range(100))


@pytest.mark.slow
def test_what_stays_away_ends_the_drain_and_nothing_of_its_batch_is_committed(broker):
    sink, stop = Sink(), Event()
    consumer = broker.consumer("g", ["t"])
    handle = stopping(sink, after=20, stop=stop)
    drain(consumer, handle, ends=broker.end_offsets("t"), polling=QUICK, stop=stop)
    before = dict(broker.committed("g", "t"))
    sink.away = 10**6
    with pytest.raises(DependencyError, match="the store is away"):
        drain(consumer, sink, ends=broker.end_offsets("t"), polling=QUICK)
    assert broker.committed("g", "t") == before
    consumer.close()
    sink.away = 0
    drain(broker.consumer("g", ["t"]), sink, ends=broker.end_offsets("t"), polling=QUICK)
    assert sink.numbers == list(range(100))


def test_a_bug_in_the_handling_stops_at_once_and_commits_nothing(broker):
    def handle(records: list[Record]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        drain(broker.consumer("g", ["t"]), handle, ends=broker.end_offsets("t"), polling=QUICK)
    assert set(broker.committed("g", "t").values()) == {None}


def test_partitions_that_went_to_another_during_a_wait_are_left_to_it(broker):
    sink, others = Sink(away=1), []

    def handle(records: list[Record]) -> None:
        if not others:  # another takes some partitions while we wait
            others.append(Thread(target=drain, args=(broker.consumer("g", ["t"]), rest), kwargs=all_of_it))
            others[0].start()
        sink(records)

    rest, all_of_it = (
        Sink(),
        {"ends": broker.end_offsets("t"), "polling": replace(QUICK, retry_budget_seconds=60)},
    )
    consumed = drain(broker.consumer("g", ["t"]), handle, **all_of_it)
    others[0].join(10)
    assert sorted(sink.numbers + rest.numbers) == list(range(100))
    assert consumed.records == len(sink.records) < 100


def test_following_goes_on_until_it_is_stopped_and_finishes_its_batch(broker):
    sink, stop = Sink(), Event()

    def handle(records: list[Record]) -> None:
        sink(records)
        if len(sink.records) >= 150:
            stop.set()

    worker = Thread(
        target=follow, args=(broker.consumer("g", ["t"]), handle), kwargs={"stop": stop, "polling": QUICK}
    )
    worker.start()
    send(broker, range(100, 150))
    worker.join(10)
    assert not worker.is_alive()
    assert sink.numbers == list(range(150))
    assert sum(offset or 0 for offset in broker.committed("g", "t").values()) == 150

"""Consuming: `drain` what is there now, `follow` until `stop` is set, or `look` without a commit.

A batch is handed to a function whose effects can be repeated; only when it returns are the offsets
committed. Where what it needs is away (DependencyError), it is called again with the same records after a
pause in which the consumer stays in its group, and in the end the error passes through: nothing of the batch
is committed then.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from threading import Event as Flag
from typing import NamedTuple

import structlog

from loan_default.errors import DependencyError
from loan_default.kafka.broker import Consumer
from loan_default.kafka.messages import Offsets, Partition, Record

Handle = Callable[[list[Record]], None]

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Polling:
    """How records are taken, and how long an absent dependency is waited for."""

    batch: int = 5_000
    """Records handed over at once, at most."""
    poll_seconds: float = 0.5
    """How long to wait for records before looking at the clock."""
    first_pause_seconds: float = 0.2
    """The pause before a batch is tried for the second time; each later pause is twice as long."""
    longest_pause_seconds: float = 5.0
    """The pause between two tries of a batch is never longer."""
    retry_budget_seconds: float = 60.0
    """How long one batch is tried."""


@dataclass(slots=True)
class Consumed:
    """How far a consumer has come."""

    records: int = 0
    batches: int = 0
    stale_commits: int = 0
    """Batches that another consumer of the group reads again."""


def drain(
    consumer: Consumer,
    handle: Handle,
    *,
    ends: Offsets,
    polling: Polling | None = None,
    stop: Flag | None = None,
) -> Consumed:
    """Handle what was there at the start, and wait for what other consumers of the group are processing.

    A consumer that crashed keeps its partitions until its session is over; then they are assigned to us.

    Args:
        ends: where to stop: the end offsets at the start.
        stop: set it to stop after the batch that is being handled.

    Raises:
        DependencyError: what the batches need, or the broker, was away for longer than the retry budget, or
            another consumer committed nothing for so long.
    """
    polling, consumed = polling or Polling(), Consumed()
    others = _Others(consumer, ends, polling.retry_budget_seconds)
    for iteration in _iterations(consumer, handle, stop=stop or Flag(), polling=polling, consumed=consumed):
        if any(record.offset < ends.get(record.partition, 0) for record in iteration.records):
            others.wait_anew()
        if (not iteration.records or _reached(iteration.read, ends)) and others.are_done():
            break
    return consumed


def follow(
    consumer: Consumer,
    handle: Handle,
    *,
    stop: Flag,
    polling: Polling | None = None,
    after_poll: Callable[[], None] = lambda: None,
) -> Consumed:
    """Handle records as they come until `stop` is set; the batch that is being handled is finished.

    Args:
        after_poll: called after each poll, once what it brought is handled.

    Raises:
        DependencyError: what the batches need, or the broker, was away for longer than the retry budget.
    """
    consumed = Consumed()
    for _ in _iterations(consumer, handle, stop=stop, polling=polling or Polling(), consumed=consumed):
        after_poll()
    return consumed


def look(consumer: Consumer, *, ends: Offsets, polling: Polling | None = None) -> Iterator[Record]:
    """The records up to these ends, for a group that is alone; nothing is committed.

    Raises:
        DependencyError: the broker is away, or assigns the partitions to others.
    """
    polling, left = polling or Polling(), {partition: end for partition, end in ends.items() if end}
    given_up = time.monotonic() + polling.retry_budget_seconds
    while left:
        records = consumer.poll(max_records=polling.batch, timeout_seconds=polling.poll_seconds)
        yield from records
        now = consumer.positions()
        left = {partition: end for partition, end in left.items() if now.get(partition, 0) < end}
        if records:
            given_up = time.monotonic() + polling.retry_budget_seconds
        elif left and time.monotonic() > given_up:
            raise DependencyError(
                f"Cannot read a topic to its end: no record came in {polling.retry_budget_seconds} s, and "
                f"{len(left)} partitions have more. Check the brokers."
            )


class _Iteration(NamedTuple):
    """What one poll came to."""

    records: list[Record]
    """The records of the poll, which are handled."""
    read: Offsets
    """How far our partitions were read then."""


def _iterations(
    consumer: Consumer, handle: Handle, *, stop: Flag, polling: Polling, consumed: Consumed
) -> Iterator[_Iteration]:
    """Poll, handle and commit, until `stop` is set.

    What is committed is how far was read, not the last record: the markers of transactions stand between and
    behind records, and take offsets too. A commit that came while the partitions were being assigned is
    repeated when nothing is left to read: who keeps a partition keeps its position, and reads nothing again.
    """
    committed: Offsets = {}
    while not stop.is_set():
        records = consumer.poll(max_records=polling.batch, timeout_seconds=polling.poll_seconds)
        read: Offsets = {}
        try:
            read = consumer.positions()
            if not records and read != committed and consumer.commit(read):
                committed = read
        except DependencyError as error:
            if records:
                raise
            log.warning("commit_waits", reason=str(error))
        if records:
            committed = _process(
                consumer, handle, records, read, polling=polling, consumed=consumed, stop=stop
            )
        yield _Iteration(records, read)


def _process(
    consumer: Consumer,
    handle: Handle,
    batch: list[Record],
    read: Offsets,
    *,
    polling: Polling,
    consumed: Consumed,
    stop: Flag,
) -> Offsets:
    """Handle one batch and commit it, however often it takes; returns what is committed."""
    given_up, pause, handled = (
        time.monotonic() + polling.retry_budget_seconds,
        polling.first_pause_seconds,
        False,
    )
    while True:
        try:
            if not handled:
                handle(batch)
                handled = True
            current = consumer.commit(read)
            break
        except DependencyError as error:
            if stop.is_set() or time.monotonic() + pause > given_up:
                raise
            log.warning("batch_waits", records=len(batch), pause_seconds=pause, reason=str(error))
        read = _still_ours(consumer, read, after_seconds=pause)
        batch = [record for record in batch if record.partition in read]
        if not batch:
            consumed.stale_commits += 1
            return {}
        pause = min(2 * pause, polling.longest_pause_seconds)
    if not current:
        consumed.stale_commits += 1
        log.warning("commit_was_stale", records=len(batch))
    consumed.records += len(batch)
    consumed.batches += 1
    return read if current else {}


def _still_ours(consumer: Consumer, read: Offsets, *, after_seconds: float) -> Offsets:
    """What of this stayed ours during a pause.

    A partition that went and came back is read from what is committed on: somebody reads its records again.
    """
    try:
        consumer.idle(after_seconds)
        now = consumer.positions()
    except DependencyError:
        # The broker itself is away: nobody knows, and a commit leaves out what is not ours.
        time.sleep(after_seconds)
        return read
    return {partition: offset for partition, offset in read.items() if now.get(partition) == offset}


def _reached(read: Offsets, ends: Offsets) -> bool:
    return all(offset >= ends.get(partition, 0) for partition, offset in read.items())


class _Others:
    """The rest of a group, whose commits are waited for when nothing is left for us to read."""

    def __init__(self, consumer: Consumer, ends: Offsets, retry_budget_seconds: float) -> None:
        self._consumer, self._ends, self._retry_budget_seconds = consumer, ends, retry_budget_seconds
        self._left: Mapping[Partition, int] = {}
        self.wait_anew()

    def wait_anew(self) -> None:
        """Start the retry budget again."""
        self._given_up = time.monotonic() + self._retry_budget_seconds

    def are_done(self) -> bool:
        """Whether all before the ends is committed, by whomever.

        Raises:
            DependencyError: nothing more was committed for longer than the retry budget.
        """
        before = self._left
        try:
            self._left = self._consumer.uncommitted(self._ends)
        except DependencyError as error:
            if time.monotonic() > self._given_up:
                raise
            log.warning("drain_waits", reason=str(error))
            return False
        if self._left != before:
            self.wait_anew()
        elif self._left and time.monotonic() > self._given_up:
            raise DependencyError(
                f"Cannot drain the topic: other consumers of the group left {sum(self._left.values()):,} "
                f"records of {len(self._left)} partitions uncommitted for "
                f"{self._retry_budget_seconds} s. Look for a consumer that is stuck."
            )
        return not self._left

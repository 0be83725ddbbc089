"""Consuming: `drain` what is there now, `follow` until told to stop, or `look` without a commit.

A batch is handed to a function whose effects can be repeated; only when it returns are the offsets
committed. Where what it needs is away (DependencyError), it is called again with the same records after a
pause in which the consumer stays in its group, and in the end the error passes through: nothing of the batch
is committed then.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from threading import Event as Flag

import structlog

from loan_default.errors import DependencyError
from loan_default.kafka.broker import Consumer
from loan_default.kafka.messages import Offsets, Partition, Record, next_offsets

Handle = Callable[[list[Record]], None]

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How records are taken, and how long an absent dependency is waited for."""

    batch: int = 5_000
    """Records handed over at once, at most."""
    poll_seconds: float = 0.5
    """How long to wait for records before looking at the clock."""
    first_pause_seconds: float = 0.2
    """Before the first repetition; doubles from one to the next."""
    longest_pause_seconds: float = 5.0
    patience_seconds: float = 60.0
    """How long one batch is tried."""


@dataclass(slots=True)
class Consumed:
    """How far a consumer has come."""

    records: int = 0
    batches: int = 0
    stale_commits: int = 0
    """Batches that another member of the group reads again."""


def drain(
    consumer: Consumer,
    handle: Handle,
    *,
    ends: Offsets,
    pace: Pace | None = None,
    stop: Flag | None = None,
) -> Consumed:
    """Handle what was there at the start, and wait for what other members of the group have in hand.

    A member that crashed keeps its partitions until its session is over; then they are dealt to us.

    Args:
        ends: where to stop: the end offsets at the start.
        stop: set it to stop after the batch that is being handled.

    Raises:
        DependencyError: what the batches need, or the broker, was away for longer than the patience, or
            another member committed nothing for so long.
    """
    pace, stop = pace or Pace(), stop or Flag()
    consumed, others = Consumed(), _Others(consumer, ends, pace.patience_seconds)
    while not stop.is_set():
        batch = consumer.poll(max_records=pace.batch, timeout_seconds=pace.poll_seconds)
        if batch:
            _work_off(consumer, handle, batch, pace=pace, consumed=consumed, stop=stop)
        elif others.are_done():
            break
    return consumed


def follow(consumer: Consumer, handle: Handle, *, stop: Flag, pace: Pace | None = None) -> Consumed:
    """Handle records as they come until `stop` is set; the batch that is being handled is finished.

    Raises:
        DependencyError: what the batches need, or the broker, was away for longer than the patience.
    """
    pace, consumed = pace or Pace(), Consumed()
    while not stop.is_set():
        batch = consumer.poll(max_records=pace.batch, timeout_seconds=pace.poll_seconds)
        if batch:
            _work_off(consumer, handle, batch, pace=pace, consumed=consumed, stop=stop)
    return consumed


def look(consumer: Consumer, *, ends: Offsets, pace: Pace | None = None) -> Iterator[Record]:
    """The records up to these ends, for a group that is alone; nothing is committed.

    Raises:
        DependencyError: the broker is away, or deals the partitions to others.
    """
    pace, left = pace or Pace(), {partition: end for partition, end in ends.items() if end}
    given_up = time.monotonic() + pace.patience_seconds
    while left:
        records = consumer.poll(max_records=pace.batch, timeout_seconds=pace.poll_seconds)
        yield from records
        now = consumer.positions()
        left = {partition: end for partition, end in left.items() if now.get(partition, 0) < end}
        if records:
            given_up = time.monotonic() + pace.patience_seconds
        elif left and time.monotonic() > given_up:
            raise DependencyError(
                f"the records of a topic must come, however: none came in {pace.patience_seconds} s, before "
                f"the ends of {len(left)} partitions were reached"
            )


def _work_off(
    consumer: Consumer, handle: Handle, batch: list[Record], *, pace: Pace, consumed: Consumed, stop: Flag
) -> None:
    """Handle one batch and commit it, however often it takes."""
    given_up, pause, handled = time.monotonic() + pace.patience_seconds, pace.first_pause_seconds, False
    while True:
        try:
            if not handled:
                handle(batch)
                handled = True
            current = consumer.commit(next_offsets(batch))
            break
        except DependencyError as error:
            if stop.is_set() or time.monotonic() + pause > given_up:
                raise
            log.warning("batch_waits", records=len(batch), pause_seconds=pause, reason=str(error))
        batch = _after_a_pause(consumer, batch, pause)
        if not batch:
            consumed.stale_commits += 1
            return
        pause = min(2 * pause, pace.longest_pause_seconds)
    if not current:
        consumed.stale_commits += 1
        log.warning("commit_was_stale", records=len(batch))
    consumed.records += len(batch)
    consumed.batches += 1


def _after_a_pause(consumer: Consumer, batch: list[Record], seconds: float) -> list[Record]:
    """What of the batch is still to be done then."""
    try:
        consumer.idle(seconds)
        return _still_ours(consumer, batch)
    except (
        DependencyError
    ):  # the broker itself is away: nobody knows, and a commit leaves out what is not ours
        time.sleep(seconds)
        return batch


def _still_ours(consumer: Consumer, batch: list[Record]) -> list[Record]:
    """What nobody will read again: a group that was dealt anew goes back to what is committed."""
    read, now = next_offsets(batch), consumer.positions()
    return [record for record in batch if now.get(record.partition) == read[record.partition]]


class _Others:
    """The rest of a group, whose commits are waited for when nothing is left for us to read."""

    def __init__(self, consumer: Consumer, ends: Offsets, patience_seconds: float) -> None:
        self._consumer, self._ends, self._patience = consumer, ends, patience_seconds
        self._left: Mapping[Partition, int] = {}
        self._given_up = time.monotonic() + patience_seconds

    def are_done(self) -> bool:
        """Whether all before the ends is committed, by whomever.

        Raises:
            DependencyError: nothing more was committed for longer than the patience.
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
            self._given_up = time.monotonic() + self._patience
        elif self._left and time.monotonic() > self._given_up:
            raise DependencyError(
                f"all members of a group must work off what is theirs, however: {sum(self._left.values()):,} "
                f"records of {len(self._left)} partitions were left alone for {self._patience} s. Is a "
                "consumer stuck?"
            )
        return not self._left

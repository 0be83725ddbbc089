"""Which records of a topic may have been processed before, so that only those are looked up.

A record that came to the topic before a consumer took its partition over may have been processed by the
former owner, who died before its commit, or by any consumer before the offsets of the group were set back.
One that came later can only have been processed by the consumer itself, as long as it keeps the partition and
reads it without a gap.
"""

import time
from collections.abc import Callable, Set
from dataclasses import dataclass

from loan_default.kafka.messages import Offsets, Partition, Record

SILENCE_SECONDS = 3.0
"""Time between two batches after which all partitions count as taken over: brokers wait twice as long at
least before they give the partitions of a stopped consumer to another one."""
LONG_BATCH_SECONDS = 30.0
"""Time that a batch may take without counting as such a silence: a consumer that is slow stays in its group,
and keeps its partitions until it polls again, for ten times as long."""


@dataclass(slots=True)
class _Ownership:
    """A partition that is read without a gap since it was taken over."""

    end: int
    """Offset of the first record that came afterwards."""
    next: int


class Redeliveries:
    """Follows the records of one consumer in the order in which it gets them."""

    def __init__(
        self, end_offsets: Callable[[str], Offsets], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Follow a consumer.

        Args:
            end_offsets: from a topic to the offsets that its next messages get; asked at each takeover.
        """
        self._end_offsets, self._clock = end_offsets, clock
        self._owned: dict[Partition, _Ownership] = {}
        self._active_at = clock()

    def possible(self, record: Record) -> bool:
        """Return whether a record may have been processed before; each is asked about once a delivery.

        A batch that is handled again after a failure begins at an offset that was read, which counts as a
        takeover.
        """
        now = self._clock()
        if now - self._active_at > SILENCE_SECONDS:
            self._owned.clear()
        self._active_at = now
        owned = self._owned.get(record.partition)
        if owned is None or owned.next != record.offset:
            end = self._end_offsets(record.partition.topic).get(record.partition, record.offset + 1)
            owned = self._owned[record.partition] = _Ownership(end=end, next=record.offset)
        owned.next = record.offset + 1
        return record.offset < owned.end

    def handled(self) -> None:
        """Note that a batch is done: the time that it took is no silence, however slow the store was."""
        now = self._clock()
        if now - self._active_at < LONG_BATCH_SECONDS:
            self._active_at = now

    def keep(self, assigned: Set[Partition]) -> None:
        """Note after each poll which partitions are the consumer's: one that comes back is taken over."""
        for partition in self._owned.keys() - assigned:
            del self._owned[partition]

"""Which records of a topic may have been processed before, so that only those are looked up.

A record that came to the topic before a consumer took its partition over may have been processed by the
former owner, who died before its commit, or by any consumer before the offsets of the group were set back.
One that came later can only have been processed by the consumer itself, as long as it reads without a gap.
The same partition can come back to it after another one has died with it, but no sooner than the group has
noticed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from loan_default.kafka.messages import Offsets, Partition, Record

SILENCE_SECONDS = 3.0
"""Time without records after which a partition counts as taken over: brokers wait twice as long at least
before they give the partitions of a dead consumer to another one."""


@dataclass(slots=True)
class _Ownership:
    """A partition that is read without a gap since it was taken over."""

    end: int
    """Offset of the first record that came afterwards."""
    next: int
    at: float
    """Time of the last record."""


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

    def possible(self, record: Record) -> bool:
        """Return whether a record may have been processed before; each is asked about once a delivery.

        A batch that is handled again after a failure begins at an offset that was read, which counts as a
        takeover.
        """
        now = self._clock()
        owned = self._owned.get(record.partition)
        if owned is None or owned.next != record.offset or now - owned.at > SILENCE_SECONDS:
            end = self._end_offsets(record.partition.topic).get(record.partition, record.offset + 1)
            owned = self._owned[record.partition] = _Ownership(end=end, next=record.offset, at=now)
        owned.next, owned.at = record.offset + 1, now
        return record.offset < owned.end

"""The records of one partition of the broker in this process: in memory, or in a file (`kept_topics`)."""

from collections.abc import Iterator
from typing import Protocol

from loan_default.kafka.messages import Message, Partition, Record


class PartitionLog(Protocol):
    """An append-only log; offsets are dense and never given twice."""

    @property
    def first(self) -> int:
        """The offset of the oldest record that is there, or of the next one where there is none."""
        ...

    @property
    def end(self) -> int:
        """The offset that the next record will get."""
        ...

    def append(self, message: Message, /) -> None:
        """Add a message as the next record."""

    def read(self, start: int, /, *, count: int) -> list[Record]:
        """At most `count` records in order, from the offset `start` on."""
        ...

    def drop(self, *, before: int) -> None:
        """Forget the records before an offset, unless the log keeps them for longer."""

    def __iter__(self) -> Iterator[Record]: ...

    def __len__(self) -> int: ...


class MemoryLog:
    """A log that is gone with the process."""

    def __init__(self, partition: Partition, *, first: int) -> None:
        self._partition = partition
        self._records: list[Record] = []
        self.first = first

    @property
    def end(self) -> int:
        """The offset that the next record will get."""
        return self.first + len(self._records)

    def append(self, message: Message, /) -> None:
        """Add a message as the next record."""
        self._records.append(record_of(message, self._partition, self.end))

    def read(self, start: int, /, *, count: int) -> list[Record]:
        """At most `count` records in order, from the offset `start` on."""
        skipped = max(0, start - self.first)
        return self._records[skipped : skipped + count]

    def drop(self, *, before: int) -> None:
        """Forget the records before an offset."""
        dropped = min(before, self.end) - self.first
        if dropped > 0:
            del self._records[:dropped]
            self.first += dropped

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)


def record_of(message: Message, partition: Partition, offset: int) -> Record:
    """The record that a message becomes."""
    return Record(
        partition=partition, offset=offset, key=message.key, value=message.value, headers=message.headers
    )

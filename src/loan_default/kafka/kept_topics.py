"""Topics that outlive the broker in this process: their records lie in one SQLite file.

Processes may share the file. An append is on the disk before `flush` returns. A connection is opened for each
call, so that threads and forked processes never share one.
"""

import sqlite3
import time
from collections.abc import Container, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import orjson

from loan_default.errors import DependencyError
from loan_default.kafka.messages import Headers, Message, Partition, Record
from loan_default.kafka.topics import Topic

_BUSY_SECONDS = 30.0
"""How long a call waits for those of other processes."""
_PENDING = 1_000
"""Messages that wait for one transaction, at most."""
_AT_ONCE = 1_000
"""Records that are read together when a log is walked through."""
_TABLES = """
CREATE TABLE IF NOT EXISTS records (
    topic TEXT NOT NULL, number INTEGER NOT NULL, record_offset INTEGER NOT NULL, sent_at REAL NOT NULL,
    key BLOB, value BLOB, headers TEXT NOT NULL,
    PRIMARY KEY (topic, number, record_offset)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_age ON records (topic, sent_at);
CREATE TABLE IF NOT EXISTS ends (
    topic TEXT NOT NULL, number INTEGER NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (topic, number)) WITHOUT ROWID;
"""


class KeptTopics:
    """The file of the topics that are kept; it is made with the first record.

    Errors: DependencyError where the file cannot be read or written.
    """

    def __init__(self, path: Path, *, names: Container[str]) -> None:
        self._path = path
        self._pending: list[tuple[Partition, Message]] = []
        self.names = names
        """The names of the topics that are kept."""

    def log(self, partition: Partition) -> "KeptLog":
        """The log of one partition."""
        return KeptLog(self, partition)

    def drop_expired(self, topic: Topic) -> None:
        """Delete the records of a topic that are older than its retention, as a broker does."""
        if topic.retention is None or not self._path.exists():
            return
        oldest = time.time() - topic.retention.total_seconds()
        with self._writing() as connection:
            connection.execute("DELETE FROM records WHERE topic = ? AND sent_at < ?", (topic.name, oldest))

    def put(self, partition: Partition, message: Message) -> None:
        """Add a message; it is there for certain when `flush` has returned."""
        self._pending.append((partition, message))
        if len(self._pending) >= _PENDING:
            self.flush()

    def flush(self) -> None:
        """Write the messages that wait, in one transaction; after an error they wait for the next call."""
        pending = list(self._pending)
        if not pending:
            return
        with self._writing() as connection:
            ends = {
                partition: self._end(connection, partition)
                for partition in dict.fromkeys(partition for partition, _ in pending)
            }
            now, rows = time.time(), []
            for partition, message in pending:
                rows.append(
                    (*partition, ends[partition], now, message.key, message.value, _as_text(message.headers))
                )
                ends[partition] += 1
            connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            next_offsets = [(*partition, end) for partition, end in ends.items()]
            connection.executemany("INSERT OR REPLACE INTO ends VALUES (?, ?, ?)", next_offsets)
        del self._pending[: len(pending)]

    def first(self, partition: Partition) -> int:
        """The offset of the oldest record that is there, or of the next one where there is none."""
        query = "SELECT MIN(record_offset) FROM records WHERE topic = ? AND number = ?"
        with self._reading() as connection:
            (oldest,) = connection.execute(query, partition).fetchone()
            return self._end(connection, partition) if oldest is None else int(oldest)

    def end(self, partition: Partition) -> int:
        """The offset that the next record will get."""
        with self._reading() as connection:
            return self._end(connection, partition)

    def read(self, partition: Partition, start: int, *, count: int) -> list[Record]:
        """At most `count` records in order, from an offset on."""
        query = (
            "SELECT record_offset, key, value, headers FROM records "
            "WHERE topic = ? AND number = ? AND record_offset >= ? ORDER BY record_offset LIMIT ?"
        )
        with self._reading() as connection:
            rows = connection.execute(query, (*partition, start, count)).fetchall()
        return [
            Record(partition=partition, offset=offset, key=key, value=value, headers=_as_headers(headers))
            for offset, key, value, headers in rows
        ]

    @staticmethod
    def _end(connection: sqlite3.Connection, partition: Partition) -> int:
        query = "SELECT next FROM ends WHERE topic = ? AND number = ?"
        row = connection.execute(query, partition).fetchone()
        return int(row[0]) if row else 0

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        # Before the first record there is no file yet: then an empty one in memory is read.
        path = self._path if self._path.exists() else ":memory:"
        with (
            self._named_errors(),
            closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as connection,
        ):
            connection.executescript(_TABLES)
            yield connection

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise DependencyError(
                f"Cannot use the dead-letter records in {self._path}: {error}. Check the disk and the rights "
                "of the folder; a file that is damaged can be moved away."
            ) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._named_errors():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(exist_ok=True)
        with self._reading() as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")


class KeptLog:
    """One partition of the kept topics."""

    def __init__(self, topics: KeptTopics, partition: Partition) -> None:
        self._topics, self._partition = topics, partition

    @property
    def first(self) -> int:
        """The offset of the oldest record that is there, or of the next one where there is none."""
        return self._topics.first(self._partition)

    @property
    def end(self) -> int:
        """The offset that the next record will get."""
        return self._topics.end(self._partition)

    def append(self, message: Message, /) -> None:
        """Add a message as the next record, by the next flush of the file."""
        self._topics.put(self._partition, message)

    def read(self, start: int, /, *, count: int) -> list[Record]:
        """At most `count` records in order, from the offset `start` on."""
        return self._topics.read(self._partition, start, count=count)

    def drop(self, *, before: int) -> None:
        """Do nothing: the retention of the topic alone ends its records."""

    def __iter__(self) -> Iterator[Record]:
        start = self.first
        while records := self.read(start, count=_AT_ONCE):
            yield from records
            start = records[-1].offset + 1

    def __len__(self) -> int:
        return self.end - self.first


def _as_text(headers: Headers) -> str:
    """Headers as JSON; bytes as Latin-1, which any bytes are."""
    return orjson.dumps([[name, value.decode("latin-1")] for name, value in headers]).decode()


def _as_headers(text: str) -> Headers:
    return tuple((name, value.encode("latin-1")) for name, value in orjson.loads(text))

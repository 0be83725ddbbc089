"""The SQLite file of the embedded database: its tables, a connection for each thread, transactions.

Every write is one transaction that is on the disk before the call returns (as with `w="majority",
journal=True`). Threads and processes may share the file; it must not lie on a network file system.
"""

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo.errors import InvalidOperation, OperationFailure

LAYOUT = 1
"""Number of the table layout below; files of other layouts are refused."""
BUSY_SECONDS = 30.0
"""How long a write waits for the writes of other threads and processes."""
WAL_PAGES = 4000
"""How far the write-ahead log grows, in pages of 4 KiB, before it is copied into the file. Batches rewrite
many pages of the indexes, and copying them once for several batches is a fifth faster."""

# `place` is the row id of a document: a column that is an INTEGER PRIMARY KEY is that in SQLite.
_TABLES = """
CREATE TABLE IF NOT EXISTS documents (
    place INTEGER PRIMARY KEY AUTOINCREMENT, collection TEXT NOT NULL, key BLOB NOT NULL, body BLOB NOT NULL,
    UNIQUE (collection, key));
CREATE TABLE IF NOT EXISTS indexes (
    collection TEXT NOT NULL, name TEXT NOT NULL, fields TEXT NOT NULL, is_unique INTEGER NOT NULL,
    PRIMARY KEY (collection, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
    collection TEXT NOT NULL, name TEXT NOT NULL, key BLOB NOT NULL, place INTEGER NOT NULL,
    PRIMARY KEY (collection, name, key, place)) WITHOUT ROWID;
"""


class SqliteFile:
    """The SQLite file of an embedded document store, with a connection for each thread."""

    def __init__(self, path: Path) -> None:
        """Open the file or make it; OperationFailure where it is no document store or cannot be written."""
        self._path = path
        self._local = threading.local()
        self._handles: weakref.WeakSet[_Handle] = weakref.WeakSet()
        self._inherited: list[_Handle] = []
        self._closed = False
        with self.writing() as connection:
            (layout,) = connection.execute("PRAGMA user_version").fetchone()
            if layout not in (0, LAYOUT):
                raise OperationFailure(
                    f"the embedded document store must have layout {LAYOUT}, however: layout={layout}. "
                    "Upgrade this installation, or set LOAN_DEFAULT_HOME to another folder"
                )
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {LAYOUT}")

    def close(self) -> None:
        """Close the file for all threads of this process."""
        self._closed = True
        for handle in list(self._handles):
            handle.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield this thread's connection; errors of SQLite come out as OperationFailure."""
        try:
            yield self._handle()
        except sqlite3.Error as error:
            raise OperationFailure(f"the embedded document store answered: {error}") from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield this thread's connection within a transaction that alone may write."""
        with self.reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # SQLite has ended it already where the disk was full
                    connection.execute("ROLLBACK")
                raise

    def _handle(self) -> "_Handle":
        if self._closed:
            raise InvalidOperation("the embedded document store must be open, however: it was closed")
        handle: _Handle | None = getattr(self._local, "handle", None)
        if handle is not None and handle.process != os.getpid():
            self._inherited.append(handle)  # a forked process may neither use nor close its parent's
            handle = None
        if handle is None:
            handle = sqlite3.connect(
                self._path,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
                factory=_Handle,
            )
            handle.execute("PRAGMA journal_mode = WAL")
            handle.execute("PRAGMA synchronous = FULL")
            handle.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
            self._local.handle = handle
            self._handles.add(handle)
        return handle


class _Handle(sqlite3.Connection):
    """A connection that knows its process and can be referred to weakly."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.process = os.getpid()

    def __del__(self) -> None:
        """Close it with its thread, which Python 3.13 asks for; one of a parent process stays as it is."""
        if getattr(self, "process", None) == os.getpid():
            self.close()

"""Documents, index entries and transactions in one SQLite file: what the embedded database stands on.

Documents are BSON, so that dates, 64-bit integers, nulls and nesting come back as from a server. Every write
is one transaction that is on the disk before the call returns (as with `w="majority", journal=True`). Threads
and processes may share the file; it must not lie on a network file system.
"""

import itertools
import json
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bson
from bson.codec_options import CodecOptions
from pymongo.errors import DuplicateKeyError, InvalidOperation, OperationFailure

from loan_default.database.matching import Document, fixed_values, matches, value_at

LAYOUT = 1
"""Number of the table layout below; a file of another layout is refused."""
BUSY_SECONDS = 30.0
"""How long a write waits for the writes of other threads and processes."""
DUPLICATE_KEY = 11000
INDEX_KEY_SPECS_CONFLICT = 86

_OPTIONS: CodecOptions[Document] = CodecOptions(tz_aware=True)
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


def as_stored(document: Mapping[str, Any]) -> Document:
    """The document as it comes back: UTC milliseconds, lists, plain strings; InvalidDocument if it cannot."""
    return bson.decode(bson.encode(document), _OPTIONS)


class StoreFile:
    """The file; a connection for each thread."""

    def __init__(self, path: Path) -> None:
        """Open the file or make it; OperationFailure where it is no store or cannot be written."""
        self._path = path
        self._local = threading.local()
        self._handles: weakref.WeakSet[_Handle] = weakref.WeakSet()
        self._inherited: list[_Handle] = []
        self._closed = False
        with self.writing() as connection:
            (layout,) = connection.execute("PRAGMA user_version").fetchone()
            if layout not in (0, LAYOUT):
                raise OperationFailure(f"the store must have layout {LAYOUT}, however: layout={layout}")
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
        """This thread's connection; errors of SQLite come out as OperationFailure."""
        try:
            yield self._handle()
        except sqlite3.Error as error:
            raise OperationFailure(f"the store must be readable and writable, however: {error}") from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection within a transaction that alone may write."""
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
            raise InvalidOperation("the store must be open, however: it was closed")
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
            self._local.handle = handle
            self._handles.add(handle)
        return handle


class _Handle(sqlite3.Connection):
    """A connection that knows its process and can be referred to weakly."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.process = os.getpid()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Index:
    name: str
    fields: tuple[str, ...]
    unique: bool

    def key(self, document: Document) -> bytes:
        return _key(value_at(document, field) for field in self.fields)


@dataclass(frozen=True, kw_only=True, slots=True)
class Documents:
    """The documents of one collection within a transaction."""

    connection: sqlite3.Connection
    collection: str

    def matching(self, condition: Document) -> list[tuple[int, Document]]:
        """Places and documents that match, in order of insertion."""
        rows = sorted(set(self._candidates(condition)))
        found = ((place, bson.decode(body, _OPTIONS)) for place, body in rows)
        return [(place, document) for place, document in found if matches(document, condition)]

    def count(self) -> int:
        """Number of all documents."""
        query = "SELECT COUNT(*) FROM documents WHERE collection = ?"
        return int(self.connection.execute(query, (self.collection,)).fetchone()[0])

    def insert(self, document: Document) -> None:
        """Add a document; DuplicateKeyError, with nothing written, where a key is taken."""
        entries = self._free_entries(document, place=None)
        query = "INSERT OR IGNORE INTO documents (collection, key, body) VALUES (?, ?, ?)"
        row = (self.collection, _key([document["_id"]]), bson.encode(document))
        cursor = self.connection.execute(query, row)
        if cursor.rowcount == 0:
            raise self._duplicate("_id_")
        self._add_entries(entries, cursor.lastrowid)

    def replace(self, place: int, *, before: Document, after: Document) -> bool:
        """Write a changed document, False if it is the same; DuplicateKeyError as for `insert`."""
        body = bson.encode(after)
        if body == bson.encode(before):
            return False
        entries = self._free_entries(after, place=place)
        self._drop_entries(before, place)
        self._add_entries(entries, place)
        self.connection.execute("UPDATE documents SET body = ? WHERE place = ?", (body, place))
        return True

    def remove(self, place: int, document: Document) -> None:
        """Take a document away."""
        self._drop_entries(document, place)
        self.connection.execute("DELETE FROM documents WHERE place = ?", (place,))

    def add_index(self, name: str, fields: tuple[str, ...], *, unique: bool) -> None:
        """Index the fields, also of documents that are there; the same index again is no change."""
        index = _Index(name=name, fields=fields, unique=unique)
        known = next((each for each in self._indexes() if each.name == name), None)
        if known == index:
            return
        if known:
            message = f"an index name must mean one index, however: name={name!r}"
            raise OperationFailure(message, INDEX_KEY_SPECS_CONFLICT)
        seen: set[bytes] = set()
        for place, document in self.matching({}):
            key = index.key(document)
            if unique and key in seen:
                raise self._duplicate(name)
            seen.add(key)
            self._add_entries([(name, key)], place)
        row = (self.collection, name, json.dumps(fields), int(unique))
        self.connection.execute("INSERT INTO indexes VALUES (?, ?, ?, ?)", row)

    def _candidates(self, condition: Document) -> Iterator[tuple[int, bytes]]:
        """Rows among which the matches are: by `_id` or an index where one fits, else all."""
        fixed = {
            field: values for field in condition if (values := fixed_values(condition[field])) is not None
        }
        if "_id" in fixed:
            query = "SELECT place, body FROM documents WHERE collection = ? AND key = ?"
            for value in fixed["_id"]:
                yield from self.connection.execute(query, (self.collection, _key([value])))
            return
        for index in self._indexes():
            if all(field in fixed for field in index.fields):
                query = (
                    "SELECT place, body FROM entries JOIN documents USING (place) "
                    "WHERE entries.collection = ? AND name = ? AND entries.key = ?"
                )
                for key in itertools.product(*(fixed[field] for field in index.fields)):
                    yield from self.connection.execute(query, (self.collection, index.name, _key(key)))
                return
        query = "SELECT place, body FROM documents WHERE collection = ?"
        yield from self.connection.execute(query, (self.collection,))

    def _indexes(self) -> list[_Index]:
        query = "SELECT name, fields, is_unique FROM indexes WHERE collection = ?"
        rows = self.connection.execute(query, (self.collection,))
        return [_Index(name=name, fields=tuple(json.loads(fs)), unique=bool(u)) for name, fs, u in rows]

    def _free_entries(self, document: Document, *, place: int | None) -> list[tuple[str, bytes]]:
        """The index entries of a document; DuplicateKeyError where another place holds a unique one."""
        query = "SELECT 1 FROM entries WHERE collection = ? AND name = ? AND key = ? AND place IS NOT ?"
        entries = []
        for index in self._indexes():
            entry = (index.name, index.key(document))
            if index.unique and self.connection.execute(query, (self.collection, *entry, place)).fetchone():
                raise self._duplicate(index.name)
            entries.append(entry)
        return entries

    def _add_entries(self, entries: list[tuple[str, bytes]], place: int | None) -> None:
        rows = [(self.collection, name, key, place) for name, key in entries]
        self.connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?)", rows)

    def _drop_entries(self, document: Document, place: int) -> None:
        rows = [(self.collection, index.name, index.key(document), place) for index in self._indexes()]
        query = "DELETE FROM entries WHERE collection = ? AND name = ? AND key = ? AND place = ?"
        self.connection.executemany(query, rows)

    def _duplicate(self, index: str) -> DuplicateKeyError:
        message = f"E11000 duplicate key error collection: {self.collection} index: {index}"
        return DuplicateKeyError(message, DUPLICATE_KEY, {"code": DUPLICATE_KEY, "errmsg": message})


def _key(values: Iterable[Any]) -> bytes:
    """One byte string for values that a server takes for equal: 1 and 1.0 are, 1 and True are not."""
    whole = [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]
    return bson.encode({str(position): value for position, value in enumerate(whole)})

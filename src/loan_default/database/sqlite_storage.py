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
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
WAL_PAGES = 4000
"""How far the write-ahead log grows, in pages of 4 KiB, before it is copied into the file: batches rewrite
many pages of the indexes, and copying them once for several batches is a fifth faster."""
VALUES_AT_ONCE = 500
"""How many values one question to SQLite holds; builds of it differ in how many they take, from 999."""
ID_INDEX = "_id_"
"""Name of the index on `_id`, as a server calls it."""
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
            handle.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
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

    def matching(self, condition: Document) -> Iterator[tuple[int, Document]]:
        """Places and documents that match, in order of insertion.

        The documents are those that are there when the iteration starts, each as it is when it is reached.
        """
        places, rest = self._candidates(condition)
        for place, body in self._bodies(sorted(set(places))):
            document = bson.decode(body, _OPTIONS)
            if matches(document, rest):
                yield place, document

    def count(self) -> int:
        """Number of all documents."""
        query = "SELECT COUNT(*) FROM documents WHERE collection = ?"
        return int(self.connection.execute(query, (self.collection,)).fetchone()[0])

    def insert(self, document: Mapping[str, Any]) -> None:
        """Add a document; DuplicateKeyError, with nothing written, where a key is taken."""
        for _, error in self.insert_many([document], ordered=True):
            raise error

    def insert_many(
        self, batch: Sequence[Mapping[str, Any]], *, ordered: bool
    ) -> list[tuple[int, DuplicateKeyError]]:
        """Add documents, except where a key is taken: their positions and errors. `ordered` ends with one."""
        indexes = self._indexes()
        unique = [ID_INDEX, *(index.name for index in indexes if index.unique)]
        bodies = [bson.encode(document) for document in batch]
        entries = [_entries(bson.decode(body, _OPTIONS), indexes) for body in bodies]
        taken = {name: self._taken(name, [each[name] for each in entries]) for name in unique}
        place = self._last_place()
        documents, indexed, errors = [], [], []
        for position, (body, keys) in enumerate(zip(bodies, entries, strict=True)):
            clash = next((name for name in taken if keys[name] in taken[name]), None)
            if clash:
                errors.append((position, self._duplicate(clash)))
                if ordered:
                    break
                continue
            for name, known in taken.items():
                known.add(keys[name])
            place += 1
            documents.append((place, self.collection, keys.pop(ID_INDEX), body))
            indexed += [(self.collection, name, key, place) for name, key in keys.items()]
        self.connection.executemany("INSERT INTO documents VALUES (?, ?, ?, ?)", documents)
        self.connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?)", indexed)
        return errors

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
        """Index the fields, also of documents that are there; the same index again changes nothing."""
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

    def _candidates(self, condition: Document) -> tuple[Iterable[int], Document]:
        """Places among which the matches are, by `_id` or an index where one fits, and what is to test."""
        fixed = {
            field: values for field in condition if (values := fixed_values(condition[field])) is not None
        }
        if "_id" in fixed:
            # All that are found have one of the ids, so that is not tested again: with `$in` it takes long.
            alone = not isinstance(condition["_id"], dict) or len(condition["_id"]) == 1
            rest = {field: wanted for field, wanted in condition.items() if field != "_id" or not alone}
            keys = [_key([value]) for value in fixed["_id"]]
            query = "SELECT place FROM documents WHERE collection = ? AND key IN"
            return (place for (place,) in self._select(query, [self.collection], keys)), rest
        for index in self._indexes():
            if all(field in fixed for field in index.fields):
                keys = [
                    _key(values) for values in itertools.product(*(fixed[field] for field in index.fields))
                ]
                query = "SELECT place FROM entries WHERE collection = ? AND name = ? AND key IN"
                found = self._select(query, [self.collection, index.name], keys)
                return (place for (place,) in found), condition
        query = "SELECT place FROM documents WHERE collection = ?"
        return (place for (place,) in self.connection.execute(query, (self.collection,))), condition

    def _bodies(self, places: list[int]) -> Iterator[tuple[int, bytes]]:
        """Places and stored bytes, in the order of the places; those removed meanwhile are left out."""
        for first in range(0, len(places), VALUES_AT_ONCE):
            some = places[first : first + VALUES_AT_ONCE]
            # All rows are fetched before the first goes out: no statement is open while the caller writes.
            yield from sorted(self._select("SELECT place, body FROM documents WHERE place IN", [], some))

    def _select(self, query: str, values: list[Any], among: list[Any]) -> Iterator[Any]:
        """Rows of a query that ends in IN, asked in parts."""
        for first in range(0, len(among), VALUES_AT_ONCE):
            some = among[first : first + VALUES_AT_ONCE]
            marks = ", ".join("?" * len(some))
            yield from self.connection.execute(f"{query} ({marks})", [*values, *some])

    def _taken(self, name: str, keys: list[bytes]) -> set[bytes]:
        """Which of the keys stand in a unique index."""
        if name == ID_INDEX:
            query, values = "SELECT key FROM documents WHERE collection = ? AND key IN", [self.collection]
        else:
            query = "SELECT key FROM entries WHERE collection = ? AND name = ? AND key IN"
            values = [self.collection, name]
        return {key for (key,) in self._select(query, values, keys)}

    def _last_place(self) -> int:
        """The last place that was ever given; none is given twice."""
        query = "SELECT seq FROM sqlite_sequence WHERE name = 'documents'"
        row = self.connection.execute(query).fetchone()
        return int(row[0]) if row else 0

    def _indexes(self) -> list[_Index]:
        query = "SELECT name, fields, is_unique FROM indexes WHERE collection = ?"
        rows = self.connection.execute(query, (self.collection,))
        return [_Index(name=name, fields=tuple(json.loads(fs)), unique=bool(u)) for name, fs, u in rows]

    def _free_entries(self, document: Document, *, place: int) -> list[tuple[str, bytes]]:
        """The index entries of a document; DuplicateKeyError where another place holds a unique one."""
        query = "SELECT 1 FROM entries WHERE collection = ? AND name = ? AND key = ? AND place != ?"
        entries = []
        for index in self._indexes():
            entry = (index.name, index.key(document))
            if index.unique and self.connection.execute(query, (self.collection, *entry, place)).fetchone():
                raise self._duplicate(index.name)
            entries.append(entry)
        return entries

    def _add_entries(self, entries: list[tuple[str, bytes]], place: int) -> None:
        rows = [(self.collection, name, key, place) for name, key in entries]
        self.connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?)", rows)

    def _drop_entries(self, document: Document, place: int) -> None:
        rows = [(self.collection, index.name, index.key(document), place) for index in self._indexes()]
        query = "DELETE FROM entries WHERE collection = ? AND name = ? AND key = ? AND place = ?"
        self.connection.executemany(query, rows)

    def _duplicate(self, index: str) -> DuplicateKeyError:
        message = f"E11000 duplicate key error collection: {self.collection} index: {index}"
        return DuplicateKeyError(message, DUPLICATE_KEY, {"code": DUPLICATE_KEY, "errmsg": message})


def _entries(document: Document, indexes: list[_Index]) -> dict[str, bytes]:
    """Name -> key of all indexes, that of `_id` first."""
    return {ID_INDEX: _key([document["_id"]])} | {index.name: index.key(document) for index in indexes}


def _key(values: Iterable[Any]) -> bytes:
    """One byte string for values that a server takes for equal: 1 and 1.0 are, 1 and True are not."""
    whole = [int(v) if isinstance(v, float) and v.is_integer() and abs(v) < 2**63 else v for v in values]
    return bson.encode({str(position): value for position, value in enumerate(whole)})

"""Documents and index entries in the tables of `sqlite_file`, below the embedded database.

The column `place` holds the row id of a document. Documents are BSON, so that dates, 64-bit integers, nulls
and nesting come back as from a server.
"""

import itertools
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bson
from bson.codec_options import CodecOptions
from pymongo.errors import DuplicateKeyError, OperationFailure

from loan_default.database.matching import (
    Document,
    Sort,
    fixed_values,
    in_order,
    matches,
    order_key,
    value_at,
    value_matches,
)

VALUES_AT_ONCE = 500
"""How many values one query to SQLite holds; builds of it differ in how many they take, from 999."""
ID_INDEX = "_id_"
"""Name of the index on `_id`, as a server calls it."""
DUPLICATE_KEY = 11000
INDEX_KEY_SPECS_CONFLICT = 86

_OPTIONS: CodecOptions[Document] = CodecOptions(tz_aware=True)


def as_stored(document: Mapping[str, Any]) -> Document:
    """Return the document as it comes back (UTC milliseconds, lists, plain strings); or InvalidDocument."""
    return bson.decode(bson.encode(document), _OPTIONS)


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
        """Yield row ids and documents that match, in order of insertion.

        The documents are those that are there when the iteration starts, each as it is when it is reached.
        """
        rowids, rest = self._candidates(condition)
        for rowid, document in self._documents(rowids):
            if matches(document, rest):
                yield rowid, document

    def first(self, condition: Document, sort: Sort, count: int) -> list[tuple[int, Document]]:
        """Return the first `count` that match, in an order; an index may save reading the others."""
        (field, direction), *_ = sort
        index = next((each for each in self._indexes() if each.fields == (field,)), None)
        if index is None or self._is_narrow(condition):
            return in_order(self.matching(condition), sort)[:count]
        found: list[tuple[int, Document]] = []
        query = "SELECT place FROM entries WHERE collection = ? AND name = ? AND key IN"
        keys = sorted((order_key(value), key) for (value,), key, _ in self._keys(index))
        for _, key in reversed(keys) if direction < 0 else keys:
            if len(found) >= count:
                break
            rowids = [rowid for (rowid,) in self._select(query, [self.collection, index.name], [key])]
            alike = (each for each in self._documents(rowids) if matches(each[1], condition))
            found += in_order(alike, sort)
        return found[:count]

    def count(self, condition: Document) -> int:
        """Return how many match; no document is read where an index has all fields of the condition."""
        if not condition:
            query = "SELECT COUNT(*) FROM documents WHERE collection = ?"
            return int(self.connection.execute(query, (self.collection,)).fetchone()[0])
        for index in self._indexes():
            if set(condition) <= set(index.fields):
                return self._count_keys(index, condition)
        return sum(1 for _ in self.matching(condition))

    def insert_many(
        self, batch: Sequence[Mapping[str, Any]], *, ordered: bool
    ) -> list[tuple[int, DuplicateKeyError]]:
        """Add documents except where a key is taken; return the indexes of those with their errors.

        With `ordered` the first such document ends it.
        """
        indexes = self._indexes()
        unique = [ID_INDEX, *(index.name for index in indexes if index.unique)]
        bodies = [bson.encode(document) for document in batch]
        entries = [_entries(bson.decode(body, _OPTIONS), indexes) for body in bodies]
        taken = {name: self._taken(name, [each[name] for each in entries]) for name in unique}
        rowid = self._last_rowid()
        documents, indexed, errors = [], [], []
        for index, (body, keys) in enumerate(zip(bodies, entries, strict=True)):
            clash = next((name for name in taken if keys[name] in taken[name]), None)
            if clash:
                errors.append((index, self._duplicate(clash)))
                if ordered:
                    break
                continue
            for name, known in taken.items():
                known.add(keys[name])
            rowid += 1
            documents.append((rowid, self.collection, keys.pop(ID_INDEX), body))
            indexed += [(self.collection, name, key, rowid) for name, key in keys.items()]
        self.connection.executemany("INSERT INTO documents VALUES (?, ?, ?, ?)", documents)
        self.connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?)", indexed)
        return errors

    def replace(self, rowid: int, *, before: Document, after: Document) -> bool:
        """Write a changed document, False if it is the same; DuplicateKeyError where a key is taken."""
        body = bson.encode(after)
        if body == bson.encode(before):
            return False
        entries = self._free_entries(after, rowid=rowid)
        self._drop_entries(before, rowid)
        self._add_entries(entries, rowid)
        self.connection.execute("UPDATE documents SET body = ? WHERE place = ?", (body, rowid))
        return True

    def remove(self, rowid: int, document: Document) -> None:
        """Remove a document."""
        self._drop_entries(document, rowid)
        self.connection.execute("DELETE FROM documents WHERE place = ?", (rowid,))

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
        for rowid, document in self.matching({}):
            key = index.key(document)
            if unique and key in seen:
                raise self._duplicate(name)
            seen.add(key)
            self._add_entries([(name, key)], rowid)
        row = (self.collection, name, json.dumps(fields), int(unique))
        self.connection.execute("INSERT INTO indexes VALUES (?, ?, ?, ?)", row)

    def _candidates(self, condition: Document) -> tuple[Iterable[int], Document]:
        """Return row ids among which the matches are, by `_id` or an index, and the condition to test."""
        fixed = _fixed(condition)
        if "_id" in fixed:
            # All that are found have one of the ids, so that is not tested again: with `$in` it takes long.
            alone = not isinstance(condition["_id"], dict) or len(condition["_id"]) == 1
            rest = {field: wanted for field, wanted in condition.items() if field != "_id" or not alone}
            keys = [_key([value]) for value in fixed["_id"]]
            query = "SELECT place FROM documents WHERE collection = ? AND key IN"
            return (rowid for (rowid,) in self._select(query, [self.collection], keys)), rest
        if (index := self._index_for(fixed)) is not None:
            keys = [_key(values) for values in itertools.product(*(fixed[field] for field in index.fields))]
            query = "SELECT place FROM entries WHERE collection = ? AND name = ? AND key IN"
            found = self._select(query, [self.collection, index.name], keys)
            return (rowid for (rowid,) in found), condition
        query = "SELECT place, key FROM documents WHERE collection = ?"
        rows = self.connection.execute(query, (self.collection,))
        if "_id" in condition:
            wanted = condition["_id"]
            return [rowid for rowid, key in rows if value_matches(_values(key)[0], wanted)], condition
        return (rowid for rowid, _ in rows), condition

    def _is_narrow(self, condition: Document) -> bool:
        """Return whether a few documents are found without reading the others."""
        return "_id" in condition or self._index_for(_fixed(condition)) is not None

    def _index_for(self, fixed: Mapping[str, list[Any]]) -> _Index | None:
        for index in self._indexes():
            if all(field in fixed for field in index.fields):
                return index
        return None

    def _keys(self, index: _Index) -> Iterator[tuple[tuple[Any, ...], bytes, int]]:
        """Yield the different keys of an index: values, stored bytes, number of documents that have them."""
        query = "SELECT key, COUNT(*) FROM entries WHERE collection = ? AND name = ? GROUP BY key"
        for key, documents in self.connection.execute(query, (self.collection, index.name)):
            yield _values(key), key, documents

    def _count_keys(self, index: _Index, condition: Document) -> int:
        """Count the documents that match a condition on fields of an index, by its keys alone."""
        count = 0
        for values, _, documents in self._keys(index):
            if matches(dict(zip(index.fields, values, strict=True)), condition):
                count += documents
        return count

    def _documents(self, rowids: Iterable[int]) -> Iterator[tuple[int, Document]]:
        for rowid, body in self._bodies(sorted(set(rowids))):
            yield rowid, bson.decode(body, _OPTIONS)

    def _bodies(self, rowids: list[int]) -> Iterator[tuple[int, bytes]]:
        """Yield row ids and stored bytes in the order of the ids; rows removed meanwhile are left out."""
        for first in range(0, len(rowids), VALUES_AT_ONCE):
            some = rowids[first : first + VALUES_AT_ONCE]
            # All rows are fetched before the first goes out: no statement is open while the caller writes.
            yield from sorted(self._select("SELECT place, body FROM documents WHERE place IN", [], some))

    def _select(self, query: str, values: list[Any], among: list[Any]) -> Iterator[Any]:
        """Yield the rows of a query that ends in IN, asked in parts."""
        for first in range(0, len(among), VALUES_AT_ONCE):
            some = among[first : first + VALUES_AT_ONCE]
            marks = ", ".join("?" * len(some))
            yield from self.connection.execute(f"{query} ({marks})", [*values, *some])

    def _taken(self, name: str, keys: list[bytes]) -> set[bytes]:
        """Return those of the keys that a unique index holds."""
        if name == ID_INDEX:
            query, values = "SELECT key FROM documents WHERE collection = ? AND key IN", [self.collection]
        else:
            query = "SELECT key FROM entries WHERE collection = ? AND name = ? AND key IN"
            values = [self.collection, name]
        return {key for (key,) in self._select(query, values, keys)}

    def _last_rowid(self) -> int:
        """Return the last row id that was ever given; none is given twice."""
        query = "SELECT seq FROM sqlite_sequence WHERE name = 'documents'"
        row = self.connection.execute(query).fetchone()
        return int(row[0]) if row else 0

    def _indexes(self) -> list[_Index]:
        query = "SELECT name, fields, is_unique FROM indexes WHERE collection = ?"
        rows = self.connection.execute(query, (self.collection,))
        return [_Index(name=name, fields=tuple(json.loads(fs)), unique=bool(u)) for name, fs, u in rows]

    def _free_entries(self, document: Document, *, rowid: int) -> list[tuple[str, bytes]]:
        """Return the index entries of a document; DuplicateKeyError where another row has a unique one."""
        query = "SELECT 1 FROM entries WHERE collection = ? AND name = ? AND key = ? AND place != ?"
        entries = []
        for index in self._indexes():
            entry = (index.name, index.key(document))
            if index.unique and self.connection.execute(query, (self.collection, *entry, rowid)).fetchone():
                raise self._duplicate(index.name)
            entries.append(entry)
        return entries

    def _add_entries(self, entries: list[tuple[str, bytes]], rowid: int) -> None:
        rows = [(self.collection, name, key, rowid) for name, key in entries]
        self.connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?)", rows)

    def _drop_entries(self, document: Document, rowid: int) -> None:
        rows = [(self.collection, index.name, index.key(document), rowid) for index in self._indexes()]
        query = "DELETE FROM entries WHERE collection = ? AND name = ? AND key = ? AND place = ?"
        self.connection.executemany(query, rows)

    def _duplicate(self, index: str) -> DuplicateKeyError:
        message = f"E11000 duplicate key error collection: {self.collection} index: {index}"
        return DuplicateKeyError(message, DUPLICATE_KEY, {"code": DUPLICATE_KEY, "errmsg": message})


def _entries(document: Document, indexes: list[_Index]) -> dict[str, bytes]:
    """Return the key of a document in each index by its name, that of `_id` first."""
    return {ID_INDEX: _key([document["_id"]])} | {index.name: index.key(document) for index in indexes}


def _key(values: Iterable[Any]) -> bytes:
    """Return one byte string for values that a server takes for equal: 1 and 1.0 are, 1 and True are not."""
    document: Document = {}
    for index, value in enumerate(values):
        is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**63
        document[str(index)] = int(value) if is_whole else value
    return bson.encode(document)


def _values(key: bytes) -> tuple[Any, ...]:
    """Return the values that a key was made of."""
    return tuple(bson.decode(key, _OPTIONS).values())


def _fixed(condition: Document) -> dict[str, list[Any]]:
    """Return the fields that a condition fixes, each with the values that it may have."""
    fixed = {}
    for field, wanted in condition.items():
        if (values := fixed_values(wanted)) is not None:
            fixed[field] = values
    return fixed

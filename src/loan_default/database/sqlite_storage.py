"""Documents and index entries in the tables of `sqlite_file`: what the embedded database stands on.

Documents are BSON, so that dates, 64-bit integers, nulls and nesting come back as from a server.
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
    decided_by_key,
    fixed_values,
    in_order,
    matches,
    order_key,
    value_at,
    value_matches,
)

VALUES_AT_ONCE = 500
"""How many values one question to SQLite holds; builds of it differ in how many they take, from 999."""
ID_INDEX = "_id_"
"""Name of the index on `_id`, as a server calls it."""
DUPLICATE_KEY = 11000
INDEX_KEY_SPECS_CONFLICT = 86

_OPTIONS: CodecOptions[Document] = CodecOptions(tz_aware=True)


def as_stored(document: Mapping[str, Any]) -> Document:
    """The document as it comes back: UTC milliseconds, lists, plain strings; InvalidDocument if it cannot."""
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
        """Places and documents that match, in order of insertion.

        The documents are those that are there when the iteration starts, each as it is when it is reached.
        """
        places, rest = self._candidates(condition)
        for place, document in self._documents(places):
            if matches(document, rest):
                yield place, document

    def first(self, condition: Document, sort: Sort, count: int) -> list[tuple[int, Document]]:
        """The first so many that match, in an order; where an index has that order, others are not read."""
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
            places = [place for (place,) in self._select(query, [self.collection, index.name], [key])]
            alike = (each for each in self._documents(places) if matches(each[1], condition))
            found += in_order(alike, sort)
        return found[:count]

    def count(self, condition: Document) -> int:
        """Number of documents that match; none is read where an index has all that the condition asks for."""
        if not condition:
            query = "SELECT COUNT(*) FROM documents WHERE collection = ?"
            return int(self.connection.execute(query, (self.collection,)).fetchone()[0])
        if all(decided_by_key(wanted) for wanted in condition.values()):
            for index in self._indexes():
                if set(condition) <= set(index.fields):
                    wanted = [(index.fields.index(field), each) for field, each in condition.items()]
                    return sum(
                        documents
                        for values, _, documents in self._keys(index)
                        if all(value_matches(values[place], each) for place, each in wanted)
                    )
        return sum(1 for _ in self.matching(condition))

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
        fixed = _fixed(condition)
        if "_id" in fixed:
            # All that are found have one of the ids, so that is not tested again: with `$in` it takes long.
            alone = not isinstance(condition["_id"], dict) or len(condition["_id"]) == 1
            rest = {field: wanted for field, wanted in condition.items() if field != "_id" or not alone}
            keys = [_key([value]) for value in fixed["_id"]]
            query = "SELECT place FROM documents WHERE collection = ? AND key IN"
            return (place for (place,) in self._select(query, [self.collection], keys)), rest
        if (index := self._index_for(fixed)) is not None:
            keys = [_key(values) for values in itertools.product(*(fixed[field] for field in index.fields))]
            query = "SELECT place FROM entries WHERE collection = ? AND name = ? AND key IN"
            found = self._select(query, [self.collection, index.name], keys)
            return (place for (place,) in found), condition
        query = "SELECT place, key FROM documents WHERE collection = ?"
        rows = self.connection.execute(query, (self.collection,))
        if "_id" in condition and decided_by_key(condition["_id"]):
            wanted = condition["_id"]
            return [place for place, key in rows if value_matches(_values(key)[0], wanted)], condition
        return (place for place, _ in rows), condition

    def _is_narrow(self, condition: Document) -> bool:
        """Whether a few documents are found without a look at the others."""
        return "_id" in condition or self._index_for(_fixed(condition)) is not None

    def _index_for(self, fixed: Mapping[str, list[Any]]) -> _Index | None:
        return next((each for each in self._indexes() if all(field in fixed for field in each.fields)), None)

    def _keys(self, index: _Index) -> Iterator[tuple[tuple[Any, ...], bytes, int]]:
        """The different keys of an index: their values, the stored bytes, how many documents have them."""
        query = "SELECT key, COUNT(*) FROM entries WHERE collection = ? AND name = ? GROUP BY key"
        for key, documents in self.connection.execute(query, (self.collection, index.name)):
            yield _values(key), key, documents

    def _documents(self, places: Iterable[int]) -> Iterator[tuple[int, Document]]:
        for place, body in self._bodies(sorted(set(places))):
            yield place, bson.decode(body, _OPTIONS)

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


def _values(key: bytes) -> tuple[Any, ...]:
    """The values that a key was made of."""
    return tuple(bson.decode(key, _OPTIONS).values())


def _fixed(condition: Document) -> dict[str, list[Any]]:
    """The fields that a condition fixes, each with the values that it may have."""
    fixed = {field: fixed_values(wanted) for field, wanted in condition.items()}
    return {field: values for field, values in fixed.items() if values is not None}

"""A MongoDB database without a server: pymongo's calls, results and errors over one local file.

Only what the repositories use is here; any other call or operator raises instead of answering roughly.
Arguments that pymongo calls `filter` are positional.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.errors import BulkWriteError, DuplicateKeyError, InvalidOperation, OperationFailure
from pymongo.operations import DeleteMany, DeleteOne, InsertOne, ReplaceOne, UpdateMany, UpdateOne
from pymongo.results import BulkWriteResult, DeleteResult, InsertManyResult, InsertOneResult, UpdateResult

from loan_default.database.matching import (
    Document,
    in_order,
    order_key,
    project,
    replaced,
    updated,
    upsert_base,
    values_at,
)
from loan_default.database.sqlite_file import StoreFile
from loan_default.database.sqlite_storage import Documents, as_stored

COMMAND_NOT_FOUND = 59

Filter = Mapping[str, Any]
Projection = Mapping[str, Any] | Iterable[str] | None
Sort = str | Sequence[tuple[str, int]]
Update = UpdateOne | UpdateMany | ReplaceOne[Any]
Request = InsertOne[Any] | Update | DeleteOne | DeleteMany


class EmbeddedDatabase:
    """The pymongo-shaped database; collections by name, as `database["model_metadata"]`."""

    def __init__(self, path: Path) -> None:
        """Open the file or make it; OperationFailure where it is no store or cannot be written."""
        self._file = StoreFile(path)

    def __getitem__(self, name: str) -> "EmbeddedCollection":
        return EmbeddedCollection(self._file, name)

    @property
    def client(self) -> "EmbeddedDatabase":
        """What `close()` is called on, as in pymongo."""
        return self

    def close(self) -> None:
        """Close the file for all threads of this process; later calls raise InvalidOperation."""
        self._file.close()

    def command(self, command: str | Mapping[str, Any], /) -> Document:
        """Answer `ping`; OperationFailure for all else: validators, expiry and users are a server's."""
        name = command if isinstance(command, str) else next(iter(command), "")
        if name != "ping":
            raise OperationFailure(f"command must be 'ping', however: command={name!r}", COMMAND_NOT_FOUND)
        with self._file.reading() as connection:
            connection.execute("SELECT 1")
        return {"ok": 1.0}

    def with_options(self, **_: Any) -> "EmbeddedDatabase":
        """The same database: reads and writes have one concern here, the strongest."""
        return self


class EmbeddedCollection:
    """The pymongo-shaped collection."""

    def __init__(self, file: StoreFile, name: str) -> None:
        self._file = file
        self.name = name

    def with_options(self, **_: Any) -> "EmbeddedCollection":
        """The same collection, see the database's."""
        return self

    def find(self, condition: Filter | None = None, projection: Projection = None, /) -> "EmbeddedCursor":
        """The documents that match; see `Documents.matching` for which those are while others write."""
        return EmbeddedCursor(self._reading, as_stored(condition or {}), projection)

    def find_one(
        self, condition: Filter | None = None, projection: Projection = None, /, *, sort: Sort = ()
    ) -> Document | None:
        """The first document that matches, or None."""
        return next(iter(self.find(condition, projection).sort(sort).limit(1)), None)

    def count_documents(self, condition: Filter, /) -> int:
        """How many documents match."""
        with self._reading() as documents:
            return documents.count(as_stored(condition))

    def distinct(self, field: str, condition: Filter | None = None, /) -> list[Any]:
        """The different values of a field in order: of lists each element, of missing values none."""
        found = {
            order_key(item): item
            for document in self.find(condition)
            for value in values_at(document, field)
            for item in (value if isinstance(value, list) else [value])
        }
        return [found[order] for order in sorted(found)]

    def insert_one(self, document: Document, /) -> InsertOneResult:
        """Store a document; DuplicateKeyError where its `_id` or a unique index is taken."""
        _give_id(document)
        with self._writing() as documents:
            documents.insert(document)
        return InsertOneResult(document["_id"], acknowledged=True)

    def insert_many(self, batch: Iterable[Document], /, *, ordered: bool = True) -> InsertManyResult:
        """Store documents in one transaction; BulkWriteError names those whose key was taken."""
        listed = list(batch)
        if not listed:
            raise TypeError("documents must be a non-empty list")
        for document in listed:
            _give_id(document)
        with self._writing() as documents:
            errors = documents.insert_many(listed, ordered=ordered)
        if errors:
            result = _no_result()
            result["nInserted"] = len(listed) - len(errors) if not ordered else errors[0][0]
            result["writeErrors"] = [_write_error(error, index) for index, error in errors]
            raise BulkWriteError(result)
        return InsertManyResult([document["_id"] for document in listed], acknowledged=True)

    def update_one(self, condition: Filter, update: Filter, /, *, upsert: bool = False) -> UpdateResult:
        """Change the first document that matches."""
        return self._update(UpdateOne(condition, update, upsert=upsert))

    def update_many(self, condition: Filter, update: Filter, /, *, upsert: bool = False) -> UpdateResult:
        """Change all documents that match."""
        return self._update(UpdateMany(condition, update, upsert=upsert))

    def replace_one(self, condition: Filter, replacement: Filter, /, *, upsert: bool = False) -> UpdateResult:
        """Put another content under the `_id` of the first document that matches."""
        return self._update(ReplaceOne(condition, replacement, upsert=upsert))

    def delete_one(self, condition: Filter, /) -> DeleteResult:
        """Remove the first document that matches."""
        return self._delete(DeleteOne(condition))

    def delete_many(self, condition: Filter, /) -> DeleteResult:
        """Remove all documents that match."""
        return self._delete(DeleteMany(condition))

    def find_one_and_update(
        self,
        condition: Filter,
        update: Filter,
        /,
        *,
        sort: Sort = (),
        upsert: bool = False,
        return_document: bool = ReturnDocument.BEFORE,
    ) -> Document | None:
        """Change one document and return it as it was (or is), None where none matched: compare-and-set."""
        with self._writing() as documents:
            found = in_order(documents.matching(as_stored(condition)), _pairs(sort))
            before, after = None, None
            if found:
                place, before = found[0]
                after = updated(before, as_stored(update), inserting=False)
                documents.replace(place, before=before, after=after)
            elif upsert:
                after = _upsert(documents, UpdateOne(condition, update))
        return before if return_document == ReturnDocument.BEFORE else after

    def bulk_write(self, requests: Sequence[Request], /, *, ordered: bool = True) -> BulkWriteResult:
        """Several writes in one transaction; those whose key is taken are left out and named in the error."""
        if not requests:
            raise InvalidOperation("No operations to execute")
        result = _no_result()
        with self._writing() as documents:
            for index, request in enumerate(requests):
                try:
                    _perform(documents, request, result=result, index=index)
                except DuplicateKeyError as error:
                    result["writeErrors"].append(_write_error(error, index))
                    if ordered:
                        break
        if result["writeErrors"]:
            raise BulkWriteError(result)
        return BulkWriteResult(result, acknowledged=True)

    def create_index(
        self, keys: str | Sequence[tuple[str, int]], /, *, unique: bool = False, name: str | None = None
    ) -> str:
        """Index fields, also of documents that are there; the same index again changes nothing."""
        pairs = [(keys, 1)] if isinstance(keys, str) else keys
        name = name or "_".join(f"{field}_{direction}" for field, direction in pairs)
        with self._writing() as documents:
            documents.add_index(name, tuple(field for field, _ in pairs), unique=unique)
        return name

    @contextmanager
    def _reading(self) -> Iterator[Documents]:
        with self._file.reading() as connection:
            yield Documents(connection=connection, collection=self.name)

    @contextmanager
    def _writing(self) -> Iterator[Documents]:
        with self._file.writing() as connection:
            yield Documents(connection=connection, collection=self.name)

    def _update(self, request: Update) -> UpdateResult:
        result = _no_result()
        with self._writing() as documents:
            _perform(documents, request, result=result, index=0)
        upserted = result["upserted"][0]["_id"] if result["upserted"] else None
        counts = {"n": result["nMatched"] or result["nUpserted"], "nModified": result["nModified"]}
        return UpdateResult({**counts, "upserted": upserted}, acknowledged=True)

    def _delete(self, request: DeleteOne | DeleteMany) -> DeleteResult:
        result = _no_result()
        with self._writing() as documents:
            _perform(documents, request, result=result, index=0)
        return DeleteResult({"n": result["nRemoved"]}, acknowledged=True)


class EmbeddedCursor:
    """The pymongo-shaped cursor; reads when iterated."""

    def __init__(
        self,
        reading: Callable[[], AbstractContextManager[Documents]],
        condition: Document,
        projection: Projection,
    ) -> None:
        self._reading = reading
        self._condition = condition
        self._projection = projection
        self._sort: list[tuple[str, int]] = []
        self._first = 0
        self._count = 0

    def sort(self, keys: Sort, direction: int = 1, /) -> "EmbeddedCursor":
        """Order by a field, or by pairs of field and direction."""
        self._sort = _pairs([(keys, direction)] if isinstance(keys, str) else keys)
        return self

    def skip(self, count: int, /) -> "EmbeddedCursor":
        """Leave out the first documents."""
        self._first = count
        return self

    def limit(self, count: int, /) -> "EmbeddedCursor":
        """At most so many documents; 0 = all."""
        self._count = count
        return self

    def __iter__(self) -> Iterator[Document]:
        with self._reading() as documents:
            last = self._first + self._count if self._count else None
            found: Iterable[tuple[int, Document]]
            if self._sort and last is not None:
                found = documents.first(self._condition, self._sort, last)
            elif self._sort:
                found = in_order(documents.matching(self._condition), self._sort)
            else:
                found = documents.matching(self._condition)
            for _, document in itertools.islice(found, self._first, last):
                yield project(document, self._projection)


def _perform(documents: Documents, request: Request, *, result: Document, index: int) -> None:
    """Do one write and count it in a result of pymongo's layout; requests only keep private fields."""
    if isinstance(request, InsertOne):
        _give_id(request._doc)
        documents.insert(request._doc)
        result["nInserted"] += 1
        return
    found = list(documents.matching(as_stored(request._filter)))
    if not isinstance(request, UpdateMany | DeleteMany):
        found = found[:1]
    if isinstance(request, DeleteOne | DeleteMany):
        for place, document in found:
            documents.remove(place, document)
        result["nRemoved"] += len(found)
        return
    for place, before in found:
        after = _changed(before, request, inserting=False)
        result["nModified"] += documents.replace(place, before=before, after=after)
    result["nMatched"] += len(found)
    if not found and request._upsert:
        result["upserted"].append({"index": index, "_id": _upsert(documents, request)["_id"]})
        result["nUpserted"] += 1


def _changed(document: Document, request: Update, *, inserting: bool) -> Document:
    if not isinstance(request._doc, Mapping):
        raise OperationFailure("an update must be a document, however: it is a pipeline")
    change = as_stored(request._doc)
    if isinstance(request, ReplaceOne):
        return replaced(document, change)
    return updated(document, change, inserting=inserting)


def _upsert(documents: Documents, request: Update) -> Document:
    base = upsert_base(as_stored(request._filter))
    if isinstance(request, ReplaceOne):
        base = {"_id": base["_id"]} if "_id" in base else {}
    document = _changed(base, request, inserting=True)
    _give_id(document)
    documents.insert(document)
    return document


def _give_id(document: Document) -> None:
    """As in pymongo, a document without `_id` gets one, the caller's own object too."""
    if "_id" not in document:
        document["_id"] = ObjectId()


def _write_error(error: DuplicateKeyError, index: int) -> Document:
    return {**(error.details or {}), "index": index}


def _pairs(sort: Sort) -> list[tuple[str, int]]:
    return [(sort, 1)] if isinstance(sort, str) else list(sort)


def _no_result() -> Document:
    counts = dict.fromkeys(("nInserted", "nUpserted", "nMatched", "nModified", "nRemoved"), 0)
    return {**counts, "upserted": [], "writeErrors": [], "writeConcernErrors": []}

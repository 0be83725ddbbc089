"""A MongoDB database without a server: pymongo's calls, results and errors over one local file.

Only the calls that the repositories use are here; any other call or operator raises instead of answering
roughly. Arguments that pymongo calls `filter` are positional.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from bson import ObjectId
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure
from pymongo.results import DeleteResult, InsertManyResult, InsertOneResult, UpdateResult

from loan_default.database.matching import Document, Sort, in_order, project, updated
from loan_default.database.sqlite_file import SqliteFile
from loan_default.database.sqlite_storage import Documents, as_stored

COMMAND_NOT_FOUND = 59

Filter = Mapping[str, Any]
Projection = Mapping[str, Any] | None


class EmbeddedDatabase:
    """The pymongo-shaped database; collections by name, as `database["model_metadata"]`."""

    def __init__(self, path: Path) -> None:
        """Open the file or make it; OperationFailure where it is no document store or cannot be written."""
        self._file = SqliteFile(path)

    def __getitem__(self, name: str) -> "EmbeddedCollection":
        return EmbeddedCollection(self._file, name)

    @property
    def client(self) -> "EmbeddedDatabase":
        """The object that `close()` is called on, as in pymongo."""
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


class EmbeddedCollection:
    """The pymongo-shaped collection."""

    def __init__(self, file: SqliteFile, name: str) -> None:
        self._file = file
        self.name = name

    def find(self, condition: Filter | None = None, projection: Projection = None, /) -> "EmbeddedCursor":
        """Return a cursor of the documents that match; see `Documents.matching` for writes meanwhile."""
        return EmbeddedCursor(self._reading, as_stored(condition or {}), projection)

    def find_one(self, condition: Filter | None = None, projection: Projection = None, /) -> Document | None:
        """Return the first document that matches, or None."""
        return next(iter(self.find(condition, projection).limit(1)), None)

    def count_documents(self, condition: Filter, /) -> int:
        """Return how many documents match."""
        with self._reading() as documents:
            return documents.count(as_stored(condition))

    def insert_one(self, document: Document, /) -> InsertOneResult:
        """Store a document; DuplicateKeyError where its `_id` or a unique index is taken."""
        _give_id(document)
        with self._writing() as documents:
            for _, error in documents.insert_many([document], ordered=True):
                raise error
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
            raise BulkWriteError(
                {
                    "nInserted": errors[0][0] if ordered else len(listed) - len(errors),
                    "writeErrors": [_write_error(error, index) for index, error in errors],
                    "writeConcernErrors": [],
                }
            )
        return InsertManyResult([document["_id"] for document in listed], acknowledged=True)

    def update_one(self, condition: Filter, update: Filter, /) -> UpdateResult:
        """Change the first document that matches."""
        before, changed = self._update_first(condition, update)
        counts = {"n": 0 if before is None else 1, "nModified": int(changed)}
        return UpdateResult(counts, acknowledged=True)

    def update_many(self, condition: Filter, update: Filter, /) -> UpdateResult:
        """Change all documents that match."""
        modified = 0
        with self._writing() as documents:
            found = list(documents.matching(as_stored(condition)))
            for rowid, before in found:
                modified += documents.replace(rowid, before=before, after=updated(before, as_stored(update)))
        return UpdateResult({"n": len(found), "nModified": modified}, acknowledged=True)

    def find_one_and_update(self, condition: Filter, update: Filter, /) -> Document | None:
        """Change one document and return it as it was, None where none matched: compare-and-set."""
        before, _ = self._update_first(condition, update)
        return before

    def delete_many(self, condition: Filter, /) -> DeleteResult:
        """Remove all documents that match."""
        with self._writing() as documents:
            found = list(documents.matching(as_stored(condition)))
            for rowid, document in found:
                documents.remove(rowid, document)
        return DeleteResult({"n": len(found)}, acknowledged=True)

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

    def _update_first(self, condition: Filter, update: Filter) -> tuple[Document | None, bool]:
        """Change the first document that matches; return it as it was, and whether it is another now."""
        if not isinstance(update, Mapping):
            raise OperationFailure("an update must be a document, however: it is a pipeline")
        with self._writing() as documents:
            for rowid, before in documents.matching(as_stored(condition)):
                after = updated(before, as_stored(update))
                return before, documents.replace(rowid, before=before, after=after)
        return None, False


class EmbeddedCursor:
    """The pymongo-shaped cursor; it reads when it is iterated."""

    def __init__(
        self,
        reading: Callable[[], AbstractContextManager[Documents]],
        condition: Document,
        projection: Projection,
    ) -> None:
        self._reading = reading
        self._condition = condition
        self._projection = projection
        self._sort: Sort = ()
        self._count: int | None = None

    def sort(self, keys: Sort, /) -> "EmbeddedCursor":
        """Order by pairs of field and direction."""
        self._sort = list(keys)
        return self

    def limit(self, count: int, /) -> "EmbeddedCursor":
        """Give at most so many documents; 0 = all."""
        self._count = count or None
        return self

    def __iter__(self) -> Iterator[Document]:
        with self._reading() as documents:
            found: Iterable[tuple[int, Document]]
            if self._sort and self._count is not None:
                found = documents.first(self._condition, self._sort, self._count)
            elif self._sort:
                found = in_order(documents.matching(self._condition), self._sort)
            else:
                found = documents.matching(self._condition)
            for _, document in itertools.islice(found, self._count):
                yield project(document, self._projection)


def _give_id(document: Document) -> None:
    """Give a document without `_id` one, the caller's own object too, as pymongo does."""
    if "_id" not in document:
        document["_id"] = ObjectId()


def _write_error(error: DuplicateKeyError, index: int) -> Document:
    return {**(error.details or {}), "index": index}

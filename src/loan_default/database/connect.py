"""The database of these settings: a MongoDB server, or one local file where none is configured.

The protocols name what the repositories may use; pymongo, the embedded store and mongomock all have it.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol, Self

import pymongo
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
)
from pymongo.results import BulkWriteResult, DeleteResult, InsertManyResult, InsertOneResult, UpdateResult

from loan_default.database.embedded import EmbeddedDatabase
from loan_default.errors import ConfigurationError, DependencyError
from loan_default.settings import Settings

STORE_FILE = "documents.sqlite3"
"""The embedded store, under `Settings.home`."""
LONG_CALL_SECONDS = 600.0
"""Deadline of what goes through a whole collection: indexing and counting."""

Document = dict[str, Any]
Filter = Mapping[str, Any]


class Cursor(Protocol):
    """Documents of a query, in order, from the first to the last."""

    def sort(self, keys: Any, direction: Any = ..., /) -> Self: ...
    def skip(self, count: int, /) -> Self: ...
    def limit(self, count: int, /) -> Self: ...
    def __iter__(self) -> Iterator[Document]: ...


class Collection(Protocol):
    """What is used of a pymongo collection."""

    def find(self, condition: Any = ..., projection: Any = ..., /) -> Cursor: ...
    def find_one(
        self, condition: Any = ..., projection: Any = ..., /, *, sort: Any = ...
    ) -> Document | None: ...
    def count_documents(self, condition: Filter, /) -> int: ...
    def distinct(self, field: str, condition: Filter = ..., /) -> list[Any]: ...
    def insert_one(self, document: Document, /) -> InsertOneResult: ...
    def insert_many(self, batch: Iterable[Document], /, *, ordered: bool = ...) -> InsertManyResult: ...
    def update_one(self, condition: Filter, update: Filter, /, *, upsert: bool = ...) -> UpdateResult: ...
    def update_many(self, condition: Filter, update: Filter, /, *, upsert: bool = ...) -> UpdateResult: ...
    def replace_one(self, condition: Filter, new: Filter, /, *, upsert: bool = ...) -> UpdateResult: ...
    def delete_one(self, condition: Filter, /) -> DeleteResult: ...
    def delete_many(self, condition: Filter, /) -> DeleteResult: ...
    def find_one_and_update(
        self,
        condition: Filter,
        update: Filter,
        /,
        *,
        sort: Any = ...,
        upsert: bool = ...,
        return_document: bool = ...,
    ) -> Document | None: ...
    def bulk_write(self, requests: Sequence[Any], /, *, ordered: bool = ...) -> BulkWriteResult: ...
    def create_index(self, keys: Any, /, *, unique: bool = ..., name: str = ...) -> str: ...


class Client(Protocol):
    """What holds the connections."""

    def close(self) -> None: ...


class Database(Protocol):
    """What is used of a pymongo database."""

    @property
    def client(self) -> Client: ...
    def __getitem__(self, name: str) -> Collection: ...
    def command(self, command: str | Document, /) -> Document: ...


def connect(settings: Settings) -> Database:
    """The database, after it has answered; close it with `database.client.close()`.

    A call to a server that takes longer than `answer_seconds`, with all its retries, fails with
    DependencyError; of a longer result each part has that long. Whether it was done
    is not known then; the same write again is safe, as the ids are ours. Options of the address that say
    otherwise are overruled.

    ConfigurationError where the address or the folder is wrong, DependencyError where the server does not
    answer or refuses. No message holds the address, which contains the password.
    """
    if settings.mongodb_uri is None:
        return _open_file(settings)
    return _open_server(settings, settings.mongodb_uri.get_secret_value())


@contextmanager
def store_errors(doing: str, *, seconds: float | None = None) -> Iterator[None]:
    """Turn the driver's errors into DependencyError; taken keys stay what they are. `doing` was tried.

    `seconds` is a deadline for all calls within; None = each has the one that the connection was made with.
    """
    try:
        with pymongo.timeout(seconds) if seconds else nullcontext():
            yield
    except (DuplicateKeyError, BulkWriteError):
        raise
    except PyMongoError as error:
        raise DependencyError(
            f"the database must answer, however: {doing} failed: {_reason(error)}"
        ) from error


def _open_file(settings: Settings) -> Database:
    path = settings.home / STORE_FILE
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"LOAN_DEFAULT_HOME must be a folder that can be written, however: home={str(settings.home)!r} "
            f"({error.strerror}). Choose another folder."
        ) from error
    with store_errors(f"opening {path}"):
        return EmbeddedDatabase(path)


def _open_server(settings: Settings, uri: str) -> Database:
    name, answer_seconds = settings.mongodb_database, settings.answer_seconds
    login: dict[str, Any] = {}
    if settings.mongodb_username is not None and settings.mongodb_password is not None:
        password = settings.mongodb_password.get_secret_value()
        login = {"username": settings.mongodb_username.get_secret_value(), "password": password}
    client = _client(uri, login, answer_seconds=answer_seconds)
    if client is None:  # raised here, where no driver's error that quotes the address can be its cause
        raise ConfigurationError(
            "MONGODB_URI must be a MongoDB address, however: the driver does not accept it. Write "
            "mongodb://user:password@host:port/ with special characters of user and password as %XX, known "
            "options and files that are there only, and for mongodb+srv:// a name that the DNS knows."
        )
    try:
        with store_errors("connecting to MONGODB_URI", seconds=answer_seconds):
            client.admin.command("ping")
            client[name]["model_metadata"].find_one({}, {"_id": 1})  # a server answers pings of anyone
    except BaseException:
        client.close()
        raise
    return client[name]


def _client(
    uri: str, login: Mapping[str, Any], *, answer_seconds: float
) -> pymongo.MongoClient[Document] | None:
    """A client that has not connected yet, None where the address cannot be read."""
    milliseconds = max(1, int(answer_seconds * 1000))
    with warnings.catch_warnings():
        # Of an option that it does not understand the driver only warns, in words that may repeat its value.
        warnings.simplefilter("error", UserWarning)
        try:
            return pymongo.MongoClient(
                uri,
                appname="loan-default",
                tz_aware=True,
                w="majority",
                journal=True,
                serverSelectionTimeoutMS=milliseconds,
                connectTimeoutMS=milliseconds,
                timeoutMS=milliseconds,
                **login,
            )
        except (PyMongoError, ValueError, TypeError, OSError, UserWarning):
            return None


def _reason(error: PyMongoError) -> str:
    if isinstance(error, OperationFailure) and error.code is not None:
        hint = " Check the user name, the password and `authSource`." if error.code in (13, 18) else ""
        return f"refused with code {error.code}.{hint}"
    text = str(error).split(", Timeout:")[0].split(" (configured timeouts")[0]
    hint = " Is the server running, and the address right?" if isinstance(error, ConnectionFailure) else ""
    return f"{type(error).__name__}: {text}.{hint}"

"""The database of these settings: a MongoDB server, or one local file where none is configured.

The protocols name the calls that the repositories may use; pymongo, the embedded document store and mongomock
all have them.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, Self

import pymongo
from pymongo.errors import PyMongoError
from pymongo.results import DeleteResult, InsertManyResult, InsertOneResult, UpdateResult

from loan_default.database.driver_errors import database_errors
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.errors import ConfigurationError
from loan_default.settings import Settings

STORE_FILE = "documents.sqlite3"
"""Name of the embedded document store's file, under `Settings.home`."""
LONG_CALL_SECONDS = 600.0
"""Deadline of calls that go through a whole collection, such as indexing and counting."""

Document = dict[str, Any]
Filter = Mapping[str, Any]


class Cursor(Protocol):
    """The documents of a query, in order, each read once."""

    def sort(self, keys: Any, /) -> Self: ...
    def limit(self, count: int, /) -> Self: ...
    def __iter__(self) -> Iterator[Document]: ...


class Collection(Protocol):
    """The calls of a pymongo collection that the repositories use."""

    def find(self, condition: Any = ..., projection: Any = ..., /) -> Cursor: ...
    def find_one(self, condition: Any = ..., projection: Any = ..., /) -> Document | None: ...
    def count_documents(self, condition: Filter, /) -> int: ...
    def insert_one(self, document: Document, /) -> InsertOneResult: ...
    def insert_many(self, batch: Iterable[Document], /, *, ordered: bool = ...) -> InsertManyResult: ...
    def update_one(self, condition: Filter, update: Filter, /) -> UpdateResult: ...
    def update_many(self, condition: Filter, update: Filter, /) -> UpdateResult: ...
    def find_one_and_update(self, condition: Filter, update: Filter, /) -> Document | None: ...
    def delete_many(self, condition: Filter, /) -> DeleteResult: ...
    def create_index(self, keys: Any, /, *, unique: bool = ..., name: str = ...) -> str: ...


class Client(Protocol):
    """The object that holds the connections."""

    def close(self) -> None: ...


class Database(Protocol):
    """The calls of a pymongo database that the repositories use."""

    @property
    def client(self) -> Client: ...
    def __getitem__(self, name: str) -> Collection: ...
    def command(self, command: str | Document, /) -> Document: ...


def connect(settings: Settings) -> Database:
    """Return the database after it has answered; close it with `database.client.close()`.

    A call to a server that takes longer than `answer_seconds`, with all its retries, fails with
    DependencyError; of a longer result each part has that long. It is not known then whether the call had its
    effect; the same write again is safe, as our ids are made from the content. Options of the address that
    say otherwise are overruled. No message holds the address, which contains the password.

    Raises:
        ConfigurationError: the address or the folder is wrong.
        DependencyError: the server does not answer or refuses.
    """
    if settings.mongodb_uri is None:
        return _open_file(settings)
    return _open_server(settings, settings.mongodb_uri.get_secret_value())


def _open_file(settings: Settings) -> Database:
    path = settings.home / STORE_FILE
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"LOAN_DEFAULT_HOME must be a folder that can be written, however: home={str(settings.home)!r} "
            f"({error.strerror}). Choose another folder."
        ) from error
    with database_errors(f"open {path}"):
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
        with database_errors("connect to MONGODB_URI", seconds=answer_seconds):
            client.admin.command("ping")
            client[name]["model_metadata"].find_one({}, {"_id": 1})  # a server answers pings of anyone
    except BaseException:
        client.close()
        raise
    return client[name]


def _client(
    uri: str, login: Mapping[str, Any], *, answer_seconds: float
) -> pymongo.MongoClient[Document] | None:
    """Return a client that has not connected yet, None where the address cannot be read."""
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

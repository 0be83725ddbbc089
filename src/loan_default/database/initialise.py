"""Make a database ready: indexes everywhere; validators, expiry and a user where the server knows them.

Whether it does is found out by asking for it: servers that are not MongoDB report its version all the same.
Doing it again changes nothing, or what was asked for differently.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from pydantic import SecretStr
from pymongo.errors import OperationFailure

from loan_default.database.connect import LONG_CALL_SECONDS, Database, Document, store_errors
from loan_default.database.control_repositories import CommandRepository, DecisionRepository
from loan_default.database.documents import Champion, StoredDocument
from loan_default.database.ingestion_repositories import (
    IngestionBatchRepository,
    PredictionRepository,
    RawDataLogRepository,
)
from loan_default.database.repositories import (
    POINTERS,
    MetricsRepository,
    ModelRepository,
    TrainingDataRepository,
)
from loan_default.errors import ConfigurationError

REPOSITORIES = (
    TrainingDataRepository,
    MetricsRepository,
    ModelRepository,
    RawDataLogRepository,
    IngestionBatchRepository,
    PredictionRepository,
    CommandRepository,
    DecisionRepository,
)
LONGEST_EXPIRY = timedelta(seconds=2**31 - 1)
"""What a server takes."""

_EXPIRY = "expiry"
_LOGS = RawDataLogRepository.collection
_UNKNOWN = frozenset({59, 115, 238, 303})
"""Command not found, not supported, not implemented; option not supported."""
_UNAUTHORIZED = 13
_BAD_VALUE = 2
_INDEX_NOT_FOUND = 27
_NAMESPACE_EXISTS = 48
_INDEX_OPTIONS_CONFLICT = 85
_USER_EXISTS = 51003
_ROLE = "readWrite"
_BSON_TYPES = {
    "string": {"string"},
    "boolean": {"bool"},
    "integer": {"int", "long"},
    "number": {"int", "long", "double"},
    "array": {"array"},
    "object": {"object"},
    "null": {"null"},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ApplicationUser:
    """The user that the application connects as; it may read and write this one database and no more."""

    name: str
    password: SecretStr

    def __post_init__(self) -> None:
        if not self.name or not self.password.get_secret_value():
            raise ConfigurationError(
                f"the application's user must have a name and a password, however: name={self.name!r}, "
                f"password={'given' if self.password.get_secret_value() else 'empty'}. Give both or neither."
            )


def initialise(
    database: Database, *, log_days: int | None = None, user: ApplicationUser | None = None
) -> list[str]:
    """Make the collections of this database ready and say what was done, and what its server cannot do.

    `log_days`: the server deletes documents of `raw_data_logs` after so many days; None = never. It must be
    longer than the topics keep records, since an event whose document is gone counts as new.

    Raises:
        ConfigurationError: `log_days` is out of range, or the user is there with other rights.
        DependencyError: the database does not answer, or does not let this user make indexes.
    """
    if log_days is not None and not 1 <= log_days <= LONGEST_EXPIRY.days:
        raise ConfigurationError(
            f"log_days must be from 1 to {LONGEST_EXPIRY.days}, however: log_days={log_days}. "
            "Leave it out to keep the logs."
        )
    return [
        *_make_indexes(database),
        _make_validators(database),
        _set_expiry(database, log_days),
        *([_make_user(database, user)] if user else []),
    ]


def validator(kind: type[StoredDocument]) -> Document:
    """A JSON schema, as servers understand it, of the required fields and the types of a class of documents.

    It stops what comes from elsewhere; documents of ours are checked in full before they are written.
    """
    schema = kind.model_json_schema()
    types = {
        name: {"bsonType": sorted(_bson_types(field, schema.get("$defs", {})))}
        for name, field in schema["properties"].items()
        if name != kind.id_field
    }
    required = [name for name in schema["required"] if name != kind.id_field]
    return {
        "bsonType": "object",
        "required": ["_id", *required],
        "properties": {"_id": {"bsonType": "string"}, **types},
    }


def _make_indexes(database: Database) -> Iterator[str]:
    for repository in REPOSITORIES:
        repository(database).ensure_indexes()
        yield f"{repository.collection}: indexes"


def _make_validators(database: Database) -> str:
    kinds: dict[str, type[StoredDocument]] = {each.collection: each.kind for each in REPOSITORIES}
    kinds[POINTERS] = Champion
    look = partial(database[POINTERS].find_one, {"$jsonSchema": {"bsonType": "object"}})
    create = partial(database.command, {"create": POINTERS})
    with store_errors("making validators", seconds=LONG_CALL_SECONDS):
        # Asked first, as a store may keep a validator that it cannot apply, and then refuse every document.
        refusal = _refusal(look, unknown=_UNKNOWN | {_BAD_VALUE}) or _refusal(create, fine=_NAMESPACE_EXISTS)
        for collection, kind in kinds.items():
            rule = {"collMod": collection, "validator": {"$jsonSchema": validator(kind)}}
            refusal = refusal or _refusal(partial(database.command, rule))
    if refusal:
        return f"validators: none, {refusal}; documents are checked before they are written all the same"
    return f"validators: of {len(kinds)} collections"


def _set_expiry(database: Database, days: int | None) -> str:
    with store_errors(f"setting the expiry of {_LOGS}", seconds=LONG_CALL_SECONDS):
        if days is None:  # what an earlier call asked for must not go on deleting
            drop = {"dropIndexes": _LOGS, "index": _EXPIRY}
            refusal = _refusal(partial(database.command, drop), fine=_INDEX_NOT_FOUND)
            return f"{_LOGS}: no expiry" + (f", {refusal}" if refusal else "")
        index = {"name": _EXPIRY, "expireAfterSeconds": days * 86_400}
        create = {"createIndexes": _LOGS, "indexes": [{"key": {"logged_at": 1}, **index}]}
        try:
            refusal = _refusal(partial(database.command, create))
        except OperationFailure as error:
            if error.code != _INDEX_OPTIONS_CONFLICT:
                raise
            refusal = _refusal(partial(database.command, {"collMod": _LOGS, "index": index}))
    if refusal:
        return f"{_LOGS}: no expiry, {refusal}; delete what is older than {days} days by a job"
    return f"{_LOGS}: expire after {days} days"


def _make_user(database: Database, user: ApplicationUser) -> str:
    rights = {"pwd": user.password.get_secret_value(), "roles": [_ROLE]}
    with store_errors("making the application's user"):
        try:
            refusal = _refusal(partial(database.command, {"createUser": user.name, **rights}))
        except OperationFailure as error:
            if error.code != _USER_EXISTS:
                raise
            _check_roles(database, user.name)
            refusal = _refusal(partial(database.command, {"updateUser": user.name, **rights}))
    if refusal:
        return f"user {user.name}: not made, {refusal}"
    return f"user {user.name}: may read and write this database, nothing else"


def _check_roles(database: Database, name: str) -> None:
    """Raise where the user that is there has other rights: somebody may need them."""
    (known,) = database.command({"usersInfo": name})["users"]
    roles = [(each["role"], each["db"]) for each in known["roles"]]
    if roles != [(_ROLE, known["db"])]:
        raise ConfigurationError(
            f"the application's user must have the role {_ROLE} on its database alone, however: {name!r} is "
            f"there with roles={roles}. Choose another name, or drop that user."
        )


def _refusal(
    call: Callable[[], object], *, fine: int | None = None, unknown: frozenset[int] = _UNKNOWN
) -> str | None:
    """Do it; why the server cannot or may not, None where it is done. The code `fine` is as good as done."""
    try:
        call()
    except NotImplementedError:  # of a stand-in within this process
        return "the store does not know it"
    except OperationFailure as error:
        if error.code == fine:
            return None
        if error.code in unknown:
            return f"the server does not know it (code {error.code})"
        if error.code == _UNAUTHORIZED:
            return "the user who is connected may not do it"
        raise
    return None


def _bson_types(field: Document, definitions: Document) -> set[str]:
    """BSON types of a field of pydantic's JSON schema."""
    if "$ref" in field:
        field = definitions[field["$ref"].rpartition("/")[2]]
    if "anyOf" in field:
        return {name for each in field["anyOf"] for name in _bson_types(each, definitions)}
    if field.get("format") == "date-time":
        return {"date"}
    return _BSON_TYPES[field["type"]]

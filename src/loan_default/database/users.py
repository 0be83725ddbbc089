"""The users of the database and their rights: a role for each kind of client, and a user of its name.

| user | may |
|---|---|
| `pipeline` | read, write and index all collections; neither drop them nor make users |
| `commands` | read and write `command_log`, read `model_metadata` |
| `api` | add predictions and read them, read models, experiments and keys |
| `scorer` | add predictions and read them, read models and experiments |
| `reader` | read all collections |

An administrator makes them by `loan-default init`. A server without roles (FerretDB) checks passwords only.
"""

from collections.abc import Iterable, Mapping

from pydantic import SecretStr
from pymongo.errors import OperationFailure

from loan_default.database.connect import Database, Document
from loan_default.database.control_repositories import CommandRepository, DecisionRepository
from loan_default.database.driver_errors import UNKNOWN, database_errors
from loan_default.database.prediction_repository import PredictionRepository
from loan_default.database.repositories import POINTERS, MetricsRepository, ModelRepository
from loan_default.errors import ConfigurationError

_ALL = ""
"""The resource of all collections of the database that are not the server's own."""
_READ = ("find", "listIndexes")
_WRITE = (*_READ, "insert", "update", "remove", "createIndex")
_LIST = "listCollections"
_SCORES: Mapping[str, Iterable[str]] = {
    PredictionRepository.collection: ("find", "insert"),
    ModelRepository.collection: ("find",),
    POINTERS: ("find",),
    DecisionRepository.collection: ("find",),
    "experiments": ("find",),
}
"""What a process may do that scores: predictions are added, never changed or deleted."""
ROLES: Mapping[str, Mapping[str, Iterable[str]]] = {
    "pipeline": {_ALL: (*_WRITE, _LIST)},
    "commands": {CommandRepository.collection: _WRITE, ModelRepository.collection: ("find",)},
    "api": {
        **_SCORES,
        MetricsRepository.collection: ("find",),
        "api_keys": ("find",),
        "approvals": ("find",),
    },
    "scorer": _SCORES,
    "reader": {_ALL: (*_READ, _LIST)},
}
"""Role -> collection -> MongoDB's names of the actions that it may take there."""
_ROLE_EXISTS, _USER_EXISTS = 51002, 51003
_FORBIDDEN = frozenset({13, 8000})
"""Codes: not authorized; left by a hosted server to its own console."""


def make_users(database: Database, passwords: Mapping[str, SecretStr], *, name: str) -> list[str]:
    """Make these users, or give those that exist this password and these rights; return what was done.

    Args:
        passwords: user -> password; users are named like their roles.
        name: name of the database.

    Raises:
        ConfigurationError: the connected user may not make users.
        DependencyError: the database does not answer, or refuses for a reason of its own.
    """
    return [_make(database, user, password, name=name) for user, password in passwords.items()]


def _make(database: Database, user: str, password: SecretStr, *, name: str) -> str:
    privileges = [
        {"resource": {"db": name, "collection": collection}, "actions": list(actions)}
        for collection, actions in ROLES[user].items()
    ]
    with database_errors(f"make the user {user}"):
        has_roles = _create_or_update(
            database, "Role", user, {"privileges": privileges, "roles": []}, taken=_ROLE_EXISTS
        )
        rights: Document = {"roles": [{"role": user, "db": name}] if has_roles else []}
        rights["pwd"] = password.get_secret_value()
        made = _create_or_update(database, "User", user, rights, taken=_USER_EXISTS)
    if not made:
        return f"user {user}: not made, the server knows no users"
    if not has_roles:
        return (
            f"user {user}: made without a role, as the server knows no roles: it may do all that others may"
        )
    return f"user {user}: may {_in_words(user)}"


def _create_or_update(database: Database, kind: str, name: str, body: Document, *, taken: int) -> bool:
    """Make a role or user, or change the one that exists; False where the server knows neither."""
    try:
        try:
            database.command({f"create{kind}": name, **body})
        except OperationFailure as error:
            if error.code != taken:
                raise
            database.command({f"update{kind}": name, **body})
    except NotImplementedError:  # of a stand-in within this process
        return False
    except OperationFailure as error:
        if error.code in _FORBIDDEN:
            raise ConfigurationError(
                f"Cannot make the {kind.lower()} {name!r}: the server refused with code {error.code}. "
                "Connect as an administrator, or leave the users' passwords out and make the users by hand."
            ) from error
        if error.code not in UNKNOWN:
            raise
        return False
    return True


def _in_words(role: str) -> str:
    return "; ".join(
        f"{', '.join(actions)} in {collection or 'all collections'}"
        for collection, actions in ROLES[role].items()
    )

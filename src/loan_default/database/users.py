"""Who may do what in the database: a role for each kind of client, and a user of the same name for it.

| user | may |
|---|---|
| `pipeline` | read, write and index all collections; neither drop them nor make users |
| `commands` | read and write `command_log`, read `model_metadata` |
| `reader` | read all collections |

An administrator makes them by `loan-default init`. A server without roles (FerretDB) checks passwords only.
"""

from collections.abc import Iterable, Mapping
from functools import partial

from pydantic import SecretStr
from pymongo.errors import OperationFailure

from loan_default.database.connect import Database, Document, store_errors
from loan_default.database.control_repositories import CommandRepository
from loan_default.database.refusals import refusal
from loan_default.database.repositories import ModelRepository

_ALL = ""
"""As a resource: all collections of the database that are not the server's own."""
_READ = ("find", "listCollections", "listIndexes")
_WRITE = (*_READ, "insert", "update", "remove", "createIndex")
ROLES: Mapping[str, Mapping[str, Iterable[str]]] = {
    "pipeline": {_ALL: _WRITE},
    "commands": {CommandRepository.collection: _WRITE, ModelRepository.collection: ("find",)},
    "reader": {_ALL: _READ},
}
"""Role -> collection -> actions of MongoDB."""
_ROLE_EXISTS, _USER_EXISTS = 51002, 51003


def make_users(database: Database, passwords: Mapping[str, SecretStr], *, name: str) -> list[str]:
    """Make these users, or give those that are there this password and these rights; says what was done.

    Args:
        passwords: user -> password; users are named like their roles.
        name: of the database.

    Raises:
        DependencyError: the database does not answer, or refuses for a reason of its own.
    """
    return [_make(database, user, password, name=name) for user, password in passwords.items()]


def _make(database: Database, user: str, password: SecretStr, *, name: str) -> str:
    privileges = [
        {"resource": {"db": name, "collection": collection}, "actions": list(actions)}
        for collection, actions in ROLES[user].items()
    ]
    with store_errors(f"making the user {user}"):
        without_role = _create_or_update(
            database, "Role", user, {"privileges": privileges, "roles": []}, taken=_ROLE_EXISTS
        )
        rights: Document = {"roles": [] if without_role else [{"role": user, "db": name}]}
        rights["pwd"] = password.get_secret_value()
        refused = _create_or_update(database, "User", user, rights, taken=_USER_EXISTS)
    if refused:
        return f"user {user}: not made, {refused}"
    if without_role:
        return f"user {user}: made without a role, {without_role}: it may do all that the server allows"
    return f"user {user}: may {_in_words(user)}"


def _create_or_update(database: Database, kind: str, name: str, body: Document, *, taken: int) -> str | None:
    """Make it, or change the one that is there; why the server cannot, None where it is done."""
    try:
        return refusal(partial(database.command, {f"create{kind}": name, **body}))
    except OperationFailure as error:
        if error.code != taken:
            raise
        return refusal(partial(database.command, {f"update{kind}": name, **body}))


def _in_words(role: str) -> str:
    return "; ".join(
        f"{', '.join(actions)} in {collection or 'all collections'}"
        for collection, actions in ROLES[role].items()
    )

"""What the driver's errors mean: the database is away, or its server cannot or may not do something."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import pymongo
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
)

from loan_default.errors import DependencyError

UNKNOWN = frozenset({59, 115, 238, 303})
"""Codes: command not found, not supported, not implemented; option not supported."""
_UNAUTHORIZED = 13
_AUTHENTICATION_FAILED = 18


@contextmanager
def database_errors(what: str, *, seconds: float | None = None) -> Iterator[None]:
    """Turn the driver's errors into DependencyError, except those of keys that are taken.

    Args:
        what: what is done within, such as "read predictions"; the message says that it cannot be done.
        seconds: deadline of all calls within; None = each has the one that the connection was made with.

    Raises:
        DependencyError: the database did not answer, or refused.
    """
    try:
        with pymongo.timeout(seconds) if seconds else nullcontext():
            yield
    except (DuplicateKeyError, BulkWriteError):
        raise
    except PyMongoError as error:
        raise DependencyError(f"Cannot {what}: {_reason(error)}") from error


def refusal(
    call: Callable[[], object], *, fine: int | None = None, unknown: frozenset[int] = UNKNOWN
) -> str | None:
    """Make a call; return why the server cannot or may not make it, None where it is made.

    Args:
        call: what is asked of the server.
        fine: the error code that is as good as success, such as that of an index that exists; None = none is.
        unknown: the error codes of a server that does not know the call.

    Raises:
        OperationFailure: the server refused with another code.
    """
    try:
        call()
    except NotImplementedError:  # of a stand-in within this process
        return "the database does not know it"
    except OperationFailure as error:
        if error.code == fine:
            return None
        if error.code in unknown:
            return f"the server does not know it (code {error.code})"
        if error.code == _UNAUTHORIZED:
            return "the user who is connected may not do it"
        raise
    return None


def _reason(error: PyMongoError) -> str:
    if isinstance(error, OperationFailure) and error.code is not None:
        reason = f"the server refused with code {error.code}."
        if error.code in (_UNAUTHORIZED, _AUTHENTICATION_FAILED):
            reason += " Check the user name, the password and `authSource`."
        return reason
    text = str(error).split(", Timeout:")[0].split(" (configured timeouts")[0]
    reason = f"{type(error).__name__}: {text}."
    if isinstance(error, ConnectionFailure):
        reason += " Check that the server runs, and MONGODB_URI."
    return reason

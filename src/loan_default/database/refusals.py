"""What a server cannot or may not do is said, and the rest is done."""

from collections.abc import Callable

from pymongo.errors import OperationFailure

UNKNOWN = frozenset({59, 115, 238, 303})
"""Codes: command not found, not supported, not implemented; option not supported."""
_UNAUTHORIZED = 13


def refusal(
    call: Callable[[], object], *, fine: int | None = None, unknown: frozenset[int] = UNKNOWN
) -> str | None:
    """Do it; why the server cannot or may not, None where it is done. The code `fine` is as good as done.

    Raises:
        OperationFailure: refused with another code.
    """
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

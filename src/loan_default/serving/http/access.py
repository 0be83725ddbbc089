"""Who may do what: keys of the form `id.secret`, known by the SHA-256 of the secret, with scopes and an end.

All keys are held in memory and read anew every few seconds: a rotation needs no restart, a revocation works
within that time, and while the document store is away known keys go on working. An unknown id costs what a
wrong secret does.
"""

import hmac
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

import structlog
from starlette.requests import Request

from loan_default.database.api_key_documents import ApiKey, KeyScope
from loan_default.errors import LoanDefaultError
from loan_default.serving.api_keys import digest_of
from loan_default.serving.http.problems import Problem

log = structlog.get_logger()

LOCAL = "local"
"""Who asks a server without keys."""
_NOBODY = digest_of("")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="loan-default"'}


class Access:
    """Checks the keys of requests.

    Args:
        load: all keys of the document store.
        open_locally: answer without keys once they were read and as long as there has never been one; for a
            server that only this machine can reach.
    """

    def __init__(self, load: Callable[[], Iterable[ApiKey]], *, open_locally: bool) -> None:
        self._load, self._open_locally = load, open_locally
        self._keys: Mapping[str, ApiKey] = {}
        self._is_open = False

    @property
    def is_open(self) -> bool:
        """Whether requests need no key; once there has been one, they always do."""
        return self._is_open

    @property
    def count(self) -> int:
        """Number of keys, with those that are valid no longer."""
        return len(self._keys)

    def load(self) -> None:
        """Read all keys; a server begins with it, so that keys which cannot be read do not pass for none.

        Raises:
            LoanDefaultError: the store is away, or a key cannot be read; the known ones stay.
        """
        self._keys = {key.id: key for key in self._load()}
        self._is_open = self._open_locally = self._open_locally and not self._keys

    def refresh(self) -> None:
        """Read all keys anew; while the store is away, or one of them cannot be read, the known ones stay."""
        try:
            self.load()
        except LoanDefaultError as error:
            log.warning("keys_not_refreshed", reason=str(error))

    def check(self, request: Request, *scopes: KeyScope) -> str:
        """The id of the caller, whose key must have one of these scopes.

        Raises:
            Problem: 401 without a valid key, 403 without the scope.
        """
        keys = self._keys
        if self._is_open:
            return LOCAL
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        identifier, _, secret = token.strip().partition(".")
        key = keys.get(identifier) if scheme.lower() == "bearer" else None
        digest = digest_of(secret)
        is_right = hmac.compare_digest(digest, key.secret_digest if key else _NOBODY)
        if key is None or not is_right or key.revoked:
            raise Problem(
                401,
                "key",
                "The header Authorization must be `Bearer <key>` with a valid key.",
                headers=_CHALLENGE,
            )
        if not key.is_valid_at(datetime.now(UTC)):
            raise Problem(401, "key-expired", "The key has expired. Ask for a new one.", headers=_CHALLENGE)
        if not {KeyScope.ADMIN, *scopes}.intersection(key.scopes):
            names = " or ".join(scopes)
            raise Problem(403, "scope", f"The key must have the scope {names}. Ask for one that has it.")
        return key.id

"""Making keys: the secret is shown once and stored nowhere.

    key, token = new_key("branch-7", scopes=[KeyScope.SCORE], now=now, days=365)    # token: <key>.<secret>

A slow hash protects secrets that people choose. These have 256 random bits, so SHA-256 is as safe, and does
not cost a request the 80 ms that a slow one takes.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from loan_default.database.api_key_documents import ApiKey, KeyScope
from loan_default.errors import ConfigurationError

DEFAULT_DAYS = 365
LONGEST_DAYS = 3650
REFRESH_SECONDS = 5
"""A key that was revoked works for so long at most, and one that was added from then on."""
_LONGEST_OWNER = 100
_ID_BYTES, _SECRET_BYTES = 6, 32
_ID_PATTERN = r"[0-9a-f]{12}"
_SHORTEST_SECRET = 32


def new_key(
    owner: str, *, scopes: Iterable[KeyScope], now: datetime, days: int = DEFAULT_DAYS
) -> tuple[ApiKey, str]:
    """Return a new key to store, and the token that its owner sends.

    Args:
        days: until it expires; 0 = never.

    Raises:
        ConfigurationError: there is no scope, or the owner or the days are out of range.
    """
    listed = tuple(sorted(set(scopes)))
    if not listed:
        raise ConfigurationError("a key must have a scope, however: none is given. Add --scope score.")
    if not 0 < len(owner.strip()) <= _LONGEST_OWNER or not owner.isprintable():
        raise ConfigurationError(
            f"the owner of a key must have 1 to {_LONGEST_OWNER} printable characters, however: {len(owner)}"
        )
    if not 0 <= days <= LONGEST_DAYS:
        raise ConfigurationError(
            f"--days must be from 1 to {LONGEST_DAYS}, or 0 for a key that never expires, however: {days}"
        )
    identifier, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    key = ApiKey(
        key=identifier,
        secret_digest=digest_of(secret),
        scopes=listed,
        owner=owner.strip(),
        created_at=now,
        expires_at=now + timedelta(days=days) if days else None,
    )
    return key, f"{identifier}.{secret}"


def key_of(token: str, owner: str, *, scopes: Iterable[KeyScope], now: datetime) -> ApiKey:
    """Return the key to store of a token that was made elsewhere; it never expires.

    Raises:
        ConfigurationError: the token is none, or its secret is too short to be safe.
    """
    identifier, _, secret = token.partition(".")
    if not re.fullmatch(_ID_PATTERN, identifier) or len(secret) < _SHORTEST_SECRET:
        raise ConfigurationError(
            "a key must be 12 hexadecimal digits, a dot and at least 32 more characters, however: it is not. "
            "Make one with `loan-default keys add`."
        )
    return ApiKey(
        key=identifier,
        secret_digest=digest_of(secret),
        scopes=tuple(sorted(set(scopes))),
        owner=owner,
        created_at=now,
        expires_at=None,
    )


def digest_of(secret: str) -> str:
    """Return the SHA-256 of a secret, in hexadecimal digits."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def public_part(token: str) -> str:
    """Return the id of a key, also of a whole token that was pasted in its place."""
    return token.partition(".")[0]

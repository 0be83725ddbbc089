"""Documents about who may ask for scores: a key, of whose secret only the digest is stored."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from loan_default.database.stored_document import Digest, StoredDocument, Text, Time


class KeyScope(StrEnum):
    """What a key may do."""

    SCORE = "score"
    """Ask for scores."""
    OUTCOME = "outcome"
    """Report what became of applications."""
    READ = "read"
    """Read models and predictions."""
    ADMIN = "admin"
    """All of it."""


class ApiKey(StoredDocument):
    """A key of the form `<key>.<secret>`. `api_keys`."""

    passing = frozenset({"created_at", "revoked_at"})
    id_field = "key"

    key: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
    """Public part of the key, and its id."""
    secret_digest: Digest
    """SHA-256 of the secret, which has 256 random bits: nothing can be learned from the digest."""
    scopes: Annotated[tuple[KeyScope, ...], Field(min_length=1)]
    owner: Text
    """Who uses the key; several live keys of one owner let a key be replaced without a gap."""
    created_at: Time
    expires_at: Time | None
    """None = never."""
    revoked_at: Time | None = None
    """None = it was not revoked."""

    @property
    def id(self) -> str:
        """The public part of the key."""
        return self.key

    @property
    def revoked(self) -> bool:
        """Whether the key was revoked."""
        return self.revoked_at is not None

    def is_valid_at(self, time: datetime) -> bool:
        """Return whether the key opens anything at a time."""
        return not self.revoked and (self.expires_at is None or time < self.expires_at)

"""The audit trail: who did what to which model, each record chained by digest to the one before.

A digest is over the record's content and the digest before it, so a record that is altered, removed or put
in between breaks the chain; the pointer to the last record shows what was removed from its end.
"""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from loan_default.database.stored_document import Count, Digest, Key, StoredDocument, Text, Time

AUDIT_HEAD_ID = "audit"
"""The `_id` of the pointer to the last record."""
BEFORE_THE_FIRST = "0" * 64
"""What the first record has in the place of the digest before it."""


class AuditAction(StrEnum):
    """What was done to a model."""

    REGISTERED = "registered"
    """The model was trained and stored."""
    DECIDED = "decided"
    """A verdict about the model was written; `details` names it."""
    APPROVED = "approved"
    """A person has approved the model."""
    OVERRIDDEN = "overridden"
    """A person has set a rule of the gate aside for the model, before it had an effect."""
    PROMOTED = "promoted"
    """The model became the champion."""
    ROLLED_BACK = "rolled_back"
    """The model became the champion because a person asked for it."""
    SUPERSEDED = "superseded"
    """A decision about the model had no effect: another model had become the champion."""
    CHALLENGED = "challenged"
    """A person let the model take part in an experiment on live applications, or with a larger share."""
    WITHDRAWN = "withdrawn"
    """The experiment of the model was stopped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEntry:
    """What is to be recorded, before it has a number and a digest."""

    event: str
    """What happened once, such as `registered/<version>`: the same event again is no second record."""
    action: AuditAction
    version: str
    """Version of the model."""
    who: str
    """The run or the person that did it."""
    reason: str | None = None
    subject: str | None = None
    """`<collection>/<id>` of the document that it is about; None = there is none."""
    subject_digest: str | None = None
    """Digest of that document's content, see `content_digest`."""
    details: dict[str, str] = field(default_factory=dict)


class AuditRecord(StoredDocument):
    """One link of the audit trail. `audit`."""

    number: Annotated[Count, Field(ge=1)]
    """The records are numbered from 1 without gaps."""
    event: Text
    action: AuditAction
    version: Key
    who: Text
    reason: Text | None = None
    subject: Text | None = None
    subject_digest: Digest | None = None
    details: dict[Key, Text] = Field(default_factory=dict)
    happened_at: Time
    previous: Digest
    """Digest of the record before."""
    digest: Digest
    """Digest of this record, see `digest_of_record`."""

    @property
    def id(self) -> str:
        """The number, with zeros in front, so that ids sort like the records."""
        return f"{self.number:010d}"


class AuditHead(StoredDocument):
    """The pointer to the last record of the audit trail, which never goes back. `fences`."""

    number: Annotated[Count, Field(ge=1)]
    digest: Digest

    @property
    def id(self) -> str:
        """The one id: there is one trail."""
        return AUDIT_HEAD_ID


def chained(entry: AuditEntry, *, number: int, previous: str, now: datetime) -> AuditRecord:
    """Make the record of an entry that follows the record with this digest."""
    open_record = AuditRecord(
        number=number,
        event=entry.event,
        action=entry.action,
        version=entry.version,
        who=entry.who,
        reason=entry.reason,
        subject=entry.subject,
        subject_digest=entry.subject_digest,
        details=entry.details,
        happened_at=now,
        previous=previous,
        digest=BEFORE_THE_FIRST,
    )
    return open_record.model_copy(update={"digest": digest_of_record(open_record)})


def digest_of_record(record: AuditRecord) -> str:
    """SHA-256 of all that a record holds but its own digest."""
    return _digest(record, without={"digest"})


def content_digest(document: StoredDocument) -> str:
    """SHA-256 of what is content of a document; a status or a time that may pass is none."""
    return _digest(document, without={*document.passing})


def _digest(document: StoredDocument, *, without: set[str]) -> str:
    # Defaults are left out, so that a field that a later release adds changes no digest of before.
    content = document.model_dump(mode="json", exclude={*without, "schema_version"}, exclude_defaults=True)
    filled = {name: value for name, value in content.items() if value not in (None, [], {})}
    text = json.dumps(filled, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()

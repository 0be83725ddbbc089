"""Verification of the audit trail: is each record there, unaltered, and true to the documents it names?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from loan_default.database.audit_documents import (
    BEFORE_THE_FIRST,
    AuditAction,
    AuditRecord,
    content_digest,
    digest_of_record,
)
from loan_default.database.audit_repository import AuditRepository
from loan_default.database.connect import Database, Document
from loan_default.database.control_documents import Action, Decision
from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.documents import ID_DIGITS, ModelMetadata
from loan_default.database.driver_errors import database_errors
from loan_default.database.experiment_documents import Experiment
from loan_default.database.gate_documents import Approval
from loan_default.database.gate_repositories import ApprovalRepository
from loan_default.database.repositories import ModelRepository, Repository
from loan_default.database.serving_repositories import ExperimentRepository
from loan_default.errors import DataError

Recorded = ModelMetadata | Decision | Approval | Experiment
"""What a record of the trail may be about."""
Documents = Mapping[str, Mapping[Any, Recorded]]
"""Collection -> id -> document."""
_RECORDED: tuple[tuple[type[Repository[Any]], type[Recorded]], ...] = (
    (ModelRepository, ModelMetadata),
    (DecisionRepository, Decision),
    (ApprovalRepository, Approval),
    (ExperimentRepository, Experiment),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrailCheck:
    """What a verification of the audit trail has found."""

    records: int
    digest: str | None
    """Digest of the last record; written down elsewhere, it proves later that nothing before it has changed.
    None = there is no record."""
    faults: tuple[str, ...]
    """A sentence for each record or document that is not as it was; empty = the trail is whole."""


def verify_trail(database: Database, *, expected: str | None = None) -> TrailCheck:
    """Verify the whole trail against itself, its pointer, and the models and decisions that are stored.

    Args:
        expected: digest of a record that was the last one once, kept outside of the database; None = any.

    Raises:
        DependencyError: the database is away.
    """
    with database_errors("read audit"):
        stored = list(database[AuditRepository.collection].find({}).sort([("_id", 1)]))
    records, faults = _readable(stored)
    faults += _breaks(records)
    faults += _end(database, records)
    if expected is not None and all(each.digest != expected for each in records):
        faults.append(f"no record has the digest {expected[:ID_DIGITS]}… that was expected.")
    documents = {kind.collection: _contents(database, kind.collection, of) for kind, of in _RECORDED}
    faults += _altered_documents(documents, records)
    faults += _unrecorded(documents, records)
    return TrailCheck(
        records=len(stored), digest=records[-1].digest if records else None, faults=tuple(faults)
    )


def _readable(stored: Sequence[Document]) -> tuple[list[AuditRecord], list[str]]:
    records, faults = [], []
    for document in stored:
        try:
            record = AuditRecord.from_store(document)
        except DataError as error:
            faults.append(f"record {document.get('number', '?')} cannot be read: {error}")
            continue
        if document.get("_id") != record.id:
            faults.append(f"record {record.number} lies under another id: {document.get('_id')!r}.")
        records.append(record)
    return records, faults


def _breaks(records: Sequence[AuditRecord]) -> list[str]:
    """What is wrong within the chain."""
    faults, number, previous = [], 0, BEFORE_THE_FIRST
    for record in records:
        if record.number > number + 1:
            missing = f"record {number + 1}" if record.number == number + 2 else f"records {number + 1} to"
            tail = "" if record.number == number + 2 else f" {record.number - 1}"
            faults.append(f"{missing}{tail} {'is' if not tail else 'are'} missing.")
        elif record.number <= number:
            faults.append(f"record {record.number} is there twice.")
        elif record.previous != previous:
            faults.append(f"record {record.number} does not follow what stands before it.")
        if digest_of_record(record) != record.digest:
            faults.append(f"record {record.number} was altered: its digest is not that of its content.")
        number, previous = record.number, record.digest
    return faults


def _end(database: Database, records: Sequence[AuditRecord]) -> Iterator[str]:
    """What is wrong at the end: records behind the pointer are those of a process that died in between."""
    head, last = AuditRepository(database).head(), records[-1].number if records else 0
    if head is None:
        if records:
            yield "the pointer to the last record is missing: nothing shows whether records followed."
    elif head.number > last:
        yield f"the trail ends with record {last}, and record {head.number} has been its last one."
    elif all(each.digest != head.digest for each in records if each.number == head.number):
        yield f"record {head.number} is not the one that the pointer to the last record names."


def _altered_documents(documents: Documents, records: Sequence[AuditRecord]) -> Iterator[str]:
    """Models, decisions, approvals and experiments whose content is not what was recorded."""
    without_effect = {each.subject for each in records if each.action is AuditAction.SUPERSEDED}
    for record in records:
        collection, _, identifier = (record.subject or "").partition("/")
        known = documents.get(collection)
        if known is None:
            continue
        document = known.get(identifier)
        if document is None:
            yield f"{record.subject} is missing, or cannot be read: record {record.number} names it."
            continue
        if content_digest(document) != record.subject_digest:
            yield f"{record.subject} was altered after record {record.number}."
        if record.action is AuditAction.DECIDED and isinstance(document, Decision):
            allowed = {record.details.get("action")}
            if record.subject in without_effect:
                allowed.add(str(Action.SUPERSEDED))
            if str(document.action) not in allowed:
                yield f"the action of {record.subject} was altered after record {record.number}."


def _unrecorded(documents: Documents, records: Sequence[AuditRecord]) -> Iterator[str]:
    """Models, decisions and experiments of the time of the trail that it does not name."""
    if not records:
        return
    since, named = records[0].happened_at, {each.subject for each in records}
    times: list[tuple[str, datetime]] = [
        (f"{DecisionRepository.collection}/{each.id}", each.decided_at)
        for each in documents[DecisionRepository.collection].values()
        if isinstance(each, Decision)
    ]
    times += [
        (f"{ModelRepository.collection}/{each.id}", each.created_at)
        for each in documents[ModelRepository.collection].values()
        if isinstance(each, ModelMetadata)
    ]
    times += [
        (f"{ExperimentRepository.collection}/{each.id}", each.started_at)
        for each in documents[ExperimentRepository.collection].values()
        if isinstance(each, Experiment) and each.ran and each.schema_version not in _WITHOUT_A_RECORD
    ]
    for subject, time in times:
        if time >= since and subject not in named:
            yield (
                f"{subject} has no record. Its record was removed, or the process that wrote it died before "
                "it was recorded: repeat that run."
            )


_WITHOUT_A_RECORD = ("1.0", "1.1", "1.2")
"""Versions of experiments of releases that did not record them."""


def _contents(database: Database, collection: str, kind: type[Recorded]) -> Mapping[Any, Recorded]:
    """The documents of a collection by id, without those that cannot be read."""
    found: dict[Any, Recorded] = {}
    with database_errors(f"read {collection}"):
        for document in database[collection].find({}):
            try:
                found[document["_id"]] = kind.from_store(document)
            except DataError:
                continue  # a record that names it reports it as missing
    return found

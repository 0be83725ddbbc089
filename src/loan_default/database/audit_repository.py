"""Writing and reading of the audit trail: records are added at its end, and none is changed or removed."""

from datetime import UTC, datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from loan_default.database.audit_documents import (
    AUDIT_HEAD_ID,
    BEFORE_THE_FIRST,
    AuditAction,
    AuditEntry,
    AuditHead,
    AuditRecord,
    chained,
    content_digest,
)
from loan_default.database.connect import LONG_CALL_SECONDS, Database
from loan_default.database.control_documents import Action, Decision
from loan_default.database.documents import ModelMetadata
from loan_default.database.driver_errors import database_errors
from loan_default.database.evidence_documents import ModelEvidence
from loan_default.database.experiment_documents import Experiment
from loan_default.database.gate_documents import Approval
from loan_default.database.gate_repositories import ApprovalRepository
from loan_default.database.repositories import FENCES, Repository
from loan_default.database.serving_repositories import ExperimentRepository


class AuditRepository(Repository[AuditRecord]):
    """The audit trail. Processes may append at the same time: the trail stays one line."""

    collection = "audit"
    time_field = "happened_at"
    kind = AuditRecord

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._heads = database[FENCES]  # it never goes back, as a fencing token

    def ensure_indexes(self) -> None:
        """Make the indexes; once they are there, no change."""
        super().ensure_indexes()
        with database_errors(f"index {self.collection}", seconds=LONG_CALL_SECONDS):
            self._documents.create_index("event", unique=True, name="by_event")
            self._documents.create_index("version", name="by_version")
            self._documents.create_index([("number", -1)], name="by_number")

    def append(self, entry: AuditEntry) -> AuditRecord:
        """Record an entry at the end of the trail; an event that is recorded already stays as it is."""
        while True:  # until the number is ours: another process may take it in between
            known = self._of_event(entry.event)
            record = known or self._next(entry)
            if known is None:
                with database_errors(f"write {self.collection}"):
                    try:
                        self._documents.insert_one(record.to_store())
                    except DuplicateKeyError:
                        continue
            self._move_head(record)
            return record

    def in_order(self, *, version: str | None = None) -> list[AuditRecord]:
        """Return the records from the first on; of one model, or None = of all."""
        condition: dict[str, Any] = {} if version is None else {"version": version}
        with database_errors(f"read {self.collection}"):
            return [self.kind.from_store(each) for each in self._documents.find(condition).sort([("_id", 1)])]

    def head(self) -> AuditHead | None:
        """Return the pointer to the last record; None = there is none."""
        with database_errors(f"read {FENCES}"):
            stored = self._heads.find_one({"_id": AUDIT_HEAD_ID})
        return None if stored is None else AuditHead.from_store(stored)

    def _of_event(self, event: str) -> AuditRecord | None:
        with database_errors(f"read {self.collection}"):
            stored = self._documents.find_one({"event": event})
        return None if stored is None else self.kind.from_store(stored)

    def _next(self, entry: AuditEntry) -> AuditRecord:
        """The record of an entry behind the last one, and behind all that the pointer has ever named.

        Where records were removed from the end, their numbers stay empty: a new record does not hide that.
        """
        with database_errors(f"read {self.collection}"):
            last = list(self._documents.find({}, {"number": 1, "digest": 1}).sort([("_id", -1)]).limit(1))
        ends = [(0, BEFORE_THE_FIRST), *((each["number"], each["digest"]) for each in last)]
        if (head := self.head()) is not None:
            ends.append((head.number, head.digest))
        number, previous = max(ends, key=lambda end: end[0])
        return chained(entry, number=number + 1, previous=previous, now=datetime.now(UTC))

    def _move_head(self, record: AuditRecord) -> None:
        """Point to a record, unless the pointer is at it or further on."""
        head = AuditHead(number=record.number, digest=record.digest)
        with database_errors(f"write {FENCES}"):
            try:
                self._heads.insert_one(head.to_store())
            except DuplicateKeyError:
                before = {"_id": AUDIT_HEAD_ID, "number": {"$lt": record.number}}
                change = {"$set": {"number": record.number, "digest": record.digest}}
                self._heads.update_one(before, change)


def record_registration(
    database: Database, model: ModelMetadata, *, who: str, evidence: ModelEvidence | None = None
) -> AuditRecord:
    """Record that a model was registered, with the digest of its evidence, if it has any."""
    entry = AuditEntry(
        event=f"registered/{model.version}",
        action=AuditAction.REGISTERED,
        version=model.version,
        who=who,
        subject=f"model_metadata/{model.id}",
        subject_digest=content_digest(model),
        details={
            "sha256": model.sha256,
            "snapshot": model.snapshot,
            **({} if evidence is None else {"evidence": content_digest(evidence)}),
        },
    )
    return AuditRepository(database).append(entry)


def record_decision(database: Database, decision: Decision, *, who: str) -> AuditRecord:
    """Record a decision, with the verdict that it had when it was written."""
    entry = AuditEntry(
        event=f"decided/{decision.id}",
        action=AuditAction.DECIDED,
        version=decision.version,
        who=who,
        reason="; ".join(decision.broken) or None,
        subject=f"decisions/{decision.id}",
        subject_digest=content_digest(decision),
        details={"action": str(decision.action), "champion": decision.champion or "none"},
    )
    return AuditRepository(database).append(entry)


def record_approval(database: Database, approval: Approval) -> AuditRecord:
    """Record that a person has approved a model, or set rules of the gate aside for it, before it acts."""
    entry = AuditEntry(
        event=f"approved/{approval.id}",
        action=AuditAction.OVERRIDDEN if approval.overrides else AuditAction.APPROVED,
        version=approval.version,
        who=approval.approver,
        reason=approval.reason,
        subject=f"{ApprovalRepository.collection}/{approval.id}",
        subject_digest=content_digest(approval),
        details={
            "champion": approval.champion or "none",
            "overrides": ", ".join(approval.overrides) or "none",
            "expires_at": approval.expires_at.isoformat(),
        },
    )
    return AuditRepository(database).append(entry)


def record_challenge(database: Database, experiment: Experiment, *, who: str) -> AuditRecord:
    """Record that a model takes part in an experiment, once for each share that it is given."""
    share = f"{experiment.share:g}"
    event = f"challenged/{experiment.id}/{share}"
    details = {"champion": experiment.champion, "mode": str(experiment.mode), "share": share}
    return _record_experiment(
        database, experiment, AuditAction.CHALLENGED, who=who, event=event, details=details
    )


def record_withdrawal(database: Database, experiment: Experiment, *, who: str) -> AuditRecord:
    """Record that the experiment of a model was stopped."""
    event = f"withdrawn/{experiment.id}"
    details = {"champion": experiment.champion}
    return _record_experiment(
        database, experiment, AuditAction.WITHDRAWN, who=who, event=event, details=details
    )


def _record_experiment(
    database: Database,
    experiment: Experiment,
    action: AuditAction,
    *,
    who: str,
    event: str,
    details: dict[str, str],
) -> AuditRecord:
    entry = AuditEntry(
        event=event,
        action=action,
        version=experiment.challenger,
        who=who,
        reason=experiment.reason if action is AuditAction.CHALLENGED else None,
        subject=f"{ExperimentRepository.collection}/{experiment.id}",
        subject_digest=content_digest(experiment),
        details=details,
    )
    return AuditRepository(database).append(entry)


def record_move(database: Database, decision: Decision, *, who: str) -> AuditRecord:
    """Record that the decision's model became the champion."""
    action = AuditAction.ROLLED_BACK if decision.action is Action.ROLLED_BACK else AuditAction.PROMOTED
    return _record_effect(database, decision, action, who=who)


def record_superseded(database: Database, decision: Decision, *, who: str) -> AuditRecord:
    """Record that a decision has no effect, before it is marked as superseded."""
    return _record_effect(database, decision, AuditAction.SUPERSEDED, who=who)


def _record_effect(database: Database, decision: Decision, action: AuditAction, *, who: str) -> AuditRecord:
    entry = AuditEntry(
        event=f"{action}/{decision.id}",
        action=action,
        version=decision.version,
        who=who,
        subject=f"decisions/{decision.id}",
        subject_digest=content_digest(decision),
        details={"former_champion": decision.champion or "none"},
    )
    return AuditRepository(database).append(entry)

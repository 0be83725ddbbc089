"""What is altered or removed in the trail, or in a document that it names, is found."""

import pytest

from loan_default.database.audit_documents import AuditAction, AuditEntry, AuditRecord, chained
from loan_default.database.audit_repository import (
    AuditRepository,
    record_decision,
    record_move,
    record_registration,
    record_superseded,
)
from loan_default.database.audit_verification import verify_trail
from loan_default.database.control_documents import Action, Decision
from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.documents import ModelStatus
from loan_default.database.repositories import ModelRepository

from .conftest import NOON


def decision_of(model, *, run="run-1", action=Action.PROMOTED):
    return Decision(
        version=model.version,
        action=action,
        reasons=("passed: AUC is 0.8.",),
        champion=None,
        seen_rev=0,
        snapshot="data-1",
        run=run,
        decided_at=NOON,
    )


@pytest.fixture
def trail(database, model):
    """A model that was registered, decided about and promoted, and one decision that was superseded."""
    AuditRepository(database).ensure_indexes()
    ModelRepository(database).add(model)
    record_registration(database, model, who="run-1")
    promoted, late = decision_of(model), decision_of(model, run="run-2")
    for decision in (promoted, late):
        DecisionRepository(database).keep(decision)
        record_decision(database, decision, who=decision.run)
    record_move(database, promoted, who="run-1")
    record_superseded(database, late, who="run-2")
    DecisionRepository(database).supersede(late)
    return AuditRepository(database)


def faults(database, **options):
    return verify_trail(database, **options).faults


def test_a_whole_trail_has_no_fault(trail, database):
    check = verify_trail(database)
    assert (check.records, check.faults) == (5, ())
    assert check.digest == trail.head().digest


def test_an_empty_database_has_no_fault_and_no_digest(database):
    check = verify_trail(database)
    assert (check.records, check.digest, check.faults) == (0, None, ())


@pytest.mark.parametrize("number", range(1, 6))
def test_each_removed_record_is_found(trail, database, number):
    database["audit"].delete_many({"_id": f"{number:010d}"})
    assert faults(database)


@pytest.mark.parametrize("number", range(1, 6))
@pytest.mark.parametrize(
    ("field", "value"),
    [("who", "nobody"), ("version", "v9"), ("action", "overridden"), ("details", {}), ("event", "another")],
)
def test_each_altered_field_is_found(trail, database, number, field, value):
    database["audit"].update_one({"_id": f"{number:010d}"}, {"$set": {field: value}})
    assert any(f"record {number} was altered" in fault for fault in faults(database))


def test_a_record_that_was_made_anew_with_a_fitting_digest_is_found_by_the_next_one(trail, database):
    old = trail.in_order()[1]
    entry = AuditEntry(event=old.event, action=AuditAction.DECIDED, version=old.version, who="nobody")
    new = chained(entry, number=2, previous=old.previous, now=NOON)
    database["audit"].delete_many({"_id": old.id})
    database["audit"].insert_one(new.to_store())
    assert "record 3 does not follow what stands before it." in faults(database)


def remake(trail, database, *, without):
    """Write the whole trail anew, each digest right, without one record."""
    kept = [each for each in trail.in_order() if each.number != without]
    database["audit"].delete_many({})
    previous = "0" * 64
    for number, old in enumerate(kept, start=1):
        entry = AuditEntry(
            **{
                name: getattr(old, name)
                for name in ("event", "action", "version", "who", "reason", "subject", "subject_digest")
            },
            details=dict(old.details),
        )
        record = chained(entry, number=number, previous=previous, now=old.happened_at)
        database["audit"].insert_one(record.to_store())
        previous = record.digest
    database["fences"].update_one({"_id": "audit"}, {"$set": {"number": len(kept), "digest": previous}})


def test_a_trail_that_was_made_anew_is_found_by_the_digest_that_was_kept_elsewhere(trail, database):
    kept = verify_trail(database).digest
    remake(trail, database, without=4)
    assert faults(database) == ()
    assert [fault for fault in faults(database, expected=kept) if "was expected" in fault]


def test_a_digest_that_was_kept_stays_in_the_trail_as_it_grows(trail, database):
    kept = verify_trail(database).digest
    trail.append(AuditEntry(event="more", action=AuditAction.OVERRIDDEN, version="v1", who="A. Person"))
    assert faults(database, expected=kept) == ()


def test_a_removed_end_is_found_also_after_the_trail_has_grown_again(trail, database):
    database["audit"].delete_many({"_id": f"{5:010d}"})
    assert "the trail ends with record 4, and record 5 has been its last one." in faults(database)
    trail.append(AuditEntry(event="more", action=AuditAction.OVERRIDDEN, version="v1", who="A. Person"))
    assert "record 5 is missing." in faults(database)


def test_a_removed_pointer_is_found(trail, database):
    database["fences"].delete_many({"_id": "audit"})
    assert any("the pointer to the last record is missing" in fault for fault in faults(database))


def test_several_removed_records_are_one_fault(trail, database):
    for number in (2, 3):
        database["audit"].delete_many({"_id": f"{number:010d}"})
    assert "records 2 to 3 are missing." in faults(database)


def test_what_is_no_record_is_a_fault(trail, database):
    database["audit"].update_one({"_id": f"{3:010d}"}, {"$set": {"digest": "short"}})
    assert any("record 3 cannot be read" in fault for fault in faults(database))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"reasons": ["passed: AUC is 0.99."]}, "was altered after record 2"),
        ({"action": "rejected"}, "the action of"),
        ({"champion": "v7"}, "was altered after record 2"),
    ],
)
def test_an_altered_decision_is_found(trail, database, model, change, expected):
    database["decisions"].update_one({"_id": decision_of(model).id}, {"$set": change})
    assert any(expected in fault for fault in faults(database))


def test_a_removed_or_altered_model_is_found_and_its_status_may_change(trail, database, model):
    ModelRepository(database).set_status(model.version, ModelStatus.CHAMPION)
    assert faults(database) == ()
    database["model_metadata"].update_one({"_id": model.id}, {"$set": {"sha256": "00" * 32}})
    assert any("was altered after record 1" in fault for fault in faults(database))
    database["model_metadata"].delete_many({"_id": model.id})
    assert any("is missing, or cannot be read: record 1" in fault for fault in faults(database))


def test_a_decision_without_a_record_is_found(trail, database, model):
    later = decision_of(model, run="run-9").model_copy(
        update={"decided_at": AuditRecord.model_validate(trail.in_order()[0]).happened_at}
    )
    DecisionRepository(database).keep(later)
    assert any(f"decisions/{later.id} has no record" in fault for fault in faults(database))


def test_what_was_decided_before_there_was_a_trail_needs_no_record(trail, database, model):
    DecisionRepository(database).keep(decision_of(model, run="run-of-release-0.2"))
    assert faults(database) == ()

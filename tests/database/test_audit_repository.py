"""The audit trail over every database: one line, whatever is repeated and whoever writes at the same time."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from loan_default.database.audit_documents import (
    BEFORE_THE_FIRST,
    AuditAction,
    AuditEntry,
    AuditRecord,
    content_digest,
    digest_of_record,
)
from loan_default.database.audit_repository import (
    AuditRepository,
    record_decision,
    record_move,
    record_registration,
    record_superseded,
)
from loan_default.database.control_documents import Action, Decision
from loan_default.database.documents import ModelStatus
from loan_default.database.embedded import EmbeddedDatabase

from .conftest import NOON


def entry_of(number, **values):
    fields = {"action": AuditAction.OVERRIDDEN, "version": "v1", "who": "A. Person", "reason": "a reason"}
    return AuditEntry(event=f"event-{number}", **(fields | values))


def decision_of(**values):
    fields = {
        "version": "v2",
        "action": Action.PROMOTED,
        "reasons": ("passed: AUC is 0.8.",),
        "champion": "v1",
        "seen_rev": 1,
        "snapshot": "data-1",
        "run": "run-1",
        "decided_at": NOON,
    }
    return Decision(**(fields | values))


@pytest.fixture
def trail(database):
    trail = AuditRepository(database)
    for _ in range(2):
        trail.ensure_indexes()
    return trail


def test_each_record_is_chained_to_the_one_before(trail):
    added = [trail.append(entry_of(number, details={"rule": "5"})) for number in range(3)]
    assert trail.in_order() == added
    assert [each.number for each in added] == [1, 2, 3]
    assert [each.previous for each in added] == [BEFORE_THE_FIRST, added[0].digest, added[1].digest]
    assert trail.head().digest == added[2].digest


def test_the_digest_is_that_of_the_content_as_json(trail):
    record = trail.append(entry_of(1))
    content = record.model_dump(mode="json")
    for absent in ("digest", "schema_version", "subject", "subject_digest", "details"):  # they are empty
        content.pop(absent, None)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert record.digest == hashlib.sha256(text.encode()).hexdigest() == digest_of_record(record)


def test_an_event_is_recorded_once_and_keeps_its_first_content(trail):
    first = trail.append(entry_of(1))
    assert trail.append(entry_of(1, who="another")) == first
    assert trail.in_order() == [first]


def test_records_of_one_model_can_be_asked_for(trail):
    trail.append(entry_of(1))
    second = trail.append(entry_of(2, version="v2"))
    assert trail.in_order(version="v2") == [second]


def test_a_process_that_died_before_it_moved_the_pointer_loses_nothing(trail, database):
    first = trail.append(entry_of(1))
    database["fences"].delete_many({"_id": "audit"})
    trail.append(entry_of(1))
    assert trail.head().digest == first.digest
    second = trail.append(entry_of(2))
    database["fences"].update_one({"_id": "audit"}, {"$set": {"number": 1, "digest": first.digest}})
    third = trail.append(entry_of(3))
    assert third.previous == second.digest
    assert trail.head().number == 3


def test_the_pointer_never_goes_back(trail):
    trail.append(entry_of(1))
    second = trail.append(entry_of(2))
    trail.append(entry_of(1))
    assert trail.head().digest == second.digest


def test_a_number_that_was_removed_from_the_end_is_never_used_again(trail, database):
    trail.append(entry_of(1))
    removed = trail.append(entry_of(2))
    database["audit"].delete_many({"_id": removed.id})
    third = trail.append(entry_of(3))
    assert (third.number, third.previous) == (3, removed.digest)


@pytest.mark.slow
def test_writers_at_the_same_time_make_one_line(tmp_path):
    def write(writer):
        database = EmbeddedDatabase(tmp_path / "documents.sqlite3")
        trail = AuditRepository(database)
        for number in range(10):
            trail.append(entry_of(number if number % 2 else f"{writer}-{number}"))
        database.close()

    first = EmbeddedDatabase(tmp_path / "documents.sqlite3")
    AuditRepository(first).ensure_indexes()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    records = AuditRepository(first).in_order()
    assert [each.number for each in records] == list(range(1, 4 * 5 + 5 + 1))
    assert [each.previous for each in records[1:]] == [each.digest for each in records[:-1]]
    assert AuditRepository(first).head().digest == records[-1].digest
    first.close()


def test_a_record_survives_the_store_as_it_is(trail, database):
    record = trail.append(entry_of(1, details={"champion": "v1"}))
    stored = database["audit"].find_one({"_id": "0000000001"})
    assert AuditRecord.from_store(stored) == record


def test_a_status_is_no_content_of_a_model(model):
    assert content_digest(model) == content_digest(model.model_copy(update={"status": ModelStatus.CHAMPION}))
    assert content_digest(model) != content_digest(model.model_copy(update={"seed": 1}))


def test_what_is_done_to_a_model_is_recorded_with_who_did_it(trail, database, model):
    decision = decision_of(broken=("failed: KS is 0.1.",), reasons=("failed: KS is 0.1.",))
    record_registration(database, model, who="run 1")
    record_decision(database, decision, who="run 1")
    record_move(database, decision, who="run 1")
    record_move(database, decision_of(action=Action.ROLLED_BACK, run="run-2"), who="run 2")
    record_superseded(database, decision_of(run="run-3"), who="run 3")
    registered, decided, *effects = trail.in_order()
    assert (registered.version, registered.details["sha256"]) == (model.version, model.sha256)
    assert registered.subject_digest == content_digest(model)
    assert (decided.reason, decided.details["action"]) == ("failed: KS is 0.1.", "promoted")
    assert decided.subject == f"decisions/{decision.id}"
    assert [each.action for each in effects] == ["promoted", "rolled_back", "superseded"]
    assert [each.who for each in effects] == ["run 1", "run 2", "run 3"]
    assert effects[0].details == {"former_champion": "v1"}

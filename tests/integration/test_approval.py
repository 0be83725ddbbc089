"""A person is asked by a genuine scheduler, and answers over Airflow's API, or does not."""

import time
from collections.abc import Iterator

import pytest
from integration.stack import Stack, running_stack
from servers.airflow import ADMIN, VIEWER

from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.database.audit_repository import AuditRepository
from loan_default.database.control_documents import Action
from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.documents import ModelStatus
from loan_default.database.gate_repositories import ApprovalRepository
from loan_default.database.repositories import ModelRepository

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]

EVALUATION = "model_evaluation"
HOURS = 0.04
QUICKLY = ("--schema", str(BUNDLED_SCHEMA), "--preset", "fast", "--epochs", "1", "--members", "1")
LENIENT = {
    "MINIMUM_ROWS": "100",
    "MINIMUM_AUC": "0",
    "MINIMUM_KS": "0",
    "MINIMUM_BADS": "1",
    "MAXIMUM_BRIER": "1",
    "MAXIMUM_CALIBRATION_ERROR": "1",
    "MAXIMUM_CALIBRATION_SHIFT": "10",
    "MINIMUM_CALIBRATION_SLOPE": "0",
    "MAXIMUM_CALIBRATION_SLOPE": "10",
    "MAXIMUM_SCORE_PSI": "10",
}
"""A gate that any model passes; nothing here is about its metrics."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All servers, and a model that waits for its evaluation."""
    environ = {
        "LOAN_DEFAULT_SOURCE": "generated",
        "LOAN_DEFAULT_SOURCE_ROWS": "1500",
        "LOAN_DEFAULT_APPROVAL": "required",
        "LOAN_DEFAULT_APPROVAL_HOURS": str(HOURS),
        **{f"LOAN_DEFAULT_{name}": value for name, value in LENIENT.items()},
    }
    settings = {"AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "5"}
    home = tmp_path_factory.mktemp("home")
    with running_stack(home, environ=environ, settings=settings) as stack:
        assert stack.world.run("ingest", "--generate", "1500") == 0
        assert stack.world.run("train", "--train", "--data", "store:", *QUICKLY) == 0
        yield stack


def test_a_model_becomes_the_champion_by_the_answer_of_a_person_alone(stack):
    airflow, database = stack.airflow, stack.database
    models, decisions = ModelRepository(database), DecisionRepository(database)
    (model,) = models.newest_first()

    # Nobody answers. Another run is not held up, and asks nobody about the same model.
    airflow.unpause(EVALUATION)
    unanswered = stack.run_of_type(EVALUATION, "scheduled")
    asked_at = time.monotonic()
    question = stack.question(unanswered)
    assert question["subject"] == f"May model {model.version} become the champion (now: none)?"
    assert f"Model **{model.version}** passes every other rule of the gate." in question["body"]
    assert "| 4 | auc | passed |" in question["body"]
    assert (question["options"], question["defaults"]) == (["Approve", "Reject"], ["Reject"])
    assert models.champion() is None
    meanwhile = airflow.trigger(EVALUATION, "meanwhile")
    assert stack.finish(EVALUATION, meanwhile)["load_model"] == "skipped"
    assert airflow.tasks(EVALUATION, unanswered)["ask_for_approval"]["state"] == "awaiting_input"
    assert set(stack.finish(EVALUATION, unanswered).values()) == {"success"}
    assert time.monotonic() - asked_at > HOURS * 3600
    (decision,) = decisions.newest_first()
    assert decision.action is Action.REJECTED
    assert decision.broken[0].startswith(f"failed: nobody answered within {HOURS} hours ")
    assert models.get(model.version).status is ModelStatus.REJECTED

    # A person refuses; who may only look cannot answer.
    refused = airflow.trigger(EVALUATION, "refused", version=model.version)
    stack.question(refused)
    assert stack.answer(refused, "Approve", user=VIEWER).status_code == 403
    assert stack.answer(refused, "Reject", reason="not in December").status_code == 200
    stack.finish(EVALUATION, refused)
    decision = decisions.newest_first()[0]
    assert (decision.run, decision.action, models.champion()) == (refused, Action.REJECTED, None)
    assert decision.broken[0].startswith(f"failed: {ADMIN} rejected it on ")
    assert "UTC: not in December." in decision.broken[0]
    assert ApprovalRepository(database).count() == 0

    # A person approves.
    approved = airflow.trigger(EVALUATION, "approved", version=model.version)
    stack.question(approved)
    assert stack.answer(approved, "Approve", reason="the book has grown").status_code == 200
    assert stack.answer(approved, "Reject").status_code == 409, "one answer counts"
    stack.finish(EVALUATION, approved)
    assert models.champion().version == model.version
    decision = decisions.newest_first()[0]
    (approval,) = ApprovalRepository(database).newest_first()
    assert (decision.action, decision.approval) == (Action.PROMOTED, approval.id)
    assert (approval.approver, approval.reason) == (ADMIN, "the book has grown")
    trail = [each for each in AuditRepository(database).in_order() if each.version == model.version]
    assert [str(each.action) for each in trail][-3:] == ["approved", "decided", "promoted"]
    assert (trail[-3].who, trail[-3].reason) == (ADMIN, "the book has grown")
    assert stack.world.run("audit", "verify") == 0

    # A rollback asks nobody.
    undone = airflow.trigger(EVALUATION, "undone", version=model.version, rollback=True)
    assert stack.finish(EVALUATION, undone)["ask_for_approval"] == "skipped"

"""The step that asks a person, in runs of the DAG: who is asked, and what follows from each answer and none.

The answers are given by Airflow's own functions: that of its API, and that of its scheduler for a time that
is over.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from threading import current_thread, main_thread
from types import SimpleNamespace
from typing import Any

import pytest
from pipelines.promotion_setup import PromotionSetup

from loan_default.database.audit_repository import AuditRepository
from loan_default.database.audit_verification import verify_trail
from loan_default.database.control_documents import Action, Decision
from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.documents import ModelStatus
from loan_default.database.gate_documents import Approval
from loan_default.database.gate_repositories import ApprovalRepository
from loan_default.thresholds import RuleOutcome

pytestmark = pytest.mark.slow

STEP = "ask_for_approval"
OFFICER = SimpleNamespace(get_id=lambda: 7, get_name=lambda: "Rita Officer")
"""A user as Airflow's API has it: FAB's ids are numbers."""


@dataclass
class Evaluation:
    """Runs of the evaluation, and the person who is asked."""

    dag: Any
    setup: PromotionSetup
    answer: Callable[[str], None] = lambda run: pytest.fail(f"{run} waits for a person")
    asked: list[Any] = field(default_factory=list)
    """The questions that were asked, as Airflow shows them."""

    def run(self, **conf: Any) -> dict[str, str]:
        """State of each task of a new run, which must succeed."""
        run = self.dag.test(run_conf=conf)
        assert run.state == "success", run
        return {task.task_id: str(task.state) for task in run.get_task_instances()}

    @property
    def decision(self) -> Decision:
        """The only decision."""
        (decision,) = DecisionRepository(self.setup.services.database).newest_first()
        return decision

    @property
    def approvals(self) -> list[Approval]:
        return ApprovalRepository(self.setup.services.database).newest_first()


@pytest.fixture
def evaluation(setup, lenient_gate, dags, monkeypatch) -> Evaluation:
    monkeypatch.setenv("LOAN_DEFAULT_APPROVAL", "required")
    dag = dags["model_evaluation"]
    for task in dag.tasks:
        task.retries = 0
    evaluation = Evaluation(dag, setup)

    def sleep(seconds: float) -> None:
        """A run that waits for a person sleeps for a second; here the person comes instead."""
        if seconds != 1 or current_thread() is not main_thread():
            return really_sleep(seconds)
        from airflow.models.hitl import HITLDetail
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session

        with create_session() as session:
            waiting = session.query(TaskInstance).filter_by(task_id=STEP, state="awaiting_input")
            task = waiting.order_by(TaskInstance.start_date.desc()).first()
            if task is None:
                return really_sleep(seconds)
            evaluation.asked.append(session.get(HITLDetail, task.id))
            session.expunge_all()
        return evaluation.answer(task.run_id)

    really_sleep = time.sleep
    monkeypatch.setattr(time, "sleep", sleep)
    return evaluation


def by_the_api(option: str, **form: object) -> Callable[[str], None]:
    """A signed-in user answers."""

    def answer(run: str) -> None:
        from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
        from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail
        from airflow.utils.session import create_session

        payload = UpdateHITLDetailPayload(chosen_options=[option], params_input=form)
        with create_session() as session:
            update_hitl_detail("model_evaluation", run, STEP, payload, OFFICER, session, -1)

    return answer


def by_the_scheduler(run: str) -> None:
    """The time is over."""
    import structlog
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        task = session.query(TaskInstance).filter_by(task_id=STEP, run_id=run).one()
        assert timedelta(hours=35.9) < task.trigger_timeout - task.start_date < timedelta(hours=36.1)
        task.trigger_timeout -= timedelta(hours=37)
    scheduler = SimpleNamespace(log=structlog.get_logger())
    with create_session() as session:
        SchedulerJobRunner.check_awaiting_input_timeouts(scheduler, session=session)


def test_where_no_approval_is_required_nobody_is_asked_and_the_model_is_promoted(evaluation, monkeypatch):
    monkeypatch.setenv("LOAN_DEFAULT_APPROVAL", "none")
    states = evaluation.run()
    assert states.pop(STEP) == "skipped"
    assert set(states.values()) == {"success"}
    assert evaluation.decision.action is Action.PROMOTED
    assert evaluation.decision.approval is None


def test_a_person_sees_the_rules_and_approves_by_name(evaluation):
    database = evaluation.setup.services.database
    faults_before = verify_trail(database).faults  # decisions of other tests, which are not there any more
    evaluation.answer = by_the_api("Approve", reason=" better in every segment ")
    states = evaluation.run()
    assert set(states.values()) == {"success"}
    version = evaluation.setup.model.version

    (question,) = evaluation.asked
    assert question.subject == f"May model {version} become the champion (now: none)?"
    assert question.defaults == ["Reject"]
    rules = {rule.name: rule for rule in evaluation.decision.rules}
    for name in ("auc", "ece", "score_psi"):
        rule = rules[name]
        cells = (str(rule.number), name.replace("_", " "), "passed", f"{rule.value:.4f}")
        assert f"| {' | '.join(cells)} | {rule.threshold:.4f} |" in question.body
        assert rule.sentence in question.body

    (approval,) = evaluation.approvals
    decision = evaluation.decision
    assert (approval.approver, approval.reason) == (
        "Rita Officer (Airflow user 7)",
        "better in every segment",
    )
    assert (decision.action, decision.approval) == (Action.PROMOTED, approval.id)
    assert rules["approval"].outcome is RuleOutcome.PASSED
    assert evaluation.setup.models.champion().version == version

    trail = [each for each in AuditRepository(database).in_order() if each.version == version]
    assert [str(each.action) for each in trail][-3:] == ["approved", "decided", "promoted"]
    assert (trail[-3].who, trail[-3].reason) == (approval.approver, approval.reason)
    assert verify_trail(database).faults == faults_before


def test_an_approval_without_a_reason_says_so_and_a_form_with_other_fields_is_taken_too(evaluation):
    evaluation.answer = by_the_api("Approve", because="a field that the form does not have")
    evaluation.run()
    (approval,) = evaluation.approvals
    assert approval.reason == f"approved in Airflow, run {evaluation.decision.run}; no reason was given."


def test_a_person_rejects_and_the_champion_stays(evaluation, monkeypatch):
    evaluation.answer = by_the_api("Approve")
    evaluation.run()
    champion = evaluation.setup.models.champion()
    evaluation.setup.services.database["decisions"].delete_many({})
    evaluation.setup.candidate("challenger")
    monkeypatch.setenv("LOAN_DEFAULT_DEMAND", "as-good")
    evaluation.answer = by_the_api("Reject", reason="the book is seasonal")
    states = evaluation.run()
    assert set(states.values()) == {"success"}
    assert f"(now: {champion.version})?" in evaluation.asked[-1].subject
    decision = evaluation.decision
    assert (decision.version, decision.action) == ("challenger", Action.REJECTED)
    (reason,) = decision.broken
    assert reason.startswith("failed: Rita Officer (Airflow user 7) rejected it on ")
    assert " UTC: the book is seasonal. `loan-default promote challenger " in reason
    assert evaluation.setup.models.champion() == champion
    assert evaluation.setup.models.get("challenger").status is ModelStatus.REJECTED
    assert len(evaluation.approvals) == 1


def test_without_an_answer_in_time_the_model_is_rejected(evaluation, monkeypatch):
    monkeypatch.setenv("LOAN_DEFAULT_APPROVAL_HOURS", "36")
    evaluation.answer = by_the_scheduler
    states = evaluation.run()
    assert set(states.values()) == {"success"}
    assert evaluation.decision.action is Action.REJECTED
    (reason,) = evaluation.decision.broken
    assert reason.startswith("failed: nobody answered within 36 hours whether ")
    assert evaluation.setup.models.champion() is None
    assert evaluation.approvals == []


def test_a_model_that_breaks_another_rule_is_rejected_without_a_question(evaluation, monkeypatch):
    monkeypatch.setenv("LOAN_DEFAULT_MINIMUM_AUC", "0.999")
    assert evaluation.run()[STEP] == "skipped"
    assert evaluation.decision.action is Action.REJECTED


def test_nobody_is_asked_about_a_rollback(evaluation):
    evaluation.setup.models.set_status(evaluation.setup.model.version, ModelStatus.ARCHIVED)
    assert evaluation.run(version=evaluation.setup.model.version, rollback=True)[STEP] == "skipped"
    assert evaluation.decision.action is Action.ROLLED_BACK


def test_a_run_without_a_model_is_skipped_as_a_whole(evaluation):
    evaluation.setup.services.database["model_metadata"].delete_many({})
    try:
        assert set(evaluation.run().values()) == {"skipped"}
    finally:
        evaluation.setup.models.add(evaluation.setup.model)


def test_while_a_person_is_asked_another_run_takes_another_model(evaluation):
    chosen: list[str] = []

    def another_run_first(run: str) -> None:
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        evaluation.answer = by_the_api("Reject")
        if not chosen:
            other = evaluation.dag.test(run_conf={})
            with create_session() as session:
                (found,) = session.query(XComModel).filter_by(
                    run_id=other.run_id, task_id="load_model", key="version"
                )
                chosen.append(XComModel.deserialize_value(found))
        evaluation.answer(run)

    evaluation.setup.candidate("younger")
    evaluation.answer = another_run_first
    evaluation.run()
    assert chosen == [evaluation.setup.model.version]

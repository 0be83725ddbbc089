"""Bodies of the tasks of the evaluation: which steps each of them takes, and what it returns."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from conftest import SCHEMA
from pipelines.promotion_setup import feed

from loan_default.data.sources.feeds import GeneratedFeed
from loan_default.database.control_documents import Action
from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.documents import ModelStatus
from loan_default.pipelines.promotion import candidates, comparison
from loan_default.pipelines.promotion.comparison import read_registered

pytestmark = pytest.mark.slow  # a model is trained first


def context(run: str, *, others: dict[str, tuple[str, str | None]] | None = None, **params: Any) -> Any:
    """The context of a task; `others` = other runs -> version, state of their last task."""
    found = others or {}
    task = SimpleNamespace(
        dag_id="model_evaluation",
        run_id=run,
        get_task_states=lambda **_: {
            name: {"load_model": "success", "update_status": state} for name, (_, state) in found.items()
        },
        xcom_pull=lambda *, task_ids, run_id: {"version": found[run_id][0]},
    )
    given = {"version": None, "rollback": False, "replaces": None} | params
    return {"run_id": run, "params": given, "task_instance": task}


def test_a_model_whose_file_is_refused_is_rejected_by_a_step_that_is_logged_and_returned(setup, tasks):
    path = setup.home / setup.candidate("damaged").path
    path.write_bytes(path.read_bytes()[:-1])
    with structlog.testing.capture_logs() as lines:
        loaded = tasks.load_model(context("loading"))
    assert loaded["version"] == setup.model.version
    assert list(loaded["rejected"]) == ["damaged"]
    assert "recorded digest" in loaded["rejected"]["damaged"]
    (line,) = (line for line in lines if line["event"] == "model_rejected")
    assert (line["version"], line["reason"]) == ("damaged", loaded["rejected"]["damaged"])
    (decision,) = DecisionRepository(setup.services.database).newest_first()
    assert (decision.id, decision.action) == (line["decision"], Action.REJECTED)
    assert setup.models.get("damaged").status is ModelStatus.REJECTED
    assert tasks.load_model(context("again"))["rejected"] == {}
    assert tasks.evaluate_model(context("loading"), loaded)["version"] == setup.model.version


def test_a_run_whose_only_models_are_refused_names_them_and_is_skipped(setup, tasks):
    from airflow.sdk.exceptions import AirflowSkipException

    setup.models.set_status(setup.model.version, ModelStatus.REJECTED)
    (setup.home / setup.candidate("damaged").path).write_bytes(b"")
    with pytest.raises(AirflowSkipException, match="the files of damaged were refused"):
        tasks.load_model(context("nothing"))
    assert setup.models.get("damaged").status is ModelStatus.REJECTED
    with pytest.raises(AirflowSkipException, match=r"no model can be evaluated yet$"):
        tasks.load_model(context("nothing-again"))


def test_the_file_of_the_chosen_model_is_read_once(setup, tasks, monkeypatch):
    read: list[str] = []

    def reading(run: Any, version: str) -> Any:
        read.append(version)
        return read_registered(run, version)

    for module in (candidates, comparison):
        monkeypatch.setattr(module, "read_registered", reading)
    tasks.load_model(context("waiting"))
    assert read == [setup.model.version]
    tasks.load_model(context("asked-for", version=setup.model.version))
    assert read == [setup.model.version] * 2


def test_the_task_brings_the_training_store_up_to_date_before_it_evaluates(setup, tasks):
    chosen = tasks.load_model(context("first"))
    before = tasks.evaluate_model(context("first"), chosen)
    feed(setup.services, GeneratedFeed(SCHEMA, rows=200, seed=5, state=setup.home / "feed-5.json"))
    after = tasks.evaluate_model(context("second"), chosen)
    assert after["snapshot"] != before["snapshot"]
    assert setup.metrics(after["metrics"]).rows > setup.metrics(before["metrics"]).rows


def test_a_rollback_waits_neither_for_the_broker_nor_for_the_training_store(setup, tasks, monkeypatch):
    monkeypatch.setattr(tasks, "store_processed_data", lambda *_: pytest.fail("the store was brought up"))
    chosen = {"version": setup.model.version, "why": "a test", "rollback": True, "replaces": None}
    assert tasks.evaluate_model(context("undo"), chosen)["metrics"] is None


def test_the_steps_of_a_run_promote_a_model(setup, tasks):
    run = context("whole")
    evaluated = tasks.evaluate_model(run, tasks.load_model(run))
    verdict = tasks.check_thresholds(run, evaluated)
    assert verdict["passed"], verdict
    assert tasks.update_status(run, evaluated, verdict) == {
        "version": setup.model.version,
        "action": "promoted",
    }
    champion = setup.models.champion()
    assert champion is not None
    assert champion.version == setup.model.version


def test_thresholds_come_from_the_settings(setup, tasks, monkeypatch):
    monkeypatch.setenv("LOAN_DEFAULT_MINIMUM_AUC", "0.999")
    run = context("strict")
    evaluated = tasks.evaluate_model(run, tasks.load_model(run))
    (broken,) = tasks.check_thresholds(run, evaluated)["broken"]
    assert broken.endswith("; it must be at least 0.9990.")


def test_a_model_that_another_run_has_not_decided_about_is_not_chosen_again(setup, tasks):
    version = setup.model.version
    assert tasks.load_model(context("done", others={"other": (version, "skipped")}))["version"] == version
    asked = context("named", others={"other": (version, None)}, version=version)
    assert tasks.load_model(asked)["version"] == version, "who names it wants it"
    from airflow.sdk.exceptions import AirflowSkipException

    for state in (None, "scheduled", "running", "up_for_retry"):
        with pytest.raises(AirflowSkipException, match="no model can be evaluated yet"):
            tasks.load_model(context("waits", others={"other": (version, state)}))


@pytest.mark.parametrize(
    ("user", "who"),
    [
        (None, None),
        ({"id": "7", "name": "Rita Officer"}, "Rita Officer (Airflow user 7)"),
        ({"id": "rita", "name": "rita"}, "rita"),
        ({"id": "rita", "name": " "}, "rita"),
    ],
)
def test_an_answer_names_who_gave_it_and_without_a_name_nothing_is_approved(user, who):
    from loan_default.airflow.evaluation_tasks import answer_of

    response = {
        "chosen_options": ["Approve"],
        "params_input": {"reason": "  "},
        "responded_at": "2026-11-30T08:00:00+00:00",
        "responded_by_user": user,
    }
    answer = answer_of(response)
    assert (answer.who, answer.approved, answer.reason) == (who, who is not None, None)
    assert answer.answered_at == datetime(2026, 11, 30, 8, tzinfo=UTC)
    assert not answer_of(response | {"chosen_options": ["Reject"]}).approved

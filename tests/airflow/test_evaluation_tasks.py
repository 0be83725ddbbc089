"""Bodies of the tasks of the evaluation: which steps each of them takes, and what it returns."""

from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from conftest import SCHEMA
from pipelines.promotion_setup import LENIENT, PromotionSetup, feed, trained_model

from loan_default.data.schema.schema_files import dump_schema
from loan_default.data.sources.feeds import GeneratedFeed
from loan_default.database.control_documents import Action
from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.documents import ModelStatus
from loan_default.pipelines.promotion import candidates, comparison
from loan_default.pipelines.promotion.comparison import read_registered

pytestmark = pytest.mark.slow  # a model is trained first


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PromotionSetup]:
    with trained_model(tmp_path_factory.mktemp("home")) as (home, services, model):
        yield PromotionSetup(home, services, model)


@pytest.fixture
def tasks(setup: PromotionSetup, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The bodies of the tasks, in the environment of the set-up and on its broker."""
    schema = setup.home / "loans.toml"
    schema.write_text(dump_schema(SCHEMA))
    for name, value in {
        "HOME": str(setup.home),
        "SCHEMA": str(schema),
        "MINIMUM_ROWS": str(LENIENT.minimum_rows),
        "MINIMUM_AUC": "0",
        "MINIMUM_KS": "0",
        "MAXIMUM_BRIER": "1",
        "MAXIMUM_CALIBRATION_ERROR": "1",
        "MINIMUM_BADS": "1",
        "MAXIMUM_CALIBRATION_SHIFT": "10",
        "MINIMUM_CALIBRATION_SLOPE": "0",
        "MAXIMUM_CALIBRATION_SLOPE": "10",
    }.items():
        monkeypatch.setenv(f"LOAN_DEFAULT_{name}", value)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "in-memory:9092")
    monkeypatch.setattr("loan_default.kafka.open_broker.connect", lambda settings: setup.services.broker)
    for name in ("pointers", "decisions", "approvals"):
        setup.services.database[name].delete_many({})
    setup.services.database["model_metadata"].delete_many({"_id": {"$ne": setup.model.version}})
    setup.models.set_status(setup.model.version, ModelStatus.TRAINED)

    from loan_default.airflow import evaluation_tasks

    return evaluation_tasks


def context(run: str, **params: Any) -> dict[str, Any]:
    return {"run_id": run, "params": {"version": None, "rollback": False, "replaces": None} | params}


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

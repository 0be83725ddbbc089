"""Services of a task: what the tasks of a run must share, which is checked before anything is opened."""

from pathlib import Path

import pytest

from loan_default.airflow.task_services import services_of
from loan_default.errors import ConfigurationError


def test_a_task_gets_services_under_the_id_of_its_run(one_broker, tmp_path, monkeypatch):
    monkeypatch.setenv("LOAN_DEFAULT_HOME", str(tmp_path))
    with services_of({"run_id": "manual__1"}) as (services, settings):
        assert (services.run, services.broker) == ("manual__1", one_broker)
        assert settings.home == tmp_path


def test_tasks_need_a_broker_that_outlives_them(tmp_path, monkeypatch):
    monkeypatch.setenv("LOAN_DEFAULT_HOME", str(tmp_path))
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    with (
        pytest.raises(ConfigurationError, match="KAFKA_BOOTSTRAP_SERVERS must be set for the tasks"),
        services_of({"run_id": "manual__1"}),
    ):
        pytest.fail("services were opened")
    assert list(tmp_path.iterdir()) == []


def test_tasks_need_a_folder_that_all_workers_find(one_broker, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOAN_DEFAULT_HOME", "runs")
    with (
        pytest.raises(ConfigurationError, match="must be an absolute path for the tasks of a DAG"),
        services_of({"run_id": "manual__1"}),
    ):
        pytest.fail("services were opened")
    assert not Path("runs").exists()

"""An Airflow of these tests: its own home and database, the three DAGs, no scheduler."""

from pathlib import Path
from typing import Any

import pytest

import loan_default.airflow
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.topics import TOPICS

DAGS = Path(loan_default.airflow.__file__).parent / "dags"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Airflow and its libraries warn of themselves; here that is no error."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(scope="session")
def airflow_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What Airflow reads when it is imported, which is why tests import it inside of functions."""
    home = tmp_path_factory.mktemp("airflow")
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
    }


@pytest.fixture(autouse=True)
def in_airflow_environment(airflow_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """For these tests alone: others of the same process are to find theirs."""
    for name, value in airflow_environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def dags_folder() -> Path:
    """Where a scheduler finds the DAGs."""
    return DAGS


@pytest.fixture(scope="session")
def airflow_database(airflow_environment: dict[str, str]) -> None:
    """Its tables, and the pool of the trainings."""
    with pytest.MonkeyPatch.context() as patch:  # it is made before the environment of the first test
        for name, value in airflow_environment.items():
            patch.setenv(name, value)
        from airflow import settings
        from airflow.models.pool import Pool
        from airflow.utils.db import initdb

        own = airflow_environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        assert own == settings.SQL_ALCHEMY_CONN, (
            "a test module imported Airflow before: import it in functions"
        )
        initdb()
        Pool.create_or_update_pool("training", 1, "one training at a time", False)


@pytest.fixture
def dags(airflow_database: None) -> dict[str, Any]:
    """The DAGs by name; new ones, as the configuration of a test run stays in them."""
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(DAGS, bundle_path=DAGS, bundle_name="dags-folder")
    assert bag.import_errors == {}
    return dict(bag.dags)


@pytest.fixture
def one_broker(monkeypatch: pytest.MonkeyPatch) -> MemoryBroker:
    """All tasks of a test speak to the same broker in memory, which stands in for the one of the settings."""
    broker = MemoryBroker()
    broker.create_topics(TOPICS)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "in-memory:9092")
    monkeypatch.setattr("loan_default.kafka.open_broker.connect", lambda settings: broker)
    return broker

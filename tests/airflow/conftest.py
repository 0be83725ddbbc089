"""An Airflow of these tests: its own home and database, the three DAGs, no scheduler."""

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

import loan_default.airflow
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.topics import TOPICS

DAGS = Path(loan_default.airflow.__file__).parent / "dags"

# Before anything imports Airflow, which reads its settings then.
_HOME = Path(tempfile.mkdtemp(prefix="airflow-test-"))
os.environ |= {
    "AIRFLOW_HOME": str(_HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_HOME / 'airflow.db'}",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Airflow and its libraries warn of themselves; here that is no error."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture
def dags_folder() -> Path:
    """Where a scheduler finds the DAGs."""
    return DAGS


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Its tables, and the pool of the trainings."""
    from airflow.models.pool import Pool
    from airflow.utils.db import initdb

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
    """All tasks of a test speak to the same broker in memory."""
    broker = MemoryBroker()
    broker.create_topics(TOPICS)
    monkeypatch.setattr("loan_default.kafka.connect.connect", lambda settings: broker)
    return broker

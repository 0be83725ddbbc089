"""An Airflow of these tests: its own home and database, the three DAGs, no scheduler."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import SCHEMA
from pipelines.promotion_setup import LENIENT, PromotionSetup, trained_model

import loan_default.airflow
from loan_default.data.schema.schema_files import dump_schema
from loan_default.database.documents import ModelStatus
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


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PromotionSetup]:
    """A training store and a trained model that waits for its evaluation."""
    with trained_model(tmp_path_factory.mktemp("home")) as (home, services, model):
        yield PromotionSetup(home, services, model)


@pytest.fixture
def lenient_gate(setup: PromotionSetup, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of the set-up and its broker, a gate that its model passes, and nothing decided yet."""
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


@pytest.fixture
def tasks(lenient_gate: None) -> Any:
    """The bodies of the tasks of the evaluation."""
    from loan_default.airflow import evaluation_tasks

    return evaluation_tasks

"""The DAGs run from end to end in this process, on a broker in memory and the embedded store."""

from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from loan_default.database.control_documents import Action
from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.documents import DatasetName, ModelStatus
from loan_default.database.repositories import MetricsRepository, ModelRepository, TrainingDataRepository
from loan_default.errors import ConfigurationError
from loan_default.kafka.control_events import FactType
from loan_default.kafka.memory import MemoryBroker
from loan_default.models.model import load_model
from loan_default.settings import load_settings
from loan_default.wiring import open_database

pytestmark = pytest.mark.slow

FEW, MANY = 400, 3_000


@dataclass
class House:
    """DAGs that run, and what they leave."""

    dags: dict[str, Any]
    broker: MemoryBroker
    runs: int = 0

    def run(self, name: str, **conf: Any) -> dict[str, str]:
        """State of each task of a new run, which must succeed."""
        run = self.dags[name].test(run_conf=conf)
        assert run.state == "success", run
        return {task.task_id: str(task.state) for task in run.get_task_instances()}

    def facts(self) -> list[tuple[str, dict[str, Any]]]:
        """What was published, in order."""
        records = [
            record
            for partition, log in self.broker.logs.items()
            if partition.topic == "commands"
            for record in log
        ]
        kinds = [(record.header("ce_type") or b"").decode() for record in records]
        return [
            (kind, orjson.loads(record.value))
            for kind, record in zip(kinds, records, strict=True)
            if kind in set(FactType)
        ]


@pytest.fixture
def house(dags, one_broker, tmp_path, monkeypatch) -> House:
    monkeypatch.setenv("LOAN_DEFAULT_HOME", str(tmp_path))
    monkeypatch.setenv("LOAN_DEFAULT_SOURCE", "generated")
    monkeypatch.setenv("LOAN_DEFAULT_MINIMUM_ROWS", "100")
    monkeypatch.setenv("LOAN_DEFAULT_MAXIMUM_CALIBRATION_ERROR", "0.2")
    for dag in dags.values():
        for task in dag.tasks:
            task.retries = 0
    return House(dags, one_broker)


def test_applications_become_a_champion_and_a_worse_model_does_not_take_its_place(house):
    assert set(house.run("data_ingestion", rows=FEW).values()) == {"success"}
    with open_database(load_settings()) as database:
        small = _trained(house, database, epochs=1)
        assert TrainingDataRepository(database).get(small.snapshot).rows_accepted == FEW

        house.run("data_ingestion", rows=MANY)
        model = _trained(house, database, epochs=6)
        snapshot = TrainingDataRepository(database).get(model.snapshot)
        assert (snapshot.rows_accepted, model.rows["train"] > 1_500) == (FEW + MANY, True)
        house.run("model_evaluation", version=model.version)

        models = ModelRepository(database)
        champion = models.champion()
        assert (champion.version, champion.rev) == (model.version, 1)
        assert models.get(model.version).status is ModelStatus.CHAMPION
        loaded = load_model(load_settings().home / model.path, sha256=champion.digest)
        assert loaded.version == model.version

        house.run("model_evaluation", version=small.version)
        assert models.champion() == champion
        assert models.get(small.version).status is ModelStatus.REJECTED

        decisions = {each.version: each for each in DecisionRepository(database).newest_first()}
        assert decisions[model.version].action is Action.PROMOTED
        assert decisions[small.version].action is Action.REJECTED
        assert decisions[small.version].champion == model.version
        assert any(" behind the champion's " in reason for reason in decisions[small.version].reasons)

        # Both were measured on the same rows, which neither has seen.
        measured = [each for each in MetricsRepository(database).newest_first() if each.run is not None]
        beside = [each for each in measured if each.run == decisions[small.version].run]
        assert {each.version for each in beside} == {model.version, small.version}
        assert len({(each.rows, each.label_rate, each.dataset) for each in beside}) == 1
        assert beside[0].dataset is DatasetName.HELD_OUT
        assert 100 < beside[0].rows < 0.25 * (FEW + MANY)
    published = [(kind, data["version"]) for kind, data in house.facts()]
    assert published == [
        (FactType.TRAINED, small.version),
        (FactType.TRAINED, model.version),
        (FactType.PROMOTED, model.version),
        (FactType.REJECTED, small.version),
    ]


def _trained(house, database, **conf):
    before = {model.version for model in ModelRepository(database).newest_first()}
    house.run("model_training", preset="fast", members=1, pretraining_epochs=1, **conf)
    (model,) = (m for m in ModelRepository(database).newest_first() if m.version not in before)
    assert model.status is ModelStatus.TRAINED
    return model


def test_what_was_done_is_not_done_again(house, monkeypatch):
    from airflow.sdk.exceptions import AirflowSkipException

    from loan_default.airflow import training_tasks as tasks

    assert set(house.run("model_evaluation").values()) == {"skipped"}
    house.run("data_ingestion", rows=FEW)
    monkeypatch.setenv("LOAN_DEFAULT_SOURCE", f"folder:{load_settings().home / 'empty'}")
    (load_settings().home / "empty").mkdir()
    assert set(house.run("data_ingestion").values()) == {"success"}
    with open_database(load_settings()) as database:
        model = _trained(house, database, epochs=1)
        params = dict(house.dags["model_training"].params) | {"preset": "fast", "members": 1, "epochs": 1}
        params["pretraining_epochs"] = 1

        def context(task: str, *, run: str = model.run, attempt: int = 9, kind: str = "manual") -> Any:
            instance = SimpleNamespace(run_id=run, task_id=task, try_number=attempt, dag_id="model_training")
            return {
                "run_id": run,
                "task_instance": instance,
                "dag_run": SimpleNamespace(run_type=kind),
                "params": params,
            }

        # Each task of the run, cleared: the same snapshot, the same weights, the same document.
        stored = tasks.prepare_training_data(context("prepare_training_data"))
        assert stored["snapshot"] == model.snapshot
        encoder = tasks.pretrain_encoder(context("pretrain_encoder"))
        assert encoder.startswith(str(load_settings().home))
        assert tasks.train_classifier(context("train_classifier"))["version"] == model.version
        assert tasks.store_model(context("store_model"))["version"] == model.version
        assert ModelRepository(database).newest_first() == [model]

        # A superseded try may not write.
        with pytest.raises(ValueError, match=r"try 3 of .* was superseded"):
            tasks.store_model(context("store_model", attempt=3))
        with pytest.raises(AirflowSkipException, match="nothing new"):
            tasks.prepare_training_data(context("prepare_training_data", run="next", kind="scheduled"))
        with pytest.raises(ValueError, match="must be trained before it is registered"):
            tasks.store_model(context("store_model", run="next"))


def test_a_period_limits_what_is_trained_on(house):
    from loan_default.airflow import training_tasks as tasks

    house.run("data_ingestion", rows=FEW)
    params = dict(house.dags["model_training"].params)

    def prepared(name: str, **period: str) -> int:
        instance = SimpleNamespace(run_id=name, task_id="prepare", try_number=1, dag_id="model_training")
        run = SimpleNamespace(run_type="manual")
        given = {"run_id": name, "task_instance": instance, "dag_run": run, "params": params | period}
        return tasks.prepare_training_data(given)["rows"]

    with open_database(load_settings()) as database:
        whole = prepared("whole")
        (snapshot,) = TrainingDataRepository(database).newest_first()
        end = snapshot.last_at + timedelta(seconds=1)
        assert whole == prepared("all", until=end.isoformat()) == FEW
        with pytest.raises(ValueError, match="must hold applications"):
            prepared("none", since=end.isoformat())


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "", "KAFKA_BOOTSTRAP_SERVERS must be set for the tasks of a DAG"),
        ("LOAN_DEFAULT_HOME", "runs", "LOAN_DEFAULT_HOME must be an absolute path .* it is runs"),
    ],
)
def test_a_task_that_the_others_would_not_find_does_nothing(house, monkeypatch, name, value, rule):
    from loan_default.airflow import ingestion_tasks

    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=rule):
        ingestion_tasks.ingest_raw_data({"run_id": "alone", "params": {"rows": FEW}})
    assert not any(house.broker.logs.values())

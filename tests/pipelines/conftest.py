"""Services without servers (a broker in memory, the embedded store), models to evaluate, and crashes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pipelines.promotion_setup import PromotionSetup, trained_model

from loan_default import failpoints
from loan_default.data.schema.language import Schema
from loan_default.database.documents import ModelMetadata, ModelStatus
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.repositories import ModelRepository
from loan_default.kafka.consuming import Polling
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.outbox import Outbox
from loan_default.kafka.topics import TOPICS
from loan_default.pipelines.services import Services


@pytest.fixture
def new_services(tmp_path: Path) -> Iterator[Callable[[Schema, Polling], Services]]:
    """Makes services whose broker has all topics; the database is closed after the test."""
    database = EmbeddedDatabase(tmp_path / "documents.sqlite3")

    def make(schema: Schema, polling: Polling) -> Services:
        broker = MemoryBroker()
        broker.create_topics(TOPICS)
        outbox = Outbox(tmp_path / "outbox")
        return Services(broker=broker, database=database, schema=schema, outbox=outbox, polling=polling)

    yield make
    database.close()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Services, ModelMetadata]]:
    with trained_model(tmp_path_factory.mktemp("home")) as made:
        yield made


@pytest.fixture
def promotion(trained: tuple[Path, Services, ModelMetadata]) -> PromotionSetup:
    home, services, model = trained
    for name in ("pointers", "decisions", "approvals"):
        services.database[name].delete_many({})
    services.database["model_metadata"].delete_many({"_id": {"$ne": model.version}})
    ModelRepository(services.database).set_status(model.version, ModelStatus.TRAINED)
    return PromotionSetup(home, services, model)


@pytest.fixture
def dying_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Lets what runs fail when it passes a point for the n-th time; without a name, lets it live again."""

    def arrange(point: str | None, passing: int = 1) -> None:
        monkeypatch.setenv("LOAN_DEFAULT_TEST", "1")
        monkeypatch.setenv("LOAN_DEFAULT_FAILPOINTS", f"{point}=raise@{passing}" if point else "")
        failpoints._points.cache_clear()
        failpoints._passed.clear()

    yield arrange
    monkeypatch.undo()
    failpoints._points.cache_clear()

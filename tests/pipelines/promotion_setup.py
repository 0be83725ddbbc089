"""A training store, a trained model, challengers beside it, and runs that evaluate them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from conftest import SCHEMA, Listener

from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import dump_schema
from loan_default.data.sources.feeds import GeneratedFeed
from loan_default.database.control_documents import Decision
from loan_default.database.control_repositories import FencingToken
from loan_default.database.documents import ModelMetadata, ModelStatus, PerformanceMetrics
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.repositories import MetricsRepository, ModelRepository
from loan_default.kafka.consuming import Polling
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.outbox import Outbox
from loan_default.kafka.topics import TOPICS
from loan_default.models.model import load_model, save_model
from loan_default.pipelines.ingestion.ingestion_steps import (
    ingest_raw_data,
    process_raw_data,
    send_processed_data,
)
from loan_default.pipelines.ingestion.training_store_writer import store_processed_data
from loan_default.pipelines.layout import TRAINING_STORE
from loan_default.pipelines.promotion.comparison import check_thresholds, evaluate_model
from loan_default.pipelines.promotion.decisions import update_status
from loan_default.pipelines.promotion.evaluation_run import Chosen, Evaluated, EvaluationRun
from loan_default.pipelines.services import Services
from loan_default.pipelines.training.training_options import StoreData, TrainingOptions
from loan_default.pipelines.training.training_steps import (
    TrainingRun,
    freeze_training_data,
    register_step,
    train_step,
)
from loan_default.thresholds import GatePolicy, Thresholds

ROWS = 700
LENIENT = Thresholds(
    minimum_rows=30,
    minimum_auc=0.0,
    minimum_ks=0.0,
    maximum_brier=1.0,
    maximum_calibration_error=1.0,
    minimum_bads=1,
    minimum_coverage=0.0,
    maximum_calibration_shift=10.0,
    minimum_calibration_slope=0.0,
    maximum_calibration_slope=10.0,
    maximum_score_psi=10.0,
)
AS_GOOD = GatePolicy(demand="as-good")
"""Candidates of most tests have the weights of the champion."""


STRICT = replace(LENIENT, minimum_auc=0.999)


@dataclass(frozen=True)
class PromotionSetup:
    """A training store, a trained model, and runs that evaluate it and its challengers."""

    home: Path
    services: Services
    model: ModelMetadata

    def run(
        self, name: str = "run", *, thresholds: Thresholds = LENIENT, policy: GatePolicy = AS_GOOD
    ) -> EvaluationRun:
        return EvaluationRun(
            services=replace(self.services, run=name),
            home=self.home,
            maturity_days=0,
            thresholds=thresholds,
            policy=policy,
        )

    def candidate(self, name: str, *, schema: Schema = SCHEMA, **provenance: object) -> ModelMetadata:
        """Register another model with the same weights; its provenance says what is asked for."""
        original = load_model(self.home / self.model.path)
        copy = replace(
            original, version=name, schema=schema, provenance=dict(original.provenance) | provenance
        )
        path = self.home / "models" / f"{name}.pth"
        document = self.model.model_copy(
            update={
                "version": name,
                "path": f"models/{name}.pth",
                "sha256": save_model(path, copy),
                "run": None,
                "created_at": datetime.now(UTC),
                "status": ModelStatus.TRAINED,
            }
        )
        ModelRepository(self.services.database).add(document)
        return document

    def grow(self, rows: int, *, seed: int) -> None:
        """Bring more applications into the training store."""
        feed(
            self.services, GeneratedFeed(SCHEMA, rows=rows, seed=seed, state=self.home / f"feed-{seed}.json")
        )
        store_processed_data(self.services, self.home / TRAINING_STORE)

    def metrics(self, identifier: str | None) -> PerformanceMetrics:
        assert identifier is not None
        return MetricsRepository(self.services.database).get(identifier)

    @property
    def models(self) -> ModelRepository:
        return ModelRepository(self.services.database)


def evaluated(run: EvaluationRun, version: str, *, rollback: bool = False) -> Evaluated:
    return evaluate_model(run, Chosen(version=version, why="a test", rollback=rollback))


def decide(run: EvaluationRun, version: str, *, rollback: bool = False) -> Decision:
    """The decision about a model at the end of a run's steps."""
    found = evaluated(run, version, rollback=rollback)
    return update_status(run, found, check_thresholds(run, found))


def feed(services: Services, source: GeneratedFeed) -> None:
    ingest_raw_data(services, source)
    process_raw_data(services)
    send_processed_data(services)


def new_services(home: Path) -> Services:
    """Services with applications on `processed_data`; close their database."""
    broker = MemoryBroker()
    broker.create_topics(TOPICS)
    services = Services(
        broker=broker,
        database=EmbeddedDatabase(home / "documents.sqlite3"),
        schema=SCHEMA,
        outbox=Outbox(home / "outbox"),
        polling=Polling(poll_seconds=0.01),
        run="training-run",
    )
    feed(services, GeneratedFeed(SCHEMA, rows=ROWS, seed=1, state=home / "feed.json"))
    return services


def new_training(services: Services, home: Path, **options: object) -> TrainingRun:
    """A run that trains a model in seconds."""
    schema = home / "loans.toml"
    schema.write_text(dump_schema(SCHEMA))
    (home / TRAINING_STORE).mkdir(exist_ok=True)
    few = {"preset": "fast", "epochs": 1, "pretraining_epochs": 1, "members": 1, "pretrain": False}
    given = TrainingOptions(data=StoreData(folder=home / TRAINING_STORE), schema=schema, **(few | options))
    return TrainingRun(services=services, home=home, options=given)


@contextmanager
def trained_model(home: Path) -> Iterator[tuple[Path, Services, ModelMetadata]]:
    services = new_services(home)
    run = new_training(services, home)
    fencing_token = FencingToken(database=services.database, run=run.id, task="test", attempt=1)
    freeze_training_data(run, fencing_token)
    train_step(run, Listener(), fencing_token)
    model, _ = register_step(run, fencing_token)
    yield home, services, model
    services.database.client.close()

"""A training store with a trained model, and runs that judge it and others."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from conftest import SCHEMA, Listener

from loan_default.data.schema.language import Schema, dump_schema
from loan_default.data.sources.feeds import GeneratedFeed
from loan_default.database.control_documents import Decision
from loan_default.database.control_repositories import Fence
from loan_default.database.documents import ModelMetadata, ModelStatus, PerformanceMetrics
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.repositories import MetricsRepository, ModelRepository
from loan_default.evaluation.gate import Thresholds
from loan_default.kafka.consuming import Pace
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.outbox import Outbox
from loan_default.kafka.topics import TOPICS
from loan_default.models.model import load_model, save_model
from loan_default.pipelines.ingestion.ingestion_steps import (
    ingest_raw_data,
    process_raw_data,
    send_processed_data,
)
from loan_default.pipelines.layout import TRAINING_STORE
from loan_default.pipelines.promotion.comparison import (
    Chosen,
    Evaluated,
    EvaluationRun,
    check_thresholds,
    evaluate_model,
)
from loan_default.pipelines.promotion.decisions import update_status
from loan_default.pipelines.services import Flow
from loan_default.pipelines.training.preparation import TrainingOptions
from loan_default.pipelines.training.training_steps import (
    TrainingRun,
    freeze_training_data,
    store_step,
    train_step,
)

ROWS = 700
LENIENT = Thresholds(
    minimum_rows=30, minimum_auc=0.0, minimum_ks=0.0, maximum_brier=1.0, maximum_calibration_error=1.0
)


STRICT = replace(LENIENT, minimum_auc=0.999)


@dataclass(frozen=True)
class Court:
    """A training store, a trained model, and runs of the evaluation."""

    home: Path
    flow: Flow
    model: ModelMetadata

    def run(self, name: str = "run", *, thresholds: Thresholds = LENIENT) -> EvaluationRun:
        return EvaluationRun(
            flow=replace(self.flow, run=name), home=self.home, maturity_days=0, thresholds=thresholds
        )

    def candidate(self, name: str, *, schema: Schema = SCHEMA, **provenance: object) -> ModelMetadata:
        """Another model of the registry with the same weights; it says of its training what is asked for."""
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
        ModelRepository(self.flow.database).add(document)
        return document

    def grow(self, rows: int, *, seed: int) -> None:
        """More applications, up to `processed_data`."""
        feed(self.flow, GeneratedFeed(SCHEMA, rows=rows, seed=seed, state=self.home / f"feed-{seed}.json"))

    def metrics(self, identifier: str | None) -> PerformanceMetrics:
        assert identifier is not None
        return MetricsRepository(self.flow.database).get(identifier)

    @property
    def models(self) -> ModelRepository:
        return ModelRepository(self.flow.database)


def evaluated(run: EvaluationRun, version: str, *, rollback: bool = False) -> Evaluated:
    return evaluate_model(run, Chosen(version=version, why="a test", rollback=rollback))


def judged(run: EvaluationRun, version: str, *, rollback: bool = False) -> Decision:
    """What comes of a model when all steps of a run are done."""
    found = evaluated(run, version, rollback=rollback)
    return update_status(run, found, check_thresholds(run, found))


def feed(flow: Flow, source: GeneratedFeed) -> None:
    ingest_raw_data(flow, source)
    process_raw_data(flow)
    send_processed_data(flow)


def new_flow(home: Path) -> Flow:
    """A flow with applications on `processed_data`; close its database."""
    broker = MemoryBroker()
    broker.create_topics(TOPICS)
    flow = Flow(
        broker=broker,
        database=EmbeddedDatabase(home / "documents.sqlite3"),
        schema=SCHEMA,
        outbox=Outbox(home / "outbox"),
        pace=Pace(poll_seconds=0.01),
        run="training-run",
    )
    feed(flow, GeneratedFeed(SCHEMA, rows=ROWS, seed=1, state=home / "feed.json"))
    return flow


def new_training(flow: Flow, home: Path, **options: object) -> TrainingRun:
    """A run that trains a model in seconds."""
    schema = home / "loans.toml"
    schema.write_text(dump_schema(SCHEMA))
    (home / TRAINING_STORE).mkdir(exist_ok=True)
    few = {"preset": "fast", "epochs": 1, "pretraining_epochs": 1, "members": 1, "pretrain": False}
    given = TrainingOptions(data=home / TRAINING_STORE, schema=schema, **(few | options))
    return TrainingRun(flow=flow, home=home, options=given)


@contextmanager
def trained_model(home: Path) -> Iterator[tuple[Path, Flow, ModelMetadata]]:
    flow = new_flow(home)
    run = new_training(flow, home)
    fence = Fence(database=flow.database, run=run.id, task="test", attempt=1)
    freeze_training_data(run, fence)
    train_step(run, Listener(), fence)
    model, _ = store_step(run, fence)
    yield home, flow, model
    flow.database.client.close()

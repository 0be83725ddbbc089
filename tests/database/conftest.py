"""The worlds of the contract: mongomock, the embedded store, a server where one is configured."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import mongomock_ng
import pymongo
import pytest

from loan_default.database.connect import Database
from loan_default.database.documents import (
    DatasetName,
    ModelMetadata,
    PerformanceMetrics,
    TrainingData,
    model_version,
)
from loan_default.database.embedded import EmbeddedDatabase

NOON = datetime(2026, 11, 23, 12, 0, 0, 123000, tzinfo=UTC)


@pytest.fixture
def mongomock_database() -> Database:
    return mongomock_ng.MongoClient(tz_aware=True)["contract"]


@pytest.fixture
def embedded_database(tmp_path: Path) -> Iterator[Database]:
    database = EmbeddedDatabase(tmp_path / "documents.sqlite3")
    yield database
    database.close()


@pytest.fixture
def server_database(mongodb_uri: str) -> Iterator[Database]:
    with pymongo.MongoClient(mongodb_uri, tz_aware=True, w="majority") as client:
        name = f"test_{uuid.uuid4().hex}"
        yield client[name]
        client.drop_database(name)


@pytest.fixture(params=["mongomock", "embedded", pytest.param("server", marks=pytest.mark.integration)])
def database(request: pytest.FixtureRequest) -> Database:
    return request.getfixturevalue(f"{request.param}_database")


@pytest.fixture
def snapshot() -> TrainingData:
    return TrainingData(
        digest="ab" * 32,
        created_at=NOON,
        sources=("applications.csv",),
        rows_read=12,
        rows_accepted=10,
        rows_rejected=1,
        rows_duplicate=1,
        label_rate=0.2,
        columns=("age", "default"),
    )


@pytest.fixture
def model(snapshot: TrainingData) -> ModelMetadata:
    return ModelMetadata(
        version=model_version(NOON, "cd" * 32),
        created_at=NOON,
        path="models/a.pth",
        sha256="cd" * 32,
        schema_name="credit_card",
        schema_digest="ef" * 32,
        preset="fast",
        objective="supervised",
        pretrained=True,
        members=2,
        parameters=2**40,
        rows={"train": 6, "validation": 2, "test": 2},
        seed=0,
        code_version="0.1.0",
        libraries={"torch": "2.13.0", "scikit-learn": "1.9.1"},
        training_seconds=1.5,
        snapshot=snapshot.id,
    )


@pytest.fixture
def metrics(model: ModelMetadata, snapshot: TrainingData) -> PerformanceMetrics:
    return PerformanceMetrics(
        version=model.version,
        dataset=DatasetName.TEST,
        snapshot=snapshot.id,
        computed_at=NOON,
        rows=2,
        label_rate=0.5,
        figures={"auc": 0.78, "ks": None},
        intervals={"auc": (0.7, 0.85)},
        reasons={"ks": "not defined on these rows"},
    )

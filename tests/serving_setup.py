"""Small models with random weights, as the doors use them: enough to route, score and keep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from loan_default.data.schema.language import Schema
from loan_default.data.schema.record_batches import RecordBatchReader
from loan_default.data.schema.records import RecordError, records_frame
from loan_default.data.schema.schema_files import schema_from_dict
from loan_default.data.sources.generator import generate
from loan_default.database.api_key_documents import ApiKey, KeyScope
from loan_default.database.connect import Database
from loan_default.database.documents import ModelMetadata, ModelStatus, model_version
from loan_default.database.repositories import ModelRepository
from loan_default.models.attributions import logit_of_reference
from loan_default.models.calibration import Calibration
from loan_default.models.classifier import HeadConfig
from loan_default.models.encoder import EncoderConfig
from loan_default.models.features import fit_features
from loan_default.models.freezing import frozen_model
from loan_default.models.golden_rows import golden_frame
from loan_default.models.member_training import Architecture
from loan_default.models.model import LoanModel, golden_rows_of
from loan_default.models.populations import Reference
from loan_default.serving.api_keys import digest_of
from loan_default.serving.explanations import explain

SCHEMA = schema_from_dict(
    {
        "name": "asked",
        "columns": {
            "loan": {"kind": "identifier", "optional": True, "nullable": True},
            "income": {"kind": "numerical", "minimum": 0, "maximum": 1000, "nullable": True},
            "debt": {"kind": "numerical", "minimum": 0, "maximum": 100},
            "purpose": {"kind": "categorical", "categories": ["car", "house", "study"]},
            "sex": {"kind": "categorical", "categories": ["f", "m"], "protected": True, "optional": True},
            "default": {"kind": "target"},
        },
    }
)


def small_model(version: str, *, seed: int, schema: Schema = SCHEMA) -> LoanModel:
    """A model of one member with random weights."""
    torch.manual_seed(seed)
    architecture = Architecture(
        features=fit_features(generate(schema, rows=200, seed=seed).frame, schema),
        encoder=EncoderConfig(n_layers=1, width=8, heads=1),
        head=HeadConfig(predictors=2, hidden=8),
    )
    return LoanModel(
        version=version,
        schema=schema,
        architecture=architecture,
        members=(architecture.new_classifier().eval(),),
        calibration=Calibration(slope=0.9, intercept=-0.1),
        metrics={},
        reference={},
        provenance={},
    )


@dataclass(frozen=True)
class SlowScorer:
    """A scorer by the model itself, through frames: the oracle of faster ones."""

    model: LoanModel
    digest: str

    @property
    def version(self) -> str:
        return self.model.version

    @property
    def schema(self) -> Schema:
        return self.model.schema

    def read(self, records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any] | RecordError]:
        return RecordBatchReader(self.schema)(records)

    def score(self, canonical: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        return self.model.predict_pd(records_frame(canonical, self.schema))

    def share_below(self, pd: float) -> float | None:
        return None

    def explain(self, canonical: Sequence[Mapping[str, Any]], policy: Any) -> list[Any]:
        """Against its golden rows."""
        golden = golden_rows_of(self.model)
        frozen = frozen_model(self.model, golden=golden, digest=self.digest)
        of_golden = frozen.features.transform(golden_frame(golden.records, self.schema))
        tokens = frozen.network.tokens(of_golden).mean(axis=1, keepdims=True)
        inputs = frozen.features.transform(records_frame(canonical, self.schema))
        reference = Reference(
            name="golden rows",
            rows=len(golden.records),
            tokens=tokens,
            logit=logit_of_reference(frozen, tokens),
        )
        return explain(frozen, inputs, reference)

    def hint(self, record: Mapping[str, Any], *, cutoff: float) -> None:
        return None

    def check_golden_rows(self) -> None:
        """It has none."""


def slow_scorer(version: str, *, seed: int, schema: Schema = SCHEMA) -> SlowScorer:
    return SlowScorer(small_model(version, seed=seed, schema=schema), digest=f"{seed:02x}" * 32)


def record_of(loan: Any, **values: Any) -> dict[str, Any]:
    return {"loan": loan, "income": 12.5, "debt": 3, "purpose": "car", **values}


def registered(database: Database, number: int, *, status: ModelStatus = ModelStatus.TRAINED) -> str:
    """Store the document of a model, whose file nobody reads; returns its version."""
    created = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=number)
    digest = f"{number:02x}" * 32
    version = model_version(created, digest)
    model = ModelMetadata(
        version=version,
        created_at=created,
        status=status,
        path=f"models/{version}.pth",
        sha256=digest,
        schema_name="asked",
        schema_digest="ef" * 32,
        preset="fast",
        objective="supervised",
        pretrained=True,
        members=1,
        parameters=9,
        rows={"train": 6},
        seed=0,
        code_version="0.3.0",
        libraries={},
        training_seconds=1.5,
        snapshot="data-1",
    )
    ModelRepository(database).add(model)
    return version


def promoted(database: Database, number: int) -> str:
    """Store the document of a model and make it the champion; returns its version."""
    version = registered(database, number)
    models = ModelRepository(database)
    before = models.champion()
    seen = (0, None) if before is None else (before.rev, before.version)
    assert models.move_champion(version, f"{number:02x}" * 32, seen_rev=seen[0], seen_version=seen[1])
    return version


def key_of(
    identifier: str,
    secret: str = "s3cret",
    *,
    scopes: Sequence[str] = ("score",),
    days: float | None = None,
    revoked: bool = False,
) -> ApiKey:
    """A key of the store; its token is `<identifier>.<secret>`."""
    now = datetime.now(UTC)
    return ApiKey(
        key=identifier,
        secret_digest=digest_of(secret),
        scopes=tuple(KeyScope(scope) for scope in scopes),
        owner="tests",
        created_at=now,
        expires_at=None if days is None else now + timedelta(days=days),
        revoked_at=now if revoked else None,
    )

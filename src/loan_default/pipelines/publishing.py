"""What a run leaves for others: its schema, its quarantine and the registered model."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loan_default.database.connect import Database
from loan_default.database.documents import (
    DatasetName,
    ModelMetadata,
    PerformanceMetrics,
    TrainingData,
    finite_figures,
)
from loan_default.database.repositories import (
    MetricsRepository,
    ModelRepository,
    TrainingDataRepository,
    register_model,
)
from loan_default.evaluation.bootstrap import Interval
from loan_default.files import sha256_of, write_atomically
from loan_default.models.artifact import write_digest
from loan_default.pipelines.dataset import snapshot_of
from loan_default.pipelines.preparing import Prepared
from loan_default.pipelines.training import LIBRARIES, Trained

MODELS = "models"
"""Folder of the registered models, under the home folder."""
_NOT_FIGURES = frozenset({"rows", "bads"})


def store_inputs(prepared: Prepared, out: Path) -> Path | None:
    """Write the schema and the quarantine of a run into its folder, before anything slow begins.

    Returns the name that another schema which lay there was given: a person may have edited it.
    """
    saved, given = out / "schema.toml", prepared.options.schema
    content = given.read_bytes() if given else prepared.schema_choice.to_toml().encode()
    kept = None
    if saved.exists() and saved.read_bytes() != content:
        kept = saved.with_name(f"schema-{sha256_of(saved)[:8]}.toml")
        saved.replace(kept)
    write_atomically(saved, content)
    quarantine = out / "quarantine.csv"
    if len(prepared.dataset.quarantined):
        write_atomically(quarantine, prepared.dataset.quarantined.to_csv(index=False).encode())
    else:
        quarantine.unlink(missing_ok=True)
    return kept


def store_model(
    prepared: Prepared, trained: Trained, *, home: Path, database: Database, intervals: Mapping[str, Interval]
) -> ModelMetadata:
    """Keep the model file under its version and register it with its figures and its data.

    Args:
        home: folder under which models are kept.
        intervals: figures on the test rows with their ranges.
    """
    kept = home / MODELS / f"{trained.model.version}.pth"
    write_atomically(kept, trained.path.read_bytes())
    write_digest(kept, trained.sha256)
    for repository in (TrainingDataRepository, MetricsRepository, ModelRepository):
        repository(database).ensure_indexes()
    now = datetime.now(UTC)
    snapshot = snapshot_of(prepared.dataset, now)
    document = _model_document(prepared, trained, path=kept.relative_to(home), snapshot=snapshot)
    held_out = DatasetName.OUT_OF_TIME if prepared.options.out_of_time else DatasetName.TEST
    metrics = [
        _metrics(trained, DatasetName.VALIDATION, {}, snapshot.id, now),
        _metrics(trained, held_out, intervals, snapshot.id, now),
    ]
    register_model(database, document, metrics=metrics, snapshot=snapshot)
    return document


def _model_document(
    prepared: Prepared, trained: Trained, *, path: Path, snapshot: TrainingData
) -> ModelMetadata:
    split = prepared.split
    return ModelMetadata(
        version=trained.model.version,
        created_at=trained.started_at,
        path=path.as_posix(),
        sha256=trained.sha256,
        schema_name=prepared.schema.name,
        schema_digest=prepared.schema.digest,
        preset=prepared.preset.name,
        objective=prepared.objective,
        pretrained=prepared.starts_pretrained,
        members=len(trained.members),
        parameters=sum(p.numel() for member in trained.model.members for p in member.parameters()),
        rows={
            "train": len(split.train),
            "validation": len(split.validation),
            "test": len(split.test),
            "unlabelled": len(split.unlabelled),
        },
        seed=prepared.options.seed,
        code_version=str(trained.model.provenance["code_version"]),
        libraries={name: str(trained.model.provenance[name]) for name in LIBRARIES},
        training_seconds=sum(trained.seconds.values()),
        snapshot=snapshot.id,
    )


def _metrics(
    trained: Trained,
    dataset: DatasetName,
    intervals: Mapping[str, Interval],
    snapshot: str,
    now: datetime,
) -> PerformanceMetrics:
    of_validation = dataset is DatasetName.VALIDATION
    measured: Mapping[str, Any] = trained.model.figures["validation" if of_validation else "test"]
    figures, reasons = finite_figures({name: v for name, v in measured.items() if name not in _NOT_FIGURES})
    return PerformanceMetrics(
        version=trained.model.version,
        dataset=dataset,
        snapshot=snapshot,
        computed_at=now,
        rows=measured["rows"],
        label_rate=measured["base_rate"],
        figures=figures,
        intervals={name: (each.low, each.high) for name, each in intervals.items() if name in figures},
        reasons=reasons,
    )

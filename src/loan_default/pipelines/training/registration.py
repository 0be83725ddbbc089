"""What a run leaves behind: its schema and quarantine in its folder, and its model in the registry."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from loan_default.data.sources.spreadsheets import write_csv
from loan_default.database.audit_repository import AuditRepository, record_registration
from loan_default.database.connect import Database
from loan_default.database.documents import (
    ID_DIGITS,
    DatasetName,
    ModelMetadata,
    PerformanceMetrics,
    TrainingData,
)
from loan_default.database.evidence_documents import EvidenceRepository, ModelEvidence
from loan_default.database.repositories import (
    MetricsRepository,
    ModelRepository,
    TrainingDataRepository,
    register_model,
)
from loan_default.errors import ArtifactError
from loan_default.evaluation.bootstrap import Interval
from loan_default.evaluation.training_evidence import TrainingEvidence
from loan_default.files import sha256_of, write_atomically
from loan_default.models.artifact import write_digest
from loan_default.models.deriving import derive
from loan_default.models.serving_file import serving_path
from loan_default.pipelines.layout import MODELS, SERVING_FILES
from loan_default.pipelines.registry import metrics_to_store
from loan_default.pipelines.training.dataset import snapshot_of
from loan_default.pipelines.training.plan import TrainingPlan
from loan_default.pipelines.training.provenance import FOR_TREES, LIBRARIES
from loan_default.pipelines.training.stages import Trained


def write_inputs(plan: TrainingPlan, out: Path) -> Path | None:
    """Write the schema and the quarantine of a run into its folder, before anything slow begins.

    Returns the name that another schema which lay there was given: a person may have edited it.
    """
    saved, given = out / "schema.toml", plan.options.schema
    content = given.read_bytes() if given else plan.schema_choice.to_toml().encode()
    kept = None
    if saved.exists() and saved.read_bytes() != content:
        kept = saved.with_name(f"schema-{sha256_of(saved)[:8]}.toml")
        saved.replace(kept)
    write_atomically(saved, content)
    quarantine = out / "quarantine.csv"
    if len(plan.dataset.quarantined):
        write_atomically(quarantine, partial(write_csv, plan.dataset.quarantined))
    else:
        quarantine.unlink(missing_ok=True)
    return kept


class Registration(BaseModel):
    """The documents of a trained model for the registry; as JSON they go from one step to the next."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: ModelMetadata
    metrics: tuple[PerformanceMetrics, ...]
    snapshot: TrainingData
    evidence: ModelEvidence | None = None
    """What the documents of the model are made from; None = an older release trained it."""


def registration_of(
    plan: TrainingPlan,
    trained: Trained,
    *,
    intervals: Mapping[str, Interval],
    evidence: TrainingEvidence | None = None,
    run: str | None = None,
) -> Registration:
    """The documents of a trained model, its metrics and its data.

    Args:
        intervals: metrics on the test rows with their ranges.
        evidence: figures for the documents; None = there will be none.
        run: id of the scheduled run; None = a run by hand.
    """
    now = datetime.now(UTC)
    snapshot = snapshot_of(plan.dataset, now)
    test = DatasetName.OUT_OF_TIME if plan.options.out_of_time else DatasetName.TEST
    return Registration(
        model=_model_document(plan, trained, snapshot=snapshot, run=run),
        metrics=(
            _metrics(trained, DatasetName.VALIDATION, {}, snapshot.id, now),
            _metrics(trained, test, intervals, snapshot.id, now),
        ),
        snapshot=snapshot,
        evidence=None
        if evidence is None
        else ModelEvidence(
            version=trained.model.version,
            sha256=trained.sha256,
            computed_at=now,
            figures=evidence.model_dump(mode="json"),
        ),
    )


def register_trained(
    registration: Registration, file: Path, *, home: Path, database: Database, by: str | None = None
) -> ModelMetadata:
    """Copy the model file to the registered models and register it with its metrics and its data.

    What a process without torch scores by is derived from it as well.

    Args:
        file: the model file; it must have the digest of the registration.
        home: folder of the registered models.
        by: the person that trained it by hand, for the audit trail; None = it is not known.

    Raises:
        ArtifactError: the file has another digest, or does not score its golden rows.
        DataError: another model is registered for the same run.
    """
    model, content = registration.model, file.read_bytes()
    if (digest := hashlib.sha256(content).hexdigest()) != model.sha256:
        raise ArtifactError(
            f"a model file must be as it was written, however: {file} has the digest "
            f"{digest[:ID_DIGITS]}…, not {model.sha256[:ID_DIGITS]}…. Train it again."
        )
    for repository in (
        TrainingDataRepository,
        MetricsRepository,
        ModelRepository,
        AuditRepository,
        EvidenceRepository,
    ):
        repository(database).ensure_indexes()
    if model.run is not None:
        ModelRepository(database).claim_run(model.run, model.version)
    kept = home / model.path
    write_atomically(kept, content)
    write_digest(kept, model.sha256)
    derive(kept, sha256=model.sha256, out=serving_path(home / SERVING_FILES, model.sha256))
    if registration.evidence is not None:
        EvidenceRepository(database).add(registration.evidence)
    register_model(database, model, metrics=registration.metrics, snapshot=registration.snapshot)
    who = by or "a person unnamed" if model.run is None else f"run {model.run}"
    record_registration(database, model, who=who, evidence=registration.evidence)
    return model


def _model_document(
    plan: TrainingPlan, trained: Trained, *, snapshot: TrainingData, run: str | None
) -> ModelMetadata:
    split = plan.split
    return ModelMetadata(
        version=trained.model.version,
        created_at=trained.started_at,
        path=f"{MODELS}/{trained.model.version}.pth",
        sha256=trained.sha256,
        schema_name=plan.schema.name,
        schema_digest=plan.schema.digest,
        preset=plan.preset.name,
        objective=plan.objective,
        pretrained=plan.starts_pretrained,
        members=len(trained.members),
        trees=0 if trained.model.trees is None else len(trained.model.trees),
        parameters=sum(p.numel() for member in trained.model.members for p in member.parameters()),
        rows={
            "train": len(split.train),
            "validation": len(split.validation),
            "test": len(split.test),
            "unlabelled": len(split.unlabelled),
        },
        seed=plan.options.seed,
        code_version=str(trained.model.provenance["code_version"]),
        libraries={
            name: str(trained.model.provenance[name])
            for name in (*LIBRARIES, *FOR_TREES)
            if name in trained.model.provenance
        },
        training_seconds=sum(trained.seconds.values()),
        snapshot=snapshot.id,
        run=run,
    )


def _metrics(
    trained: Trained,
    dataset: DatasetName,
    intervals: Mapping[str, Interval],
    snapshot: str,
    now: datetime,
) -> PerformanceMetrics:
    of_validation = dataset is DatasetName.VALIDATION
    measured: Mapping[str, Any] = trained.model.metrics["validation" if of_validation else "test"]
    metrics, reasons = metrics_to_store(measured)
    return PerformanceMetrics(
        version=trained.model.version,
        dataset=dataset,
        snapshot=snapshot,
        computed_at=now,
        rows=measured["rows"],
        label_rate=measured["base_rate"],
        figures=metrics,
        intervals={name: (each.low, each.high) for name, each in intervals.items() if name in metrics},
        reasons=reasons,
    )

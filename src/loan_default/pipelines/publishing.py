"""What a run leaves behind: the registered model, the report, the quarantine, the schema."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loan_default.data.schema import Kind
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
from loan_default.evaluation.bootstrap import Interval, bootstrap_figures, paired_bootstrap
from loan_default.evaluation.importance import Importance, permutation_importance
from loan_default.evaluation.report import render_report
from loan_default.evaluation.report_inputs import (
    Choice,
    ColumnSummary,
    DataSummary,
    EpochPoint,
    MemberCurve,
    ReportInputs,
    SplitSummary,
    TestPredictions,
)
from loan_default.files import write_atomically
from loan_default.models.artifact import digest_path
from loan_default.pipelines.dataset import Dataset
from loan_default.pipelines.preparing import Prepared
from loan_default.pipelines.training import LIBRARIES, Trained

_NOT_FIGURES = frozenset({"rows", "bads"})


def store_inputs(prepared: Prepared, out: Path) -> None:
    """Write the schema and the quarantine of a run into its folder, before anything slow begins."""
    saved, given = out / "schema.toml", prepared.options.schema
    if given is None or not saved.exists() or not saved.samefile(given):  # a person's comments stay
        write_atomically(saved, given.read_bytes() if given else prepared.choice.to_toml().encode())
    quarantine = out / "quarantine.csv"
    if len(prepared.dataset.quarantined):
        write_atomically(quarantine, prepared.dataset.quarantined.to_csv(index=False).encode())
    else:
        quarantine.unlink(missing_ok=True)


def store_model(
    prepared: Prepared, trained: Trained, *, home: Path, database: Database, intervals: Mapping[str, Interval]
) -> ModelMetadata:
    """Keep the model file under its version and register it with its figures and its data.

    Args:
        home: folder under which models are kept.
        intervals: figures on the test rows with their ranges.
    """
    kept = home / "models" / f"{trained.model.version}.pth"
    write_atomically(kept, trained.path.read_bytes())
    write_atomically(digest_path(kept), f"{trained.sha256}  {kept.name}\n".encode())
    for repository in (TrainingDataRepository, MetricsRepository, ModelRepository):
        repository(database).ensure_indexes()
    now = datetime.now(UTC)
    snapshot = _snapshot(prepared, now)
    document = _model_document(prepared, trained, path=kept.relative_to(home), snapshot=snapshot)
    held_out = DatasetName.OUT_OF_TIME if prepared.options.out_of_time else DatasetName.TEST
    metrics = [
        _metrics(trained, DatasetName.VALIDATION, {}, snapshot.id, now),
        _metrics(trained, held_out, intervals, snapshot.id, now),
    ]
    register_model(database, document, metrics=metrics, snapshot=snapshot)
    return document


def importance_of(prepared: Prepared, trained: Trained) -> list[Importance]:
    """What the AUC loses on the test rows when a column is shuffled, the largest loss first."""
    rows = prepared.dataset.frame.iloc[prepared.split.test]
    return permutation_importance(
        trained.model.predict_pd,
        rows,
        trained.test.y,
        list(prepared.features.names),
        seed=prepared.options.seed,
        rows=1000,
    )


def test_intervals(trained: Trained, *, seed: int) -> Mapping[str, Interval]:
    """Figures on the test rows with their bootstrap ranges."""
    return bootstrap_figures(trained.test.y, trained.test.calibrated, seed=seed)


def build_report(
    prepared: Prepared,
    trained: Trained,
    *,
    intervals: Mapping[str, Interval],
    importance: list[Importance],
    command: str,
) -> str:
    """The report of a run as HTML text."""
    seed, test, preset = prepared.options.seed, trained.test, prepared.preset
    pretrained = trained.pretrained.fitted.history if trained.pretrained else ()
    parameters = sum(parameter.numel() for parameter in trained.model.members[0].parameters())
    origin = "pretrained" if trained.pretrained or prepared.encoder else "not pretrained"
    inputs = ReportInputs(
        title=f"Probability of default: {prepared.schema.name}",
        model=(
            f"Mean of {len(trained.members)} tabular transformers with {preset.encoder.n_layers} layers and "
            f"{parameters:,} weights each, {origin}, Platt-calibrated."
        ),
        created_at=datetime.now(UTC),
        data=_data_summary(prepared),
        test=TestPredictions(
            y=test.y, calibrated=test.calibrated, uncalibrated=test.raw, baseline=test.baseline
        ),
        metrics=intervals,
        baseline_metrics=bootstrap_figures(test.y, test.baseline, seed=seed),
        auc_difference=paired_bootstrap(test.y, test.calibrated, test.baseline, metric="auc", seed=seed),
        pretraining=tuple(EpochPoint(epoch=each.epoch, losses=each.losses) for each in pretrained),
        training=tuple(
            MemberCurve(
                name=f"Member {number}",
                epochs=tuple(each.epoch for each in fitted.history),
                training_loss=tuple(each.losses["loss"] for each in fitted.history),
                validation_auc=tuple(each.score for each in fitted.history),
                best_epoch=fitted.best.epoch,
            )
            for number, fitted in enumerate(trained.members, start=1)
        ),
        importance=importance,
        hyperparameters={
            "encoder": asdict(preset.encoder),
            "head": asdict(preset.head),
            "members": preset.members,
            "training": asdict(preset.training),
            **(
                {"pretraining": {**asdict(preset.pretraining), **asdict(preset.objective)}}
                if trained.pretrained
                else {}
            ),
            "calibration": asdict(trained.model.calibration),
        },
        choices=(
            Choice(what="preset", value=preset.name, reason=f"costs {preset.cost} on the bundled data"),
            *(Choice(what=c.what, value=c.value, reason=c.reason) for c in prepared.compute.choices),
            Choice(what="schema", value=prepared.schema.name, reason=prepared.choice.origin),
        ),
        provenance={
            "model version": trained.model.version,
            "model sha256": trained.sha256,
            **{name.replace("_", " "): str(value) for name, value in trained.model.provenance.items()},
            "command": command,
            "started": trained.started_at.isoformat(timespec="seconds"),
        },
        timings=trained.seconds,
    )
    return render_report(inputs)


def _snapshot(prepared: Prepared, now: datetime) -> TrainingData:
    dataset = prepared.dataset
    labels = _labels(dataset)
    timestamp = dataset.schema.timestamp
    times = dataset.frame[timestamp.name].dropna() if timestamp and timestamp.name in dataset.frame else None
    has_times = times is not None and len(times) > 0
    return TrainingData(
        digest=dataset.digest,
        created_at=now,
        sources=(dataset.source,),
        rows_read=dataset.rows_read,
        rows_accepted=len(dataset.frame),
        rows_rejected=len(dataset.quarantined),
        rows_duplicate=dataset.duplicates,
        label_rate=float(labels.mean()) if len(labels) else None,
        columns=tuple(str(name) for name in dataset.frame.columns),
        first_at=times.min().to_pydatetime() if has_times and times is not None else None,
        last_at=times.max().to_pydatetime() if has_times and times is not None else None,
    )


def _model_document(
    prepared: Prepared, trained: Trained, *, path: Path, snapshot: TrainingData
) -> ModelMetadata:
    split, preset = prepared.split, prepared.preset
    pretrained = trained.pretrained is not None or prepared.encoder is not None
    return ModelMetadata(
        version=trained.model.version,
        created_at=trained.started_at,
        path=path.as_posix(),
        sha256=trained.sha256,
        schema_name=prepared.schema.name,
        schema_digest=prepared.schema.digest,
        preset=preset.name,
        objective=preset.objective.objective if trained.pretrained else "none",
        pretrained=pretrained,
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


def _data_summary(prepared: Prepared) -> DataSummary:
    dataset, split = prepared.dataset, prepared.split
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    assert dataset.schema.target is not None
    target = dataset.frame[dataset.schema.target.name].to_numpy(dtype=np.float64)
    return DataSummary(
        sources=(dataset.source,),
        rows_read=dataset.rows_read,
        accepted=len(dataset.frame),
        duplicates=dataset.duplicates,
        quarantined=len(dataset.quarantined),
        reasons=dataset.reasons,
        unlabelled=len(split.unlabelled),
        default_rate=float(_labels(dataset).mean()),
        splits=tuple(
            SplitSummary(name=name, rows=len(rows), default_rate=float(target[rows].mean()))
            for name, rows in parts.items()
        ),
        split_method=split.reason,
        columns=tuple(
            ColumnSummary(column=column, missing_share=float(dataset.frame[column.name].isna().mean()))
            for column in dataset.schema.columns
            if column.kind is not Kind.TARGET
        ),
        findings=tuple((finding.column, finding.message) for finding in prepared.choice.findings),
    )


def _labels(dataset: Dataset) -> NDArray[np.float64]:
    assert dataset.schema.target is not None
    labels: NDArray[np.float64] = dataset.frame[dataset.schema.target.name].to_numpy(dtype=np.float64)
    return labels[~np.isnan(labels)]

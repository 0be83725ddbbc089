"""Measuring a model and the champion on the same rows, and storing metrics and evidence of the gate."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from loan_default.data.schema.column import CODED_KINDS
from loan_default.database.documents import PerformanceMetrics, TrainingData
from loan_default.database.gate_documents import StoredColumnPsi, StoredEvidence, StoredLead
from loan_default.database.repositories import MetricsRepository
from loan_default.errors import ConfigurationError, did_you_mean
from loan_default.evaluation.bootstrap import bootstrap_intervals, paired_bootstrap
from loan_default.evaluation.delong import paired_auc
from loan_default.evaluation.drift import FALSE_ALARMS
from loan_default.evaluation.drift_statistics import Stability, psi
from loan_default.evaluation.metrics import measure
from loan_default.evaluation.segments import compare_segments
from loan_default.models.drift_bins import counted_sample
from loan_default.models.freezing import frozen_model
from loan_default.models.golden_rows import golden_frame
from loan_default.models.model import LoanModel
from loan_default.pipelines.promotion.evaluation_run import EvaluationRun
from loan_default.pipelines.promotion.live_evidence import live_evidence
from loan_default.pipelines.promotion.stored_evidence import stored_lead, stored_segment
from loan_default.pipelines.promotion.unseen_rows import UnseenRows
from loan_default.pipelines.registry import metrics_to_store
from loan_default.pipelines.scoring.file_scoring import scoring_threads
from loan_default.pipelines.training.dataset import Dataset

Floats = NDArray[np.float64]

_DRAWS = 300
_MISSING = "missing"
"""Name of the segment of rows without a value."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MeasuredRows:
    """The rows that models are measured on."""

    dataset: Dataset
    snapshot: TrainingData
    rows: UnseenRows

    @property
    def y(self) -> Floats:
        """`(N,)` outcomes."""
        return self.dataset.labels[self.rows.positions]

    @property
    def weights(self) -> Floats | None:
        """`(N,)` how much each row counts; None = all alike."""
        weights = self.dataset.weights
        return None if weights is None else weights[self.rows.positions]

    def pds_of(self, model: LoanModel) -> Floats:
        """`(N,)` PDs of a model."""
        return model.predict_pd(self.dataset.frame.iloc[self.rows.positions])


def measure_both(
    run: EvaluationRun, model: LoanModel, champion: LoanModel | None, measured: MeasuredRows
) -> tuple[str, str | None]:
    """Measure a model and, where there is one, the champion on the same rows; returns the ids of both.

    Raises:
        ConfigurationError: a column of segments has none.
        DependencyError: the database is away.
    """
    segments = segment_values(measured, run.policy.segments)
    with scoring_threads():
        pds = measured.pds_of(model)
        other = None if champion is None else measured.pds_of(champion)
        evidence = _evidence(run, model, measured, pds=pds)
        compared = evidence.model_copy(
            update={
                "lead": None if other is None else _lead(measured, pds, other),
                "live": None if champion is None else live_evidence(run, model.version, champion.version),
                "segments": tuple(
                    stored_segment(each)
                    for each in compare_segments(
                        segments,
                        y=measured.y,
                        new=pds,
                        old=other,
                        weights=measured.weights,
                        thresholds=run.thresholds,
                    )
                ),
            }
        )
        metrics = _store(run, measured, compared, pds=pds, version=model.version, beside=champion)
        if champion is None or other is None:
            return metrics, None
        evidence = _evidence(run, champion, measured, pds=other)
        return metrics, _store(run, measured, evidence, pds=other, version=champion.version, beside=model)


def golden_gap(model: LoanModel, *, sha256: str) -> float | None:
    """Return how far golden rows are from their stored PDs at most, by torch and by the arrays of servers.

    None = the file has no golden rows, or one has no PD any more.
    """
    golden = model.golden
    if golden is None:
        return None
    frame = golden_frame(golden.records, model.schema)
    frozen = frozen_model(model, golden=golden, digest=sha256)
    found = (model.predict_pd(frame), frozen.predict_pd(frozen.features.transform(frame)))
    gap = max(float(np.abs(pds - golden.pds).max()) for pds in found)
    return gap if np.isfinite(gap) else None


def segment_values(measured: MeasuredRows, columns: Sequence[str]) -> list[tuple[str, NDArray[np.str_]]]:
    """Return for each column the segment of each row.

    Raises:
        ConfigurationError: the schema has no such column, or it has no categories.
    """
    schema, frame = measured.dataset.schema, measured.dataset.frame
    coded = [column.name for column in schema.columns if column.kind in CODED_KINDS]
    found = []
    for name in columns:
        if name not in coded:
            raise ConfigurationError(
                "LOAN_DEFAULT_SEGMENTS must name columns with categories, however: "
                f"{name!r} is none of {coded}.{did_you_mean(name, coded)}"
            )
        values = frame[name].iloc[measured.rows.positions].astype(object).fillna(_MISSING)
        found.append((name, values.to_numpy(dtype=str)))
    return found


def _evidence(run: EvaluationRun, model: LoanModel, measured: MeasuredRows, *, pds: Floats) -> StoredEvidence:
    sha256 = run.models.get(model.version).sha256
    stability, moved = _stability(run, model, measured, pds)
    return StoredEvidence(
        artefact=sha256,
        golden_gap=golden_gap(model, sha256=sha256),
        bads=int(measured.y.sum()),
        coverage=measured.rows.coverage,
        score_psi=None if stability is None else stability.value,
        score_psi_critical=None if stability is None else stability.critical,
        column_psi=moved,
        approval_rate=float(np.average(pds <= run.policy.cutoff, weights=measured.weights)),
        monotonic=tuple(column.name for column in model.schema.features if column.monotonic),
    )


def _stability(
    run: EvaluationRun, model: LoanModel, measured: MeasuredRows, pds: Floats
) -> tuple[Stability, StoredColumnPsi] | tuple[None, None]:
    """PSI of the PDs and of the column that has moved furthest beyond its limit, in bins of the training.

    None = an older release froze no bins.
    """
    if "pd" not in model.reference:
        return None, None
    frame = measured.dataset.frame.iloc[measured.rows.positions]
    counted = counted_sample(frame, pds, features=model.architecture.features, reference=model.reference)
    level = 1 - FALSE_ALARMS / len(counted.columns)  # of all columns together
    found = [(each.name, psi(each.expected, each.actual, level=level)) for each in counted.columns]
    name, furthest = max(
        found, key=lambda pair: pair[1].value / max(run.thresholds.maximum_column_psi, pair[1].critical, 1e-9)
    )
    score = psi(counted.score.expected, counted.score.actual)
    return score, StoredColumnPsi(column=name, value=furthest.value, critical=furthest.critical)


def _lead(measured: MeasuredRows, new: Floats, old: Floats) -> StoredLead | None:
    drawn = paired_bootstrap(
        measured.y, new, old, metric="auc", seed=0, weights=measured.weights, draws=_DRAWS
    )
    paired = paired_auc(measured.y, new, old, weights=measured.weights)
    return stored_lead(paired, bootstrap=(drawn.low, drawn.high))


def _store(
    run: EvaluationRun,
    measured: MeasuredRows,
    evidence: StoredEvidence,
    *,
    pds: Floats,
    version: str,
    beside: LoanModel | None,
) -> str:
    """Measure a model and store the metrics; returns the id of their document."""
    y, weights = measured.y, measured.weights
    metrics, reasons = metrics_to_store(asdict(measure(y, pds, weights=weights)))
    intervals = bootstrap_intervals(y, pds, seed=0, weights=weights, draws=_DRAWS)
    document = PerformanceMetrics(
        version=version,
        dataset=measured.rows.name,
        snapshot=measured.snapshot.id,
        run=run.id,
        beside=None if beside is None else beside.version,
        computed_at=measured.snapshot.created_at,
        rows=len(y),
        label_rate=float(y.mean()),
        figures=metrics,
        intervals={name: (each.low, each.high) for name, each in intervals.items() if name in metrics},
        reasons=reasons,
        evidence=evidence,
    )
    repository = MetricsRepository(run.services.database)
    repository.ensure_indexes()
    # A second computation of the same metrics may differ in the last digits: the first one is kept.
    if repository.find(document.id) is None:
        repository.add(document)
    return document.id

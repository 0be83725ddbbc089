"""The evidence of the gate: from stored documents and into them."""

import math
from datetime import UTC, datetime

from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.documents import DatasetName, PerformanceMetrics
from loan_default.database.gate_documents import StoredEvidence, StoredLead, StoredSegment
from loan_default.database.repositories import MetricsRepository
from loan_default.evaluation.delong import PairedAuc
from loan_default.evaluation.gate_evidence import BesideChampion, Evidence
from loan_default.evaluation.segments import SegmentComparison
from loan_default.pipelines.promotion.evaluation_run import EvaluationRun
from loan_default.pipelines.promotion.live_evidence import live_lead

_DAY_SECONDS = 86_400


def evidence_of(run: EvaluationRun, own: PerformanceMetrics, champion: PerformanceMetrics | None) -> Evidence:
    """Return the evidence on a model from its metrics and those of the champion on the same rows.

    What an older release did not store is missing, which the gate refuses.
    """
    stored = own.evidence
    moved = None if stored is None else stored.column_psi
    psi = None
    if stored is not None and stored.score_psi is not None and stored.score_psi_critical is not None:
        psi = (stored.score_psi, stored.score_psi_critical)
    pointer = run.models.champion()
    is_champion = pointer is not None and pointer.version == own.version
    return Evidence(
        artefact=run.models.get(own.version).sha256,
        data=own.snapshot,
        rows=own.rows,
        bads=0 if stored is None else stored.bads,
        metrics=own.figures,
        auc_interval=own.intervals.get("auc"),
        coverage=None if stored is None else stored.coverage,
        golden_gap=None if stored is None else stored.golden_gap,
        score_psi=psi,
        column_psi=None if moved is None else (moved.column, moved.value, moved.critical),
        approval_rate=None if stored is None else stored.approval_rate,
        champion=None if champion is None else _beside(run, own, champion),
        segments=() if stored is None else tuple(map(segment_of, stored.segments)),
        days_since_promotion=None if is_champion else _days_since_promotion(run),
    )


def stored_lead(paired: PairedAuc, *, bootstrap: tuple[float, float] | None = None) -> StoredLead | None:
    """Return a lead as it is stored; None where its error is not defined."""
    if not math.isfinite(paired.error):
        return None
    return StoredLead(new=paired.new, old=paired.old, error=paired.error, bootstrap=bootstrap)


def stored_segment(segment: SegmentComparison) -> StoredSegment:
    """Return a segment as it is stored."""
    known = segment.gap_error is not None and math.isfinite(segment.gap_error)
    return StoredSegment(
        column=segment.column,
        value=segment.value or "(empty)",
        rows=segment.rows,
        bads=segment.bads,
        lead=None if segment.lead is None else stored_lead(segment.lead),
        gap=segment.gap if known else None,
        gap_error=segment.gap_error if known else None,
    )


def segment_of(stored: StoredSegment) -> SegmentComparison:
    """Return a stored segment as it was compared."""
    return SegmentComparison(
        column=stored.column,
        value=stored.value,
        rows=stored.rows,
        bads=stored.bads,
        lead=_paired(stored.lead),
        gap=stored.gap,
        gap_error=stored.gap_error,
    )


def comparisons_with(run: EvaluationRun, champion: str, *, until: datetime) -> int:
    """Return how many models were measured beside a champion since it is one, the last one included.

    The same model on the same data is one comparison, however often it was made.
    """
    move = DecisionRepository(run.services.database).last_move(champion)
    since = datetime.min.replace(tzinfo=UTC) if move is None else move.decided_at
    measured = {
        (each.version, each.snapshot)
        for each in MetricsRepository(run.services.database).beside(champion)
        if since <= each.computed_at <= until and each.dataset is not DatasetName.VALIDATION
    }
    return max(1, len(measured))


def _beside(run: EvaluationRun, own: PerformanceMetrics, champion: PerformanceMetrics) -> BesideChampion:
    evidence: StoredEvidence | None = champion.evidence
    return BesideChampion(
        metrics=champion.figures,
        lead=None if own.evidence is None else _paired(own.evidence.lead),
        approval_rate=None if evidence is None else evidence.approval_rate,
        comparisons=comparisons_with(run, champion.version, until=own.computed_at),
        live=live_lead(None if own.evidence is None else own.evidence.live),
    )


def _paired(stored: StoredLead | None) -> PairedAuc | None:
    return None if stored is None else PairedAuc(new=stored.new, old=stored.old, error=stored.error)


def _days_since_promotion(run: EvaluationRun) -> float | None:
    move = DecisionRepository(run.services.database).last_move()
    return None if move is None else (datetime.now(UTC) - move.decided_at).total_seconds() / _DAY_SECONDS

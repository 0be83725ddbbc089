"""Segments: is a model worse than the champion, or wrong in its level, in one part of the applications?

A rule for each is broken where the loss is certain: few rows say little, and an interval that must lie above
the margin would refuse every model for its smallest segment. The intervals of all segments hold together, at
95 % (Bonferroni). A segment with too few rows is left out, and its rule states so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from loan_default.evaluation import gate_rules as rules
from loan_default.evaluation.delong import PairedAuc, error_of_mean, paired_auc
from loan_default.evaluation.gate_rules import Rule
from loan_default.evaluation.metrics import Floats
from loan_default.thresholds import Thresholds

_ERROR = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentComparison:
    """A model in one segment, beside the champion."""

    column: str
    value: str
    rows: int
    bads: int
    lead: PairedAuc | None = None
    """None = there is no champion, or the segment is too small."""
    gap: float | None = None
    """Default rate less mean PD; None = the segment is too small."""
    gap_error: float | None = None


def compare_segment(
    column: str,
    value: str,
    *,
    y: Floats,
    new: Floats,
    old: Floats | None,
    weights: Floats,
    thresholds: Thresholds,
) -> SegmentComparison:
    """Compare two models in the rows of one segment.

    Args:
        y: `(N,)` outcomes.
        new, old: `(N,)` PDs of the model and of the champion; None = there is no champion.
        weights: `(N,)` how much each row counts.
    """
    bads = int(y.sum())
    if len(y) < thresholds.minimum_segment_rows or min(bads, len(y) - bads) < thresholds.minimum_bads:
        return SegmentComparison(column=column, value=value, rows=len(y), bads=bads)
    return SegmentComparison(
        column=column,
        value=value,
        rows=len(y),
        bads=bads,
        lead=None if old is None else paired_auc(y, new, old, weights=weights),
        gap=float(np.average(y - new, weights=weights)),
        gap_error=error_of_mean(y - new, weights),
    )


def compare_segments(
    values: Sequence[tuple[str, NDArray[np.str_]]],
    *,
    y: Floats,
    new: Floats,
    old: Floats | None,
    weights: ArrayLike | None,
    thresholds: Thresholds,
) -> tuple[SegmentComparison, ...]:
    """Compare two models in each segment of each column, by name.

    Args:
        values: column -> `(N,)` the segment of each row.
    """
    counts_as = np.ones(len(y)) if weights is None else np.asarray(weights, np.float64)
    return tuple(
        compare_segment(
            column,
            str(value),
            y=y[inside],
            new=new[inside],
            old=None if old is None else old[inside],
            weights=counts_as[inside],
            thresholds=thresholds,
        )
        for column, segments in values
        for value in np.unique(segments)
        for inside in [segments == value]
    )


def segment_rules(
    segments: Sequence[SegmentComparison], *, thresholds: Thresholds, columns: Sequence[str]
) -> Iterator[Rule]:
    """Check each segment of the columns that are asked for."""
    if not columns:
        yield rules.off(rules.SEGMENTS, "segments", "no columns of segments are named.")
        return
    for column in columns:
        if not any(each.column == column for each in segments):
            yield rules.decided(
                rules.SEGMENTS,
                "segments",
                passed=False,
                value=None,
                threshold=None,
                sentence=f"the segments of {column} are not known.",
            )
    large = [each for each in segments if each.gap is not None]
    z = float(ndtri(1 - _ERROR / (2 * max(1, 2 * len(large)))))
    for each in segments:
        yield from _rules_of(each, z=z, thresholds=thresholds)


def _rules_of(segment: SegmentComparison, *, z: float, thresholds: Thresholds) -> Iterator[Rule]:
    called = f"{segment.column} {segment.value}"
    if segment.gap is None or segment.gap_error is None:
        yield rules.off(
            rules.SEGMENTS,
            "segment",
            f"{called} has {segment.rows:,} rows and {segment.bads:,} defaults, too few to compare.",
        )
        return
    limit, half = thresholds.maximum_segment_gap, z * segment.gap_error
    low, high = segment.gap - half, segment.gap + half
    yield rules.decided(
        rules.SEGMENTS,
        "segment_gap",
        passed=low <= limit and high >= -limit,
        value=segment.gap,
        threshold=limit,
        interval=(low, high),
        sentence=f"in {called} ({segment.rows:,} rows) the default rate less the mean PD is {low:.4f} to "
        f"{high:.4f}; it must not be certain to be more than {limit:.4f} from 0.",
    )
    if segment.lead is None:
        return
    low, high = segment.lead.lead - z * segment.lead.error, segment.lead.lead + z * segment.lead.error
    loss = thresholds.maximum_auc_loss
    yield rules.decided(
        rules.SEGMENTS,
        "segment_lead",
        passed=high >= -loss,
        value=segment.lead.lead,
        threshold=-loss,
        interval=(low, high),
        sentence=f"in {called} ({segment.rows:,} rows) the lead over the champion is {low:.4f} to "
        f"{high:.4f}; it must not be certain to be below {-loss:.4f}.",
    )

"""What the gate decides by: computed once, stored with the metrics, and checked as often as is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass

from loan_default.evaluation.delong import PairedAuc
from loan_default.evaluation.gate_rules import Metric
from loan_default.evaluation.live_rule import LiveLead
from loan_default.evaluation.segments import SegmentComparison


@dataclass(frozen=True, kw_only=True, slots=True)
class BesideChampion:
    """The champion on the same rows, and the difference."""

    metrics: Mapping[str, Metric]
    lead: PairedAuc | None
    """None = it is not known, which fails."""
    approval_rate: Metric
    comparisons: int = 1
    """Models that were compared with this champion, this one included."""
    live: LiveLead | None = None
    """None = no experiment has compared the two."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What the gate decides by."""

    artefact: str
    """SHA-256 of the model's file."""
    data: str
    """Id of the data that the rows are from."""
    rows: int
    """Labelled rows that the metrics were computed on."""
    bads: int
    metrics: Mapping[str, Metric]
    """`auc`, `ks`, `brier`, `ece`, `calibration_intercept`, `calibration_slope` and `mean_pd` by name."""
    auc_interval: tuple[float, float] | None
    """95 % interval of the AUC."""
    coverage: Metric
    """Share of the rows old enough for an outcome whose outcome is known."""
    golden_gap: Metric
    """Largest difference of a golden row's PD from the stored one."""
    score_psi: tuple[float, float] | None
    """PSI of the scores against those of the training, and what it may be by chance."""
    column_psi: tuple[str, float, float] | None
    """The column that has moved furthest from the training: name, PSI, and what it may be by chance."""
    approval_rate: Metric
    champion: BesideChampion | None = None
    """None = there is no champion, or the two cannot be compared; no lead is asked for."""
    segments: tuple[SegmentComparison, ...] = ()
    days_since_promotion: float | None = None
    """None = no model was ever promoted, or this model is the champion."""

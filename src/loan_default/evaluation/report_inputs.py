"""Inputs of the report of a training run: values and arrays, collected by the training pipeline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from loan_default.choices import Choice
from loan_default.data.schema.column import Column
from loan_default.errors import DataError
from loan_default.evaluation.bootstrap import Interval
from loan_default.evaluation.importance import Importance
from loan_default.evaluation.reject_metrics import RejectFacts

REQUIRED_METRICS = (
    "auc",
    "gini",
    "ks",
    "pr_auc",
    "brier",
    "log_loss",
    "ece",
    "calibration_slope",
    "calibration_intercept",
)
"""A report without one of these is an error, not a report with a gap."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitSummary:
    """The rows of one split."""

    name: str
    """E.g. "train", "validation", "test"."""
    rows: int
    default_rate: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnSummary:
    """A column of the schema, and how often its value was missing."""

    column: Column
    missing_share: float
    """Share of the accepted rows without a value, 0 to 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSummary:
    """The rows that were read, and what became of them."""

    sources: tuple[str, ...]
    """File names or table names, without folders."""
    rows_read: int
    accepted: int
    duplicates: int
    quarantined: int = 0
    """Rows that broke the schema and were set aside."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Broken rule -> rows; a row may break several."""
    unlabelled: int = 0
    """Accepted rows whose outcome is not known; they serve pretraining only."""
    not_known_yet: Mapping[str, int] = field(default_factory=dict)
    """Value of the target that is no outcome yet -> rows, "" = none was given; empty = not counted."""
    rejected_applications: int = 0
    """Of the unlabelled rows, those whose applications were declined."""
    default_rate: float
    """Share of the labelled accepted rows that defaulted, 0 to 1."""
    splits: tuple[SplitSummary, ...]
    split_method: str
    """A sentence that says how the rows were split, and why."""
    columns: tuple[ColumnSummary, ...] = ()
    findings: tuple[tuple[str, str], ...] = ()
    """(column, sentence) of the schema inference; empty = the schema was given."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NearCopies:
    """Near-copies among the labelled rows, and what they do to metrics."""

    rows: int
    """Different labelled rows that have one."""
    share: float
    """Their share of the different labelled rows, 0 to 1."""
    agreement: float
    """Share of pairs with one outcome, 0 to 1."""
    ordinary: float
    """The same share among ordinary neighbours."""
    auc_straddling: float
    """AUC of a boosted model in cross-validation that separates copies at random."""
    auc_apart: float
    """AUC of the same model where copies are kept together."""
    tested: int
    """Test rows that have a near-copy among the rows that were learned from; 0 = none has."""
    without: tuple[float, float, float] | None = None
    """AUC, KS and Brier score on the other test rows; None = there are none, or of one outcome only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochPoint:
    """Pretraining losses after one epoch."""

    epoch: int
    losses: Mapping[str, float]
    """Component -> mean loss of the epoch; every point names the same components."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberCurve:
    """The training of one member of the ensemble."""

    name: str
    epochs: tuple[int, ...]
    training_loss: tuple[float, ...]
    measure: str
    """By what the validation rows decided, the same in all members: `AUC` or `log loss`."""
    validation: tuple[float, ...]
    """The measure after each epoch."""
    best_epoch: int
    """The epoch whose weights were kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TestPredictions:
    """PDs on the test split, each `(N,)` between 0 and 1."""

    __test__ = False  # not a test class, whatever its name says to pytest

    y: NDArray[np.float64]
    """1.0 = default, 0.0 = none."""
    calibrated: NDArray[np.float64]
    """The PDs that the model file returns."""
    uncalibrated: NDArray[np.float64] | None = None
    """The PDs before the calibrator; None = there is no calibrator."""
    baseline: NDArray[np.float64] | None = None
    """The PDs of logistic regression on the same rows; None = it was not fitted."""
    weights: NDArray[np.float64] | None = None
    """How much each row counts in metrics and charts; None = all alike. Numbers of rows are counts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PartMetrics:
    """A part of the model, calibrated alone, on the test rows."""

    name: str
    intervals: Mapping[str, Interval]
    """From `bootstrap_intervals`."""
    auc_difference: Interval
    """AUC of the whole model minus that of the part, paired by row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportInputs:
    """Everything on the page."""

    title: str
    model: str
    """A sentence that says what the model is."""
    created_at: datetime
    """When the run ended; must name its time zone."""
    data: DataSummary
    test: TestPredictions
    intervals: Mapping[str, Interval]
    """Intervals of `test.calibrated` from `bootstrap_intervals`; at least `REQUIRED_METRICS`."""
    alone: Mapping[str, float] = field(default_factory=dict)
    """Column -> AUC of the column alone on the training rows, the highest first; empty = not known."""
    baseline_intervals: Mapping[str, Interval] = field(default_factory=dict)
    """Intervals of `test.baseline` from `bootstrap_intervals`."""
    auc_difference: Interval | None = None
    """AUC of ours minus AUC of the baseline, paired by row; None = no baseline."""
    near_copies: NearCopies | None = None
    """None = none were found."""
    rejects: RejectFacts | None = None
    """Rejected applications; None = the data name none."""
    parts: tuple[PartMetrics, ...] = ()
    """What each part of the model reaches alone; empty = it has one part."""
    pretraining: tuple[EpochPoint, ...] = ()
    training: tuple[MemberCurve, ...] = ()
    importance: Sequence[Importance] = ()
    hyperparameters: Mapping[str, object] = field(default_factory=dict)
    """Name of each hyperparameter -> its value, which may be a mapping itself."""
    choices: tuple[Choice, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    """Model version, digests, code version, seed, libraries, command line … in the order to be shown."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Stage -> seconds, in order."""

    def __post_init__(self) -> None:
        missing = [name for name in REQUIRED_METRICS if name not in self.intervals]
        if missing:
            raise DataError(f"metrics must hold every required metric, however: missing={missing}")
        if self.created_at.utcoffset() is None:
            raise DataError(
                f"created_at must name its time zone, however: {self.created_at}. Use datetime.now(UTC)."
            )

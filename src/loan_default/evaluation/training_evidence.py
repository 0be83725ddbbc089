"""The evidence of a training: every figure that the documents of a model show, as it is stored with it.

The figures are computed once, by the training, on rows that the measured model has not learned from. What is
read back is checked in full: a figure that is missing or not a number makes no document.
"""

from pydantic import BaseModel, ConfigDict, FiniteFloat

from loan_default.evaluation.calibration_groups import CalibrationGroup
from loan_default.evaluation.decision_costs import CutoffChoice, CutoffOutcome, ScoreBand
from loan_default.evaluation.fairness import AttributeFairness
from loan_default.evaluation.monotonicity import MonotonicSweep
from loan_default.evaluation.reject_metrics import RejectFacts
from loan_default.evaluation.vintages import Vintage
from loan_default.review_policy import FairnessMode


class Facts(BaseModel):
    """The base of all parts: frozen, complete, without fields that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnFacts(Facts):
    """A column of the schema."""

    name: str
    kind: str
    description: str
    missing: FiniteFloat
    """Share of the accepted rows without a value."""


class Counted(Facts):
    """Something that was counted."""

    name: str
    count: int


class SplitFacts(Facts):
    """The rows of one split."""

    name: str
    rows: int
    bad_rate: FiniteFloat


class DataFacts(Facts):
    """What the data are, and what became of the rows."""

    schema_name: str
    description: str
    target: str
    target_description: str
    features: tuple[ColumnFacts, ...]
    protected: tuple[ColumnFacts, ...]
    sources: tuple[str, ...]
    first_at: str | None
    last_at: str | None
    """Times of the first and the last application; None = the data have no time."""
    rows_read: int
    rows_accepted: int
    rows_quarantined: int
    rows_duplicate: int
    rows_unlabelled: int
    exclusions: tuple[Counted, ...]
    """Broken rule -> rows; a row may break several."""
    splits: tuple[SplitFacts, ...]
    split_method: str
    out_of_time: bool
    near_copies: int
    """Rows that have a near-copy with another outcome or in another split; 0 = none were found."""
    warned_columns: tuple[str, ...]
    """Columns that may give the outcome away."""


class MethodFacts(Facts):
    """How the model came about."""

    model: str
    """In a sentence."""
    calibration: str
    calibration_reason: str
    choices: tuple[tuple[str, str, str], ...]
    """What was decided automatically, the value, and why."""


class MetricFacts(Facts):
    """A metric on the test rows."""

    name: str
    value: FiniteFloat
    low: FiniteFloat | None
    high: FiniteFloat | None
    """95 % interval by bootstrap; None = it has none."""
    baseline: FiniteFloat
    """The same of logistic regression on the same rows."""


class SegmentFacts(Facts):
    """Calibration by the levels of one column."""

    column: str
    groups: tuple[CalibrationGroup, ...]
    unexpected: bool
    """More groups miss their interval than chance explains."""


class ImportanceFacts(Facts):
    """What the model loses when a column is shuffled."""

    column: str
    auc_drop: FiniteFloat
    sd: FiniteFloat


class StabilityFacts(Facts):
    """Scores of the test rows against those of the validation rows."""

    psi: FiniteFloat
    critical: FiniteFloat
    """What chance makes of so many rows, 99 %."""
    reference_rows: int
    rows: int


class Alternative(Facts):
    """A model at a cut-off, for the table of less discriminatory alternatives."""

    model: str
    cutoff: FiniteFloat
    approval_rate: FiniteFloat
    auc: FiniteFloat
    lowest_ratio: FiniteFloat
    """Lowest approval ratio over all protected attributes."""
    profit: FiniteFloat


class FairnessFacts(Facts):
    """Groups of protected attributes at the operating cut-off."""

    mode: FairnessMode
    minimum_ratio: FiniteFloat
    minimum_group_rows: int
    attributes: tuple[AttributeFairness, ...]
    """Empty = the schema declares no protected attribute, or the mode is off."""
    alternatives: tuple[Alternative, ...]


class MoneyFacts(Facts):
    """The cut-off and what it means."""

    loss_given_default: FiniteFloat
    margin: FiniteFloat
    exposure_column: str | None
    without_exposure: int
    """Rows of validation and test that are left out, as their exposure is missing or not above 0."""
    choice: CutoffChoice
    """The cut-off that earns most on the validation rows."""
    outcome: CutoffOutcome
    """Of that cut-off on the test rows."""
    operating: CutoffOutcome
    """Of the cut-off in use on the test rows."""
    curve: tuple[CutoffOutcome, ...]
    bands: tuple[ScoreBand, ...]


class TrainingEvidence(Facts):
    """All figures of the documents of a model that its training knows."""

    data: DataFacts
    method: MethodFacts
    metrics: tuple[MetricFacts, ...]
    deciles: tuple[CalibrationGroup, ...]
    segments: tuple[SegmentFacts, ...]
    vintages: tuple[Vintage, ...]
    """Empty = the data have no time."""
    importance: tuple[ImportanceFacts, ...]
    monotonic: tuple[MonotonicSweep, ...] = ()
    """Columns in which the PD must be monotonic; empty = the schema names none, or an older release."""
    stability: StabilityFacts
    fairness: FairnessFacts
    money: MoneyFacts
    rejects: RejectFacts | None = None
    """Rejected applications; None = the data name none, or an older release."""
    policy: str
    """Name of the policy profile."""
    provenance: tuple[tuple[str, str], ...]
    """Digests, seed, versions and options, by name."""
    distributions: tuple[tuple[str, str], ...]
    """Every installed distribution and its version."""

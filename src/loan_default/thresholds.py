"""Thresholds and policy of the gate: names, defaults and bounds, from which the settings derive theirs."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Annotated, Literal, get_args

from annotated_types import Interval

from loan_default.errors import ConfigurationError

Rows = Annotated[int, Interval(ge=1)]
"""A number of rows."""
Share = Annotated[float, Interval(ge=0, le=1)]
"""A metric between 0 and 1."""
Hours = Annotated[float, Interval(ge=0, le=87_600)]
"""A number of hours."""
LONGEST_WAIT_HOURS = 168
"""The longest time for which a run of the evaluation waits for a person."""
WaitingHours = Annotated[float, Interval(ge=0.01, le=LONGEST_WAIT_HOURS)]
"""Hours for which a person is waited for."""
Difference = Annotated[float, Interval(ge=-1, le=1)]
"""The difference of two metrics between 0 and 1."""
Ratio = Annotated[float, Interval(ge=0, le=10)]
"""A number of 0 or more that is no share: a slope, a shift of logits, an index."""
Demand = Literal["better", "as-good"]
"""What a challenger must show beside the champion."""
LeadFrom = Literal["unseen", "live"]
"""Where a challenger must show it: on rows that neither has seen, or on applications of an experiment."""


class RuleOutcome(StrEnum):
    """What became of a rule of the gate."""

    PASSED = "passed"
    FAILED = "failed"
    OVERRIDDEN = "overridden"
    """The rule failed, and a named person has overridden it."""
    OFF = "off"
    """The rule is not asked for, or says nothing about this model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """What a model must reach on rows that it has not seen before it becomes the champion."""

    minimum_rows: Rows = 500
    """Labelled rows that a model must be evaluated on; metrics of fewer rows are too uncertain."""
    minimum_auc: Share = 0.65
    minimum_ks: Share = 0.2
    maximum_brier: Share = 0.25
    """A PD of 0.5 for every row has a Brier score of 0.25."""
    maximum_calibration_error: Share = 0.05
    """ECE: mean distance of PD and default rate."""
    minimum_lead: Difference = 0.0
    """How far the AUC must be ahead of the champion's on the same rows; below 0 = it may be behind."""
    minimum_bads: Rows = 50
    """Defaults, and good ends, among those rows: the rarer outcome decides how certain an AUC is."""
    minimum_coverage: Share = 0.3
    """Share of the rows old enough to have an outcome whose outcome is known; the others may be unlike."""
    maximum_auc_loss: Share = 0.01
    """Margin of "as good": how much AUC a model may at worst lose, at the lower end of the interval."""
    maximum_brier_loss: Share = 0.01
    """How far the Brier score may exceed the champion's on the same rows."""
    maximum_calibration_shift: Ratio = 0.35
    """Distance of the calibration intercept from 0, in logits: 0.35 = odds of default are off by 42 %."""
    minimum_calibration_slope: Ratio = 0.6
    maximum_calibration_slope: Ratio = 1.7
    """1 = right; below 1 = PDs are too far apart."""
    minimum_segment_rows: Rows = 200
    """Labelled rows of a segment, with `minimum_bads` of both outcomes, below which it is not compared."""
    maximum_segment_gap: Share = 0.05
    """How far the default rate of a segment may certainly be from its mean PD."""
    maximum_score_psi: Ratio = 0.25
    """PSI of the scores against those of the training, or what chance makes of so few rows."""
    maximum_column_psi: Ratio = 0.25
    """PSI of any column against the training, or what chance makes of so few rows and many columns."""
    maximum_falls: Share = 0.01
    """Share of rows whose PD may move the wrong way along a column in which it must be monotonic."""
    maximum_mean_pd_change: Share = 0.05
    """How far the mean PD may be from the champion's on the same rows."""
    maximum_approval_change: Share = 0.1
    """How far the approval rate at the cut-off may be from the champion's on the same rows."""

    def __post_init__(self) -> None:
        for field in fields(self):
            bounds = next(each for each in get_args(field.type) if isinstance(each, Interval))
            value = getattr(self, field.name)
            if bounds.le is None and not bounds.ge <= value:
                raise ConfigurationError(f"{field.name} must be {bounds.ge} or more, however: {value}")
            if bounds.le is not None and not bounds.ge <= value <= bounds.le:
                raise ConfigurationError(
                    f"{field.name} must lie between {bounds.ge} and {bounds.le}, however: {value}"
                )


RetrainOn = Literal["off", "warn", "act"]
"""The level of drift from which on a training is asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftPolicy:
    """What counts as drift of the applications, and what follows from it."""

    drift_rows: Rows = 1_000
    """Rows that are assessed: those of an hour, and of as many before it as are needed, up to a week."""
    drift_warning: Share = 0.10
    drift_action: Share = 0.25
    """PSI of the score or of a column that warns, and that asks for action."""
    retrain_on_drift: RetrainOn = "off"
    """Level from which on a training is asked for; off = a person decides."""
    retrain_cooldown_hours: Hours = 168
    """Hours between two such requests."""

    def __post_init__(self) -> None:
        if self.drift_warning > self.drift_action:
            raise ConfigurationError(
                "drift_warning must be at most drift_action, however: "
                f"drift_warning={self.drift_warning}, drift_action={self.drift_action}"
            )


DEFAULT_DRIFT_POLICY = DriftPolicy()
"""The policy of drift where nobody has set another."""
DEFAULT_THRESHOLDS = Thresholds()
"""The thresholds where nobody has set others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GatePolicy:
    """What is asked of a model beside thresholds."""

    demand: Demand = "better"
    """`better` = the whole interval of its lead over the champion is above 0; `as-good` = above minus
    `maximum_auc_loss`."""
    lead_from: LeadFrom = "unseen"
    """`live` = the lead must be certain on live applications of an experiment whose outcomes have come;
    `unseen` = on rows that neither model has seen, and an experiment may only speak against the model."""
    approval: Literal["none", "required"] = "none"
    """`required` = a named person must have approved the model, or it is rejected until one has."""
    approval_hours: WaitingHours = 24.0
    """Hours for which the DAG waits for the answer of that person; without one the model is rejected."""
    cooldown_days: float = 0.0
    """Days after a promotion in which no other model is promoted; 0 = off."""
    cutoff: float = 0.2
    """PD up to which an application is approved."""
    segments: tuple[str, ...] = ()
    """Columns by whose values no model may be worse than the champion; none = off."""


DEFAULT_POLICY = GatePolicy()
"""The policy where nobody has set another."""

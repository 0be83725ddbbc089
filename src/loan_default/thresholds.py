"""The thresholds of the gate: their names, defaults and bounds, from which the settings derive theirs."""

from dataclasses import dataclass, fields
from typing import Annotated, get_args

from annotated_types import Interval

from loan_default.errors import ConfigurationError

Rows = Annotated[int, Interval(ge=1)]
"""A number of rows."""
Share = Annotated[float, Interval(ge=0, le=1)]
"""A metric between 0 and 1."""
Difference = Annotated[float, Interval(ge=-1, le=1)]
"""The difference of two metrics between 0 and 1."""


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


DEFAULT_THRESHOLDS = Thresholds()
"""The thresholds where nobody has set others."""

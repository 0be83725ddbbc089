"""What is known of rejected applications, and metrics on accepted rows and on all with inferred outcomes.

The outcomes of accepted rows are known. Those of rejects are assumed, so a metric on all rows rests on the
assumption as much as on the model: it shows what the assumption implies, never whether it holds.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import FiniteFloat

from loan_default.choices import RejectMethod
from loan_default.errors import DataError
from loan_default.evaluation.bootstrap import paired_bootstrap
from loan_default.evaluation.metrics import measure

Floats = NDArray[np.float64]

COMPARED = ("auc", "ks", "brier", "log_loss")
"""Metrics of the comparison."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RejectBand:
    """A band of PD, by the model that learned from accepted rows alone."""

    low: FiniteFloat
    """PDs from here on; 0 = the lowest band."""
    high: FiniteFloat
    """PDs below; 1 = the highest band."""
    accepted: int
    """Accepted rows that what predicts them did not learn from."""
    default_rate: FiniteFloat
    """Of these."""
    rejects: int
    inferred_rate: FiniteFloat | None
    """Default rate that is assumed of them; None = there are none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RejectMetric:
    """A metric of two models: one of accepted rows alone, one that learned from rejects as well."""

    name: str
    accepted_only: FiniteFloat
    """Of the first, on accepted test rows."""
    augmented: FiniteFloat
    """Of the second, on the same."""
    difference: FiniteFloat
    """The second less the first, on the same."""
    low: FiniteFloat
    high: FiniteFloat
    """95 % interval of the difference, paired by row."""
    accepted_only_on_all: FiniteFloat
    """Of the first, on accepted test rows and held-out rejects."""
    augmented_on_all: FiniteFloat
    """Of the second, on the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RejectFacts:
    """The rejected applications of a training, and what was made of them.

    Raises:
        DataError: an inference without its factor, bands or metrics.
    """

    rows: int
    held_out: int
    """Those of `rows` that no measured model learned from."""
    mean_pd: FiniteFloat
    """Of all of them, by the model that learned from accepted rows alone."""
    accepted_mean_pd: FiniteFloat
    """Of the accepted test rows, by the same model."""
    method: RejectMethod
    factor: FiniteFloat | None = None
    """Of parcelling; None = another method."""
    inferred_rate: FiniteFloat | None = None
    """Default rate that is assumed of all rejects; None = none was inferred."""
    beyond: int = 0
    """Rejects whose PD is above that of every accepted row."""
    bands: tuple[RejectBand, ...] = ()
    metrics: tuple[RejectMetric, ...] = ()
    """Empty = nothing was inferred."""

    def __post_init__(self) -> None:
        if self.method == "none":
            return
        lacking = [name for name in COMPARED if name not in {each.name for each in self.metrics}]
        lacking += [] if self.bands else ["bands"]
        lacking += ["inferred_rate"] if self.inferred_rate is None else []
        lacking += ["factor"] if self.method == "parcelling" and self.factor is None else []
        if lacking:
            raise DataError(
                f"an inference of rejected applications must have every figure, however: missing={lacking}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class WithRejects:
    """Accepted test rows, then held-out rejects with inferred outcomes: `(rows + copies,)`."""

    y: Floats
    weights: Floats
    accepted_only: Floats
    """PDs by the model that learned from accepted rows alone."""
    augmented: Floats
    """PDs by the model that learned from rejects as well."""
    rows: int
    """Accepted test rows."""


def compare(table: WithRejects, *, seed: int) -> tuple[RejectMetric, ...]:
    """Metrics of both models on accepted rows, with the range of their difference, and on all."""
    rows = slice(table.rows)
    y, weights = table.y[rows], table.weights[rows]
    both = (table.accepted_only, table.augmented)
    on_accepted = [_measured(y, each[rows], weights) for each in both]
    on_all = [_measured(table.y, each, table.weights) for each in both]
    found = []
    for name in COMPARED:
        difference = paired_bootstrap(
            y,
            table.augmented[rows],
            table.accepted_only[rows],
            metric=name,
            seed=seed,
            weights=weights,
        )
        found.append(
            RejectMetric(
                name=name,
                accepted_only=on_accepted[0][name],
                augmented=on_accepted[1][name],
                difference=difference.value,
                low=difference.low,
                high=difference.high,
                accepted_only_on_all=on_all[0][name],
                augmented_on_all=on_all[1][name],
            )
        )
    return tuple(found)


def _measured(y: Floats, pds: Floats, weights: Floats) -> Mapping[str, float]:
    return asdict(measure(y, pds, weights=weights))

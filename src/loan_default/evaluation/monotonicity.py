"""Columns in which a PD must be monotonic: how often it is not, and rule 9 of the gate.

A sweep takes rows as they are, gives one column each value of a grid in turn, and looks at the PDs along it.
A row falls where its PD ever goes the wrong way by more than a tolerance, from the highest point so far
(partial dependence of single rows; Goldstein et al., 2015).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loan_default.evaluation import gate_rules as rules
from loan_default.evaluation.gate_rules import Rule

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

TOLERANCE = 0.005
"""PD that a row may move the wrong way: half a percentage point."""
NAME = "monotonic"


@dataclass(frozen=True, kw_only=True, slots=True)
class MonotonicSweep:
    """What a sweep of one column has found."""

    column: str
    direction: str
    """As in the schema: increasing or decreasing."""
    rows: int
    values: int
    """Values of the grid."""
    falling: float
    """Share of the rows whose PD moves the wrong way by more than the tolerance."""
    largest: float
    """Largest movement the wrong way of any row, in PD."""


def sweep(
    predict: "Callable[[pd.DataFrame], Floats]",
    frame: "pd.DataFrame",
    column: str,
    *,
    values: Sequence[Any],
    direction: str,
) -> MonotonicSweep:
    """Sweep one column of some rows.

    Args:
        predict: PDs `(rows,)` of a frame.
        frame: at least one row.
        values: the grid, ascending, at least one value.
        direction: increasing or decreasing.
    """
    along = np.empty((len(values), len(frame)))
    for at, value in enumerate(values):
        along[at] = predict(frame.assign(**{column: value}))
    if direction == "decreasing":
        along = along[::-1]
    falls = (np.maximum.accumulate(along, axis=0) - along).max(axis=0)
    return MonotonicSweep(
        column=column,
        direction=direction,
        rows=len(frame),
        values=len(values),
        falling=float((falls > TOLERANCE).mean()),
        largest=float(falls.max()),
    )


def monotonic_rule(
    sweeps: Sequence[MonotonicSweep], *, asked: Sequence[str], maximum: float, data: str | None
) -> Rule:
    """Check that the PD moves as the schema asks; off where it asks for nothing.

    A column that was not swept fails.

    Args:
        asked: columns that the schema of the model names.
        maximum: share of rows that may fall.
        data: id of what the sweeps are stored in.
    """
    if not asked:
        return rules.off(rules.EXPLANATIONS, NAME, "the schema names no monotonic column.").of(data)
    missing = [name for name in asked if name not in {each.column for each in sweeps}]
    if missing:
        value = None
        sentence = f"no sweep is stored of {', '.join(missing)}, which must be monotonic. Train again."
    else:
        worst = max((each for each in sweeps if each.column in asked), key=lambda each: each.falling)
        value = worst.falling
        sentence = (
            f"the PD must be {worst.direction} in {worst.column}, but moves the wrong way in "
            f"{rules.shown(value)} of {worst.rows:,} rows, by {worst.largest:.4f} at most; it may in "
            f"{maximum:.4f} of them."
        )
    return rules.decided(
        rules.EXPLANATIONS,
        NAME,
        passed=value is not None and value <= maximum,
        value=value,
        threshold=maximum,
        sentence=sentence,
    ).of(data)

"""Sweeps of monotonic columns by models whose falls are known, and rule 9 of the gate."""

import numpy as np
import pandas as pd
import pytest

from loan_default.evaluation.monotonicity import TOLERANCE, MonotonicSweep, monotonic_rule, sweep
from loan_default.thresholds import RuleOutcome

FRAME = pd.DataFrame({"late": [0.0, 1.0, 2.0, 3.0], "income": [1.0, 2.0, 3.0, 4.0]})


def rising(frame: pd.DataFrame) -> np.ndarray:
    return 0.1 + 0.05 * frame["late"].to_numpy()


def bent(frame: pd.DataFrame) -> np.ndarray:
    """It falls by 0.02 between 2 and 3, for the two rows of higher income."""
    falls = 0.02 * ((frame["late"] == 3) & (frame["income"] > 2)).to_numpy()
    return 0.1 + 0.01 * np.minimum(frame["late"].to_numpy(), 2) - falls


@pytest.mark.parametrize(
    ("predict", "direction", "falling", "largest"),
    [
        (rising, "increasing", 0.0, 0.0),
        (rising, "decreasing", 1.0, 0.15),
        (bent, "increasing", 0.5, 0.02),
        (lambda frame: rising(frame) * 0 + 0.3, "decreasing", 0.0, 0.0),
    ],
)
def test_rows_that_move_the_wrong_way_are_counted(predict, direction, falling, largest) -> None:
    found = sweep(predict, FRAME, "late", values=[0.0, 1.0, 2.0, 3.0], direction=direction)
    assert (found.column, found.direction, found.rows, found.values) == ("late", direction, 4, 4)
    assert found.falling == falling
    assert found.largest == pytest.approx(largest)


def test_small_steps_down_add_up() -> None:
    """Each step is within the tolerance; from the highest point it is not."""
    found = sweep(
        lambda frame: 0.5 - 0.8 * TOLERANCE * frame["late"].to_numpy(),
        FRAME,
        "late",
        values=[0.0, 1.0, 2.0],
        direction="increasing",
    )
    assert found.falling == 1.0
    assert found.largest == pytest.approx(1.6 * TOLERANCE)


def test_the_rows_stay_as_they_are() -> None:
    before = FRAME.copy()
    sweep(rising, FRAME, "late", values=[7.0], direction="increasing")
    pd.testing.assert_frame_equal(FRAME, before)


def swept(column: str, falling: float) -> MonotonicSweep:
    return MonotonicSweep(
        column=column, direction="increasing", rows=300, values=13, falling=falling, largest=0.04
    )


@pytest.mark.parametrize(
    ("sweeps", "asked", "outcome", "value"),
    [
        ((), (), RuleOutcome.OFF, None),
        ((), ("late",), RuleOutcome.FAILED, None),
        ((swept("income", 0.0),), ("late", "income"), RuleOutcome.FAILED, None),
        ((swept("late", 0.01),), ("late",), RuleOutcome.PASSED, 0.01),
        ((swept("late", 0.0), swept("income", 0.02)), ("late", "income"), RuleOutcome.FAILED, 0.02),
    ],
)
def test_the_worst_column_decides_and_one_that_was_not_swept_fails(sweeps, asked, outcome, value) -> None:
    rule = monotonic_rule(sweeps, asked=asked, maximum=0.01, data="model_evidence/x")
    assert (rule.number, rule.outcome, rule.value, rule.data) == (9, outcome, value, "model_evidence/x")

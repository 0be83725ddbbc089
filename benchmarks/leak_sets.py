"""Random sets for the leak check: columns that say nothing or something of the outcome, and leaks.

    PLAIN.clean(generator, rows=300, bads=30)      # the sets that the rules were first looked at with
    LENDER.clean(generator, rows=200, bads=10)     # small, rare, skewed: what lenders' files are like

A leak is the outcome under another name, with a share of the outcomes turned round after it was made.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema

Labels = NDArray[np.float64]
Values = NDArray[np.generic] | pd.Series
Draw = np.random.Generator


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """A way to draw sets: their columns, sizes and leaks."""

    name: str
    sizes: tuple[tuple[int, int], ...]
    """(rows, defaults) of the sets."""
    columns: Callable[[Draw, Labels], Mapping[str, Values]]
    """Columns without a leak for outcomes `(n,)`."""
    leaks: Mapping[str, Callable[[Draw, Labels], Values]]
    """Name -> a leaking column for outcomes `(n,)`; text is a category, anything else a number."""

    def clean(self, generator: Draw, *, rows: int, bads: int) -> tuple[pd.DataFrame, Labels]:
        """Columns without a leak, and the outcomes `(rows,)`."""
        y = np.zeros(rows)
        y[generator.choice(rows, bads, replace=False)] = 1
        return pd.DataFrame(self.columns(generator, y)), y

    def with_leak(
        self, frame: pd.DataFrame, y: Labels, leak: str, noise: float, generator: Draw
    ) -> tuple[pd.DataFrame, Labels]:
        """The set with one leaking column; a share of the outcomes is turned round after it was made."""
        values = self.leaks[leak](generator, y)
        turned = generator.random(len(y)) < noise
        return frame.assign(**{leak: values}), np.where(turned, 1 - y, y)


def schema_of(frame: pd.DataFrame) -> Schema:
    """The schema of a set: text is a category, anything else a number."""
    columns = [
        Column(name=name, kind=Kind.NUMERICAL, nullable=True)
        if pd.api.types.is_numeric_dtype(frame[name].dtype)
        else Column(name=name, kind=Kind.CATEGORICAL, open=True, nullable=True)
        for name in map(str, frame)
    ]
    return Schema(name="simulated", columns=(*columns, Column(name="bad", kind=Kind.TARGET)))


# The plain sets --------------------------------------------------------------------------------------------


def _plain_columns(draw: Draw, y: Labels) -> dict[str, Values]:
    n = len(y)
    return {
        "plain": draw.normal(size=n),
        "gaps": np.where(draw.random(n) < 0.3, np.nan, draw.lognormal(size=n)),
        "good": draw.normal(size=n) + 0.75 * y,
        "better": draw.normal(size=n) + 1.2 * y,
        "count": draw.poisson(1 + y).astype(float),
        "mostly_zero": np.where(draw.random(n) < 0.8, 0.0, draw.random(n)),
        "few": draw.choice(list("abcd"), n),
        "many": draw.integers(0, 200, n).astype(str),
        "flag": _text(draw.random(n) < 0.9, "x"),
    }


PLAIN = Family(
    name="plain",
    sizes=((300, 30), (2_000, 30), (2_000, 400), (1_000, 500)),
    columns=_plain_columns,
    leaks={
        "code": lambda _, y: np.where(y == 1, "CHGOFF", "P I F"),
        "number": lambda draw, y: np.where(y == 1, draw.uniform(0, 10, len(y)), draw.uniform(10, 30, len(y))),
        "filled": lambda draw, y: np.where(
            (y == 1) & (draw.random(len(y)) < 0.8), draw.random(len(y)), np.nan
        ),
    },
)


# Sets as lenders have them ---------------------------------------------------------------------------------


def _lender_columns(draw: Draw, y: Labels) -> dict[str, Values]:
    """Skewed amounts, rounded scores, arrears, dealers of many levels, fields that are filled for some."""
    n, bad = len(y), y == 1
    return {
        "income": draw.lognormal(10 - 0.35 * y, 0.9),
        "loss_given": draw.pareto(1.3, n) * 100,
        "score": np.round((690 - 75 * y + draw.normal(0, 50, n)) / 10) * 10,
        "utilisation": draw.beta(1 + 2 * y, 3 - y),
        "arrears": np.where(draw.random(n) < np.where(bad, 0.45, 0.1), 1.0 + draw.poisson(1 + y), 0.0),
        "months_since": np.where(
            draw.random(n) < np.where(bad, 0.4, 0.6), np.nan, draw.exponential(40 - 15 * y)
        ),
        "guarantee": np.where(draw.random(n) < np.where(bad, 0.97, 0.9), 0.0, draw.lognormal(8, 1, n)),
        "old_system": np.where(draw.random(n) < np.where(bad, 0.1, 0.3), draw.normal(size=n), np.nan),
        "grade": _levels(draw, y, [6, 6, 5, 4, 2, 1, 1], [1, 1, 2, 4, 4, 5, 5]),
        "purpose": _levels(draw, y, [8, 5, 3, 1, 1], [4, 5, 3, 2, 3]),
        "dealer": _dealers(draw, y, 300),
        "town": draw.zipf(1.5, n).clip(max=5_000).astype(str),
        "row_like": draw.permutation(n).astype(str),
        "bankruptcy": _text(draw.random(n) >= np.where(bad, 0.12, 0.02), "discharged"),
        "employer": _text(draw.random(n) < np.where(bad, 0.35, 0.2), _dealers(draw, y, 500)),
    }


def _levels(draw: Draw, y: Labels, goods: list[float], bads: list[float]) -> Values:
    """Grades drawn with frequencies that depend on the outcome."""
    parts = [np.array(each) / sum(each) for each in (goods, bads)]
    drawn = [draw.choice([*"ABCDEFG"[: len(part)]], len(y), p=part) for part in parts]
    return np.where(y == 1, drawn[1], drawn[0])


def _dealers(draw: Draw, y: Labels, how_many: int) -> Values:
    """Many levels, some frequent and most of them rare, each with a risk of its own."""
    size = 1 / np.arange(1, how_many + 1)
    risk = size * np.exp(draw.normal(0, 0.8, how_many))
    goods = draw.choice(how_many, len(y), p=size / size.sum())
    bads = draw.choice(how_many, len(y), p=risk / risk.sum())
    return np.where(y == 1, bads, goods).astype(str)


def _text(missing: NDArray[np.bool_], values: str | Values) -> pd.Series:
    """Text, none where it is missing."""
    return pd.Series(np.broadcast_to(np.asarray(values, object), missing.shape), dtype="str").mask(missing)


def _status(draw: Draw, y: Labels) -> Values:
    bads = draw.choice(["Charged Off", "Default", "Late (120+)"], len(y), p=[0.6, 0.25, 0.15])
    return np.where(
        y == 1, bads, draw.choice(["Fully Paid", "Current", "Grace"], len(y), p=[0.6, 0.35, 0.05])
    )


def _agency(draw: Draw, y: Labels) -> Values:
    handed_on = (y == 1) & (draw.random(len(y)) < 0.85)
    return np.where(handed_on, np.char.add("agency ", draw.integers(0, 25, len(y)).astype(str)), "none")


LENDER = Family(
    name="lender's",
    sizes=((200, 10), (300, 12), (500, 10), (500, 25), (400, 120), (1_000, 400), (5_000, 150)),
    columns=_lender_columns,
    leaks={
        "status": _status,
        "agency": _agency,
        "repaid share": lambda draw, y: np.where(
            y == 1, draw.beta(2, 4, len(y)) * 0.9, 1 + draw.beta(1, 9, len(y))
        ),
        "recovered": lambda draw, y: np.where(
            (y == 1) & (draw.random(len(y)) < 0.8), draw.lognormal(6, 1.5, len(y)), 0.0
        ),
        "closed on": lambda draw, y: _text((y != 0) | (draw.random(len(y)) >= 0.9), "closed"),
        "weight": lambda _, y: np.where(y == 1, 1.0, 0.2),
    },
)
FAMILIES = (PLAIN, LENDER)

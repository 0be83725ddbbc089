"""Random credit sets without near-copies, each hard in its own way for a search of them, and planted ones.

Outcomes are drawn independently given the PD of each row, as those of different applicants are.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema

Draw = np.random.Generator
Values = NDArray[np.float64]
Columns = dict[str, Values | NDArray[np.str_]]


def _amounts(draw: Draw, rows: int, columns: int = 8) -> Columns:
    values = np.exp(0.6 * draw.normal(size=(rows, columns)) + draw.normal(size=columns) + 6)
    return {f"amount_{number}": np.round(each, 2) for number, each in enumerate(values.T)}


def _codes(draw: Draw, rows: int, columns: int, levels: int = 5) -> Columns:
    shares = draw.dirichlet(np.ones(levels) * 2, size=columns)
    return {
        f"code_{number}": np.array(list("abcdefghijklmnopqrst"))[draw.choice(levels, size=rows, p=each)]
        for number, each in enumerate(shares)
    }


def _mixed(draw: Draw, rows: int) -> Columns:
    return _amounts(draw, rows, 5) | _codes(draw, rows, 6)


def _small(draw: Draw, rows: int) -> Columns:
    return _amounts(draw, rows, 3) | _codes(draw, rows, 4, levels=8)


def _ties(draw: Draw, rows: int) -> Columns:
    """Whole numbers, counts that are mostly 0, and amounts in thousands."""
    counts = {f"count_{number}": draw.poisson(rate, rows) for number, rate in enumerate((0.1, 0.5, 2, 8))}
    unused = draw.random(rows) < 0.3  # as credit cards that nobody uses
    balances = {
        f"balance_{number}": np.where(unused, 0.0, np.round(np.exp(draw.normal(8, 1, rows)), -1))
        for number in range(4)
    }
    limit = {"limit": np.round(np.exp(draw.normal(11, 0.7, rows)), -4), "age": draw.integers(20, 70, rows)}
    return {name: np.asarray(each, np.float64) for name, each in (counts | balances | limit).items()}


def _lattice(draw: Draw, rows: int) -> Columns:
    """Few different rows, as in tables of codes."""
    levels = {f"level_{number}": draw.integers(0, 6, rows).astype(np.float64) for number in range(4)}
    return levels | _codes(draw, rows, 4, levels=3)


def _factors(draw: Draw, rows: int) -> Columns:
    """Twelve numbers that three factors all but determine: neighbours are near in all of them at once."""
    values = np.tanh(draw.normal(size=(rows, 3)) @ draw.normal(size=(3, 12)) / 2)
    values += 0.02 * draw.normal(size=values.shape)
    return {f"factor_{number}": each for number, each in enumerate(values.T)}


def _clusters(draw: Draw, rows: int) -> Columns:
    """Products with fixed terms: rows of one product are near one another in all columns."""
    centres = draw.normal(size=(rows // 5, 8))
    spread = np.exp(draw.normal(-2.5, 1, size=(rows // 5, 1)))
    product = draw.integers(0, len(centres), rows)
    values = centres[product] + spread[product] * draw.normal(size=(rows, 8))
    return {f"term_{number}": each for number, each in enumerate(values.T)}


def _gaps(draw: Draw, rows: int) -> Columns:
    """Half of the numbers are missing, whole blocks of them together."""
    columns = _amounts(draw, rows, 10)
    for block in range(5):
        missing = draw.random(rows) < 0.5
        for number in (2 * block, 2 * block + 1):
            columns[f"amount_{number}"] = np.where(missing, np.nan, columns[f"amount_{number}"])
    return columns


SHAPES: dict[str, Callable[[Draw, int], Columns]] = {
    "amounts": _amounts,
    "mixed": _mixed,
    "small": _small,
    "ties": _ties,
    "lattice": _lattice,
    "factors": _factors,
    "clusters": _clusters,
    "gaps": _gaps,
}

SIGNALS = {"weak": 0.7, "usual": 1.7, "strong": 6.0}
"""Standard deviation of the logit: the true PDs reach an AUC of about .68, .83 and .97."""


def clean_set(
    shape: str, draw: Draw, *, rows: int, signal: float, bad_rate: float = 0.2
) -> tuple[pd.DataFrame, Values]:
    """A canonical frame without near-copies, and its outcomes `(rows,)`.

    Args:
        signal: standard deviation of the logit.
    """
    frame = pd.DataFrame(SHAPES[shape](draw, rows))
    logit = np.zeros(rows)
    for name in frame:
        values = frame[name]
        if values.dtype == np.float64:
            ranks = values.rank(pct=True).fillna(0.5).to_numpy()
            turns = draw.integers(1, 4)
            logit += draw.normal() * np.cos(np.pi * (turns * ranks + draw.random()))
            logit += draw.normal() * (ranks > draw.random())  # an edge
        else:
            logit += draw.normal(size=20)[pd.factorize(values)[0]]
    logit = signal * (logit - logit.mean()) / max(logit.std(), 1e-9)
    level = np.quantile(-logit, bad_rate) if signal > 5 else np.log(bad_rate / (1 - bad_rate)) - signal / 4
    return frame, (draw.random(rows) < expit(logit + level)).astype(np.float64)


def with_twins(
    frame: pd.DataFrame, labels: Values, draw: Draw, *, share: float, jitter: float
) -> tuple[pd.DataFrame, Values]:
    """The same with copies in place of the last rows, so that `share` of all rows have one; shuffled.

    Args:
        jitter: largest relative change of each number of a copy.
    """
    copies = round(share * len(frame) / 2)
    kept = len(frame) - copies
    origin = draw.choice(kept, copies, replace=False)
    copied = frame.iloc[origin].reset_index(drop=True)
    for name in copied:
        values = copied[name]
        if values.dtype == np.float64:
            changed = values * (1 + jitter * draw.uniform(-1, 1, copies))
            is_whole = (frame[name].dropna() % 1 == 0).all()
            copied[name] = changed.round() if is_whole else changed
    order = draw.permutation(len(frame))
    both = pd.concat([frame.iloc[:kept], copied], ignore_index=True).iloc[order].reset_index(drop=True)
    return both, np.concatenate([labels[:kept], labels[origin]])[order]


def schema_of(frame: pd.DataFrame) -> Schema:
    """The schema of a random set."""
    columns = [
        Column(name=str(name), kind=Kind.NUMERICAL, nullable=True)
        if frame[name].dtype == np.float64
        else Column(name=str(name), kind=Kind.CATEGORICAL, open=True, nullable=True)
        for name in frame
    ]
    return Schema(name="twins", columns=tuple(columns))

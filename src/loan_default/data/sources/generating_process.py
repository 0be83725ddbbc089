"""The data-generating process: how columns are distributed, how they are correlated, and their risk.

A schema and a seed decide it; `generator` draws rows from it.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from loan_default.data.schema.column import FEATURE_KINDS, Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.errors import ConfigurationError, DataError

Floats = NDArray[np.float64]

_DRAWN_KINDS = FEATURE_KINDS | {Kind.DATE, Kind.WEIGHT}
_DAYS_BEFORE = (30.0, 9000.0)
"""Range of the days from a date to the application."""
_WEIGHTS = (0.5, 2.0)
_REFERENCE_ROWS = 20_000
"""Rows on which the risk is scaled and its level is set."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ColumnProcess:
    """How the values of one column are drawn, and how they change the risk; of a date, the days before."""

    definition: Column
    loadings: tuple[float, float]
    """Correlations with the two factors that all columns share."""
    low: float
    high: float
    """Numerical: the range that is used, inside the bounds."""
    wide: bool
    """Numerical: normally distributed in the logarithm, like incomes."""
    shift: float
    """Numerical: where the mode lies; 0 = in the middle of the range."""
    categories: tuple[str, ...]
    ends: Floats
    """Coded: `(K,)` cumulated shares of the categories."""
    effects: Floats
    """Coded: `(K,)` risk of each category."""
    slope: float
    hinge: float
    """Slope that is added above `knot`."""
    knot: float
    """Value at which the slope changes, in standard deviations."""
    missing_effect: float
    centre: float = 0.0
    spread: float = 1.0
    """Mean and standard deviation of the column's views on the reference rows."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DataGeneratingProcess:
    """The process that all rows of a schema and a seed are drawn from."""

    schema: Schema
    seed: int
    missing_rate: float
    columns: tuple[ColumnProcess, ...]
    pair: tuple[str, ...]
    """Two features whose product adds to the risk; empty if there is only one feature."""
    scale: float = 1.0
    intercept: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Rows as plain arrays, before they are put together as a frame."""

    values: dict[str, Any]
    """Column -> `(N,)` float64 with NaN for missing, or int64 codes with -1 for missing."""
    draws: Floats
    """`(N, 2)` uniform numbers for the label and for the time."""


def draw_process(
    schema: Schema, *, seed: int, base_rate: float, signal: float, missing_rate: float
) -> DataGeneratingProcess:
    """The process of a schema and a seed, with `base_rate` as mean PD and `signal` as spread of the logits.

    Raises:
        ConfigurationError: an argument out of its range.
        DataError: a column has no possible value.
    """
    from scipy.optimize import brentq  # noqa: PLC0415 (a quarter of a second of each start)

    if not (0 < base_rate < 1 and 0 <= missing_rate <= 0.95 and 0 <= signal < math.inf and seed >= 0):
        raise ConfigurationError(
            "base_rate must lie between 0 and 1, missing_rate between 0 and 0.95, signal and seed must not be"
            f" negative, however: base_rate={base_rate}, missing_rate={missing_rate}, signal={signal}, "
            f"seed={seed}"
        )
    generator = np.random.default_rng([seed, 0])
    drawn = [column for column in schema.columns if column.kind in _DRAWN_KINDS]
    columns = tuple(_draw_column(column, generator) for column in drawn)
    names = [column.name for column in schema.features]
    pair = tuple(str(name) for name in generator.permutation(names)[:2]) if len(names) > 1 else ()
    process = DataGeneratingProcess(
        schema=schema, seed=seed, missing_rate=missing_rate, columns=columns, pair=pair
    )

    reference = draw_block(process, np.random.default_rng([seed, 1]), _REFERENCE_ROWS)
    views = [_view(column, reference.values[column.definition.name]) for column in columns]
    standardised = [_standardised(column, view) for column, view in zip(columns, views, strict=True)]
    process = replace(process, columns=tuple(standardised))
    risk = _risk(process, reference)
    scale = signal / float(risk.std()) if risk.std() > 1e-9 else 0.0
    level = brentq(lambda shift: float(expit(shift + scale * risk).mean()) - base_rate, -500.0, 500.0)
    return replace(process, scale=scale, intercept=float(level))


def draw_block(process: DataGeneratingProcess, generator: np.random.Generator, rows: int) -> Block:
    """Rows that are drawn from a process with the given random numbers."""
    factors = generator.normal(size=(2, rows))
    values: dict[str, Any] = {}
    for column in process.columns:
        first, second = column.loadings
        own = math.sqrt(1 - first**2 - second**2) * generator.normal(size=rows)
        bell = first * factors[0] + second * factors[1] + own
        # A row with a label must have a weight, and each generated row has a label.
        may_miss = column.definition.nullable and column.definition.kind is not Kind.WEIGHT
        missing = generator.random(rows) < process.missing_rate if may_miss else np.zeros(rows, bool)
        if column.definition.is_coded:
            codes = np.searchsorted(column.ends, ndtr(bell), side="right").clip(max=len(column.ends) - 1)
            values[column.definition.name] = np.where(missing, -1, codes)
        else:
            values[column.definition.name] = np.where(missing, np.nan, _numbers(column, bell, generator))
    return Block(values, generator.random((rows, 2)))


def true_pd(process: DataGeneratingProcess, block: Block) -> Floats:
    """The probability of default `(N,)`, a function of the feature columns alone."""
    return np.asarray(expit(process.intercept + process.scale * _risk(process, block)), np.float64)


def _standardised(column: ColumnProcess, view: Floats) -> ColumnProcess:
    centre, spread = float(np.nanmean(view)), float(np.nanstd(view))
    # The spread of a constant column is rounding error.
    return replace(column, centre=centre, spread=spread if spread > 1e-9 * (1 + abs(centre)) else 1.0)


def _draw_column(column: Column, generator: np.random.Generator) -> ColumnProcess:
    low, high, wide = (0.0, 0.0, False) if column.is_coded else _range(column)
    # An open column need not list any category.
    categories = column.categories or (("level 1", "level 2", "level 3") if column.is_coded else ())
    shares = np.cumsum(generator.gamma(2.0, size=len(categories)) + 0.2)
    effects = generator.normal(size=len(categories))
    if column.kind is Kind.ORDINAL:
        effects = np.cumsum(np.abs(effects))
    strength = generator.exponential() * generator.choice([-1.0, 1.0])
    return ColumnProcess(
        definition=column,
        loadings=(generator.uniform(-0.6, 0.6), generator.uniform(-0.6, 0.6)),
        low=low,
        high=high,
        wide=wide,
        shift=generator.uniform(-0.6, 0.6),
        categories=categories,
        ends=shares / shares[-1] if len(shares) else shares,
        effects=effects,
        slope=strength,
        hinge=0.0 if column.is_coded else -strength * generator.uniform(0.5, 2.0),
        knot=generator.uniform(-0.5, 0.8),
        missing_effect=generator.normal(),
    )


def _range(column: Column) -> tuple[float, float, bool]:
    """The range `(low, high, wide)`: the bounds, with guesses for those that are not declared."""
    if column.kind in (Kind.DATE, Kind.WEIGHT):
        return (*(_DAYS_BEFORE if column.kind is Kind.DATE else _WEIGHTS), False)
    low, high = column.minimum, column.maximum
    if low is None and high is None:
        low, high = -10_000.0, 10_000.0
    elif high is None:
        assert low is not None
        high = max(1000 * low, 100_000.0) if low >= 0 else low + 2 * abs(low) + 1000
    elif low is None:
        low = high - 2 * abs(high) - 1000
    low, high = float(low), float(high)
    if column.integer:
        low, high = math.ceil(low), math.floor(high)
        if low > high:
            raise DataError(
                f"column {column.name!r} must have a whole number between its bounds, however: "
                f"minimum={column.minimum}, maximum={column.maximum}"
            )
    wide = high >= 50 * low if low > 0 else low == 0 and high >= 1000
    return low, high, wide


def _numbers(column: ColumnProcess, bell: Floats, generator: np.random.Generator) -> Floats:
    """Values inside the bounds from standard normal ones, special values replaced by others."""
    values = _numbers_of_shares(column, ndtr(column.shift + 0.6 * bell))
    special = np.array(column.definition.special)
    allowed = None
    if column.definition.integer and column.high - column.low < 10_000:
        allowed = np.setdiff1d(np.arange(column.low, column.high + 1), special)
    for _ in range(100):
        positions = np.flatnonzero(np.isin(values, special))
        if not len(positions):
            return values
        if allowed is None:
            values[positions] = _numbers_of_shares(column, generator.random(len(positions)))
        elif len(allowed):
            values[positions] = generator.choice(allowed, len(positions))
    definition = column.definition
    raise DataError(
        f"column {definition.name!r} must have values that are not special, however: "
        f"special={definition.special}, minimum={definition.minimum}, maximum={definition.maximum}"
    )


def _numbers_of_shares(column: ColumnProcess, shares: Floats) -> Floats:
    """Values at shares (0 to 1) of the way through the range."""
    low, high = column.low, column.high + (1 if column.definition.integer else 0)
    if column.wide:
        floor = low if low > 0 else high * 1e-4
        values = np.exp(math.log(floor) + (math.log(high) - math.log(floor)) * shares)
    else:
        values = low + (high - low) * shares
    if column.definition.integer:
        values = np.floor(values)
    elif high - low > 1e-6:  # a few decimals are enough, as in real files
        values = np.round(values, max(0, 5 - math.floor(math.log10(high - low))))
    return np.clip(values, low, column.high) + 0.0  # adding 0.0 turns -0.0 into 0.0


def _view(column: ColumnProcess, values: Any) -> Floats:
    """A column as it enters the risk: numbers, logarithms or effects of categories; NaN for missing."""
    if column.definition.is_coded:
        return np.asarray(np.append(column.effects, np.nan)[values], np.float64)
    return np.asarray(np.log(np.maximum(values, column.high * 1e-4)) if column.wide else values, np.float64)


def _risk(process: DataGeneratingProcess, block: Block) -> Floats:
    """The risk `(N,)` before it is scaled to the logits."""
    risk: Floats = np.zeros(len(block.draws))
    product: Floats = np.ones(len(block.draws))
    for column in process.columns:
        name = column.definition.name
        if not column.definition.is_feature:
            continue
        view = (_view(column, block.values[name]) - column.centre) / column.spread
        missing = np.isnan(view)
        view = np.where(missing, 0.0, view)
        risk += column.slope * view + column.hinge * np.maximum(view - column.knot, 0.0)
        risk += column.missing_effect * missing
        if name in process.pair:
            product *= view
    return risk + product if process.pair else risk

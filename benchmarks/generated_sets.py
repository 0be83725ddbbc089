"""Generated credit sets whose true PDs are known: a guard against a recipe that fits the public sets alone.

Each set has a difficulty of its own: few rows, sharp edges, interactions, missing values that mean something,
noise columns, many levels, rare defaults. As the PD of every row is known, so is the AUC that no model can
exceed; the gap to it is what is measured.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from benchmarks.credit_sets import CreditSet
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema

_TEST_ROWS = 20_000
_VALIDATION = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """What a generated set consists of."""

    rows: int
    """Labelled rows to learn from, validation included."""
    numerical: int
    categorical: int = 0
    levels: int = 6
    """Levels of each categorical column."""
    noise: int = 0
    """Further numerical columns that say nothing."""
    trees: float = 0.0
    """Standard deviation that random trees add to the logit."""
    smooth: float = 1.0
    """Standard deviation that smooth functions of single columns add."""
    products: float = 0.0
    """Standard deviation that products of two columns add."""
    missing: float = 0.0
    """Share of the numbers that are missing, the more often the larger the number was."""
    bad_rate: float = 0.2
    """Mean PD."""


RECIPES = {
    "smooth_500": Recipe(rows=500, numerical=8, smooth=1.2),
    "edges_2k": Recipe(rows=2_000, numerical=10, categorical=2, smooth=0.4, trees=1.5),
    "products_5k": Recipe(rows=5_000, numerical=10, smooth=0.7, products=1.3),
    "missing_5k": Recipe(rows=5_000, numerical=14, categorical=3, smooth=1.0, trees=0.8, missing=0.5),
    "noise_5k": Recipe(rows=5_000, numerical=8, noise=40, smooth=0.8, trees=0.8, bad_rate=0.1),
    "levels_10k": Recipe(rows=10_000, numerical=6, categorical=4, levels=200, smooth=1.0),
    "rare_20k": Recipe(rows=20_000, numerical=15, categorical=3, smooth=1.0, trees=0.7, bad_rate=0.03),
    "edges_50k": Recipe(rows=50_000, numerical=16, categorical=4, smooth=0.4, trees=1.6, products=0.4),
}


def generated_set(name: str, *, seed: int) -> CreditSet:
    """The set of a recipe: training and validation rows, and 20,000 test rows of the same population."""
    recipe = RECIPES[name]
    generator = np.random.default_rng([seed, *name.encode()])
    n_rows = recipe.rows + _TEST_ROWS
    numbers = _numbers(recipe.numerical, n_rows, generator)
    codes = generator.integers(0, recipe.levels, (n_rows, recipe.categorical))
    logit = _logit(recipe, numbers, codes, generator)
    pd_true = _with_mean(logit, recipe.bad_rate)
    frame = _frame(recipe, numbers, codes, generator)
    order = generator.permutation(recipe.rows)
    n_validation = round(_VALIDATION * recipe.rows)
    return CreditSet(
        name=name,
        schema=_schema(name, frame),
        frame=frame,
        y=(generator.random(n_rows) < pd_true).astype(np.float32),
        train=np.sort(order[n_validation:]),
        validation=np.sort(order[:n_validation]),
        test=np.arange(recipe.rows, n_rows),
        pd_true=pd_true,
    )


def _numbers(n_columns: int, n_rows: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Correlated standard normal columns, by three factors."""
    loadings = generator.normal(0, 0.5, (3, n_columns))
    mixed = generator.normal(size=(n_rows, 3)) @ loadings + generator.normal(size=(n_rows, n_columns))
    scaled: NDArray[np.float64] = mixed / np.sqrt(1 + (loadings**2).sum(0))
    return scaled


def _logit(
    recipe: Recipe,
    numbers: NDArray[np.float64],
    codes: NDArray[np.int64],
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    total = np.zeros(len(numbers))
    if recipe.smooth:
        total += recipe.smooth * _standardised(_smooth(numbers, codes, generator))
    if recipe.products:
        total += recipe.products * _standardised(_products(numbers, generator))
    if recipe.trees:
        total += recipe.trees * _standardised(_trees(numbers, codes, generator))
    return total


def _smooth(
    numbers: NDArray[np.float64], codes: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.float64]:
    shapes: list[Callable[[NDArray[np.float64]], NDArray[np.float64]]] = [
        lambda x: x,
        np.tanh,
        lambda x: np.log1p(np.exp(2 * x)),
        lambda x: np.sin(2 * x),
        lambda x: x**2 / 2,
    ]
    total = np.zeros(len(numbers))
    for index in range(numbers.shape[1]):
        shape = shapes[generator.integers(len(shapes))]
        total += generator.normal() * shape(numbers[:, index])
    for index in range(codes.shape[1]):
        total += generator.normal(size=codes[:, index].max() + 1)[codes[:, index]]
    return total


def _products(numbers: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    total = np.zeros(len(numbers))
    for _ in range(numbers.shape[1] // 2):
        first, second = generator.choice(numbers.shape[1], 2, replace=False)
        total += generator.normal() * numbers[:, first] * numbers[:, second]
    return total


def _trees(
    numbers: NDArray[np.float64], codes: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.float64]:
    """The sum of 20 random trees of depth three, that is of steps in up to seven columns."""
    total = np.zeros(len(numbers))
    for _ in range(20):
        leaf = np.zeros(len(numbers), dtype=np.int64)
        for _ in range(3):
            column = generator.integers(numbers.shape[1] + codes.shape[1])
            if column < numbers.shape[1]:
                side = numbers[:, column] > generator.normal(0, 0.8)
            else:
                levels = codes[:, column - numbers.shape[1]]
                side = (generator.random(levels.max() + 1) < 0.5)[levels]
            leaf = 2 * leaf + side
        total += generator.normal(size=8)[leaf]
    return total


def _standardised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = (values - values.mean()) / values.std()
    return scaled


def _with_mean(logit: NDArray[np.float64], mean: float) -> NDArray[np.float64]:
    """PDs with the mean, by bisection of the intercept."""
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(logit + middle).mean() < mean else (low, middle)
    return np.asarray(expit(logit + low))


def _frame(
    recipe: Recipe,
    numbers: NDArray[np.float64],
    codes: NDArray[np.int64],
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Columns as lenders have them: amounts, counts, shares, with missing values."""
    columns: dict[str, NDArray[np.float64] | list[str]] = {}
    for index in range(recipe.numerical):
        values = numbers[:, index]
        written: NDArray[Any] = (
            np.round(np.exp(9 + 0.8 * values), -1),
            np.floor(np.exp(0.5 + 0.9 * values)),
            np.round(norm.cdf(values), 3),
            np.round(values, 2),
        )[index % 4]
        if recipe.missing:
            chance = _with_mean(values * generator.normal(0, 1), recipe.missing)
            written = np.where(generator.random(len(values)) < chance, np.nan, written)
        columns[f"number_{index}"] = written
    for index in range(recipe.noise):
        columns[f"noise_{index}"] = generator.normal(size=len(numbers))
    for index in range(recipe.categorical):
        columns[f"category_{index}"] = [f"level {code}" for code in codes[:, index]]
    return pd.DataFrame(columns)


def _schema(name: str, frame: pd.DataFrame) -> Schema:
    columns = []
    for column in frame.columns:
        if column.startswith("category"):
            frame[column] = frame[column].astype("str")
            columns.append(Column(name=column, kind=Kind.CATEGORICAL, open=True, nullable=True))
        else:
            columns.append(Column(name=column, kind=Kind.NUMERICAL, nullable=True))
    return Schema(name=name, columns=tuple(columns))

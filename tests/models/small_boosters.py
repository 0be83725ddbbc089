"""Small boosters of LightGBM over random rows, whose trees the tests of the models share."""

from typing import Any

import lightgbm
import numpy as np

from loan_default.models.features import Inputs
from loan_default.models.tree_training import trees_of
from loan_default.models.trees import Trees


def random_inputs(
    generator: np.random.Generator, rows: int, numerical: int, categorical: int, *, codes: int
) -> Inputs:
    """Some columns with missing values, some constant, some with few different numbers."""
    numbers = generator.normal(size=(rows, numerical))
    for column in range(numerical):
        if column % 4 == 1:
            numbers[generator.random(rows) < 0.3, column] = np.nan
        elif column % 4 == 2:
            numbers[:, column] = np.round(numbers[:, column])
        elif column % 4 == 3:
            numbers[:, column] = 1.5
    return Inputs(
        numerical=numbers.astype(np.float32),
        codes=generator.integers(0, codes, size=(rows, categorical)).astype(np.int64),
    )


def matrix(inputs: Inputs) -> np.ndarray:
    return np.hstack([inputs.numerical.astype(np.float64), inputs.codes])


def random_booster(
    generator: np.random.Generator, inputs: Inputs, *, rounds: int = 12, **parameters: Any
) -> lightgbm.Booster:
    numerical = inputs.numerical.shape[1]
    rows = matrix(inputs)
    signal = np.nan_to_num(rows, nan=2.0) @ generator.normal(size=rows.shape[1]) + (rows[:, -1] % 3)
    labels = generator.random(len(rows)) < np.argsort(np.argsort(signal)) / len(rows)
    data = lightgbm.Dataset(
        rows,
        label=labels,
        weight=generator.uniform(0.2, 5, len(rows)),
        categorical_feature=list(range(numerical, rows.shape[1])),
        params={"verbosity": -1},
    )
    fixed = {"objective": "binary", "verbosity": -1, "num_threads": 1, "deterministic": True}
    return lightgbm.train(fixed | parameters, data, num_boost_round=rounds)


def trained_trees(seed: int = 0, rows: int = 300) -> tuple[Trees, lightgbm.Booster, Inputs]:
    generator = np.random.default_rng(seed)
    inputs = random_inputs(generator, rows, 4, 2, codes=9)
    booster = random_booster(generator, inputs)
    return trees_of(booster, numerical=4, categorical=2), booster, inputs

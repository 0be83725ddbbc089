"""Generated credit sets with columns of many levels, such as employer and postcode, whose PDs are known.

Levels follow a Zipf distribution: a few have hundreds of rows, most a handful, and some test rows have one
that no training row had. Each level shifts the logit by an amount of its own, drawn normal; in
`meaningless_5k` by none.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from benchmarks.credit_sets import CreditSet
from loan_default.data.schema.frames import RawFrame
from loan_default.data.schema.inference.infer import infer_frame_schema

_TEST_ROWS = 20_000
_VALIDATION = 0.2
_BAD_RATE = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """What a set with many levels consists of."""

    rows: int
    """Labelled rows to learn from, validation included."""
    levels: tuple[int, ...]
    """Levels of each column of categories."""
    effect: float
    """Standard deviation of the shift of a column's levels, in logits; 0 = the levels mean nothing."""
    numerical: int = 6
    """Numerical columns, each with an effect of its own."""
    exponent: float = 0.8
    """Of the Zipf distribution: the frequency of the k-th level falls with k to this power."""


RECIPES = {
    "city_5k": Recipe(rows=5_000, levels=(300,), effect=0.9),
    "employer_5k": Recipe(rows=5_000, levels=(2_000, 300), effect=0.8),
    "meaningless_5k": Recipe(rows=5_000, levels=(2_000, 300), effect=0.0),
    "postcode_30k": Recipe(rows=30_000, levels=(3_000,), effect=0.9),
    "both_30k": Recipe(rows=30_000, levels=(5_000, 500), effect=0.7),
}


def level_set(name: str, *, seed: int) -> CreditSet:
    """The set of a recipe, its schema inferred from the labelled rows as a user's would be."""
    recipe = RECIPES[name]
    generator = np.random.default_rng([seed, *name.encode()])
    n_rows = recipe.rows + _TEST_ROWS
    numbers = generator.normal(size=(n_rows, recipe.numerical))
    logit = np.tanh(numbers) @ generator.normal(0, 0.6, recipe.numerical)
    logit += 0.4 * numbers[:, 0] * numbers[:, 1]
    columns: dict[str, NDArray[np.float64] | list[str]] = {
        f"number_{index}": np.round(numbers[:, index], 3) for index in range(recipe.numerical)
    }
    for index, n_levels in enumerate(recipe.levels):
        chance = np.arange(1, n_levels + 1) ** -recipe.exponent
        codes = generator.choice(n_levels, n_rows, p=chance / chance.sum())
        logit += generator.normal(0, recipe.effect, n_levels)[codes] if recipe.effect else 0.0
        names = generator.permutation(n_levels)
        columns[f"employer_{index}"] = [f"employer {names[code]}" for code in codes]
    pd_true = _with_mean(logit, _BAD_RATE)
    frame = pd.DataFrame(columns)
    y = (generator.random(n_rows) < pd_true).astype(np.float32)
    order = generator.permutation(recipe.rows)
    n_validation = round(_VALIDATION * recipe.rows)
    raw = RawFrame(frame=frame.iloc[: recipe.rows].astype("str"), rejects=pd.DataFrame({"reason": []}))
    return CreditSet(
        name=name,
        schema=infer_frame_schema(raw, name=name, source=name, target=None).schema,
        frame=frame,
        y=y,
        train=np.sort(order[n_validation:]),
        validation=np.sort(order[:n_validation]),
        test=np.arange(recipe.rows, n_rows),
        pd_true=pd_true,
    )


def _with_mean(logit: NDArray[np.float64], mean: float) -> NDArray[np.float64]:
    """PDs with the mean, by bisection of the intercept."""
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(logit + middle).mean() < mean else (low, middle)
    return np.asarray(expit(logit + low))

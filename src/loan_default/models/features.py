"""Features: what is fitted on the training rows to turn a canonical frame into two arrays.

Numerical and ordinal columns become one float array, quantile-normal transformed, NaN for missing.
Categorical columns become one integer array of codes, 0 for unknown, rare and missing.
The fitted part is plain values and arrays, is stored inside the model file, and never raises on odd
input: an unseen category, a missing or infinite value and an absent column are all just "not known".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from loan_default.data.schema.column import Kind
from loan_default.data.schema.language import Schema
from loan_default.errors import DataError

_CLIP = 1e-7
"""Probability clip of the quantile-normal transform; ±5.2 in normal units, as in scikit-learn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What the network sees of some rows."""

    numerical: NDArray[np.float32]
    """(rows, F), quantile-normal units, NaN = missing."""
    codes: NDArray[np.int64]
    """(rows, C), 0 = unknown or missing."""

    def __len__(self) -> int:
        return len(self.numerical)

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> "Inputs":
        return Inputs(numerical=self.numerical[rows], codes=self.codes[rows])


@dataclass(frozen=True, kw_only=True, slots=True)
class NumericalFeature:
    """One fitted numerical or ordinal column."""

    name: str
    quantiles: NDArray[np.float64]
    """Ascending quantiles of the training values, evenly spaced from 0 to 1; empty = never seen."""
    edges: NDArray[np.float64]
    """Ascending edges of the piecewise-linear bins, in normal units; at least two."""
    levels: tuple[str, ...] = ()
    """Ordinal: levels from low to high, whose ranks are the values; empty = a number already."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CategoricalFeature:
    """One fitted categorical column."""

    name: str
    vocabulary: tuple[str, ...]
    """Categories with codes 1, 2, …; everything else is code 0."""

    @property
    def cardinality(self) -> int:
        """Number of codes, the 0 included."""
        return len(self.vocabulary) + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Features:
    """The fitted features of a model."""

    numerical: tuple[NumericalFeature, ...]
    categorical: tuple[CategoricalFeature, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Columns in token order: numerical, then categorical."""
        numerical = tuple(feature.name for feature in self.numerical)
        return numerical + tuple(feature.name for feature in self.categorical)

    @property
    def edges(self) -> list[NDArray[np.float64]]:
        """Bin edges of each numerical feature."""
        return [feature.edges for feature in self.numerical]

    @property
    def cardinalities(self) -> list[int]:
        """Number of codes of each categorical feature."""
        return [feature.cardinality for feature in self.categorical]

    def transform(self, frame: pd.DataFrame) -> Inputs:
        """Arrays of a canonical frame of any rows; absent columns are missing. Never raises on values."""
        numerical = np.full((len(frame), len(self.numerical)), np.nan, dtype=np.float32)
        for column, feature in enumerate(self.numerical):
            if feature.name in frame:
                values = _to_numbers(frame[feature.name], feature.levels)
                numerical[:, column] = _quantile_normal(values, feature.quantiles)
        codes = np.zeros((len(frame), len(self.categorical)), dtype=np.int64)
        for column, category in enumerate(self.categorical):
            if category.name in frame:
                codes[:, column] = _positions(frame[category.name], category.vocabulary) + 1
        return Inputs(numerical=numerical, codes=codes)


def fit_features(
    frame: pd.DataFrame,
    schema: Schema,
    *,
    max_bins: int = 512,
    rows_per_bin: int = 30,
    rare_share: float = 0.001,
) -> Features:
    """Features fitted on a canonical frame, which must hold training rows only.

    Args:
        max_bins: piecewise-linear bins of a numerical column at most. Boosters look at 255.
        rows_per_bin: rows that a bin must have on average; keeps small sets from fine bins.
        rare_share: categories below this share of the rows are unknown to the model; 0 = keep all.

    Raises:
        DataError: no rows, or no feature column with two values.
    """
    if frame.empty:
        raise DataError("features must be fitted on at least one row, however: rows=0")
    numerical: list[NumericalFeature] = []
    categorical: list[CategoricalFeature] = []
    for column in schema.features:
        if column.name not in frame:
            continue
        values = frame[column.name]
        if column.kind is Kind.CATEGORICAL:
            shares = values.value_counts(normalize=True, dropna=True)
            kept = sorted(str(name) for name, share in shares.items() if share >= rare_share)
            if values.nunique(dropna=False) > 1:
                categorical.append(CategoricalFeature(name=column.name, vocabulary=tuple(kept)))
        else:
            levels = column.categories if column.kind is Kind.ORDINAL else ()
            numbers = _to_numbers(values, levels)
            known = len(numbers) - int(np.isnan(numbers).sum())
            bins = max(1, min(max_bins, known // rows_per_bin))
            feature = _fit_numerical(column.name, numbers, bins=bins, levels=levels)
            if feature is not None:
                numerical.append(feature)
    if not numerical and not categorical:
        raise DataError(
            "at least one feature column must have two different values, however: all are constant"
        )
    return Features(numerical=tuple(numerical), categorical=tuple(categorical))


def features_to_dict(features: Features) -> dict[str, Any]:
    """Plain values and arrays that `features_from_dict` reads back."""
    return {
        "numerical": [
            {
                "name": feature.name,
                "quantiles": feature.quantiles,
                "edges": feature.edges,
                "levels": list(feature.levels),
            }
            for feature in features.numerical
        ],
        "categorical": [
            {"name": feature.name, "vocabulary": list(feature.vocabulary)} for feature in features.categorical
        ],
    }


def features_from_dict(raw: Mapping[str, Any]) -> Features:
    """Features from plain values.

    Raises:
        DataError: names that are no text or not distinct, or quantiles and edges that do not ascend.
    """
    features = Features(
        numerical=tuple(
            NumericalFeature(
                name=item["name"],
                quantiles=np.asarray(item["quantiles"], dtype=np.float64),
                edges=np.asarray(item["edges"], dtype=np.float64),
                levels=tuple(item["levels"]),
            )
            for item in raw["numerical"]
        ),
        categorical=tuple(
            CategoricalFeature(name=item["name"], vocabulary=tuple(item["vocabulary"]))
            for item in raw["categorical"]
        ),
    )
    _check(features)
    return features


def _check(features: Features) -> None:
    lists = [features.names, *(feature.levels for feature in features.numerical)]
    lists += [feature.vocabulary for feature in features.categorical]
    for names in lists:
        if not all(type(name) is str for name in names) or len(set(names)) != len(names):
            raise DataError(f"names must be text and distinct, however: {names[:5]!r} of {len(names)}")
    for feature in features.numerical:
        for what, array, fewest in (("quantiles", feature.quantiles, 1), ("edges", feature.edges, 2)):
            steps = np.diff(array)
            ascends = bool((steps > 0).all() if what == "edges" else (steps >= 0).all())
            if array.ndim != 1 or len(array) < fewest or not ascends or not np.isfinite(array).all():
                raise DataError(f"{what} must be finite and ascend, however: {feature.name!r} has {array}")


def _to_numbers(values: pd.Series, levels: tuple[str, ...]) -> NDArray[np.float64]:
    """Values as floats, NaN where missing, infinite, or an unknown level."""
    if levels:
        ranks = _positions(values, levels).astype(np.float64)
        return np.where(ranks < 0, np.nan, ranks)
    if values.dtype == object:  # pandas raises on some objects, and reads some as what they are not
        numbers = np.array([_to_number(value) for value in values.tolist()], dtype=np.float64)
    elif values.dtype.kind in "mMc":  # times and complex numbers are no measurements
        numbers = np.full(len(values), np.nan)
    else:
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _to_number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return np.nan


def _positions(values: pd.Series, names: tuple[str, ...]) -> NDArray[np.int64]:
    """Position of each value among the names, -1 for anything that is none of them."""
    texts = [value if isinstance(value, str) else None for value in values.tolist()]
    found: NDArray[np.int64] = pd.Index(names, dtype=object).get_indexer(pd.Index(texts, dtype=object))
    return found


def _fit_numerical(
    name: str, values: NDArray[np.float64], *, bins: int, levels: tuple[str, ...]
) -> NumericalFeature | None:
    seen = values[~np.isnan(values)]
    if len(seen) == 0 or seen.min() == seen.max():
        # A column that is only ever missing or one value still carries its missingness.
        if len(seen) in (0, len(values)):
            return None
        return NumericalFeature(name=name, quantiles=seen[:1], edges=np.array([-1.0, 1.0]), levels=levels)
    quantiles = np.quantile(seen, np.linspace(0, 1, min(1000, max(2, len(seen) // 30))))
    quantiles = np.maximum.accumulate(quantiles)  # interpolation can step back by a rounding error
    normal = _quantile_normal(seen, quantiles)
    edges = np.unique(np.quantile(normal, np.linspace(0, 1, bins + 1)))
    if len(edges) < 2:
        edges = np.array([normal.min(), normal.max()])
    return NumericalFeature(name=name, quantiles=quantiles, edges=edges, levels=levels)


def _quantile_normal(values: NDArray[np.float64], quantiles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normal score of each value's rank among the training values; ties get the middle of their ranks."""
    if len(quantiles) < 2:
        return np.where(np.isnan(values), np.nan, 0.0)
    ranks = np.linspace(0, 1, len(quantiles))
    below = np.interp(values, quantiles, ranks)
    above = -np.interp(-values, -quantiles[::-1], -ranks[::-1])
    result: NDArray[np.float64] = ndtri(np.clip((below + above) / 2, _CLIP, 1 - _CLIP))
    return result

"""Features: what is fitted on the training rows to turn a canonical frame into two arrays.

Numerical and ordinal columns become one float array, quantile-normal transformed, NaN for missing. So do
dates that something is derived from: the years from the date to the application.
Categorical columns become one integer array of codes, 0 for unknown, rare and missing. Where a column has
buckets, categories without a code of their own share the codes after those, by a hash of their text. Where it
has many levels, those that repeat have positions besides, by which a network looks up their default rates.
The fitted part is plain values and arrays, is stored inside the model file, and never raises on odd
input: an unseen category, a missing or infinite value and an absent column are all just "not known".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from loan_default.data.schema.column import DIRECTIONS, Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.errors import DataError
from loan_default.models.categories import (
    CategoricalFeature,
    category_from_dict,
    category_positions,
    category_to_dict,
    fit_categorical,
)

if TYPE_CHECKING:
    import pandas as pd

MICROS_OF_YEAR = 31_557_600_000_000
"""Microseconds of 365.25 days."""
CLIP = 1e-7
"""Probability clip of the quantile-normal transform; ±5.2 in normal units, as in scikit-learn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What the network sees of some rows."""

    numerical: NDArray[np.float32]
    """(rows, F), quantile-normal units, NaN = missing."""
    codes: NDArray[np.int64]
    """(rows, C), 0 = unknown or missing."""
    levels: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    """(rows, R), positions among the levels of the columns that have many, 0 = none of them; (0, 0) = no
    such column."""

    def __len__(self) -> int:
        return len(self.numerical)

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> "Inputs":
        levels = self.levels[rows] if self.levels.shape[1] else self.levels
        return Inputs(numerical=self.numerical[rows], codes=self.codes[rows], levels=levels)

    @property
    def without_levels(self) -> "Inputs":
        """The same without positions among levels, for what must see no default rate."""
        return Inputs(numerical=self.numerical, codes=self.codes)


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
    application_time: str = ""
    """Date: the column with the time of the application, up to which years are counted; empty = no date."""
    is_complete: bool = False
    """No training row lacked it; False also in files of older releases, where that is not known."""
    is_whole: bool = False
    """It held whole numbers only; False also in files of older releases."""
    direction: int = 0
    """1 = the PD must not fall as the value rises, -1 = it must not rise; 0 = as is learned."""


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

    @property
    def level_counts(self) -> list[int]:
        """Number of levels with a rate of each categorical feature; 0 = it has few levels."""
        return [len(feature.levels) for feature in self.categorical]

    @property
    def directions(self) -> NDArray[np.int64]:
        """(F,) how the PD must move with each numerical feature: 1 not down, -1 not up, 0 as is learned."""
        return np.array([feature.direction for feature in self.numerical], dtype=np.int64)

    def transform(self, frame: "pd.DataFrame") -> Inputs:
        """Arrays of a canonical frame of any rows; absent columns are missing. Never raises on values."""
        numerical = np.full((len(frame), len(self.numerical)), np.nan, dtype=np.float32)
        for column, feature in enumerate(self.numerical):
            if feature.name in frame:
                values = values_of(feature, frame)
                numerical[:, column] = quantile_normal(values, feature.quantiles)
        codes = np.zeros((len(frame), len(self.categorical)), dtype=np.int64)
        for column, category in enumerate(self.categorical):
            if category.name in frame:
                codes[:, column] = category.codes(frame[category.name])
        rated = [category for category in self.categorical if len(category.levels)]
        levels = np.zeros((len(frame) if rated else 0, len(rated)), dtype=np.int64)
        for column, category in enumerate(rated):
            if category.name in frame:
                levels[:, column] = category.level_positions(frame[category.name])
        return Inputs(numerical=numerical, codes=codes, levels=levels)


_FEW_BINS = 16
"""Bins that rows without a label are enough for."""


def fit_features(
    frame: "pd.DataFrame",
    schema: Schema,
    *,
    labelled: NDArray[np.bool_] | None = None,
    max_bins: int = 512,
    rows_per_bin: int = 30,
    rare_share: float = 0.001,
) -> Features:
    """Features fitted on a canonical frame, which must hold training rows only.

    Args:
        labelled: which of the rows `(rows,)` have a label; None = all.
        max_bins: piecewise-linear bins of a numerical column at most. Boosters look at 255.
        rows_per_bin: known values that a bin must have on average, of labelled rows; keeps small sets from
            fine bins. Rows without a label allow 16 bins by themselves.
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
        if column.kind is Kind.CATEGORICAL:
            category = fit_categorical(frame[column.name], column, rare_share=rare_share)
            if category is not None:
                categorical.append(category)
        else:
            unfitted = _unfitted(column, schema)
            numbers = values_of(unfitted, frame)
            known = len(numbers) - int(np.isnan(numbers).sum())
            bins = max(1, min(max_bins, known // rows_per_bin))
            if labelled is not None:
                with_label = int((~np.isnan(numbers) & labelled).sum())
                bins = min(bins, max(_FEW_BINS, with_label // rows_per_bin))
            feature = _fit_numerical(unfitted, numbers, bins=bins)
            if feature is not None:
                numerical.append(feature)
    if not numerical and not categorical:
        raise DataError(
            "at least one feature column must have two different values, however: all are constant"
        )
    return Features(numerical=tuple(numerical), categorical=tuple(categorical))


def features_to_dict(features: Features) -> dict[str, Any]:
    """Plain values and arrays that `features_from_dict` reads back."""
    # Keys that are later than the first models are written where they are used. The schema beside them in a
    # file has a key of its own for each, so that an older release refuses the file.
    return {
        "numerical": [
            {
                "name": feature.name,
                "quantiles": feature.quantiles,
                "edges": feature.edges,
                "levels": list(feature.levels),
            }
            | ({"application_time": feature.application_time} if feature.application_time else {})
            | {flag: True for flag in ("is_complete", "is_whole") if getattr(feature, flag)}
            | ({"direction": feature.direction} if feature.direction else {})
            for feature in features.numerical
        ],
        "categorical": [category_to_dict(feature) for feature in features.categorical],
    }


def features_from_dict(raw: Mapping[str, Any]) -> Features:
    """Features from plain values.

    Raises:
        DataError: names that are no text or not distinct, directions that are none, buckets that are no
            numbers from 0 upwards, or quantiles, edges, buckets or levels that do not ascend.
    """
    features = Features(
        numerical=tuple(
            NumericalFeature(
                name=item["name"],
                quantiles=np.asarray(item["quantiles"], dtype=np.float64),
                edges=np.asarray(item["edges"], dtype=np.float64),
                levels=tuple(item["levels"]),
                application_time=item.get("application_time", ""),
                is_complete=item.get("is_complete") is True,
                is_whole=item.get("is_whole") is True,
                direction=item.get("direction", 0),
            )
            for item in raw["numerical"]
        ),
        categorical=tuple(category_from_dict(item) for item in raw["categorical"]),
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
        if type(feature.application_time) is not str:
            raise DataError(f"names must be text, however: {feature.application_time!r}")
        if feature.direction not in (-1, 0, 1):
            raise DataError(f"a direction must be -1, 0 or 1, however: {feature.direction!r}")
        for what, array, fewest in (("quantiles", feature.quantiles, 1), ("edges", feature.edges, 2)):
            lower, upper = array[:-1], array[1:]
            ascends = bool((upper > lower).all() if what == "edges" else (upper >= lower).all())
            if array.ndim != 1 or len(array) < fewest or not ascends or not np.isfinite(array).all():
                raise DataError(f"{what} must be finite and ascend, however: {feature.name!r} has {array}")


def values_of(feature: NumericalFeature, frame: "pd.DataFrame") -> NDArray[np.float64]:
    """The values of a feature before they are transformed, NaN where missing."""
    if not feature.application_time:
        return _to_numbers(frame[feature.name], feature.levels)
    if feature.application_time not in frame:
        return np.full(len(frame), np.nan)
    return _years_between(frame[feature.name], frame[feature.application_time])


def _years_between(dates: "pd.Series", times: "pd.Series") -> NDArray[np.float64]:
    """Years of 365.25 days from each date to the time beside it, NaN where one of both is missing."""
    if dates.dtype.kind != "M" or times.dtype.kind != "M":
        return np.full(len(dates), np.nan)
    micros = [each.to_numpy(dtype="datetime64[us]") for each in (dates, times)]
    years: NDArray[np.float64] = (micros[1] - micros[0]) / np.timedelta64(MICROS_OF_YEAR, "us")
    return years


def _to_numbers(values: "pd.Series", levels: tuple[str, ...]) -> NDArray[np.float64]:
    """Values as floats, NaN where missing, infinite, or an unknown level."""
    if levels:
        ranks = category_positions(values, levels).astype(np.float64)
        return np.where(ranks < 0, np.nan, ranks)
    if values.dtype == object:  # pandas raises on some objects, and reads some as what they are not
        numbers = np.array([_to_number(value) for value in values.tolist()], dtype=np.float64)
    elif values.dtype.kind in "mMc":  # times and complex numbers are no measurements
        numbers = np.full(len(values), np.nan)
    else:
        import pandas as pd  # noqa: PLC0415 (a process that reads single records does without)

        numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _to_number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return np.nan


def _unfitted(column: Column, schema: Schema) -> NumericalFeature:
    """What is known of a numerical feature before any value is."""
    application = schema.timestamp if column.derive else None
    return NumericalFeature(
        name=column.name,
        quantiles=np.zeros(0),
        edges=np.zeros(0),
        levels=column.categories if column.kind is Kind.ORDINAL else (),
        application_time=application.name if application is not None else "",
        direction=DIRECTIONS.get(column.monotonic, 0),
    )


def _fit_numerical(
    unfitted: NumericalFeature, values: NDArray[np.float64], *, bins: int
) -> NumericalFeature | None:
    seen = values[~np.isnan(values)]
    if len(seen) == 0 or seen.min() == seen.max():
        # A column that is only ever missing or one value still carries its missingness.
        if len(seen) in (0, len(values)):
            return None
        return replace(unfitted, quantiles=seen[:1], edges=np.array([-1.0, 1.0]))
    # A quarter of numbers near the largest float have a difference that is one, too.
    scale = 4.0 if np.abs(seen).max() > np.finfo(float).max / 4 else 1.0
    quantiles = scale * np.quantile(seen / scale, np.linspace(0, 1, min(1000, max(2, len(seen) // 30))))
    quantiles = np.maximum.accumulate(quantiles)  # interpolation can step back by a rounding error
    normal = quantile_normal(seen, quantiles)
    edges = np.unique(np.quantile(normal, np.linspace(0, 1, bins + 1)))
    if len(edges) < 2:
        edges = np.array([normal.min(), normal.max()])
    is_measured = not unfitted.levels and not unfitted.application_time
    return replace(
        unfitted,
        quantiles=quantiles,
        edges=edges,
        is_complete=len(seen) == len(values),
        is_whole=is_measured and bool((np.trunc(seen) == seen).all()),
    )


def quantile_normal(values: NDArray[np.float64], quantiles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normal score of each value's rank among the training values; ties get the middle of their ranks."""
    if len(quantiles) < 2:
        return np.where(np.isnan(values), np.nan, 0.0)
    ranks = np.linspace(0, 1, len(quantiles))
    below = np.interp(values, quantiles, ranks)
    above = -np.interp(-values, -quantiles[::-1], -ranks[::-1])
    result: NDArray[np.float64] = ndtri(np.clip((below + above) / 2, CLIP, 1 - CLIP))
    return result

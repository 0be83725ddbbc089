"""From canonical records straight to the arrays of a model, without a frame in between.

The arrays are to the bit those of `features.transform(records_frame(records, schema))`. A frame of one row
costs a hundred times the arithmetic, so each column has its look-ups made once: few rows go through lists and
bisection, many through numpy.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from loan_default.models.categories import CategoricalFeature, bucket_of, level_key
from loan_default.models.features import CLIP, MICROS_OF_YEAR, Features, Inputs, NumericalFeature

Record = Mapping[str, Any]
Value = Callable[[Record], float]

FEW_ROWS = 4
"""So many rows at most are faster one by one (`benchmarks/serving_engine.py`)."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HALF = 0.5
"""The rank of any known value where the training rows had one only: its normal score is 0."""


class RecordArrays:
    """Called with canonical records, it returns what the network sees of them. Threads may share it."""

    def __init__(self, features: Features) -> None:
        self._numbers = [(_value_of(feature), _Ranks(feature.quantiles)) for feature in features.numerical]
        self._codes = [_Codes(feature) for feature in features.categorical]
        self._levels = [_Levels(feature) for feature in features.categorical if len(feature.levels)]

    def __call__(self, records: Sequence[Record]) -> Inputs:
        """Arrays of canonical records; a column that a record lacks is missing. Never raises on values."""
        ranks = np.empty((len(records), len(self._numbers)))
        for column, (value_of, rank) in enumerate(self._numbers):
            values = [value_of(record) for record in records]
            ranks[:, column] = rank.of_few(values) if len(values) <= FEW_ROWS else rank.of_many(values)
        codes = np.empty((len(records), len(self._codes)), dtype=np.int64)
        for column, code_of in enumerate(self._codes):
            codes[:, column] = [code_of(record) for record in records]
        levels = np.zeros((len(records) if self._levels else 0, len(self._levels)), dtype=np.int64)
        for column, position_of in enumerate(self._levels):
            levels[:, column] = [position_of(record) for record in records]
        scores: NDArray[np.float64] = ndtri(np.clip(ranks, CLIP, 1 - CLIP))
        return Inputs(numerical=scores.astype(np.float32), codes=codes, levels=levels)


class _Ranks:
    """The rank, 0 to 1, of a value among the training values; ties get the middle of their ranks."""

    def __init__(self, quantiles: NDArray[np.float64]) -> None:
        self._is_constant = len(quantiles) < 2
        if not self._is_constant:
            ranks = np.linspace(0, 1, len(quantiles))
            self._below, self._above = (quantiles, ranks), (-quantiles[::-1], -ranks[::-1])
            self._lines = _Line(*self._below), _Line(*self._above)

    def of_few(self, values: Sequence[float]) -> Sequence[float]:
        if self._is_constant:
            return [math.nan if math.isnan(value) else _HALF for value in values]
        below, above = self._lines
        return [(below(value) - above(-value)) / 2 for value in values]

    def of_many(self, values: Sequence[float]) -> NDArray[np.float64]:
        numbers = np.array(values)
        if self._is_constant:
            return np.where(np.isnan(numbers), np.nan, _HALF)
        below, above = np.interp(numbers, *self._below), np.interp(-numbers, *self._above)
        result: NDArray[np.float64] = (below - above) / 2
        return result


class _Line:
    """`numpy.interp` for one number, step by step as numpy computes it."""

    def __init__(self, at: NDArray[np.float64], heights: NDArray[np.float64]) -> None:
        self._at: list[float] = at.tolist()
        self._heights: list[float] = heights.tolist()
        with np.errstate(all="ignore"):  # equal neighbours have no slope, and no number lies between them
            self._slopes: list[float] = (np.diff(heights) / np.diff(at)).tolist()

    def __call__(self, number: float) -> float:
        if number != number:  # noqa: PLR0124 (NaN, without the cost of a call)
            return number
        at, heights = self._at, self._heights
        if number < at[0]:
            return heights[0]
        index = bisect_right(at, number) - 1
        if index >= len(at) - 1 or at[index] == number:
            return heights[index]
        slope = self._slopes[index]
        height = slope * (number - at[index]) + heights[index]
        return height if height == height else slope * (number - at[index + 1]) + heights[index + 1]  # noqa: PLR0124


def _value_of(feature: NumericalFeature) -> Value:
    """The function from a record to the value of a feature before it is transformed, NaN where missing."""
    name = feature.name
    if feature.application_time:
        return _years_of(name, feature.application_time)
    if feature.levels:
        return _rank_of(name, feature.levels)

    def number_of(record: Record) -> float:
        value = record.get(name)
        return value if isinstance(value, float) and math.isfinite(value) else math.nan

    return number_of


def _rank_of(name: str, levels: tuple[str, ...]) -> Value:
    ranks = {level: float(rank) for rank, level in enumerate(levels)}

    def rank_of(record: Record) -> float:
        level = record.get(name)
        return ranks.get(level, math.nan) if isinstance(level, str) else math.nan

    return rank_of


def _years_of(name: str, application_time: str) -> Value:
    def years_of(record: Record) -> float:
        date, time = record.get(name), record.get(application_time)
        if not isinstance(date, datetime) or not isinstance(time, datetime):
            return math.nan
        # Both are rounded to floats before they are divided, as numpy divides them.
        micros = [(each - _EPOCH) // _MICROSECOND for each in (date, time)]
        return float(micros[1] - micros[0]) / float(MICROS_OF_YEAR)

    return years_of


class _Codes:
    """The code of a record's category, 0 where it is unknown or missing."""

    def __init__(self, feature: CategoricalFeature) -> None:
        self._name, self._buckets = feature.name, feature.buckets
        self._code_of = {text: code for code, text in enumerate(feature.vocabulary, start=1)}
        first = len(feature.vocabulary) + 1
        self._code_of_bucket = {bucket: first + at for at, bucket in enumerate(feature.known_buckets)}

    def __call__(self, record: Record) -> int:
        text = record.get(self._name)
        if not isinstance(text, str):
            return 0
        code = self._code_of.get(text, 0)
        if code or not self._buckets:
            return code
        return self._code_of_bucket.get(bucket_of(text, self._buckets), 0)


class _Levels:
    """The position of a record's level among those with a default rate, 0 = none of them, or missing."""

    def __init__(self, feature: CategoricalFeature) -> None:
        self._name, self._levels = feature.name, feature.levels

    def __call__(self, record: Record) -> int:
        text = record.get(self._name)
        if not isinstance(text, str):
            return 0
        key = level_key(text)
        found = int(np.searchsorted(self._levels, key))
        return found + 1 if found < len(self._levels) and self._levels[found] == key else 0

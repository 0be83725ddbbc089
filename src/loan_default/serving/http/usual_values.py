"""Usual values of the columns, from what a model keeps of its training rows; no value is a person's row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loan_default.models.features import Features, NumericalFeature
from loan_default.serving.lineup import Scorer

_MEDIAN, _LOW, _HIGH = 0.5, 0.02, 0.98


@dataclass(frozen=True, kw_only=True, slots=True)
class UsualValues:
    """What is usual among the training rows."""

    typical: Mapping[str, Any]
    """Column -> its median, or its first category."""
    ranges: Mapping[str, tuple[float, float]]
    """Numerical column -> the values below which 2 % and 98 % of the rows lie."""
    years: Mapping[str, float] = field(default_factory=dict)
    """Date -> median years from it to the application."""


def usual_values(scorer: Scorer) -> UsualValues:
    """What is usual, empty where the scorer does not show the fitted features."""
    features = getattr(scorer, "features", None)
    if not isinstance(features, Features):
        return UsualValues(typical={}, ranges={})
    typical: dict[str, Any] = {
        each.name: each.vocabulary[0] for each in features.categorical if each.vocabulary
    }
    ranges: dict[str, tuple[float, float]] = {}
    years: dict[str, float] = {}
    for feature in features.numerical:
        if not len(feature.quantiles):
            continue
        if feature.application_time:
            years[feature.name] = _quantile(feature.quantiles, _MEDIAN)
            continue
        if feature.levels:
            rank = round(_quantile(feature.quantiles, _MEDIAN))
            typical[feature.name] = feature.levels[min(max(rank, 0), len(feature.levels) - 1)]
            continue
        typical[feature.name] = _rounded(feature, _MEDIAN)
        ranges[feature.name] = (float(_rounded(feature, _LOW)), float(_rounded(feature, _HIGH)))
    return UsualValues(typical=typical, ranges=ranges, years=years)


def _quantile(quantiles: NDArray[np.float64], share: float) -> float:
    return float(np.interp(share, np.linspace(0, 1, len(quantiles)), quantiles))


def _rounded(feature: NumericalFeature, share: float) -> float | int:
    """A quantile with three significant digits, within what was seen; a whole number where all were."""
    value = _quantile(feature.quantiles, share)
    if value:
        value = round(value, 2 - int(np.floor(np.log10(abs(value)))))
    value = float(np.clip(value, feature.quantiles[0], feature.quantiles[-1]))
    return round(value) if feature.is_whole or value.is_integer() else value

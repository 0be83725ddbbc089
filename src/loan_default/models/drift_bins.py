"""A sample of applications in the bins that were frozen when the model was trained.

    sample = counted_sample(frame, pds, features=features, reference=reference)

A categorical column has a bin for each category that had 2 % of the training rows or more, one for all rarer
ones, one for categories that the model does not know, and one for missing values: in a small sample the
counts of rare categories say nothing by themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from loan_default.models.categories import CategoricalFeature
from loan_default.models.features import Features, NumericalFeature
from loan_default.models.reference import counts_over

if TYPE_CHECKING:
    import pandas as pd

Counts = NDArray[np.int64]

_RARE = 0.02
_MISSING, _UNKNOWN, _RARER = "missing", "unknown", "rarer categories"
_EITHER = "missing or unknown"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BinCounts:
    """One column in its frozen bins: rows of the training and rows of a sample."""

    name: str
    bins: tuple[str, ...]
    """What each bin holds, in words."""
    expected: Counts
    """`(B,)` training rows."""
    actual: Counts
    """`(B,)` rows of the sample."""
    missing: int | None = None
    """Index of the bin of missing values; None = they share a bin with unknown categories."""
    unknown: int | None = None
    """Index of the bin of categories that the model does not know; None = a number, or they share a bin."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CountedSample:
    """A sample of applications beside the training of the model that scored them."""

    rows: int
    columns: tuple[BinCounts, ...]
    score: BinCounts
    """The PDs, in bins of equal mass of the PDs of validation rows."""


def counted_sample(
    frame: "pd.DataFrame",
    pds: NDArray[np.float64],
    *,
    features: Features,
    reference: Mapping[str, Any],
) -> CountedSample:
    """Count a canonical frame and its PDs `(rows,)` into the bins of a model file.

    Args:
        reference: what `reference_of` made when the model was trained.
    """
    numerical = features.transform(frame).numerical.astype(np.float64)
    columns = [
        _numbers(feature, numerical[:, at], reference["numerical"][feature.name])
        for at, feature in enumerate(features.numerical)
    ]
    columns += [
        _categories(feature, frame, reference["categorical"][feature.name])
        for feature in features.categorical
    ]
    return CountedSample(rows=len(frame), columns=tuple(columns), score=_scores(pds, reference["pd"]))


def _scores(pds: NDArray[np.float64], histogram: Mapping[str, Any]) -> BinCounts:
    edges = np.asarray(histogram["edges"], np.float64)
    return BinCounts(
        name="score",
        bins=_ranges([f"{edge:.1%}" for edge in edges]),
        expected=np.asarray(histogram["counts"], np.int64),
        actual=counts_over(pds, edges),
        missing=len(edges) + 1,
    )


def _numbers(
    feature: NumericalFeature, scores: NDArray[np.float64], histogram: Mapping[str, Any]
) -> BinCounts:
    edges = np.asarray(histogram["edges"], np.float64)
    return BinCounts(
        name=feature.name,
        bins=_ranges(_edges_in_words(feature, edges)),
        expected=np.asarray(histogram["counts"], np.int64),
        actual=counts_over(scores, edges),
        missing=len(edges) + 1,
    )


def _edges_in_words(feature: NumericalFeature, edges: NDArray[np.float64]) -> list[str]:
    """Edges in normal units as values of the column."""
    ranks = np.linspace(0, 1, len(feature.quantiles))
    values = np.interp(ndtr(edges), ranks, feature.quantiles) if len(edges) else edges
    if feature.levels:
        last = len(feature.levels) - 1
        return [feature.levels[min(int(np.ceil(value)), last)] for value in values]
    return [f"{value:,.6g}" for value in values]


def _ranges(edges: list[str]) -> tuple[str, ...]:
    """The bins between edges in words, the one of missing values last."""
    if not edges:
        return ("known", _MISSING)
    between = [f"{low} to {high}" for low, high in pairwise(edges)]
    return (f"below {edges[0]}", *between, f"{edges[-1]} and more", _MISSING)


def _categories(
    feature: CategoricalFeature, frame: "pd.DataFrame", histogram: Mapping[str, Any]
) -> BinCounts:
    expected = np.asarray(histogram["counts"], np.int64)
    rows = len(frame)
    if feature.name in frame:
        values = frame[feature.name]
        actual = np.bincount(feature.codes(values), minlength=feature.cardinality)
        missing = int(values.isna().sum())
    else:
        actual, missing = np.zeros(feature.cardinality, np.int64), rows
        actual[0] = rows
    own = np.flatnonzero(expected[1:] >= max(1.0, _RARE * expected.sum())) + 1
    rarer = np.setdiff1d(np.arange(1, len(expected)), own)
    names = [_code_in_words(feature, int(code)) for code in own]
    if len(rarer):
        names.append(_RARER)
    counts = [
        np.concatenate([each[own], [each[rarer].sum()] if len(rarer) else []]) for each in (expected, actual)
    ]
    known_missing = histogram.get("missing")
    if known_missing is None:
        names.append(_EITHER)
        tails = [[expected[0]], [actual[0]]]
    else:
        names += [_UNKNOWN, _MISSING]
        tails = [[expected[0] - known_missing, known_missing], [actual[0] - missing, missing]]
    return BinCounts(
        name=feature.name,
        bins=tuple(names),
        expected=np.append(counts[0], tails[0]).astype(np.int64),
        actual=np.append(counts[1], tails[1]).astype(np.int64),
        missing=None if known_missing is None else len(names) - 1,
        unknown=None if known_missing is None else len(names) - 2,
    )


def _code_in_words(feature: CategoricalFeature, code: int) -> str:
    if code <= len(feature.vocabulary):
        return feature.vocabulary[code - 1]
    return f"other texts, bucket {feature.known_buckets[code - 1 - len(feature.vocabulary)]}"

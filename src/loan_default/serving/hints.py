"""A what-if for a declined application: the smallest change of one column that would cross the cut-off.

Only columns that an applicant can act on are moved, one at a time, within the bounds of the schema and within
what the training rows held. How large a change is counts in shares of the training rows that lie between the
two values; another category counts as all of them. The hint is no promise: the model says what goes together
with defaults, not what would happen to a person who changes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.models.features import Features, NumericalFeature

Record = Mapping[str, Any]
Score = Callable[[Sequence[Record]], NDArray[np.float64]]

NOTE = "A what-if of the model, and no promise."
_CANDIDATES = 32
"""Values of a number that are looked at, at even shares of the training rows."""
_STRIDE = 4
"""First each fourth of them, then those beside the nearest one that crosses."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hint:
    """A change that would cross the cut-off."""

    column: str
    value: float | str
    """What the column would have to be."""
    pd: float
    """The PD then."""
    size: float
    """Share of the training rows between the two values, 0 to 1."""
    note: str = NOTE

    def to_dict(self) -> dict[str, Any]:
        """Plain values that can be written as JSON."""
        return asdict(self)


def hint_for(
    record: Record, *, schema: Schema, features: Features, cutoff: float, score: Score
) -> Hint | None:
    """The smallest change of one column of a canonical record that brings its PD down to the cut-off.

    None where no single change does, or where the PD is not above the cut-off.

    Args:
        score: PDs of canonical records.
    """
    if score([record])[0] <= cutoff:
        return None
    paths = list(_paths(record, schema, features))
    coarse = [each for path in paths for each in (path[_STRIDE - 1 :: _STRIDE] or path[-1:])]
    crossing = {(each.column, each.way) for each in _crossing(coarse, record, cutoff, score)}
    chosen = [path for path in paths if path and (path[0].column, path[0].way) in crossing]
    found = _crossing([each for path in chosen for each in path], record, cutoff, score)
    best = min(found, key=lambda each: (each.size, each.order), default=None)
    if best is None:
        return None
    return Hint(column=best.column, value=best.value, pd=best.pd, size=round(best.size, 4))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Step:
    """A value that a column is moved to."""

    column: str
    value: float | str
    size: float
    way: int
    """-1 = down, 1 = up, 0 = to another category."""
    order: int
    """Place of the column in the schema, for changes of one size."""
    pd: float = 1.0


def _crossing(steps: Sequence[_Step], record: Record, cutoff: float, score: Score) -> list[_Step]:
    """The steps, with their PDs, after which the PD is not above the cut-off."""
    if not steps:
        return []
    pds = score([{**record, each.column: each.value} for each in steps]).tolist()
    return [
        _Step(column=each.column, value=each.value, size=each.size, way=each.way, order=each.order, pd=pd)
        for each, pd in zip(steps, pds, strict=True)
        if pd <= cutoff
    ]


def _paths(record: Record, schema: Schema, features: Features) -> Iterator[list[_Step]]:
    """The values that each column can move to, the nearest first, each way by itself."""
    numbers = {each.name: each for each in features.numerical}
    known = {each.name: each.vocabulary for each in features.categorical}
    for order, column in enumerate(schema.columns):
        if not column.is_reason or record.get(column.name) is None:
            continue
        own = record[column.name]
        if column.kind is Kind.CATEGORICAL:
            others = [each for each in known.get(column.name, ()) if each != own]
            for other in others:
                yield [_Step(column=column.name, value=other, size=1.0, way=0, order=order)]
        elif column.name in numbers and not numbers[column.name].application_time:
            yield from _numeric_paths(column, numbers[column.name], own, order)


def _numeric_paths(column: Column, feature: NumericalFeature, own: Any, order: int) -> Iterator[list[_Step]]:
    values = _candidates(column, feature)
    rank_of = {level: rank for rank, level in enumerate(feature.levels)}
    here = float(rank_of.get(own, np.nan)) if feature.levels else float(own)
    for way in (-1, 1):
        beyond = sorted((each for each in values if way * (each - here) > 0), key=lambda each: way * each)
        yield [
            _Step(
                column=column.name,
                value=feature.levels[int(each)] if feature.levels else each,
                size=abs(_rank(feature, each) - _rank(feature, here)),
                way=way,
                order=order,
            )
            for each in beyond
        ]


def _candidates(column: Column, feature: NumericalFeature) -> list[float]:
    """Values at even shares of the training rows, written as a person would, within the bounds."""
    shares = np.linspace(0, 1, _CANDIDATES + 1)
    found = np.quantile(feature.quantiles, shares) if len(feature.quantiles) else np.zeros(0)
    low = -np.inf if column.minimum is None else column.minimum
    high = np.inf if column.maximum is None else column.maximum
    values = set()
    for value in found.tolist():
        number = float(round(value)) if feature.is_whole or feature.levels else float(f"{value:.3g}")
        is_seen = feature.quantiles[0] <= number <= feature.quantiles[-1]
        if is_seen and low <= number <= high and number not in column.special:
            values.add(number)
    return sorted(values)


def _rank(feature: NumericalFeature, value: float) -> float:
    """Share of the training rows below a value, ties by half."""
    ranks = np.linspace(0, 1, len(feature.quantiles))
    below = np.interp(value, feature.quantiles, ranks)
    above = 1 - np.interp(-value, -feature.quantiles[::-1], ranks)
    return float((below + above) / 2)

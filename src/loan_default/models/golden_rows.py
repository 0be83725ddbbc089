"""Golden rows: a few made-up rows and their PDs, by which whatever scores by a model shows that it is sound.

They are made from what the features of a model know of each column (quantiles, levels, categories), column by
column with other strides: no row is that of a person. Some values are missing, some categories unlisted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loan_default.data.schema.language import Schema
from loan_default.errors import ArtifactError
from loan_default.models.categories import CategoricalFeature
from loan_default.models.features import MICROS_OF_YEAR, Features, NumericalFeature

if TYPE_CHECKING:
    import pandas as pd

ROWS = 16
TOLERANCE = 1e-6
"""How far a PD of a golden row may be from the one that was stored."""
_APPLICATION = datetime(2024, 2, 29, 12, tzinfo=UTC)
_UNLISTED = "golden {}"

Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GoldenRows:
    """Rows and their PDs."""

    records: tuple[Record, ...]
    """Canonical values of the columns that the model sees; the others are left out."""
    pds: NDArray[np.float64]
    """(rows,), calibrated."""

    def check(self, pds: NDArray[np.float64], *, what: str) -> None:
        """Refuse other PDs of the rows.

        Raises:
            ArtifactError: a PD is not finite, not between 0 and 1, or another one than was stored.
        """
        if pds.shape != self.pds.shape or not ((pds > 0) & (pds < 1)).all():
            raise ArtifactError(f"PDs of golden rows must be between 0 and 1, however: {what} gives others")
        farthest = float(np.abs(pds - self.pds).max(initial=0))
        if farthest > TOLERANCE:
            raise ArtifactError(
                f"golden rows must have the PDs that their training stored, however: {what} is off by "
                f"{farthest:.1e}. Train it again."
            )


def golden_records(features: Features) -> list[Record]:
    """Canonical values of made-up rows, the same for the same features."""
    records: list[Record] = [{} for _ in range(ROWS)]
    for index, feature in enumerate(features.numerical):
        for row, record in enumerate(records):
            if feature.application_time:
                record[feature.application_time] = _APPLICATION + timedelta(days=row)
            record[feature.name] = None if (row + index) % 7 == 6 else _number(feature, row, index)
    for index, category in enumerate(features.categorical):
        for row, record in enumerate(records):
            record[category.name] = None if (row + index) % 7 == 5 else _category(category, row, index)
    return records


def golden_frame(records: Sequence[Mapping[str, Any]], schema: Schema) -> "pd.DataFrame":
    """The frame of golden rows, with the columns that they have."""
    import pandas as pd  # noqa: PLC0415 (a process that reads single records does without)

    columns = [column for column in schema.columns if column.name in records[0]]
    return pd.DataFrame(
        {
            column.name: pd.Series([record[column.name] for record in records], dtype=column.kind.dtype)
            for column in columns
        }
    )


def golden_to_dict(golden: GoldenRows) -> dict[str, Any]:
    """Plain values and an array that `golden_from_dict` reads back."""
    names = list(golden.records[0]) if golden.records else []
    columns = {name: [_plain(record[name]) for record in golden.records] for name in names}
    return {"columns": columns, "pds": golden.pds}


def golden_from_dict(raw: Mapping[str, Any], features: Features) -> GoldenRows:
    """Golden rows from plain values.

    Raises:
        ArtifactError: they are none, or not of the columns of the features.
    """
    pds, columns = np.asarray(raw["pds"]), raw["columns"]
    times = {
        name
        for feature in features.numerical
        if feature.application_time
        for name in (feature.name, feature.application_time)
    }
    is_sound = pds.dtype == np.float64 and pds.ndim == 1 and len(pds) and columns.keys() >= {*features.names}
    if not is_sound or any(len(values) != len(pds) for values in columns.values()):
        raise ArtifactError(
            f"golden rows must have a PD each and the columns of the features, however: {len(columns)} "
            f"columns, {pds.shape} PDs"
        )
    read = {
        name: [_time(value) for value in values] if name in times else list(values)
        for name, values in columns.items()
    }
    records = [dict(zip(read, row, strict=True)) for row in zip(*read.values(), strict=True)]
    return GoldenRows(records=tuple(records), pds=pds)


def _number(feature: NumericalFeature, row: int, index: int) -> Any:
    """A quantile, or in every other row the middle of two; a level, or a date, where the column has those."""
    quantiles: Sequence[float] = feature.quantiles.tolist() or [0.0]
    at = round((5 * row + 3 * index) % ROWS / (ROWS - 1) * (len(quantiles) - 1))
    number = quantiles[at]
    if feature.levels:
        return feature.levels[max(0, min(len(feature.levels) - 1, round(number)))]
    if row % 2:
        number = number / 2 + quantiles[min(at + 1, len(quantiles) - 1)] / 2
    if not feature.application_time:
        return number
    try:
        return _APPLICATION + timedelta(days=row) - timedelta(microseconds=round(number * MICROS_OF_YEAR))
    except OverflowError:  # such a date has no place in a calendar
        return None


def _category(feature: CategoricalFeature, row: int, index: int) -> str:
    if row % 5 == 4 or not feature.vocabulary:
        return _UNLISTED.format(row)
    return feature.vocabulary[(3 * row + index) % len(feature.vocabulary)]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _time(value: Any) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)

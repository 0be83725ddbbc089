"""The labelled rows of the training store that models are compared on: those that none of them has seen.

    later rows              are later than all that the models were trained on; they are taken where enough of
                            them have a timestamp
    the permanent holdout   is kept out of every training on the store by one version of the split and one
                            reading of the features

Where neither is certain, no row is taken: metrics on rows that a model may have seen would flatter it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from loan_default.data.datasets.splits import SPLIT_VERSION, held_out
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.database.documents import DatasetName
from loan_default.models.model import LoanModel
from loan_default.pipelines.training.dataset import Dataset

FIRST_SPLIT_VERSION = 1
"""The version of models whose provenance names none: they are older than versions of the split."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class UnseenRows:
    """Labelled rows that none of the compared models has seen."""

    positions: NDArray[np.int64]
    """Ascending positions in the frame; empty = no row is certain to be unseen."""
    name: DatasetName
    reason: str
    """Which rows these are, or why there are none, as a clause of a sentence."""
    can_be_measured: bool = True
    """Whether there are rows, with both outcomes among them."""
    coverage: float | None = None
    """Share of the rows of this kind, old enough for an outcome, whose outcome is known; None = no rows."""


def unseen_rows(
    dataset: Dataset,
    models: Sequence[LoanModel],
    *,
    fewest: int,
    mature: NDArray[np.bool_] | None = None,
) -> UnseenRows:
    """Find labelled rows that none of the models has seen: the later ones where there are enough of them.

    Args:
        fewest: later rows below which the permanent holdout is taken instead.
        mature: `(rows,)` whether a row is old enough to have an outcome; None = all are.
    """
    for model in models:
        if changed := columns_read_differently(model, dataset.schema):
            return _none(f"the schema reads {', '.join(changed)} differently than it did for {model.version}")
    labelled = ~np.isnan(dataset.labels)
    old_enough = np.ones_like(labelled) if mature is None else labelled | mature
    all_later = _later_than_all(dataset, models)
    later = labelled & all_later
    if later.sum() >= fewest and len(set(dataset.labels[later])) > 1:
        reason = "out of time: later than all that the models were trained on"
        return UnseenRows(
            positions=np.flatnonzero(later),
            name=DatasetName.OUT_OF_TIME,
            reason=reason,
            coverage=float(later.sum() / (old_enough & all_later).sum()),
        )
    obstacles = [_obstacle(model, dataset.schema) for model in models]
    if known := [each for each in obstacles if each is not None]:
        return _none(
            f"no row is known to be new to {_them(models)}: {'; '.join(known)}; a training on the store "
            "(`--data store:`) leaves such rows out"
        )
    all_kept = held_out(dataset.frame, dataset.schema)
    kept = labelled & all_kept
    if len(set(dataset.labels[kept])) < 2:
        return _none(
            f"of {int(labelled.sum()):,} labelled rows {int(kept.sum()):,} are in the permanent holdout, and "
            "both outcomes must be among them"
        )
    return UnseenRows(
        positions=np.flatnonzero(kept),
        name=DatasetName.HELD_OUT,
        reason="permanent holdout: seen by no model that was trained on the store",
        coverage=float(kept.sum() / (old_enough & all_kept).sum()),
    )


def columns_read_differently(model: LoanModel, schema: Schema) -> list[str]:
    """Columns that a schema reads differently than a model: features that it lacks or changes, the target."""
    now = {column.name: column for column in schema.features}
    changed = [
        then.name
        for then in model.schema.features
        if then.name not in now or not mean_the_same(then, now[then.name])
    ]
    before, target = model.schema.target, schema.target
    if before is None or target is None or _outcome(before) != _outcome(target):
        changed.append("the target" if before is None else before.name)
    return changed


def mean_the_same(then: Column, now: Column) -> bool:
    """Whether what a model has learnt of a column still holds; a new category is unknown to the model.

    Descriptions, units and labels do not matter: a column that is measured differently gets a new name.
    """
    if (then.kind, set(then.special)) != (now.kind, set(now.special)):
        return False
    if any(now.aliases.get(spelling) != category for spelling, category in then.aliases.items()):
        return False
    if now.kind is Kind.ORDINAL:
        return then.categories == now.categories
    return set(then.categories) <= set(now.categories)


def _outcome(target: Column) -> tuple[str, frozenset[str], frozenset[str]]:
    bad, good = (target.spellings_of(value) for value in (target.positive, target.negative))
    return target.name, frozenset(bad), frozenset(good)


def _later_than_all(dataset: Dataset, models: Sequence[LoanModel]) -> NDArray[np.bool_]:
    column = dataset.schema.timestamp
    none = np.zeros(len(dataset.frame), bool)
    if column is None:
        return none
    ends = []
    for model in models:
        end, then = model.provenance.get("seen_until"), model.schema.timestamp
        if end is None or then is None or then.name != column.name:
            return none  # timestamps of another column cannot be compared with these
        ends.append(pd.Timestamp(str(end)))
    return np.asarray(dataset.frame[column.name] > max(ends), dtype=bool)


def _obstacle(model: LoanModel, schema: Schema) -> str | None:
    """Why a model may have seen rows of the permanent holdout; None = it has not."""
    split = model.provenance.get("split")
    if split != "for good":
        return f"{model.version} was trained on a split of its own ({split})"
    version = model.provenance.get("split_version") or FIRST_SPLIT_VERSION
    if version != SPLIT_VERSION:
        return (
            f"{model.version} was trained with version {version} of the permanent holdout, this is version "
            f"{SPLIT_VERSION}, which holds out other rows"
        )
    if model.provenance.get("encoder_given") and model.provenance.get("encoder_split_version") != version:
        return f"{model.version} started from an encoder that may have seen rows of the permanent holdout"
    if model.schema.comparison_digest != schema.comparison_digest:
        names = ", ".join(_columns_apart(model.schema, schema))
        return (
            f"the schema reads {names} differently than it did for {model.version}, which moves rows of the "
            "permanent holdout"
        )
    return None


def _columns_apart(then: Schema, now: Schema) -> list[str]:
    """Names of the columns by which the comparison digests of two schemas differ."""
    before, after = _interpretations(then), _interpretations(now)
    return [name for name in before | after if before.get(name) != after.get(name)]


def _interpretations(schema: Schema) -> dict[str, object]:
    columns = [*schema.features, *schema.groups, *([] if schema.target is None else [schema.target])]
    return {column.name: column.interpretation for column in columns}


def _none(reason: str) -> UnseenRows:
    return UnseenRows(
        positions=np.zeros(0, np.int64), name=DatasetName.HELD_OUT, reason=reason, can_be_measured=False
    )


def _them(models: Sequence[LoanModel]) -> str:
    return "both" if len(models) > 1 else "it"

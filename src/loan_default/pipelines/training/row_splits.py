"""The rows of a training on their sides: what trains, validates and tests, and what must not be separated.

    rows = split_dataset(options, dataset)

Rows of one applicant (`group = true` in the schema) stay on one side. Where none is named, equal rows do,
unless few values describe a row and most are equal to another by chance. Near-copies that only their nearness
gives away are found and stated, with the metrics without them, but decide no side: the permanent holdout must
put a row on the same side before its copy has come, and in no split shall a guess move rows.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from loan_default.choices import Choice
from loan_default.data.datasets.duplicates import duplicate_groups, kept_together, named_groups
from loan_default.data.datasets.row_hashing import hash_rows, hash_sides
from loan_default.data.datasets.splits import (
    Split,
    on_a_held_out_side,
    permanent_holdout_split,
    split_out_of_time,
    split_rows,
)
from loan_default.data.datasets.twins import Twins, find_twins
from loan_default.pipelines.training.dataset import Dataset
from loan_default.pipelines.training.training_options import PERMANENT_HOLDOUT, TrainingOptions

SPLITS = {"stratified": "stratified", "out of time": "out of time", PERMANENT_HOLDOUT: "permanent holdout"}
"""Split -> what is printed and logged of it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SplitRows:
    """The split of a dataset, and what it kept together."""

    split: Split
    groups: NDArray[np.int64]
    """`(rows,)`, rows with the same number must not be separated."""
    sides: NDArray[np.uint64]
    """`(rows,)`, hashes that decide the side of a row in the permanent holdout."""
    twins: Twins | None
    """Near-copies among the labelled rows; None = none were found."""


def split_dataset(options: TrainingOptions, dataset: Dataset) -> SplitRows:
    """The rows of a dataset on the sides that the options ask for.

    Raises:
        DataError: as `split_rows`, `split_out_of_time` and `permanent_holdout_split`.
    """
    frame, schema = dataset.frame, dataset.schema
    hashes = hash_rows(frame, schema.features)  # once: it is what takes long
    copies = duplicate_groups(frame, schema, hashes=hashes)
    twins = find_twins(frame, schema, dataset.labels, hashes=hashes)
    groups = kept_together(copies, named_groups(frame, schema), dataset.labels)
    sides = hash_sides(frame, schema) if schema.groups else hashes
    if options.split == PERMANENT_HOLDOUT:
        kept = pd.factorize(sides)[0].astype(np.int64)
        split = permanent_holdout_split(frame, schema, groups=kept, hashes=sides)
    else:
        split_by = split_out_of_time if options.split == "out of time" else split_rows
        split = split_by(frame, schema, groups=groups, seed=options.seed)
    return SplitRows(split=split, groups=groups, sides=sides, twins=twins)


def twin_choice(twins: Twins | None) -> list[Choice]:
    """What was done about near-copies, with the evidence; empty = there are none."""
    if twins is None:
        return []
    return [
        Choice(
            what="near-copies",
            value="may lie on both sides of the split; the report has the metrics without them",
            reason=f"{twins.rows:,} of {twins.labelled:,} rows ({twins.share:.1%}) have one; "
            f"of pairs {twins.agreement:.1%} have one outcome, of ordinary neighbours {twins.ordinary:.1%}",
        )
    ]


def unlabelled_to_pretrain_on(
    options: TrainingOptions, dataset: Dataset, rows: SplitRows
) -> NDArray[np.int64]:
    """Positions of the unlabelled rows that pretraining may see.

    None is a copy of a validation or test row, and none may become one. Where the test rows are the latest,
    none is later than all rows that train. Where they are a permanent holdout, none lies on its side: the
    outcome of the row may come later, and then models are evaluated on it.
    """
    split, groups = rows.split, rows.groups
    not_trained_on = np.concatenate([split.validation, split.test])
    kept = split.unlabelled[~np.isin(groups[split.unlabelled], groups[not_trained_on])]
    if options.split == PERMANENT_HOLDOUT:
        return kept[~on_a_held_out_side(rows.sides[kept])]
    column = dataset.schema.timestamp
    if options.split != "out of time" or column is None:
        return kept
    times = dataset.frame[column.name]
    last = times.iloc[np.concatenate([split.train, split.validation])].max()
    later: NDArray[np.bool_] = (times.iloc[kept] > last).to_numpy(dtype=bool)
    return kept[~later]

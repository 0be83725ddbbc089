"""The rejected applications of a training: those that a model may learn from, and those that are held out.

    rejects = split_rejects(options, dataset, rows)

They have no outcome. Where outcomes are inferred, a model that learned from all of them could not be measured
on any. The side of a row does not depend on the method, so that models of all methods are measured alike.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loan_default.choices import Choice
from loan_default.data.datasets.splits import TEST_SHARE, spread_groups
from loan_default.errors import DataError
from loan_default.pipelines.training.dataset import Dataset
from loan_default.pipelines.training.row_splits import SplitRows
from loan_default.pipelines.training.training_options import TrainingOptions


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RejectSplit:
    """Ascending positions of the rejected applications of each side."""

    learned: NDArray[np.int64]
    """Those that pretraining, and a model with inferred outcomes, may learn from."""
    held_out: NDArray[np.int64]

    @property
    def all(self) -> NDArray[np.int64]:
        """Those of both sides, ascending."""
        return np.sort(np.concatenate([self.learned, self.held_out]))


def split_rejects(options: TrainingOptions, dataset: Dataset, rows: SplitRows) -> RejectSplit | None:
    """The rejected applications of a dataset by side; None = it names none.

    Copies and applicants of test rows are held out. Of the others a share is, at random by group; where the
    test rows are the latest, those that are later than all rows that train.

    Raises:
        DataError: outcomes are to be inferred, and there is no rejected application, none on one of the
            sides, or one that nobody knows the weight of.
    """
    declined = dataset.declined
    if options.infers_rejects:
        _check_any(options, dataset)
    if not len(declined):
        return None
    groups = rows.groups[declined]
    held_out = np.isin(groups, rows.groups[rows.split.test])
    if options.split == "out of time" and dataset.schema.timestamp is not None:
        times = dataset.frame[dataset.schema.timestamp.name]
        last = times.iloc[np.concatenate([rows.split.train, rows.split.validation])].max()
        held_out |= (times.iloc[declined] > last).to_numpy(dtype=bool)
    else:
        generator = np.random.default_rng([options.seed, len(declined)])
        index, _, middles = spread_groups(np.zeros(len(declined)), groups, generator)
        held_out |= middles[index] < TEST_SHARE
    if options.infers_rejects and (held_out.all() or not held_out.any()):
        raise DataError(
            "rejected applications must be there to learn from and to be measured on, however: "
            f"{int((~held_out).sum()):,} and {int(held_out.sum()):,} are. Add some, or leave "
            "--reject-inference out."
        )
    return RejectSplit(learned=declined[~held_out], held_out=declined[held_out])


def reject_choice(options: TrainingOptions, rejects: RejectSplit | None) -> list[Choice]:
    """What becomes of rejected applications; empty = the data name none."""
    if rejects is None:
        return []
    how = {"fuzzy": "outcomes are inferred by fuzzy augmentation", "none": "no outcome is inferred"}
    parcelling = f"outcomes are inferred by parcelling, factor {options.factor_of_rejects}"
    return [
        Choice(
            what="rejects",
            value=f"{len(rejects.learned):,} to learn from, {len(rejects.held_out):,} held out",
            reason=f"rejected applications; {how.get(options.reject_inference, parcelling)}",
        )
    ]


def _check_any(options: TrainingOptions, dataset: Dataset) -> None:
    """Raise a DataError where no outcome can be inferred."""
    method, target = options.reject_inference, dataset.schema.target
    assert target is not None
    if not len(dataset.declined):
        named = f"rejected = {list(target.rejected)}" if target.rejected else "nothing is named"
        raise DataError(
            f"--reject-inference {method} must have rejected applications, however: {dataset.source} has none"
            f' ({named}). Name their values of {target.name!r} by --rejected, or by rejected = ["…"] in the '
            "schema."
        )
    weights = dataset.weights
    if weights is not None and (unknown := int(np.isnan(weights[dataset.declined]).sum())):
        raise DataError(
            f"--reject-inference {method} must know how much a rejected application counts, however: "
            f"{unknown:,} of {len(dataset.declined):,} have no weight. Add it, or leave the option out."
        )

"""How the labels outside the test are best used by several networks: test AUC and log loss on generated sets.

    python -m benchmarks.members                                     # five networks, some minutes a set
    python -m benchmarks.members --sets edges_2k products_5k --seeds 3

- one validation set: each network learns from the training rows and stops by the validation rows
- the same, refitted: the same passes over all of these rows
- out of fold: each network stops by another fifth of these rows and learns from the rest
- out of fold, refitted: the same passes over all of them, which is what a run hands over

No calibration is applied. Networks start from random weights.
"""

import argparse
import os
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.credit_sets import CreditSet
from benchmarks.generated_sets import RECIPES, generated_set
from benchmarks.ours import setup
from loan_default.data.datasets.folds import folds_of
from loan_default.data.datasets.splits import Split
from loan_default.evaluation.metrics import auc
from loan_default.models.fitting import Fitted, Progress
from loan_default.models.labelled import Labelled
from loan_default.models.member_training import Architecture, MemberJob, train_members, trained_classifier
from loan_default.models.model import mean_probability
from loan_default.models.schedules import FitConfig

Positions = NDArray[np.int64]


def main() -> None:
    """Measure and print a row a set and seed, then the means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    small = [name for name, recipe in RECIPES.items() if recipe.rows <= 5_000]
    parser.add_argument("--sets", nargs="+", choices=RECIPES, default=small)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--members", type=int, default=5)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    ways: list[dict[str, tuple[float, float]]] = []
    for name in options.sets:
        for seed in range(options.seeds):
            ways.append(_measured(generated_set(name, seed=seed), members=options.members, seed=seed))
            if len(ways) == 1:
                print("| set | seed | " + " | ".join(ways[0]) + " |\n" + "|---" * (len(ways[0]) + 2) + "|")
            _print_row(f"{name} | {seed}", ways[-1])
    means = {
        way: (
            float(np.mean([each[way][0] for each in ways])),
            float(np.mean([each[way][1] for each in ways])),
        )
        for way in ways[0]
    }
    _print_row("mean | ", means)


def _print_row(label: str, found: dict[str, tuple[float, float]]) -> None:
    cells = [f"{area:.4f} · {loss:.4f}" for area, loss in found.values()]
    print(f"| {label} | " + " | ".join(cells) + " |", flush=True)


def _measured(data: CreditSet, *, members: int, seed: int) -> dict[str, tuple[float, float]]:
    """Way -> test AUC and log loss of the networks' average."""
    lab = _Laboratory.of(data)
    n = len(lab.rows.labels)
    validation = np.arange(len(data.train), n)
    split = Split(
        train=np.arange(len(data.train)),
        validation=validation,
        test=np.zeros(0, dtype=np.int64),
        unlabelled=np.zeros(0, dtype=np.int64),
        reason="that of the benchmark",
    )
    folds = folds_of(split, lab.rows.labels.astype(np.float64), groups=np.arange(n), seed=seed)
    ways = {
        "one validation set": [validation] * members,
        "out of fold": [folds[number % len(folds)] for number in range(members)],
    }
    found = {}
    for way, scored in ways.items():
        fitted = lab.fit([_job(number, seed, n, own) for number, own in enumerate(scored)])
        found[way] = lab.test_figures(fitted)
        refitted = lab.fit(
            [
                _job(number, seed, n, np.zeros(0, dtype=np.int64), like=each)
                for number, each in enumerate(fitted)
            ]
        )
        found[f"{way}, refitted"] = lab.test_figures(refitted)
    return found


def _job(number: int, seed: int, rows: int, scored: Positions, *, like: Fitted | None = None) -> MemberJob:
    return MemberJob(
        number=number + 1,
        seed=1_000 * seed + number,
        fingerprint="",
        checkpoint=None,
        learned=np.setdiff1d(np.arange(rows), scored),
        scored=scored,
        passes=None if like is None else like.passes,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Laboratory:
    """A set with its features; training and validation rows in this order."""

    data: CreditSet
    architecture: Architecture
    config: FitConfig
    rows: Labelled

    @classmethod
    def of(cls, data: CreditSet) -> "_Laboratory":
        features, preset = setup(data, rows=len(data.train))
        known = np.concatenate([data.train, data.validation])
        return cls(
            data=data,
            architecture=Architecture(features=features, encoder=preset.encoder, head=preset.head),
            config=preset.training,
            rows=Labelled(inputs=features.transform(data.frame.iloc[known]), labels=data.y[known]),
        )

    def fit(self, jobs: list[MemberJob]) -> list[Fitted]:
        return train_members(
            self.architecture,
            self.rows,
            jobs=jobs,
            config=self.config,
            encoder_state=None,
            device=torch.device("cpu"),
            processes=1,
            resume=False,
            on_progress=_silent,
        )

    def test_figures(self, fitted: list[Fitted]) -> tuple[float, float]:
        networks = [trained_classifier(self.architecture, each.state, self.rows.inputs) for each in fitted]
        test = self.architecture.features.transform(self.data.frame.iloc[self.data.test])
        pd_ = np.clip(mean_probability(networks, test), 1e-6, 1 - 1e-6)
        y = self.data.y[self.data.test]
        return auc(y, pd_), float(-np.mean(np.log(np.where(y == 1, pd_, 1 - pd_))))


def _silent(progress: Progress) -> None:
    """Benchmarks report whole networks, not epochs."""


if __name__ == "__main__":
    main()

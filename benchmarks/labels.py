"""Few labels: 2 % and 10 % of the training labels of the bundled set, with and without pretraining.

    python -m benchmarks.labels        # five draws of the labels, about a quarter of an hour on two cores

Pretraining sees all training rows and no label; each objective is pretrained once and serves all draws. The
validation rows keep the share of their labels that the training rows keep, since they choose the epoch and
the calibration.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from benchmarks import ours
from benchmarks.credit_sets import CreditSet, load
from benchmarks.peers import lightgbm
from loan_default.evaluation.metrics import auc
from loan_default.models.contrastive import OBJECTIVES, Objective
from loan_default.models.features import Features
from loan_default.models.fitting import StateDict

SET = "uci_credit_card"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shares", type=float, nargs="+", default=[0.02, 0.1])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2, help="draws at once, each on one thread")
    parser.add_argument("--objectives", nargs="+", choices=OBJECTIVES, default=list(OBJECTIVES))
    options = parser.parse_args()
    models = ["LightGBM", "scratch", *(f"pretrained, {objective}" for objective in options.objectives)]
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the workers
    with ProcessPoolExecutor(options.jobs, max_tasks_per_child=1) as pool:
        encoders = dict(zip(options.objectives, pool.map(_pretrain, options.objectives), strict=True))
        count = options.draws
        draws = list(pool.map(_draw, range(count), [options.shares] * count, [encoders] * count))
    print(f"Test AUC, mean of {options.draws} draws ± their standard deviation\n")
    print("| labels | " + " | ".join(models) + " |\n|---|" + "---|" * len(models))
    for share in options.shares:
        cells = []
        for model in models:
            values = [draw[share, model] for draw in draws]
            cells.append(f"{np.mean(values):.4f} ± {np.std(values):.4f}")
        print(f"| {share:.0%} | " + " | ".join(cells) + " |")


def _pretrain(objective: Objective) -> dict[str, NDArray[Any]]:
    data = load(SET)
    features, preset = ours.setup(data, rows=len(data.train))
    state = ours.pretrained_state(data, features, preset, seed=0, objective=objective)
    print(f"pretrained by {objective}", flush=True)
    return {name: tensor.numpy() for name, tensor in state.items()}


def _draw(
    seed: int, shares: list[float], pretrained: dict[Objective, dict[str, NDArray[Any]]]
) -> dict[tuple[float, str], float]:
    data = load(SET)
    features, _ = ours.setup(data, rows=len(data.train))
    encoders: dict[str | None, StateDict | None] = {None: None}
    for objective, arrays in pretrained.items():
        encoders[objective] = {name: torch.from_numpy(array) for name, array in arrays.items()}
    found = {}
    for share in shares:
        few = _with_few_labels(data, share, seed)
        found[share, "LightGBM"] = auc(data.y[data.test], lightgbm(few, few.train, seed=seed))
        for objective, encoder in encoders.items():
            name = "scratch" if objective is None else f"pretrained, {objective}"
            found[share, name] = _auc_of(few, features, seed=seed, encoder=encoder)
    print(f"draw {seed} done", flush=True)
    return found


def _auc_of(few: CreditSet, features: Features, *, seed: int, encoder: StateDict | None) -> float:
    _, preset = ours.setup(few, rows=len(few.train))
    net = ours.train_net(few, few.train, features, preset, seed=seed, encoder=encoder)
    return auc(few.y[few.test], ours.calibrated(few, [net]))


def _with_few_labels(data: CreditSet, share: float, seed: int) -> CreditSet:
    def part(positions: NDArray[np.int64]) -> NDArray[np.int64]:
        kept, _ = train_test_split(positions, train_size=share, random_state=seed, stratify=data.y[positions])
        return kept

    return replace(data, train=part(data.train), validation=part(data.validation))


if __name__ == "__main__":
    main()

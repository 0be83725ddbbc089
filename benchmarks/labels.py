"""Few labels: 2 % and 10 % of the training labels of the bundled set, with and without pretraining.

    python -m benchmarks.labels        # five draws of the labels, about half an hour on two cores

Pretraining sees all training rows and no label, and is done anew for each draw, as its seed matters too. The
validation rows keep the share of their labels that the training rows keep, since they choose the epoch and
the calibration.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from benchmarks import ours
from benchmarks.credit_sets import CreditSet, load
from benchmarks.peers import lightgbm
from loan_default.choices import OBJECTIVES, Objective
from loan_default.evaluation.metrics import auc
from loan_default.models.features import Features
from loan_default.models.fitting import StateDict
from loan_default.models.presets import preset_for

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
    models = ["LightGBM", "scratch", *(_named(objective) for objective in options.objectives)]
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the workers
    with ProcessPoolExecutor(options.jobs, max_tasks_per_child=1) as pool:
        count = options.draws
        draws = list(pool.map(_draw, range(count), [options.shares] * count, [options.objectives] * count))
    print(f"Test AUC, mean of {options.draws} draws ± their standard deviation\n")
    print("| labels | " + " | ".join(models) + " |\n|---|" + "---|" * len(models))
    for share in options.shares:
        cells = []
        for model in models:
            values = [draw[share, model] for draw in draws]
            cells.append(f"{np.mean(values):.4f} ± {np.std(values):.4f}")
        print(f"| {share:.0%} | " + " | ".join(cells) + " |")


def _draw(seed: int, shares: list[float], objectives: list[Objective]) -> dict[tuple[float, str], float]:
    """Test AUC by share of labels and model; the seed decides labels, pretraining and training."""
    data = load(SET)
    features, preset = ours.setup(data, rows=len(data.train))
    encoders: dict[str, StateDict | None] = {"scratch": None}
    for objective in objectives:
        encoders[_named(objective)] = ours.pretrained_state(
            data, features, preset, seed=seed, objective=objective
        )
    found = {}
    for share in shares:
        few = _with_few_labels(data, share, seed)
        found[share, "LightGBM"] = auc(data.y[data.test], lightgbm(few, few.train, seed=seed))
        for name, encoder in encoders.items():
            found[share, name] = _auc_of(few, features, seed=seed, encoder=encoder)
    print(f"draw {seed}:", {f"{share:.0%} {name}": round(value, 4) for (share, name), value in found.items()})
    return found


def _named(objective: Objective) -> str:
    return f"pretrained, {objective}"


def _auc_of(few: CreditSet, features: Features, *, seed: int, encoder: StateDict | None) -> float:
    preset = preset_for("default", rows=len(few.train))
    net = ours.train_net(few, few.train, features, preset, seed=seed, encoder=encoder)
    return auc(few.y[few.test], ours.calibrated(few, [net], of="refitted"))


def _with_few_labels(data: CreditSet, share: float, seed: int) -> CreditSet:
    def part(positions: NDArray[np.int64]) -> NDArray[np.int64]:
        kept, _ = train_test_split(positions, train_size=share, random_state=seed, stratify=data.y[positions])
        return kept

    return replace(data, train=part(data.train), validation=part(data.validation))


if __name__ == "__main__":
    main()

"""Our gap to the best possible AUC on generated sets, beside boosted trees: a guard against tuning to files.

    python -m benchmarks.generated             # all sets, two seeds: about an hour on two cores
    python -m benchmarks.generated --sets edges_2k products_5k --seeds 1

The best possible ranking is that by the true PDs. Where values are missing no model can know them, so the gap
of `missing_5k` has a part that cannot be closed. Trees and `ours` learn from the training rows, `ours, all
labels` from the validation rows as well; our nets start from random weights.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from benchmarks import ours
from benchmarks.generated_sets import RECIPES, generated_set
from benchmarks.peers import PEERS
from loan_default.evaluation.metrics import auc


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2, help="sets at once, each on one thread")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the workers
    print("| set | best possible | " + " | ".join([*PEERS, "ours", "ours, all labels"]) + " |")
    print("|---|---|" + "---|" * (len(PEERS) + 2))
    with ProcessPoolExecutor(options.jobs, max_tasks_per_child=1) as pool:
        wanted = [(name, seed) for name in options.sets for seed in range(options.seeds)]
        drawn = list(pool.map(_aucs, *zip(*wanted, strict=True)))
        for name in options.sets:
            of_set = [aucs for (each, _), aucs in zip(wanted, drawn, strict=True) if each == name]
            cells = [f"{np.mean([aucs[model] for aucs in of_set]):.4f}" for model in of_set[0]]
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def _aucs(name: str, seed: int) -> dict[str, float]:
    """Test AUC by model, the best possible first."""
    data = generated_set(name, seed=seed)
    assert data.pd_true is not None
    y = data.y[data.test]
    found = {"best possible": auc(y, data.pd_true[data.test])}
    for peer, predict in PEERS.items():
        found[peer] = auc(y, predict(data, data.train, seed=seed))
    features, preset = ours.setup(data, rows=len(data.train))
    net = ours.train_net(data, data.train, features, preset, seed=seed, encoder=None)
    return found | {"ours": auc(y, net.test), "ours, all labels": auc(y, net.refitted)}


if __name__ == "__main__":
    main()

"""Columns of many levels: our test AUC and log loss with and without default rates, beside boosters.

    python -m benchmarks.levels                            # all sets, two seeds: about an hour on two cores
    python -m benchmarks.levels --sets employer_5k --seeds 1 --preset fast

`best possible` ranks by the true PDs. `codes alone` are our networks without rates: frequent levels have a
token each, the others share those of buckets. In `meaningless_5k` the levels say nothing, and nothing can be
gained.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import log_loss

from benchmarks import ours
from benchmarks.credit_sets import CreditSet
from benchmarks.level_sets import RECIPES, level_set
from benchmarks.peers import PEERS
from loan_default.choices import PRESETS
from loan_default.evaluation.metrics import auc
from loan_default.models.features import Features, fit_features
from loan_default.models.presets import preset_for


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--preset", choices=PRESETS, default="default")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2, help="sets at once, each on one thread")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the workers
    models = ["best possible", "LightGBM", "CatBoost", "codes alone", "ours"]
    print("| set | " + " | ".join(models) + " |")
    print("|---|" + "---|" * len(models))
    with ProcessPoolExecutor(options.jobs, max_tasks_per_child=1) as pool:
        wanted = [(name, seed) for name in options.sets for seed in range(options.seeds)]
        drawn = list(pool.map(_measured, *zip(*wanted, strict=True), [options.preset] * len(wanted)))
    for name in options.sets:
        of_set = [each for (other, _), each in zip(wanted, drawn, strict=True) if other == name]
        cells = [
            f"{np.mean([each[model][0] for each in of_set]):.4f}, "
            f"{np.mean([each[model][1] for each in of_set]):.4f}"
            for model in models
        ]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def _measured(name: str, seed: int, preset: str) -> dict[str, tuple[float, float]]:
    """Test AUC and log loss by model."""
    data = level_set(name, seed=seed)
    assert data.pd_true is not None
    features = fit_features(data.frame.iloc[data.train], data.schema)
    predictions = {"best possible": data.pd_true[data.test]}
    for peer in ("LightGBM", "CatBoost"):
        predictions[peer] = PEERS[peer](data, data.train, seed=seed)
    predictions["codes alone"] = _ours(data, without_levels(features), preset, seed=seed)
    predictions["ours"] = _ours(data, features, preset, seed=seed)
    y = data.y[data.test]
    return {model: (auc(y, pds), log_loss(y, pds.astype(np.float64))) for model, pds in predictions.items()}


def without_levels(features: Features) -> Features:
    """Features without the levels that have rates."""
    few = tuple(replace(each, levels=each.levels[:0]) for each in features.categorical)
    return replace(features, categorical=few)


def _ours(data: CreditSet, features: Features, preset: str, *, seed: int) -> NDArray[np.float64]:
    net = ours.train_net(
        data,
        data.train,
        features,
        preset_for(preset, rows=len(data.train), rarer_outcomes=data.rarer_outcomes),  # type: ignore[arg-type]
        seed=seed,
        encoder=None,
    )
    return ours.calibrated(data, [net], of="test")


if __name__ == "__main__":
    main()

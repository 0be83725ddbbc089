"""One model on one credit set: what it predicts for the test rows, measured once and kept."""

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from numpy.typing import ArrayLike

from benchmarks.credit_sets import CreditSet
from benchmarks.kept import keep, kept_path, kept_run
from benchmarks.peers import BOOSTERS, logistic_predictions, predictions, tune
from benchmarks.quality_tables import LOGISTIC, WITH_TREES
from benchmarks.tuning import Settings
from benchmarks.whole_runs import add_trees, whole_run


def tuned(data: CreditSet, model: str, *, folder: Path) -> Settings:
    """What a booster's trials on a set have found; they are made once and kept."""
    return tune(model, data, kept=folder / f"{data.name}-{model}-trials.json")


def predict_and_keep(
    data: CreditSet, model: str, *, seed: int, folder: Path
) -> tuple[Mapping[str, ArrayLike], float | None]:
    """Arrays of a model's PDs, and how many seconds they took; None = a stopped run was gone on with.

    Args:
        model: a booster, `logistic`, `scratch`, `pretrained`, or `with-trees`, which needs the kept run of
            `pretrained` with the same seed.
    """
    since, goes_on = time.monotonic(), False
    arrays: Mapping[str, ArrayLike]
    if model == LOGISTIC:
        arrays = asdict(logistic_predictions(data))
    elif model in BOOSTERS:
        arrays = asdict(predictions(model, data, tuned(data, model, folder=folder), seed=seed))
    elif model == WITH_TREES:
        arrays = asdict(add_trees(data, kept_run(folder, data.name, "pretrained", seed), seed=seed))
    else:
        checkpoints = folder / "runs" / f"{data.name}-{model}-{seed}"
        goes_on = checkpoints.exists()
        arrays = asdict(whole_run(data, pretrain=model != "scratch", seed=seed, folder=checkpoints))
        shutil.rmtree(checkpoints)
    seconds = time.monotonic() - since
    keep(kept_path(folder, data.name, model, seed), arrays, seconds=seconds)
    return arrays, None if goes_on else seconds  # those of the call that stopped are not known

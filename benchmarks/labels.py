"""Few labels: test AUC with 0.5 %, 2 % and 10 % of the labels, beside boosters tuned on the same few.

    python -m benchmarks.labels                                          # everything, ten draws: hours
    python -m benchmarks.labels --sets hmeq --shares 0.02 --models LightGBM scratch detection
    python -m benchmarks.labels --table                                  # only print what has been measured

A draw is a share of the labels of the training and of the validation rows, both outcomes alike. Boosters
learn from these rows alone: 30 trials each by the log loss of the few validation rows, then one fit more with
them.
Ours is the default preset by the stages of `train.py`: from random weights (`scratch`), or from an encoder
that was pretrained by an objective on all training and validation rows without a label, once a share; the
members are trained out of fold, then once more on all labels that are known. No model sees a test row.

Each (set, share, model, draw) is measured once and kept; a repeated call goes on where it stopped.
"""

import argparse
import shutil
import time
from itertools import product
from pathlib import Path

from benchmarks.credit_sets import SETS, CreditSet, available, load
from benchmarks.kept import keep, kept_path
from benchmarks.label_draws import MODELS, few_labels, name_of_draws, table
from benchmarks.peers import BOOSTERS, TRIALS, predictions, tune
from benchmarks.whole_runs import pretrained_encoder, whole_run
from loan_default.choices import OBJECTIVES, Objective
from loan_default.evaluation.metrics import auc

FOLDER = Path(__file__).resolve().parents[1] / "build" / "labels"
SMALL_FIRST = ("hmeq", "uci_credit_card", "credit_risk", "loan_default", "give_me_some_credit")


def main() -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SMALL_FIRST))
    parser.add_argument("--shares", type=float, nargs="+", default=[0.005, 0.02, 0.1])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--trials", type=int, default=TRIALS, help="of a booster, on each draw")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where measurements are kept")
    parser.add_argument("--table", action="store_true", help="measure nothing, print what there is")
    options = parser.parse_args()
    sets = [load(name) for name in options.sets if name in available()]
    if not options.table:
        for draw, data, share, model in product(range(options.draws), sets, options.shares, options.models):
            _measure(data, share, model, draw, trials=options.trials, folder=options.folder)
    print(table(sets, options.shares, draws=options.draws, folder=options.folder))


def _measure(data: CreditSet, share: float, model: str, draw: int, *, trials: int, folder: Path) -> None:
    name = name_of_draws(data.name, share)
    if kept_path(folder, name, model, draw).exists():
        return
    few, since = few_labels(data, share, draw=draw), time.monotonic()
    if model in BOOSTERS:
        found = folder / f"{name}-{model}-{draw}-trials.json"
        settings = tune(model, few, kept=found, trials=trials)
        pds = predictions(model, few, settings, seed=draw).refitted
    else:
        encoder = None
        objective: Objective | None = next((each for each in OBJECTIVES if each == model), None)
        if objective is not None:
            # How many rows have a label decides its bins; which ones they are is not known to it.
            encoder = pretrained_encoder(few, objective=objective, folder=folder / f"{name}-{model}")
        checkpoints = folder / "runs" / f"{name}-{model}-{draw}"
        pds = whole_run(few, pretrain=False, seed=draw, folder=checkpoints, encoder=encoder).refitted
        shutil.rmtree(checkpoints)
    seconds = time.monotonic() - since
    keep(kept_path(folder, name, model, draw), {"refitted": pds}, seconds=seconds)
    print(f"{name} {model} draw {draw}: {auc(data.y[data.test], pds):.4f} in {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()

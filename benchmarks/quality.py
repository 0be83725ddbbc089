"""Our test metrics beside tuned boosters and logistic regression, on five public credit sets.

    python -m benchmarks.quality                          # everything: many hours; small sets come first
    python -m benchmarks.quality --sets hmeq --models LightGBM XGBoost CatBoost logistic
    python -m benchmarks.quality --table                  # only print what this machine has measured
    python -m benchmarks.quality --figures                # means of what any machine has, in quality.csv

Each booster is tuned on each set: 30 trials on the validation rows' log loss. Ours is the default preset, as
a user gets it, from random weights, pretrained, and with boosted trees as well. All are measured twice:
before the last fit and after it, which is made on training and validation rows for the rounds or passes that
were found. Before it boosters and a single net know the training rows alone, and the members of a preset each
know other folds of both. No model sees a test row.
A difference is to the booster that is best on that set by that metric; its 95 % interval is paired by row and
by seed.

Each (set, model, seed) is measured once and kept; a repeated call goes on where it stopped, our nets at their
last checkpoint. `with-trees` adds trees to the nets that `pretrained` has kept. After a change of the model,
remove what is kept of ours (*-scratch-*, *-pretrained-* and *-with-trees-*), also in quality.csv.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from benchmarks.comparison import METRICS
from benchmarks.credit_sets import FOLDER as FOLDER_OF_SETS
from benchmarks.credit_sets import SETS, available, load
from benchmarks.figures import Figures, add_figures, figures_table, read_figures, this_commit
from benchmarks.kept import FOLDER, kept_path
from benchmarks.model_runs import predict_and_keep, tuned
from benchmarks.peers import BOOSTERS
from benchmarks.quality_tables import LOGISTIC, OURS, WITH_TREES, tables
from loan_default.evaluation.metrics import measure

SMALL_FIRST = ("hmeq", "uci_credit_card", "credit_risk", "loan_default", "give_me_some_credit")
MODELS = (*BOOSTERS, LOGISTIC, *OURS, WITH_TREES)


def main() -> None:
    """Measure what is missing and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SMALL_FIRST))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1, help="measurements at once, each on one thread")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where measurements are kept")
    parser.add_argument("--table", action="store_true", help="measure nothing, print what there is")
    parser.add_argument("--figures", action="store_true", help="measure nothing, print quality.csv")
    options = parser.parse_args()
    if options.figures:
        print(figures_table(read_figures().values()))
        return
    absent = sorted(set(options.sets) - set(available()))
    if absent:
        print(f"left out, not in {FOLDER_OF_SETS} (LOAN_DEFAULT_SETS names another): {', '.join(absent)}")
    names = [name for name in options.sets if name not in absent]
    if not options.table:
        wanted = [(n, m, s) for n in names for s in range(options.seeds) for m in options.models]
        _measure(wanted, folder=options.folder, jobs=options.jobs)
    print(tables(names, folder=options.folder, seeds=options.seeds, boosters=tuple(BOOSTERS)))


def _measure(wanted: list[tuple[str, str, int]], *, folder: Path, jobs: int) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the workers
    todo = [each for each in wanted if not kept_path(folder, *each).exists()]
    for name in dict.fromkeys(name for name, _, _ in todo):
        of_set = [each for each in todo if each[0] == name]
        with ProcessPoolExecutor(jobs, max_tasks_per_child=1) as pool:
            # A booster's trials come before its seeds, which share what the trials found.
            tuned = dict.fromkeys(model for _, model, _ in of_set if model in BOOSTERS)
            for search in [pool.submit(_tune, name, model, folder) for model in tuned]:
                search.result()
            with_trees = [each for each in of_set if each[1] == WITH_TREES]  # they need the nets
            for stage in ([each for each in of_set if each not in with_trees], with_trees):
                started = {pool.submit(measure_one, *each, folder): each for each in stage}
                for future in as_completed(started):
                    figures = future.result()
                    add_figures(figures)
                    print(figures, flush=True)


def _tune(name: str, model: str, folder: Path) -> None:
    tuned(load(name), model, folder=folder)


def measure_one(name: str, model: str, seed: int, folder: Path) -> Figures:
    """Predict the test rows with one model, keep the PDs and measure them."""
    data = load(name)
    arrays, seconds = predict_and_keep(data, model, seed=seed, folder=folder)
    after, before = (measure(data.y[data.test], arrays[of]) for of in ("refitted", "test"))
    return Figures(
        set=name,
        model=model,
        seed=seed,
        **{key: round(getattr(after, key), 5) for key in METRICS},
        slope=round(after.calibration_slope, 4),
        auc_before=round(before.auc, 5),
        log_loss_before=round(before.log_loss, 5),
        seconds=None if seconds is None else round(seconds),
        commit=this_commit(),
    )


if __name__ == "__main__":
    main()

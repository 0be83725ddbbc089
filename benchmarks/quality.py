"""Our test metrics beside tuned boosters and logistic regression, on five public credit sets.

    python -m benchmarks.quality                          # everything: many hours; small sets come first
    python -m benchmarks.quality --sets hmeq --models LightGBM XGBoost CatBoost logistic
    python -m benchmarks.quality --table                  # only print what has been measured

Each booster is tuned on each set: 30 trials on the validation rows' log loss. Ours is the default preset, as
a user gets it, from random weights, pretrained, and with boosted trees as well; `best` is that preset, only
measured where it is asked for. All are measured twice: before the last fit and after it, which is made on
training and validation rows for the rounds or passes that were found. Before it boosters and a single net
know the training rows alone, and the members of a preset each know other folds of both. No model sees a test
row.
A difference is to the booster that is best on that set by that metric; its 95 % interval is paired by row and
by seed.

Each (set, model, seed) is measured once and kept; a repeated call goes on where it stopped, our nets at their
last checkpoint. `with-trees` adds trees to the nets that `pretrained` has kept. After a change of the model,
remove what is kept of ours (*-scratch-*, *-pretrained-*, *-best-* and *-with-trees-*).
"""

import argparse
import json
import os
import shutil
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.comparison import METRICS, Difference, best_of, difference, mean_difference, resample
from benchmarks.credit_sets import FOLDER as FOLDER_OF_SETS
from benchmarks.credit_sets import SETS, CreditSet, available, load
from benchmarks.kept import FOLDER, Arrays, keep, kept_path, kept_run, kept_runs
from benchmarks.peers import BOOSTERS, PEERS, logistic_predictions, predictions, tune
from benchmarks.tuning import Settings
from benchmarks.whole_runs import add_trees, whole_run
from loan_default.choices import PresetName
from loan_default.evaluation.metrics import measure
from loan_default.models.calibration import choose_calibration

SMALL_FIRST = ("hmeq", "uci_credit_card", "credit_risk", "loan_default", "give_me_some_credit")
OURS = ("scratch", "pretrained", "best")
WITH_TREES = "with-trees"
MODELS = (*PEERS, *OURS, WITH_TREES)
COMPARED = ("ours, scratch", "ours, pretrained", "ours, best", "ours, pretrained, with trees")
"""Models whose differences to the boosters are shown."""

Floats = NDArray[np.float64]
Learned = Mapping[str, list[Floats]]


def main() -> None:
    """Measure what is missing and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SMALL_FIRST))
    parser.add_argument(
        "--models", nargs="+", choices=MODELS, default=[each for each in MODELS if each != "best"]
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1, help="measurements at once, each on one thread")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where measurements are kept")
    parser.add_argument("--table", action="store_true", help="measure nothing, print what there is")
    options = parser.parse_args()
    absent = sorted(set(options.sets) - set(available()))
    if absent:
        print(f"left out, not in {FOLDER_OF_SETS} (LOAN_DEFAULT_SETS names another): {', '.join(absent)}")
    names = [name for name in options.sets if name not in absent]
    if not options.table:
        wanted = [(n, m, s) for n in names for s in range(options.seeds) for m in options.models]
        _measure(wanted, folder=options.folder, jobs=options.jobs)
    print(tables(names, folder=options.folder, seeds=options.seeds))


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
                    print(*started[future], future.result(), flush=True)


def _tune(name: str, model: str, folder: Path) -> Settings:
    return tune(model, load(name), kept=folder / f"{name}-{model}-trials.json")


def measure_one(name: str, model: str, seed: int, folder: Path) -> str:
    """Predict the test rows with one model and keep the PDs; returns a line about it."""
    data, since = load(name), time.monotonic()
    arrays: Mapping[str, ArrayLike]
    if model == "logistic":
        arrays = asdict(logistic_predictions(data))
    elif model in BOOSTERS:
        arrays = asdict(predictions(model, data, _tune(name, model, folder), seed=seed))
    elif model == WITH_TREES:
        arrays = asdict(add_trees(data, kept_run(folder, name, "pretrained", seed), seed=seed))
    else:
        checkpoints = folder / "runs" / f"{name}-{model}-{seed}"
        preset: PresetName = "best" if model == "best" else "default"
        arrays = asdict(
            whole_run(data, pretrain=model != "scratch", seed=seed, folder=checkpoints, preset=preset)
        )
        shutil.rmtree(checkpoints)
    seconds = time.monotonic() - since
    keep(kept_path(folder, name, model, seed), arrays, seconds=seconds)
    metrics = measure(data.y[data.test], arrays["refitted"])
    return json.dumps({key: round(getattr(metrics, key), 4) for key in METRICS} | {"s": round(seconds)})


def tables(names: list[str], *, folder: Path, seeds: int) -> str:
    """Markdown: metrics of each model on each set, then our differences to the best boosters."""
    heads = [*METRICS.values(), "slope", "AUC before", "log loss before"]
    lines = [f"| set | model | {' | '.join(heads)} |", "|---|---|" + "---|" * len(heads)]
    of_sets, fewer = {}, []
    for name in names:
        data = load(name)
        predicted = _predicted(data, folder, seeds)
        if not predicted:
            continue
        of_sets[name] = data, predicted
        means = {label: _means(data, learned) for label, learned in predicted.items()}
        best = max(each["auc"] for each in means.values())
        for label, mean in means.items():
            cells = [_short(mean["auc"], bold=mean["auc"] == best), _short(mean["ks"], digits=3)]
            cells += [_short(mean["brier"]), _short(mean["log_loss"]), f"{mean['slope']:.2f}"]
            cells += [_short(mean["auc before"]), _short(mean["log_loss before"])]
            lines.append(f"| {name} | {label} | {' | '.join(cells)} |")
            if (count := len(predicted[label]["refitted"])) < seeds:
                fewer.append(f"{name} {label}: {count}")
    if differences := _differences(of_sets):
        lines += ["", *differences]
    if fewer:
        lines += ["", f"Seeds measured, where there are fewer than {seeds}: {', '.join(fewer)}."]
    return "\n".join(lines)


def _differences(of_sets: Mapping[str, tuple[CreditSet, Mapping[str, Learned]]]) -> list[str]:
    """Rows of the table of differences, those of the last fit first; none without ours."""
    if not any(label in predicted for _, predicted in of_sets.values() for label in COMPARED):
        return []
    lines = [
        f"| ours minus the best booster | {' | '.join(of_sets)} | mean |",
        "|---|" + "---|" * (len(of_sets) + 1),
    ]
    for of, suffix in (("refitted", ""), ("test", ", before the last fit")):
        resampled = {
            name: resample(
                data.y[data.test].astype(np.float64),
                {label: each[of] for label, each in predicted.items() if label in (*BOOSTERS, *COMPARED)},
            )
            for name, (data, predicted) in of_sets.items()
        }
        for label in COMPARED:
            for metric, title in METRICS.items():
                found: list[Difference | None] = []
                for models in resampled.values():
                    peers = {model: each for model, each in models.items() if model in BOOSTERS}
                    complete = label in models and peers
                    found.append(
                        difference(models[label], peers[best_of(peers, metric)], metric) if complete else None
                    )
                known = [each for each in found if each is not None]
                if known:
                    cells = [_signed(each) for each in [*found, mean_difference(known)]]
                    lines.append(f"| {label}{suffix}: {title} | {' | '.join(cells)} |")
    return lines


def _predicted(data: CreditSet, folder: Path, seeds: int) -> dict[str, Learned]:
    """PDs of the test rows by label of the model: "test" and "refitted" -> an array a seed."""
    found: dict[str, Learned] = {}
    for model in PEERS:
        if runs := kept_runs(folder, data.name, model, seeds=seeds):
            found[model] = _kept_pds(runs)
    for model in OURS:
        if runs := kept_runs(folder, data.name, model, seeds=seeds):
            nets = [_one_net(data, each) for each in runs.values()]
            found[f"ours, {model}, one net"] = {of: [net[of] for net in nets] for of in ("test", "refitted")}
            found[f"ours, {model}"] = _kept_pds(runs)
    if runs := kept_runs(folder, data.name, WITH_TREES, seeds=seeds):
        found["ours, pretrained, with trees"] = _kept_pds(runs)
    return found


def _kept_pds(runs: Mapping[int, Arrays]) -> dict[str, list[Floats]]:
    return {of: [run[of] for run in runs.values()] for of in ("test", "refitted")}


def _one_net(data: CreditSet, run: Arrays) -> dict[str, Floats]:
    """PDs of the test rows by the first member alone, calibrated by itself."""
    chosen = choose_calibration(run["validation"], data.y[data.validation]).calibration
    return {"test": chosen.apply(run["raw_test"][0]), "refitted": chosen.apply(run["raw_refitted"][0])}


def _means(data: CreditSet, learned: Learned) -> dict[str, float]:
    """Means over the seeds."""
    y = data.y[data.test]
    refitted = [measure(y, each) for each in learned["refitted"]]
    test = [measure(y, each) for each in learned["test"]]
    found = {key: float(np.mean([getattr(each, key) for each in refitted])) for key in METRICS}
    found["slope"] = float(np.mean([each.calibration_slope for each in refitted]))
    for key in ("auc", "log_loss"):
        found[f"{key} before"] = float(np.mean([getattr(each, key) for each in test]))
    return found


def _short(value: float, *, digits: int = 4, bold: bool = False) -> str:
    text = f"{value:.{digits}f}".removeprefix("0")
    return f"**{text}**" if bold else text


def _signed(each: Difference | None) -> str:
    return "-" if each is None else f"{each.value:+.4f} ({each.low:+.4f} to {each.high:+.4f})"


if __name__ == "__main__":
    main()

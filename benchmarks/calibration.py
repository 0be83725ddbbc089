"""What the calibration does to our PDs of the test rows, from what `benchmarks.quality` has kept.

    python -m benchmarks.calibration                    # seconds, once the quality has been measured
    python -m benchmarks.calibration --learned test     # of the nets before the last fit

`chosen` is the product's own choice; the other columns fit each form to the same rows. The slope is that of a
logistic regression of the outcomes on the logits, with Wald's interval: 1 = right, below 1 = overconfident.
"""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from benchmarks.credit_sets import SETS, available, load
from benchmarks.kept import FOLDER, Arrays, kept_runs
from loan_default.choices import CalibrationMethod
from loan_default.evaluation.logistic import fit_line
from loan_default.evaluation.metrics import log_loss, logit
from loan_default.models.calibration import CALIBRATION_METHODS, fit_calibration

Floats = NDArray[np.float64]
Learned = Literal["refitted", "test"]
MODELS = ("scratch", "pretrained")
ALLOWED = 0.0002
"""Log loss by which a chosen form may be worse than none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slope:
    """A calibration slope and its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def contains_one(self) -> bool:
        """Whether the PDs may be right."""
        return self.low <= 1 <= self.high


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One set and seed."""

    name: str
    model: str
    seed: int
    method: str
    chosen: float
    """Log loss of the model's PDs."""
    forms: dict[CalibrationMethod, float]
    """Log loss by form."""
    slope: Slope

    @property
    def loss(self) -> float:
        """How much worse the chosen form is than none; below 0 = better."""
        return self.chosen - self.forms["none"]


def main() -> None:
    """Print a line for each set and seed, and the counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--learned", choices=get_args(Learned), default="refitted")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where measurements are kept")
    options = parser.parse_args()
    lines: list[Line] = []
    for name in [name for name in options.sets if name in available()]:
        for model in options.models:
            lines += lines_of(
                name, model, learned=options.learned, seeds=options.seeds, folder=options.folder
            )
    print(table(lines))


def lines_of(name: str, model: str, *, learned: Learned, seeds: int, folder: Path) -> list[Line]:
    """What has been measured of a model on a set."""
    runs = kept_runs(folder, name, model, seeds=seeds)
    if not runs:
        return []
    data = load(name)
    return [
        line_of(run, data.y, data.test, learned=learned, name=name, model=model, seed=seed)
        for seed, run in runs.items()
    ]


def line_of(
    run: Arrays,
    labels: NDArray[np.float32],
    test: NDArray[np.int64],
    *,
    learned: Learned,
    name: str,
    model: str,
    seed: int,
) -> Line:
    """The log losses of one run by form of the calibration, and the slope of its PDs.

    Args:
        labels: of all rows of the set.
        test: positions of the test rows.
    """
    raw, on, y = run[f"pooled_{learned}"], run["pooled_unseen"], labels[test].astype(np.float64)
    outcomes = labels[run["unseen"].astype(np.int64)]
    forms = {
        method: log_loss(y, fit_calibration(method, on, outcomes).apply(raw))
        for method in CALIBRATION_METHODS
    }
    return Line(
        name=name,
        model=model,
        seed=seed,
        method=str(run["method"]),
        chosen=log_loss(y, run[learned]),
        forms=forms,
        slope=slope_of(y, run[learned]),
    )


def slope_of(y: Floats, pds: Floats) -> Slope:
    """Slope of a logistic regression of outcomes `(rows,)` on the logits of PDs, with Wald's interval."""
    x = logit(pds)
    intercept, slope = fit_line(x, y, np.ones(len(y)))
    spread = expit(intercept + slope * x)
    information = spread * (1 - spread)
    centred = x - np.average(x, weights=information)
    error = float(1 / np.sqrt(information @ centred**2))
    return Slope(value=slope, low=slope - 1.96 * error, high=slope + 1.96 * error)


def table(lines: Iterable[Line]) -> str:
    """Markdown: a line for each run, then how often the slope may be 1 and how much was lost at most."""
    lines = list(lines)
    heads = ["set", "model", "seed", *CALIBRATION_METHODS, "chosen", "form", "slope", "95 % interval"]
    shown = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for line in lines:
        losses = " | ".join(f"{line.forms[method]:.4f}" for method in CALIBRATION_METHODS)
        shown.append(
            f"| {line.name} | {line.model} | {line.seed} | {losses} | {line.chosen:.4f} | {line.method} | "
            f"{line.slope.value:.3f} | {line.slope.low:.3f} to {line.slope.high:.3f} |"
        )
    if lines:
        right, worst = sum(line.slope.contains_one for line in lines), max(lines, key=lambda line: line.loss)
        gaps = np.array([line.loss for line in lines])
        shown += [
            "",
            f"The interval contains 1 in {right} of {len(lines)} runs. Against no calibration, log loss:",
            f"{gaps.mean():+.4f} on average, {worst.loss:+.4f} at worst ({worst.name}, seed {worst.seed}),",
            f"worse by more than {ALLOWED:.4f} in {(gaps > ALLOWED).sum()} runs.",
        ]
    return "\n".join(shown)


if __name__ == "__main__":
    main()

"""False alarms of drift on samples without any, and how often a real shift is found, by size of the sample.

    python -m benchmarks.drift                    # 1,000 samples of each size, ten minutes
    python -m benchmarks.drift --samples 200 --seed 7

The rows are the bundled accounts, in which no drift is known: half of them are the training, on which the
features and a logistic regression are fitted and bins are frozen, and samples are drawn from the other half.
The halves are drawn anew every 50 samples. A shift changes each sample before it is compared.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.credit_sets import CreditSet, load
from loan_default.evaluation.drift import DriftLevel, DriftLimits, overall
from loan_default.models.baseline import fit_logistic
from loan_default.models.features import fit_features
from loan_default.models.labelled import Labelled
from loan_default.models.reference import missing_categories, reference_of
from loan_default.pipelines.monitoring.hour_samples import drift_of

SIZES = (100, 200, 500, 1_000, 5_000)
SAMPLES_OF_A_SPLIT = 50
CUTOFF = 0.2

Rows = NDArray[np.int64]
Shift = Callable[[pd.DataFrame, NDArray[np.float64], np.random.Generator], tuple[pd.DataFrame, Rows]]
"""A sample with its PDs -> the sample as it arrives, and which of its rows do."""


def unchanged(
    frame: pd.DataFrame, pds: NDArray[np.float64], _: np.random.Generator
) -> tuple[pd.DataFrame, Rows]:
    """Return the sample as it is."""
    return frame, np.arange(len(pds))


def smaller_limits(
    frame: pd.DataFrame, pds: NDArray[np.float64], _: np.random.Generator
) -> tuple[pd.DataFrame, Rows]:
    """Credit limits are a fifth lower, as after a change of policy."""
    return frame.assign(LIMIT_BAL=frame["LIMIT_BAL"] * 0.8), np.arange(len(pds))


def missing_values(
    frame: pd.DataFrame, pds: NDArray[np.float64], generator: np.random.Generator
) -> tuple[pd.DataFrame, Rows]:
    """A tenth of one column is lost on its way."""
    return frame.assign(PAY_0=frame["PAY_0"].where(generator.random(len(pds)) > 0.1)), np.arange(len(pds))


def new_category(
    frame: pd.DataFrame, pds: NDArray[np.float64], generator: np.random.Generator
) -> tuple[pd.DataFrame, Rows]:
    """A tenth of the applicants have a category that the training never saw."""
    changed = frame["EDUCATION"].where(generator.random(len(pds)) > 0.1, "9").astype("str")
    return frame.assign(EDUCATION=changed), np.arange(len(pds))


def riskier_people(
    frame: pd.DataFrame, pds: NDArray[np.float64], generator: np.random.Generator
) -> tuple[pd.DataFrame, Rows]:
    """Applicants come in proportion to the square root of their PD, as after an advertisement."""
    weights = np.sqrt(pds) / np.sqrt(pds).sum()
    return frame, generator.choice(len(pds), len(pds), p=weights)


SHIFTS: dict[str, Shift] = {
    "none": unchanged,
    "limits a fifth lower": smaller_limits,
    "a tenth of one column missing": missing_values,
    "a tenth of a new category": new_category,
    "riskier people": riskier_people,
}


def levels(data: CreditSet, size: int, *, samples: int, shift: Shift, seed: int) -> Counter[DriftLevel]:
    """How many samples ask for what."""
    counts: Counter[DriftLevel] = Counter()
    generator = np.random.default_rng([seed, size])
    for split in range(-(-samples // SAMPLES_OF_A_SPLIT)):
        draw = min(SAMPLES_OF_A_SPLIT, samples - split * SAMPLES_OF_A_SPLIT)
        counts.update(_levels_of_split(data, size, samples=draw, shift=shift, generator=generator))
    return counts


def _levels_of_split(
    data: CreditSet, size: int, *, samples: int, shift: Shift, generator: np.random.Generator
) -> Iterator[DriftLevel]:
    order = generator.permutation(len(data.y))
    train, pool = order[: len(order) // 2], order[len(order) // 2 :]
    frame = data.frame.iloc[train]
    features = fit_features(frame, data.schema)
    learned = features.transform(frame)
    predict = fit_logistic(features, Labelled(inputs=learned, labels=data.y[train], weights=None))
    reference = reference_of(learned, features, predict(learned), missing=missing_categories(features, frame))
    limits = DriftLimits()
    for _ in range(samples):
        drawn = data.frame.iloc[generator.choice(pool, size, replace=False)]
        arrived, rows = shift(drawn, predict(features.transform(drawn)), generator)
        arrived = arrived.iloc[rows]
        pds = predict(features.transform(arrived))
        signals = drift_of(arrived, pds, features=features, reference=reference, cutoff=CUTOFF, limits=limits)
        yield overall(signals)


def main() -> None:
    """Print one table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1_000, help="samples without drift of each size")
    parser.add_argument("--shifted", type=int, default=200, help="samples of each shift and size")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="rows of a sample")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = load("uci_credit_card")
    print("| shift | rows | alarms | of them act | too few rows |\n|--|--|--|--|--|")
    for name, shift in SHIFTS.items():
        samples = options.samples if name == "none" else options.shifted
        for size in options.sizes:
            found = levels(data, size, samples=samples, shift=shift, seed=options.seed)
            alarms = found[DriftLevel.WARN] + found[DriftLevel.ACT]
            few = found[DriftLevel.INSUFFICIENT]
            print(
                f"| {name} | {size:,} | {alarms / samples:.1%} | {found[DriftLevel.ACT] / samples:.1%} "
                f"| {few / samples:.0%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

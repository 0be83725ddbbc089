"""Reasons for PDs: how long they take on one core, how complete they are, and whether they are right.

    python -m benchmarks.reasons --model runs/credit_card/model.pth

Processor time of this thread is measured, the best of three, so that other work on the machine counts
little. The oracle of the top reason are exact Shapley values (Shapley, "A value for n-person games", 1953)
of the same change: all coalitions of the columns that move most, each column's token being that of the row
or of the reference. The other columns stay at the row's tokens, and the integrated gradients are of the
same columns alone.
"""

import argparse
import math
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from loan_default.bundled import BUNDLED_DATA, BUNDLED_SCHEMA
from loan_default.data.schema.frames import validate
from loan_default.data.schema.schema_files import load_schema
from loan_default.data.sources.table_files import read_frame
from loan_default.models.attributions import attribute_tokens
from loan_default.models.features import Inputs
from loan_default.models.freezing import frozen_model
from loan_default.models.frozen_model import FrozenModel
from loan_default.models.frozen_network import Floats, mean_probability_of
from loan_default.models.model import golden_rows_of, load_model
from loan_default.models.populations import reference_of_model
from loan_default.models.token_gradients import logits_of_tokens
from loan_default.serving.explanations import explain

BATCH = 16


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("runs/credit_card/model.pth"))
    parser.add_argument("--rows", type=int, default=200, help="applications")
    parser.add_argument("--columns", type=int, default=8, help="columns of the exact Shapley values")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    trained = load_model(options.model)
    model = frozen_model(trained, golden=trained.golden or golden_rows_of(trained), digest="0" * 64)
    frame = validate(read_frame(BUNDLED_DATA), load_schema(BUNDLED_SCHEMA), labelled=True).accepted
    chosen = np.random.default_rng(options.seed).choice(len(frame), options.rows, replace=False)
    rows = model.features.transform(frame.iloc[chosen])
    reference = reference_of_model(model, "all", cutoff=0.2)

    ones = [
        _milliseconds(lambda at=at: explain(model, rows[slice(at, at + 1)], reference))  # type: ignore[misc]
        for at in range(min(100, options.rows))
    ]
    print(f"one decision: {_spread(ones)} ms of the processor")
    starts = range(0, options.rows - BATCH + 1, BATCH)
    batches = [
        _milliseconds(lambda at=at: explain(model, rows[slice(at, at + BATCH)], reference)) / BATCH  # type: ignore[misc]
        for at in starts
    ]
    print(
        f"in batches of {BATCH}: {np.mean(batches):.1f} ms a decision, {1000 / np.mean(batches):.0f} a second"
    )

    found = attribute_tokens(model, model.network.tokens(rows), reference.tokens)
    gaps = np.abs(found.gaps)
    moved = np.abs(found.logits - found.reference)
    print(
        f"completeness gap: median {np.median(gaps):.4f}, 99 % {np.quantile(gaps, 0.99):.4f}, largest "
        f"{gaps.max():.4f} log-odds, of a mean distance of {moved.mean():.2f}"
    )
    agreed, both, correlated = _agreement(model, rows, reference.tokens, columns=options.columns)
    print(
        f"top reason of {options.columns} columns is that of exact Shapley values in {agreed:.1%}, among the "
        f"two largest in {both:.1%}; correlation of contributions {correlated:.3f}"
    )


def _agreement(
    model: FrozenModel, rows: Inputs, reference: Floats, *, columns: int
) -> tuple[float, float, float]:
    """Share of rows whose largest contribution is that of the exact values, or among their two largest, and
    the mean correlation."""
    tokens = model.network.tokens(rows)
    size = np.abs(attribute_tokens(model, tokens, reference).contributions).mean(axis=0)
    movable = np.sort(np.argsort(-size)[:columns])
    first, second, correlations = [], [], []
    for row in range(len(rows)):
        own = tokens[:, row : row + 1]
        start = own.copy()
        start[:, :, movable] = reference[:, :, movable]
        fast = attribute_tokens(model, own, start).contributions[0, movable]
        exact = _shapley(model, own, start, movable)
        order = np.argsort(-exact)
        first.append(fast.argmax() == order[0])
        second.append(fast.argmax() in order[:2])
        correlations.append(np.corrcoef(fast, exact)[0, 1])
    return float(np.mean(first)), float(np.mean(second)), float(np.mean(correlations))


def _shapley(
    model: FrozenModel, own: Floats, start: Floats, movable: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Exact Shapley values of the chosen columns for the logit of the PD."""
    n = len(movable)
    masks = np.array([[mask >> bit & 1 for bit in range(n)] for mask in range(2**n)], dtype=bool)
    points = np.repeat(start, len(masks), axis=1)
    for position, column in enumerate(movable):
        points[:, masks[:, position], column] = own[:, 0:1, column]
    parts = [
        mean_probability_of(logits_of_tokens(model.network, points[:, at : at + 128])[0])
        for at in range(0, len(masks), 128)
    ]
    values = logit(model.calibration.apply(np.concatenate(parts)))
    result = np.zeros(n)
    for position in range(n):
        others = [each for each in range(n) if each != position]
        for count in range(n):
            weight = math.factorial(count) * math.factorial(n - count - 1) / math.factorial(n)
            for coalition in combinations(others, count):
                mask = sum(1 << each for each in coalition)
                result[position] += weight * (values[mask | 1 << position] - values[mask])
    return result


def _milliseconds(work: Callable[[], object]) -> float:
    best = math.inf
    for _ in range(3):
        started = time.thread_time()
        work()
        best = min(best, time.thread_time() - started)
    return 1000 * best


def _spread(values: list[float]) -> str:
    middle, high, most = np.quantile(values, [0.5, 0.95, 1.0])
    return f"median {middle:.1f}, 95 % {high:.1f}, largest {most:.1f}"


if __name__ == "__main__":
    main()

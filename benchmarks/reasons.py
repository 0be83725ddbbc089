"""Reasons for PDs: how long they take on one core, how complete they are, and whether they are right.

    python -m benchmarks.reasons --model runs/credit_card/model.pth

Processor time of this thread is measured, the best of three, so that other work on the machine counts
little. The oracle of the top reason are exact Shapley values (Shapley, "A value for n-person games", 1953)
of the same change: all coalitions of the columns that move most, each column being that of the row or of the
reference. The other columns stay as the row has them, and the contributions are of the same columns alone.

The trees of a model with trees are explained against how each column is spread, which takes the columns of
the reference as independent of one another. What that changes is measured beside real applicants.
"""

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from loan_default.bundled import BUNDLED_DATA, BUNDLED_SCHEMA
from loan_default.data.schema.frames import validate
from loan_default.data.schema.schema_files import load_schema
from loan_default.data.sources.table_files import read_frame
from loan_default.models.attributions import attribute
from loan_default.models.features import Inputs
from loan_default.models.freezing import frozen_model
from loan_default.models.frozen_model import FrozenModel
from loan_default.models.frozen_network import Floats, mean_probability_of
from loan_default.models.model import golden_rows_of, load_model
from loan_default.models.populations import Reference, reference_of_model
from loan_default.models.token_gradients import logits_of_tokens
from loan_default.models.tree_attributions import TreeReference, coalition_logits, tree_contributions
from loan_default.models.trees import blend
from loan_default.serving.explanations import explain

BATCH = 16
BESIDE_REAL = 24
"""Rows that the trees explain against real applicants too."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("runs/credit_card/model.pth"))
    parser.add_argument("--rows", type=int, default=200, help="applications")
    parser.add_argument("--columns", type=int, default=8, help="columns of the exact Shapley values")
    parser.add_argument("--applicants", type=int, default=400, help="real ones beside the reference of trees")
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
    if reference.trees is not None:
        others = np.random.default_rng(options.seed + 1).choice(len(frame), options.applicants, replace=False)
        _print_trees(reference.trees, rows, model.features.transform(frame.iloc[others]))
    print(
        f"in batches of {BATCH}: {np.mean(batches):.1f} ms a decision, {1000 / np.mean(batches):.0f} a second"
    )

    found = attribute(model, rows, reference.tokens, trees=reference.trees)
    gaps = np.abs(found.gaps)
    moved = np.abs(found.logits - found.reference)
    print(
        f"completeness gap: median {np.median(gaps):.4f}, 99 % {np.quantile(gaps, 0.99):.4f}, largest "
        f"{gaps.max():.4f} log-odds, of a mean distance of {moved.mean():.2f}"
    )
    agreed, both, correlated = _agreement(model, rows, reference, columns=options.columns)
    print(
        f"top reason of {options.columns} columns is that of exact Shapley values in {agreed:.1%}, among the "
        f"two largest in {both:.1%}; correlation of contributions {correlated:.3f}"
    )


def _agreement(
    model: FrozenModel, rows: Inputs, reference: Reference, *, columns: int
) -> tuple[float, float, float]:
    """Share of rows whose largest contribution is that of the exact values, or among their two largest, and
    the mean correlation."""
    tokens = model.network.tokens(rows)
    found = attribute(model, rows, reference.tokens, trees=reference.trees)
    movable = np.sort(np.argsort(-np.abs(found.contributions).mean(axis=0))[:columns])
    first, second, correlations = [], [], []
    for row in range(len(rows)):
        alone = rows[slice(row, row + 1)]
        start = tokens[:, row : row + 1].copy()
        start[:, :, movable] = reference.tokens[:, :, movable]
        trees = None if reference.trees is None else _moving(reference.trees, alone, movable)
        fast = attribute(model, alone, start, trees=trees).contributions[0, movable]
        exact = _shapley(model, alone, start, movable, trees)
        order = np.argsort(-exact)
        first.append(fast.argmax() == order[0])
        second.append(fast.argmax() in order[:2])
        correlations.append(np.corrcoef(fast, exact)[0, 1])
    return float(np.mean(first)), float(np.mean(second)), float(np.mean(correlations))


def _moving(reference: TreeReference, row: Inputs, movable: NDArray[np.int64]) -> TreeReference:
    """A reference that differs from a row in the movable columns alone."""
    shares = tuple(
        np.where(np.isin(leaves.columns, movable), share, reference.paths.follow(leaves, row))
        for leaves, share in zip(reference.paths.leaves, reference.shares, strict=True)
    )
    return replace(reference, shares=shares)


def _shapley(
    model: FrozenModel, row: Inputs, start: Floats, movable: NDArray[np.int64], trees: TreeReference | None
) -> NDArray[np.float64]:
    """Exact Shapley values of the chosen columns for the logit of the PD."""
    n = len(movable)
    own = model.network.tokens(row)
    masks = np.array([[mask >> bit & 1 for bit in range(n)] for mask in range(2**n)], dtype=bool)
    points = np.repeat(start, len(masks), axis=1)
    for position, column in enumerate(movable):
        points[:, masks[:, position], column] = own[:, 0:1, column]
    parts = [
        mean_probability_of(logits_of_tokens(model.network, points[:, at : at + 128])[0])
        for at in range(0, len(masks), 128)
    ]
    probability = np.concatenate(parts)
    if trees is not None:
        coalitions = np.zeros((len(masks), start.shape[2]), dtype=bool)
        coalitions[:, movable] = masks
        probability = blend(probability, coalition_logits(trees, row, coalitions))
    values = logit(model.calibration.apply(probability))
    result = np.zeros(n)
    for position in range(n):
        others = [each for each in range(n) if each != position]
        for count in range(n):
            weight = math.factorial(count) * math.factorial(n - count - 1) / math.factorial(n)
            for coalition in combinations(others, count):
                mask = sum(1 << each for each in coalition)
                result[position] += weight * (values[mask | 1 << position] - values[mask])
    return result


def _print_trees(reference: TreeReference, rows: Inputs, applicants: Inputs) -> None:
    """What the trees take of a decision, how complete they are, and how they stand to real applicants."""
    ones = [
        _milliseconds(lambda at=at: tree_contributions(reference, rows[slice(at, at + 1)]))  # type: ignore[misc]
        for at in range(min(100, len(rows)))
    ]
    leaves = sum(len(each.value) for each in reference.paths.leaves)
    print(f"of that the trees: {_spread(ones)} ms, with {leaves} leaves")
    few = rows[slice(0, BESIDE_REAL)]
    middle = len(applicants) // 2
    halves = [_beside(reference, few, applicants[part]) for part in (slice(0, middle), slice(middle, None))]
    found = tree_contributions(reference, few).of_columns
    beside, between = _correlation(found, np.mean(halves, axis=0)), _correlation(*halves)
    print(
        f"contributions of the trees to {len(few)} rows: correlation with those against {len(applicants)} "
        f"real applicants {beside:.3f}, of those against one half of these with the other half {between:.3f}"
    )


def _beside(reference: TreeReference, rows: Inputs, applicants: Inputs) -> NDArray[np.float64]:
    """Mean contributions `(rows, T)` of the trees against each of some applicants."""
    found = []
    for at in range(len(applicants)):
        other = applicants[slice(at, at + 1)]
        shares = (reference.paths.follow(each, other).astype(np.float64) for each in reference.paths.leaves)
        found.append(tree_contributions(replace(reference, shares=tuple(shares)), rows).of_columns)
    result: NDArray[np.float64] = np.mean(found, axis=0)
    return result


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Mean correlation of the contributions to a row."""
    return float(np.mean([np.corrcoef(*pair)[0, 1] for pair in zip(first, second, strict=True)]))


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

"""Differences between models with intervals that are paired by row and by seed.

A draw takes the rows of each outcome with replacement, the same for all models, and the seeds with
replacement; the metric of a model is its mean over the seeds that were drawn. The interval of a difference is
that of the draws.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loan_default.evaluation.metrics import WEIGHTED, rank_rows

Floats = NDArray[np.float64]
METRICS = {"auc": "AUC", "ks": "KS", "brier": "Brier", "log_loss": "log loss"}
LESS_IS_BETTER = ("brier", "log_loss")
DRAWS = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A mean difference, the draws of it, and the 95 % interval that they make."""

    value: float
    draws: Floats

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return float(np.quantile(self.draws, 0.025))

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return float(np.quantile(self.draws, 0.975))


@dataclass(frozen=True, kw_only=True, slots=True)
class Resampled:
    """Metrics `(seeds, 1 + draws)` of a model; the first column is of the rows themselves."""

    values: Mapping[str, Floats]

    def mean(self, metric: str) -> float:
        """Mean over the seeds, of the rows themselves."""
        return float(self.values[metric][:, 0].mean())


def resample(y: Floats, predicted: Mapping[str, list[Floats]], *, draws: int = DRAWS) -> dict[str, Resampled]:
    """Metrics of each model's PDs `(rows,)`, one array a seed, on the same draws of rows."""
    counts = np.vstack([np.ones(len(y)), _stratified(y, draws)])
    found = {}
    for model, seeds in predicted.items():
        values = {metric: np.empty((len(seeds), len(counts))) for metric in METRICS}
        for number, pds in enumerate(seeds):
            rows = rank_rows(y, pds)
            for draw, weights in enumerate(counts):
                ordered = weights[rows.order]
                for metric, of_seeds in values.items():
                    of_seeds[number, draw] = WEIGHTED[metric](rows, ordered)
        found[model] = Resampled(values=values)
    return found


def difference(ours: Resampled, peer: Resampled, metric: str) -> Difference:
    """How much higher our metric is, over the seeds that both have."""
    seeds = min(len(ours.values[metric]), len(peer.values[metric]))
    gaps = ours.values[metric][:seeds] - peer.values[metric][:seeds]
    generator = np.random.default_rng(1)
    taken = generator.integers(0, seeds, (gaps.shape[1] - 1, seeds))
    drawn = np.take_along_axis(gaps[:, 1:].T, taken, axis=1).mean(axis=1)
    return Difference(value=float(gaps[:, 0].mean()), draws=drawn)


def best_of(models: Mapping[str, Resampled], metric: str) -> str:
    """The model whose mean is best."""
    sign = 1 if metric in LESS_IS_BETTER else -1
    return min(models, key=lambda model: sign * models[model].mean(metric))


def mean_difference(differences: list[Difference]) -> Difference:
    """The mean over sets, whose rows are drawn independently of one another."""
    generator = np.random.default_rng(2)
    drawn = [generator.permutation(each.draws) for each in differences]
    return Difference(
        value=float(np.mean([each.value for each in differences])), draws=np.mean(drawn, axis=0)
    )


def _stratified(y: Floats, draws: int) -> Floats:
    """How often each row was drawn `(draws, rows)`; the bads stay as many as they are."""
    generator = np.random.default_rng(0)
    counts = np.zeros((draws, len(y)))
    for rows in (np.flatnonzero(y == 1), np.flatnonzero(y == 0)):
        counts[:, rows] = generator.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=draws)
    return counts

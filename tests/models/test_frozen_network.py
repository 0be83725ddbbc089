"""The arrays beside the network of torch that they were made from, over all kinds of networks."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from loan_default.models.categories import CategoricalFeature
from loan_default.models.classifier import Classifier, HeadConfig
from loan_default.models.encoder import EncoderConfig
from loan_default.models.features import Features, Inputs, NumericalFeature
from loan_default.models.freezing import freeze
from loan_default.models.frozen_network import FrozenNetwork
from loan_default.models.member_training import Architecture
from loan_default.models.model import mean_probability


def features_of(*, numbers: int, categories: int, rated: int) -> Features:
    """Columns with 1 to 40 bins and 1 to 5 codes, of which the last ones have rates of levels."""
    rng = np.random.default_rng(1)
    levels = [np.sort(rng.integers(-(2**60), 2**60, 7 + column)) for column in range(rated)]
    return Features(
        numerical=tuple(
            NumericalFeature(
                name=f"n{column}",
                quantiles=np.linspace(0, 1, 50),
                edges=np.unique(rng.normal(size=2 + 13 * column)),
            )
            for column in range(numbers)
        ),
        categorical=tuple(
            CategoricalFeature(
                name=f"c{column}",
                vocabulary=tuple("abcd"[: column % 5]),
                levels=([np.zeros(0, np.int64)] * (categories - rated) + levels)[column],
            )
            for column in range(categories)
        ),
    )


def classifier_of(architecture: Architecture) -> Classifier:
    """A network whose every weight is random: at their start some are zeros and ones, which hide mistakes."""
    network = architecture.new_classifier().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.4)
        if network.encoder.level_rates is not None:
            network.encoder.level_rates.rates.normal_()
    return network


def rows_of(features: Features, *, rows: int) -> Inputs:
    """Rows with missing values, numbers on edges and far outside, each code and each level."""
    rng = np.random.default_rng(2)
    numerical = rng.normal(scale=1.5, size=(rows, len(features.numerical))).astype(np.float32)
    for column, edges in enumerate(features.edges):
        on_edges = rng.random(rows) < 0.2
        numerical[on_edges, column] = rng.choice(edges.astype(np.float32), on_edges.sum())
    numerical[rng.random(numerical.shape) < 0.2] = np.nan
    codes = rng.integers(0, features.cardinalities, (rows, len(features.categorical)))
    counts = [count + 1 for count in features.level_counts if count]
    levels = rng.integers(0, counts, (rows, len(counts))) if counts else np.zeros((0, 0), np.int64)
    return Inputs(numerical=numerical, codes=codes, levels=levels)


VARIANTS = [
    {"numbers": numbers, "reads": reads, "scales": scales, "layers": layers, "columns": columns}
    for numbers, reads, scales, layers, columns in product(
        ("piecewise", "linear"),
        ("all", "cls"),
        ("tokens", "channels"),
        (1, 3),
        ((5, 4, 2), (3, 0, 0), (0, 3, 1)),
    )
]


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_each_kind_of_network_gives_the_same_probabilities(variant: dict[str, Any]) -> None:
    network, members, rows = made_of(variant)
    assert_same(network, members, rows)


def made_of(variant: dict[str, Any]) -> tuple[FrozenNetwork, list[Classifier], Inputs]:
    """A network of a kind, the members that it was made from, and rows."""
    torch.manual_seed(3)
    numbers, categories, rated = variant["columns"]
    features = features_of(numbers=numbers, categories=categories, rated=rated)
    architecture = Architecture(
        features=features,
        encoder=EncoderConfig(n_layers=variant["layers"], width=16, heads=2, numerical=variant["numbers"]),
        head=HeadConfig(
            reads=variant["reads"],
            scales=variant["scales"],
            predictors=3,
            hidden=24,
            n_layers=variant["layers"],
        ),
    )
    members = [classifier_of(architecture) for _ in range(2)]
    return frozen_network_of(architecture, members), members, rows_of(features, rows=300)


def frozen_network_of(architecture: Architecture, members: list[Classifier]) -> FrozenNetwork:
    return freeze(
        [{name: each.numpy() for name, each in member.state_dict().items()} for member in members],
        heads=architecture.encoder.heads,
        rated=[at for at, count in enumerate(architecture.features.level_counts) if count],
        scales_tokens=architecture.head.scales == "tokens",
    )


def assert_same(network: FrozenNetwork, members: list[Classifier], rows: Inputs) -> None:
    slow = mean_probability(members, rows)
    difference = np.abs(network.probability(rows) - slow)
    assert difference.max() <= 1e-6, f"max={difference.max():.2e}, mean={difference.mean():.2e}"
    assert slow.std() > 0.002, "rows that all have one probability would show nothing"
    one_by_one = [network.probability(rows[slice(at, at + 1)])[0] for at in range(40)]
    np.testing.assert_allclose(one_by_one, slow[:40], atol=1e-6, rtol=0)

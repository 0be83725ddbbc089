import inspect
import math
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pytorch_metric_learning.losses import NTXentLoss
from torch import Tensor

from loan_default.choices import OBJECTIVES
from loan_default.models.contrastive import (
    ObjectiveConfig,
    PretrainingModel,
    View,
    corrupt,
    nt_xent,
)
from loan_default.models.encoder import Encoder, EncoderConfig

# NT-Xent


def nt_xent_by_loops(first: np.ndarray, second: np.ndarray, temperature: float) -> float:
    """The definition, a row at a time, in float64."""

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b))

    def one_way(anchors: np.ndarray, others: np.ndarray) -> float:
        total = 0.0
        for i, anchor in enumerate(anchors):
            similarities = [cosine(anchor, other) / temperature for other in others]
            denominator = sum(math.exp(similarity) for similarity in similarities)
            total -= similarities[i] - math.log(denominator)
        return total / len(anchors)

    return (one_way(first, second) + one_way(second, first)) / 2


def views(rows: int, width: int, *, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(rows, width, generator=generator)
    return first, first + torch.randn(rows, width, generator=generator)


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0])
@pytest.mark.parametrize(("rows", "width"), [(2, 3), (17, 5), (40, 64)])
def test_nt_xent_is_its_definition(rows: int, width: int, temperature: float) -> None:
    first, second = views(rows, width, seed=rows)
    expected = nt_xent_by_loops(first.double().numpy(), second.double().numpy(), temperature)
    assert float(nt_xent(first, second, temperature=temperature)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_nt_xent_is_the_metric_learning_librarys_from_one_view_to_the_other(temperature: float) -> None:
    # Given a reference set, the library draws negatives from it alone: its loss of the first view against the
    # second, and of the second against the first, are our two halves.
    first, second = views(32, 16, seed=1)
    library, rows = NTXentLoss(temperature=temperature), torch.arange(32)
    forward = library(first, rows, ref_emb=second, ref_labels=rows.clone())
    backward = library(second, rows, ref_emb=first, ref_labels=rows.clone())
    ours = nt_xent(first, second, temperature=temperature)
    assert float(ours) == pytest.approx(float(forward + backward) / 2, abs=1e-5)
    # The usual one, over 2 N rows, has more negatives and so a larger loss.
    usual = library(torch.cat([first, second]), torch.cat([rows, rows]))
    assert float(usual) > float(ours)


@pytest.mark.parametrize(("temperature", "expected", "tolerance"), [(0.05, 0.0, 1e-3), (0.2, 0.19, 0.005)])
def test_perfectly_separated_pairs(temperature: float, expected: float, tolerance: float) -> None:
    separated = torch.eye(32)
    assert abs(float(nt_xent(separated, separated, temperature=temperature)) - expected) < tolerance
    assert float(nt_xent(separated, separated.roll(1, 0), temperature=temperature)) > 4


PAIRS = st.integers(2, 8).flatmap(
    lambda rows: st.tuples(
        *[
            arrays.arrays(
                np.float64,
                (rows, 4),
                elements=st.floats(-3, 3).filter(lambda x: abs(x) > 0.01),
            )
        ]
        * 2
    )
)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(pair=PAIRS, scale=st.floats(0.1, 10), order=st.randoms(use_true_random=False))
def test_nt_xent_is_not_negative_symmetric_and_blind_to_scale_and_order(
    pair: tuple[np.ndarray, np.ndarray], scale: float, order: random.Random
) -> None:
    first, second = map(torch.from_numpy, pair)
    loss = float(nt_xent(first, second, temperature=0.2))
    assert loss >= 0
    assert float(nt_xent(second, first, temperature=0.2)) == pytest.approx(loss, abs=1e-9)
    assert float(nt_xent(first * scale, second / scale, temperature=0.2)) == pytest.approx(loss, abs=1e-9)
    rows = list(range(len(first)))
    order.shuffle(rows)
    assert float(nt_xent(first[rows], second[rows], temperature=0.2)) == pytest.approx(loss, abs=1e-9)


@pytest.mark.parametrize(
    ("first", "second"), [((1, 4), (1, 4)), ((4, 3), (4, 2)), ((4, 3), (5, 3)), ((4,), (4,))]
)
def test_views_that_do_not_fit_are_refused(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"two equal .* batches, however: "):
        nt_xent(torch.ones(first), torch.ones(second), temperature=0.2)


# Corruption


@pytest.fixture(scope="module")
def pool() -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(0)
    numerical = torch.tensor(rng.normal(loc=[0, 100, 200], size=(3000, 3)), dtype=torch.float32)
    numerical[rng.random(3000) < 0.3, 1] = torch.nan
    codes = torch.from_numpy(np.stack([rng.integers(0, 4, 3000), rng.integers(10, 13, 3000)], 1))
    return numerical, codes


def corrupted(
    pool: tuple[Tensor, Tensor],
    *,
    seed: int = 0,
    rows: int = 3000,
    corruption: float = 0.3,
    masking: float = 0.2,
) -> View:
    return corrupt(
        pool[0][:rows],
        pool[1][:rows],
        pool=pool,
        config=ObjectiveConfig(corruption=corruption, masking=masking),
        generator=torch.Generator().manual_seed(seed),
    )


@pytest.mark.slow
@pytest.mark.parametrize("corruption", [0.1, 0.3, 0.6])
@pytest.mark.parametrize("masking", [0.0, 0.2, 1.0])
def test_the_shares_of_replaced_and_masked_cells(
    pool: tuple[Tensor, Tensor], corruption: float, masking: float
) -> None:
    view = corrupted(pool, corruption=corruption, masking=masking)
    # Column 0 is continuous, so a cell that is replaced is changed (but for the odd draw of the row itself).
    error = 4 * math.sqrt(0.25 / 3000)
    assert float(view.changed[:, 0].double().mean()) == pytest.approx(corruption, abs=error)
    error = 4 * math.sqrt(0.25 / view.masked.numel())
    assert float(view.masked.double().mean()) == pytest.approx(corruption * masking, abs=error)


def test_replacements_are_values_of_the_same_column(pool: tuple[Tensor, Tensor]) -> None:
    view = corrupted(pool, rows=500, corruption=0.9)
    for place in range(3):
        known = view.numerical[:, place][~view.numerical[:, place].isnan()]
        assert torch.isin(known, pool[0][:, place]).all()
    for place in range(2):
        assert torch.isin(view.codes[:, place], pool[1][:, place].unique()).all()
    replaced = view.numerical[:, 1].isnan() & ~pool[0][:500, 1].isnan()
    assert replaced.any(), "a missing value is a value of its column too"


def test_replacements_come_from_every_row_of_the_pool(pool: tuple[Tensor, Tensor]) -> None:
    view = corrupted(pool, rows=10, corruption=0.9)
    for seed in range(1, 30):
        more = corrupted(pool, seed=seed, rows=10, corruption=0.9)
        view = View(
            numerical=torch.cat([view.numerical, more.numerical]),
            codes=view.codes,
            masked=view.masked,
            changed=view.changed,
        )
    assert torch.isin(view.numerical[:, 0], pool[0][2000:, 0]).any()


def test_changed_is_where_the_view_differs_or_is_masked(pool: tuple[Tensor, Tensor]) -> None:
    view = corrupted(pool, masking=0.5)
    before = torch.cat([pool[0].double(), pool[1].double()], 1)
    after = torch.cat([view.numerical.double(), view.codes.double()], 1)
    same = (before == after) | (before.isnan() & after.isnan())
    assert torch.equal(view.changed, ~same | view.masked)
    assert (view.changed | ~view.masked).all(), "what is masked counts as changed"
    assert (~view.changed).any()
    assert (view.changed & ~view.masked).any()


def test_a_missing_cell_that_stays_missing_is_not_changed() -> None:
    numerical, codes = torch.full((50, 1), torch.nan), torch.zeros(50, 0, dtype=torch.int64)
    config = ObjectiveConfig(corruption=0.9, masking=0.0)
    view = corrupt(
        numerical, codes, pool=(numerical, codes), config=config, generator=torch.Generator().manual_seed(0)
    )
    assert not view.changed.any()


def test_the_generator_decides_the_view(pool: tuple[Tensor, Tensor]) -> None:
    torch.manual_seed(1)
    one = corrupted(pool, seed=7)
    torch.manual_seed(2)
    two, other = corrupted(pool, seed=7), corrupted(pool, seed=8)
    for name in ("numerical", "codes", "masked", "changed"):
        assert torch.equal(getattr(one, name).nan_to_num(), getattr(two, name).nan_to_num()), name
    assert not torch.equal(one.changed, other.changed)


def test_the_originals_are_not_written_to(pool: tuple[Tensor, Tensor]) -> None:
    numerical, codes = pool[0].clone(), pool[1].clone()
    corrupted(pool, corruption=0.9)
    torch.testing.assert_close(pool[0], numerical, equal_nan=True, rtol=0, atol=0)
    assert torch.equal(pool[1], codes)


# The model of pretraining


def model_of(objective: str, *, numerical: int = 3, categorical: int = 2) -> PretrainingModel:
    torch.manual_seed(0)
    edges = [np.array([-1.0, 0.0, 1.0])] * numerical
    encoder = Encoder(edges, [15] * categorical, EncoderConfig(n_layers=1, width=16, heads=1))
    return PretrainingModel(encoder, ObjectiveConfig(objective=objective)).eval()


@pytest.mark.parametrize(
    ("objective", "parts", "n_views"),
    [
        ("detection", {"detection", "reconstruction"}, 1),
        ("nt-xent", {"nt_xent"}, 2),
        ("both", {"detection", "reconstruction", "nt_xent"}, 2),
    ],
)
def test_the_losses_of_an_objective_and_their_sum(
    pool: tuple[Tensor, Tensor], objective: str, parts: set[str], n_views: int
) -> None:
    model = model_of(objective)
    assert model.n_views == n_views
    losses = model(pool[0][:64], [corrupted(pool, seed=i, rows=64) for i in range(n_views)])
    assert losses.keys() == parts | {"loss"}
    weights = {"nt_xent": 0.3 if objective == "both" else 1.0}
    expected = sum(weights.get(name, 1.0) * float(losses[name].detach()) for name in parts)
    assert float(losses["loss"].detach()) == pytest.approx(expected, rel=1e-5)
    losses["loss"].backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_detection_and_reconstruction_by_hand(pool: tuple[Tensor, Tensor]) -> None:
    # Numbers around 0, so that a rebuilt missing value would be seen in the mean.
    pool = pool[0] - torch.tensor([0.0, 100.0, 200.0]), pool[1]
    model, view, numerical = model_of("detection"), corrupted(pool, rows=20), pool[0][:20]
    assert numerical.isnan().any()
    losses = model(numerical, [view])
    tokens = model.encoder.contextualise(
        model.encoder.embed(view.numerical, view.codes, masked=view.masked), cls_only=False
    )[:, 1:].detach()
    surprise, squares = [], []
    for row in range(20):
        for place in range(5):
            logit = float(tokens[row, place] @ model.detector[place].detach())
            sign = 1 if view.changed[row, place] else -1
            surprise.append(math.log1p(math.exp(-sign * logit)))
            if place < 3 and not math.isnan(numerical[row, place]):
                rebuilt = float(tokens[row, place] @ model.rebuilder[place].detach())
                squares.append((rebuilt - float(numerical[row, place])) ** 2)
    assert float(losses["detection"].detach()) == pytest.approx(np.mean(surprise), rel=1e-4)
    assert float(losses["reconstruction"].detach()) == pytest.approx(np.mean(squares), rel=1e-4)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize(("numerical", "categorical"), [(3, 0), (0, 2)])
def test_columns_of_one_kind_are_enough(
    pool: tuple[Tensor, Tensor], objective: str, numerical: int, categorical: int
) -> None:
    model = model_of(objective, numerical=numerical, categorical=categorical)
    part = pool[0][:, :numerical], pool[1][:, :categorical]
    losses = model(part[0][:32], [corrupted(part, seed=i, rows=32) for i in range(model.n_views)])
    assert all(loss.isfinite() for loss in losses.values())


def test_nothing_here_takes_a_label() -> None:
    for function in (nt_xent, corrupt, PretrainingModel.forward):
        names = set(inspect.signature(function).parameters)
        assert not names & {"y", "label", "labels", "target", "targets", "outcome", "outcomes"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"objective": "simclr"}, "objective='simclr'"),
        ({"corruption": 0.0}, r"corruption=0\.0"),
        ({"corruption": 1.0}, r"corruption=1\.0"),
        ({"masking": 1.1}, r"masking=1\.1"),
        ({"masking": float("nan")}, "masking=nan"),
        ({"temperature": 0.0}, r"temperature=0\.0"),
        ({"temperature": float("nan")}, "temperature=nan"),
    ],
)
def test_a_wrong_config_is_refused_with_its_value(options: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=f"however: {says}"):
        ObjectiveConfig(**options)

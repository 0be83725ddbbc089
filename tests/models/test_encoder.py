import doctest
from types import ModuleType

import numpy as np
import pytest
import rtdl_num_embeddings as rtdl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from loan_default.models import encoder as encoder_module
from loan_default.models.encoder import Encoder, EncoderConfig, LinearEmbedding, PiecewiseLinearEmbedding

# Theirs warns about columns with one bin, which ours must handle too.
pytestmark = pytest.mark.filterwarnings("ignore:The .*-th feature has just two bin edges:UserWarning")

SMALL = EncoderConfig(n_layers=2, width=16, heads=2, dropout=0.0)
EDGES = [np.array([-2.0, -0.5, 0.25, 1.0, 3.0]), np.array([-1.0, 1.0]), np.array([0.0, 0.1, 5.0])]


def assert_close(ours: Tensor, theirs: Tensor, *, tolerance: float, what: str) -> None:
    difference = (ours - theirs).abs()
    assert difference.max() <= tolerance, (
        f"{what} must agree within {tolerance}, however: max={difference.max():.2e}, "
        f"mean={difference.mean():.2e}"
    )


def twins(edges: list[np.ndarray], width: int) -> tuple[PiecewiseLinearEmbedding, torch.nn.Module]:
    """Our embedding and the authors', with the same random weights."""
    ours = PiecewiseLinearEmbedding(edges, width)
    theirs = rtdl.PiecewiseLinearEmbeddings(
        [torch.tensor(column, dtype=torch.float32) for column in edges], width, activation=False, version="B"
    )
    with torch.no_grad():
        ours.increments.normal_()
        theirs.linear0.weight.copy_(ours.linear.weight)
        theirs.linear0.bias.copy_(ours.linear.bias)
        for place, column in enumerate(edges):
            last = len(column) - 2
            theirs.linear.weight[place, :last] = ours.increments[place, :last]
            theirs.linear.weight[place, -1] = ours.increments[place, last]  # theirs keep the last bin last
    return ours, theirs


def numbers_inside(edges: list[np.ndarray], rows: int, *, seed: int) -> Tensor:
    rng = np.random.default_rng(seed)
    columns = [np.concatenate([column, rng.uniform(column[0], column[-1], rows)])[-rows:] for column in edges]
    for place, column in enumerate(edges):
        columns[place][: len(column)] = column  # the edges themselves are the delicate values
    return torch.tensor(np.stack(columns, 1), dtype=torch.float32)


@pytest.mark.parametrize(
    "edges",
    [
        EDGES,
        EDGES[1:2],
        [np.linspace(-3, 3, 513), np.linspace(-1, 1, 4)],
    ],
    ids=["uneven", "one bin", "512 bins"],
)
def test_the_piecewise_embedding_is_the_published_one_inside_the_edges(edges: list[np.ndarray]) -> None:
    torch.manual_seed(0)
    ours, theirs = twins(edges, 8)
    x = numbers_inside(edges, 600, seed=1)
    # Sums over hundreds of bins differ by their order, so the tolerance is that of the largest sum.
    tolerance = 1e-5 * max(1.0, float(theirs(x).detach().abs().max()))
    assert_close(ours(x), theirs(x), tolerance=tolerance, what="tokens")


def test_in_evaluation_a_change_of_the_weights_is_seen_at_once() -> None:
    embedding = PiecewiseLinearEmbedding([np.linspace(-1, 1, 6)] * 2, 4).eval()
    x = torch.rand(7, 2)

    def evaluated() -> Tensor:
        with torch.inference_mode():
            return embedding(x).clone()

    def computed() -> Tensor:
        return embedding(x).detach()  # with gradients, nothing is kept

    torch.testing.assert_close(evaluated(), computed(), rtol=0, atol=0)
    before = evaluated()
    with torch.no_grad():
        embedding.increments += torch.rand_like(embedding.increments)
    assert not torch.equal(evaluated(), before)
    torch.testing.assert_close(evaluated(), computed(), rtol=0, atol=0)
    embedding.load_state_dict(embedding.state_dict() | {"increments": 2 * embedding.increments.detach()})
    torch.testing.assert_close(evaluated(), computed(), rtol=0, atol=0)


def test_its_gradients_are_the_published_ones() -> None:
    torch.manual_seed(0)
    ours, theirs = twins(EDGES, 8)
    x, upstream = numbers_inside(EDGES, 200, seed=2), torch.randn(200, 3, 8)
    x = x + 1e-4  # off the edges, where the slope is not defined
    left, right = x.clone().requires_grad_(), x.clone().requires_grad_()
    (ours(left) * upstream).sum().backward()
    (theirs(right) * upstream).sum().backward()
    inside = torch.stack([(x[:, i] < column[-1]) for i, column in enumerate(EDGES)], 1)
    assert_close(left.grad[inside], right.grad[inside], tolerance=1e-3, what="gradients of the numbers")
    assert_close(ours.linear.weight.grad, theirs.linear0.weight.grad, tolerance=1e-3, what="linear weights")
    for place, column in enumerate(EDGES):
        last = len(column) - 2
        gradient, published = ours.increments.grad[place], theirs.linear.weight.grad[place]
        published = torch.cat([published[:last], published[-1:]])
        assert_close(gradient[: last + 1], published, tolerance=1e-3, what=f"gradients of column {place}")
        assert (gradient[last + 1 :] == 0).all(), "bins that a column does not have must learn nothing"


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-6, 6, width=32), min_size=1, max_size=20))
def test_tokens_are_continuous_and_constant_beyond_the_edges_but_for_the_line(values: list[float]) -> None:
    torch.manual_seed(1)
    embedding, _ = twins(EDGES[:1], 4)
    x = torch.tensor(values)[:, None]
    step = 1e-3
    with torch.no_grad():
        jump = (embedding(x + step) - embedding(x)).abs().max()
        assert jump < 0.2, "a small step must give a small change, at the edges too"
        beyond = x.clamp(-2.0, 3.0)
        rest = embedding(x) - embedding.linear(x)
        assert_close(
            rest, embedding(beyond) - embedding.linear(beyond), tolerance=1e-5, what="tokens beyond the edges"
        )


def test_a_new_piecewise_embedding_is_linear() -> None:
    embedding = PiecewiseLinearEmbedding(EDGES, 8)
    x = torch.randn(10, 3)
    torch.testing.assert_close(embedding(x), embedding.linear(x))


@pytest.mark.parametrize("edges", [[1.0], [1.0, 1.0], [2.0, 1.0]])
def test_edges_must_ascend(edges: list[float]) -> None:
    with pytest.raises(ValueError, match=r"at least two and ascending, however: column 1: \["):
        PiecewiseLinearEmbedding([EDGES[0], np.array(edges)], 8)


def test_linear_embedding_by_hand() -> None:
    embedding = LinearEmbedding(2, 3)
    x = torch.tensor([[2.0, -1.0]])
    expected = torch.stack(
        [embedding.bias[0] + 2 * embedding.weight[0], embedding.bias[1] - embedding.weight[1]]
    )
    torch.testing.assert_close(embedding(x)[0], expected)


# The encoder


def rows_of(n: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    numerical = torch.randn(n, 3, generator=generator)
    numerical[::4, 1] = torch.nan
    codes = torch.stack([torch.randint(0, high, (n,), generator=generator) for high in (3, 5)], 1)
    return numerical, codes


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    built = Encoder(EDGES, [3, 5], SMALL)
    with torch.no_grad():
        built.numerical.increments.normal_(std=0.3)
        built.bias.normal_(std=0.1)
    return built.eval()


@pytest.mark.parametrize("n_layers", [1, 3])
@pytest.mark.parametrize("numerical", ["piecewise", "linear"])
def test_reading_only_cls_gives_what_the_full_computation_has_there(n_layers: int, numerical: str) -> None:
    torch.manual_seed(3)
    config = EncoderConfig(n_layers=n_layers, width=16, heads=2, numerical=numerical)
    encoder = Encoder(EDGES, [3, 5], config).eval()
    tokens = encoder.embed(*rows_of(40))
    fast = encoder.contextualise(tokens, cls_only=True)
    full = encoder.contextualise(tokens, cls_only=False)
    assert fast.shape == (40, 1, 16)
    assert_close(fast[:, 0], full[:, 0], tolerance=1e-6, what="[CLS]")


@pytest.mark.parametrize(("edges", "cards"), [(EDGES, [3, 5]), (EDGES, []), ([], [3, 5]), (EDGES[:1], [2])])
@pytest.mark.parametrize("rows", [0, 1, 7])
def test_shapes(edges: list[np.ndarray], cards: list[int], rows: int) -> None:
    encoder = Encoder(edges, cards, SMALL)
    numerical = torch.zeros(rows, len(edges))
    codes = torch.zeros(rows, len(cards), dtype=torch.int64)
    tokens = len(edges) + len(cards)
    assert encoder.embed(numerical, codes).shape == (rows, tokens, 16)
    assert encoder(numerical, codes).shape == (rows, 1 + tokens, 16)
    assert encoder.contextualise(encoder.embed(numerical, codes), cls_only=True).shape == (rows, 1, 16)


def test_missing_and_masked_cells_are_their_learned_tokens(encoder: Encoder) -> None:
    numerical, codes = rows_of(8)
    masked = torch.zeros(8, 5, dtype=torch.bool)
    masked[1, 0] = masked[2, 4] = masked[0, 1] = True  # row 0 is missing column 1 besides
    tokens = encoder.embed(numerical, codes, masked=masked)
    torch.testing.assert_close(tokens[4, 1], encoder.missing[1] + encoder.bias[1])
    torch.testing.assert_close(tokens[1, 0], encoder.mask[0])
    torch.testing.assert_close(tokens[2, 4], encoder.mask[4])
    torch.testing.assert_close(tokens[0, 1], encoder.mask[1])
    untouched = encoder.embed(numerical, codes)
    torch.testing.assert_close(tokens[~masked], untouched[~masked])
    assert tokens.isfinite().all()


def test_a_masked_cell_does_not_show_its_value(encoder: Encoder) -> None:
    numerical, codes = rows_of(8)
    masked = torch.zeros(8, 5, dtype=torch.bool)
    masked[:, [0, 3]] = True
    other_numbers, other_codes = numerical.clone(), codes.clone()
    other_numbers[:, 0] = 99.0
    other_codes[:, 0] = (codes[:, 0] + 1) % 3
    torch.testing.assert_close(
        encoder.embed(numerical, codes, masked=masked),
        encoder.embed(other_numbers, other_codes, masked=masked),
    )


def test_missing_numbers_pass_no_gradient_that_is_not_finite(encoder: Encoder) -> None:
    numerical, codes = rows_of(8)
    encoder.train()(numerical, codes).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        if name != "mask":
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


def test_every_category_has_a_token_of_its_own(encoder: Encoder) -> None:
    # All pairs of codes: an offset that overlaps would give one token to two categories.
    numerical = torch.zeros(15, 3)
    codes = torch.cartesian_prod(torch.arange(3), torch.arange(5))
    with torch.no_grad():
        encoder.bias.zero_()
    tokens = encoder.embed(numerical, codes)[:, 3:]
    assert len(torch.unique(tokens.detach().reshape(-1, 16), dim=0)) == 8


def test_rows_do_not_see_one_another(encoder: Encoder) -> None:
    numerical, codes = rows_of(6)
    together = encoder(numerical, codes)
    alone = torch.cat([encoder(numerical[i : i + 1], codes[i : i + 1]) for i in range(6)])
    assert_close(together, alone, tolerance=1e-5, what="rows together and alone")


def test_every_column_reaches_cls(encoder: Encoder) -> None:
    numerical, codes = rows_of(6)
    numerical = numerical.nan_to_num()
    base = encoder(numerical, codes)[:, 0]
    for place in range(3):
        other = numerical.clone()
        other[:, place] += 0.2
        assert (encoder(other, codes)[:, 0] - base).abs().max() > 1e-4
    for place, high in enumerate((3, 5)):
        other = codes.clone()
        other[:, place] = (codes[:, place] + 1) % high
        assert (encoder(numerical, other)[:, 0] - base).abs().max() > 1e-4


def test_fill_unseen_gives_the_average_token_where_nothing_was_learned(encoder: Encoder) -> None:
    numerical, codes = rows_of(40)  # column 1 has gaps, both categorical columns have code 0
    codes[:, 0] = codes[:, 0].clamp(min=1)
    missing, table = encoder.missing.clone(), encoder.categories.weight.clone()
    average = encoder.numerical(numerical.nan_to_num()).mean(0)
    encoder.fill_unseen(numerical, codes)
    torch.testing.assert_close(encoder.missing[0], average[0])
    torch.testing.assert_close(encoder.missing[2], average[2])
    torch.testing.assert_close(encoder.missing[1], missing[1], msg="a column with gaps has learned its token")
    torch.testing.assert_close(encoder.categories.weight[0], table[codes[:, 0]].mean(0))
    torch.testing.assert_close(encoder.categories.weight[1:], table[1:])


def test_dropout_acts_in_training_only() -> None:
    torch.manual_seed(0)
    encoder = Encoder(
        EDGES, [3], EncoderConfig(n_layers=2, width=16, heads=1, dropout=0.5, attention_dropout=0.2)
    )
    numerical, codes = rows_of(5)
    codes = codes[:, :1]
    assert not torch.equal(encoder(numerical, codes), encoder(numerical, codes))
    encoder.eval()
    assert torch.equal(encoder(numerical, codes), encoder(numerical, codes))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"n_layers": 0}, "n_layers=0"),
        ({"width": -1}, "width=-1"),
        ({"heads": 0}, "heads=0"),
        ({"width": 32, "heads": 5}, "width=32, heads=5"),
        ({"feed_forward": -0.5}, "-0.5"),
        ({"dropout": 1.0}, r"dropout=1\.0"),
        ({"dropout": float("nan")}, "dropout=nan"),
        ({"attention_dropout": -0.1}, r"attention_dropout=-0\.1"),
        ({"numerical": "periodic"}, "'periodic'"),
    ],
)
def test_a_wrong_config_is_refused_with_its_value(options: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=f"however: .*{says}"):
        EncoderConfig(**options)


def test_an_encoder_without_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one column, however: none"):
        Encoder([], [], SMALL)


@pytest.mark.parametrize("module", [encoder_module])
def test_the_examples_of_the_docstrings_run(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0

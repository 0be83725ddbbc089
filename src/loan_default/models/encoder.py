"""The tabular transformer encoder: one token a column, a [CLS] token, pre-norm self-attention.

Notable features:
- numerical tokens are learned piecewise-linear functions with up to 512 bins (Gorishniy et al., "On
  Embeddings for Numerical Features in Tabular Deep Learning", 2022), evaluated by table look-up: two
  gathers a value instead of a matrix product over all bins, so that fine bins cost next to nothing
- missing values and masked cells are learned tokens, one a column
- all categories live in one table with offsets; code 0 is "unknown"
- the token of a column of many levels has the default rate of the level added (`level_rates.py`)
- the very first norm is skipped and the feed-forward is ReGLU, as in FT-Transformer (Gorishniy et al., 2021)
- where only [CLS] is read, the last block computes only its query

Shapes: B rows, F numerical and C categorical columns, T = F + C tokens, d width, H heads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from numpy.typing import NDArray
from torch import Tensor, nn

from loan_default.models.level_rates import LevelRates


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderConfig:
    """Size of the encoder."""

    n_layers: int = 6
    """Transformer blocks."""
    width: int = 32
    """Token width d; a multiple of `heads`, d / heads should be 16 or more."""
    heads: int = 2
    """Attention heads. Fewer are faster on a CPU."""
    feed_forward: float = 4 / 3
    """Hidden width of the feed-forward as a multiple of d; it is rounded to a multiple of 8, which computes
    faster."""
    dropout: float = 0.1
    """Dropout in the feed-forward; 0 = off."""
    attention_dropout: float = 0.0
    """Dropout of attention weights; 0 = off. On a CPU it costs a third of the speed."""
    numerical: Literal["piecewise", "linear"] = "piecewise"
    """How a number becomes a token."""

    def __post_init__(self) -> None:
        for name in ("n_layers", "width", "heads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be a positive integer, however: {name}={getattr(self, name)}")
        if self.width % self.heads:
            raise ValueError(
                f"width must be a multiple of heads, however: width={self.width}, heads={self.heads}"
            )
        if self.feed_forward <= 0:
            raise ValueError(f"feed_forward must be positive, however: {self.feed_forward}")
        for name in ("dropout", "attention_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), however: {name}={getattr(self, name)}")
        if self.numerical not in ("piecewise", "linear"):
            raise ValueError(f"numerical must be 'piecewise' or 'linear', however: {self.numerical!r}")


class LinearEmbedding(nn.Module):
    """A number times a learned vector, plus a bias: one pair a column.

    **Shape**

    - Input: `(B, F)` float32
    - Output: `(B, F, d)`
    """

    def __init__(self, n_features: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_features, width))
        self.bias = nn.Parameter(torch.empty(n_features, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform in ±d^-1/2."""
        bound = self.weight.shape[1] ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens `(B, F, d)` of numbers `(B, F)`."""
        return torch.addcmul(self.bias, self.weight, x[..., None])


class PiecewiseLinearEmbedding(nn.Module):
    """A learned piecewise-linear function from a number to a vector, one a column, beside a linear one.

    With bin edges `e_0 < … < e_n` and learned increments `w_1 … w_n` (zero at the start), the token is
    `linear(x) + w_1 + … + w_{b-1} + r w_b`, where x lies in bin b and r in [0, 1] is its position in the bin.
    The prefix sums are made once a call, and in evaluation once for all calls, so a value costs two look-ups
    whatever the number of bins. It is the same function as
    `rtdl_num_embeddings.PiecewiseLinearEmbeddings(version="B")` inside the edges; outside it stays
    constant but for the linear part.

    **Shape**

    - Input: `(B, F)` float32, finite
    - Output: `(B, F, d)`

    **Examples**

    >>> PiecewiseLinearEmbedding([np.array([-1.0, 0.0, 1.0])] * 4, 8)(torch.randn(2, 4)).shape
    torch.Size([2, 4, 8])
    """

    edges: Tensor
    left: Tensor
    scale: Tensor
    start: Tensor

    def __init__(self, edges: Sequence[NDArray[np.float64]], width: int) -> None:
        super().__init__()
        for index, column in enumerate(edges):
            if len(column) < 2 or not (np.diff(column) > 0).all():
                raise ValueError(
                    f"edges must be at least two and ascending, however: column {index}: {column}"
                )
        n_bins = max(len(column) - 1 for column in edges)
        # Every column gets the room of the finest one: no value ever falls into the padding.
        # Not infinity, which model files refuse.
        inner = np.full((len(edges), n_bins - 1), np.finfo(np.float32).max)
        left, scale = np.zeros((len(edges), n_bins)), np.zeros((len(edges), n_bins))
        for index, column in enumerate(edges):
            inner[index, : len(column) - 2] = column[1:-1]
            left[index, : len(column) - 1] = column[:-1]
            scale[index, : len(column) - 1] = 1 / np.diff(column)
        self.linear = LinearEmbedding(len(edges), width)
        self.increments = nn.Parameter(torch.zeros(len(edges), n_bins, width))
        self.register_buffer("edges", torch.tensor(inner, dtype=torch.float32))
        self.register_buffer("left", torch.tensor(left.ravel(), dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(scale.ravel(), dtype=torch.float32))
        self.register_buffer("start", torch.arange(len(edges)) * n_bins)
        self._kept: tuple[tuple[int, int], Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Tokens `(B, F, d)` of numbers `(B, F)`."""
        bins = torch.searchsorted(self.edges, x.T.contiguous(), right=True).T + self.start
        position = ((x - self.left[bins]) * self.scale[bins]).clamp(0, 1)
        reached, here = F.embedding(bins, self._table()).chunk(2, -1)
        return torch.addcmul(self.linear(x) + reached, here, position[..., None])

    def _table(self) -> Tensor:
        """Prefix sum beside increment of each bin of each column, `(F * bins, 2 d)`."""
        if self.training or torch.is_grad_enabled():
            return self._made_table()
        # A step, a copy or a move of the weights changes one of the two.
        state = (self.increments._version, self.increments.data_ptr())
        if self._kept is None or self._kept[0] != state:
            self._kept = (state, self._made_table())
        return self._kept[1]

    def _made_table(self) -> Tensor:
        sums = self.increments.cumsum(1) - self.increments
        return torch.cat([sums, self.increments], 2).flatten(0, 1)


class Block(nn.Module):
    """Pre-norm attention and feed-forward, each with a residual.

    **Shape**

    - Input: `(B, T, d)`
    - Output: `(B, T, d)`, or `(B, 1, d)` with only the first token where `first_only`
    """

    def __init__(self, config: EncoderConfig, *, is_first: bool) -> None:
        super().__init__()
        d = config.width
        hidden = 8 * max(1, round(d * config.feed_forward / 8))
        self.heads = config.heads
        self.attention_dropout = config.attention_dropout
        self.attention_norm = nn.Identity() if is_first else nn.LayerNorm(d)
        self.query = nn.Linear(d, d)
        self.key_value = nn.Linear(d, 2 * d)
        self.out = nn.Linear(d, d)
        self.norm = nn.LayerNorm(d)
        self.up = nn.Linear(d, 2 * hidden)
        self.down = nn.Linear(hidden, d)
        self.dropout = config.dropout
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, *, first_only: bool = False) -> Tensor:
        """The tokens after attention and feed-forward."""
        normed = self.attention_norm(x)
        if first_only:
            x, query = x[:, :1], self.query(normed[:, :1])
        else:
            query = self.query(normed)
        key, value = self.key_value(normed).chunk(2, -1)
        mixed = F.scaled_dot_product_attention(
            self._split(query),
            self._split(key),
            self._split(value),
            dropout_p=self.attention_dropout if self.training else 0.0,
        )
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        value, gate = self.up(self.norm(x)).chunk(2, -1)
        hidden = value * F.relu(gate)
        if self.training and self.dropout:
            # One mask a row, shared by its tokens: random numbers would be an eighth of a CPU step otherwise.
            hidden = hidden * F.dropout(hidden.new_ones(len(x), 1, hidden.shape[2]), self.dropout)
        result: Tensor = x + self.down(hidden)
        return result

    def _split(self, x: Tensor) -> Tensor:
        """(B, T, d) -> (B, H, T, d / H)"""
        # Not -1 for the last size: no rows would leave it open.
        return x.view(x.shape[0], x.shape[1], self.heads, x.shape[2] // self.heads).transpose(1, 2)


class Encoder(nn.Module):
    """Rows to tokens to contextual tokens.

    **Shape**

    - Input: `(B, F)` float32 with NaN for missing, `(B, C)` int64 with 0 for unknown, or `(B, C + R)` where
      R columns have many levels, whose positions stand behind the codes
    - `embed`: `(B, T, d)` tokens before attention
    - `contextualise`: `(B, 1 + T, d)`, [CLS] first; `(B, 1, d)` where `cls_only`
    """

    offset: Tensor

    def __init__(
        self,
        edges: Sequence[NDArray[np.float64]],
        cardinalities: Sequence[int],
        config: EncoderConfig,
        level_counts: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.config = config
        self.n_numerical, self.n_tokens = len(edges), len(edges) + len(cardinalities)
        if self.n_tokens == 0:
            raise ValueError("an encoder must have at least one column, however: none")
        d = config.width
        self.numerical: nn.Module | None = None
        if edges and config.numerical == "piecewise":
            self.numerical = PiecewiseLinearEmbedding(edges, d)
        elif edges:
            self.numerical = LinearEmbedding(len(edges), d)
        self.categories = nn.Embedding(max(1, sum(cardinalities)), d)
        starts = np.concatenate([[0], np.cumsum(cardinalities)[:-1]]) if cardinalities else np.zeros(0)
        self.register_buffer("offset", torch.tensor(starts, dtype=torch.int64))
        self.missing = nn.Parameter(torch.empty(len(edges), d))
        self.mask = nn.Parameter(torch.empty(self.n_tokens, d))
        self.bias = nn.Parameter(torch.zeros(self.n_tokens, d))
        self.cls = nn.Parameter(torch.empty(1, 1, d))
        self.blocks = nn.ModuleList(Block(config, is_first=layer == 0) for layer in range(config.n_layers))
        self.norm = nn.LayerNorm(d)
        for table in (self.categories.weight, self.missing, self.mask, self.cls):
            nn.init.normal_(table, std=d**-0.5)
        self.rated = [column for column, count in enumerate(level_counts) if count]
        self.level_rates: LevelRates | None = None
        if self.rated:
            self.level_rates = LevelRates([level_counts[column] for column in self.rated], d)

    def embed(self, numerical: Tensor, codes: Tensor, *, masked: Tensor | None = None) -> Tensor:
        """Tokens `(B, T, d)` before attention; `masked` `(B, T)` cells become the learned [MASK]."""
        tokens = []
        if self.numerical is not None:
            missing = numerical.isnan()
            known = self.numerical(numerical.nan_to_num(nan=0.0))
            tokens.append(torch.where(missing[..., None], self.missing, known))
        if len(self.offset):
            n_codes = len(self.offset)
            categories = self.categories(codes[:, :n_codes] + self.offset)
            # Pretraining has no rates, as it sees no label.
            if self.level_rates is not None and codes.shape[1] > n_codes:
                rated = self.level_rates(codes[:, n_codes:])
                index = torch.tensor(self.rated, device=codes.device)
                categories = categories.index_add(1, index, rated)
            tokens.append(categories)
        embedded = torch.cat(tokens, 1) + self.bias
        return embedded if masked is None else torch.where(masked[..., None], self.mask, embedded)

    def contextualise(self, tokens: Tensor, *, cls_only: bool) -> Tensor:
        """Tokens after all blocks, [CLS] at position 0."""
        x = torch.cat([self.cls.expand(tokens.shape[0], -1, -1), tokens], 1)
        for block in self.blocks[:-1]:
            x = block(x)
        normed: Tensor = self.norm(self.blocks[-1](x, first_only=cls_only))
        return normed

    def forward(self, numerical: Tensor, codes: Tensor) -> Tensor:
        """[CLS] and tokens `(B, 1 + T, d)` of rows."""
        return self.contextualise(self.embed(numerical, codes), cls_only=False)

    @torch.no_grad()
    def fill_unseen(self, numerical: Tensor, codes: Tensor) -> None:
        """Give tokens that no training row had a meaning: the average token of their column.

        A column that was never missing, or had no unknown category, has learned nothing for these cases; its
        random start would be noise in the score of the first application that has one.

        Args:
            numerical, codes: the rows that it has learned from, `(n, F)` and `(n, C)`.
        """
        if self.numerical is not None:
            sample = numerical[:: max(1, len(numerical) // 10_000)]
            average = self.numerical(sample.nan_to_num(nan=0.0)).mean(0)
            complete = ~numerical.isnan().any(0)
            self.missing[complete] = average[complete]
        for index, start in enumerate(self.offset.tolist()):
            column = codes[:, index]
            if not bool((column == 0).any()):
                self.categories.weight[start] = self.categories(column + start).mean(0)

"""The members of a model as plain arrays, and their forward pass in numpy: torch is not needed to score.

The members are stacked, so that one operation computes all of them. What does not depend on a row is computed
once, by `freezing`. `network_graph` makes a graph of the same arrays; this pass is its fallback and oracle.

Shapes: M members, B rows, F numerical and C categorical columns, R of them with rates of levels, T = F + C
tokens, d width, H heads, k predictors, S tokens that the head reads.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from loan_default.models.features import Inputs

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Logits = Callable[[Inputs], Floats]
"""From rows to logits `(M, k, B)`; threads may share it."""

EPSILON = np.float32(1e-5)
"""What a norm adds to a variance, as torch does."""
_ROWS = 256
"""Rows that are computed at once: more fall out of the cache."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FrozenBlock:
    """Attention and feed-forward, the norms before them folded into their weights."""

    mix: Floats
    """(M, d, 3 d): query, already scaled, key and value."""
    mix_bias: Floats
    """(M, 1, 3 d)"""
    out: Floats
    """(M, d, d)"""
    out_bias: Floats
    """(M, 1, d)"""
    up: Floats
    """(M, d, 2 h): values, then gates."""
    up_bias: Floats
    """(M, 1, 2 h)"""
    down: Floats
    """(M, h, d)"""
    down_bias: Floats
    """(M, 1, d)"""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FrozenNetwork:
    """All members of a model."""

    heads: int
    edges: Floats
    """(F, bins - 1): ascending inner edges of the bins, padded with the largest float."""
    left: Floats
    scale: Floats
    """(F, bins + 1): where each bin begins and what a number in it is multiplied by; the last one is that of
    missing values."""
    base: Floats
    increment: Floats
    """(M, F (bins + 1), d): the token at the beginning of a bin and what is added up to its end."""
    slope: Floats
    """(M, F, d): what a number adds to its token besides."""
    categories: Floats
    """(M, all codes, d): tokens of the codes of all columns."""
    first_code: Integers
    """(C,): where those of each column begin."""
    rates: Floats
    """(M, all levels): rates of the levels of all columns that have them."""
    rate_weight: Floats
    """(M, R, d): what a rate is multiplied by."""
    first_level: Integers
    """(R,): where the levels of each column begin."""
    rated: Integers
    """(R,): which of the C columns they are."""
    cls: Floats
    """(M, d)"""
    blocks: tuple[FrozenBlock, ...]
    cls_gain: Floats
    cls_bias: Floats
    """(M, d): the norm of [CLS] after the blocks."""
    scales: Floats
    """(M, k, S) where each token is scaled, (M, k, S d) where each of its numbers is."""
    first: Floats
    """(M, S, d, hidden) or (M, S d, hidden): the first layer of the head."""
    first_bias: Floats
    """(M, k, 1, hidden)"""
    layers: tuple[tuple[Floats, Floats], ...]
    """Weights (M, hidden, hidden) and biases (M, 1, hidden) of the further layers."""
    last: Floats
    """(M, k, hidden)"""
    last_bias: Floats
    """(M, k)"""

    @property
    def members(self) -> int:
        """Number of members."""
        return len(self.cls)

    @property
    def reads_tokens(self) -> bool:
        """Whether the head reads the tokens before attention beside [CLS]."""
        width = 1 if self.scales_tokens else self.cls.shape[1]
        return bool(self.first.shape[1] > width)

    @property
    def scales_tokens(self) -> bool:
        """Whether a predictor scales whole tokens."""
        return self.first.ndim == 4

    def probability(self, inputs: Inputs) -> NDArray[np.float64]:
        """Mean over predictors and members of the probability of default `(rows,)`, before calibration."""
        return probability_by(self.logits, inputs)

    def logits(self, inputs: Inputs) -> Floats:
        """Logits `(M, k, B)` of default of some rows."""
        tokens = self.tokens(inputs)
        seen = self._cls_after_blocks(tokens)
        if self.reads_tokens:
            seen = np.concatenate([seen, tokens], axis=2)
        x = np.maximum(self._first_layer(seen), 0)
        for weight, bias in self.layers:
            flat = x.reshape(self.members, -1, x.shape[-1])
            x = np.maximum(flat @ weight + bias, 0).reshape(x.shape)
        logits: Floats = (x @ self.last[..., None])[..., 0] + self.last_bias[..., None]
        return logits

    def tokens(self, inputs: Inputs) -> Floats:
        """Tokens `(M, B, T, d)` of rows before attention, numerical columns first."""
        return self._tokens(*places_of(self, inputs))

    def _tokens(
        self, numbers: Floats, bins: Integers, position: Floats, codes: Integers, levels: Integers
    ) -> Floats:
        """Tokens `(M, B, T, d)` before attention."""
        known = np.take(self.base, bins, axis=1)
        known += np.take(self.increment, bins, axis=1) * position[..., None]
        known += self.slope[:, None] * numbers[..., None]
        categories = np.take(self.categories, codes, axis=1)
        if len(self.rated):
            rates = np.take(self.rates, levels, axis=1)[..., None] * self.rate_weight[:, None]
            categories[:, :, self.rated] += rates
        return np.concatenate([known, categories], axis=2)

    def _cls_after_blocks(self, tokens: Floats) -> Floats:
        """[CLS] `(M, B, 1, d)` after all blocks."""
        members, rows, _, width = tokens.shape
        cls = np.broadcast_to(self.cls[:, None, None], (members, rows, 1, width))
        x = np.concatenate([cls, tokens], axis=2)
        for number, block in enumerate(self.blocks):
            normed = _normed(x) if number else x
            if number == len(self.blocks) - 1:
                x = x[:, :, :1]
            x = x + self._attention(block, normed, n_queries=x.shape[2])
            x = x + _feed_forward(block, _normed(x))
        return _normed(x) * self.cls_gain[:, None, None] + self.cls_bias[:, None, None]

    def _attention(self, block: FrozenBlock, normed: Floats, *, n_queries: int) -> Floats:
        """What attention adds to the first tokens `(M, B, n_queries, d)`."""
        width = normed.shape[-1]
        if n_queries == normed.shape[2]:
            mixed = linear(normed, block.mix, block.mix_bias)
            query, key_value = mixed[..., :width], mixed[..., width:]
        else:
            query = linear(normed[:, :, :n_queries], block.mix[..., :width], block.mix_bias[..., :width])
            key_value = linear(normed, block.mix[..., width:], block.mix_bias[..., width:])
        key, value = key_value[..., :width], key_value[..., width:]
        weights = np.matmul(self._split(query), self._split(key).swapaxes(-1, -2))
        weights -= weights.max(axis=-1, keepdims=True)
        np.exp(weights, out=weights)
        weights /= weights.sum(axis=-1, keepdims=True)
        joined = np.matmul(weights, self._split(value)).swapaxes(2, 3)
        return linear(joined.reshape(*joined.shape[:3], width), block.out, block.out_bias)

    def _split(self, x: Floats) -> Floats:
        """(M, B, T, d) -> (M, B, H, T, d / H)"""
        return x.reshape(*x.shape[:3], self.heads, x.shape[3] // self.heads).swapaxes(2, 3)

    def _first_layer(self, seen: Floats) -> Floats:
        """The first layer of the head `(M, k, B, hidden)` before its activation."""
        members, rows, n_seen, width = seen.shape
        x = _normed(seen.reshape(members, rows, n_seen * width))
        if not self.scales_tokens:
            scaled: Floats = x[:, None] * self.scales[:, :, None]
            return scaled @ self.first[:, None] + self.first_bias
        # Each token is projected once for all predictors, which then mix the projections.
        projected = x.reshape(members, rows, n_seen, width).swapaxes(1, 2) @ self.first
        mixed = self.scales @ projected.reshape(members, n_seen, -1)
        return mixed.reshape(members, -1, rows, self.first.shape[-1]) + self.first_bias


def places_of(network: FrozenNetwork, inputs: Inputs) -> tuple[Floats, Integers, Floats, Integers, Integers]:
    """Where rows are looked up: numbers `(B, F)` with 0 for missing, their bins `(B, F)` among those of all
    columns and positions `(B, F)` in them, codes `(B, C)` and levels `(B, R)` among those of all columns."""
    n_columns, n_bins = network.left.shape
    numbers = inputs.numerical
    bins = np.empty(numbers.shape, dtype=np.int64)
    for column, edges in enumerate(network.edges):
        bins[:, column] = np.searchsorted(edges, numbers[:, column], side="right")
    missing = np.isnan(numbers)
    bins[missing] = n_bins - 1
    bins += np.arange(n_columns) * n_bins
    numbers = np.where(missing, np.float32(0), numbers)
    position = np.clip((numbers - network.left.ravel()[bins]) * network.scale.ravel()[bins], 0, 1)
    levels = inputs.levels + network.first_level if len(network.rated) else inputs.levels
    return numbers, bins, position, inputs.codes + network.first_code, levels


def probability_by(logits: Logits, inputs: Inputs) -> NDArray[np.float64]:
    """Mean over predictors and members of the probability of default `(rows,)`, some rows at once."""
    parts = [
        mean_probability_of(logits(inputs[slice(start, start + _ROWS)]))
        for start in range(0, len(inputs), _ROWS)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def mean_probability_of(logits: Floats) -> NDArray[np.float64]:
    """Mean over predictors and members `(rows,)` of the probability of default, of logits `(M, k, rows)`."""
    members: NDArray[np.float64] = expit(logits.astype(np.float64)).mean(axis=1)
    result: NDArray[np.float64] = members.mean(axis=0)
    return result


def _normed(x: Floats) -> Floats:
    """Mean 0 and variance 1 over the last axis."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.einsum("...i,...i->...", centred, centred)[..., None] / np.float32(x.shape[-1])
    result: Floats = centred / np.sqrt(variance + EPSILON)
    return result


def linear(x: Floats, weight: Floats, bias: Floats) -> Floats:
    """A layer of each member on `(M, B, T, in)`."""
    result: Floats = x.reshape(x.shape[0], -1, x.shape[-1]) @ weight + bias
    return result.reshape(*x.shape[:-1], weight.shape[-1])


def _feed_forward(block: FrozenBlock, normed: Floats) -> Floats:
    value, gate = np.split(linear(normed, block.up, block.up_bias), 2, axis=-1)
    return linear(value * np.maximum(gate, 0), block.down, block.down_bias)

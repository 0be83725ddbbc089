"""Gradients of a frozen network with respect to its tokens, in numpy: what explains a PD without torch.

Each step of the forward pass returns its value and its pullback, a function from the gradient of the value to
that of what it was computed from. Tests hold the gradients and those of torch together over all kinds of
networks.

Shapes and names are those of `frozen_network`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loan_default.models.frozen_network import (
    EPSILON,
    Floats,
    FrozenBlock,
    FrozenNetwork,
    linear,
)

Pullback = Callable[[Floats], Floats]


def logits_of_tokens(network: FrozenNetwork, tokens: Floats) -> tuple[Floats, Pullback]:
    """Logits `(M, k, B)` of tokens `(M, B, T, d)`, and the pullback from their gradient to the tokens'.

    The gradient is that of a sum over rows, so one row's gradient owes nothing to the others.
    """
    cls, cls_back = _cls_after_blocks(network, tokens)
    seen = np.concatenate([cls, tokens], axis=2) if network.reads_tokens else cls
    first, first_back = _first_layer(network, seen)
    logits, layers_back = _layers(network, first)

    def back(gradient: Floats) -> Floats:
        of_seen = first_back(layers_back(gradient))
        of_tokens = cls_back(of_seen[:, :, :1])
        if network.reads_tokens:
            of_tokens += of_seen[:, :, 1:]
        return of_tokens

    return logits, back


def _cls_after_blocks(network: FrozenNetwork, tokens: Floats) -> tuple[Floats, Pullback]:
    """[CLS] `(M, B, 1, d)` after all blocks."""
    members, rows, _, width = tokens.shape
    cls = np.broadcast_to(network.cls[:, None, None], (members, rows, 1, width))
    x: Floats = np.concatenate([cls, tokens], axis=2)
    backs = []
    for number, block in enumerate(network.blocks):
        is_last = number == len(network.blocks) - 1
        x, back = _block(network, block, x, norms=number > 0, n_queries=1 if is_last else x.shape[2])
        backs.append(back)
    normed, norm_back = _normed(x)

    def back_to_tokens(gradient: Floats) -> Floats:
        of_x = norm_back(gradient * network.cls_gain[:, None, None])
        for block_back in reversed(backs):
            of_x = block_back(of_x)
        return of_x[:, :, 1:]

    return normed * network.cls_gain[:, None, None] + network.cls_bias[:, None, None], back_to_tokens


def _block(
    network: FrozenNetwork, block: FrozenBlock, x: Floats, *, norms: bool, n_queries: int
) -> tuple[Floats, Pullback]:
    """The first tokens `(M, B, n_queries, d)` after attention and feed-forward, each with its residual."""
    normed, norm_back = _normed(x) if norms else (x, _unchanged)
    added, attention_back = _attention(network, block, normed, n_queries=n_queries)
    mixed = x[:, :, :n_queries] + added
    mixed_normed, mixed_norm_back = _normed(mixed)
    fed, feed_back = _feed_forward(block, mixed_normed)

    def back(gradient: Floats) -> Floats:
        of_mixed = gradient + mixed_norm_back(feed_back(gradient))
        of_x = norm_back(attention_back(of_mixed))
        of_x[:, :, :n_queries] += of_mixed
        return of_x

    return mixed + fed, back


def _attention(
    network: FrozenNetwork, block: FrozenBlock, normed: Floats, *, n_queries: int
) -> tuple[Floats, Pullback]:
    """What attention adds to the first tokens `(M, B, n_queries, d)`."""
    members, rows, _, width = normed.shape
    heads = (network.heads, width // network.heads)

    def split(flat: Floats) -> Floats:
        """(M, B, T, d) -> (M, B, H, T, d / H)"""
        return flat.reshape(*flat.shape[:3], *heads).swapaxes(2, 3)

    def joined(each: Floats) -> Floats:
        """(M, B, H, T, d / H) -> (M, B, T, d)"""
        return each.swapaxes(2, 3).reshape(members, rows, -1, width)

    of_query, of_pair = slice(None, width), slice(width, None)
    asked = normed[:, :, :n_queries]
    query = split(linear(asked, block.mix[..., of_query], block.mix_bias[..., of_query]))
    pair = linear(normed, block.mix[..., of_pair], block.mix_bias[..., of_pair])
    key, value = split(pair[..., :width]), split(pair[..., width:])
    weights: Floats = np.matmul(query, key.swapaxes(-1, -2))
    weights -= weights.max(axis=-1, keepdims=True)
    np.exp(weights, out=weights)
    weights /= weights.sum(axis=-1, keepdims=True)
    added = linear(joined(np.matmul(weights, value)), block.out, block.out_bias)

    def back(gradient: Floats) -> Floats:
        of_mixed = split(_through(gradient, block.out))
        of_value = np.matmul(weights.swapaxes(-1, -2), of_mixed)
        of_weights = np.matmul(of_mixed, value.swapaxes(-1, -2))
        of_weights -= (of_weights * weights).sum(axis=-1, keepdims=True)
        of_weights *= weights  # the softmax
        of_key = np.matmul(of_weights.swapaxes(-1, -2), query)
        of_both = np.concatenate([joined(of_key), joined(of_value)], axis=-1)
        of_normed = _through(of_both, block.mix[..., of_pair])
        of_normed[:, :, :n_queries] += _through(joined(np.matmul(of_weights, key)), block.mix[..., of_query])
        return of_normed

    return added, back


def _feed_forward(block: FrozenBlock, normed: Floats) -> tuple[Floats, Pullback]:
    value, gate = np.split(linear(normed, block.up, block.up_bias), 2, axis=-1)
    opened = np.maximum(gate, 0)

    def back(gradient: Floats) -> Floats:
        of_hidden = _through(gradient, block.down)
        of_both = np.concatenate([of_hidden * opened, of_hidden * value * (gate > 0)], axis=-1)
        return _through(of_both, block.up)

    return linear(value * opened, block.down, block.down_bias), back


def _first_layer(network: FrozenNetwork, seen: Floats) -> tuple[Floats, Pullback]:
    """The first layer of the head `(M, k, B, hidden)` before its activation."""
    members, rows, n_seen, width = seen.shape
    hidden = network.first.shape[-1]
    x, norm_back = _normed(seen.reshape(members, rows, n_seen * width))
    scales = network.scales
    if not network.scales_tokens:
        scaled: Floats = x[:, None] * scales[:, :, None]

        def back_to_channels(gradient: Floats) -> Floats:
            of_scaled = gradient @ network.first[:, None].swapaxes(-1, -2)
            of_x: Floats = np.einsum("mkbs,mks->mbs", of_scaled, scales)
            return norm_back(of_x).reshape(seen.shape)

        return scaled @ network.first[:, None] + network.first_bias, back_to_channels
    projected = x.reshape(members, rows, n_seen, width).swapaxes(1, 2) @ network.first
    mixed = scales @ projected.reshape(members, n_seen, -1)

    def back_to_tokens(gradient: Floats) -> Floats:
        flat = gradient.reshape(members, -1, rows * hidden)
        of_projected: Floats = (scales.swapaxes(1, 2) @ flat).reshape(members, n_seen, rows, hidden)
        of_x: Floats = (of_projected @ network.first.swapaxes(-1, -2)).swapaxes(1, 2)
        return norm_back(of_x.reshape(members, rows, n_seen * width)).reshape(seen.shape)

    return mixed.reshape(members, -1, rows, hidden) + network.first_bias, back_to_tokens


def _layers(network: FrozenNetwork, first: Floats) -> tuple[Floats, Pullback]:
    """Logits `(M, k, B)` of the first layer of the head, before its activation."""
    x: Floats = np.maximum(first, 0)
    opened: list[NDArray[np.bool_]] = [first > 0]
    for weight, bias in network.layers:
        flat = x.reshape(network.members, -1, x.shape[-1]) @ weight + bias
        opened.append((flat > 0).reshape(x.shape))
        x = np.maximum(flat, 0).reshape(x.shape)
    logits: Floats = (x @ network.last[..., None])[..., 0] + network.last_bias[..., None]

    def back(gradient: Floats) -> Floats:
        of_x: Floats = gradient[..., None] * network.last[:, :, None] * opened[-1]
        for (weight, _), is_open in zip(reversed(network.layers), reversed(opened[:-1]), strict=True):
            flat = of_x.reshape(network.members, -1, of_x.shape[-1]) @ weight.swapaxes(-1, -2)
            of_x = flat.reshape(of_x.shape) * is_open
        return of_x

    return logits, back


def _normed(x: Floats) -> tuple[Floats, Pullback]:
    """Mean 0 and variance 1 over the last axis."""
    centred = x - x.mean(axis=-1, keepdims=True)
    size = np.float32(x.shape[-1])
    deviation = np.sqrt(np.einsum("...i,...i->...", centred, centred)[..., None] / size + EPSILON)
    normed: Floats = centred / deviation

    def back(gradient: Floats) -> Floats:
        along = np.einsum("...i,...i->...", gradient, normed)[..., None] / size
        result: Floats = (gradient - gradient.mean(axis=-1, keepdims=True) - normed * along) / deviation
        return result

    return normed, back


def _through(gradient: Floats, weight: Floats) -> Floats:
    """The gradient of what a layer was applied to."""
    flat: Any = gradient.reshape(gradient.shape[0], -1, gradient.shape[-1]) @ weight.swapaxes(-1, -2)
    result: Floats = flat.reshape(*gradient.shape[:-1], weight.shape[-2])
    return result


def _unchanged(gradient: Floats) -> Floats:
    return gradient.copy()

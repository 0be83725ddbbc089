"""From a model of torch to the same model as plain arrays, with all computed that depends on no row.

That is the prefix sums of bins, the biases of tokens, the gains and biases of norms that a layer follows, and
the scale of attention. Shapes are those of `frozen_network`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loan_default.errors import ArtifactError
from loan_default.models.categories import LEVEL_UNIT
from loan_default.models.frozen_model import FrozenModel
from loan_default.models.frozen_network import Floats, FrozenBlock, FrozenNetwork, Integers
from loan_default.models.golden_rows import GoldenRows
from loan_default.models.model import LoanModel, to_arrays

Arrays = Mapping[str, NDArray[Any]]

_SHARED = {
    *(f"encoder.numerical.{name}" for name in ("edges", "left", "scale", "start")),
    "encoder.offset",
    "encoder.level_rates.offset",
}
"""What follows from the features, and is therefore the same in all members."""


def frozen_model(model: LoanModel, *, golden: GoldenRows, digest: str) -> FrozenModel:
    """The same model as plain arrays; `digest` is the SHA-256 of its file."""
    return FrozenModel(
        version=model.version,
        digest=digest,
        schema=model.schema,
        features=model.architecture.features,
        network=frozen_network(model),
        trees=model.trees,
        calibration=model.calibration,
        reference=to_arrays(model.reference),
        golden=golden,
    )


def frozen_network(model: LoanModel) -> FrozenNetwork:
    """The members of a model, stacked."""
    architecture = model.architecture
    states = [
        {name: tensor.detach().cpu().numpy() for name, tensor in member.state_dict().items()}
        for member in model.members
    ]
    return freeze(
        states,
        heads=architecture.encoder.heads,
        rated=[column for column, count in enumerate(architecture.features.level_counts) if count],
        scales_tokens=architecture.head.scales == "tokens",
    )


def freeze(
    states: Sequence[Arrays], *, heads: int, rated: Sequence[int], scales_tokens: bool
) -> FrozenNetwork:
    """The network of the weights of all members, by their names in `Classifier`.

    Args:
        heads: attention heads.
        rated: which of the categorical columns have rates of levels.
        scales_tokens: whether a predictor of the head scales whole tokens instead of their numbers.

    Raises:
        ArtifactError: a weight is missing or has another shape than the others say.
    """
    try:
        stacked = {name: np.stack([state[name] for state in states]) for name in states[0]}
        for name in _SHARED & stacked.keys():
            if not (stacked[name] == stacked[name][0]).all():
                raise ArtifactError(f"members must share their bins and offsets, however: {name} differs")
        columns = np.array(rated, dtype=np.int64)
        return _frozen(stacked, heads=heads, rated=columns, scales_tokens=scales_tokens)
    except (LookupError, ValueError) as error:
        raise ArtifactError(
            f"weights must be those of a network, however: {type(error).__name__}: {str(error)[:200]}"
        ) from error


def _frozen(w: Arrays, *, heads: int, rated: Integers, scales_tokens: bool) -> FrozenNetwork:
    token_bias = w["encoder.bias"]
    n_numbers = w["encoder.missing"].shape[1]
    offsets = w["encoder.offset"][0]
    n_codes = w["encoder.categories.weight"].shape[1]
    code_column = np.searchsorted(offsets, np.arange(n_codes), side="right") - 1
    categories = w["encoder.categories.weight"]
    if len(offsets):
        categories = categories + token_bias[:, n_numbers:][:, code_column]
    n_layers = sum(name.endswith(".query.weight") for name in w)
    n_head = sum(name.startswith("layers.") and name.endswith(".weight") for name in w)
    return FrozenNetwork(
        heads=heads,
        **_numbers(w, token_bias[:, :n_numbers]),
        categories=categories,
        first_code=offsets.astype(np.int64),
        rated=rated,
        **_rates(w),
        cls=w["encoder.cls"].reshape(len(token_bias), -1),
        blocks=tuple(_block(w, f"encoder.blocks.{number}.", heads=heads) for number in range(n_layers)),
        cls_gain=w["encoder.norm.weight"],
        cls_bias=w["encoder.norm.bias"],
        **_first(w, scales_tokens=scales_tokens),
        layers=tuple(
            (_turned(w[f"layers.{number}.weight"]), w[f"layers.{number}.bias"][:, None])
            for number in range(1, n_head)
        ),
        last=w["weight"],
        last_bias=w["bias"],
    )


def _numbers(w: Arrays, token_bias: Floats) -> dict[str, Any]:
    """The tables of numbers; a linear embedding is that of one bin which adds nothing."""
    members, n_columns, width = token_bias.shape
    missing = (w["encoder.missing"] + token_bias)[:, :, None]
    if n_columns == 0:
        linear, increments = np.zeros((2, members, 0, width), np.float32), np.zeros((members, 0, 1, width))
    elif "encoder.numerical.increments" in w:
        linear = np.stack([w["encoder.numerical.linear.weight"], w["encoder.numerical.linear.bias"]])
        increments = w["encoder.numerical.increments"]
    else:
        linear = np.stack([w["encoder.numerical.weight"], w["encoder.numerical.bias"]])
        increments = np.zeros((members, n_columns, 1, width))
    increments = increments.astype(np.float64)
    n_bins = increments.shape[2]
    reached = np.cumsum(increments, axis=2) - increments
    base = np.concatenate([reached + (linear[1] + token_bias)[:, :, None], missing], axis=2)
    increment = np.concatenate([increments, np.zeros_like(missing)], axis=2)
    edges, left, scale = (
        w.get(f"encoder.numerical.{name}", np.zeros((members, n_columns * size), np.float32))[0]
        for name, size in (("edges", n_bins - 1), ("left", n_bins), ("scale", n_bins))
    )
    none = np.zeros((n_columns, 1), np.float32)
    return {
        "edges": edges.reshape(n_columns, n_bins - 1),
        "left": np.hstack([left.reshape(n_columns, n_bins), none]),
        "scale": np.hstack([scale.reshape(n_columns, n_bins), none]),
        "base": _single(base.reshape(members, -1, width)),
        "increment": _single(increment.reshape(members, -1, width)),
        "slope": linear[0],
    }


def _rates(w: Arrays) -> dict[str, Any]:
    """The rates of levels, none where no column has them."""
    if "encoder.level_rates.rates" in w:
        return {
            "rates": _single(w["encoder.level_rates.rates"] / LEVEL_UNIT),
            "rate_weight": w["encoder.level_rates.weight"],
            "first_level": w["encoder.level_rates.offset"][0].astype(np.int64),
        }
    members, width = len(w["encoder.cls"]), w["encoder.cls"].shape[-1]
    return {
        "rates": np.zeros((members, 0), np.float32),
        "rate_weight": np.zeros((members, 0, width), np.float32),
        "first_level": np.zeros(0, np.int64),
    }


def _block(w: Arrays, name: str, *, heads: int) -> FrozenBlock:
    width = w[name + "query.weight"].shape[1]
    scale = (width // heads) ** -0.5
    mix = np.concatenate([scale * w[name + "query.weight"], w[name + "key_value.weight"]], axis=1)
    mix_bias = np.concatenate([scale * w[name + "query.bias"], w[name + "key_value.bias"]], axis=1)
    if name + "attention_norm.weight" in w:
        mix, mix_bias = _after_norm(w, name + "attention_norm.", mix, mix_bias)
    up, up_bias = _after_norm(w, name + "norm.", w[name + "up.weight"], w[name + "up.bias"])
    return FrozenBlock(
        mix=_turned(mix),
        mix_bias=_single(mix_bias[:, None]),
        out=_turned(w[name + "out.weight"]),
        out_bias=w[name + "out.bias"][:, None],
        up=_turned(up),
        up_bias=_single(up_bias[:, None]),
        down=_turned(w[name + "down.weight"]),
        down_bias=w[name + "down.bias"][:, None],
    )


def _after_norm(
    w: Arrays, norm: str, weight: NDArray[Any], bias: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Weights `(M, out, in)` and biases of a layer that include the gain and bias of the norm before it."""
    gain, shift = w[norm + "weight"].astype(np.float64), w[norm + "bias"].astype(np.float64)
    return weight * gain[:, None], bias + (weight @ shift[..., None])[..., 0]


def _first(w: Arrays, *, scales_tokens: bool) -> dict[str, Any]:
    """The head up to its first activation: the norm's gain is in the weights, its bias in theirs."""
    weight, scales = w["layers.0.weight"], w["scales"]
    members, hidden, size = weight.shape
    width = w["encoder.cls"].shape[-1]
    gain, shift = w["norm.weight"].astype(np.float64), w["norm.bias"].astype(np.float64)
    each = np.repeat(scales, width, axis=2) if scales_tokens else scales
    bias = (each * shift[:, None]) @ weight.swapaxes(1, 2) + w["layers.0.bias"][:, None]
    first = (weight * gain[:, None]).swapaxes(1, 2)
    if scales_tokens:
        first = first.reshape(members, size // width, width, hidden)
    return {"scales": scales, "first": _single(first), "first_bias": _single(bias[:, :, None])}


def _turned(weight: NDArray[Any]) -> Floats:
    """Weights `(M, out, in)` as `(M, in, out)`."""
    return _single(weight.swapaxes(-1, -2))


def _single(array: NDArray[Any]) -> Floats:
    return np.ascontiguousarray(array, dtype=np.float32)

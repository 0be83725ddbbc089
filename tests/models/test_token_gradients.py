"""The gradients of the arrays beside those of torch, over all kinds of networks."""

from typing import Any

import numpy as np
import pytest
import torch
from models.test_frozen_network import VARIANTS, made_of

from loan_default.models.arrays import to_tensors
from loan_default.models.classifier import Classifier
from loan_default.models.features import Inputs
from loan_default.models.token_gradients import logits_of_tokens


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_each_kind_of_network_has_the_gradients_of_torch(variant: dict[str, Any]) -> None:
    network, members, rows = made_of(variant)
    rows = rows[slice(0, 12)]
    tokens = network.tokens(rows)

    logits, back = logits_of_tokens(network, tokens)
    np.testing.assert_allclose(logits, network.logits(rows), atol=2e-6, rtol=2e-6)
    seeds = np.random.default_rng(0).normal(size=logits.shape).astype(np.float32)
    gradients = back(seeds)

    for member, found, seed in zip(members, gradients, seeds, strict=True):
        slow = gradient_by_torch(member, rows, seed.T)
        np.testing.assert_allclose(found, slow, atol=2e-5 * max(1.0, float(np.abs(slow).max())), rtol=0)
        assert np.abs(slow).max() > 1e-3, "gradients of nothing would show nothing"


def gradient_by_torch(member: Classifier, rows: Inputs, seed: np.ndarray) -> np.ndarray:
    """Gradient `(B, T, d)` of the seeded logits with respect to the tokens, by autograd."""
    numerical, codes = to_tensors(rows, torch.device("cpu"))
    tokens = member.encoder.embed(numerical, codes).detach().requires_grad_()
    cls = member.encoder.contextualise(tokens, cls_only=True)
    seen = torch.cat([cls, tokens], 1) if member.config.reads == "all" else cls
    x = torch.relu(member._first(member.norm(seen.flatten(1))))
    for layer in member.layers[1:]:
        x = torch.relu(layer(x))
    ((x * member.weight).sum(-1) + member.bias).backward(torch.from_numpy(np.ascontiguousarray(seed)))
    assert tokens.grad is not None
    return tokens.grad.numpy()

"""The classifier: the encoder, fully connected layers on top, and k predictors that share their weights.

By default the head reads the tokens before attention beside [CLS] after it, so what a boosted tree would see
is always available to it. With k > 1 predictors it is the parameter-sharing ensemble TabM-mini (Gorishniy
et al., "TabM", 2025): k elementwise scalings of the head's input, one shared network, k outputs. Train the
mean of the k losses, predict the mean of the k probabilities.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from loan_default.models.encoder import Encoder


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadConfig:
    """Size of the head."""

    reads: Literal["all", "cls"] = "all"
    """What the head sees: `all` is [CLS] after attention beside the tokens before it; `cls` is [CLS] alone,
    which has far fewer weights to fit."""
    predictors: int = 8
    """Predictors k that share the head's weights; 1 = a plain head."""
    scales: Literal["tokens", "channels"] = "channels"
    """What a predictor scales before the layers that all share: each token, or each number of each token.
    Scaled tokens are projected once for all predictors, which costs a fraction."""
    hidden: int = 256
    """Width of the fully connected layers."""
    n_layers: int = 2
    """Fully connected layers before the output."""
    dropout: float = 0.1
    """Dropout after each of them; 0 = off."""

    def __post_init__(self) -> None:
        if self.reads not in ("all", "cls"):
            raise ValueError(f"reads must be 'all' or 'cls', however: reads={self.reads!r}")
        for name in ("predictors", "hidden", "n_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be a positive integer, however: {name}={getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), however: dropout={self.dropout}")


class Classifier(nn.Module):
    """Encoder and head.

    **Shape**

    - Input: `(B, F)` float32 with NaN for missing, `(B, C)` int64 with 0 for unknown
    - Output: `(B, k)` logits of default
    """

    def __init__(self, encoder: Encoder, config: HeadConfig) -> None:
        super().__init__()
        self.encoder, self.config = encoder, config
        width = encoder.config.width * (encoder.n_tokens + 1 if config.reads == "all" else 1)
        self.norm = nn.LayerNorm(width)
        self.n_seen = width // encoder.config.width
        scaled = self.n_seen if config.scales == "tokens" else width
        self.scales = nn.Parameter(torch.ones(config.predictors, scaled))
        if config.predictors > 1:
            nn.init.normal_(self.scales)
        widths = [width] + [config.hidden] * config.n_layers
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        self.dropout = nn.Dropout(config.dropout)
        self.weight = nn.Parameter(torch.empty(config.predictors, config.hidden))
        self.bias = nn.Parameter(torch.empty(config.predictors))
        for parameter in (self.weight, self.bias):
            nn.init.uniform_(parameter, -(config.hidden**-0.5), config.hidden**-0.5)

    def forward(self, numerical: Tensor, codes: Tensor) -> Tensor:
        """Logits `(B, k)`."""
        tokens = self.encoder.embed(numerical, codes)
        cls = self.encoder.contextualise(tokens, cls_only=True)
        seen = torch.cat([cls, tokens], 1) if self.config.reads == "all" else cls
        x = self._first(self.norm(seen.flatten(1)))
        x = self.dropout(F.relu(x))
        for layer in self.layers[1:]:
            x = self.dropout(F.relu(layer(x)))
        logits: Tensor = (x * self.weight).sum(-1) + self.bias
        return logits

    def _first(self, x: Tensor) -> Tensor:
        """First layer `(B, k, hidden)`, before its activation, of what the head reads."""
        layer, k = self.layers[0], len(self.scales)
        assert isinstance(layer, nn.Linear)
        if self.config.scales == "channels":
            return F.linear(x[:, None] * self.scales, layer.weight, layer.bias)
        weights = layer.weight.view(self.config.hidden, self.n_seen, -1).permute(1, 2, 0)
        projected = torch.bmm(x.view(len(x), self.n_seen, -1).transpose(0, 1), weights)  # (tokens, B, hidden)
        mixed = (self.scales @ projected.flatten(1)).view(k, len(x), self.config.hidden)
        return mixed.transpose(0, 1) + layer.bias

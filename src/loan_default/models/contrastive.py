"""Self-supervised objectives: what the encoder can learn from rows without reading a label.

- `nt_xent`: two corrupted views of a row must be matched among all rows of the batch (SimCLR's loss
  with the positive outside the negatives, as in SCARF, Bahri et al., 2022)
- `detection`: every token must predict whether its cell was replaced, and rebuild the original value
  (Rubachev et al., "Revisiting Pretraining Objectives for Tabular Deep Learning", 2022)
- `both`: detection on two views, plus 0.3 of NT-Xent between them

Cells are corrupted by drawing the same column of another training row (its marginal), and a part of them
by the learned [MASK].
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from loan_default.choices import OBJECTIVES, Objective
from loan_default.models.encoder import Encoder

_CONTRAST_WEIGHT = 0.3
"""Weight of NT-Xent beside detection in the objective `both`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectiveConfig:
    """What pretraining optimises."""

    objective: Objective = "detection"
    """`detection` (the default: metrics like the others', at the least cost), `nt-xent` or `both`."""
    corruption: float = 0.3
    """Share of the cells that a view replaces."""
    masking: float = 0.2
    """Share of the replaced cells that become [MASK] instead of another row's value; 0 = off."""
    temperature: float = 0.2
    """Temperature of NT-Xent; small is sharp."""

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise ValueError(f"objective must be one of {OBJECTIVES}, however: objective={self.objective!r}")
        if not 0 < self.corruption < 1:
            raise ValueError(f"corruption must be in (0, 1), however: corruption={self.corruption}")
        if not 0 <= self.masking <= 1:
            raise ValueError(f"masking must be in [0, 1], however: masking={self.masking}")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be positive, however: temperature={self.temperature}")


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """A corrupted copy of some rows."""

    numerical: Tensor
    """(B, F)"""
    codes: Tensor
    """(B, C)"""
    masked: Tensor
    """(B, T) bool: cells that are shown as [MASK]."""
    changed: Tensor
    """(B, T) bool: cells that differ from the original or are masked."""


def nt_xent(first: Tensor, second: Tensor, *, temperature: float) -> Tensor:
    """Normalised-temperature cross entropy between two views, symmetric in them.

    A row's own other view is the positive and never stands among its negatives, so the loss of perfectly
    separated pairs is 0, not ln 2.

    Args:
        first, second: `(B, p)` projections of the two views, L2-normalised here; B >= 2.
    """
    if first.shape != second.shape or first.ndim != 2 or len(first) < 2:
        raise ValueError(
            f"views must be two equal (B >= 2, p) batches, however: {tuple(first.shape)}, "
            f"{tuple(second.shape)}"
        )
    logits = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T / temperature
    own = torch.arange(len(first), device=first.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def corrupt(
    numerical: Tensor,
    codes: Tensor,
    *,
    pool: tuple[Tensor, Tensor],
    config: ObjectiveConfig,
    generator: torch.Generator,
) -> View:
    """A view of rows in which some cells come from other rows or are masked.

    Args:
        numerical, codes: `(B, F)` and `(B, C)`.
        pool: the same arrays of all training rows, from whose columns replacements are drawn.
        generator: source of randomness, on the CPU, so that every device sees the same views.
    """
    device = numerical.device
    shape = (len(numerical), numerical.shape[1] + codes.shape[1])
    replaced = (torch.rand(shape, generator=generator) < config.corruption).to(device)
    masked = (torch.rand(shape, generator=generator) < config.masking).to(device) & replaced
    source = torch.randint(len(pool[0]), shape, generator=generator).to(device)
    widths = [numerical.shape[1], codes.shape[1]]
    here, there = torch.split(replaced, widths, dim=1)
    from_numerical, from_codes = torch.split(source, widths, dim=1)
    new_numerical = torch.where(here, pool[0].gather(0, from_numerical), numerical)
    new_codes = torch.where(there, pool[1].gather(0, from_codes), codes)
    same_number = (new_numerical == numerical) | (new_numerical.isnan() & numerical.isnan())
    changed = torch.cat([~same_number, new_codes != codes], 1) | masked
    return View(numerical=new_numerical, codes=new_codes, masked=masked, changed=changed)


class PretrainingModel(nn.Module):
    """The encoder with the heads that only pretraining needs; they are thrown away afterwards.

    **Shape**

    - Input: `(B, F)` float32, `(B, C)` int64 and views of them
    - Output: a dict of scalar losses with their sum under `loss`
    """

    def __init__(self, encoder: Encoder, config: ObjectiveConfig) -> None:
        super().__init__()
        self.encoder, self.config = encoder, config
        width, tokens = encoder.config.width, encoder.n_tokens
        self.detector = nn.Parameter(torch.randn(tokens, width) * width**-0.5)
        self.rebuilder = nn.Parameter(torch.randn(encoder.n_numerical, width) * width**-0.5)
        self.projection = nn.Sequential(nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, 64))

    @property
    def n_views(self) -> int:
        """Views of a row that the objective needs."""
        return 1 if self.config.objective == "detection" else 2

    def new_views(
        self, numerical: Tensor, codes: Tensor, *, pool: tuple[Tensor, Tensor], generator: torch.Generator
    ) -> list[View]:
        """As many views of rows as the objective needs, with cells of the pool's rows."""
        return [
            corrupt(numerical, codes, pool=pool, config=self.config, generator=generator)
            for _ in range(self.n_views)
        ]

    def forward(self, numerical: Tensor, views: list[View]) -> dict[str, Tensor]:
        """Losses of the views of rows whose original numbers are `numerical`."""
        encoded = [
            self.encoder.contextualise(
                self.encoder.embed(view.numerical, view.codes, masked=view.masked),
                cls_only=self.config.objective == "nt-xent",
            )
            for view in views
        ]
        losses: dict[str, Tensor] = {}
        if self.config.objective != "nt-xent":
            pairs = [
                self._detection(numerical, view, tokens) for view, tokens in zip(views, encoded, strict=True)
            ]
            losses["detection"] = torch.stack([detect for detect, _ in pairs]).mean()
            losses["reconstruction"] = torch.stack([rebuild for _, rebuild in pairs]).mean()
        if self.config.objective != "detection":
            first, second = (self.projection(tokens[:, 0]) for tokens in encoded)
            contrast = nt_xent(first, second, temperature=self.config.temperature)
            losses["nt_xent"] = contrast
        weight = _CONTRAST_WEIGHT if self.config.objective == "both" else 1.0
        total = sum((loss * (weight if name == "nt_xent" else 1.0) for name, loss in losses.items()))
        return {"loss": torch.as_tensor(total), **losses}

    def _detection(self, numerical: Tensor, view: View, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """Binary cross entropy of "was this cell replaced?", and the squared error of rebuilt numbers."""
        tokens = encoded[:, 1:]
        detected = (tokens * self.detector).sum(-1)
        detect = F.binary_cross_entropy_with_logits(detected, view.changed.float())
        rebuilt = (tokens[:, : numerical.shape[1]] * self.rebuilder).sum(-1)
        known = ~numerical.isnan()
        error = (rebuilt - numerical.nan_to_num(nan=0.0)).square() * known
        return detect, error.sum() / known.sum().clamp(min=1)

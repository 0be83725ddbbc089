"""Pretraining: the encoder learns from rows without their labels."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from loan_default.models.arrays import Device, to_tensors
from loan_default.models.contrastive import ObjectiveConfig, PretrainingModel, View
from loan_default.models.encoder import Encoder
from loan_default.models.features import Inputs
from loan_default.models.fitting import Fitted, OnProgress, StateDict, fit, state_of_part
from loan_default.models.schedules import FitConfig

_SCORE_ROWS = 4_096
"""Validation rows that an epoch is scored on, at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pretrained:
    """The encoder's best weights and how pretraining went."""

    state: StateDict
    fitted: Fitted


def pretrain(
    encoder: Encoder,
    rows: Inputs,
    validation: Inputs,
    *,
    objective: ObjectiveConfig,
    config: FitConfig,
    seed: int,
    device: Device,
    fingerprint: str,
    checkpoint: Path | None,
    resume: bool,
    on_progress: OnProgress,
) -> Pretrained:
    """Weights of the encoder after self-supervised training on rows; labels are not an argument.

    Args:
        rows: what is learned from, labelled or not.
        validation: rows on whose fixed views the epochs are scored.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = PretrainingModel(encoder, objective).to(device)
        rows, validation = rows.without_levels, validation.without_levels
        task = _Pretraining(model, to_tensors(rows, device), to_tensors(validation, device), seed=seed)
        fitted = fit(
            task,
            config,
            stage="pretraining",
            seed=seed,
            fingerprint=fingerprint,
            checkpoint=checkpoint,
            resume=resume,
            on_progress=on_progress,
        )
    return Pretrained(state=state_of_part(fitted.state, "encoder"), fitted=fitted)


class _Pretraining:
    """Losses of fresh views of training rows; scores on fixed views of validation rows."""

    def __init__(
        self,
        module: PretrainingModel,
        rows: tuple[Tensor, Tensor],
        validation: tuple[Tensor, Tensor],
        *,
        seed: int,
    ) -> None:
        self.module: nn.Module = module
        self.n_rows = len(rows[0])
        self._rows, self._model = rows, module
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(validation[0]), generator=generator)[:_SCORE_ROWS]
        self._batches = [
            (validation[0][batch], self._views(validation[0][batch], validation[1][batch], generator))
            for batch in torch.split(chosen, 512)
            if len(batch) > 1
        ]

    def losses(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses of new views of training rows."""
        numerical, codes = self._rows[0][rows], self._rows[1][rows]
        result: dict[str, Tensor] = self.module(numerical, self._views(numerical, codes, generator))
        return result

    def score(self, module: nn.Module) -> float:
        """Minus the mean loss on the fixed views."""
        losses = [float(module(numerical, views)["loss"]) for numerical, views in self._batches]
        return -sum(losses) / max(1, len(losses))

    def _views(self, numerical: Tensor, codes: Tensor, generator: torch.Generator) -> list[View]:
        return self._model.new_views(numerical, codes, pool=self._rows, generator=generator)

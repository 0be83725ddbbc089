"""The joint loss: all rows go on teaching the encoder while the few with a label train a member.

With few labels the cross entropy alone soon makes an encoder forget what all rows have taught it. The losses
of pretraining, on views of some rows in each step, keep it. MaskTab (arXiv 2605.11408, 2026) trains both at
once, too.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from loan_default.models.arrays import Device, to_tensors
from loan_default.models.classifier import Classifier
from loan_default.models.contrastive import ObjectiveConfig, PretrainingModel
from loan_default.models.features import Inputs

_ROWS = 64
"""Rows of a step; with four times as many nothing was gained."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainingRows:
    """Rows that go on pretraining the encoder while a member trains; no label of theirs is read."""

    inputs: Inputs
    objective: ObjectiveConfig
    weight: float
    """Weight of the losses of pretraining beside the cross entropy."""

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise ValueError(f"weight must be above 0, however: weight={self.weight}")


class JointClassifier(nn.Module):
    """A classifier, and on its encoder the heads that only pretraining needs.

    **Shape**

    - Input: `(B, F)` float32 with NaN for missing, `(B, C)` int64 with 0 for unknown
    - Output: `(B, k)` logits of default
    """

    def __init__(self, classifier: Classifier, objective: ObjectiveConfig) -> None:
        super().__init__()
        self.classifier = classifier
        self.pretraining_model = PretrainingModel(classifier.encoder, objective)

    def forward(self, numerical: Tensor, codes: Tensor) -> Tensor:
        """Logits of the classifier `(B, k)`."""
        logits: Tensor = self.classifier(numerical, codes)
        return logits


class PretrainingLoss:
    """The losses of pretraining on fresh views of random rows."""

    def __init__(self, model: PretrainingModel, rows: PretrainingRows, device: Device) -> None:
        self._model, self._weight = model, rows.weight
        self._rows = to_tensors(rows.inputs.without_levels, device)

    def __call__(self, generator: torch.Generator) -> Tensor:
        """Their weighted sum on the rows that the generator chooses."""
        chosen = torch.randint(len(self._rows[0]), (_ROWS,), generator=generator)
        numerical, codes = (each[chosen] for each in self._rows)
        views = self._model.new_views(numerical, codes, pool=self._rows, generator=generator)
        loss: Tensor = self._model(numerical, views)["loss"]
        return self._weight * loss

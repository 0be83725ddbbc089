"""The task of training: losses of the rows that a member learns from, and a measure of those it does not."""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score
from torch import Tensor, nn

from loan_default.models.arrays import Device, predict, to_tensors
from loan_default.models.joint_loss import PretrainingLoss
from loan_default.models.labelled import Labelled
from loan_default.models.monotonic import FALL_WEIGHT, moved_rows
from loan_default.models.schedules import Measure


class MemberTask:
    """The task of one member: mean over its predictors of the cross entropy; a measure of the scored rows.

    Rows count by their weights, which have a mean of 1 over the training rows. Where the PD must be monotonic
    in some columns, falls of the logits along them are a loss beside it; so are those of pretraining where
    labels are few.
    """

    def __init__(
        self,
        module: nn.Module,
        train: Labelled,
        validation: Labelled,
        *,
        directions: NDArray[np.int64],
        measure: Measure,
        device: Device,
        beside: PretrainingLoss | None = None,
    ) -> None:
        """The task on a device.

        Args:
            module: gives logits `(B, k)`; on the device already.
            directions: of the numerical columns `(F,)`, 1 or -1 where the PD must be monotonic.
            beside: the loss that goes on pretraining the encoder, by a model that is a part of `module`;
                None = there is none.
        """
        self.module, self._measure, self._beside = module, measure, beside
        self._directions = torch.from_numpy(directions).to(device) if directions.any() else None
        self._devices = [device] if device.type == "cuda" else []
        self.n_rows = len(train.labels)
        self._train = to_tensors(train.inputs, device)
        self._labels = torch.from_numpy(train.labels).to(device)
        self._weights = None
        if train.weights is not None:
            normalised = (train.weights / train.weights.mean()).astype(np.float32)
            self._weights = torch.from_numpy(normalised).to(device)
        self._validation, self._outcomes = to_tensors(validation.inputs, device), validation.labels
        self._validation_weights = validation.weights

    def losses(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross entropy of training rows, how far their PDs move the wrong way, the loss beside them."""
        losses = self._supervised(rows, generator)
        if self._beside is None:
            return losses
        beside = self._beside(generator)
        return {**losses, "loss": losses["loss"] + beside, "pretraining": beside}

    def _supervised(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        numerical, codes = self._train[0][rows], self._train[1][rows]
        if self._directions is None:
            return {"loss": self._cross_entropy(self.module(numerical, codes), rows)}
        moved, rises = moved_rows(numerical, self._directions, generator)
        with torch.random.fork_rng(self._devices):  # both passes drop the same, or chance would be a fall
            moved_logits = self.module(moved, codes)
        logits = self.module(numerical, codes)
        falls = F.relu(-rises[:, None] * (moved_logits - logits)).mean()
        return {"loss": self._cross_entropy(logits, rows) + FALL_WEIGHT * falls, "falls": falls}

    def _cross_entropy(self, logits: Tensor, rows: Tensor) -> Tensor:
        labels = self._labels[rows][:, None].expand_as(logits)
        weights = None if self._weights is None else self._weights[rows][:, None].expand_as(logits)
        return F.binary_cross_entropy_with_logits(logits, labels, weight=weights)

    def score(self, module: nn.Module) -> float:
        """AUC on the validation rows, or minus their log loss; NaN if a prediction is not finite."""
        probability = predict(module, self._validation)
        if not np.isfinite(probability).all():
            return float("nan")
        weights = self._validation_weights
        if self._measure == "log loss":
            return -float(log_loss(self._outcomes, probability, sample_weight=weights, labels=[0, 1]))
        return float(roc_auc_score(self._outcomes, probability, sample_weight=weights))

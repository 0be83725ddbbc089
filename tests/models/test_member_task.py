from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from loan_default.models.features import Inputs
from loan_default.models.labelled import Labelled
from loan_default.models.member_task import MemberTask


def test_the_loss_of_a_member_counts_rows_by_their_weights():
    generator = np.random.default_rng(0)
    labels = (generator.random(40) < 0.4).astype(np.float32)
    weights = generator.integers(1, 4, 40).astype(float)
    inputs = Inputs(
        numerical=generator.normal(size=(40, 1)).astype(np.float32), codes=np.zeros((40, 0), np.int64)
    )

    class Linear(torch.nn.Module):
        def forward(self, numerical, codes):
            return numerical

    def task_of(data: Labelled) -> Any:
        free, device = np.zeros(1, np.int64), torch.device("cpu")
        return MemberTask(Linear(), data, data, directions=free, measure="AUC", device=device)

    def loss(rows: np.ndarray, weights: np.ndarray | None) -> float:
        task = task_of(Labelled(inputs=inputs[rows], labels=labels[rows], weights=weights))
        return float(task.losses(torch.arange(len(rows)), torch.Generator())["loss"])

    everything = np.arange(40)
    repeated = np.repeat(everything, weights.astype(int))
    assert loss(everything, weights) == pytest.approx(loss(repeated, None), rel=1e-5)
    assert loss(everything, 5 * weights) == pytest.approx(loss(everything, weights), rel=1e-5)
    data = Labelled(inputs=inputs, labels=labels, weights=weights)
    score = task_of(data).score(Linear())
    assert score == pytest.approx(roc_auc_score(labels, inputs.numerical[:, 0], sample_weight=weights))


def test_chance_is_no_fall() -> None:
    """The logits of a network that does not look at the column differ by what is dropped alone."""

    class Blind(torch.nn.Module):
        def forward(self, numerical, codes):
            return torch.nn.functional.dropout(numerical[:, 1:], 0.5, self.training)

    numbers = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    inputs = Inputs(numerical=numbers, codes=np.zeros((64, 0), np.int64))
    data = Labelled(inputs=inputs, labels=(numbers[:, 0] > 0).astype(np.float32))
    task = MemberTask(
        Blind().train(), data, data, directions=np.array([1, 0]), measure="AUC", device=torch.device("cpu")
    )
    assert task.losses(torch.arange(64), torch.Generator())["falls"] == 0

import numpy as np
import torch
from torch import Tensor, nn

from loan_default.models.arrays import predict, to_tensors
from loan_default.models.features import Inputs


class Members(nn.Module):
    """Three members with the logits x, x + 1 and 100."""

    def forward(self, numerical: Tensor, codes: Tensor) -> Tensor:
        x = numerical[:, 0] + codes[:, 0]
        return torch.stack([x, x + 1, torch.full_like(x, 100)], 1)


def rows_of(n: int) -> Inputs:
    rng = np.random.default_rng(0)
    return Inputs(numerical=rng.normal(size=(n, 1)).astype(np.float32), codes=rng.integers(0, 3, (n, 1)))


def test_members_are_averaged_in_probability_over_any_number_of_rows() -> None:
    for n in (0, 1, 2_047, 2_048, 2_049, 5_000):
        inputs = rows_of(n)
        x = (inputs.numerical[:, 0] + inputs.codes[:, 0]).astype(np.float64)
        expected = (1 / (1 + np.exp(-x)) + 1 / (1 + np.exp(-x - 1)) + 1) / 3
        predicted = predict(Members(), to_tensors(inputs, torch.device("cpu")))
        assert predicted.dtype == np.float64
        np.testing.assert_allclose(predicted, expected, atol=1e-7)


def test_types_of_the_tensors() -> None:
    numerical, codes = to_tensors(rows_of(4), torch.device("cpu"))
    assert (numerical.dtype, codes.dtype) == (torch.float32, torch.int64)


def test_predicting_switches_dropout_off_and_needs_no_gradient() -> None:
    module = nn.Module()
    module.layer = nn.Sequential(nn.Linear(1, 50), nn.Dropout(0.5), nn.Linear(50, 2))
    module.forward = lambda numerical, codes: module.layer(numerical)
    tensors = to_tensors(rows_of(10), torch.device("cpu"))
    module.train()
    np.testing.assert_array_equal(predict(module, tensors), predict(module, tensors))
    assert not module.training

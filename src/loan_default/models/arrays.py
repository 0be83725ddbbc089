"""Arrays to tensors and predictions back: the only place where rows meet a device."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from loan_default.models.features import Inputs

Device = torch.device

_BATCH = 2_048
"""Rows that are scored at once: small enough for the cache, large enough for the matrix product."""


def to_tensors(inputs: Inputs, device: Device) -> tuple[Tensor, Tensor]:
    """`(rows, F)` float32 and `(rows, C + R)` int64 on the device: positions of levels behind the codes."""
    codes = np.hstack([inputs.codes, inputs.levels]) if inputs.levels.shape[1] else inputs.codes
    return torch.from_numpy(inputs.numerical).to(device), torch.from_numpy(codes).to(device)


def predict(module: nn.Module, tensors: tuple[Tensor, Tensor]) -> NDArray[np.float64]:
    """Mean over the predictors of the probability of default, `(rows,)`, before calibration."""
    module.eval()
    parts = []
    with torch.inference_mode():
        for numerical, codes in zip(*(torch.split(tensor, _BATCH) for tensor in tensors), strict=True):
            parts.append(module(numerical, codes).double().sigmoid().mean(1))
    if not parts:
        return np.zeros(0)
    result: NDArray[np.float64] = torch.cat(parts).cpu().numpy()
    return result

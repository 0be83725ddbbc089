"""How a module is optimised, and how the learning rate runs over the passes."""

import math
from dataclasses import asdict, dataclass
from typing import Literal

Measure = Literal["AUC", "log loss"]
"""By what validation rows decide how long a member is trained."""

WARM_UP_STEPS = 100
"""Steps over which the rate rises to its peak; a tenth of all steps where there are fewer than ten times as
many."""
WAITING = 0.75
"""Passes without a better score after which the rate falls, as a share of those that led to the best weights:
what learns slowly is waited for longer."""
COOLING = 0.3
"""Passes over which the rate falls, as a share of those at the full rate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FitConfig:
    """How a module is optimised."""

    epochs: int
    """Passes over the rows at most."""
    learning_rate: float
    """Peak of the schedule."""
    batch_size: int
    """Rows a step."""
    patience: int
    """Epochs without a better score after which the rate falls at the earliest; 0 = it falls from the start
    on, over all epochs."""
    weight_decay: float = 1e-4
    """Weight decay of matrices of the network; embeddings, norms and biases have none."""
    clip: float = 1.0
    """Largest gradient norm."""
    ema: float = 0.99
    """Decay a step of the averaged weights, which are what is scored and kept; 0 = off."""
    measure: Measure = "AUC"
    """By what a member is scored on validation rows."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be a positive integer, however: {name}={getattr(self, name)}")
        if not (min(self.learning_rate, self.clip) > 0 <= self.weight_decay):
            raise ValueError(f"rates must be positive, however: {asdict(self)}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema must be in [0, 1), however: ema={self.ema}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Passes:
    """How weights came about: passes at the full rate, then some of those over which the rate falls."""

    steady: int
    """Passes at the full rate."""
    cooling: int = 0
    """Passes over which the rate falls from full to 5 %."""
    cooled: int = 0
    """How many of them were taken."""

    @property
    def total(self) -> int:
        """Passes that led to the weights."""
        return self.steady + self.cooled

    def rate(self, passed: float) -> float:
        """Share of the full rate after so many passes."""
        if passed < self.steady or not self.cooling:
            return 1.0
        return 0.525 + 0.475 * math.cos(math.pi * min(1.0, (passed - self.steady) / self.cooling))

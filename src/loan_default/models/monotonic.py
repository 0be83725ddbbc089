"""PDs that must not fall as a value rises: what training is punished for.

Each row is compared with itself, one of its monotonic values exchanged for that of another row. Where the
logit moves the wrong way, the fall is added to the loss (a hinge on pairs, as in pairwise ranking). The pairs
are drawn anew in each step, so that over the epochs whole ranges of values are compared. It makes falls rare
and small, and excludes none: the sweep of `evaluation.monotonicity` says how many are left.
"""

import torch
from torch import Tensor

FALL_WEIGHT = 30.0
"""What a mean fall of one logit counts beside the cross entropy. From about 10 on hardly a fall is left."""


def moved_rows(numerical: Tensor, directions: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows with one monotonic value exchanged, and which way their PD may go.

    Args:
        numerical: `(B, F)`, NaN where missing.
        directions: `(F,)`, of which at least one is not 0.

    Returns:
        The rows `(B, F)`, and `(B,)`: 1 = the PD must not fall, -1 = it must not rise, 0 = one of both
        values is missing or they are equal.
    """
    n_rows = len(numerical)
    monotonic, device = directions.nonzero()[:, 0], numerical.device
    chosen = monotonic[torch.randint(len(monotonic), (n_rows,), generator=generator).to(device)]
    others = torch.randperm(n_rows, generator=generator).to(device)  # drawn on the CPU: the same everywhere
    every = torch.arange(n_rows, device=device)
    own, other = numerical[every, chosen], numerical[others, chosen]
    moved = numerical.clone()
    moved[every, chosen] = other
    rises = torch.nan_to_num(torch.sign(other - own), nan=0.0)
    return moved, rises * directions[chosen].to(rises)

"""Two small logistic fits by Newton, for calibration metrics: a bootstrap needs thousands of them.

`x` are logits, `y` outcomes and `weights` how often a row counts, all `(N,)`; both classes have weight.
scikit-learn gives the same numbers, in ten times the time and with warnings on the way.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]

_STEPS = 100


def fit_shift(x: Floats, y: Floats, weights: Floats) -> float:
    """The a that makes sum(expit(a + x)) the number of bads: maximum likelihood. Never diverges."""
    bads = float(weights @ y)
    low, high, shift = -40.0, 40.0, 0.0
    for _ in range(_STEPS):
        pd = expit(x + shift)
        gap = bads - float(weights @ pd)
        low, high = (shift, high) if gap > 0 else (low, shift)
        slope = float(weights @ (pd * (1 - pd)))
        new = shift + gap / slope if slope > 0 else high
        if not low < new < high:  # a Newton step overshoots where the curve is flat: halve the bracket
            new = (low + high) / 2
        if abs(new - shift) < 1e-10:
            return new
        shift = new
    return shift


def fit_line(
    x: Floats, y: Floats, weights: Floats, *, start: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Maximum likelihood (a, b) of y ~ a + b * x. The classes must overlap in x, or b has no end.

    Without a start Newton begins at the base rate and b = 0, where no step overshoots far.
    """
    total = float(weights.sum())
    mean = float(weights @ x / total)
    spread = float(np.sqrt(weights @ np.square(x - mean) / total))
    x = (x - mean) / spread
    wx, wy = weights * x, weights * y
    target_a, target_b = float(wy.sum()), float(wy @ x)

    def loss(a: float, b: float) -> tuple[float, Floats]:
        eta = a + b * x
        return float(weights @ np.logaddexp(0.0, eta)) - a * target_a - b * target_b, eta

    if start is None:
        start = math.log(target_a / (total - target_a)), 0.0
    a, b = start[0] + start[1] * mean, start[1] * spread
    value, eta = loss(a, b)
    for _ in range(_STEPS):
        pd = expit(eta)
        gradient_a, gradient_b = target_a - float(weights @ pd), target_b - float(wx @ pd)
        curve = pd * (1 - pd)
        # A trace of ridge keeps the step finite where all PDs are near 0 or 1; it does not move the solution.
        aa, bb = float(weights @ curve) + 1e-12 * total, float((wx * x) @ curve) + 1e-12 * total
        ab = float(wx @ curve)
        determinant = aa * bb - ab * ab
        step_a = (bb * gradient_a - ab * gradient_b) / determinant
        step_b = (aa * gradient_b - ab * gradient_a) / determinant
        new_value, new_eta = loss(a + step_a, b + step_b)
        while new_value > value + 1e-12 * abs(value) and abs(step_a) + abs(step_b) > 1e-8:
            step_a, step_b = step_a / 2, step_b / 2
            new_value, new_eta = loss(a + step_a, b + step_b)
        a, b, value, eta = a + step_a, b + step_b, new_value, new_eta
        if abs(step_a) + abs(step_b) < 1e-8:
            break
    return a - b * mean / spread, b / spread

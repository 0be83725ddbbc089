"""Calibration: a few numbers, fitted on rows not learned from, that make a probability mean what it says.

Five forms are tried, from the plainest on. A form with more numbers is taken only where its log loss on rows
that it was not fitted on is clearly smaller: fitted on a few hundred defaults, Platt's two numbers are often
worse than none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from loan_default.choices import CalibrationMethod

CALIBRATION_METHODS: tuple[CalibrationMethod, ...] = get_args(CalibrationMethod)
"""The plainest first."""
_CLIP = 1e-6
_FARTHEST = float(logit(1 - _CLIP))
_FOLDS = 10
_AS_GOOD = 2.0
"""Standard errors within which a plainer form is as good as the best one. An average of members is nearly
calibrated by itself, so a form with more numbers has to prove itself."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """logit(PD) = slope * z + intercept + asymmetry * log(p (1 - p)) + curvature * z², where z = logit(p).

    Without the last two it is Platt scaling (Platt, 1999). With an asymmetry it is beta calibration (Kull,
    Silva Filho and Flach, 2017), whose two coefficients are slope ± asymmetry.
    """

    slope: float = 1.0
    intercept: float = 0.0
    asymmetry: float = 0.0
    curvature: float = 0.0

    @property
    def is_rising(self) -> bool:
        """Whether a higher probability never becomes a lower PD."""
        return self.slope > 0 and abs(self.asymmetry) + 2 * abs(self.curvature) * _FARTHEST <= self.slope

    def apply(self, probability: Floats) -> Floats:
        """Calibrated PD `(rows,)` of raw probabilities `(rows,)`, strictly between 0 and 1."""
        p = np.clip(probability, _CLIP, 1 - _CLIP)
        z = logit(p)
        moved = self.slope * z + self.intercept + self.asymmetry * np.log(p * (1 - p)) + self.curvature * z**2
        return np.clip(np.asarray(expit(moved)), _CLIP, 1 - _CLIP)

    def steepness(self, probability: Floats) -> Floats:
        """By how much logit(PD) rises with the logit of raw probabilities `(rows,)`: its derivative."""
        p = np.clip(probability, _CLIP, 1 - _CLIP)
        return self.slope + self.asymmetry * (1 - 2 * p) + 2 * self.curvature * logit(p)


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationChoice:
    """The form that was chosen, and what each form reached on rows that it was not fitted on."""

    method: CalibrationMethod
    calibration: Calibration
    """Fitted on all rows."""
    log_losses: Mapping[CalibrationMethod, float]
    """Form -> cross-validated log loss."""

    @property
    def reason(self) -> str:
        """Why this form, in words."""
        losses = ", ".join(f"{method} {loss:.4f}" for method, loss in self.log_losses.items())
        return f"the plainest that is as good as the best by cross-validated log loss: {losses}"


def choose_calibration(
    probability: Floats, labels: NDArray[np.float32], weights: Floats | None = None
) -> CalibrationChoice:
    """The plainest form whose cross-validated log loss is within two standard errors of the best one's.

    The standard error is that of the difference between the two over the rows (as in the one-standard-error
    rule of Breiman et al., 1984, but with two). The folds are the same for all forms and hold both outcomes
    alike.

    Args:
        probability: `(rows,)`, of rows that the network was not fitted on.
        weights: `(rows,)`, how much each row counts; None = all alike.
    """
    counted = np.ones(len(labels)) if weights is None else weights / weights.mean()
    losses = {
        method: _cross_validated(method, probability, labels, counted) for method in CALIBRATION_METHODS
    }
    means = {method: float(np.mean(counted * loss)) for method, loss in losses.items()}
    best = min(CALIBRATION_METHODS, key=lambda method: means[method])
    method = next(each for each in CALIBRATION_METHODS if _is_as_good(losses[each], losses[best], counted))
    return CalibrationChoice(
        method=method,
        calibration=fit_calibration(method, probability, labels, weights),
        log_losses=means,
    )


def with_confidence_of(probability: Floats, *, member: Floats, average: Floats) -> Floats:
    """Probabilities of a member `(rows,)`, moved to the confidence of the average of all members.

    Noise of its own makes a member more confident than the average. By how much, a logistic regression on
    the average's probabilities shows, without an outcome: it calibrates the member as if outcomes followed
    the average. Where they do, what is returned needs no further calibration, and neither does the average.

    Args:
        probability: of rows that the member did not learn from.
        member, average: `(n,)`, of the same rows.
    """
    z = logit(np.clip(member, _CLIP, 1 - _CLIP))
    intercept, slope = _most_likely(np.column_stack([np.ones(len(z)), z]), average, None)
    return np.asarray(expit(intercept + slope * logit(np.clip(probability, _CLIP, 1 - _CLIP))))


def fit_calibration(
    method: CalibrationMethod,
    probability: Floats,
    labels: NDArray[np.float32],
    weights: Floats | None = None,
) -> Calibration:
    """The numbers of a form of largest likelihood; a form that would turn the ranking round is made plainer.

    Where not even Platt's slope is positive the network learned nothing: then the odds are left as they are
    but for the level.
    """
    if method == "none":
        return Calibration()
    p = np.clip(probability, _CLIP, 1 - _CLIP)
    z = logit(p)
    if method == "level":
        mean = float(np.clip(np.average(labels, weights=weights), _CLIP, 1 - _CLIP))
        return Calibration(intercept=_intercept(z, mean, weights))
    terms = {"platt": [z], "beta": [z, np.log(p * (1 - p))], "quadratic": [z, z**2]}[method]
    intercept, slope, *third = _most_likely(np.column_stack([np.ones(len(z)), *terms]), labels, weights)
    fitted = Calibration(
        slope=slope,
        intercept=intercept,
        asymmetry=third[0] if method == "beta" else 0.0,
        curvature=third[0] if method == "quadratic" else 0.0,
    )
    if fitted.is_rising:
        return fitted
    return fit_calibration("level" if method == "platt" else "platt", probability, labels, weights)


def _most_likely(terms: Floats, labels: NDArray[np.floating[Any]], weights: Floats | None) -> list[float]:
    """Coefficients of a logistic regression on outcomes, or on probabilities of them, by Newton's steps,
    halved where they go too far.

    A ridge of 1e-6 on all but the first keeps them finite where the classes are separated.
    """
    counted = np.ones(len(labels)) if weights is None else weights
    ridge = np.full(terms.shape[1], 1e-6)
    ridge[0] = 1e-12
    coefficients = np.zeros(terms.shape[1])

    def surprise(at: Floats) -> float:
        logits = terms @ at
        return float(counted @ (np.logaddexp(0, logits) - labels * logits) + ridge @ at**2 / 2)

    now = surprise(coefficients)
    for _ in range(50):
        p = expit(terms @ coefficients)
        gradient = terms.T @ (counted * (p - labels)) + ridge * coefficients
        curvature = (terms * (counted * p * (1 - p))[:, None]).T @ terms + np.diag(ridge)
        step = np.linalg.lstsq(curvature, gradient, rcond=None)[0]
        scale = 1.0
        while (then := surprise(coefficients - scale * step)) > now and scale > 1e-6:
            scale /= 2
        if now - then < 1e-10 * (1 + now):
            break
        coefficients, now = coefficients - scale * step, then
    return [float(each) for each in coefficients]


def _intercept(z: Floats, mean: float, weights: Floats | None) -> float:
    """What to add to logits `z` so that the mean PD is `mean`, by bisection."""
    low, high = -2 * _FARTHEST, 2 * _FARTHEST
    for _ in range(60):
        middle = (low + high) / 2
        too_low = np.average(expit(z + middle), weights=weights) < mean
        low, high = (middle, high) if too_low else (low, middle)
    return (low + high) / 2


def _cross_validated(
    method: CalibrationMethod, probability: Floats, labels: NDArray[np.float32], weights: Floats
) -> Floats:
    """Log loss of each row `(rows,)` by the numbers that the other folds gave."""
    from sklearn.model_selection import StratifiedKFold  # noqa: PLC0415 (70 MB that no scorer needs)

    folds = min(_FOLDS, int(labels.sum()), int((1 - labels).sum()))
    everything = np.arange(len(labels))
    parts = [(everything, everything)]
    if folds >= 2:
        parts = list(StratifiedKFold(folds, shuffle=True, random_state=0).split(probability, labels))
    pds = np.empty(len(labels))
    for others, fold in parts:
        fitted = fit_calibration(method, probability[others], labels[others], weights[others])
        pds[fold] = fitted.apply(probability[fold])
    return np.asarray(-np.log(np.where(labels == 1, pds, 1 - pds)))


def _is_as_good(loss: Floats, best: Floats, weights: Floats) -> bool:
    difference = weights * (loss - best)
    return bool(difference.mean() <= _AS_GOOD * difference.std() / np.sqrt(len(difference)))

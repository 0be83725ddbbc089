"""Integrated gradients: how much each column moved the PD of a row away from that of a reference population.

The path leads straight from the mean tokens of the population to the tokens of the row. What is attributed is
the logit of the calibrated PD, so that the contributions of all columns and the logit of the reference add up
to the logit of the row (completeness; Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks",
2017). The integral is computed panel by panel. Each panel knows by how much the logit really changed in it,
and one whose gradients say otherwise is halved; what is left in the end is the gap.

Shapes: B rows, P panels, N nodes of a panel, T = F + C columns in the order of the features; M and d are
those of `frozen_network`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from loan_default.errors import ConfigurationError
from loan_default.models.features import Inputs
from loan_default.models.frozen_model import FrozenModel
from loan_default.models.frozen_network import Floats, mean_probability_of
from loan_default.models.token_gradients import logits_of_tokens

Doubles = NDArray[np.float64]

PANELS = 2
"""Panels that each path begins with."""
TOLERANCE = 0.02
"""Logit by which the gradients of a panel may miss its change before it is halved."""
HALVINGS = 4
"""How often a panel is halved at most; what is missed then is part of the gap."""
_EVALUATIONS = 24
"""Points of paths that are evaluated at once: more fall out of the cache (`benchmarks/reasons.py`)."""
_NODES = np.array([-np.sqrt(0.6), 0.0, np.sqrt(0.6)]) / 2 + 0.5
_WEIGHTS = np.array([5.0, 8.0, 5.0]) / 18
"""Gauss and Legendre's rule of three nodes on [0, 1]; the second node is where a panel is halved."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Attributions:
    """Contributions of the columns to the logits of some PDs."""

    contributions: Doubles
    """(B, T): above 0 = the column raised the PD."""
    reference: float
    """Logit of the PD of the reference."""
    logits: Doubles
    """(B,): of the PDs of the rows."""

    @property
    def gaps(self) -> Doubles:
        """(B,): what the contributions leave unexplained of each logit, above or below 0."""
        explained: Doubles = self.reference + self.contributions.sum(axis=1)
        return self.logits - explained


def attribute(
    model: FrozenModel, inputs: Inputs, reference: Floats, *, start: float | None = None
) -> Attributions:
    """Contributions of the columns to the PDs of rows; the same row has the same ones in any company.

    Args:
        reference: `(M, 1, T, d)`, mean tokens of the reference population.
        start: its logit, see `logit_of_reference`; None = it is computed.

    Raises:
        ConfigurationError: the model has trees, through which no gradient leads.
    """
    check_explainable(model)
    return attribute_tokens(model, model.network.tokens(inputs), reference, start=start)


def logit_of_reference(model: FrozenModel, reference: Floats) -> float:
    """Logit of the PD of mean tokens `(M, 1, T, d)`."""
    return float(_values(model, reference)[0])


def attribute_tokens(
    model: FrozenModel, tokens: Floats, reference: Floats, *, start: float | None = None
) -> Attributions:
    """Contributions of the columns to the PDs of rows whose tokens are `(M, B, T, d)`."""
    start = logit_of_reference(model, reference) if start is None else start
    rows = tokens.shape[1]
    contributions = np.zeros((rows, reference.shape[2]))
    if not rows:
        return Attributions(contributions=contributions, reference=start, logits=np.zeros(0))
    panels, ends = _first_panels(_values_on_paths(model, tokens, reference), rows, start=start)
    for halving in range(HALVINGS + 1):
        found, middles = _integrals(model, tokens, reference, panels)
        missed = np.abs(found.sum(axis=1) - panels.changes) > TOLERANCE
        if halving == HALVINGS:
            missed[:] = False
        np.add.at(contributions, panels.row[~missed], found[~missed])
        if not missed.any():
            break
        panels = panels.halved(missed, middles)
    return Attributions(contributions=contributions, reference=start, logits=ends)


def check_explainable(model: FrozenModel) -> None:
    """Refuse a model whose PDs cannot be attributed.

    Raises:
        ConfigurationError: the model has trees.
    """
    if model.trees is not None:
        raise ConfigurationError(
            f"Cannot explain PDs of model {model.version}: no gradient leads through its trees. Train one "
            "without --with-trees."
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Panels:
    """Parts of paths `(P,)`: the row whose path it is, the two ends on [0, 1], and the logits there."""

    row: NDArray[np.int64]
    low: Doubles
    high: Doubles
    low_value: Doubles
    high_value: Doubles

    @property
    def changes(self) -> Doubles:
        """By how much the logit changes in each panel."""
        return self.high_value - self.low_value

    def halved(self, chosen: NDArray[np.bool_], middles: Doubles) -> "_Panels":
        """Both halves of the chosen panels, whose logits in the middle are `middles` `(P,)`."""
        row, low, high = self.row[chosen], self.low[chosen], self.high[chosen]
        middle = (low + high) / 2
        values = self.low_value[chosen], middles[chosen], self.high_value[chosen]
        return _Panels(
            row=np.concatenate([row, row]),
            low=np.concatenate([low, middle]),
            high=np.concatenate([middle, high]),
            low_value=np.concatenate(values[:2]),
            high_value=np.concatenate(values[1:]),
        )


Points = Callable[[Doubles, NDArray[np.int64]], Doubles]
"""What is computed at points `(points,)` of the paths of rows `(points,)`."""


def _values_on_paths(model: FrozenModel, tokens: Floats, reference: Floats) -> Points:
    """The logits of the calibrated PDs at points of the paths."""

    def values(at: Doubles, row: NDArray[np.int64]) -> Doubles:
        return _values(model, _on_path(tokens, reference, row, at))

    return lambda at, row: _by_parts(values, at, row)


def _first_panels(values_at: Points, rows: int, *, start: float) -> tuple[_Panels, Doubles]:
    """The panels that the paths of rows begin with, and the logits `(rows,)` at their ends."""
    edges = np.linspace(0, 1, PANELS + 1)
    later = values_at(np.tile(edges[1:], rows), np.repeat(np.arange(rows), PANELS))
    values = np.hstack([np.full((rows, 1), start), later.reshape(rows, PANELS)])
    panels = _Panels(
        row=np.repeat(np.arange(rows), PANELS),
        low=np.tile(edges[:-1], rows),
        high=np.tile(edges[1:], rows),
        low_value=values[:, :-1].ravel(),
        high_value=values[:, 1:].ravel(),
    )
    return panels, values[:, -1]


def _integrals(
    model: FrozenModel, tokens: Floats, reference: Floats, panels: _Panels
) -> tuple[Doubles, Doubles]:
    """Integrals of the gradients over panels `(P, T)`, and the logits in the middle of each `(P,)`."""
    size = (panels.high - panels.low)[:, None]
    at = (panels.low[:, None] + size * _NODES).ravel()

    def slopes(at: Doubles, row: NDArray[np.int64]) -> Doubles:
        points = _on_path(tokens, reference, row, at)
        values, gradients = _values_and_gradients(model, points)
        moved = np.einsum("mbtd,mbtd->bt", gradients, tokens[:, row] - reference)
        return np.hstack([values[:, None], moved])

    found = _by_parts(slopes, at, np.repeat(panels.row, len(_NODES)))
    found = found.reshape(len(panels.row), len(_NODES), -1)
    return size * np.einsum("pnt,n->pt", found[:, :, 1:], _WEIGHTS), found[:, 1, 0]


def _by_parts(compute: Points, at: Doubles, row: NDArray[np.int64]) -> Doubles:
    """What is computed at points of paths, some at once."""
    starts = range(0, len(at), _EVALUATIONS)
    return np.concatenate(
        [compute(at[start : start + _EVALUATIONS], row[start : start + _EVALUATIONS]) for start in starts]
    )


def _on_path(tokens: Floats, reference: Floats, row: NDArray[np.int64], at: Doubles) -> Floats:
    """Tokens `(M, points, T, d)` at points of the paths of rows."""
    share = at.astype(np.float32)[:, None, None]
    points: Floats = reference + share * (tokens[:, row] - reference)
    return points


def _values(model: FrozenModel, tokens: Floats) -> Doubles:
    """Logits `(B,)` of the calibrated PDs of tokens."""
    probability = mean_probability_of(logits_of_tokens(model.network, tokens)[0])
    return np.asarray(logit(model.calibration.apply(probability)))


def _values_and_gradients(model: FrozenModel, tokens: Floats) -> tuple[Doubles, Floats]:
    """Logits `(B,)` of the calibrated PDs of tokens, and their gradients `(M, B, T, d)`."""
    logits, back = logits_of_tokens(model.network, tokens)
    probability = mean_probability_of(logits)
    odds = expit(logits.astype(np.float64))
    of_probability = model.calibration.steepness(probability) / (probability * (1 - probability))
    of_logits = odds * (1 - odds) * of_probability / (logits.shape[0] * logits.shape[1])
    value = np.asarray(logit(model.calibration.apply(probability)))
    return value, back(of_logits.astype(np.float32))

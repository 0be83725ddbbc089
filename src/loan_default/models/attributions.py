"""Integrated gradients: how much each column moved the PD of a row away from that of a reference population.

The path leads straight from the mean tokens of the population to the tokens of the row. What is attributed is
the logit of the calibrated PD, so that the contributions of all columns and the logit of the reference add up
to the logit of the row (completeness; Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks",
2017). The integral is computed panel by panel. Each panel knows by how much the logit really changed in it,
and one whose gradients say otherwise is halved; what is left in the end is the gap.

Trees have no gradient. Their logit moves along the path as evenly as the tokens do, and each column has of
that the share of its exact Shapley value (`tree_attributions`). So networks and trees count in a contribution
as they count in the PD, with equal weights on the logit scale, and both pass through the same calibration.

Shapes: B rows, P panels, N nodes of a panel, T = F + C columns in the order of the features; M and d are
those of `frozen_network`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from loan_default.models.features import Inputs
from loan_default.models.frozen_model import FrozenModel
from loan_default.models.frozen_network import Floats, mean_probability_of
from loan_default.models.token_gradients import logits_of_tokens
from loan_default.models.tree_attributions import TreeContributions, TreeReference, tree_contributions
from loan_default.models.trees import NETWORKS_SHARE, blend

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
    model: FrozenModel,
    inputs: Inputs,
    reference: Floats,
    *,
    trees: TreeReference | None = None,
    start: float | None = None,
) -> Attributions:
    """Contributions of the columns to the PDs of rows; the same row has the same ones in any company.

    Args:
        reference: `(M, 1, T, d)`, mean tokens of the reference population.
        trees: what the trees of the model are explained against; None = it has none.
        start: logit of the reference, see `logit_of_reference`; None = it is computed.
    """
    boosted = None if trees is None else tree_contributions(trees, inputs)
    return attribute_tokens(model, model.network.tokens(inputs), reference, boosted=boosted, start=start)


def logit_of_reference(model: FrozenModel, reference: Floats, *, trees: float | None = None) -> float:
    """Logit of the PD of mean tokens `(M, 1, T, d)`, and of trees whose logit is known beside them."""
    probability = mean_probability_of(logits_of_tokens(model.network, reference)[0])
    if trees is not None:
        probability = blend(probability, np.array([trees]))
    return float(logit(model.calibration.apply(probability))[0])


def attribute_tokens(
    model: FrozenModel,
    tokens: Floats,
    reference: Floats,
    *,
    boosted: TreeContributions | None = None,
    start: float | None = None,
) -> Attributions:
    """Contributions of the columns to the PDs of rows whose tokens are `(M, B, T, d)`.

    Args:
        boosted: what the columns did to the logits of the trees of the same rows; None = there are none.
    """
    if (model.trees is None) != (boosted is None):
        raise ValueError(f"a model must be explained whole, however: trees={model.trees is not None}")
    path = _Path(model=model, tokens=tokens, reference=reference, boosted=boosted)
    if start is None:
        start = logit_of_reference(model, reference, trees=None if boosted is None else boosted.start)
    rows = tokens.shape[1]
    contributions = np.zeros((rows, reference.shape[2]))
    if not rows:
        return Attributions(contributions=contributions, reference=start, logits=np.zeros(0))
    panels, ends = _first_panels(path, rows, start=start)
    for halving in range(HALVINGS + 1):
        found, middles = _integrals(path, panels)
        missed = np.abs(found.sum(axis=1) - panels.changes) > TOLERANCE
        if halving == HALVINGS:
            missed[:] = False
        np.add.at(contributions, panels.row[~missed], found[~missed])
        if not missed.any():
            break
        panels = panels.halved(missed, middles)
    return Attributions(contributions=contributions, reference=start, logits=ends)


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


Rows = NDArray[np.int64]
Points = Callable[[Doubles, Rows], Doubles]
"""What is computed at points `(points,)` of the paths of rows `(points,)`."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Path:
    """The straight ways from the reference to rows."""

    model: FrozenModel
    tokens: Floats
    """(M, B, T, d)"""
    reference: Floats
    """(M, 1, T, d)"""
    boosted: TreeContributions | None

    def values(self, at: Doubles, row: Rows) -> Doubles:
        """Logits of the calibrated PDs at points `(points,)`."""
        networks = mean_probability_of(logits_of_tokens(self.model.network, self._tokens_at(at, row))[0])
        return np.asarray(logit(self.model.calibration.apply(self._blended(networks, at, row))))

    def values_and_slopes(self, at: Doubles, row: Rows) -> Doubles:
        """The logits, and by how much each column moves them along the path: `(points, 1 + T)`."""
        logits, back = logits_of_tokens(self.model.network, self._tokens_at(at, row))
        networks = mean_probability_of(logits)
        probability = self._blended(networks, at, row)
        steepness = self.model.calibration.steepness(probability)
        of_networks = steepness if self.boosted is None else steepness * NETWORKS_SHARE
        odds = expit(logits.astype(np.float64))
        of_probability = of_networks / (networks * (1 - networks))
        of_logits = odds * (1 - odds) * of_probability / (logits.shape[0] * logits.shape[1])
        gradients = back(of_logits.astype(np.float32))
        moved = np.einsum("mbtd,mbtd->bt", gradients, self.tokens[:, row] - self.reference).astype(np.float64)
        if self.boosted is not None:
            moved += (steepness * (1 - NETWORKS_SHARE))[:, None] * self.boosted.of_columns[row]
        value = np.asarray(logit(self.model.calibration.apply(probability)))
        return np.hstack([value[:, None], moved])

    def _tokens_at(self, at: Doubles, row: Rows) -> Floats:
        """Tokens `(M, points, T, d)`."""
        share = at.astype(np.float32)[:, None, None]
        points: Floats = self.reference + share * (self.tokens[:, row] - self.reference)
        return points

    def _blended(self, networks: Doubles, at: Doubles, row: Rows) -> Doubles:
        """Probabilities `(points,)` before calibration of what the networks give points."""
        if self.boosted is None:
            return networks
        return blend(networks, self.boosted.start + at * self.boosted.of_columns[row].sum(axis=1))


def _first_panels(path: _Path, rows: int, *, start: float) -> tuple[_Panels, Doubles]:
    """The panels that the paths of rows begin with, and the logits `(rows,)` at their ends."""
    edges = np.linspace(0, 1, PANELS + 1)
    later = _by_parts(path.values, np.tile(edges[1:], rows), np.repeat(np.arange(rows), PANELS))
    values = np.hstack([np.full((rows, 1), start), later.reshape(rows, PANELS)])
    panels = _Panels(
        row=np.repeat(np.arange(rows), PANELS),
        low=np.tile(edges[:-1], rows),
        high=np.tile(edges[1:], rows),
        low_value=values[:, :-1].ravel(),
        high_value=values[:, 1:].ravel(),
    )
    return panels, values[:, -1]


def _integrals(path: _Path, panels: _Panels) -> tuple[Doubles, Doubles]:
    """Integrals of the gradients over panels `(P, T)`, and the logits in the middle of each `(P,)`."""
    size = (panels.high - panels.low)[:, None]
    at = (panels.low[:, None] + size * _NODES).ravel()
    found = _by_parts(path.values_and_slopes, at, np.repeat(panels.row, len(_NODES)))
    found = found.reshape(len(panels.row), len(_NODES), -1)
    return size * np.einsum("pnt,n->pt", found[:, :, 1:], _WEIGHTS), found[:, 1, 0]


def _by_parts(compute: Points, at: Doubles, row: Rows) -> Doubles:
    """What is computed at points of paths, some at once."""
    starts = range(0, len(at), _EVALUATIONS)
    return np.concatenate(
        [compute(at[start : start + _EVALUATIONS], row[start : start + _EVALUATIONS]) for start in starts]
    )

"""Outcomes of rejected applications, inferred: fuzzy augmentation and parcelling.

    bands = bands_of(pds, labels, weights)       # of accepted rows that the model did not learn from
    rates = inferred_rates(pds_of_rejects, bands, inference)
    copies = copies_of(rates, weights, inference, draws=draws)

A model that learns from accepted applications alone knows those that the lender let through. Both methods add
the others under an assumption that no accepted row can confirm (Hand and Henley, 1993; Siddiqi, 2006, chapter
6). Fuzzy augmentation assumes that they default as the model of the accepted says; parcelling, that they
default so many times as often as accepted rows of the same band of PD.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loan_default.choices import RejectMethod
from loan_default.errors import ConfigurationError

Floats = NDArray[np.float64]

BANDS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Inference:
    """How outcomes are inferred."""

    method: RejectMethod
    """Never none."""
    factor: float | None = None
    """Parcelling: times as often as accepted rows of the same band, 1 or more; None = another method."""

    def __post_init__(self) -> None:
        if self.method == "none" or (self.method == "parcelling") != (self.factor is not None):
            raise ConfigurationError(
                "an inference must be fuzzy without a factor or parcelling with one, however: "
                f"method={self.method}, factor={self.factor}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Bands:
    """Bands of PD, from the lowest to the highest, and how often the accepted rows in them defaulted."""

    edges: Floats
    """`(bands - 1,)`, ascending; a PD at an edge lies in the band above it."""
    rates: Floats
    """`(bands,)`, weighted."""
    rows: NDArray[np.int64]
    """`(bands,)` accepted rows."""

    def of(self, pds: Floats) -> NDArray[np.int64]:
        """The bands `(n,)` that PDs lie in, from 0. PDs beyond those of all accepted rows: an end band."""
        return np.searchsorted(self.edges, pds, side="right").astype(np.int64)


def bands_of(pds: Floats, labels: Floats, weights: Floats | None) -> Bands:
    """The deciles of accepted rows by PD; fewer where PDs repeat.

    Args:
        pds, labels, weights: `(n,)` of rows that what predicts them did not learn from; None = all alike.
    """
    counts = np.ones(len(pds)) if weights is None else weights
    shares = np.arange(1, BANDS) / BANDS
    edges = np.unique(np.quantile(pds, shares, weights=counts, method="inverted_cdf"))
    edges = edges[edges > pds.min()]
    band = np.searchsorted(edges, pds, side="right")
    mass = np.bincount(band, counts, len(edges) + 1)
    return Bands(
        edges=edges,
        rates=np.bincount(band, counts * labels, len(edges) + 1) / mass,
        rows=np.bincount(band, minlength=len(edges) + 1),
    )


def inferred_rates(pds: Floats, bands: Bands, inference: Inference) -> Floats:
    """The chance `(n,)` with which each reject is assumed to default.

    Args:
        pds: `(n,)` of the rejects, by a model that learned from accepted rows alone.
    """
    if inference.factor is None:
        return pds
    return np.minimum(1.0, inference.factor * bands.rates[bands.of(pds)])


@dataclass(frozen=True, kw_only=True, slots=True)
class Copies:
    """Rejects with outcomes, as a model learns from them."""

    rejects: NDArray[np.int64]
    """`(copies,)` positions among the rejects; fuzzy augmentation names each twice."""
    labels: NDArray[np.float32]
    """`(copies,)`, 1 = default, 0 = none."""
    weights: Floats
    """`(copies,)`, above 0."""


def copies_of(rates: Floats, weights: Floats | None, inference: Inference, *, draws: Floats) -> Copies:
    """Rejects with the outcomes that their rates make.

    Args:
        rates: `(n,)` as `inferred_rates` returns them.
        weights: `(n,)` how much each reject counts; None = 1.
        draws: `(n,)` uniform, from 0 to 1: a reject of parcelling defaults where its draw is below its rate,
            so a higher factor makes no default undone.
    """
    if inference.method == "fuzzy":
        return weighted_copies(rates, weights)
    everyone = np.arange(len(rates))
    counts = np.ones(len(rates)) if weights is None else weights
    return Copies(rejects=everyone, labels=(draws < rates).astype(np.float32), weights=counts)


def weighted_copies(rates: Floats, weights: Floats | None) -> Copies:
    """Each reject twice: as a default with its rate as the weight, and as none with the rest."""
    everyone = np.arange(len(rates))
    counts = np.ones(len(rates)) if weights is None else weights
    twice = Copies(
        rejects=np.concatenate([everyone, everyone]),
        labels=np.repeat(np.array([1, 0], np.float32), len(rates)),
        weights=np.concatenate([counts * rates, counts * (1 - rates)]),
    )
    counting = twice.weights > 0
    return Copies(
        rejects=twice.rejects[counting], labels=twice.labels[counting], weights=twice.weights[counting]
    )

"""Reference populations: what a PD is explained against, kept in the model without any row of a person.

Training cuts the applicants that no network learned from into bands by their PD, and keeps of each band how
the values of each column are spread. The mean token of a column depends on that spread alone, and trees are
explained against the same spreads, column by column. So one table gives both references that lenders use:
all applicants, or those who are just approved. Which one it is decides what the reasons mean;
`Reference.name` names it with the model.

Rows count once, whatever their weight. Levels of columns with default rates count as the average level.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loan_default.choices import ReferenceMethod
from loan_default.errors import ArtifactError, ConfigurationError
from loan_default.models.attributions import logit_of_reference
from loan_default.models.features import Features, Inputs, quantile_normal
from loan_default.models.frozen_model import FrozenModel
from loan_default.models.frozen_network import Floats, FrozenNetwork
from loan_default.models.tree_attributions import ColumnSpreads, TreeReference, tree_reference
from loan_default.models.tree_paths import paths_of

KEY = "populations"
"""Where they stand among the reference data of a model."""

_BANDS = 20
_ROWS_OF_BAND = 50
"""Rows that a band has at least, where there are more than one."""
_QUANTILES = 32


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Populations:
    """Bands of applicants by PD, ascending: K bands, F numerical columns, Q quantiles."""

    rows: NDArray[np.int64]
    """(K,)"""
    pds: NDArray[np.float64]
    """(K, 2): lowest and highest PD of each band."""
    numerical: NDArray[np.float32]
    """(K, Q, F): quantiles of the known values, in the units of the features; 0 where none is known."""
    missing: NDArray[np.float64]
    """(K, F): share of the rows that lack a value."""
    codes: NDArray[np.float64]
    """(K, all codes): share of the rows with each code of each categorical column."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Reference:
    """What PDs are explained against."""

    name: str
    """Method, band and model in words: the same name is the same reference."""
    rows: int
    """Applicants that it is the average of."""
    tokens: Floats
    """(M, 1, T, d): their mean tokens."""
    logit: float
    """Of the PD of the mean tokens, and of the trees where the model has some."""
    trees: TreeReference | None = None
    """What its trees are explained against; None = it has none."""


def populations_of(inputs: Inputs, features: Features, pds: NDArray[np.float64]) -> Populations:
    """The bands of applicants, whose PDs come from networks that did not learn from them.

    Args:
        pds: calibrated PDs `(rows,)`, at least one.
    """
    order = np.argsort(pds, kind="stable")
    bands = np.array_split(order, max(1, min(_BANDS, len(pds) // _ROWS_OF_BAND)))
    spreads = [_spread(inputs[band], features) for band in bands]
    return Populations(
        rows=np.array([len(band) for band in bands], dtype=np.int64),
        pds=np.array([[pds[band[0]], pds[band[-1]]] for band in bands]),
        numerical=np.stack([each[0] for each in spreads]),
        missing=np.stack([each[1] for each in spreads]),
        codes=np.stack([each[2] for each in spreads]),
    )


def populations_to_dict(populations: Populations) -> dict[str, NDArray[Any]]:
    """Arrays that `populations_from_dict` reads back."""
    return {name: getattr(populations, name) for name in _FIELDS}


def populations_from_dict(raw: Mapping[str, Any], features: Features) -> Populations:
    """Populations from the arrays of a model file.

    Raises:
        ArtifactError: they are none, or not of the columns of the features.
    """
    try:
        found = Populations(**{name: np.asarray(raw[name]) for name in _FIELDS})
        bands, quantiles = found.numerical.shape[:2]
    except (LookupError, TypeError, ValueError) as error:
        raise ArtifactError(f"populations must be arrays, however: {type(error).__name__}") from error
    columns, codes = len(features.numerical), sum(features.cardinalities)
    shapes = [(bands,), (bands, 2), (bands, quantiles, columns), (bands, columns), (bands, codes)]
    if [getattr(found, name).shape for name in _FIELDS] != shapes or not bands or (found.rows < 1).any():
        raise ArtifactError("populations must be of the columns of the model, however: they are of others")
    return found


def reference_of_model(model: FrozenModel, method: ReferenceMethod, *, cutoff: float) -> Reference:
    """What the PDs of a model are explained against.

    Args:
        cutoff: PD up to which a loan is approved; `all` does without.

    Raises:
        ConfigurationError: the model is of a release that kept no bands, and the method needs them.
        ArtifactError: what the model keeps is not of its columns.
    """
    histograms = {"numerical", "categorical"} <= model.reference.keys()
    populations = None
    if KEY in model.reference:
        populations = populations_from_dict(model.reference[KEY], model.features)
    elif histograms:
        populations = _populations_of_older(model)
    if populations is None or (method == "cut-off" and len(populations.rows) == 1):
        raise ConfigurationError(
            f"the model must keep how the values of applicants are spread, however: {model.version} does "
            "not, or not by their PD. Train it again, with more rows; most can be explained against all."
        )
    if method == "all":
        chosen = np.arange(len(populations.rows))
        which = "all applicants"
    else:
        # The last band that is approved as a whole; where none is, the safest one is the nearest to it.
        band = max(0, int(np.searchsorted(populations.pds[:, 1], cutoff, side="right")) - 1)
        chosen = np.array([band])
        low, high = populations.pds[band]
        which = f"applicants at the cut-off of {cutoff:g}, with a PD of {low:.4f} to {high:.4f}"
    rows = int(populations.rows[chosen].sum())
    tokens = _mean_tokens(model.network, populations, chosen)
    trees = None
    if model.trees is not None:
        trees = tree_reference(paths_of(model.trees), _column_spreads(populations, chosen, model.features))
    return Reference(
        name=f"{which}, {rows} of model {model.version}",
        rows=rows,
        tokens=tokens,
        logit=logit_of_reference(model, tokens, trees=None if trees is None else trees.logit),
        trees=trees,
    )


_FIELDS = ("rows", "pds", "numerical", "missing", "codes")


def _spread(inputs: Inputs, features: Features) -> tuple[Any, Any, Any]:
    """Quantiles `(Q, F)` of the known numbers, shares of missing ones `(F,)`, and shares of codes."""
    at = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    numbers = np.zeros((_QUANTILES, len(features.numerical)), dtype=np.float32)
    missing = np.isnan(inputs.numerical)
    for column in range(len(features.numerical)):
        known = inputs.numerical[~missing[:, column], column]
        if len(known):
            numbers[:, column] = np.quantile(known, at, method="inverted_cdf")
    counts = [
        np.bincount(column, minlength=size)
        for column, size in zip(inputs.codes.T, features.cardinalities, strict=True)
    ]
    codes = np.concatenate([np.zeros(0), *counts]) / len(inputs)
    return numbers, missing.mean(axis=0), codes


def _populations_of_older(model: FrozenModel) -> Populations:
    """All training rows as one band, from the quantiles and counts that each release has kept."""
    at = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    histograms, codes = model.reference["numerical"], model.reference["categorical"]
    counts = [np.asarray(histograms[each.name]["counts"]) for each in model.features.numerical]
    coded = [np.asarray(codes[each.name]["counts"]) for each in model.features.categorical]
    rows = int((counts + coded)[0].sum())
    numbers = [
        quantile_normal(np.quantile(each.quantiles, at), each.quantiles) for each in model.features.numerical
    ]
    return Populations(
        rows=np.array([rows], dtype=np.int64),
        pds=np.array([[0.0, 1.0]]),
        numerical=np.array(numbers, np.float32).reshape(-1, _QUANTILES).T[None],
        missing=np.array([[float(each[-1]) / rows for each in counts]]),
        codes=np.concatenate([np.zeros(0), *coded])[None] / rows,
    )


def _column_spreads(populations: Populations, bands: NDArray[np.int64], features: Features) -> ColumnSpreads:
    """How the values of each column are spread over the rows of some bands."""
    share = populations.rows[bands] / populations.rows[bands].sum()
    quantiles = populations.numerical.shape[1]
    numbers = populations.numerical[bands].astype(np.float64).reshape(len(bands) * quantiles, -1)
    known = np.repeat(share[:, None] * (1 - populations.missing[bands]) / quantiles, quantiles, axis=0)
    order = np.argsort(numbers, axis=0, kind="stable")
    ends = np.cumsum(features.cardinalities)[:-1]
    return ColumnSpreads(
        values=list(np.take_along_axis(numbers, order, axis=0).T),
        weights=list(np.take_along_axis(known, order, axis=0).T),
        missing=share @ populations.missing[bands],
        codes=np.split(share @ populations.codes[bands], ends),
    )


def _mean_tokens(network: FrozenNetwork, populations: Populations, bands: NDArray[np.int64]) -> Floats:
    """Mean tokens `(M, 1, T, d)` over the rows of some bands."""
    shares = populations.rows[bands] / populations.rows[bands].sum()
    columns, coded = len(network.left), len(network.first_code)
    quantiles = populations.numerical.shape[1]
    values = np.concatenate(
        [populations.numerical[bands].reshape(len(bands) * quantiles, columns), np.full((1, columns), np.nan)]
    )
    inputs = Inputs(
        numerical=values.astype(np.float32),
        codes=np.zeros((len(values), coded), np.int64),
        levels=np.zeros((len(values), len(network.rated)), np.int64),
    )
    tokens = network.tokens(inputs)[:, :, :columns].astype(np.float64)
    members, _, _, width = tokens.shape
    known = tokens[:, :-1].reshape(members, len(bands), quantiles, columns, width).mean(axis=2)
    missing = populations.missing[bands]
    numbers = np.einsum("k,kf,mkfd->mfd", shares, 1 - missing, known)
    numbers += np.einsum("k,kf,mfd->mfd", shares, missing, tokens[:, -1])
    share_of_code = shares @ populations.codes[bands]
    bounds = [*network.first_code.tolist(), len(share_of_code)]
    categories = [
        np.einsum("c,mcd->md", share_of_code[start:end], network.categories[:, start:end])
        for start, end in pairwise(bounds)
    ]
    mean = np.concatenate([numbers, *(each[:, None] for each in categories)], axis=1)
    return mean[:, None].astype(np.float32)

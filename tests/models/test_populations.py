"""Reference populations beside the mean tokens of the very rows."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from loan_default.errors import ArtifactError, ConfigurationError
from loan_default.models.features import Features, Inputs
from loan_default.models.freezing import frozen_model
from loan_default.models.frozen_model import FrozenModel
from loan_default.models.model import LoanModel, golden_rows_of
from loan_default.models.populations import (
    KEY,
    populations_from_dict,
    populations_of,
    populations_to_dict,
    reference_of_model,
)
from loan_default.models.reference import reference_of


@pytest.fixture(scope="module")
def inputs(features: Features, frame: pd.DataFrame) -> Inputs:
    return features.transform(frame)


@pytest.fixture(scope="module")
def older(model: LoanModel, inputs: Inputs) -> FrozenModel:
    """A model that keeps histograms and no bands."""
    frozen = frozen_model(model, golden=golden_rows_of(model), digest="ab" * 32)
    return replace(frozen, reference=reference_of(inputs, frozen.features, frozen.predict_pd(inputs)))


@pytest.fixture(scope="module")
def pds(inputs: Inputs) -> np.ndarray:
    return np.random.default_rng(3).uniform(0.01, 0.6, len(inputs))


@pytest.fixture(scope="module")
def banded(older: FrozenModel, inputs: Inputs, pds: np.ndarray) -> FrozenModel:
    bands = populations_to_dict(populations_of(inputs, older.features, pds))
    return replace(older, reference={**older.reference, KEY: bands})


def test_all_applicants_are_the_mean_of_the_tokens_of_all_rows(banded: FrozenModel, inputs: Inputs) -> None:
    found = reference_of_model(banded, "all", cutoff=0.2)
    exact = banded.network.tokens(inputs).mean(axis=1, keepdims=True)
    coded = len(banded.features.categorical)
    np.testing.assert_allclose(found.tokens[:, :, -coded:], exact[:, :, -coded:], atol=1e-5)
    spread = banded.network.tokens(inputs).std()
    assert np.abs(found.tokens - exact).max() < 0.1 * spread  # numbers are kept as 32 quantiles
    assert found.rows == len(inputs)


def test_those_at_the_cutoff_are_the_riskiest_band_that_is_approved(
    banded: FrozenModel, inputs: Inputs, pds: np.ndarray
) -> None:
    found = reference_of_model(banded, "cut-off", cutoff=0.3)
    band = banded.reference[KEY]["pds"]
    chosen = band[band[:, 1] <= 0.3][-1]
    rows = (pds >= chosen[0]) & (pds <= chosen[1])
    assert found.rows == rows.sum() == len(inputs) // 8
    exact = banded.network.tokens(inputs[np.flatnonzero(rows)]).mean(axis=1, keepdims=True)
    assert np.abs(found.tokens - exact).max() < 0.1 * banded.network.tokens(inputs).std()
    assert f"{chosen[0]:.4f} to {chosen[1]:.4f}" in found.name
    assert banded.version in found.name


def test_a_cutoff_below_all_takes_the_safest_band(banded: FrozenModel, pds: np.ndarray) -> None:
    found = reference_of_model(banded, "cut-off", cutoff=0.0)
    assert f"{pds.min():.4f} to" in found.name


def test_a_model_of_an_older_release_is_explained_against_all(
    older: FrozenModel, banded: FrozenModel
) -> None:
    found = reference_of_model(older, "all", cutoff=0.2)
    exact = reference_of_model(banded, "all", cutoff=0.2)
    assert np.abs(found.tokens - exact.tokens).max() < 0.1 * exact.tokens.std()
    assert found.rows == exact.rows
    with pytest.raises(ConfigurationError, match="Train it again"):
        reference_of_model(older, "cut-off", cutoff=0.2)
    with pytest.raises(ConfigurationError, match="Train it again"):
        reference_of_model(replace(older, reference={}), "all", cutoff=0.2)


def test_no_value_of_a_single_row_is_kept_of_few_rows(features: Features, inputs: Inputs) -> None:
    found = populations_of(inputs[slice(0, 60)], features, np.linspace(0.1, 0.2, 60))
    assert found.rows.tolist() == [60]


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: {},
        lambda raw: {**raw, "rows": np.zeros_like(raw["rows"])},
        lambda raw: {**raw, "missing": raw["missing"][:, :-1]},
        lambda raw: {**raw, "codes": raw["codes"][:-1]},
        lambda raw: {**raw, "numerical": raw["numerical"][0, 0]},
    ],
)
def test_arrays_of_other_columns_are_refused(banded: FrozenModel, damage) -> None:
    with pytest.raises(ArtifactError, match="populations must be"):
        populations_from_dict(damage(banded.reference[KEY]), banded.features)

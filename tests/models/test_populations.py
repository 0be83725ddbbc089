"""Reference populations beside the mean tokens of the very rows."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from loan_default.data.schema.language import Schema
from loan_default.errors import ArtifactError, ConfigurationError
from loan_default.models.calibration import Calibration
from loan_default.models.classifier import HeadConfig
from loan_default.models.encoder import EncoderConfig
from loan_default.models.features import Features, Inputs, fit_features
from loan_default.models.freezing import frozen_model
from loan_default.models.frozen_model import FrozenModel
from loan_default.models.member_training import Architecture
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


@pytest.mark.parametrize("kinds", [("amount", "income"), ("grade",), ("purpose",)], ids=" ".join)
@pytest.mark.parametrize("with_bands", [True, False])
def test_columns_may_be_of_one_kind(schema: Schema, frame: pd.DataFrame, kinds, with_bands) -> None:
    columns = tuple(each for each in schema.columns if each.name in (*kinds, "default"))
    schema = replace(schema, columns=columns)
    features = fit_features(frame, schema)
    architecture = Architecture(
        features=features, encoder=EncoderConfig(n_layers=1, width=16, heads=1), head=HeadConfig(predictors=2)
    )
    torch_model = LoanModel(
        version="20261123-120000-abcdef",
        schema=schema,
        architecture=architecture,
        members=(architecture.new_classifier().eval(),),
        calibration=Calibration(slope=0.9, intercept=-0.1),
        metrics={},
        reference={},
        provenance={},
    )
    frozen = frozen_model(torch_model, golden=golden_rows_of(torch_model), digest="ab" * 32)
    inputs = features.transform(frame)
    pds = frozen.predict_pd(inputs)
    bands = {KEY: populations_to_dict(populations_of(inputs, features, pds))}
    kept = {**reference_of(inputs, features, pds), **(bands if with_bands else {})}
    found = reference_of_model(replace(frozen, reference=kept), "all", cutoff=0.2)
    exact = frozen.network.tokens(inputs).mean(axis=1, keepdims=True)
    assert found.tokens.shape == exact.shape
    assert np.abs(found.tokens - exact).max() < 0.1 * frozen.network.tokens(inputs).std()


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

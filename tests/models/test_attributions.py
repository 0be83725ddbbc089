"""Contributions of columns: complete, those of torch, and the same in any company."""

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from captum.attr import IntegratedGradients
from models.small_boosters import random_booster
from scipy.special import expit, logit

from loan_default.models import attributions
from loan_default.models.arrays import to_tensors
from loan_default.models.attributions import attribute
from loan_default.models.calibration import Calibration
from loan_default.models.features import Inputs
from loan_default.models.freezing import frozen_model
from loan_default.models.frozen_model import FrozenModel
from loan_default.models.model import LoanModel, golden_rows_of
from loan_default.models.populations import KEY, populations_of, populations_to_dict, reference_of_model
from loan_default.models.tree_attributions import tree_contributions
from loan_default.models.tree_training import trees_of

BENT = Calibration(slope=0.9, intercept=-0.2, asymmetry=0.2, curvature=0.01)


@pytest.fixture(scope="module")
def torch_model(model: LoanModel) -> LoanModel:
    """The shared model with larger weights, and a calibration that uses each of its numbers."""
    torch.manual_seed(6)
    members = copy.deepcopy(model.members)
    with torch.no_grad():
        for member in members:
            for parameter in member.parameters():
                parameter.normal_(std=0.4)
    return replace(model, members=members, calibration=BENT)


@pytest.fixture(scope="module")
def frozen(torch_model: LoanModel) -> FrozenModel:
    return frozen_model(torch_model, golden=golden_rows_of(torch_model), digest="ab" * 32)


@pytest.fixture(scope="module")
def rows(frozen: FrozenModel, frame: pd.DataFrame) -> Inputs:
    return frozen.features.transform(frame)[slice(0, 30)]


def middle(frozen: FrozenModel, rows: Inputs) -> np.ndarray:
    return frozen.network.tokens(rows).mean(axis=1, keepdims=True)


@pytest.mark.slow
def test_contributions_add_up_from_the_reference_to_the_row(
    frozen: FrozenModel, rows: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attributions, "TOLERANCE", 0.001)  # these networks move PDs by little
    found = attribute(frozen, rows, middle(frozen, rows))
    pds = frozen.predict_pd(rows)
    np.testing.assert_allclose(expit(found.logits), pds, atol=1e-6)
    total = found.reference + found.contributions.sum(axis=1)
    np.testing.assert_allclose(total + found.gaps, found.logits, atol=1e-12)
    assert np.abs(found.gaps).max() < 0.01
    assert np.abs(found.contributions).max() > 10 * np.abs(found.gaps).max()


def test_they_are_those_of_captum(
    torch_model: LoanModel, frozen: FrozenModel, rows: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Integrated gradients by autograd through all members and the calibration, at 100 points of the path."""
    monkeypatch.setattr(attributions, "TOLERANCE", 0.001)
    reference = middle(frozen, rows)
    few = rows[slice(0, 4)]
    found = attribute(frozen, few, reference).contributions
    numerical, codes = to_tensors(few, torch.device("cpu"))
    oracle = IntegratedGradients(lambda *tokens: calibrated_logits(torch_model, tokens))
    by_member = oracle.attribute(
        tuple(each.encoder.embed(numerical, codes).detach() for each in torch_model.members),
        baselines=tuple(torch.from_numpy(each)[None, 0] for each in reference),
        n_steps=100,
        method="gausslegendre",
    )
    expected = sum(each.sum(-1) for each in by_member).numpy()
    np.testing.assert_allclose(found, expected, atol=0.004)
    assert np.abs(expected).max() > 0.1


def calibrated_logits(model: LoanModel, tokens: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Of rows whose tokens `(rows, T, d)` are given for each member."""
    probability = torch.stack(
        [
            logits_by_torch(member, each).double().sigmoid().mean(-1)
            for member, each in zip(model.members, tokens, strict=True)
        ]
    ).mean(0)
    z = torch.logit(probability)
    bend = BENT.asymmetry * torch.log(probability * (1 - probability)) + BENT.curvature * z**2
    return BENT.slope * z + BENT.intercept + bend


def logits_by_torch(member: torch.nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    cls = member.encoder.contextualise(tokens, cls_only=True)
    seen = torch.cat([cls, tokens], 1) if member.config.reads == "all" else cls
    x = torch.relu(member._first(member.norm(seen.flatten(1))))
    for layer in member.layers[1:]:
        x = torch.relu(layer(x))
    return (x * member.weight).sum(-1) + member.bias


def test_a_row_has_the_same_contributions_in_any_company(frozen: FrozenModel, rows: Inputs) -> None:
    reference = middle(frozen, rows)
    together = attribute(frozen, rows, reference).contributions
    for at in (0, 7, 29):
        alone = attribute(frozen, rows[slice(at, at + 1)], reference).contributions[0]
        np.testing.assert_allclose(alone, together[at], atol=2e-5)
        again = attribute(frozen, rows[slice(at, at + 1)], reference).contributions[0]
        np.testing.assert_array_equal(alone, again)


def test_the_reference_itself_is_moved_by_nothing(frozen: FrozenModel, rows: Inputs) -> None:
    first = rows[slice(0, 1)]
    found = attribute(frozen, first, frozen.network.tokens(first))
    assert np.abs(found.contributions).max() == 0.0
    assert found.reference == pytest.approx(float(logit(frozen.predict_pd(first))[0]), abs=1e-5)


def test_no_rows_have_no_contributions(frozen: FrozenModel, rows: Inputs) -> None:
    found = attribute(frozen, rows[slice(0, 0)], middle(frozen, rows))
    assert found.contributions.shape == (0, len(frozen.features.names))


@pytest.fixture(scope="module")
def boosted(frozen: FrozenModel, frame: pd.DataFrame) -> FrozenModel:
    """The same model with trees, which keeps how the values of its applicants are spread."""
    inputs = frozen.features.transform(frame)
    booster = random_booster(np.random.default_rng(2), inputs, rounds=30, min_data_per_group=5)
    trees = trees_of(booster, numerical=len(frozen.features.numerical), categorical=inputs.codes.shape[1])
    pds = np.random.default_rng(3).uniform(0.01, 0.6, len(inputs))
    bands = populations_to_dict(populations_of(inputs, frozen.features, pds))
    return replace(frozen, trees=trees, reference={KEY: bands})


@pytest.mark.parametrize("method", ["all", "cut-off"])
@pytest.mark.parametrize("calibration", [BENT, Calibration(slope=1.2, intercept=-0.3)])
def test_with_trees_they_add_up_to_the_pd_of_both(
    boosted: FrozenModel, rows: Inputs, calibration: Calibration, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attributions, "TOLERANCE", 0.001)
    model = replace(boosted, calibration=calibration)
    reference = reference_of_model(model, method, cutoff=0.3)  # type: ignore[arg-type]
    found = attribute(model, rows, reference.tokens, trees=reference.trees, start=reference.logit)
    np.testing.assert_allclose(expit(found.logits), model.predict_pd(rows), atol=1e-6)
    assert found.reference == reference.logit
    assert np.abs(found.gaps).max() < 0.01
    assert np.abs(found.logits - found.reference).max() > 0.5


@pytest.mark.slow
def test_networks_and_trees_have_equal_weights_in_a_contribution(
    boosted: FrozenModel, rows: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attributions, "TOLERANCE", 1e-4)
    plain = replace(boosted, calibration=Calibration())
    reference = reference_of_model(plain, "all", cutoff=0.2)
    assert reference.trees is not None
    both = attribute(plain, rows, reference.tokens, trees=reference.trees)
    networks = attribute(replace(plain, trees=None), rows, reference.tokens)
    trees = tree_contributions(reference.trees, rows)
    expected = (networks.contributions + trees.of_columns) / 2
    np.testing.assert_allclose(both.contributions, expected, atol=2e-3)
    assert both.reference == pytest.approx((networks.reference + trees.start) / 2, abs=1e-9)
    assert min(np.abs(each).max() for each in (networks.contributions, trees.of_columns)) > 0.1


def test_the_part_of_the_trees_leaves_no_gap(boosted: FrozenModel, rows: Inputs) -> None:
    """The networks stay where they are, so that only the trees move the PD."""
    model = replace(boosted, calibration=Calibration(slope=1.2, intercept=-0.3))
    spreads = reference_of_model(model, "all", cutoff=0.2).trees
    assert spreads is not None
    for at in range(0, 30, 6):
        row = rows[slice(at, at + 1)]
        found = attribute(model, row, model.network.tokens(row), trees=spreads)
        assert np.abs(found.gaps).max() < 1e-6  # the networks compute in single precision
        of_trees = 1.2 / 2 * tree_contributions(spreads, row).of_columns
        np.testing.assert_allclose(found.contributions, of_trees, rtol=0, atol=1e-12)
        assert np.abs(of_trees).max() > 0.01


def test_a_model_is_explained_with_its_trees_or_not_at_all(
    boosted: FrozenModel, frozen: FrozenModel, rows: Inputs
) -> None:
    reference = reference_of_model(boosted, "all", cutoff=0.2)
    for model, trees in ((boosted, None), (frozen, reference.trees)):
        with pytest.raises(ValueError, match="explained whole"):
            attribute(model, rows, reference.tokens, trees=trees)

"""Reasons: the columns that raised a PD most, and no other."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models.small_boosters import random_booster
from scipy.special import expit, logit
from serving.conftest import Saved, save_and_derive

from loan_default.data.schema.column import Column
from loan_default.data.schema.language import Schema
from loan_default.evaluation.metrics import score_points
from loan_default.models.attributions import Attributions, attribute
from loan_default.models.frozen_model import FrozenModel
from loan_default.models.model import LoanModel
from loan_default.models.populations import Reference, reference_of_model
from loan_default.models.serving_file import read_serving_file
from loan_default.models.tree_training import trees_of
from loan_default.serving import explanations
from loan_default.serving.explanations import MOST_REASONS, explain


@pytest.fixture(scope="module")
def frozen(registered: Saved) -> FrozenModel:
    return read_serving_file(registered.serving_file, model=registered.sha256)


@pytest.fixture(scope="module")
def reference(frozen: FrozenModel) -> Reference:
    return reference_of_model(frozen, "all", cutoff=0.2)


def changed(schema: Schema, name: str, **changes: object) -> Schema:
    columns = tuple(replace(each, **changes) if each.name == name else each for each in schema.columns)
    return replace(schema, columns=columns)


def test_reasons_are_the_columns_that_raised_the_pd_most(
    frozen: FrozenModel, frame: pd.DataFrame, reference: Reference
) -> None:
    inputs = frozen.features.transform(frame)[slice(0, 40)]
    contributions = attribute(frozen, inputs, reference.tokens).contributions
    several = 0
    for row, found in enumerate(explain(frozen, inputs, reference)):
        by_size = sorted(
            zip(np.round(contributions[row], 4), frozen.features.names, strict=True), reverse=True
        )
        expected = [name for size, name in by_size if size >= 0.01][:MOST_REASONS]
        assert [each.column for each in found.reasons] == expected
        several += len(expected) > 1
        for each in found.reasons:
            assert each.words == each.column  # the schema of these tests describes nothing
    assert several > 20


@pytest.mark.slow
def test_deleting_the_top_reason_lowers_the_pd(
    frozen: FrozenModel, frame: pd.DataFrame, reference: Reference
) -> None:
    """Its token becomes that of the reference; nearly always the PD falls."""
    inputs = frozen.features.transform(frame)[slice(0, 60)]
    before = explain(frozen, inputs, reference)
    tokens = frozen.network.tokens(inputs)
    names, fell = frozen.features.names, []
    for row, found in enumerate(before):
        if not found.reasons:
            continue
        column = names.index(found.reasons[0].column)
        moved = tokens[:, row : row + 1].copy()
        moved[:, :, column] = reference.tokens[:, :, column]
        there = attribute(frozen, inputs[slice(row, row + 1)], moved)
        fell.append(there.reference < there.logits[0])
    assert len(fell) > 40
    assert np.mean(fell) > 0.9


def test_a_column_that_nobody_can_act_on_is_withheld(
    frozen: FrozenModel, frame: pd.DataFrame, reference: Reference
) -> None:
    inputs = frozen.features.transform(frame)[slice(0, 20)]
    plain = explain(frozen, inputs, reference)
    row, found = next((row, each) for row, each in enumerate(plain) if len(each.reasons) > 1)
    top = found.reasons[0]
    held = replace(frozen, schema=changed(frozen.schema, top.column, actionable=False))
    other = explain(held, inputs, reference)[row]
    assert top.column not in [each.column for each in other.reasons]
    assert other.withheld == pytest.approx(top.contribution)
    assert found.withheld == 0


def test_reasons_have_the_words_of_the_schema_and_points(
    frozen: FrozenModel, frame: pd.DataFrame, reference: Reference
) -> None:
    inputs = frozen.features.transform(frame)[slice(0, 20)]
    plain = next(each for each in explain(frozen, inputs, reference) if each.reasons)
    name = plain.reasons[0].column
    for changes in ({"description": "As described"}, {"description": "x", "reason": "As reasoned"}):
        worded = replace(frozen, schema=changed(frozen.schema, name, **changes))
        found = next(each for each in explain(worded, inputs, reference) if each.reasons)
        assert found.reasons[0].words == list(changes.values())[-1]
    pds = [0.5, 1 / (1 + np.exp(-plain.reasons[0].contribution))]
    change = float(np.diff(score_points(pds))[0])
    assert plain.reasons[0].points == pytest.approx(change, abs=0.051)
    assert plain.reasons[0].points < 0


@pytest.fixture(scope="module")
def boosted(model: LoanModel, frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> FrozenModel:
    """The model with trees, as a server reads it from what is derived from its file."""
    inputs = model.architecture.features.transform(frame)
    booster = random_booster(np.random.default_rng(6), inputs, rounds=40, min_data_per_group=5)
    trees = trees_of(booster, numerical=inputs.numerical.shape[1], categorical=inputs.codes.shape[1])
    saved = save_and_derive(replace(model, trees=trees), tmp_path_factory.mktemp("boosted"))
    return read_serving_file(saved.serving_file, model=saved.sha256)


@pytest.mark.slow
def test_reasons_of_a_model_with_trees_are_columns_of_the_schema_and_add_up_to_the_pd(
    boosted: FrozenModel, frame: pd.DataFrame
) -> None:
    """With a derived date, columns of many levels, and one that is protected."""
    inputs = boosted.features.transform(frame)[slice(0, 40)]
    reference = reference_of_model(boosted, "all", cutoff=0.2)
    found = explain(boosted, inputs, reference)
    contributions = attribute(boosted, inputs, reference.tokens, trees=reference.trees).contributions
    named: set[str] = set()
    for row, each in enumerate(found):
        top = np.sort(contributions[row][contributions[row] >= 0.01])[::-1][:MOST_REASONS]
        assert [reason.contribution for reason in each.reasons] == pytest.approx(top, abs=1e-4)
        named |= {reason.column for reason in each.reasons}
    assert {"born", "employer", "purpose", "income"} <= named <= {*boosted.features.names}
    assert "sex" not in named
    pds = boosted.predict_pd(inputs)
    gaps = [each.gap for each in found]
    np.testing.assert_allclose(reference.logit + contributions.sum(axis=1) + gaps, logit(pds), atol=1e-4)
    assert np.abs(gaps).max() < 0.1
    assert {each.reference_pd for each in found} == {float(expit(reference.logit))}
    assert explain(boosted, inputs[slice(5, 6)], reference)[0].reasons == found[5].reasons


def test_what_trees_add_by_a_column_that_nobody_can_act_on_is_withheld(
    boosted: FrozenModel, frame: pd.DataFrame
) -> None:
    inputs = boosted.features.transform(frame)[slice(0, 20)]
    reference = reference_of_model(boosted, "all", cutoff=0.2)
    plain = explain(boosted, inputs, reference)
    row, found = next((row, each) for row, each in enumerate(plain) if len(each.reasons) > 1)
    top = found.reasons[0]
    held = replace(boosted, schema=changed(boosted.schema, top.column, actionable=False))
    other = explain(held, inputs, reference)[row]
    assert top.column not in [each.column for each in other.reasons]
    assert other.withheld == pytest.approx(top.contribution)


@given(
    contributions=st.lists(st.floats(-5, 5).map(lambda each: round(each, 6)), min_size=8, max_size=8),
    noise=st.lists(st.floats(-4e-6, 4e-6), min_size=8, max_size=8),
)
def test_at_most_four_the_strongest_first_and_rounding_decides_nothing(
    contributions: list[float], noise: list[float]
) -> None:
    """Contributions beside one another that differ by more than the noise keep their order with it."""
    columns = tuple(Column(name=f"c{at}", kind="numerical") for at in range(7))  # type: ignore[arg-type]
    odd = Column(name="c7", kind="numerical", actionable=False)  # type: ignore[arg-type]
    schema = Schema(name="s", columns=(*columns, odd))

    def found(values: np.ndarray) -> explanations.Explanation:
        attributions = Attributions(
            contributions=values[None], reference=-1.0, logits=np.array([values.sum() - 1.0])
        )
        reference = Reference(name="r", rows=1, tokens=np.zeros((1, 1, 8, 1), np.float32), logit=-1.0)
        return explanations._explanation(
            attributions, 0, names=[f"c{at}" for at in range(8)], schema=schema, reference=reference
        )

    values = np.round(np.array(contributions), 3)
    plain, noisy = found(values), found(values + np.array(noise))
    assert plain.reasons == noisy.reasons
    sizes = [each.contribution for each in plain.reasons]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == min(4, int((values[:7] >= 0.01).sum()))
    assert plain.withheld == pytest.approx(max(values[7], 0) if values[7] >= 0.01 else 0)
    assert plain.gap == 0


def test_small_changes_of_a_row_keep_its_top_reason(
    frozen: FrozenModel, frame: pd.DataFrame, reference: Reference, model: LoanModel
) -> None:
    rows = frame.head(40).copy()
    moved = rows.assign(income=rows["income"] * (1 + 1e-9))
    first, second = (explain(frozen, frozen.features.transform(each), reference) for each in (rows, moved))
    assert [each.reasons for each in first] == [each.reasons for each in second]
    assert model.version in first[0].reference

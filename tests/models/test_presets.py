from dataclasses import replace

import numpy as np
import pytest

from loan_default.choices import PRESETS
from loan_default.models.features import Features, NumericalFeature
from loan_default.models.member_training import Architecture
from loan_default.models.presets import FEW_OUTCOMES, preset_for

SIZES = (0, 32, 50, 127, 1_000, 20_000, 99_999, 100_000, 300_000, 10_000_000)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("unlabelled", [0, 30, 10_000_000])
def test_every_preset_is_valid_for_any_number_of_rows(name: str, rows: int, unlabelled: int) -> None:
    preset = preset_for(name, rows=rows, unlabelled=unlabelled)  # the configs check themselves
    assert preset.name == name
    assert preset.members >= 1
    for config in (preset.pretraining, preset.training):
        assert config.epochs >= 1
        assert 2 <= config.batch_size <= 4_096
    assert rows < 128 or preset.training.batch_size <= rows // 8, "an epoch must have some steps"
    everything = rows + unlabelled
    assert everything < 128 or preset.pretraining.batch_size <= everything // 8
    assert preset.training.patience <= preset.training.epochs
    assert preset.encoder.width // preset.encoder.heads >= 16


@pytest.mark.parametrize("name", PRESETS)
def test_larger_sets_take_no_more_epochs_and_no_smaller_batches(name: str) -> None:
    presets = [preset_for(name, rows=rows) for rows in SIZES]
    epochs = [preset.training.epochs for preset in presets]
    batches = [preset.training.batch_size for preset in presets]
    assert epochs == sorted(epochs, reverse=True)
    assert batches == sorted(batches)


def test_presets_are_ordered_by_what_they_cost() -> None:
    cheap, dear = (preset_for(name, rows=20_000) for name in ("fast", "default"))
    assert cheap.members < dear.members
    assert cheap.encoder.n_layers < dear.encoder.n_layers
    assert cheap.training.epochs <= dear.training.epochs
    assert cheap.pretraining.epochs < dear.pretraining.epochs


@pytest.mark.parametrize("name", PRESETS)
def test_larger_sets_take_no_more_members(name: str) -> None:
    members = [preset_for(name, rows=rows).members for rows in SIZES]
    assert members == sorted(members, reverse=True)  # before rows are read, the first is what is planned for


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds_a_network(name: str) -> None:
    preset = preset_for(name, rows=1_000)
    column = NumericalFeature(name="x", quantiles=np.array([0.0, 1.0]), edges=np.array([-1.0, 1.0]))
    architecture = Architecture(
        features=Features(numerical=(column, replace(column, name="y")), categorical=()),
        encoder=preset.encoder,
        head=preset.head,
    )
    assert len(architecture.new_classifier().encoder.blocks) == preset.encoder.n_layers


@pytest.mark.parametrize("name", PRESETS)
def test_few_outcomes_are_scored_by_their_log_loss(name: str) -> None:
    counts = (1, FEW_OUTCOMES - 1, FEW_OUTCOMES, 10_000)
    measures = [preset_for(name, rows=20_000, rarer_outcomes=count).training.measure for count in counts]
    assert measures == ["log loss", "log loss", "AUC", "AUC"]
    assert preset_for(name, rows=20_000).training.measure == "AUC"


def test_an_unknown_preset_is_refused_with_its_name() -> None:
    with pytest.raises(ValueError, match="however: preset='quick'"):
        preset_for("quick", rows=100)


@pytest.mark.parametrize("name", PRESETS)
def test_members_learn_from_both_kinds_of_rows_where_few_have_a_label(name: str) -> None:
    weights = [preset_for(name, rows=500, unlabelled=count).pretraining_weight for count in (0, 1_999, 2_000)]
    assert weights == [0, 0, 1]
    assert preset_for(name, rows=0).pretraining_weight == 0

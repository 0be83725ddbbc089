from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SCHEMA

from loan_default.models.encoder import EncoderConfig
from loan_default.models.features import Features
from loan_default.models.model import PretrainedEncoder
from loan_default.models.presets import Preset
from loan_default.pipelines.training.preset_choice import choose_preset
from loan_default.pipelines.training.training_options import FileData, TrainingOptions

OPTIONS = TrainingOptions(data=FileData(path=Path("loans.csv")), pretrain=False)


def encoder(**provenance: Any) -> PretrainedEncoder:
    return PretrainedEncoder(
        schema=SCHEMA,
        features=Features(numerical=(), categorical=()),
        config=EncoderConfig(n_layers=1),
        state={},
        provenance=provenance,
    )


def chosen(
    options: TrainingOptions,
    *,
    rows: int = 100,
    unlabelled: int = 1_000,
    start: PretrainedEncoder | None = None,
) -> tuple[Preset, dict[str, str]]:
    labels = (np.arange(rows) % 4 == 0).astype(float)
    preset, choices = choose_preset(options, labels=labels, unlabelled=unlabelled, encoder=start)
    return preset, {choice.what: choice.reason for choice in choices}


def test_the_rarer_outcome_decides_what_is_measured() -> None:
    assert chosen(OPTIONS, rows=796)[0].training.measure == "log loss"
    assert chosen(OPTIONS, rows=804)[0].training.measure == "AUC"


def test_unlabelled_rows_count_only_where_training_starts_from_pretraining() -> None:
    preset, reasons = chosen(OPTIONS)
    assert preset.pretraining_weight == 0
    assert list(reasons) == ["preset"]
    for options, start in ((replace(OPTIONS, pretrain=True), None), (OPTIONS, encoder())):
        preset, reasons = chosen(options, start=start)
        assert preset.pretraining_weight > 0
        assert reasons["loss"] == "100 training rows have a label, 1,000 rows have none"
        assert chosen(options, unlabelled=100, start=start)[0].pretraining_weight == 0

    _, reasons = chosen(replace(OPTIONS, pretrain=True, train=False))
    assert list(reasons) == ["preset"], "nothing is trained"


@pytest.mark.parametrize(
    ("provenance", "objective"),
    [({"objective": "nt-xent"}, "nt-xent"), ({"objective": "of later"}, "detection"), ({}, "detection")],
)
def test_a_given_encoder_goes_on_with_its_sizes_and_objective(
    provenance: dict[str, str], objective: str
) -> None:
    preset, _ = chosen(OPTIONS, start=encoder(**provenance))
    assert preset.encoder == EncoderConfig(n_layers=1)
    assert preset.objective.objective == objective


def test_what_a_person_asks_for_comes_before_the_preset() -> None:
    asked = replace(
        OPTIONS, pretrain=True, epochs=3, pretraining_epochs=2, members=1, objective="both", preset="fast"
    )
    preset, _ = chosen(asked)
    assert (preset.name, preset.members, preset.objective.objective) == ("fast", 1, "both")
    assert (preset.training.epochs, preset.pretraining.epochs) == (3, 2)

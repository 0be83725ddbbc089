"""Rows that nobody has, and what is refused by them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from loan_default.data.schema.language import Schema
from loan_default.errors import ArtifactError
from loan_default.models.artifact import read_artifact, write_artifact
from loan_default.models.features import Features
from loan_default.models.golden_rows import (
    ROWS,
    TOLERANCE,
    GoldenRows,
    golden_frame,
    golden_from_dict,
    golden_records,
    golden_to_dict,
)
from loan_default.models.model import LoanModel, golden_rows_of, load_model, save_model


@pytest.fixture(scope="module")
def golden(model: LoanModel) -> GoldenRows:
    return golden_rows_of(model)


def test_they_vary_in_each_column_and_miss_values_in_each(features: Features, golden: GoldenRows) -> None:
    assert len(golden.records) == len(golden.pds) == ROWS
    for name in features.names:
        values = {record[name] for record in golden.records}
        assert None in values, name
        assert len(values) >= 3, name
    assert len(np.unique(golden.pds)) == ROWS


def test_they_are_no_rows_of_the_training_data(frame: pd.DataFrame, golden: GoldenRows) -> None:
    names = ["amount", "income", "term", "grade", "purpose", "region"]
    known = {tuple(row) for row in frame[names].astype(object).where(frame[names].notna(), None).to_numpy()}
    assert not known & {tuple(record[name] for name in names) for record in golden.records}


def test_they_are_the_same_for_the_same_features(features: Features) -> None:
    assert golden_records(features) == golden_records(features)


def test_they_come_back_from_the_model_file_with_the_pds_that_it_gives_them(
    model: LoanModel, schema: Schema, golden: GoldenRows, tmp_path: Path
) -> None:
    save_model(tmp_path / "model.pth", replace(model, golden=golden))
    loaded = load_model(tmp_path / "model.pth")
    assert loaded.golden is not None
    assert loaded.golden.records == golden.records
    np.testing.assert_array_equal(loaded.golden.pds, loaded.predict_pd(golden_frame(golden.records, schema)))


def test_a_file_without_them_has_the_bits_of_before_and_loads(model: LoanModel, saved: Path) -> None:
    assert "golden" not in read_artifact(saved, kind="model")
    assert load_model(saved).golden is None


def test_they_need_nothing_but_json_and_floats(features: Features, golden: GoldenRows) -> None:
    raw = golden_to_dict(golden)
    raw["columns"] = json.loads(json.dumps(raw["columns"]))
    again = golden_from_dict(raw, features)
    assert again.records == golden.records
    np.testing.assert_array_equal(again.pds, golden.pds)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda pds: pds + 2 * TOLERANCE, "off by 2.0e-06"),
        (lambda pds: np.where(np.arange(len(pds)) == 3, np.nan, pds), "must be between 0 and 1"),
        (lambda pds: np.where(np.arange(len(pds)) == 3, 1.0, pds), "must be between 0 and 1"),
        (lambda pds: pds[1:], "must be between 0 and 1"),
    ],
)
def test_other_pds_are_refused(golden: GoldenRows, change: Callable[[Any], Any], reason: str) -> None:
    golden.check(golden.pds + TOLERANCE / 2, what="it")
    with pytest.raises(ArtifactError, match=reason):
        golden.check(change(golden.pds), what="it")


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        {},
        {"columns": {}, "pds": torch.zeros(16, dtype=torch.float64)},
        {"columns": {"amount": [1.0]}, "pds": torch.zeros(1, dtype=torch.float64)},
        {"columns": 5, "pds": torch.zeros(1, dtype=torch.float64)},
    ],
)
def test_what_are_no_golden_rows_is_refused_with_its_file(saved: Path, raw: Any) -> None:
    payload = read_artifact(saved, kind="model")
    write_artifact(
        saved, {**{key: payload[key] for key in payload if key != "version"}, "golden": raw}, kind="model"
    )
    with pytest.raises(ArtifactError):
        load_model(saved)

"""A model of random weights over columns of all kinds, and records of it, without any training."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch

from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import schema_from_dict
from loan_default.data.sources.generator import generate
from loan_default.models.calibration import Calibration
from loan_default.models.classifier import HeadConfig
from loan_default.models.deriving import derive
from loan_default.models.encoder import EncoderConfig
from loan_default.models.features import fit_features
from loan_default.models.member_training import Architecture
from loan_default.models.model import LoanModel, golden_rows_of, save_model
from loan_default.models.reference import reference_of
from loan_default.models.serving_file import serving_path
from loan_default.pipelines.layout import MODELS, SERVING_FILES

ALL_KINDS = {
    "id": {"kind": "identifier", "optional": True},
    "made": {"kind": "timestamp"},
    "born": {"kind": "date", "derive": "years_before_application", "nullable": True},
    "income": {"kind": "numerical", "minimum": 0, "maximum": 500_000, "nullable": True},
    "late": {"kind": "numerical", "integer": True, "minimum": 0, "maximum": 99, "special": [96, 98]},
    "ratio": {"kind": "numerical", "minimum": 0, "maximum": 1, "optional": True, "nullable": True},
    "grade": {"kind": "ordinal", "categories": ["low", "middle", "high"], "nullable": True},
    "purpose": {"kind": "categorical", "categories": ["car", "house", "study"], "nullable": True},
    "city": {
        "kind": "categorical",
        "categories": ["Berlin", "Köln"],
        "open": True,
        "buckets": 8,
        "nullable": True,
    },
    "employer": {"kind": "categorical", "open": True, "nullable": True},
    "weight": {"kind": "weight", "optional": True, "nullable": True},
    "sex": {"kind": "categorical", "categories": ["f", "m"], "protected": True},
    "bad": {"kind": "target", "positive": "yes", "negative": "no"},
}
"""Columns of all kinds."""


@pytest.fixture(scope="session")
def schema() -> Schema:
    return schema_from_dict({"name": "all_kinds", "columns": ALL_KINDS})


@pytest.fixture(scope="session")
def frame(schema: Schema) -> pd.DataFrame:
    """Canonical rows; 70 employers, each in several of them, have rates of levels."""
    rows = generate(schema, rows=700, seed=3).frame
    rng = np.random.default_rng(4)
    rows["employer"] = pd.Series([f"Firm {at}" for at in rng.integers(0, 70, len(rows))], dtype="str")
    rows["city"] = pd.Series(rng.choice(["Berlin", "Köln", "Ulm", "Jena", None], len(rows)), dtype="str")
    rows["late"] = rng.poisson(1.5, len(rows)).astype(np.float64)
    return rows


def model_of(schema: Schema, frame: pd.DataFrame, *, seed: int, version: str) -> LoanModel:
    """Two members whose every weight is random."""
    torch.manual_seed(seed)
    features = fit_features(frame, schema)
    architecture = Architecture(
        features=features,
        encoder=EncoderConfig(n_layers=2, width=16, heads=2),
        head=HeadConfig(predictors=3, hidden=16, scales="tokens"),
    )
    members = tuple(architecture.new_classifier().eval() for _ in range(2))
    with torch.no_grad():
        for member in members:
            for parameter in member.parameters():
                parameter.normal_(std=0.5)
            assert member.encoder.level_rates is not None
            member.encoder.level_rates.rates.normal_()
    return LoanModel(
        version=version,
        schema=schema,
        architecture=architecture,
        members=members,
        calibration=Calibration(slope=1.1, intercept=-0.2),
        metrics={},
        reference=reference_of(features.transform(frame), features, np.linspace(0.01, 0.6, 200)),
        provenance={"seed": seed},
    )


@pytest.fixture(scope="session")
def model(schema: Schema, frame: pd.DataFrame) -> LoanModel:
    return model_of(schema, frame, seed=5, version="20261129-120000-abcdef")


class Saved(NamedTuple):
    """A model file, its digest, and the folder with what is derived from it."""

    path: Path
    sha256: str
    cache: Path

    @property
    def serving_file(self) -> Path:
        return serving_path(self.cache, self.sha256)


def save_and_derive(model: LoanModel, home: Path) -> Saved:
    """What training and registration leave behind of a model."""
    path, cache = home / MODELS / f"{model.version}.pth", home / SERVING_FILES
    sha256 = save_model(path, replace(model, golden=golden_rows_of(model)))
    derive(path, sha256=sha256, out=serving_path(cache, sha256))
    return Saved(path, sha256, cache)


@pytest.fixture(scope="session")
def registered(model: LoanModel, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """For tests that change no file."""
    return save_and_derive(model, tmp_path_factory.mktemp("home"))


@pytest.fixture
def saved(registered: Saved, tmp_path: Path) -> Saved:
    """A copy that a test may damage."""
    home = Path(shutil.copytree(registered.cache.parent, tmp_path / "home"))
    return Saved(home / MODELS / registered.path.name, registered.sha256, home / SERVING_FILES)


@pytest.fixture(scope="session")
def records(frame: pd.DataFrame, schema: Schema) -> list[dict[str, Any]]:
    """The rows as records of JSON, before validation."""
    return [
        {name: _as_json(value) for name, value in zip(frame.columns, row, strict=True)}
        for row in frame.itertuples(index=False)
    ]


def _as_json(value: Any) -> Any:
    if pd.isna(value):
        return None
    return value.isoformat() if isinstance(value, pd.Timestamp) else value

"""Small generated rows, networks and model files that the tests of the models share."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import schema_from_dict
from loan_default.data.sources.generator import generate
from loan_default.models.calibration import Calibration
from loan_default.models.classifier import HeadConfig
from loan_default.models.encoder import EncoderConfig
from loan_default.models.features import Features, fit_features
from loan_default.models.fitting import Fitted
from loan_default.models.labelled import Labelled
from loan_default.models.member_training import Architecture
from loan_default.models.model import LoanModel, save_model


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Results are repeatable to the bit on one thread only."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def schema() -> Schema:
    numerical = {"kind": "numerical", "minimum": 0, "maximum": 1000, "nullable": True}
    return schema_from_dict(
        {
            "name": "small",
            "columns": {
                "amount": numerical,
                "income": numerical,
                "term": {"kind": "numerical", "minimum": 1, "maximum": 6, "integer": True},
                "grade": {"kind": "ordinal", "categories": ["low", "middle", "high"], "nullable": True},
                "purpose": {"kind": "categorical", "categories": ["car", "house", "study"], "nullable": True},
                "region": {"kind": "categorical", "categories": ["north", "south"]},
                "sex": {"kind": "categorical", "categories": ["f", "m"], "protected": True},
                "default": {"kind": "target"},
            },
        }
    )


@pytest.fixture(scope="session")
def frame(schema: Schema) -> pd.DataFrame:
    return generate(schema, rows=400, seed=3).frame


@pytest.fixture(scope="session")
def features(frame: pd.DataFrame, schema: Schema) -> Features:
    return fit_features(frame, schema)


@pytest.fixture(scope="session")
def architecture(features: Features) -> Architecture:
    return Architecture(
        features=features,
        encoder=EncoderConfig(n_layers=2, width=16, heads=1),
        head=HeadConfig(predictors=2, hidden=16),
    )


@pytest.fixture(scope="session")
def labelled(frame: pd.DataFrame, features: Features) -> Labelled:
    return Labelled(inputs=features.transform(frame), labels=frame["default"].to_numpy(dtype=np.float32))


@pytest.fixture(scope="session")
def model(architecture: Architecture, schema: Schema) -> LoanModel:
    """Two members with random weights: enough to be saved, loaded and damaged."""
    torch.manual_seed(5)
    return LoanModel(
        version="20261123-120000-abcdef",
        schema=schema,
        architecture=architecture,
        members=tuple(architecture.new_classifier().eval() for _ in range(2)),
        calibration=Calibration(slope=0.9, intercept=-0.1),
        metrics={"test": {"auc": np.float64(0.75), "rows": 100}},
        reference={"pd": {"edges": np.array([0.1, 0.2]), "counts": np.array([5, 6, 7, 0])}},
        provenance={"seed": 0, "data": "small.csv"},
    )


@pytest.fixture
def saved(model: LoanModel, tmp_path: Path) -> Path:
    path = tmp_path / "model.pth"
    save_model(path, model)
    return path


@pytest.fixture(scope="session")
def same_weights() -> Callable[[Fitted, Fitted], bool]:
    def same(one: Fitted, other: Fitted) -> bool:
        return one.state.keys() == other.state.keys() and all(
            torch.equal(tensor, other.state[name]) for name, tensor in one.state.items()
        )

    return same


@pytest.fixture(scope="session")
def quiet() -> Callable[[Any], None]:
    return lambda progress: None

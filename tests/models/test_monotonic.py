"""Pairs of rows that differ in one monotonic value, and what networks and trees learn from them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import schema_from_dict
from loan_default.errors import DataError
from loan_default.models.arrays import predict, to_tensors
from loan_default.models.classifier import HeadConfig
from loan_default.models.encoder import EncoderConfig
from loan_default.models.features import (
    Features,
    Inputs,
    features_from_dict,
    features_to_dict,
    fit_features,
)
from loan_default.models.labelled import Labelled
from loan_default.models.member_training import Architecture, MemberJob, train_members, trained_classifier
from loan_default.models.monotonic import moved_rows
from loan_default.models.schedules import FitConfig
from loan_default.models.tree_training import fit_trees

GRID = np.linspace(-2, 2, 25, dtype=np.float32)


def test_one_value_of_each_row_is_exchanged_and_the_sign_says_which_way() -> None:
    numerical = torch.tensor([[0.0, 5.0, 1.0], [1.0, 6.0, float("nan")], [2.0, 7.0, 3.0], [2.0, 8.0, 0.0]])
    directions = torch.tensor([1, 0, -1])
    seen = set()
    for seed in range(50):
        moved, rises = moved_rows(numerical, directions, torch.Generator().manual_seed(seed))
        assert torch.equal(moved[:, 1], numerical[:, 1])
        for before, after, way in zip(numerical, moved, rises.tolist(), strict=True):
            changed = [
                at for at in (0, 2) if not torch.equal(before[at].nan_to_num(9.0), after[at].nan_to_num(9.0))
            ]
            assert len(changed) <= 1
            if not changed or before[changed[0]].isnan() or after[changed[0]].isnan():
                assert way == 0
                continue
            (at,) = changed
            assert way == directions[at] * torch.sign(after[at] - before[at])
            seen.add((at, way))
    assert seen == {(0, 1.0), (0, -1.0), (2, 1.0), (2, -1.0)}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """The default rate falls with `late`, whatever a schema asks, and rises with `debt`."""
    rng = np.random.default_rng(0)
    late, debt = rng.normal(size=(2, 600))
    bad = rng.random(600) < 1 / (1 + np.exp(2 * late - debt))
    return pd.DataFrame({"late": late, "debt": debt, "bad": bad.astype(float)})


def schema_of(*, late: str) -> Schema:
    monotonic = {"monotonic": late} if late else {}
    columns = {
        "late": {"kind": "numerical", **monotonic},
        "debt": {"kind": "numerical"},
        "bad": {"kind": "target"},
    }
    return schema_from_dict({"name": "s", "columns": columns})


def labelled(rows: pd.DataFrame, features: Features) -> Labelled:
    return Labelled(inputs=features.transform(rows), labels=rows["bad"].to_numpy(np.float32))


def furthest_fall(pds: np.ndarray) -> float:
    """Of PDs `(rows, grid)`."""
    return float((np.maximum.accumulate(pds, axis=1) - pds).max())


def on_the_grid() -> Inputs:
    """Four rows of other debts, each with every value of `late`."""
    late, debt = np.meshgrid(GRID, np.array([-1, 0, 1, np.nan], np.float32))
    numerical = np.column_stack([late.ravel(), debt.ravel()])
    return Inputs(numerical=numerical, codes=np.zeros((len(numerical), 0), np.int64))


@pytest.mark.slow
def test_a_network_hardly_falls_where_it_must_not_and_falls_where_it_may(rows) -> None:
    falls = {}
    for late in ("", "increasing", "decreasing"):
        features = fit_features(rows, schema_of(late=late))
        architecture = Architecture(
            features=features,
            encoder=EncoderConfig(n_layers=1, width=16, heads=1),
            head=HeadConfig(predictors=2),
        )
        known = labelled(rows, features)
        job = MemberJob(
            number=1,
            seed=1,
            fingerprint="",
            checkpoint=None,
            learned=np.arange(450),
            scored=np.arange(450, 600),
        )
        (fitted,) = train_members(
            architecture,
            known,
            jobs=[job],
            config=FitConfig(epochs=10, learning_rate=1e-2, batch_size=64, patience=0),
            encoder_state=None,
            device=torch.device("cpu"),
            processes=1,
            resume=False,
            on_progress=lambda progress: None,
        )
        member = trained_classifier(architecture, fitted.state, known.inputs)
        pds = predict(member, to_tensors(on_the_grid(), torch.device("cpu"))).reshape(4, -1)
        falls[late] = furthest_fall(-pds if late == "decreasing" else pds)
        assert ("falls" in fitted.history[-1].losses) == bool(late)
    assert falls[""] > 0.5  # what the rows say
    assert falls["increasing"] < 0.01
    assert falls["decreasing"] < 0.01


@pytest.mark.slow
def test_trees_never_fall_where_they_must_not(rows) -> None:
    falls = {}
    for late in ("", "increasing", "decreasing"):
        features = fit_features(rows, schema_of(late=late))
        known = labelled(rows, features)
        trees = fit_trees(
            known[np.arange(450)], known[np.arange(450, 600)], seed=0, directions=features.directions
        )
        logits = trees.logits(on_the_grid()).reshape(4, -1)
        falls[late] = furthest_fall(-logits if late == "decreasing" else logits)
    assert falls[""] > 1
    assert falls["increasing"] == falls["decreasing"] == 0


def test_a_direction_is_kept_with_the_features(rows) -> None:
    features = fit_features(rows, schema_of(late="decreasing"))
    assert features.directions.tolist() == [-1, 0]
    assert features_from_dict(features_to_dict(features)).directions.tolist() == [-1, 0]
    plain = features_to_dict(fit_features(rows, schema_of(late="")))
    assert all("direction" not in each for each in plain["numerical"])
    bent = replace(features, numerical=(replace(features.numerical[0], direction=2),))
    with pytest.raises(DataError, match="a direction must be -1, 0 or 1, however: 2"):
        features_from_dict(features_to_dict(bent))

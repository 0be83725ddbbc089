"""The default preset on a credit set by the stages that `train.py` runs, over the split of the benchmarks.

The test rows count as a permanent holdout: the last fit learns from training and validation rows alone. The
first member is scored on the validation rows and learns from the training rows, as a single net would.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from benchmarks.credit_sets import CreditSet
from loan_default.choices import CalibrationMethod, Objective
from loan_default.data.datasets.folds import folds_of
from loan_default.data.datasets.leakage import LeakCheck
from loan_default.data.datasets.splits import Split
from loan_default.data.schema.column import Column, Kind
from loan_default.models.calibration import choose_calibration
from loan_default.models.device import Compute
from loan_default.models.features import fit_features
from loan_default.models.fitting import Progress
from loan_default.models.model import LoanModel, PretrainedEncoder, load_encoder, mean_probability
from loan_default.models.trees import blend
from loan_default.pipelines.training.dataset import Dataset
from loan_default.pipelines.training.member_fits import out_of_fold
from loan_default.pipelines.training.plan import TrainingPlan
from loan_default.pipelines.training.preset_choice import choose_preset
from loan_default.pipelines.training.schema_choice import SchemaChoice
from loan_default.pipelines.training.stages import pretrain_encoder, train_classifier
from loan_default.pipelines.training.stopwatch import Stopwatch
from loan_default.pipelines.training.training_options import StoreData, TrainingOptions
from loan_default.pipelines.training.tree_fits import fit_trees_of_run, refit_trees_of_run

Floats = NDArray[np.float64]
_TARGET = "outcome of the benchmark"


@dataclass(frozen=True, kw_only=True, slots=True)
class WholeRun:
    """What a run predicts. Raw means before calibration; `(members, rows)` holds a row for each member."""

    validation: Floats
    """Raw, of the first member, of the validation rows `(rows,)`: it learned from the training rows."""
    raw_test: Floats
    """Raw, of each member, of the test rows."""
    raw_refitted: Floats
    """The same by the members of the last fit."""
    pooled_test: Floats
    """Raw, of the model: its members pooled."""
    pooled_refitted: Floats
    unseen: NDArray[np.int64]
    """Positions of the rows `(n,)` that the calibration was fitted on, fold after fold."""
    pooled_unseen: Floats
    """Raw, of these rows by members that did not learn from them."""
    test: Floats
    """PDs `(rows,)` of the model that is measured, before the last fit."""
    refitted: Floats
    """PDs of the model that is handed over."""
    method: CalibrationMethod
    """The form of the calibration."""


def pretrained_encoder(data: CreditSet, *, objective: Objective, folder: Path) -> PretrainedEncoder:
    """An encoder pretrained on the training rows and those without a label; `folder` keeps its file."""
    path = folder / "encoder.pth"
    if not path.exists():
        plan = _plan(data, pretrain=True, seed=0, encoder=None)
        config = replace(plan.preset.objective, objective=objective)
        plan = replace(plan, preset=replace(plan.preset, objective=config))
        pretrain_encoder(plan, out=folder, watch=_watch(), on_progress=_silent)
    return load_encoder(path)


def whole_run(
    data: CreditSet,
    *,
    pretrain: bool,
    seed: int,
    folder: Path,
    encoder: PretrainedEncoder | None = None,
) -> WholeRun:
    """Train as a user does; `folder` keeps the checkpoints from which a repeated call goes on."""
    plan = _plan(data, pretrain=pretrain, seed=seed, encoder=encoder)
    watch, started = _watch(), datetime(2026, 1, 1, tzinfo=UTC)
    pretrained = None
    if pretrain:
        pretrained, _ = pretrain_encoder(plan, out=folder, watch=watch, on_progress=_silent)
    trained = train_classifier(
        plan, pretrained, out=folder, watch=watch, on_progress=_silent, started_at=started
    )
    test, unseen = data.frame.iloc[data.test], out_of_fold(plan, trained.measured.members)
    return WholeRun(
        validation=_of_each_member(trained.measured, data.frame.iloc[data.validation])[0],
        raw_test=_of_each_member(trained.measured, test),
        raw_refitted=_of_each_member(trained.model, test),
        pooled_test=trained.measured.predict_raw(test),
        pooled_refitted=trained.model.predict_raw(test),
        unseen=unseen.positions,
        pooled_unseen=unseen.raw,
        test=trained.measured.predict_pd(test),
        refitted=trained.model.predict_pd(test),
        method=trained.calibration.method,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class RunWithTrees:
    """PDs of the test rows by the networks of a run and boosted trees, as `--with-trees` gives them."""

    test: Floats
    refitted: Floats
    method: CalibrationMethod


def add_trees(data: CreditSet, run: Mapping[str, NDArray[Any]], *, seed: int) -> RunWithTrees:
    """What a run of the default preset would have predicted with trees; its networks are not trained again.

    Args:
        run: arrays of a `WholeRun` of the same seed, by name.
    """
    plan = _plan(data, pretrain=True, seed=seed, encoder=None)
    plan = replace(plan, options=replace(plan.options, with_trees=True))
    unseen = np.asarray(run["unseen"], np.int64)
    if not np.array_equal(unseen, np.concatenate(plan.folds[: plan.preset.members])):
        raise ValueError("a run must have the present folds and members, however: it is of a former preset")
    found = fit_trees_of_run(plan, watch=_watch())
    assert found is not None
    rows, inputs = plan.labelled(unseen), plan.inputs[data.test]
    choice = choose_calibration(blend(run["pooled_unseen"], found.out_of_fold), rows.labels)
    last = refit_trees_of_run(plan, found)
    return RunWithTrees(
        test=choice.calibration.apply(blend(run["pooled_test"], found.trees.logits(inputs))),
        refitted=choice.calibration.apply(blend(run["pooled_refitted"], last.logits(inputs))),
        method=choice.method,
    )


def _plan(data: CreditSet, *, pretrain: bool, seed: int, encoder: PretrainedEncoder | None) -> TrainingPlan:
    target = Column(name=_TARGET, kind=Kind.TARGET)
    schema = replace(data.schema, columns=(*data.schema.columns, target))
    frame = data.frame.assign(**{_TARGET: data.y.astype(np.float64)})
    split = Split(
        train=np.sort(data.train),
        validation=np.sort(data.validation),
        test=np.sort(data.test),
        unlabelled=data.unlabelled,
        reason="that of the benchmarks",
    )
    frame.loc[data.unlabelled, _TARGET] = np.nan
    pretraining = np.concatenate([split.train, split.unlabelled])
    fitted_on = pretraining if pretrain else split.train
    features = fit_features(frame.iloc[fitted_on], schema, labelled=np.isin(fitted_on, split.train))
    if encoder is not None:
        features = encoder.features
    hashed = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    options = TrainingOptions(
        data=StoreData(folder=Path(data.name)),  # whose test rows are a permanent holdout
        pretrain=pretrain,
        seed=seed,
        device="cpu",
        resume=True,
    )
    preset, choices = choose_preset(
        options, labels=data.y[data.train], unlabelled=len(split.unlabelled), encoder=encoder
    )
    return TrainingPlan(
        options=options,
        schema_choice=SchemaChoice(schema=schema, notes={}, origin="the benchmark"),
        dataset=Dataset(
            schema=schema,
            source=data.name,
            frame=frame,
            quarantined=frame.iloc[:0],
            reasons={},
            rows_read=len(frame),
            duplicates=0,
            ignored_columns=(),
            digest=hashlib.sha256(hashed.tobytes()).hexdigest(),
            period=None,
        ),
        split=split,
        folds=folds_of(split, data.y.astype(np.float64), groups=np.arange(len(frame)), seed=seed),
        pretraining=pretraining,
        features=features,
        inputs=features.transform(frame),
        preset=preset,
        compute=Compute(device=torch.device("cpu"), threads=1, processes=1, choices=()),
        encoder=encoder,
        leaks=LeakCheck(alone={}),
        choices=tuple(choices),
    )


def _watch() -> Stopwatch:
    return Stopwatch(lambda _name, _detail: None)


def _of_each_member(model: LoanModel, frame: pd.DataFrame) -> Floats:
    inputs = model.architecture.features.transform(frame)
    return np.array([mean_probability([member], inputs) for member in model.members])


def _silent(progress: Progress) -> None:
    """Benchmarks report whole runs, not epochs."""

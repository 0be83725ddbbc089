"""Training as a use case: what decides the weights, what must not, and going on after an interruption."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from loan_default.data.datasets.row_hashing import DIGEST_VERSION
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import dump_schema
from loan_default.errors import ConfigurationError, DataError
from loan_default.models.features import features_to_dict
from loan_default.models.model import load_encoder, save_encoder
from loan_default.pipelines.training.plan import TrainingPlan, plan_training
from loan_default.pipelines.training.run_folder import open_folder
from loan_default.pipelines.training.stages import pretrain_encoder, train_classifier
from loan_default.pipelines.training.stopwatch import Stopwatch
from loan_default.pipelines.training.training_options import FileData, TrainingOptions

ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_and_another_one_others(lab, tmp_path):
    first = _weights(lab.options, tmp_path / "a")
    assert _weights(lab.options, tmp_path / "b") == first
    assert _weights(lab.with_options(seed=1), tmp_path / "c") != first


@pytest.mark.slow
def test_test_rows_take_no_part_in_the_fitting(lab, tmp_path):
    """Other values in the test rows change neither the features nor the weights that are measured."""
    plan = lab.outcome.plan
    rows = plan.dataset.frame.index[plan.split.test]
    raw = lab.raw.copy()
    raw.loc[rows, "income"] = [str(value) for value in 7e6 + np.arange(len(rows))]
    raw.loc[rows, "debt"] = "-12345.6"
    raw.loc[rows, "city"] = "Atlantis"
    data = tmp_path / "loans.csv"
    raw.to_csv(data, index=False)
    changed = plan_training(lab.with_options(data=FileData(data)), watch=_watch(), environ=ONE_THREAD)
    assert changed.dataset.digest != plan.dataset.digest
    assert (changed.split.test == plan.split.test).all()
    np.testing.assert_equal(features_to_dict(changed.features), features_to_dict(plan.features))
    assert _weights(lab.with_options(data=FileData(data), refit=False), tmp_path / "a") == _weights(
        lab.with_options(refit=False), tmp_path / "b"
    )


@pytest.mark.slow
def test_the_model_that_is_handed_over_has_learned_from_every_label(lab, tmp_path):
    plan, trained = lab.outcome.plan, lab.outcome.trained
    assert not np.isnan(plan.dataset.labels[plan.refit_rows]).any()
    assert len(plan.refit_rows) == (~np.isnan(plan.dataset.labels)).sum()
    assert trained.model.provenance["labels_learned_from"] == len(plan.refit_rows)
    assert trained.model.provenance["weights"] != trained.measured.provenance["weights"]
    assert trained.model.calibration == trained.measured.calibration
    # A test row's label decides the weights of what is handed over, and not of what is measured.
    test = plan.dataset.frame.index[plan.split.test]
    raw = lab.raw.copy()
    bad, good = (test[raw.loc[test, "bad"] == label][0] for label in ("yes", "no"))
    raw.loc[[bad, good], "bad"] = ["no", "yes"]
    data = tmp_path / "loans.csv"
    raw.to_csv(data, index=False)
    changed = replace(
        plan_training(lab.with_options(data=FileData(data)), watch=_watch(), environ=ONE_THREAD),
        split=plan.split,
    )
    pretrained, _ = pretrain_encoder(changed, out=tmp_path, watch=_watch(), on_progress=lambda _: None)
    again = train_classifier(
        changed,
        pretrained,
        out=tmp_path,
        watch=_watch(),
        on_progress=lambda _: None,
        started_at=trained.started_at,
    )
    assert again.measured.provenance["weights"] == trained.measured.provenance["weights"]
    assert again.model.provenance["weights"] != trained.model.provenance["weights"]


@pytest.mark.slow
def test_labels_take_no_part_in_pretraining(lab, tmp_path):
    split = lab.outcome.plan.split
    train = lab.outcome.plan.dataset.frame.index[split.train]
    raw = lab.raw.copy()
    # Two labels change hands: the rates, and so the sizes of the split, stay.
    bad, good = (train[raw.loc[train, "bad"] == label][0] for label in ("yes", "no"))
    raw.loc[[bad, good], "bad"] = ["no", "yes"]
    data = tmp_path / "loans.csv"
    raw.to_csv(data, index=False)
    states = []
    for options, name in ((lab.options, "a"), (lab.with_options(data=FileData(data)), "b")):
        # The very same rows, whatever a split by label would make of them.
        plan = replace(plan_training(options, watch=_watch(), environ=ONE_THREAD), split=split)
        pretrained, _ = pretrain_encoder(
            plan, out=tmp_path / name, watch=_watch(), on_progress=lambda _: None
        )
        states.append(pretrained.state)
    for name, tensor in states[0].items():
        assert tensor.equal(states[1][name]), name


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_a_run_that_stopped_after_an_epoch_goes_on_to_the_same_weights(lab, tmp_path, stop_after):
    class Stop(Exception):
        pass

    seen = 0

    def interrupt(progress):
        nonlocal seen
        seen += progress.last is not None
        if seen == stop_after:  # epoch 1 of pretraining, then 1 and 2 of training
            raise Stop

    with pytest.raises(Stop):
        _weights(lab.options, tmp_path, on_progress=interrupt)
    resumed = _weights(lab.with_options(resume=True), tmp_path)
    assert resumed == _weights(lab.options, tmp_path / "uninterrupted")


@pytest.mark.slow
def test_a_checkpoint_of_other_options_is_refused(lab, tmp_path):
    _weights(lab.options, tmp_path)
    with pytest.raises(ConfigurationError, match="must be resumed with the data and options"):
        _weights(lab.with_options(resume=True, seed=5), tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pretrain": False, "train": False}, "type train.py --pretrain --train"),
        ({"encoder": Path("encoder.pth")}, "--encoder must come without --pretrain"),
        ({"epochs": 0}, "--epochs must be at least 1, however: 0"),
        ({"pretraining_epochs": -1}, "--pretraining-epochs must be at least 1"),
        ({"members": 0}, "--members must be at least 1"),
        ({"seed": -1}, r"--seed must be at least 0 and below 2\^32, however: -1"),
        ({"seed": 2**32}, "however: 4294967296"),
    ],
)
def test_options_that_make_no_sense_are_refused_when_they_are_made(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        TrainingOptions(data=FileData(Path("loans.csv")), **changes)


def test_a_wrong_machine_is_noticed_before_the_file_is_read(lab):
    nowhere = lab.with_options(data=FileData(lab.data.with_name("nowhere.csv")))
    with pytest.raises(
        ConfigurationError, match="OMP_NUM_THREADS must be a positive integer, however: 'abc'"
    ):
        plan_training(nowhere, watch=_watch(), environ={"OMP_NUM_THREADS": "abc"})


@pytest.mark.slow
@pytest.mark.parametrize("change", ["protected", "absent", "of another kind"])
def test_an_encoder_of_other_columns_is_refused(lab, tmp_path, change):
    columns = {column.name: column for column in lab.outcome.plan.schema.columns}
    income = columns.pop("income")
    if change == "protected":
        columns["income"] = replace(income, protected=True)
    elif change == "of another kind":
        columns["income"] = Column(name="income", kind=Kind.CATEGORICAL, open=True, nullable=True)
    (tmp_path / "other.toml").write_text(dump_schema(Schema(name="other", columns=tuple(columns.values()))))
    options = lab.with_options(
        schema=tmp_path / "other.toml", pretrain=False, encoder=lab.outcome.out / "encoder.pth"
    )
    with pytest.raises(DataError, match=r"the encoder was pretrained on.*\['income'\] are absent, protected"):
        plan_training(options, watch=_watch(), environ=ONE_THREAD)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "difference"),
    [({"seed": 1}, "seed 0, now 1"), ({"out_of_time": True}, "time False, now True")],
)
def test_an_encoder_of_another_split_of_the_same_rows_is_refused(lab, changes, difference):
    options = lab.with_options(pretrain=False, encoder=lab.outcome.out / "encoder.pth", **changes)
    with pytest.raises(DataError, match=f"has seen rows of the test, however: then .*{difference}"):
        plan_training(options, watch=_watch(), environ=ONE_THREAD)


@pytest.mark.slow
def test_an_encoder_of_a_schema_that_splits_the_same_rows_otherwise_is_refused(lab, tmp_path):
    """Which columns are features decides which rows are alike, and so the split."""
    raw = lab.raw.assign(income=[str(row % 400) for row in range(len(lab.raw))], ratio="0.5")
    raw = raw.assign(purpose="car", city="Rome", debt=[str(row) for row in range(len(raw))])
    data, schema = tmp_path / "loans.csv", tmp_path / "without_debt.toml"
    raw.to_csv(data, index=False)
    columns = (replace(c, protected=c.name == "debt") for c in lab.outcome.plan.schema.columns)
    schema.write_text(dump_schema(Schema(name="loans", columns=tuple(columns))))
    first = plan_training(
        lab.with_options(data=FileData(data), schema=schema), watch=_watch(), environ=ONE_THREAD
    )
    pretrain_encoder(first, out=tmp_path, watch=_watch(), on_progress=lambda _: None)
    other = lab.with_options(data=FileData(data), pretrain=False, encoder=tmp_path / "encoder.pth")
    plan_training(replace(other, schema=schema), watch=_watch(), environ=ONE_THREAD)
    with pytest.raises(DataError, match=r"has seen rows of the test, however: .*schema_digest"):
        plan_training(other, watch=_watch(), environ=ONE_THREAD)


@pytest.mark.slow
def test_where_an_encoder_comes_from_is_recorded(lab, tmp_path):
    options = lab.with_options(pretrain=False, encoder=lab.outcome.out / "encoder.pth")
    plan = plan_training(options, watch=_watch(), environ=ONE_THREAD)
    assert _reason(plan, "encoder") == "pretrained on the training rows of the same split"
    assert plan.objective == lab.outcome.plan.objective == "detection"
    data = tmp_path / "others.csv"
    lab.raw.iloc[:400].to_csv(data, index=False)
    plan = plan_training(replace(options, data=FileData(data), seed=9), watch=_watch(), environ=ONE_THREAD)
    assert "whether it saw rows of this test is not known" in _reason(plan, "encoder")


@pytest.mark.slow
def test_an_encoder_of_a_release_with_other_digests_says_that_its_rows_are_not_known(lab, tmp_path):
    encoder = load_encoder(lab.outcome.out / "encoder.pth")
    assert encoder.provenance["data_digest_version"] == DIGEST_VERSION
    older = {name: value for name, value in encoder.provenance.items() if name != "data_digest_version"}
    save_encoder(tmp_path / "encoder.pth", replace(encoder, provenance=older))
    options = lab.with_options(pretrain=False, encoder=tmp_path / "encoder.pth")
    plan = plan_training(options, watch=_watch(), environ=ONE_THREAD)
    assert "pretrained by another release" in _reason(plan, "encoder")


@pytest.mark.slow
def test_pretraining_sees_no_copy_of_a_held_out_row(lab, tmp_path):
    """The same application comes twice, once with its outcome and once, under another id, without."""
    held_out = lab.outcome.plan.dataset.frame.index[lab.outcome.plan.split.test]
    twins = lab.raw.loc[held_out].assign(bad="", id=[f"twin-{row}" for row in held_out])
    data = tmp_path / "twins.csv"
    pd.concat([lab.raw, twins]).to_csv(data, index=False)
    plan = plan_training(lab.with_options(data=FileData(data)), watch=_watch(), environ=ONE_THREAD)
    frame, split = plan.dataset.frame, plan.split
    features = [column.name for column in plan.schema.features]

    def texts(rows: np.ndarray) -> set[str]:
        return {repr(row) for row in frame.iloc[rows][features].itertuples(index=False)}

    assert len(split.unlabelled) == len(lab.outcome.plan.split.unlabelled) + len(twins)
    assert texts(split.unlabelled) & texts(split.test), "the test must hold a twin, or it shows nothing"
    assert not texts(plan.pretraining) & texts(np.concatenate([split.validation, split.test]))
    assert len(plan.pretraining) > len(split.train)


@pytest.mark.slow
def test_pretraining_for_an_out_of_time_test_sees_nothing_from_its_time(lab, tmp_path):
    raw = lab.raw.copy()
    raw.loc[raw.sort_values("made").index[-60::3], "bad"] = ""  # as where the youngest have no outcome yet
    raw.to_csv(tmp_path / "loans.csv", index=False)
    options = lab.with_options(data=FileData(tmp_path / "loans.csv"), out_of_time=True)
    plan = plan_training(options, watch=_watch(), environ=ONE_THREAD)
    made, split = plan.dataset.frame["made"], plan.split
    start = made.iloc[split.test].min()
    assert (made.iloc[split.unlabelled] >= start).any(), "no unlabelled row is late: the test shows nothing"
    assert (made.iloc[plan.pretraining] < start).all()


@pytest.mark.slow
def test_an_encoder_decides_the_size_and_the_features_of_the_network(lab):
    options = lab.with_options(pretrain=False, encoder=lab.outcome.out / "encoder.pth", preset="default")
    plan = plan_training(options, watch=_watch(), environ=ONE_THREAD)
    assert plan.preset.encoder == lab.outcome.plan.preset.encoder
    np.testing.assert_equal(features_to_dict(plan.features), features_to_dict(lab.outcome.plan.features))


def _reason(plan: TrainingPlan, what: str) -> str:
    return next(choice.reason for choice in plan.choices if choice.what == what)


def _watch() -> Stopwatch:
    return Stopwatch(lambda name, detail: None)


def _weights(options: TrainingOptions, out: Path, on_progress=lambda progress: None) -> str:
    """The digest of the weights that a run ends with."""
    plan = plan_training(options, watch=_watch(), environ=ONE_THREAD)
    open_folder(plan, out)
    pretrained, _ = pretrain_encoder(plan, out=out, watch=_watch(), on_progress=on_progress)
    trained = train_classifier(
        plan, pretrained, out=out, watch=_watch(), on_progress=on_progress, started_at=datetime.now(UTC)
    )
    return trained.model.provenance["weights"]

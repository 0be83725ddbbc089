"""What a run has settled before anything slow begins."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import SCHEMA, applications

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.schema_files import dump_schema
from loan_default.models.features import fit_features
from loan_default.pipelines.training.plan import TrainingPlan, plan_training
from loan_default.pipelines.training.stopwatch import Stopwatch
from loan_default.pipelines.training.training_options import FileData, TrainingOptions


def prepared_from(
    folder: Path, rows: pd.DataFrame, *, columns: tuple[Column, ...] = SCHEMA.columns, **options: object
) -> TrainingPlan:
    """A run on rows of text, prepared."""
    data, schema = folder / "loans.csv", folder / "loans.toml"
    rows.to_csv(data, index=False)
    schema.write_text(dump_schema(replace(SCHEMA, columns=columns)), encoding="utf-8")
    given = {"preset": "fast", "members": 1} | options
    asked = TrainingOptions(data=FileData(data), schema=schema, **given)
    watch = Stopwatch(lambda name, detail: None)
    return plan_training(asked, watch=watch, environ={"OMP_NUM_THREADS": "1"})


def in_order_of_time(count: int) -> pd.DataFrame:
    """Labelled applications, one a day."""
    rows = applications(count)
    days = pd.date_range("2025-01-01", periods=count, freq="D", tz="UTC")
    return rows.assign(made=days.strftime("%Y-%m-%dT%H:%M:%SZ"))


@pytest.mark.slow
def test_a_run_has_seen_the_unlabelled_rows_that_pretrain_it(tmp_path):
    """Else a champion would be validated on rows that its encoder knows."""
    rows = in_order_of_time(300)
    rows.loc[290:, "bad"] = ""
    prepared = prepared_from(tmp_path, rows)
    times = prepared.dataset.frame["made"]
    labelled = np.concatenate([prepared.split.train, prepared.split.validation])
    assert prepared.seen_until == times.iloc[prepared.pretraining].max() == times.max()
    assert prepared.seen_until > times.iloc[labelled].max()
    options = replace(prepared.options, refit=False)
    without = replace(prepared, options=options, pretraining=prepared.split.train)
    assert without.seen_until == times.iloc[labelled].max()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labelled", "pretrain", "joint"), [(300, True, False), (60, True, True), (60, False, False)]
)
def test_members_learn_from_rows_without_a_label_where_these_are_most(tmp_path, labelled, pretrain, joint):
    rows = in_order_of_time(400)
    rows.loc[labelled:, "bad"] = ""
    prepared = prepared_from(tmp_path, rows, pretrain=pretrain)
    assert ("loss" in {choice.what for choice in prepared.choices}) == joint
    beside = prepared.pretraining_rows()
    assert (beside is not None) == joint
    if beside is not None:
        expected = prepared.inputs[prepared.pretraining]
        np.testing.assert_array_equal(beside.inputs.numerical, expected.numerical)
        np.testing.assert_array_equal(beside.inputs.codes, expected.codes)


@pytest.mark.slow
def test_a_run_has_seen_the_rows_that_validate_it(tmp_path):
    prepared = prepared_from(tmp_path, in_order_of_time(300))
    times = prepared.dataset.frame["made"]
    latest = int(times.argmax())
    split = replace(
        prepared.split,
        train=prepared.split.train[prepared.split.train != latest],
        validation=np.union1d(prepared.split.validation, [latest]),
        test=prepared.split.test[prepared.split.test != latest],
    )
    seen = replace(prepared, split=split, pretraining=split.train)
    assert seen.seen_until == times.max()


@pytest.mark.slow
def test_an_out_of_time_run_has_seen_nothing_of_its_test(tmp_path):
    rows = in_order_of_time(300)
    rows.loc[[100, 150, 299], "bad"] = ""
    prepared = prepared_from(tmp_path, rows, out_of_time=True)
    times = prepared.dataset.frame["made"]
    assert prepared.seen_until == times.iloc[prepared.split.test].max(), "the last fit learns from all labels"
    prepared = replace(prepared, options=replace(prepared.options, refit=False))
    assert prepared.seen_until < times.iloc[prepared.split.test].min()
    assert {100, 150} <= set(prepared.pretraining)
    assert 299 not in prepared.pretraining


@pytest.mark.slow
def test_rows_without_a_time_leave_it_open_what_was_seen(tmp_path):
    timeless = tuple(column for column in SCHEMA.columns if column.kind is not Kind.TIMESTAMP)
    assert prepared_from(tmp_path, applications(300), columns=timeless).seen_until is None
    never = tuple(
        replace(column, nullable=True) if column.name == "made" else column for column in SCHEMA.columns
    )
    assert prepared_from(tmp_path, applications(300).assign(made=""), columns=never).seen_until is None


@pytest.mark.slow
def test_an_unlabelled_copy_pretrains_only_where_the_row_that_it_copies_trains(tmp_path):
    rows = applications(300)
    copies = rows.iloc[::5].assign(bad="", id=[f"copy-{number}" for number in range(60)])
    prepared = prepared_from(tmp_path, pd.concat([rows, copies], ignore_index=True))
    train, pretraining = set(prepared.split.train), set(prepared.pretraining)
    copied = {300 + number: 5 * number for number in range(60)}
    assert {copy in pretraining for copy in copied} == {True, False}
    for copy, row in copied.items():
        assert (copy in pretraining) == (row in train)


@pytest.mark.slow
def test_features_are_fitted_on_the_rows_that_pretrain(tmp_path):
    """Else a hundred labels among thousands of applications would leave them three bins a column."""
    rows = applications(2_000)
    rows.loc[150:, "bad"] = ""
    prepared = prepared_from(tmp_path, rows)
    frame = prepared.dataset.frame.iloc[prepared.pretraining]
    labelled = np.isin(prepared.pretraining, prepared.split.train)
    expected = fit_features(frame, prepared.schema, labelled=labelled)
    for fitted, wanted in zip(prepared.features.edges, expected.edges, strict=True):
        np.testing.assert_array_equal(fitted, wanted)
    scratch = prepared_from(tmp_path, rows, pretrain=False)
    coarse, fine = (max(map(len, plan.features.edges)) for plan in (scratch, prepared))
    assert coarse < 5 < 16 < fine < 20, "bins are as fine as labels allow, but for a few"


@pytest.mark.slow
def test_what_a_person_asks_for_lies_over_the_preset(tmp_path):
    usual = prepared_from(tmp_path, applications(200), epochs=None, members=None).preset
    asked = prepared_from(
        tmp_path, applications(200), epochs=7, pretraining_epochs=5, members=2, objective="nt-xent"
    ).preset
    assert usual.objective.objective != asked.objective.objective == "nt-xent"
    assert (asked.training.epochs, asked.pretraining.epochs, asked.members) == (7, 5, 2)
    assert asked == replace(
        usual,
        training=replace(usual.training, epochs=7),
        pretraining=replace(usual.pretraining, epochs=5),
        members=2,
        objective=replace(usual.objective, objective="nt-xent"),
    )


@pytest.mark.slow
def test_the_seed_decides_the_split(tmp_path):
    rows = applications(200)
    first, again, other = (prepared_from(tmp_path, rows, seed=seed).split.digest for seed in (1, 1, 2))
    assert first == again != other


def test_stages_are_timed_from_one_to_the_next(monkeypatch):
    clock, begun = iter([10.0, 12.0, 12.5, 15.5]), []
    monkeypatch.setattr("loan_default.pipelines.training.stopwatch.time.monotonic", lambda: next(clock))
    watch = Stopwatch(lambda name, detail: begun.append((name, detail)))
    watch.stop()
    watch.start("read", "loans.csv")
    watch.start("split", "stratified")
    watch.stop()
    watch.stop()
    assert begun == [("read", "loans.csv"), ("split", "stratified")]
    assert watch.seconds == {"read": 2.0, "split": 3.0}


@pytest.mark.slow
def test_a_plan_does_not_keep_the_rows_that_its_schema_was_inferred_from(tmp_path):
    applications(300).to_csv(tmp_path / "loans.csv", index=False)
    options = TrainingOptions(data=FileData(tmp_path / "loans.csv"), target="bad", preset="fast", members=1)
    plan = plan_training(
        options, watch=Stopwatch(lambda name, detail: None), environ={"OMP_NUM_THREADS": "1"}
    )
    assert plan.schema_choice.origin == "inferred from loans.csv"
    assert plan.schema_choice.raw is None
    assert len(plan.dataset.frame) == 300

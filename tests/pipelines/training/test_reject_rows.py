"""Rejected applications by side: what is held out, which rows go together, and what is refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pipelines.training.declined_loans import SCHEMA, loans, options_in

from loan_default.data.datasets.splits import TEST_SHARE
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import dump_schema
from loan_default.errors import DataError
from loan_default.models.features import features_to_dict
from loan_default.pipelines.training.plan import TrainingPlan, plan_training
from loan_default.pipelines.training.reject_rows import RejectSplit
from loan_default.pipelines.training.stopwatch import Stopwatch


def planned(folder, frame=None, **changes) -> TrainingPlan:
    return plan_training(
        options_in(folder, frame, **changes),
        watch=Stopwatch(lambda name, detail: None),
        environ={"OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
def test_declined_rows_have_no_label_are_counted_and_are_on_one_side_each(tmp_path):
    plan, raw = planned(tmp_path), loans()
    declined = np.flatnonzero(raw["status"].str.strip().str.lower().isin(["declined", "refused"]))
    assert plan.dataset.declined.tolist() == declined.tolist()
    assert np.isnan(plan.dataset.labels[declined]).all()
    assert plan.dataset.not_known_yet == {"Current": (raw["status"] == "Current").sum()}
    assert plan.rejects is not None
    assert plan.rejects.all.tolist() == declined.tolist()
    assert len(plan.rejects.held_out) / len(declined) == pytest.approx(TEST_SHARE, abs=0.2)


@pytest.mark.slow
def test_held_out_rejects_and_applicants_of_test_rows_are_learned_from_by_nothing(tmp_path):
    for changes in ({}, {"out_of_time": True}, {"reject_inference": "fuzzy", "pretrain": True}):
        plan = planned(tmp_path, **changes)
        assert plan.rejects is not None
        assert not np.isin(plan.rejects.held_out, plan.pretraining).any()
        customers = plan.dataset.frame["customer"].to_numpy()
        of_test = customers[plan.split.test]
        assert not np.isin(customers[plan.rejects.learned], of_test).any()
        assert not np.isin(customers[plan.rejects.learned], customers[plan.rejects.held_out]).any()


@pytest.mark.slow
def test_what_becomes_of_them_is_a_choice_of_the_run(tmp_path):
    for method, words in (("none", "no outcome is inferred"), ("parcelling", "parcelling, factor 1.3")):
        plan = planned(tmp_path, reject_inference=method)
        (choice,) = [each for each in plan.choices if each.what == "rejects"]
        assert f"{len(plan.rejects.held_out)} held out" in choice.value
        assert words in choice.reason


@pytest.mark.slow
def test_the_method_moves_no_row_and_the_seed_does(tmp_path):
    by_method = [planned(tmp_path, reject_inference=each) for each in ("none", "fuzzy", "parcelling")]
    sides = [each.rejects.held_out.tolist() for each in by_method]
    assert sides[0] == sides[1] == sides[2]
    assert planned(tmp_path, seed=1).rejects.held_out.tolist() != sides[0]


def test_out_of_time_the_later_ones_are_held_out(tmp_path):
    plan = planned(tmp_path, out_of_time=True)
    times = plan.dataset.frame["made"]
    last = times.iloc[plan.measured_rows].max()
    assert (times.iloc[plan.rejects.learned] <= last).all()
    later = times.iloc[plan.rejects.all] > last
    assert set(plan.rejects.all[later]) <= set(plan.rejects.held_out)


def test_the_model_has_seen_the_rejects_that_it_learned_from(tmp_path):
    raw = loans()
    raw.loc[raw.index[-40:], "status"] = "Declined"
    made = pd.to_datetime(raw["made"], utc=True)
    plan = planned(tmp_path, raw, reject_inference="fuzzy")
    latest = plan.rejects.all[-40:]
    plan = replace(
        plan,
        rejects=RejectSplit(learned=plan.rejects.all[:-40], held_out=latest),
        pretraining=np.setdiff1d(plan.pretraining, latest),
    )
    assert plan.seen_until == made.iloc[-1]
    measured = replace(plan, options=replace(plan.options, refit=False))
    assert measured.seen_until < made.iloc[latest].min()


@pytest.mark.slow
def test_data_without_rejects_have_none_and_infer_none(tmp_path):
    raw = loans()
    raw.loc[raw["status"].str.strip().str.lower().isin(["declined", "refused"]), "status"] = "Current"
    assert planned(tmp_path, raw).rejects is None
    with pytest.raises(DataError, match=r"must have rejected applications, however: loans\.csv has none"):
        planned(tmp_path, raw, reject_inference="fuzzy")


@pytest.mark.slow
def test_too_few_rejects_to_learn_from_and_to_measure_on_are_refused(tmp_path):
    raw = loans()
    declined = raw["status"].str.strip().str.lower().isin(["declined", "refused"])
    raw.loc[declined & (declined.cumsum() > 1), "status"] = "Current"
    assert len(planned(tmp_path, raw).rejects.all) == 1
    with pytest.raises(DataError, match="to learn from and to be measured on, however:"):
        planned(tmp_path, raw, reject_inference="parcelling")


def test_a_reject_must_have_a_weight_where_rows_have_one(tmp_path):
    raw = loans().assign(weight="2")
    declined = raw["status"].str.strip().str.lower().isin(["declined", "refused"])
    raw.loc[raw.index[declined][:3], "weight"] = ""
    options = options_in(tmp_path, raw, reject_inference="fuzzy")
    weight = Column(name="weight", kind=Kind.WEIGHT, nullable=True)
    options.schema.write_text(dump_schema(Schema(name="loans", columns=(*SCHEMA.columns, weight))))
    with pytest.raises(DataError, match=r"however: 3 of .* have no weight"):
        plan_training(options, watch=Stopwatch(lambda name, detail: None))


@pytest.mark.slow
@pytest.mark.parametrize("pretrain", [False, True])
def test_the_first_training_is_that_of_a_run_that_infers_nothing(tmp_path, pretrain):
    """Same rows, same features, same seed: the reference of the report is what would be had without."""
    none, fuzzy = (planned(tmp_path, reject_inference=each, pretrain=pretrain) for each in ("none", "fuzzy"))
    np.testing.assert_equal(features_to_dict(none.features), features_to_dict(fuzzy.features))
    assert none.measured_rows.tolist() == fuzzy.measured_rows.tolist()
    assert [each.tolist() for each in none.folds] == [each.tolist() for each in fuzzy.folds]

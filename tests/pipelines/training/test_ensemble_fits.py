"""The networks of a run with their fitted weights."""

from dataclasses import replace

import pytest
import torch
from conftest import SCHEMA, applications

from loan_default.data.schema.schema_files import dump_schema
from loan_default.models.fitting import Epoch, Fitted
from loan_default.models.schedules import Passes
from loan_default.pipelines.training.ensemble_fits import members_of
from loan_default.pipelines.training.member_fits import architecture_of
from loan_default.pipelines.training.plan import plan_training
from loan_default.pipelines.training.stopwatch import Stopwatch
from loan_default.pipelines.training.training_options import FileData, TrainingOptions


@pytest.mark.slow
@pytest.mark.parametrize("joint", [True, False])
def test_what_rows_without_a_label_have_taught_is_kept(tmp_path, joint):
    """A value that only these lack has a meaning of its own if members went on learning from them."""
    rows = applications(400)
    complete = [name for name in rows if name != "bad"]
    rows = rows[(rows[complete] != "").all(axis=1)].reset_index(drop=True)
    rows.loc[60:, "bad"] = ""
    rows.loc[100:150, "income"] = ""
    data, schema = tmp_path / "loans.csv", tmp_path / "loans.toml"
    rows.to_csv(data, index=False)
    schema.write_text(dump_schema(SCHEMA), encoding="utf-8")
    options = TrainingOptions(data=FileData(data), schema=schema, preset="fast", members=1)
    watch = Stopwatch(lambda name, detail: None)
    plan = plan_training(options, watch=watch, environ={"OMP_NUM_THREADS": "1"})
    assert plan.preset.pretraining_weight
    if not joint:
        plan = replace(plan, preset=replace(plan.preset, pretraining_weight=0.0))
    state = architecture_of(plan).new_classifier().state_dict()
    epoch = Epoch(epoch=1, losses={}, score=None, rows_per_second=1.0)
    fitted = Fitted(state=state, best=epoch, history=(epoch,), passes=Passes(steady=1))
    (member,) = members_of(plan, [fitted], plan.measured_rows)
    column = [feature.name for feature in plan.features.numerical].index("income")
    kept = torch.equal(member.encoder.missing[column], state["encoder.missing"][column])
    assert kept == joint

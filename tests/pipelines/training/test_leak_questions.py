"""What is asked where a column gives the outcome away, and that the answers settle it."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from loan_default.data.datasets.leakage import Leak, LeakCheck
from loan_default.data.schema.column import Column, Kind
from loan_default.errors import ConfigurationError
from loan_default.pipelines.training.leak_questions import leaks_found, names_weight
from loan_default.pipelines.training.plan import Stopwatch, TrainingPlan, plan_training
from loan_default.pipelines.training.training_options import FileData, StoreData, TrainingOptions


@pytest.fixture
def loans(tmp_path) -> Path:
    generator = np.random.default_rng(3)
    bad = (generator.random(400) < 0.3).astype(int)
    frame = pd.DataFrame(
        {
            "income": generator.normal(30_000, 8_000, 400).round(2),
            "outcome code": np.where(bad == 1, "W", "S"),
            "loss": np.where(bad == 1, generator.uniform(10, 99, 400).round(1), 0.0),
            "bad": bad,
        }
    )
    frame.to_csv(tmp_path / "loans.csv", index=False)
    return tmp_path / "loans.csv"


def planned(path: Path, **options: object) -> TrainingPlan:
    given = {"target": "bad", "preset": "fast", **options}
    return plan_training(TrainingOptions(data=FileData(path), **given), watch=Stopwatch(lambda *_: None))


def refused(path: Path, **options: object) -> str:
    with pytest.raises(ConfigurationError) as error:
        planned(path, **options)
    return str(error.value)


def test_a_leak_stops_with_evidence_and_the_lines_that_settle_it(loans):
    words = refused(loans)
    assert "2 columns nearly decide it" in words
    assert "outcome code: AUC 1.000 alone; 'W' means default" in words
    assert '--known-after-decision "loss,outcome code"' in words or '"outcome code,loss"' in words
    assert "income" not in words
    lines = "\n".join(re.sub("#.*", "", line) for line in words.splitlines() if line.startswith("      "))
    assert tomllib.loads(lines)["columns"] == {
        name: {"known_after_decision": True} for name in ("outcome code", "loss")
    }


def test_leaks_are_left_out_by_the_option(loans):
    plan = planned(loans, known_after_decision="loss,outcome code")
    assert plan.features.names == ("income",)
    assert "known_after_decision = true" in plan.schema_choice.to_toml()
    assert plan.leaks.leaks == ()
    assert "Did you mean 'loss'?" in refused(loans, known_after_decision="los")


def test_leaks_are_allowed_by_the_option_and_stay_named(loans):
    plan = planned(loans, allow_leaks=True)
    assert set(plan.features.names) == {"income", "outcome code", "loss"}
    assert {leak.column for leak in plan.leaks.leaks} == {"outcome code", "loss"}


@pytest.mark.parametrize("settled", [True, False])
def test_a_schema_settles_it_for_good(loans, tmp_path, settled):
    text = planned(loans, allow_leaks=True).schema_choice.to_toml()
    mine = tmp_path / "mine.toml"
    mine.write_text(text)
    assert "Write the lines into mine.toml" in refused(loans, schema=mine)
    for head in ('[columns."outcome code"]', "[columns.loss]"):
        assert head in text
        text = text.replace(head, f"{head}\nknown_after_decision = {str(settled).lower()}")
    mine.write_text(text)
    assert ("loss" in planned(loans, schema=mine).features.names) is not settled
    assert "must come without a schema" in refused(loans, schema=mine, known_after_decision="loss")


def test_a_column_that_is_called_like_a_weight_is_asked_about(loans):
    frame = pd.read_csv(loans).drop(columns=["outcome code", "loss"])
    frame.assign(sample_weight=np.random.default_rng(0).uniform(0.5, 2, 400)).to_csv(loans, index=False)
    words = refused(loans)
    assert "sample_weight: its name is that of a weight" in words
    assert 'kind = "weight"' in words
    assert "known_after_decision = true" in words
    assert "sample_weight" not in planned(loans, known_after_decision="sample_weight").features.names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *[(name, True) for name in ("sample_weight", "SampleWeight", "poids", "Gewicht", "peso")],
        *[(name, False) for name in ("weight_kg", "vehicle_weight", "income", "weighted")],
    ],
)
def test_names_of_weights(name, expected):
    assert names_weight(Column(name=name, kind=Kind.NUMERICAL)) is expected


def test_the_training_store_fails_with_the_reason_and_the_way_out(lab, loans):
    check = LeakCheck(alone={"income": 1.0}, leaks=(Leak(column="income", evidence="AUC 1.000", stops=True),))
    schema = lab.outcome.plan.schema
    error = leaks_found(check, TrainingOptions(data=StoreData(folder=loans)), schema)
    assert "LOAN_DEFAULT_SCHEMA" in str(error)
    assert "parameter allow_leaks" in str(error)

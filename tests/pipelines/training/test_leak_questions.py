"""What is asked where a column gives the outcome away, and that the answers settle it."""

import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from loan_default.data.datasets.leakage import Leak, LeakCheck
from loan_default.errors import ConfigurationError
from loan_default.pipelines.training.leak_questions import columns_in_question
from loan_default.pipelines.training.plan import TrainingPlan, plan_training
from loan_default.pipelines.training.stopwatch import Stopwatch
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


@pytest.mark.slow
def test_a_leak_stops_with_evidence_and_the_lines_that_settle_it(loans):
    words = refused(loans)
    assert "2 columns nearly decide it" in words
    assert "outcome code: AUC 1.000 alone; 'W' means default" in words
    assert '--known-after-decision "loss,outcome code"' in words or '"outcome code,loss"' in words
    assert "income" not in words
    assert '[columns."outcome code"]' in words
    assert "[columns.loss]" in words
    lines = [line.strip() for line in words.splitlines() if line.startswith("      ")]
    assert all(tomllib.loads(line) == {"known_after_decision": True} for line in lines)


@pytest.mark.slow
def test_the_shown_command_reads_the_file_as_the_training_did(loans):
    frame = pd.read_csv(loans)
    path = loans.parent / "no names.csv"
    frame.to_csv(path, index=False, header=False, sep=";")
    given = {"target": "column_4", "bad": "1", "good": "0", "header": "none", "delimiter": ";"}
    words = refused(path, known_after_decision="column_3", **given)
    (command,) = re.findall(r"\(`(.+)`\)", words)
    assert shlex.split(command) == [
        *("loan-default", "schema", str(path), "--target", "column_4"),
        *("--header", "none", "--delimiter", ";", "--bad", "1", "--good", "0", "--out", "schema.toml"),
    ]
    (option,) = re.findall("--known-after-decision ([^ ]+)[.] ", words)
    assert set(option.strip('"').split(",")) == {"column_2", "column_3"}


@pytest.mark.slow
def test_leaks_are_left_out_by_the_option(loans):
    plan = planned(loans, known_after_decision="loss,outcome code")
    assert plan.features.names == ("income",)
    assert "known_after_decision = true" in plan.schema_choice.to_toml()
    assert plan.leaks.leaks == ()
    assert "Did you mean 'loss'?" in refused(loans, known_after_decision="los")


@pytest.mark.slow
def test_leaks_are_allowed_by_the_option_and_stay_named(loans):
    plan = planned(loans, allow_leaks=True)
    assert set(plan.features.names) == {"income", "outcome code", "loss"}
    assert {leak.column for leak in plan.leaks.leaks} == {"outcome code", "loss"}


@pytest.mark.slow
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


@pytest.fixture
def weighted(loans) -> Path:
    frame = pd.read_csv(loans).drop(columns=["outcome code", "loss"])
    frame.assign(sample_weight=np.random.default_rng(0).uniform(0.5, 2, 400)).to_csv(loans, index=False)
    return loans


@pytest.mark.slow
def test_a_column_that_is_called_like_a_weight_is_asked_about_and_not_called_a_leak(weighted):
    words = refused(weighted)
    assert words.startswith(
        "how much a row counts must be certain, however: a number is called like a weight"
    )
    assert "sample_weight" in words
    assert "decide" not in words.replace("known_after_decision", "")
    assert "sample_weight" not in planned(weighted, known_after_decision="sample_weight").features.names
    allowed = planned(weighted, allow_leaks=True)
    assert "sample_weight" in allowed.features.names
    assert allowed.leaks.leaks == ()


@pytest.mark.slow
def test_each_answer_on_a_weight_can_be_written_as_it_is_shown(weighted, tmp_path):
    text = planned(weighted, allow_leaks=True).schema_choice.to_toml()
    lines = [line.split("#")[0] for line in refused(weighted).splitlines() if line.startswith("      ")]
    answers = [line.strip() for line in lines]
    assert answers == ['kind = "weight"', "known_after_decision = false", "known_after_decision = true"]
    head = "\n[columns.sample_weight]\n"
    before, after = text.split(head)
    rest = after.partition("\n\n")[2]
    mine = tmp_path / "mine.toml"
    mine.write_text(f"{before}{head}{answers[0]}\n\n{rest}")
    assert planned(weighted, schema=mine).schema.weight.name == "sample_weight"
    for answer, is_feature in zip(answers[1:], (True, False), strict=True):
        mine.write_text(text.replace(head, f"{head}{answer}\n"))
        assert ("sample_weight" in planned(weighted, schema=mine).features.names) is is_feature


@pytest.mark.slow
def test_a_leak_and_a_weight_are_asked_about_together(loans):
    frame = pd.read_csv(loans)
    frame.assign(wgt=np.random.default_rng(0).uniform(0.5, 2, 400)).to_csv(loans, index=False)
    words = refused(loans)
    assert "2 columns nearly decide it" in words
    assert "a number is called like a weight" in words
    assert ",wgt" in words
    assert planned(loans, known_after_decision="loss,outcome code,wgt").features.names == ("income",)


def test_the_training_store_fails_with_the_reason_and_the_way_out(lab, loans):
    check = LeakCheck(alone={"income": 1.0}, leaks=(Leak(column="income", evidence="AUC 1.000", stops=True),))
    schema = lab.outcome.plan.schema
    error = columns_in_question(check, [], TrainingOptions(data=StoreData(folder=loans)), schema)
    assert "LOAN_DEFAULT_SCHEMA" in str(error)
    assert "parameter allow_leaks" in str(error)


@pytest.mark.slow
def test_a_schema_with_an_open_question_on_a_weight_does_what_the_question_says(weighted, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text(planned(weighted, allow_leaks=True).schema_choice.to_toml())
    assert "With neither, a training by this schema takes it for a measurement" in mine.read_text()
    assert "sample_weight" in planned(weighted, schema=mine).features.names

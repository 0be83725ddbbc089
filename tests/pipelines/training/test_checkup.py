"""Whether a file can be trained on: ready, ready with warnings, or which answer it needs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from loan_default.pipelines.training.checkup import Checkup, Verdict, check_up
from loan_default.pipelines.training.stopwatch import Stopwatch
from loan_default.pipelines.training.training_options import FileData, TrainingOptions

N = 400


def applications() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    income = np.round(rng.lognormal(10, 0.5, N), 2)
    bad = (rng.random(N) < 1 / (1 + np.exp((np.log(income) - 9.5) * 1.5))).astype(int)
    return pd.DataFrame(
        {
            "income": income,
            "home": rng.choice(["own", "rent"], N),
            "months": rng.integers(6, 60, N),
            "bad": bad,
        }
    )


def checked(folder: Path, frame: pd.DataFrame, **options: object) -> Checkup:
    path = folder / "loans.csv"
    frame.to_csv(path, index=False)
    chosen = TrainingOptions(data=FileData(path=path), preset="fast", **options)
    return check_up(chosen, watch=Stopwatch(lambda name, detail: None))


@pytest.mark.slow
def test_a_sound_file_is_ready(tmp_path):
    checkup = checked(tmp_path, applications(), target="bad")
    assert (checkup.verdict, checkup.warnings, checkup.question) == (Verdict.READY, (), "")
    assert checkup.plan.dataset.rows_read == N


@pytest.mark.slow
def test_rows_that_go_to_the_quarantine_are_a_warning_with_their_rule(tmp_path):
    frame = applications().astype({"income": "object"})
    frame.loc[3, "income"] = "1o,5x"
    checkup = checked(tmp_path, frame, target="bad")
    assert checkup.verdict is Verdict.READY_WITH_WARNINGS
    (of_rows,) = (each for each in checkup.warnings if not each.column)
    assert "1 row quarantined: income: must be a number (1)" in of_rows.message


@pytest.mark.slow
def test_a_leak_needs_an_answer_until_it_is_given(tmp_path):
    frame = applications().assign(recovered=lambda rows: rows["bad"] * 100.5)
    checkup = checked(tmp_path, frame, target="bad")
    assert checkup.verdict is Verdict.NEEDS_AN_ANSWER
    assert "recovered" in checkup.question
    assert "--known-after-decision" in checkup.question
    settled = checked(tmp_path, frame, target="bad", known_after_decision="recovered")
    assert settled.question == ""


def test_an_outcome_in_doubt_needs_an_answer(tmp_path):
    checkup = checked(tmp_path, applications().replace({"bad": {0: "A", 1: "B"}}), target="bad")
    assert checkup.verdict is Verdict.NEEDS_AN_ANSWER
    assert "--bad" in checkup.question


@pytest.mark.slow
def test_without_a_target_the_likely_ones_are_named(tmp_path):
    checkup = checked(tmp_path, applications())
    assert checkup.verdict is Verdict.NEEDS_AN_ANSWER
    assert "Likely by their names: bad." in checkup.question
    assert "Others with few values: home." in checkup.question


@pytest.mark.parametrize("content", ["", "income,bad\n", "\x00\x01"])
def test_a_file_that_cannot_be_read_says_why(tmp_path, content):
    path = tmp_path / "loans.csv"
    path.write_text(content)
    checkup = check_up(
        TrainingOptions(data=FileData(path=path), target="bad"), watch=Stopwatch(lambda name, detail: None)
    )
    assert checkup.verdict is Verdict.NEEDS_AN_ANSWER
    assert "loans.csv" in checkup.question


@pytest.mark.slow
def test_a_column_in_doubt_needs_an_answer_with_the_command_that_takes_it(tmp_path):
    days = np.random.default_rng(1).integers(1, 13, (N, 2))
    frame = applications().assign(opened=[f"{day:02}.{month:02}.2019" for day, month in days])
    checkup = checked(tmp_path, frame, target="bad")
    assert checkup.verdict is Verdict.NEEDS_AN_ANSWER
    assert checkup.plan is not None, "a training leaves the column out and goes on"
    assert "opened: left out" in checkup.question
    assert "%m.%d.%Y" in checkup.question
    assert (
        f"`loan-default schema {tmp_path / 'loans.csv'} --target bad --out schema.toml`" in checkup.question
    )
    assert "train.py" in checkup.question
    settled = checked(tmp_path, frame, target="bad", known_after_decision="opened")
    assert settled.question == ""


@pytest.mark.slow
def test_a_weight_is_asked_about_until_leaks_are_allowed(tmp_path):
    frame = applications().assign(wgt=np.random.default_rng(1).uniform(0.5, 2, N).round(3))
    assert "wgt" in checked(tmp_path, frame, target="bad").question
    assert checked(tmp_path, frame, target="bad", allow_leaks=True).question == ""

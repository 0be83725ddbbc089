"""Whether a file can be trained on: ready, ready with warnings, or which answer it needs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from loan_default.pipelines.training.checkup import Checkup, Verdict, check_up
from loan_default.pipelines.training.plan import Stopwatch
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


def test_a_sound_file_is_ready(tmp_path):
    checkup = checked(tmp_path, applications(), target="bad")
    assert (checkup.verdict, checkup.warnings, checkup.question) == (Verdict.READY, (), "")
    assert checkup.plan.dataset.rows_read == N


def test_rows_that_go_to_the_quarantine_are_a_warning_with_their_rule(tmp_path):
    frame = applications().astype({"income": "object"})
    frame.loc[3, "income"] = "1o,5x"
    checkup = checked(tmp_path, frame, target="bad")
    assert checkup.verdict is Verdict.READY_WITH_WARNINGS
    (of_rows,) = (each for each in checkup.warnings if not each.column)
    assert "1 row quarantined: income: must be a number (1)" in of_rows.message


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

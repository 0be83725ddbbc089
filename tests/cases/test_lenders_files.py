"""Small files as lenders write them, through the commands of a person; `cases.toml` says what is right."""

import shlex
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from loan_default.cli import main as cli
from loan_default.data.schema.schema_files import load_schema
from loan_default.pipelines.training.dataset import load_dataset

HERE = Path(__file__).parent
FILES, MORE = HERE / "files", HERE / "more"


def cases_of(folder: Path) -> list[dict[str, Any]]:
    name = {FILES: "cases.toml", MORE: "more.toml"}[folder]
    cases = tomllib.loads((HERE / name).read_text(encoding="utf-8"))["case"]
    return [case | {"path": folder / case["file"]} for case in cases]


CASES = cases_of(FILES)
MORE_CASES = cases_of(MORE)
ALL_CASES = [*CASES, *MORE_CASES]

STOPS: dict[str, tuple[str, ...]] = {
    "marketplace": ("Charged Off", "Fully Paid", "Current", "--bad", "--good"),
    "approvals": ("approved", "decision", "--bad", "--good"),
    "leaks": ("chargeoff_date", "chargeoff_principal", "status", "known_after_decision = true"),
    "weight_column_is_feature": ("sample_weight", "known_after_decision = true", 'kind = "weight"'),
    "decision_words_wrong_columns": ("total_paid_to_date", "known_after_decision = true"),
}
"""File -> what the message must hold where training has to stop."""
NOT_NAMED = {
    "decision_words_wrong_columns": ("num_collections_last_12m", "current_installment_accounts"),
}
"""File -> what the message must not blame."""

MISSES: dict[tuple[str, str], str] = {}
"""File and what is done with it -> in what the result falls short of what is right."""

pytestmark = pytest.mark.slow


def marked(cases: list[dict[str, Any]], what: str) -> list[Any]:
    """The cases as parameters; a known miss must still be one."""
    listed = []
    for case in cases:
        miss = MISSES.get((case["file"], what))
        marks = [pytest.mark.xfail(reason=miss, strict=True)] if miss else []
        listed.append(pytest.param(case, id=f"{case['file']} {what}", marks=marks))
    return listed


Shell = Callable[[str], tuple[int, str]]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Runs a command line in a folder of its own: the exit code, and all that it prints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOAN_DEFAULT_HOME", "home")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("MONGODB_URI", raising=False)

    def run(line: str) -> tuple[int, str]:
        program, *words = shlex.split(line)
        monkeypatch.setattr(sys, "argv", [program, *words])
        with pytest.raises(SystemExit) as stop:
            cli.train_main() if program == "train.py" else cli.main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out + captured.err

    return run


def train_command(case: dict[str, Any]) -> str:
    data = shlex.quote(str(case["path"]))
    return f"train.py --train --preset fast --epochs 1 --members 1 --data {data} {case['options']} --out run"


@pytest.mark.parametrize("case", marked([case for case in ALL_CASES if "stop" in case], "stops"))
def test_training_stops_with_what_settles_it(case, shell):
    stem = Path(case["file"]).stem
    code, output = shell(train_command(case))
    flat = " ".join(output.split())
    assert (code, "Traceback" in output) == (2, False)
    assert [words for words in case.get("words") or STOPS[stem] if words not in flat] == [], output
    blamed = case.get("not_words") or NOT_NAMED.get(stem, ())
    assert [words for words in blamed if words in flat] == [], output
    assert not Path("run", "model.pth").exists()


@pytest.mark.parametrize("case", marked([case for case in ALL_CASES if "stop" not in case], "trains"))
def test_training_reads_every_row_and_column_as_it_is_meant(case, shell):
    code, output = shell(train_command(case))
    if code == 2 and "or_stop" in case:
        return
    assert code == 0, output
    schema = load_schema(Path("run", "schema.toml"))
    dataset = load_dataset(case["path"], schema)
    assert dataset.rows_read == case["rows"]
    assert len(dataset.frame) + dataset.duplicates == case["kept"], dict(dataset.reasons)
    if "bad" in case:
        assert (dataset.labels == 1).sum() == case["bad"]
    kinds = {column.name: str(column.kind) for column in schema.columns}
    for column, kind in case.get("kinds", {}).items():
        assert kinds.get(column) in kind.split(" or "), (column, kinds.get(column))
    features = {column.name for column in schema.features}
    assert features.isdisjoint(case.get("not_features", ()))
    flat = " ".join(output.split())
    assert [words for words in case.get("warn_words", ()) if words not in flat] == []
    for column, levels in case.get("levels", {}).items():
        assert len(schema[column].categories) == levels


@pytest.mark.parametrize("case", marked([case for case in MORE_CASES if "scored" in case], "scores"))
def test_a_model_scores_the_next_file(case, shell):
    assert shell(train_command(case))[0] == 0
    code, output = shell(f"loan-default score --data {MORE / case['score_file']} --out scores.csv")
    assert code == (5 if case["quarantined"] else 0), output
    scores = pd.read_csv("scores.csv")
    assert (len(scores), scores["pd"].between(0, 1).all()) == (case["scored"], True), output
    if case["quarantined"]:
        assert len(pd.read_csv("scores.quarantine.csv")) == case["quarantined"]


def test_a_model_scores_what_its_training_file_happened_not_to_hold(shell):
    (case,) = (case for case in CASES if "scores" in case)
    assert shell(train_command(case))[0] == 0
    code, output = shell(f"loan-default score --data {FILES / 'closed_schema_score.csv'} --out scores.csv")
    assert code == 0, output
    scores = pd.read_csv("scores.csv")
    assert (len(scores), scores["pd"].between(0, 1).all()) == (60, True)
    for column in ("late_payments", "purpose"):
        assert column in output, "a warning for each column with values that training had not"


def test_a_column_in_doubt_is_left_out_with_both_readings(shell):
    (case,) = (case for case in CASES if case["file"] == "ambiguous_dates.csv")
    code, output = shell(train_command(case))
    assert code == 0
    schema = load_schema(Path("run", "schema.toml"))
    assert "application_date" not in {column.name for column in schema.features}
    text = Path("run", "schema.toml").read_text(encoding="utf-8") + output
    assert all(pattern in text for pattern in ("%d/%m/%Y", "%m/%d/%Y"))


def test_a_file_without_a_header_is_a_question(shell):
    code, output = shell(f"train.py --train --preset fast --data {FILES / 'no_header.dat'} --target column_3")
    assert (code, "--header none" in output) == (2, True)


def test_a_number_with_a_decimal_comma_is_a_number(shell):
    (case,) = (case for case in CASES if case["file"].startswith("decimal_comma"))
    assert shell(train_command(case))[0] == 0
    margin = load_schema(Path("run", "schema.toml"))["interest_margin"]
    assert (str(margin.kind), margin.decimal) == ("numerical", ",")


def test_a_code_keeps_its_leading_zero_and_an_employer_stays_a_feature(shell):
    (case,) = (case for case in CASES if case["file"] == "many_levels.csv")
    assert shell(train_command(case))[0] == 0
    schema = load_schema(Path("run", "schema.toml"))
    assert {"zip", "employer"} <= {column.name for column in schema.features}
    levels = [*schema["zip"].categories]
    assert all(len(level) == 5 for level in levels)

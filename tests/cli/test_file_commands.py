"""`loan-default schema` and `loan-default doctor`: what a person learns of a file before a training."""

import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from loan_default.cli import main as cli
from loan_default.data.schema.schema_files import load_schema

Shell = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Runs a command in a folder of its own: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["loan-default", *words])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def loans(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    n = 300
    path = tmp_path / "loans.csv"
    pd.DataFrame(
        {
            "rate": [f"{rate:.2f}%" for rate in rng.uniform(3, 20, n)],
            "opened": [f"{day:02}.0{month}.2019" for day, month in rng.integers(1, 9, (n, 2))],
            "home": rng.choice(["own", "rent"], n),
            "bad": rng.integers(0, 2, n),
        }
    ).to_csv(path, index=False)
    return path


@pytest.mark.slow
def test_each_column_is_shown_with_its_values_and_what_is_in_doubt(shell, loans):
    code, out, err = shell(
        "schema", str(loans), "--target", "bad", "--out", "loans.toml", "--html", "page.html"
    )
    assert (code, out) == (0, "")
    assert "numerical, percent" in err
    assert "question" in err
    assert load_schema(Path("loans.toml"))["rate"].format == "percent"
    assert "numerical, percent" in Path("page.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_programs_read_the_same_as_json(shell, loans):
    code, out, _ = shell("schema", str(loans), "--target", "bad", "--json")
    read = json.loads(out)
    assert (code, read["format"]["container"]) == (0, "text")
    by_name = {column["name"]: column for column in read["columns"]}
    assert list(by_name) == ["rate", "opened", "home", "bad"]
    assert by_name["rate"]["schema"]["format"] == "percent"
    before, after = by_name["rate"]["samples"][0].values()
    assert float(before.rstrip("%")) == float(after)
    assert (by_name["opened"]["read_as"], by_name["opened"]["is_feature"]) == ("left out", False)
    assert {"column", "severity", "message"} == set(read["findings"][0])


@pytest.mark.slow
def test_a_doctor_ends_with_a_verdict_and_the_next_command(shell, loans):
    pd.read_csv(loans).drop(columns="opened").to_csv(loans, index=False)
    code, out, _ = shell("doctor", str(loans), "--target", "bad")
    assert (code, "ready" in out) == (0, True)
    assert "train.py --pretrain --train --data" in out.splitlines()[-1]


@pytest.mark.slow
def test_a_doctor_asks_about_a_column_in_doubt_and_its_command_leads_to_the_answer(shell, loans):
    code, out, err = shell("doctor", str(loans), "--target", "bad")
    assert (code, "needs an answer" in out) == (2, True)
    flat = " ".join((out + err).split())
    assert "%d.%m.%Y" in flat
    (command,) = re.findall("`(loan-default schema [^`]+)`", flat)
    assert shell(*shlex.split(command)[1:])[0] == 0
    schema = Path("schema.toml")
    answer = '\n[columns.opened]\nkind = "timestamp"\nformat = "%d.%m.%Y"\n'
    schema.write_text(schema.read_text(encoding="utf-8") + answer, encoding="utf-8")
    code, out, _ = shell("doctor", str(loans), "--schema", "schema.toml")
    assert (code, "needs an answer" in out) == (0, False)


@pytest.mark.slow
def test_a_doctor_asks_and_says_by_which_options_it_is_answered(shell, loans):
    code, out, _ = shell("doctor", str(loans))
    assert (code, "needs an answer" in out, "--target" in out) == (2, True, True)


@pytest.mark.slow
def test_the_next_command_repeats_the_options(shell, loans):
    pd.read_csv(loans).drop(columns="opened").to_csv(loans, index=False)
    _, out, _ = shell("doctor", str(loans), "--target", "bad", "--bad", "1", "--good", "0")
    assert "--target bad --bad 1 --good 0" in out.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["schema", "doctor"])
def test_lines_that_are_passed_over_are_counted(shell, loans, command):
    loans.write_text(loans.read_text(encoding="utf-8") + "Total: 300 loans\n300 rows\n", encoding="utf-8")
    _, out, err = shell(command, str(loans), "--target", "bad")
    words = {"schema": "2 lines at the end are no rows", "doctor": "2 footer lines passed over"}
    assert words[command] in out + err


@pytest.mark.slow
def test_two_delimiters_are_a_question_that_the_option_it_names_answers(shell, tmp_path):
    path = tmp_path / "mixed.csv"
    pairs = [("abcdefghijk"[number % 11], "vwxyz"[number % 5], number * 7 % 13 % 2) for number in range(400)]
    path.write_text("a,home;bad\n" + "".join(f"{x},{y};{bad}\n" for x, y, bad in pairs), encoding="utf-8")
    code, out, err = shell("schema", str(path))
    words = " ".join((out + err).split())
    assert (code, "--delimiter comma" in words, "--delimiter semicolon" in words) == (2, True, True)
    code, out, _ = shell("schema", str(path), "--delimiter", "semicolon", "--json")
    assert (code, [each["name"] for each in json.loads(out)["columns"]]) == (0, ["a,home", "bad"])
    _, out, _ = shell("doctor", str(path), "--target", "bad", "--delimiter", "semicolon")
    assert "--delimiter semicolon" in out.splitlines()[-1]
    code, out, err = shell("doctor", str(path), "--target", "bad", "--delimiter", "both")
    assert (code, "must be one character" in " ".join((out + err).split())) == (2, True)


@pytest.mark.slow
def test_a_guessed_encoding_is_a_warning_that_the_option_it_names_answers(shell, tmp_path):
    path = tmp_path / "loans.csv"
    lines = "".join(f"{number},{'Orléans' if number % 3 else 'Łódź'},{number % 2}\n" for number in range(90))
    path.write_bytes(("income,town,default\n" + lines).encode("cp1250"))
    _, out, err = shell("schema", str(path), "--target", "default")
    assert "--encoding" in " ".join((out + err).split())
    code, out, err = shell("schema", str(path), "--target", "default", "--encoding", "cp1250", "--json")
    assert (code, "Łódź" in out, "only the likeliest" in out + err) == (0, True, False)
    _, out, err = shell("doctor", str(path), "--target", "default", "--encoding", "cp1250")
    assert "only the likeliest" not in " ".join((out + err).split())
    code, _, err = shell("schema", str(path), "--encoding", "latin-99")
    assert (code, "--encoding must be one that Python knows" in " ".join(err.split())) == (2, True)
    code, _, err = shell("schema", str(path), "--encoding", "utf-8")
    assert (code, "--encoding must be that of the file" in " ".join(err.split())) == (2, True)


@pytest.mark.slow
def test_amounts_that_no_format_reads_end_in_ready_with_warnings(shell, loans):
    frame = pd.read_csv(loans).drop(columns="opened")
    frame["balance"] = [f"{row * 7.25:.2f} {'CR' if row % 3 else 'DR'}" for row in range(len(frame))]
    frame.to_csv(loans, index=False)
    code, out, err = shell("doctor", str(loans), "--target", "bad")
    flat = " ".join((out + err).split())
    assert (code, "ready with warnings" in flat) == (0, True)
    assert "looks like numbers, read as categories because no one format reads them: '9.99 CR'" in flat


@pytest.mark.slow
def test_rejected_applications_are_named_counted_and_kept_in_the_schema(shell, loans):
    frame = pd.read_csv(loans).drop(columns="opened")
    frame["bad"] = np.where(frame.index % 5 == 0, "Declined", frame["bad"].astype(str))
    frame.to_csv(loans, index=False)
    words = ["--target", "bad", "--rejected", "declined"]
    code, out, _ = shell("doctor", str(loans), *words)
    assert (code, "60 rejected by the lender" in out) == (0, True)
    assert "--target bad --rejected declined" in out.splitlines()[-1]
    assert shell("schema", str(loans), *words, "--out", "schema.toml")[0] == 0
    assert load_schema(Path("schema.toml"))["bad"].rejected == ("Declined",)
    code, _, errors = shell("schema", str(loans), "--rejected", "declined")
    assert (code, "--rejected must come with --target" in errors) == (2, True)

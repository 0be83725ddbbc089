"""The commands as a person types them: what they print, where it goes, and the exit code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from loan_default import wiring as session
from loan_default.cli import main as cli
from loan_default.data.schema.schema_files import load_schema
from loan_default.errors import ConfigurationError

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys):
    """Runs a command line in a folder of its own: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOAN_DEFAULT_HOME", "home")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("MONGODB_URI", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(command: str, *arguments: object) -> tuple[int, str, str]:
        program, *words = command.split()
        monkeypatch.setattr(sys, "argv", [program, *words, *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.train_main() if program == "train.py" else cli.main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def in_lab(shell, lab, monkeypatch):
    """The same, where a model is registered."""
    monkeypatch.setenv("LOAN_DEFAULT_HOME", str(lab.home))
    return shell


@pytest.fixture
def new_rows(tmp_path, sound_applications):
    path = tmp_path / "new.csv"
    sound_applications.to_csv(path, index=False)
    return path


# Bad input ---------------------------------------------------------------------------------------------

GOOD = pd.DataFrame(
    {
        "age": np.tile(np.arange(20.0, 60.0), 5),
        "income": np.arange(200.0),
        "default": np.tile([0, 0, 0, 1], 50),
    }
)
CONTENTS: dict[str, str] = {
    "good.csv": GOOD.to_csv(index=False),
    "one_class.csv": GOOD.assign(default=1).to_csv(index=False),
    "three_values.csv": GOOD.assign(default=np.arange(200) % 3).to_csv(index=False),
    "approvals.csv": GOOD.rename(columns={"default": "approved"})
    .replace({"approved": {0: "yes", 1: "no"}})
    .to_csv(index=False),
    "empty.csv": "",
    "header_only.csv": "age,income,default\n",
    "no_header.csv": GOOD.to_csv(index=False, header=False),
    "two_ways.csv": "a,b;c\n" + "x,y;z\n" * 9,
    "constant.csv": GOOD.assign(age=30, income=1).to_csv(index=False),
    "ten_rows.csv": GOOD.head(10).to_csv(index=False),
    "encoder.pth": "not an encoder",
    "not.toml": "name = ",
    "unknown_key.toml": '[columns.age]\nkind = "numerical"\nminimun = 3\n',
    "absent_column.toml": '[columns.height]\nkind = "numerical"\n[columns.default]\nkind = "target"\n',
    "no_target.toml": '[columns.age]\nkind = "numerical"\n',
}
BOTH = "train.py --pretrain --train --preset fast"
FILE = f"{BOTH} --target default --data"
INPUT, DEPENDENCY, ARTIFACT = 2, 3, 4


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (f"{FILE} nowhere.csv", INPUT, "the data file must exist, however: nowhere.csv"),
        (f"{FILE} .", INPUT, "however: . is a directory"),
        (f"{BOTH} --data good.csv --target defualt", INPUT, "Did you mean 'default'?"),
        (f"{BOTH} --data good.csv", INPUT, "Its columns are age, income, default."),
        (f"{FILE} one_class.csv", INPUT, "the target must have two values, however: 'default' has 1"),
        (f"{FILE} three_values.csv", INPUT, "'default' has 3 values: '0' 67, '1' 67, '2' 66."),
        (f"{FILE} three_values.csv --bad 1", INPUT, "--good must be given where --bad leaves several values"),
        (f"{FILE} three_values.csv --bad 1 --good 0,7", INPUT, "'default' has no '7'"),
        (f"{FILE} three_values.csv --bad 1 --good 1.0", INPUT, "'1' is named by --bad and --good"),
        (f"{FILE} good.csv --bad 1,", INPUT, "--bad must name values with commas between them"),
        (f"{BOTH} --data approvals.csv --target approved", INPUT, "insist with --bad no --good yes."),
        ("loan-default schema approvals.csv --target approved", INPUT, "insist with --bad no --good yes."),
        (
            "loan-default schema approvals.csv --bad no",
            INPUT,
            "--bad, --good and --rejected must come with --target",
        ),
        (f"{FILE} empty.csv", INPUT, "empty.csv is empty"),
        (f"{FILE} header_only.csv", INPUT, "header_only.csv has a header only"),
        (f"{FILE} no_header.csv", INPUT, "--header none reads it as a row"),
        (f"{FILE} two_ways.csv", INPUT, "[format] delimiter = ','"),
        (f"{FILE} constant.csv", INPUT, "constant.csv must have a column to learn from"),
        (f"{FILE} ten_rows.csv", INPUT, "at least 50 labelled rows must be there"),
        (f"{FILE} good.csv --out good.csv", INPUT, "--out must be a folder, however: good.csv is a file"),
        (f"{FILE} good.csv --out good.csv/x", INPUT, "--out must be a folder, however: good.csv is a file"),
        (f"{FILE} good.csv --encoder encoder.pth", INPUT, "--encoder must come without --pretrain"),
        ("train.py --train --encoder encoder.pth", ARTIFACT, "a model file must come with its digest"),
        ("train.py --train --encoder nowhere.pth", ARTIFACT, "nowhere.pth does not"),
        (f"{BOTH} --data good.csv --schema not.toml", INPUT, "the schema file must be TOML"),
        (f"{BOTH} --data good.csv --schema nowhere.toml", INPUT, "the schema file must exist"),
        (f"{BOTH} --data good.csv --schema unknown_key.toml", INPUT, "Did you mean 'minimum'?"),
        (f"{BOTH} --data good.csv --schema absent_column.toml", INPUT, "the column 'height' of the schema"),
        (f"{BOTH} --data good.csv --schema no_target.toml", INPUT, "must have a target column"),
        (f"{FILE} good.csv --out-of-time", INPUT, "must have a timestamp column"),
        (
            f"{BOTH} --preset nonsense",
            INPUT,
            "'nonsense' is not one of 'fast', 'default'. See --help.",
        ),
        (f"{BOTH} --seed -1", INPUT, "--seed must be at least 0 and below 2^32, however: -1"),
        ("train.py --train --objective both", INPUT, "--objective must come with --pretrain"),
        ("train.py --train --pretraining-epochs 3", INPUT, "--pretraining-epochs must come with --pretrain"),
        ("train.py --pretrain --epochs 3", INPUT, "--epochs must come with --train, however"),
        ("train.py --pretrain --members 2", INPUT, "Add it, or leave --members out."),
        ("train.py --members 2", INPUT, "neither --pretrain nor --train is given"),
        (f"{BOTH} --epochs 0", INPUT, "--epochs must be at least 1"),
        (f"{BOTH} --epochs many", INPUT, "Invalid value for '--epochs'"),
        (f"{BOTH} --epoch 3", INPUT, "No such option: --epoch"),
        ("train.py", INPUT, "For both, type train.py --pretrain --train"),
        ("loan-default trian", INPUT, "No such command 'trian'. Did you mean 'train'? See --help."),
        ("loan-default models 2026", INPUT, "None is yet: train one"),
        ("loan-default schema nowhere.csv", INPUT, "must exist"),
        ("loan-default schema good.csv --out not.toml", INPUT, "--out must not exist yet"),
        ("loan-default score --data good.csv", INPUT, "Missing option '--out'"),
        ("loan-default score --data good.csv --out s.csv", INPUT, "a model must be registered"),
        ("loan-default score --data nowhere.csv --out s.csv", INPUT, "must exist"),
        ("loan-default score --data good.csv --out s.txt", INPUT, "--out must end in"),
        (
            "loan-default score --data good.csv --out s.csv --model 2026",
            INPUT,
            "the model must be registered",
        ),
        ("loan-default score --data good.csv --out s.csv --sha256 12", INPUT, "64 hexadecimal digits"),
        ("loan-default score --data good.csv --out s.csv --model x.pth", ARTIFACT, "x.pth does not"),
        ("loan-default score --data good.csv --out s.csv --model encoder.pth", ARTIFACT, "its digest"),
    ],
)
def test_bad_input_is_one_line_that_says_what_to_do(shell, tmp_path, command, code, words):
    for name, content in CONTENTS.items():
        (tmp_path / name).write_text(content)
    found, _, errors = shell(command)
    # Log lines are JSON; `schema` says how the file is written before it reads it.
    lines = [line for line in errors.splitlines() if not line.startswith(("{", "read  "))]
    assert (found, len(lines)) == (code, 1), errors
    assert words in lines[0]
    assert "epoch" not in errors.replace(command, "").replace(lines[0], "")  # nothing slow has begun
    assert not list(tmp_path.rglob("*.ckpt"))
    assert not list(tmp_path.glob("s.csv*"))


@pytest.mark.slow
def test_a_wrong_machine_or_environment_is_one_line_too(shell, monkeypatch):
    monkeypatch.setenv("LOAN_DEFAULT_ANSWER_SECONDS", "0.3")
    for name, value, code, words in [
        ("OMP_NUM_THREADS", "abc", INPUT, "OMP_NUM_THREADS must be a positive integer, however: 'abc'"),
        ("LOAN_DEFAULT_LOG_FORMAT", "xml", INPUT, "LOAN_DEFAULT_LOG_FORMAT must be"),
        ("MONGODB_URI", "localhost", INPUT, "MONGODB_URI must start with mongodb://"),
        ("MONGODB_URI", "mongodb://u:secret@127.0.0.1:1", DEPENDENCY, "Check that the server runs"),
    ]:
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            found, _, errors = shell(BOTH)
        assert (found, errors.count("\n")) == (code, 1), errors
        assert words in errors
        assert "secret" not in errors


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "loan-default schema good.csv --out taken/x.toml",
            "--out must lie in a folder, however: taken is a file",
        ),
        (
            "loan-default schema good.csv --out taken/y/x.toml",
            "--out must lie in a folder, however: taken is",
        ),
        ("loan-default backup taken", "Cannot write a backup to taken: it is a file. Name another folder."),
        (
            "loan-default backup taken/b",
            "Cannot write a backup to taken/b: Not a directory. Name another folder.",
        ),
        ("loan-default replay --folder taken", "taken"),
        ("loan-default ingest --folder taken", "taken"),
        ("loan-default restore taken", "taken"),
        ("loan-default score --data good.csv --out taken/s.csv --model x.pth", "taken is a file"),
    ],
)
def test_a_file_where_a_folder_should_be_is_one_line(shell, tmp_path, command, words):
    (tmp_path / "good.csv").write_text(CONTENTS["good.csv"])
    (tmp_path / "taken").write_text("mine")
    code, _, errors = shell(command)
    lines = [line for line in errors.splitlines() if not line.startswith("{")]
    assert code in (INPUT, ARTIFACT)
    assert len(lines) == 1, errors
    assert words in lines[0]
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_misspelt_variable_is_logged_without_its_value(shell, monkeypatch):
    monkeypatch.setenv("LOAN_DEFAULT_MINIMUM_AUCC", "s3cret")
    code, _, errors = shell("loan-default models")
    assert (code, errors.count("Did you mean 'LOAN_DEFAULT_MINIMUM_AUC'?")) == (0, 1)
    assert "s3cret" not in errors


def test_a_gpu_that_is_not_there_is_one_line(shell, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    code, _, errors = shell(f"{BOTH} --device cuda")
    assert (code, errors.count("\n")) == (INPUT, 1)
    assert "Use --device cpu, or auto." in errors


def test_a_full_disk_is_one_line_and_a_bug_is_not_hidden(shell, monkeypatch):
    def raising(error):
        def load_settings():
            raise error

        return load_settings

    monkeypatch.setattr(session, "load_settings", raising(OSError(28, "No space left on device", "runs/x")))
    code, _, errors = shell("loan-default models")
    assert (code, errors) == (INPUT, "The system refused: No space left on device: runs/x\n")
    clash = IsADirectoryError(21, "Is a directory", ".page.tmp", None, "page")
    monkeypatch.setattr(session, "load_settings", raising(clash))
    code, _, errors = shell("loan-default models")
    assert (code, errors) == (INPUT, "The system refused: Is a directory: page\n")
    monkeypatch.setattr(session, "load_settings", raising(FileNotFoundError(2, "No such file", "x")))
    with pytest.raises(FileNotFoundError):
        cli.run(cli.app, ["models"])


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (BOTH, "Stopped: from the keyboard. Go on with --resume.\n"),
        ("loan-default train --train", "Stopped: from the keyboard. Go on with --resume.\n"),
        ("loan-default score --data a.csv --out b.csv", "Stopped: from the keyboard.\n"),
        ("loan-default models", "Stopped: from the keyboard.\n"),
        ("loan-default schema train", "Stopped: from the keyboard.\n"),
    ],
)
def test_the_keyboard_stops_a_command_in_one_line(shell, monkeypatch, command, line):
    def stop(*arguments, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "load_settings", stop)
    monkeypatch.setattr("loan_default.data.sources.sniffing.detect_format", stop)
    code, _, errors = shell(command)
    assert (code, errors) == (130, line)


def test_the_folder_of_a_run_is_called_like_its_data(shell, tmp_path, monkeypatch):
    def run_training(options, *, out, **others):
        raise ConfigurationError(str(out))

    monkeypatch.setattr("loan_default.pipelines.training.local_run.run_training", run_training)
    for data, folder in [
        (f"--data {tmp_path}/loans.2024.csv.gz", "loans.2024"),
        ("", "credit_card"),
        ("--data store:", "from_training_store"),
    ]:
        _, _, errors = shell(f"{BOTH} {data}")
        assert errors == f"The configuration is not usable: home/{folder}\n"


# Training ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_outcomes_are_named_by_options_and_counted_in_the_report(shell, tmp_path):
    status = np.tile(
        ["Fully Paid", "fully paid ", "Current", "Charged Off", "Default", "In Grace Period"], 50
    )
    generator = np.random.default_rng(0)
    pd.DataFrame({"income": generator.normal(size=300), "loan_status": status}).to_csv(
        tmp_path / "loans.csv", index=False
    )
    words = ["--data", "loans.csv", "--target", "loan_status", "--bad", "Charged Off,default"]
    words += ["--good", "Fully Paid", "--epochs", "1", "--pretraining-epochs", "1"]
    code, out, _ = shell(BOTH, *words)
    assert code == 0
    assert "outcome     not known yet, kept for pretraining: Current 50, In Grace Period 50\n" in out
    home = tmp_path / "home" / "loans"
    assert 'unknown = ["Current", "In Grace Period"]' in (home / "schema.toml").read_text()
    page = (home / "report.html").read_text()
    assert re.search(r"not known yet: Current</th><td[^>]*>50<", page)
    assert re.search(r"of them with a known outcome</th><td[^>]*>200<", page)


@pytest.mark.slow
def test_a_file_and_a_target_are_enough(shell, tmp_path):
    raw = GOOD.assign(noise=np.random.default_rng(0).normal(size=200), same="x", loan_grade=list("AB") * 100)
    raw.to_csv(tmp_path / "loans.csv", index=False)
    code, out, errors = shell(f"{BOTH} --data loans.csv --target default --epochs 1 --pretraining-epochs 1")
    assert code == 0
    lines = out.splitlines()
    findings = [line for line in lines if line.startswith(("  warning", "  note"))]
    assert any(line.startswith("  note      loan_grade: by its name it may come with") for line in findings)
    assert "  note      same: left out: every value is 'x'" in findings
    assert "schema      inferred from loans.csv, saved to home/loans/schema.toml" in lines
    assert any(line.startswith("split       at random") for line in lines)
    assert any(line.startswith("threads     1: set by OMP_NUM_THREADS=1") for line in lines)
    assert any(line.startswith("preset      fast: ") for line in lines)
    home = tmp_path / "home" / "loans"
    assert load_schema(home / "schema.toml").target.name == "default"
    for name in ("model.pth", "model.pth.sha256", "encoder.pth", "report.html"):
        assert (home / name).exists()
    logged = [json.loads(line) for line in errors.splitlines()]
    assert [line["stage"] for line in logged if line["event"] == "epoch_finished"] == [
        "pretraining",
        "member 1",
        "member 1, all labels",
    ]
    assert any("learned from all" in line for line in lines)
    assert lines[-1].startswith("next        loan-default score --model 20")


@pytest.mark.slow
def test_pretraining_alone_says_how_to_go_on(in_lab, lab, tmp_path):
    code, out, _ = in_lab(
        "train.py --pretrain --preset fast --pretraining-epochs 1",
        *("--data", lab.data, "--schema", lab.schema, "--out", tmp_path / "run"),
    )
    assert code == 0
    lines = out.splitlines()
    assert lines[-1] == (
        f"next        python train.py --train --encoder {tmp_path}/run/encoder.pth --data {lab.data} "
        f"--schema {tmp_path}/run/schema.toml --out {tmp_path}/run"
    )
    assert f"quarantine  3 rows in {tmp_path}/run/quarantine.csv" in lines
    assert "         1  debt: must be a number" in lines


# Scoring -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_rows_are_scored_with_the_newest_model_unless_another_is_named(in_lab, lab, new_rows):
    code, out, errors = in_lab("loan-default score --out scores.csv --data", new_rows)
    assert code == 0, errors
    assert "as there is no champion yet" in out
    assert "scored      300 rows, mean PD" in out
    assert len(pd.read_csv("scores.csv")) == 300
    line = json.loads(errors)
    assert {"event", "model_version", "read", "scored", "quarantined", "rows_per_second"} <= line.keys()
    assert "G8-" not in errors  # no identifier in a log


@pytest.mark.slow
def test_a_file_and_its_version_give_the_same_scores(in_lab, lab, new_rows):
    for name, arguments in {
        "file": ("--model", lab.outcome.out / "model.pth"),
        "version": ("--model", lab.version),
        "beginning": ("--model", lab.version[:-3]),
        "digest": ("--model", lab.outcome.out / "model.pth", "--sha256", lab.outcome.document.sha256.upper()),
    }.items():
        command = f"loan-default score --out {name}.csv --data"
        code, out, _ = in_lab(command, new_rows, *arguments)
        assert code == 0, out
        assert lab.version in out
    first = Path("file.csv").read_bytes()
    assert all(Path(f"{name}.csv").read_bytes() == first for name in ("version", "beginning", "digest"))


@pytest.mark.slow
def test_rows_in_the_quarantine_are_an_exit_code(in_lab, new_rows, sound_applications):
    sound_applications.loc[3, "purpose"] = "boat"
    sound_applications.to_csv(new_rows, index=False)
    code, out, _ = in_lab("loan-default score --out s.parquet --quarantine q/bad.csv --data", new_rows)
    assert code == 5
    assert "quarantined 1 row: q/bad.csv" in out
    assert "         1  purpose: must be one of car, house, study" in out
    assert pd.read_csv("q/bad.csv")["row"].tolist() == [3]
    assert len(pd.read_parquet("s.parquet")) == 299


def test_a_flipped_bit_is_refused_in_both_ways_to_a_model(in_lab, lab, new_rows, tmp_path):
    for model in (tmp_path / "model.pth", lab.home / lab.outcome.document.path):
        content = (lab.outcome.out / "model.pth").read_bytes()
        flipped = bytearray(content)
        flipped[len(flipped) // 2] ^= 1
        model.write_bytes(flipped)
        (model.parent / f"{model.name}.sha256").write_text(lab.outcome.document.sha256)
        named = model if model.parent == tmp_path else lab.version
        try:
            code, _, errors = in_lab("loan-default score --out s.csv --data", new_rows, "--model", named)
        finally:
            model.write_bytes(content)
        assert (code, errors.count("\n")) == (4, 1)
        assert errors.startswith("The model file was refused: a model file must have its recorded digest")
        assert not Path("s.csv").exists()


def test_a_digest_of_another_file_is_refused(in_lab, lab, new_rows):
    for model in (lab.version, lab.outcome.out / "model.pth"):
        command = f"loan-default score --out s.csv --sha256 {'0' * 64} --model {model} --data"
        code, _, errors = in_lab(command, new_rows)
        assert (code, errors.count("\n")) == (4, 1)


@pytest.mark.slow
def test_a_model_file_needs_no_registry(shell, lab, new_rows, monkeypatch):
    monkeypatch.setenv("MONGODB_URI", "mongodb://127.0.0.1:1")
    code, _, _ = shell(
        "loan-default score --out s.csv --data", new_rows, "--model", lab.outcome.out / "model.pth"
    )
    assert code == 0
    assert not Path("home").exists()


# Models and schemas ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_models_are_listed_as_a_table_and_as_json(in_lab, lab):
    code, out, _ = in_lab("loan-default models")
    assert code == 0
    assert lab.version in out
    _, out, errors = in_lab("loan-default models --json")
    assert errors == ""
    listed = {model["version"]: model for model in json.loads(out)}
    metrics = {each["dataset"]: each for each in listed[lab.version]["metrics"]}
    assert metrics["test"]["figures"]["auc"] == pytest.approx(lab.outcome.intervals["auc"].value)
    assert listed[lab.version]["champion"] is False
    code, out, _ = in_lab("loan-default models", lab.version)
    assert lab.outcome.document.sha256 in out
    _, out, _ = in_lab("loan-default models --json", lab.version)
    assert json.loads(out) == listed[lab.version]


def test_without_models_there_is_a_hint_and_an_empty_list(shell):
    assert shell("loan-default models")[:2] == (
        0,
        "models      none yet; train one with train.py --pretrain --train\n",
    )
    assert shell("loan-default models --json")[:2] == (0, "[]\n")


@pytest.mark.slow
def test_a_schema_is_printed_where_a_program_can_read_it_and_findings_beside_it(shell, lab, tmp_path):
    code, out, errors = shell("loan-default schema --target bad", lab.data)
    assert code == 0
    (tmp_path / "printed.toml").write_text(out)
    printed = load_schema(tmp_path / "printed.toml")
    assert printed.target.name == "bad"
    assert "# warning: " in out
    assert "What was noticed" in errors
    code, out, errors = shell("loan-default schema --target bad --out new/saved.toml", lab.data)
    assert (code, out) == (0, "")
    assert load_schema(Path("new/saved.toml")) == printed
    assert "schema      new/saved.toml: 8 columns" in errors


@pytest.mark.slow
def test_a_schema_without_target_is_one_for_scoring(shell, lab):
    code, out, _ = shell("loan-default schema", lab.data)
    assert code == 0
    assert 'kind = "target"' not in out


# Help and speed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", ["loan-default", "loan-default --help", "loan-default score --help", "train.py --help"]
)
def test_help_is_help(shell, command):
    code, out, _ = shell(command)
    assert code == 0
    assert "Usage:" in out


@pytest.mark.slow
def test_commands_that_need_no_torch_do_not_import_it(tmp_path):
    slow = "sorted({'torch', 'pandas', 'sklearn', 'pyarrow'} & set(sys.modules))"
    imported = _python(f"import sys, loan_default.cli.main; print({slow})", cwd=tmp_path)
    assert imported.stdout == "[]\n"
    listed = _python(
        "import sys\nfrom loan_default.cli import main as cli\n"
        f"try: cli.run(cli.app, ['models', '--json'])\nexcept SystemExit: print({slow})",
        cwd=tmp_path,
    )
    assert listed.stdout == "[]\n[]\n"


@pytest.mark.slow
def test_train_py_is_the_command_train(tmp_path):
    done = subprocess.run(
        [sys.executable, PROJECT / "train.py", "--pretrain", "--preset", "fats"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "'fats' is not one of" in done.stderr


def _python(code: str, *, cwd: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "LOAN_DEFAULT_HOME": "home"}
    environ.pop("MONGODB_URI", None)
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environ, capture_output=True, text=True, check=True
    )

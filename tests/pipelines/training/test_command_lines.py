"""Commands repeat the options of a run in a form that a shell and the commands read back."""

import shlex
from pathlib import Path

from loan_default.pipelines.training.command_lines import schema_command, training_command
from loan_default.pipelines.training.training_options import FileData, TrainingOptions

DATA = FileData(Path("my files/loans; 2024.csv"))


def test_what_says_how_a_file_is_read_stands_in_both_commands():
    options = TrainingOptions(
        data=DATA,
        target="loan status",
        header="first",
        delimiter=";",
        encoding="cp1250",
        sheet="Q 1",
        bad="Charged Off,D",
        rejected="Declined",
    )
    reading = [
        *("--target", "loan status", "--header", "first", "--delimiter", ";"),
        *("--encoding", "cp1250", "--sheet", "Q 1"),
        *("--bad", "Charged Off,D", "--rejected", "Declined"),
    ]
    assert shlex.split(schema_command(options, DATA)) == [
        *("loan-default", "schema", str(DATA.path), *reading, "--out", "schema.toml")
    ]
    assert shlex.split(training_command(options, DATA)) == [
        *("python", "train.py", "--pretrain", "--train", "--data", str(DATA.path), *reading)
    ]


def test_a_training_keeps_its_schema_and_what_is_known_of_columns():
    options = TrainingOptions(
        data=DATA, schema=Path("a b.toml"), known_after_decision="x,y", allow_leaks=True, out_of_time=True
    )
    words = shlex.split(training_command(options, DATA))
    assert words[words.index("--schema") :] == [
        *("--schema", "a b.toml", "--known-after-decision", "x,y", "--allow-leaks", "--out-of-time")
    ]

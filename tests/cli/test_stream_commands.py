"""`ingest` and `dead-letters` as a person types them, without a server."""

import json
import os
import re
import shlex
import signal
import threading
from contextlib import nullcontext
from dataclasses import replace

import pytest

from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.cli import stream_commands
from loan_default.data.schema.schema_files import dump_schema, load_schema
from loan_default.data.sources.generator import generate, to_text
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.topics import TOPICS


@pytest.mark.slow
def test_a_file_is_taken_in_batches_and_once(shell, tmp_path):
    schema = load_schema(BUNDLED_SCHEMA)
    data = tmp_path / "loans.csv"
    to_text(generate(schema, rows=300, seed=1).frame, schema).to_csv(data, index=False)
    code, out, _ = shell("ingest", "--file", str(data), "--rows", "200")
    assert code == 0
    assert "raw_data    200 events sent, 0 too large" in out
    assert "200 records: 200 accepted, 0 rejected, 0 duplicates, 0 redelivered" in out
    assert "100 records: 100 accepted" in shell("ingest", "--file", str(data))[1]
    assert "0 records" in shell("ingest", "--file", str(data))[1]


@pytest.mark.slow
def test_rows_without_a_source_are_those_of_the_bundled_accounts(shell):
    for _ in range(2):
        code, out, _ = shell("ingest", "--rows", "30")
        assert code == 0
        assert "30 records: 30 accepted" in out


class InterruptedBroker(MemoryBroker):
    """Ctrl-C comes while its first messages are taken."""

    def producer(self):
        producer = super().producer()
        if not any(self.logs.values()):
            deliver = producer.deliver

            def interrupted(messages):
                os.kill(os.getpid(), signal.SIGINT)
                producer.deliver = deliver
                return deliver(messages)

            producer.deliver = interrupted
        return producer


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--follow",)])
def test_without_kafka_all_that_was_sent_is_stored_before_ctrl_c_ends_the_command(
    shell, monkeypatch, options
):
    broker = InterruptedBroker(first_offset=1)
    broker.create_topics(TOPICS)
    with monkeypatch.context() as patch:
        patch.setattr("loan_default.kafka.open_broker.connect", lambda settings: broker)
        code, out, errors = shell("ingest", "--generate", "6000", *options)
        assert (code, errors.count("Traceback")) == (0, 0)
        assert "5,000 accepted" in out
    assert "5,000 applications" in shell("prepare")[1]
    assert "1,000 accepted" in shell("ingest", "--generate", "1000")[1]
    assert "6,000 applications" in shell("prepare")[1]


def test_commands_need_a_broker_that_others_reach(shell):
    code, _, errors = shell("commands")
    assert code == 2
    assert "KAFKA_BOOTSTRAP_SERVERS must be set" in errors


def test_a_folder_says_which_files_it_left_out(shell, tmp_path):
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    (incoming / "other.csv").write_text("name,town\nx,y\n")
    (incoming / "notes.pdf").write_text("hello")
    for path in incoming.iterdir():
        os.utime(path, (1, 1))
    code, out, _ = shell("ingest", "--folder", str(incoming))
    assert code == 0
    assert "left out    other.csv: " in out
    assert "left out    notes.pdf: its name must end like" in out


@pytest.mark.slow
def test_prepare_says_what_the_store_holds(shell):
    assert shell("ingest", "--generate", "80")[0] == 0
    code, out, _ = shell("prepare")
    assert code == 0
    assert "80 applications, default rate" in out
    assert out.split()[1] in shell("prepare")[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (("ingest", "--generate", "5", "--file", "x.csv"), 2, "the source must be one of"),
        (("ingest", "--generate", "5", "--rows", "3"), 2, "--rows must come with --file or without a source"),
        (("ingest", "--folder", ".", "--rows", "3"), 2, "--rows must come with --file or without a source"),
        (("ingest", "--file", "nowhere.csv"), 2, "nowhere.csv was not found"),
        (("ingest", "--folder", "nowhere"), 2, "the folder of applications must exist"),
        (("ingest", "--schema", "nowhere.toml"), 2, "nowhere.toml"),
    ],
)
def test_what_cannot_be_is_one_line(shell, words, code, line):
    ended, _, errors = shell(*words)
    assert ended == code
    assert line in errors
    assert errors.count("\n") == 1


@pytest.mark.slow
def test_a_broker_and_a_store_that_are_away_are_named(shell, monkeypatch):
    monkeypatch.setenv("MONGODB_URI", "mongodb://user:s3cret@127.0.0.1:1/")
    monkeypatch.setenv("LOAN_DEFAULT_ANSWER_SECONDS", "0.3")
    code, _, errors = shell("ingest")
    assert code == 3
    assert "Cannot connect to MONGODB_URI: " in errors
    assert "s3cret" not in errors


@pytest.mark.parametrize("options", [("--generate", "5", "--rows", "3"), ("--generate", "5", "--file", "x")])
def test_a_wrong_option_is_named_before_a_server_is_asked(shell, monkeypatch, options):
    monkeypatch.setenv("MONGODB_URI", "mongodb://127.0.0.1:1/")
    monkeypatch.setenv("LOAN_DEFAULT_ANSWER_SECONDS", "0.3")
    code, _, errors = shell("ingest", *options)
    assert code == 2
    assert "--generate" in errors
    assert "MONGODB_URI" not in errors


@pytest.mark.slow
def test_prepare_suggests_a_training_with_the_schema_that_it_used(shell, tmp_path, monkeypatch):
    """A person pastes the line: its words must come out of a shell as they went in."""
    path = tmp_path / "my schemas" / "loans.toml"
    path.parent.mkdir()
    path.write_text(BUNDLED_SCHEMA.read_text())
    assert shell("ingest", "--generate", "80")[0] == 0
    for options, setting in [(("--schema", str(path)), None), ((), str(path))]:
        if setting is not None:
            monkeypatch.setenv("LOAN_DEFAULT_SCHEMA", setting)
        out = shell("prepare", *options)[1]
        suggested = shlex.split(out[out.index("python train.py") :])
        assert suggested[-4:] == ["--data", "store:", "--schema", str(path)]


def broken_accounts(path, *, rows=50, broken=(7,)):
    """A file of generated accounts, some with a limit that the schema does not allow."""
    schema = load_schema(BUNDLED_SCHEMA)
    frame = to_text(generate(schema, rows=rows, seed=1).frame, schema)
    frame.loc[frame.index[list(broken)], "LIMIT_BAL"] = "-1"
    path.parent.mkdir(exist_ok=True)
    frame.to_csv(path, index=False)
    os.utime(path, (1, 1))


def mended_schema(path):
    """The schema of the accounts, with a lower bound that allows what was broken."""
    schema = load_schema(BUNDLED_SCHEMA)
    columns = tuple(
        replace(column, minimum=-10) if column.name == "LIMIT_BAL" else column for column in schema.columns
    )
    path.write_text(dump_schema(replace(schema, columns=columns)))
    return str(path)


def waiting(shell):
    code, out, errors = shell("dead-letters", "list", "--json")
    assert code == 0, errors
    return json.loads(out)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["file", "folder"])
def test_without_kafka_rejected_records_outlive_the_command(shell, tmp_path, source):
    """Each command has a broker of its own here, as each process has: all they share is the home folder."""
    data = tmp_path / "in" / "loans.csv"
    broken_accounts(data, broken=(7, 30))
    options = ("--file", str(data)) if source == "file" else ("--folder", str(data.parent))
    assert "48 accepted, 2 rejected" in shell("ingest", *options)[1]
    first, second = waiting(shell)
    assert first["reason"] == second["reason"] == "LIMIT_BAL: must be at least 0"
    assert first["topic"] == "raw_data"
    code, out, _ = shell("dead-letters", "show", first["event"])
    assert code == 0
    assert '"LIMIT_BAL":-1' in out

    mended = mended_schema(tmp_path / "mended.toml")
    assert "replayed    1 event;" in shell("dead-letters", "replay", first["event"])[1]
    assert len(waiting(shell)) == 2, "it waits until its replay is processed"
    assert "1 record: 1 accepted, 0 rejected" in shell("ingest", "--schema", mended)[1]
    assert [dead_letter["event"] for dead_letter in waiting(shell)] == [second["event"]]
    assert "49 applications" in shell("prepare", "--schema", mended)[1]
    assert "0 records" in shell("ingest", "--schema", mended)[1], "a replay is taken once"

    assert "replayed    1 event;" in shell("dead-letters", "replay")[1]
    assert "1 record: 0 accepted, 1 rejected" in shell("ingest", *options)[1]
    assert [dead_letter["event"] for dead_letter in waiting(shell)] == [second["event"] + "~1"]


@pytest.mark.slow
def test_without_kafka_a_command_that_follows_keeps_rejected_records_and_takes_replays(
    shell, tmp_path, monkeypatch
):
    data = tmp_path / "loans.csv"
    broken_accounts(data)
    typed = []

    class Typing(threading.Event):
        """Other commands are typed between two looks of the one that follows."""

        def wait(self, timeout=None):
            typed.append(waiting(shell))
            if len(typed) == 1:
                assert "replayed    1 event;" in shell("dead-letters", "replay")[1]
            else:
                self.set()
            return self.is_set()

    monkeypatch.setattr(stream_commands, "stopping", lambda: nullcontext(Typing()))
    code, _, errors = shell("ingest", "--file", str(data), "--follow")
    assert code == 0, errors
    (event,) = [dead_letter["event"] for dead_letter in typed[0]]
    assert [dead_letter["event"] for dead_letter in typed[1]] == [f"{event}~1"]


@pytest.mark.slow
def test_rejected_rows_are_counted_by_the_rules_that_they_break(shell, tmp_path):
    data = tmp_path / "loans.csv"
    broken_accounts(data, broken=(3, 4, 5))
    text = data.read_text().splitlines()
    text[-1] += ",a,b"
    data.write_text("\n".join(text))
    code, out, _ = shell("ingest", "--file", str(data))
    assert code == 0
    assert "46 accepted, 4 rejected" in out
    lines = [line.split(maxsplit=1) for line in out.splitlines()]
    assert ["3", "LIMIT_BAL: must be at least 0"] in lines
    assert ["1", "fields must be columns of the schema"] in lines
    assert "-1" not in out.split("rejected")[1], "never a value"


@pytest.mark.slow
def test_a_folder_says_which_files_wait_and_why(shell, tmp_path):
    incoming = tmp_path / "in"
    broken_accounts(incoming / "young.csv")
    os.utime(incoming / "young.csv")
    (incoming / "empty.csv").touch()
    (incoming / "growing.csv.part").write_text("x")
    (incoming / "inner").mkdir()
    code, out, _ = shell("ingest", "--folder", str(incoming))
    assert code == 0
    assert "raw_data    0 events sent" in out
    assert re.search(r"waits +young.csv: it changed \d+\.\d s ago, and is taken when .* alone for 2 s", out)
    assert "waits       empty.csv: it is empty" in out
    assert "waits       growing.csv.part: its name says that it is still being written" in out
    assert "waits       inner: it must be a plain file" in out
    assert "nothing" not in out


@pytest.mark.slow
def test_files_that_were_refused_before_are_named_with_their_reason(shell, tmp_path):
    incoming = tmp_path / "in"
    incoming.mkdir()
    for number in range(12):
        (incoming / f"other-{number:02}.csv").write_text(f"name,town\nx,{number}\n")
        os.utime(incoming / f"other-{number:02}.csv", (1, 1))
    out = shell("ingest", "--folder", str(incoming))[1]
    assert out.count("left out    other-") == 12
    assert "refused     " not in out
    out = shell("ingest", "--folder", str(incoming))[1]
    reason = "the column 'LIMIT_BAL' of the schema must be in other-00.csv, however: it is not."
    assert f"refused     other-00.csv: {reason}" in out
    assert out.count("refused     other-") == 10
    assert "and 2 more that were refused before" in out
    assert f"nothing     {incoming}: no file to take" in out


@pytest.mark.slow
def test_a_source_without_new_rows_says_so(shell, tmp_path):
    data = tmp_path / "loans.csv"
    broken_accounts(data)
    assert "nothing" not in shell("ingest", "--file", str(data))[1]
    out = shell("ingest", "--file", str(data))[1]
    assert "nothing     loans.csv: all rows were taken before" in out
    assert "feeds/loans.csv-" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--generate", "-5"), "--generate must be at least 1, however: -5"),
        (("--generate", "0"), "--generate must be at least 1, however: 0"),
        (("--rows", "0"), "--rows must be at least 1, however: 0"),
        (("--file", "a.csv", "--rows", "-1"), "--rows must be at least 1, however: -1"),
    ],
)
def test_a_wrong_number_is_named_by_its_option(shell, words, message):
    code, _, errors = shell("ingest", *words)
    assert (code, message in errors) == (2, True)

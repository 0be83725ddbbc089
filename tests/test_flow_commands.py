"""`ingest` and `dead-letters` as a person types them, without a server."""

import json
import os
import signal

import pytest

from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.data.generator import generate, to_text
from loan_default.data.schema import load_schema
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.topics import TOPICS


@pytest.fixture
def one_broker(monkeypatch):
    """All commands of a test speak to the same broker in memory."""
    broker = MemoryBroker()
    broker.create_topics(TOPICS)
    monkeypatch.setattr("loan_default.kafka.connect.connect", lambda settings: broker)
    return broker


def test_a_file_is_taken_in_slices_and_once(shell, tmp_path):
    schema = load_schema(BUNDLED_SCHEMA)
    data = tmp_path / "loans.csv"
    to_text(generate(schema, rows=300, seed=1).frame, schema).to_csv(data, index=False)
    code, out, _ = shell("ingest", "--file", str(data), "--rows", "200")
    assert code == 0
    assert "raw_data    200 events sent, 0 too large" in out
    assert "200 records: 200 accepted, 0 rejected, 0 duplicates, 0 redelivered" in out
    assert "100 records: 100 accepted" in shell("ingest", "--file", str(data))[1]
    assert "0 records" in shell("ingest", "--file", str(data))[1]


def test_rows_without_a_source_are_those_of_the_bundled_accounts(shell):
    for _ in range(2):
        code, out, _ = shell("ingest", "--rows", "30")
        assert code == 0
        assert "30 records: 30 accepted" in out


def test_bad_rows_become_dead_letters_that_can_be_looked_at_and_sent_again(shell, tmp_path, one_broker):
    schema = load_schema(BUNDLED_SCHEMA)
    rows = to_text(generate(schema, rows=50, seed=1).frame, schema)
    rows.loc[rows.index[7], "LIMIT_BAL"] = "-1"
    data = tmp_path / "loans.csv"
    rows.to_csv(data, index=False)
    assert "49 accepted, 1 rejected" in shell("ingest", "--file", str(data))[1]
    (letter,) = json.loads(shell("dead-letters", "list", "--json")[1])
    assert letter["reason"] == "LIMIT_BAL: must be at least 0"
    assert (letter["topic"], letter["partition"] >= 0) == ("raw_data", True)
    assert "waiting     1 dead letters" in shell("dead-letters", "list")[1]
    code, out, _ = shell("dead-letters", "show", letter["event"])
    assert code == 0
    assert '"LIMIT_BAL":-1' in out
    assert "replayed    1 events" in shell("dead-letters", "replay", letter["event"])[1]
    assert "1 records: 0 accepted, 1 rejected" in shell("ingest")[1]
    (again,) = json.loads(shell("dead-letters", "list", "--json")[1])
    assert again["event"] == letter["event"] + "~1"


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


@pytest.mark.parametrize("options", [(), ("--follow",)])
def test_without_kafka_all_that_was_sent_is_stored_before_ctrl_c_ends_the_command(
    shell, monkeypatch, options
):
    broker = InterruptedBroker(first_offset=1)
    broker.create_topics(TOPICS)
    with monkeypatch.context() as patch:
        patch.setattr("loan_default.kafka.connect.connect", lambda settings: broker)
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
    (incoming / "notes.txt").write_text("hello")
    for path in incoming.iterdir():
        os.utime(path, (1, 1))
    code, out, _ = shell("ingest", "--folder", str(incoming))
    assert code == 0
    assert "left out    other.csv: " in out
    assert "left out    notes.txt: its name must end like one of CSV or Parquet; it stays" in out


def test_prepare_says_what_the_store_holds(shell):
    assert shell("ingest", "--generate", "80")[0] == 0
    code, out, _ = shell("prepare")
    assert code == 0
    assert "80 applications, default rate" in out
    assert out.split()[1] in shell("prepare")[1]


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (("ingest", "--generate", "5", "--file", "x.csv"), 2, "the source must be one of"),
        (("ingest", "--file", "nowhere.csv"), 2, "nowhere.csv was not found"),
        (("ingest", "--folder", "nowhere"), 2, "the folder of applications must exist"),
        (("ingest", "--schema", "nowhere.toml"), 2, "nowhere.toml"),
        (("dead-letters", "show", "x"), 2, "none does for 'x'"),
    ],
)
def test_what_cannot_be_is_one_line(shell, words, code, line):
    ended, _, errors = shell(*words)
    assert ended == code
    assert line in errors
    assert errors.count("\n") == 1


def test_a_broker_and_a_store_that_are_away_are_named(shell, monkeypatch):
    monkeypatch.setenv("MONGODB_URI", "mongodb://user:s3cret@127.0.0.1:1/")
    monkeypatch.setenv("LOAN_DEFAULT_ANSWER_SECONDS", "0.3")
    code, _, errors = shell("ingest")
    assert code == 3
    assert "connecting to MONGODB_URI failed" in errors
    assert "s3cret" not in errors

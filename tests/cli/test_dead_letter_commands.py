"""`dead-letters` as a person types it, without a server."""

import json

import pytest

from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.data.schema.schema_files import load_schema
from loan_default.data.sources.generator import generate, to_text
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.topics import TOPICS


@pytest.fixture
def one_broker(monkeypatch):
    """All commands of a test speak to the same broker in memory."""
    broker = MemoryBroker()
    broker.create_topics(TOPICS)
    monkeypatch.setattr("loan_default.kafka.open_broker.connect", lambda settings: broker)
    return broker


@pytest.mark.slow
def test_bad_rows_become_dead_letters_that_can_be_looked_at_and_sent_again(shell, tmp_path, one_broker):
    schema = load_schema(BUNDLED_SCHEMA)
    rows = to_text(generate(schema, rows=50, seed=1).frame, schema)
    rows.loc[rows.index[7], "LIMIT_BAL"] = "-1"
    data = tmp_path / "loans.csv"
    rows.to_csv(data, index=False)
    assert "49 accepted, 1 rejected" in shell("ingest", "--file", str(data))[1]
    (dead_letter,) = json.loads(shell("dead-letters", "list", "--json")[1])
    assert dead_letter["reason"] == "LIMIT_BAL: must be at least 0"
    assert (dead_letter["topic"], dead_letter["partition"] >= 0) == ("raw_data", True)
    assert "waiting     1 dead-letter record" in shell("dead-letters", "list")[1]
    code, out, _ = shell("dead-letters", "show", dead_letter["event"])
    assert code == 0
    assert '"LIMIT_BAL":-1' in out
    assert "replayed    1 event;" in shell("dead-letters", "replay", dead_letter["event"])[1]
    assert "1 record: 0 accepted, 1 rejected" in shell("ingest")[1]
    (again,) = json.loads(shell("dead-letters", "list", "--json")[1])
    assert again["event"] == dead_letter["event"] + "~1"
    assert "waiting     0 dead-letter records" in shell("dead-letters", "list", "--of", "processed_data")[1]


def test_an_event_without_a_dead_letter_record_is_one_line(shell):
    for action in ("show", "replay"):
        code, _, errors = shell("dead-letters", action, "x")
        assert code == 2
        assert "none does for 'x'" in errors
        assert errors.count("\n") == 1

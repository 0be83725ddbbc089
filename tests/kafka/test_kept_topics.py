"""Topics in a file: what was sent to them is there in the next process, as it was sent."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loan_default.errors import DependencyError
from loan_default.kafka import kept_topics
from loan_default.kafka.kept_topics import KeptTopics
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.messages import Message, Partition, Record
from loan_default.kafka.topics import Topic

DEAD = Topic(name="dead", partitions=1, retention=timedelta(days=90))


def next_process(folder: Path) -> MemoryBroker:
    """The broker of a process after the others."""
    broker = MemoryBroker(kept=KeptTopics(folder / "kept.sqlite3", names=["dead"]))
    broker.create_topics([DEAD, Topic(name="raw", partitions=1)])
    return broker


def records(broker: MemoryBroker, topic: str = "dead") -> list[Record]:
    return list(broker.logs[Partition(topic, 0)])


def dead(*values: bytes) -> list[Message]:
    return [Message(topic="dead", key=b"k", value=value) for value in values]


raw_bytes = st.none() | st.binary(max_size=50)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(
    key=raw_bytes,
    value=raw_bytes,
    headers=st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=9)), max_size=3),
)
def test_any_record_comes_back_as_it_was_sent(tmp_path, key, value, headers):
    broker = next_process(tmp_path)
    broker.producer().deliver([Message("dead", key, value, tuple(headers))])
    record = records(next_process(tmp_path))[-1]
    assert (record.key, record.value, record.headers) == (key, value, tuple(headers))
    assert record.offset == broker.end_offsets("dead")[Partition("dead", 0)] - 1


def test_offsets_go_on_from_process_to_process_and_other_topics_are_gone(tmp_path):
    for number in range(3):
        broker = next_process(tmp_path)
        broker.producer().deliver([*dead(b"%d" % number), Message("raw", b"k", b"x")])
    assert [(each.offset, each.value) for each in records(broker)] == [(0, b"0"), (1, b"1"), (2, b"2")]
    assert records(next_process(tmp_path), "raw") == []


def test_a_broker_sees_what_another_process_sends_meanwhile(tmp_path):
    ours, theirs = next_process(tmp_path), next_process(tmp_path)
    consumer = ours.consumer("look", ["dead"])
    assert consumer.poll(max_records=9, timeout_seconds=0) == []
    theirs.producer().deliver(dead(b"1"))
    ours.producer().deliver(dead(b"2"))
    assert [each.value for each in consumer.poll(max_records=9, timeout_seconds=0)] == [b"1", b"2"]
    consumer.close()


def test_what_is_older_than_the_retention_goes_and_offsets_are_not_given_twice(tmp_path, monkeypatch):
    next_process(tmp_path).producer().deliver(dead(b"old"))
    now = kept_topics.time.time()
    monkeypatch.setattr(kept_topics.time, "time", lambda: now + 91 * 86_400)
    broker = next_process(tmp_path)
    assert records(broker) == []
    assert broker.end_offsets("dead") == {Partition("dead", 0): 1}
    consumer = broker.consumer("look", ["dead"])
    assert consumer.positions() == {Partition("dead", 0): 1}
    broker.producer().deliver(dead(b"new"))
    assert [each.offset for each in consumer.poll(max_records=9, timeout_seconds=0)] == [1]
    consumer.close()


_KILLED = """
import os, sys
from pathlib import Path
from loan_default.kafka.kept_topics import KeptTopics
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.messages import Message
from loan_default.kafka.topics import Topic

broker = MemoryBroker(kept=KeptTopics(Path(sys.argv[1]), names=["dead"]))
broker.create_topics([Topic(name="dead", partitions=1)])
broker.producer().deliver([Message("dead", b"k", b"x")] * 2500)
os.kill(os.getpid(), 9)
"""


@pytest.mark.slow
def test_what_was_taken_survives_a_kill(tmp_path):
    ended = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path / "kept.sqlite3")], check=False)
    assert ended.returncode == -9
    assert [each.offset for each in records(next_process(tmp_path))] == list(range(2_500))


def test_what_was_delivered_before_an_error_is_kept(tmp_path):
    def messages():
        yield from dead(b"1", b"2")
        raise DependencyError("away")

    with pytest.raises(DependencyError, match="away"):
        next_process(tmp_path).producer().deliver(messages())
    assert [each.value for each in records(next_process(tmp_path))] == [b"1", b"2"]


def test_what_a_full_disk_refused_is_written_by_the_next_flush(tmp_path):
    kept, partition = KeptTopics(tmp_path / "folder" / "kept.sqlite3", names=["dead"]), Partition("dead", 0)
    (message,) = dead(b"1")
    kept.put(partition, message)
    (tmp_path / "folder").write_text("a file stands where the folder should be")
    with pytest.raises(DependencyError, match=r"^Cannot use the dead-letter records in"):
        kept.flush()
    (tmp_path / "folder").unlink()
    kept.flush()
    kept.flush()
    assert [each.value for each in kept.read(partition, 0, count=9)] == [b"1"]


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "kept.sqlite3").write_bytes(b"no database" * 100)
    with pytest.raises(DependencyError, match=r"^Cannot use the dead-letter records in .*kept\.sqlite3"):
        next_process(tmp_path)


def test_nothing_is_made_before_the_first_record(tmp_path):
    broker = next_process(tmp_path / "absent")
    assert broker.end_offsets("dead") == {Partition("dead", 0): 0}
    assert list(tmp_path.iterdir()) == []

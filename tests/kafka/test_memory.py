"""The broker in memory drops what all readers of a topic have committed, and nothing else."""

import pytest

from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.messages import Message, Partition, next_offsets
from loan_default.kafka.topics import Topic

PLACE = Partition("t", 0)


@pytest.fixture
def broker() -> MemoryBroker:
    """A topic that two groups read, and one that nobody has to read."""
    broker = MemoryBroker(first_offset=100, readers={"t": ("one", "two")})
    broker.create_topics([Topic(name="t", partitions=1), Topic(name="free", partitions=1)])
    return broker


def send(broker: MemoryBroker, topic: str, count: int) -> None:
    broker.producer().deliver(Message(topic, b"k", b"%d" % number) for number in range(count))


def commit(broker: MemoryBroker, group: str, topic: str = "t", *, count: int = 1_000) -> list[int]:
    """Read and commit so many records; returns their offsets."""
    consumer = broker.consumer(group, [topic])
    records = consumer.poll(max_records=count, timeout_seconds=0)
    assert consumer.commit(next_offsets(records))
    consumer.close()
    return [record.offset for record in records]


def offsets(broker: MemoryBroker) -> list[int]:
    return [record.offset for record in broker.logs[PLACE]]


def test_what_all_readers_have_committed_is_dropped_and_offsets_go_on(broker):
    send(broker, "t", 10)
    commit(broker, "one", count=7)
    assert offsets(broker) == list(range(100, 110)), "the other reader has yet to come"
    commit(broker, "two", count=4)
    assert offsets(broker) == list(range(104, 110))
    commit(broker, "two")
    assert offsets(broker) == list(range(107, 110))
    send(broker, "t", 2)
    assert broker.end_offsets("t") == {PLACE: 112}
    assert commit(broker, "one") == [107, 108, 109, 110, 111]
    assert offsets(broker) == [110, 111], "the other one has committed the first three"
    assert commit(broker, "two") == [110, 111]
    assert offsets(broker) == []
    assert broker.end_offsets("t") == {PLACE: 112}


def test_memory_does_not_grow_with_what_passes(broker):
    for _ in range(50):
        send(broker, "t", 20)
        commit(broker, "one")
        commit(broker, "two")
        assert len(broker.logs[PLACE]) == 0
    assert broker.committed("one", "t") == {PLACE: 1_100}


def test_a_topic_that_nobody_has_to_read_keeps_everything(broker):
    send(broker, "free", 10)
    for group in ("one", "two", "three"):
        assert len(commit(broker, group, "free")) == 10


def test_a_group_that_comes_later_begins_with_the_oldest_record_that_is_there(broker):
    send(broker, "t", 10)
    commit(broker, "one", count=6)
    commit(broker, "two", count=6)
    late = broker.consumer("late", ["t"])
    assert late.uncommitted({PLACE: 110}) == {PLACE: 4}, "what is gone does not count"
    commit(broker, "one")
    commit(broker, "two")
    assert offsets(broker) == [106, 107, 108, 109], "it reads the topic, so it is waited for"
    assert [record.offset for record in late.poll(max_records=10, timeout_seconds=0)] == offsets(broker)
    late.commit({PLACE: 110})
    assert offsets(broker) == []
    late.close()


def test_who_only_looked_is_not_waited_for_when_gone(broker):
    send(broker, "t", 10)
    look = broker.consumer("look-1", ["t"])
    commit(broker, "one")
    commit(broker, "two")
    assert len(offsets(broker)) == 10
    look.close()
    assert set(broker.groups) == {"one", "two"}
    send(broker, "t", 1)
    commit(broker, "one")
    commit(broker, "two")
    assert offsets(broker) == []


def test_a_commit_beyond_the_end_drops_nothing(broker):
    send(broker, "t", 3)
    for group in ("one", "two"):
        consumer = broker.consumer(group, ["t"])
        consumer.commit({PLACE: 5_000})
        consumer.close()
    assert offsets(broker) == [100, 101, 102]


def test_what_was_read_and_not_committed_comes_again(broker):
    send(broker, "t", 4)
    commit(broker, "two")
    for _ in range(2):
        reader = broker.consumer("one", ["t"])
        assert len(reader.poll(max_records=10, timeout_seconds=0)) == 4
        reader.close()

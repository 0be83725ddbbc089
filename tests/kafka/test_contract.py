"""What every broker must do, in memory or genuine."""

import threading
from collections import defaultdict

import pytest

from loan_default.errors import DependencyError
from loan_default.kafka.broker import Broker, Consumer
from loan_default.kafka.messages import Message, Partition, Record, next_offsets
from loan_default.kafka.topics import Topic

SECONDS = 10.0


def test_topics_are_made_once(broker: Broker, new_topic):
    there = new_topic()
    fresh = there + "-fresh"
    assert broker.create_topics([Topic(name=there), Topic(name=fresh, partitions=2)]) == [fresh]
    assert broker.create_topics([Topic(name=there), Topic(name=fresh)]) == []
    assert broker.end_offsets(fresh) == {Partition(fresh, 0): 0, Partition(fresh, 1): 0}


def test_what_is_delivered_comes_out_whole_and_in_the_order_of_its_key(broker: Broker, new_topic):
    topic = new_topic()
    messages = [message(topic, number, key=str(number % 7)) for number in range(500)]
    assert broker.producer().deliver(messages).delivered == 500
    consumer = broker.consumer("readers", [topic])
    records = read(consumer, 500)
    consumer.close()
    by_key: dict[bytes | None, list[Record]] = defaultdict(list)
    for record in records:
        by_key[record.key].append(record)
    for key, some in by_key.items():
        assert len({record.partition for record in some}) == 1, key
        values = [int(record.value or b"") for record in some]
        assert values == sorted(values)
    assert sorted(int(record.value or b"") for record in records) == list(range(500))
    assert records[0].headers == (("number", records[0].value),)
    assert records[0].header("number") == records[0].value
    assert records[0].header("colour") is None


def test_offsets_count_from_zero_in_each_partition_and_the_ends_say_how_many(broker: Broker, new_topic):
    topic = new_topic()
    broker.producer().deliver(message(topic, number) for number in range(60))
    ends = broker.end_offsets(topic)
    assert sum(ends.values()) == 60
    consumer = broker.consumer("readers", [topic])
    records = read(consumer, 60)
    assert dict(consumer.positions()) == ends
    consumer.close()
    for partition, end in ends.items():
        offsets = [record.offset for record in records if record.partition == partition]
        assert offsets == list(range(end))
    assert next_offsets(records) == {partition: end for partition, end in ends.items() if end}


def test_the_first_offset_is_that_of_the_oldest_record(broker: Broker, new_topic):
    topic = new_topic(partitions=2)
    assert broker.first_offsets(topic) == broker.end_offsets(topic)
    broker.producer().deliver(message(topic, number) for number in range(20))
    assert broker.first_offsets(topic) == {Partition(topic, 0): 0, Partition(topic, 1): 0}
    with pytest.raises(DependencyError, match="nowhere"):
        broker.first_offsets("nowhere")


def test_a_message_without_a_value_or_with_an_empty_one_is_a_message(broker: Broker, new_topic):
    topic = new_topic(partitions=1)
    for value in (None, b"", b"\xff\x00"):
        broker.producer().deliver([Message(topic=topic, key=b"k", value=value)])
    consumer = broker.consumer("readers", [topic])
    assert [record.value for record in read(consumer, 3)] == [None, b"", b"\xff\x00"]
    consumer.close()


def test_a_message_over_the_size_limit_is_refused_and_holds_up_nobody(broker: Broker, new_topic):
    topic = new_topic(partitions=1)
    huge = Message(topic=topic, key=b"huge", value=b"x" * (2 * 1024 * 1024))
    delivery = broker.producer().deliver([message(topic, 1), huge, message(topic, 2)])
    assert delivery.delivered == 2
    assert [refused.message for refused in delivery.refused] == [huge]
    assert "over the size limit" in delivery.refused[0].reason
    consumer = broker.consumer("readers", [topic])
    assert [record.value for record in read(consumer, 2)] == [b"1", b"2"]
    consumer.close()


def test_what_was_committed_is_not_read_again_and_what_was_not_is(broker: Broker, new_topic):
    topic = new_topic(partitions=1)
    broker.producer().deliver(message(topic, number) for number in range(30))
    first = broker.consumer("readers", [topic])
    read(first, 10)
    done = {Partition(topic, 0): 10}
    assert first.commit(done)
    assert first.poll(max_records=5, timeout_seconds=SECONDS)  # read, and not committed
    first.close()
    assert broker.committed("readers", topic) == done
    second = broker.consumer("readers", [topic])
    assert [record.offset for record in read(second, 20)] == list(range(10, 30))
    second.close()
    assert broker.committed("strangers", topic) == {Partition(topic, 0): None}


def test_groups_read_apart_from_each_other(broker: Broker, new_topic):
    topic = new_topic()
    broker.producer().deliver(message(topic, number) for number in range(20))
    for group in ("one", "two"):
        consumer = broker.consumer(group, [topic])
        records = read(consumer, 20)
        assert consumer.commit(next_offsets(records))
        consumer.close()


@pytest.mark.slow
def test_members_of_a_group_share_the_partitions(broker: Broker, new_topic):
    topic = new_topic()
    broker.producer().deliver(message(topic, number) for number in range(300))
    seen: list[Record] = []
    lock = threading.Lock()

    def work() -> None:
        consumer = broker.consumer("readers", [topic])
        while True:
            with lock:
                if len({(record.partition, record.offset) for record in seen}) == 300:
                    break
            records = consumer.poll(max_records=10, timeout_seconds=0.2)
            consumer.commit(next_offsets(records))
            with lock:
                seen.extend(records)
        consumer.close()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert not worker.is_alive()
    assert {int(record.value or b"") for record in seen} == set(range(300))


def test_a_commit_of_partitions_that_went_to_another_is_stale_and_changes_nothing(broker: Broker, new_topic):
    topic = new_topic(partitions=1)
    broker.producer().deliver(message(topic, number) for number in range(10))
    first = broker.consumer("readers", [topic])
    records = read(first, 10)
    first.close()
    second = broker.consumer("readers", [topic])
    again = read(second, 10)
    third = broker.consumer("others", [topic])
    assert not third.commit({Partition("elsewhere", 0): 5})
    third.close()
    assert again == records
    assert second.commit(next_offsets(again))
    second.close()


def test_what_a_group_has_yet_to_commit_is_known_to_each_member_whoever_reads_it(broker: Broker, new_topic):
    topic = new_topic(partitions=2)
    broker.producer().deliver(message(topic, number) for number in range(10))
    ends = {partition: end for partition, end in broker.end_offsets(topic).items() if end}
    reader, bystander = broker.consumer("readers", [topic]), broker.consumer("others", [topic])
    assert reader.uncommitted(ends) == bystander.uncommitted(ends) == ends
    records = read(reader, 10)
    first = records[0].partition
    of_first = [record for record in records if record.partition == first]
    assert reader.commit({first: of_first[-1].offset})
    assert reader.uncommitted({first: ends[first]}) == {first: 1}
    assert reader.commit(next_offsets(records))
    assert reader.uncommitted(ends) == {}
    assert bystander.uncommitted(ends) == ends
    for consumer in (reader, bystander):
        consumer.close()


def test_a_commit_beyond_the_end_is_of_records_that_are_gone(broker: Broker, new_topic):
    topic = new_topic(partitions=1)
    broker.producer().deliver(message(topic, number) for number in range(10))
    consumer, ends = broker.consumer("readers", [topic]), broker.end_offsets(topic)
    read(consumer, 10)
    assert consumer.commit({Partition(topic, 0): 1_000})
    assert consumer.uncommitted(ends) == ends
    consumer.close()


@pytest.mark.slow
def test_an_idle_member_keeps_its_partitions_and_misses_nothing(broker: Broker, new_topic):
    topic = new_topic(partitions=1)
    broker.producer().deliver(message(topic, number) for number in range(3))
    consumer = broker.consumer("readers", [topic])
    first = read(consumer, 3)
    broker.producer().deliver(message(topic, number) for number in range(3, 6))
    consumer.idle(0.3)
    assert consumer.assigned() == {Partition(topic, 0)}
    rest = read(consumer, 3)
    assert [int(record.value or b"") for record in first + rest] == list(range(6))
    consumer.close()


@pytest.mark.slow
def test_a_poll_gives_no_more_than_asked_for_and_returns_when_nothing_comes(broker: Broker, new_topic):
    topic = new_topic(partitions=1)
    consumer = broker.consumer("readers", [topic])
    assert consumer.poll(max_records=5, timeout_seconds=0.2) == []
    broker.producer().deliver(message(topic, number) for number in range(12))
    sizes = []
    while sum(sizes) < 12:
        sizes.append(len(consumer.poll(max_records=5, timeout_seconds=SECONDS)))
    assert max(sizes) <= 5
    consumer.close()


def test_absent_topics_are_named(broker: Broker, new_topic):
    there = new_topic()
    broker.check_topics([there])
    with pytest.raises(
        DependencyError, match=r"however: nowhere is not\. Create them with `loan-default init`"
    ):
        broker.check_topics([there, "nowhere"])
    with pytest.raises(DependencyError, match="nowhere"):
        broker.consumer("readers", ["nowhere"])
    with pytest.raises(DependencyError, match="nowhere"):
        broker.end_offsets("nowhere")


def message(topic: str, number: int, *, key: str | None = None) -> Message:
    value = str(number).encode()
    return Message(topic=topic, key=(key or str(number)).encode(), value=value, headers=(("number", value),))


def read(consumer: Consumer, count: int) -> list[Record]:
    """Exactly so many records; fails when they do not come."""
    records: list[Record] = []
    for _ in range(200):
        records += consumer.poll(max_records=count - len(records), timeout_seconds=SECONDS / 20)
        if len(records) == count:
            return records
    raise AssertionError(f"{count} records must come, however: {len(records)} did")

"""What a transactional producer leaves between and behind records, on a genuine broker."""

import uuid

import pytest
from kafka import KafkaProducer

from loan_default.errors import DependencyError
from loan_default.kafka.client import Connection, KafkaBroker
from loan_default.kafka.consuming import Polling, drain
from loan_default.kafka.messages import Partition, Record
from loan_default.kafka.topics import Topic

pytestmark = pytest.mark.integration

POLLING = Polling(poll_seconds=0.2, first_pause_seconds=0.1, retry_budget_seconds=10)


@pytest.fixture
def written(kafka_servers: str) -> tuple[KafkaBroker, str]:
    """A topic of one partition that holds two transactions of three records each."""
    broker = KafkaBroker(Connection(servers=tuple(kafka_servers.split(",")), security={}))
    topic = f"test-{uuid.uuid4().hex[:12]}"
    broker.create_topics([Topic(name=topic, partitions=1)])
    producer = KafkaProducer(bootstrap_servers=kafka_servers.split(","), transactional_id=topic)
    producer.init_transactions()
    for first in (0, 3):
        producer.begin_transaction()
        for number in range(first, first + 3):
            producer.send(topic, key=b"k", value=str(number).encode())
        producer.commit_transaction()
    producer.close()
    return broker, topic


def test_markers_are_passed_and_committed_and_a_wait_loses_no_record(written):
    broker, topic = written
    ends = broker.end_offsets(topic)
    assert ends == {Partition(topic, 0): 8}, "two markers"
    seen: list[int] = []
    away = [True]

    def handle(records: list[Record]) -> None:
        if away:
            away.pop()
            raise DependencyError("the store is away")
        seen.extend(int(record.value or b"") for record in records)

    consumer = broker.consumer("readers", [topic])
    consumed = drain(consumer, handle, ends=ends, polling=POLLING)
    consumer.close()
    assert seen == list(range(6))
    assert consumed.stale_commits == 0
    assert broker.committed("readers", topic) == ends

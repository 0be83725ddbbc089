"""The same tests over the broker in memory and over a genuine one."""

import uuid
from collections.abc import Callable

import pytest

from loan_default.kafka.broker import Broker
from loan_default.kafka.client import Connection, KafkaBroker
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.topics import Topic

NewTopic = Callable[..., str]


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.integration)])
def broker(request: pytest.FixtureRequest) -> Broker:
    if request.param == "memory":
        return MemoryBroker()
    servers: str = request.getfixturevalue("kafka_servers")
    return KafkaBroker(Connection(servers=tuple(servers.split(",")), security={}))


@pytest.fixture
def new_topic(broker: Broker) -> NewTopic:
    """Makes a topic that no other test uses."""

    def make(partitions: int = 3) -> str:
        name = f"test-{uuid.uuid4().hex[:12]}"
        broker.create_topics([Topic(name=name, partitions=partitions)])
        return name

    return make

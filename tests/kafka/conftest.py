"""The same tests over the broker in memory, with its topics in a file too, and over a genuine one."""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from loan_default.kafka.broker import Broker
from loan_default.kafka.client import Connection, KafkaBroker
from loan_default.kafka.kept_topics import KeptTopics
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.topics import Topic

NewTopic = Callable[..., str]


class Everything:
    """The names of all topics."""

    def __contains__(self, name: object) -> bool:
        return True


@pytest.fixture(params=["memory", "kept", pytest.param("kafka", marks=pytest.mark.integration)])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Broker:
    if request.param == "memory":
        return MemoryBroker()
    if request.param == "kept":
        return MemoryBroker(kept=KeptTopics(tmp_path / "topics.sqlite3", names=Everything()))
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

"""What a client of a broker that does not answer gives back."""

import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from kafka.errors import KafkaConnectionError, KafkaError, NodeNotReadyError
from servers.process import open_sockets

from loan_default.errors import DependencyError
from loan_default.kafka.client import Connection, KafkaBroker, _records, broker_errors
from loan_default.kafka.messages import Message, Partition
from loan_default.kafka.open_broker import connect
from loan_default.kafka.topics import Topic
from loan_default.settings import Settings


@pytest.fixture
def silent_broker() -> Iterator[KafkaBroker]:
    """One whose machine takes connections, and which answers nobody."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        yield KafkaBroker(
            Connection(servers=(address,), security={}, timeout_seconds=0.3, delivery_seconds=0.5)
        )


CALLS: dict[str, Callable[[KafkaBroker], object]] = {
    "admin": lambda broker: broker.check_topics(["raw_data"]),
    "reader": lambda broker: broker.end_offsets("raw_data"),
    "consumer": lambda broker: broker.consumer("group", ["raw_data"]),
    "producer": lambda broker: broker.producer().deliver([Message(topic="raw_data", key=b"k", value=b"v")]),
}


@pytest.mark.slow
@pytest.mark.parametrize("who", CALLS)
def test_who_finds_no_broker_keeps_no_thread_and_no_socket(silent_broker, who):
    threads, sockets = set(threading.enumerate()), open_sockets(os.getpid())
    for _ in range(3):
        with pytest.raises(DependencyError, match="must answer"):
            CALLS[who](silent_broker)
    # Threads of earlier tests may end meanwhile.
    assert set(threading.enumerate()) <= threads
    assert open_sockets(os.getpid()) == sockets


@pytest.mark.slow
def test_a_broker_may_have_an_ipv6_address():
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with server:
        settings = Settings(
            kafka_bootstrap_servers=f"[::1]:{server.getsockname()[1]}", answer_seconds=0.3, session_seconds=1
        )
        with pytest.raises(DependencyError, match="must answer"):
            connect(settings).check_topics(["raw_data"])
        server.settimeout(5)
        caller, _ = server.accept()  # the client was there
        caller.close()


def test_headers_without_a_value_can_be_sent_again():
    raw = SimpleNamespace(offset=1, key=b"k", value=b"v", headers=[("trace", None), ("ce_id", b"a")])
    (record,) = _records(Partition("t", 0), [raw])
    assert record.headers == (("trace", b""), ("ce_id", b"a"))


@pytest.mark.integration
def test_a_wait_that_fails_leaves_no_partition_paused(kafka_servers, monkeypatch):
    broker = KafkaBroker(Connection(servers=tuple(kafka_servers.split(",")), security={}))
    topic = f"test-{uuid.uuid4().hex[:12]}"
    broker.create_topics([Topic(name=topic, partitions=1)])
    broker.producer().deliver([Message(topic=topic, key=b"k", value=b"v")])
    consumer = broker.consumer("readers", [topic])
    while not consumer.poll(max_records=10, timeout_seconds=1):
        pass
    real = consumer._client.poll
    monkeypatch.setattr(consumer._client, "poll", raising(KafkaError("no")))
    with pytest.raises(DependencyError, match="staying in the group failed"):
        consumer.idle(0.2)
    monkeypatch.setattr(consumer._client, "poll", real)
    assert consumer._client.paused() == set()
    consumer.close()


def raising(error: Exception) -> Callable[..., object]:
    def call(*_: object, **__: object) -> object:
        raise error

    return call


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KafkaConnectionError("no route"), "KafkaConnectionError: no route. Is"),
        (KafkaConnectionError(), "KafkaConnectionError. Is"),
        (NodeNotReadyError("KafkaConnectionError"), "NodeNotReadyError: KafkaConnectionError. Is"),
    ],
)
def test_the_class_of_an_error_is_named_once(error, reason):
    with pytest.raises(DependencyError) as caught, broker_errors("reading"):
        raise error
    assert f"reading failed: {reason} the broker running" in str(caught.value)

"""What a client of a broker that does not answer gives back."""

import os
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from servers.process import open_sockets

from loan_default.errors import DependencyError
from loan_default.kafka.client import Connection, KafkaBroker
from loan_default.kafka.messages import Message


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


@pytest.mark.parametrize("who", CALLS)
def test_who_finds_no_broker_keeps_no_thread_and_no_socket(silent_broker, who):
    before = threading.active_count(), open_sockets(os.getpid())
    for _ in range(3):
        with pytest.raises(DependencyError, match="must answer"):
            CALLS[who](silent_broker)
    assert (threading.active_count(), open_sockets(os.getpid())) == before

"""Flows without servers: a broker in memory and the embedded store."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loan_default.data.schema import Schema
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.kafka.consuming import Pace
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.outbox import Outbox
from loan_default.kafka.topics import TOPICS
from loan_default.pipelines.flow import Flow


@pytest.fixture
def new_flow(tmp_path: Path) -> Iterator[Callable[[Schema, Pace], Flow]]:
    """Makes a flow with all topics; its store is closed after the test."""
    database = EmbeddedDatabase(tmp_path / "store.sqlite3")

    def make(schema: Schema, pace: Pace) -> Flow:
        broker = MemoryBroker()
        broker.create_topics(TOPICS)
        outbox = Outbox(tmp_path / "outbox")
        return Flow(broker=broker, database=database, schema=schema, outbox=outbox, pace=pace)

    yield make
    database.close()

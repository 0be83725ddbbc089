"""Where outcomes go: without Kafka the next ingestion takes them and the training store has the label."""

from datetime import UTC, datetime

import pytest
from serving_setup import SCHEMA

from loan_default.data.schema.schema_files import schema_from_dict
from loan_default.errors import DependencyError
from loan_default.kafka.events import read_event
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.messages import Delivery, Refused
from loan_default.kafka.outbox import Outbox
from loan_default.kafka.topics import RAW, TOPICS
from loan_default.pipelines.ingestion.record_validation import RecordValidator
from loan_default.serving.http.outcome_events import (
    OutcomesOnDisk,
    OutcomesOnKafka,
    outcome_events,
    outcome_messages,
)
from loan_default.serving.http.problems import Problem

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def messages(outcome="1"):
    body = {"application": "p-1", "outcome": outcome}
    return outcome_messages(outcome_events(body, SCHEMA, named=None, now=NOON))


def received(broker):
    consumer = broker.consumer("look", [RAW])
    return consumer.poll(max_records=10, timeout_seconds=0.1)


@pytest.fixture
def broker():
    broker = MemoryBroker(readers={})
    broker.create_topics(TOPICS)
    return broker


def test_outcomes_on_the_disk_are_sent_by_the_next_process_and_pass_its_validation(tmp_path, broker):
    OutcomesOnDisk(tmp_path)(messages())
    producer = broker.producer()
    assert Outbox(tmp_path).send(producer) == 1
    (record,) = received(broker)
    (validated,) = RecordValidator(SCHEMA)([record])
    assert validated.canonical == {"label": 1.0}
    assert validated.event.subject == "p-1"


def test_outcomes_on_kafka_are_there_when_the_call_returns(broker):
    send = OutcomesOnKafka(broker)
    send(messages("0"))
    send.close()
    (record,) = received(broker)
    assert read_event(record).time == NOON


def test_an_outcome_that_the_broker_refuses_is_not_taken():
    class Refusing:
        def producer(self):
            return self

        def deliver(self, batch):
            return Delivery(
                delivered=0, refused=tuple(Refused(message=each, reason="it is too large") for each in batch)
            )

    with pytest.raises(DependencyError, match="too large"):
        OutcomesOnKafka(Refusing())(messages())


def test_a_schema_without_a_target_takes_no_outcomes():
    schema = schema_from_dict({"name": "scores", "columns": {"debt": {"kind": "numerical"}}})
    with pytest.raises(Problem):
        outcome_events({"application": "p", "outcome": "1"}, schema, named=None, now=NOON)

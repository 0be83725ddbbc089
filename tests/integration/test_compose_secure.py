"""Kafka with passwords and rights in compose: the pipeline works, and nobody does what is not theirs."""

import os
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

import pytest
from integration.compose import Compose, composed
from integration.stack import patiently
from integration.test_compose import busy, drop, events, start
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import TopicAuthorizationFailedError

from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.data.schema.schema_files import load_schema
from loan_default.errors import DependencyError
from loan_default.kafka.client import Connection, KafkaBroker
from loan_default.kafka.topics import COMMANDS, PROCESSED, RAW, SCORES, dead_letter_topic

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(1_800),
    pytest.mark.skipif("COMPOSE" not in os.environ, reason="ten minutes: set COMPOSE=1"),
]

TOPICS = (RAW, PROCESSED, SCORES, COMMANDS, *(dead_letter_topic(each) for each in (RAW, PROCESSED, COMMANDS)))
MAY_WRITE = {
    "pipeline": {RAW, PROCESSED, dead_letter_topic(RAW), COMMANDS},
    "commands": {dead_letter_topic(COMMANDS)},
    "requester": {COMMANDS},
    "api": {RAW, COMMANDS},
    "scorer": {SCORES, dead_letter_topic(PROCESSED), COMMANDS},
}
MAY_READ: dict[str, set[str]] = {
    "pipeline": {RAW, PROCESSED, dead_letter_topic(RAW)},
    "commands": {COMMANDS},
    "requester": set(),
    "api": {COMMANDS},
    "scorer": {PROCESSED, COMMANDS},
}
USERS = tuple(MAY_READ)
SERVERS = {"zookeeper", "kafka", "kafka-users", "mongodb", "postgres"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    files = ("docker-compose.yml", "docker-compose.secure.yml")
    with composed(tmp_path_factory.mktemp("stack"), *files) as stack:
        stack("up", "--detach", "--wait", seconds=900)
        yield stack


def test_applications_flow_and_a_command_is_done(stack):
    patiently(lambda: events(stack)[0] >= 6_000, seconds=400, otherwise=lambda: events(stack))
    patiently(lambda: start(stack, "data_ingestion"), seconds=60)
    patiently(lambda: not busy(stack, "data_ingestion"), seconds=300)
    patiently(lambda: "command_handled" in stack("logs", "commands"), seconds=120)
    assert stack.troubles() == {}


@pytest.mark.parametrize("user", USERS)
def test_nobody_gets_in_without_the_right_password(stack, user):
    _look(stack, _login(stack, user))
    with pytest.raises(DependencyError, match=r"(?i)authentication|password"):
        _look(stack, _login(stack, user) | {"sasl_plain_password": "wrong"})


def test_nobody_gets_in_without_a_name(stack):
    with pytest.raises(DependencyError):
        _look(stack, {})


@pytest.mark.parametrize("user", USERS)
def test_each_reads_its_own_topics_only(stack, user):
    read = set()
    for topic in (RAW, PROCESSED, COMMANDS):  # something is on each of them
        with closing(KafkaConsumer(**_address(stack), **_login(stack, user), group_id=None)) as consumer:
            consumer.assign([TopicPartition(topic, number) for number in range(3)])
            consumer.seek_to_beginning()
            with suppress(TopicAuthorizationFailedError):
                if any(consumer.poll(timeout_ms=1_000) for _ in range(5)):
                    read.add(topic)
    assert read == MAY_READ[user] - {dead_letter_topic(RAW)}


@pytest.mark.parametrize("user", USERS)
def test_each_writes_its_own_topics_only(stack, user):
    """Last, as what is written here is no event: it becomes a dead-letter record."""
    written = set()
    for topic in TOPICS:
        with (
            closing(KafkaProducer(**_address(stack), **_login(stack, user))) as producer,
            suppress(TopicAuthorizationFailedError),
        ):
            producer.send(topic, b"from a test").get(timeout=20)
            written.add(topic)
    assert written == MAY_WRITE[user]


@pytest.fixture
def tenant(stack, tmp_path) -> Iterator[Compose]:
    """A stack without servers of its own: those of the other one are its provider's."""
    stack("stop", *(name for name in stack.services() if name not in SERVERS))
    network = tmp_path / "network.yml"
    network.write_text(f"networks: {{default: {{external: true, name: {stack.name}_default}}}}")
    tenant = replace(
        stack,
        name=f"{stack.name}-tenant",
        files=("docker-compose.yml", "docker-compose.external.yml", str(network)),
        variables={
            "KAFKA_BOOTSTRAP_SERVERS": "kafka:29092",
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "MONGODB_URI": "mongodb://mongodb:27017/loan_default",
            "MONGODB_ADMIN_URI": "mongodb://mongodb:27017/?authSource=admin",
            "POSTGRES_HOST": "postgres",
            "POSTGRES_SSLMODE": "disable",
        },
    )
    try:
        yield tenant
    finally:
        tenant("down", "--volumes", "--timeout", "10", check=False)


def test_servers_of_a_provider_take_the_place_of_those_of_the_stack(stack, tenant):
    accepted, _ = events(stack)
    tenant("up", "--detach", "--wait", seconds=600)
    assert set(tenant.services()) & SERVERS == set()
    drop(tenant, load_schema(BUNDLED_SCHEMA), rows=500, seed=1)
    patiently(lambda: start(tenant, "data_ingestion"), seconds=60)
    # Its home is new, so `replay` begins at once, too.
    patiently(
        lambda: events(stack)[0] == accepted + 6_000 + 500, seconds=300, otherwise=lambda: events(stack)
    )
    patiently(lambda: not busy(tenant, "data_ingestion"), seconds=300)
    assert tenant.troubles() == {}


def _look(stack: Compose, login: dict[str, Any]) -> None:
    """Look for the topic of commands by the package's own client; everybody may know of it."""
    servers = (f"localhost:{stack.ports['KAFKA_PORT']}",)
    KafkaBroker(Connection(servers=servers, security=login, timeout_seconds=5)).check_topics([COMMANDS])


def _address(stack: Compose) -> dict[str, Any]:
    return {"bootstrap_servers": f"localhost:{stack.ports['KAFKA_PORT']}"}


def _login(stack: Compose, user: str) -> dict[str, Any]:
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": user,
        "sasl_plain_password": stack.password(f"KAFKA_{user.upper()}_PASSWORD"),
    }

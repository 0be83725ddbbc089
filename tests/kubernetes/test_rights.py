"""The rights that kafka.yaml gives are enough for what its users do, and no more: on a genuine broker."""

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
    UserScramCredentialUpsertion,
)
from pipelines.listener import handle_commands
from servers.errors import NotInstallable
from servers.kafka import Kafka, start_kafka
from servers.process import temporary_folder
from servers.required import skip_without

from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.cli import main as cli
from loan_default.data.schema.schema_files import load_schema
from loan_default.data.sources.generator import generate, to_text
from loan_default.errors import DependencyError
from loan_default.kafka.control_events import FactType, fact
from loan_default.kafka.messages import Message
from loan_default.kafka.open_broker import connect
from loan_default.kafka.topics import COMMANDS, RAW, TOPICS
from loan_default.pipelines.control.command_worker import Handled
from loan_default.settings import Settings, load_settings
from loan_default.wiring import open_services

pytestmark = [pytest.mark.integration, pytest.mark.slow]

MANIFEST = Path(__file__).parents[2] / "kubernetes" / "kafka.yaml"
PASSWORDS = {"pipeline": secrets.token_hex(16), "commands": secrets.token_hex(16)}


@pytest.fixture(scope="module")
def kafka() -> Iterator[Kafka]:
    """A broker with the topics, the users and the rights of the manifest."""
    with temporary_folder() as folder:
        try:
            server = start_kafka(folder / "kafka", with_rights=True)
        except NotInstallable as reason:
            skip_without(reason)
        connect(Settings(kafka_bootstrap_servers=server.bootstrap)).create_topics(TOPICS)
        admin = KafkaAdminClient(bootstrap_servers=server.bootstrap)
        users = [
            UserScramCredentialUpsertion(user, "SCRAM-SHA-512", each) for user, each in PASSWORDS.items()
        ]
        admin.alter_user_scram_credentials(users)
        refused = admin.create_acls(list(rights()))["failed"]
        admin.close()
        assert not refused
        yield server
        server.stop()


def rights() -> Iterator[ACL]:
    """Those of the manifest, as Kafka's clients say them."""
    for user in yaml.safe_load_all(MANIFEST.read_text("utf-8")):
        if user["kind"] != "KafkaUser":
            continue
        for rule in user["spec"]["authorization"]["acls"]:
            resource = rule["resource"]
            pattern = {"literal": "LITERAL", "prefix": "PREFIXED"}[resource["patternType"]]
            for operation in rule["operations"]:
                yield ACL(
                    principal=f"User:{user['metadata']['name']}",
                    host="*",
                    operation=ACLOperation[operation.upper()],
                    permission_type=ACLPermissionType.ALLOW,
                    resource_pattern=ResourcePattern(
                        ResourceType[resource["type"].upper()],
                        resource["name"],
                        ACLResourcePatternType[pattern],
                    ),
                )


@pytest.fixture
def as_user(kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Settings]:
    """Makes the environment that of a user; the store is a file of the test."""

    def become(user: str) -> Settings:
        monkeypatch.delenv("MONGODB_URI", raising=False)
        monkeypatch.setenv("LOAN_DEFAULT_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("LOAN_DEFAULT_RETRY_BUDGET_SECONDS", "5")
        monkeypatch.setenv("LOAN_DEFAULT_SESSION_SECONDS", "3")
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.sasl_bootstrap)
        monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
        monkeypatch.setenv("KAFKA_SASL_USERNAME", user)
        monkeypatch.setenv("KAFKA_SASL_PASSWORD", PASSWORDS[user])
        return load_settings()

    return become


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def type_(*words: str) -> str:
        with pytest.raises(SystemExit):
            cli.run(cli.app, words)
        out, errors = capsys.readouterr()
        return out + errors

    return type_


class Idle:
    """An actor that does nothing."""

    def start_run(self, *_: Any, **__: Any) -> None: ...
    def switch_ingestion(self, *, on: bool) -> None: ...


def test_the_pipeline_can_do_all_of_its_work(as_user, shell, tmp_path):
    as_user("pipeline")
    schema = load_schema(BUNDLED_SCHEMA)
    rows = to_text(generate(schema, rows=50, seed=1).frame, schema)
    rows.loc[rows.index[7], "LIMIT_BAL"] = "-1"
    data = tmp_path / "loans.csv"
    rows.to_csv(data, index=False)
    assert "raw_data.dlq: was there" in shell("init")
    assert "49 accepted, 1 rejected" in shell("ingest", "--file", str(data))
    (waiting,) = json.loads(shell("dead-letters", "list", "--json"))
    assert "replayed    1 event;" in shell("dead-letters", "replay", waiting["event"])
    assert "49" in shell("prepare")
    with open_services(load_settings()) as services:
        producer = services.broker.producer()
        assert producer.deliver([fact(FactType.TRAINED, version="1", metrics={})]).delivered == 1
        producer.close()


def test_the_listener_hears_commands_and_sends_dead_letters(kafka, as_user):
    with_all_rights = connect(Settings(kafka_bootstrap_servers=kafka.bootstrap))
    producer = with_all_rights.producer()
    asked = {
        "specversion": "1.0",
        "id": "now",
        "type": "training.requested",
        "source": "risk",
        "time": "2026-11-25T10:00:00Z",
        "data": {},
    }
    values = (json.dumps(asked).encode(), b"not a command")
    producer.deliver([Message(topic=COMMANDS, key=b"", value=value) for value in values])
    producer.close()
    with open_services(as_user("commands")) as services:
        handled: Handled = handle_commands(services, Idle())
    assert (handled.done, handled.refused) == (1, 1)


def test_the_listener_sees_no_applications(as_user):
    broker = connect(as_user("commands"))
    with pytest.raises(DependencyError, match="topics must be there, however: raw_data is not"):
        broker.consumer("commands", [RAW])
    producer = broker.producer()
    try:
        with pytest.raises(DependencyError):
            producer.deliver([Message(topic=COMMANDS, key=b"", value=b"{}")])
    finally:
        producer.close()

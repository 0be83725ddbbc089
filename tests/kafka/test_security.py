"""Passwords and TLS by settings alone, on a genuine broker."""

import time
from collections.abc import Iterator

import pytest
from servers.certificate import Certificate, make_certificate
from servers.errors import NotInstallable
from servers.kafka import Kafka, start_kafka
from servers.process import temporary_folder
from servers.required import skip_without

from loan_default.errors import DependencyError
from loan_default.kafka.broker import Broker
from loan_default.kafka.messages import Message
from loan_default.kafka.open_broker import connect
from loan_default.kafka.topics import Topic
from loan_default.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.slow]

TOPIC = "secured"
ANSWER_SECONDS = 5.0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    try:
        return make_certificate(tmp_path_factory.mktemp("certificates") / "ours")
    except NotInstallable as reason:
        skip_without(reason)


@pytest.fixture(scope="module")
def kafka(certificate: Certificate) -> Iterator[Kafka]:
    with temporary_folder() as folder:
        try:
            server = start_kafka(folder / "kafka", certificate=certificate.server)
        except NotInstallable as reason:
            skip_without(reason)
        yield server
        server.stop()


def broker(kafka: Kafka, protocol: str, **changes: object) -> Broker:
    """The broker of an environment that says so."""
    settings = {
        "kafka_bootstrap_servers": kafka.addresses[protocol],
        "kafka_security_protocol": protocol,
        "answer_seconds": ANSWER_SECONDS,
    }
    if protocol.startswith("SASL"):
        settings |= {"kafka_sasl_username": kafka.username, "kafka_sasl_password": kafka.password}
    return connect(Settings(**settings | changes))


def check(broker: Broker, group: str) -> None:
    """Every kind of client gets in: one that administers, one that sends, one that reads."""
    broker.create_topics([Topic(name=TOPIC)])
    message = Message(topic=TOPIC, key=b"key", value=group.encode())
    sender, before = broker.producer(), broker.end_offsets(TOPIC)
    assert sender.deliver([message]).delivered == 1
    sender.close()
    assert sum(broker.end_offsets(TOPIC).values()) == sum(before.values()) + 1
    reader, read, deadline = broker.consumer(group, [TOPIC]), [], time.monotonic() + 30
    while group.encode() not in read and time.monotonic() < deadline:
        read += [record.value for record in reader.poll(max_records=100, timeout_seconds=1.0)]
    reader.close()
    assert group.encode() in read


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_who_knows_the_password_gets_in(kafka, certificate, protocol, mechanism):
    trusted = {"kafka_ssl_cafile": certificate.authority} if protocol.endswith("SSL") else {}
    check(broker(kafka, protocol, kafka_sasl_mechanism=mechanism, **trusted), f"{protocol} {mechanism}")


def test_tls_alone(kafka, certificate):
    check(broker(kafka, "SSL", kafka_ssl_cafile=certificate.authority), "TLS")


def test_a_broker_whose_certificate_nobody_vouches_for_is_refused(kafka, tmp_path):
    stranger = make_certificate(tmp_path / "theirs")
    for trusted in ({"kafka_ssl_cafile": stranger.authority}, {}):
        refused(broker(kafka, "SSL", **trusted))


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_a_wrong_password_is_one_clear_line_that_does_not_show_it(kafka, certificate, mechanism):
    line = refused(
        broker(
            kafka,
            "SASL_SSL",
            kafka_ssl_cafile=certificate.authority,
            kafka_sasl_mechanism=mechanism,
            kafka_sasl_password="not-the-password",
        )
    )
    # Over TLS the client may see the end of the connection before the refusal.
    assert "Check user name, password and rights." in line or "password right?" in line
    assert "not-the-password" not in line


def test_who_speaks_another_protocol_than_the_broker_is_refused(kafka):
    refused(broker(kafka, "PLAINTEXT", kafka_bootstrap_servers=kafka.addresses["SASL_SSL"]))


def refused(broker: Broker) -> str:
    """The message that a call ends with, within the deadline."""
    calls = (
        lambda: broker.check_topics([TOPIC]),
        lambda: broker.consumer("strangers", [TOPIC]),
        lambda: broker.producer().deliver([Message(topic=TOPIC, key=b"key", value=b"value")]),
    )
    for call in calls:
        since = time.monotonic()
        with pytest.raises(DependencyError, match=r"^the broker must answer, however: ") as raised:
            call()
        assert time.monotonic() - since < 3 * ANSWER_SECONDS
    line = str(raised.value)
    assert "\n" not in line
    return line

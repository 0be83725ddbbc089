"""The broker of these settings: a Kafka cluster, or one in memory where none is configured."""

import time

from loan_default.addresses import server_list
from loan_default.kafka.broker import Broker
from loan_default.kafka.client import Connection, KafkaBroker
from loan_default.kafka.kept_topics import KeptTopics
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.topics import DEAD_LETTER_TOPICS, READERS, TOPICS
from loan_default.settings import Settings

DEAD_LETTERS_FILE = "dead_letters.sqlite3"
"""Under the home folder: the dead-letter records of all commands that ran without Kafka."""


def connect(settings: Settings) -> Broker:
    """The broker; a cluster is asked nothing yet.

    In memory all topics are there from the start, and the dead-letter records of earlier processes with them.
    """
    if settings.kafka_bootstrap_servers is None:
        kept = KeptTopics(settings.home / DEAD_LETTERS_FILE, names=DEAD_LETTER_TOPICS)
        broker = MemoryBroker(first_offset=time.time_ns() // 1000, readers=READERS, kept=kept)
        broker.create_topics(TOPICS)
        return broker
    return KafkaBroker(
        Connection(
            servers=server_list(settings.kafka_bootstrap_servers),
            security=_security(settings),
            timeout_seconds=settings.answer_seconds,
            delivery_seconds=3 * settings.answer_seconds,  # an answer, and time for another try
            session_seconds=settings.session_seconds,
        )
    )


def _security(settings: Settings) -> dict[str, str | None]:
    """kafka-python's settings for TLS and passwords."""
    protocol = settings.kafka_security_protocol
    username, password = settings.kafka_sasl_username, settings.kafka_sasl_password
    security: dict[str, str | None] = {"security_protocol": protocol}
    if protocol.startswith("SASL"):
        security |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": username.get_secret_value() if username else None,
            "sasl_plain_password": password.get_secret_value() if password else None,
        }
    if protocol.endswith("SSL") and settings.kafka_ssl_cafile is not None:
        security["ssl_cafile"] = str(settings.kafka_ssl_cafile)
    return security

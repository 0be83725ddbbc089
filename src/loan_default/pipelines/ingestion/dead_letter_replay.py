"""Dead-letter records of the ingestion: which wait, and how they are replayed once the cause is mended.

A record waits until its replay has been validated. A replay that is rejected again is a record of its own,
and the one it came from waits no longer: each application is in the list once.
"""

from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import structlog

from loan_default.database.ingestion_repositories import RawDataLogRepository
from loan_default.errors import DataError, did_you_mean
from loan_default.kafka.consuming import look
from loan_default.kafka.dead_letters import DeadLetterRecord, read_dead_letter, replay_of, replayed_id
from loan_default.kafka.messages import Partition
from loan_default.kafka.topics import RAW, dead_letter_topic
from loan_default.pipelines.services import Services

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """What became of dead-letter records that were to be sent again."""

    sent: int
    too_large: tuple[str, ...]
    """Events whose content was never kept: send them anew from their source."""


def waiting_dead_letters(services: Services) -> list[DeadLetterRecord]:
    """Dead-letter records of `raw_data` whose replay was not validated yet, the oldest first, each once.

    Raises:
        DependencyError: broker or database are away, or a topic is not there.
    """
    dead_letters = dead_letters_of(services, RAW)
    replays = [replayed_id(dead_letter.event) for dead_letter in dead_letters]
    validated_again = RawDataLogRepository(services.database).known(replays)
    return [each for each in dead_letters if replayed_id(each.event) not in validated_again]


def dead_letters_of(services: Services, name: str) -> list[DeadLetterRecord]:
    """All dead-letter records that are kept of a topic, the oldest first, each event once.

    Raises:
        DependencyError: the broker is away, or the topic is not there.
    """
    topic = dead_letter_topic(name)
    services.broker.check_topics([topic])
    consumer = services.broker.consumer(f"look-{uuid4().hex}", [topic])
    try:
        dead_letters: dict[str, DeadLetterRecord] = {}
        for record in look(consumer, ends=services.broker.end_offsets(topic), polling=services.polling):
            try:
                dead_letter = read_dead_letter(record)
            except DataError as error:
                log.warning("not_a_dead_letter_record", reason=str(error))  # somebody else wrote to the topic
                continue
            dead_letters.setdefault(dead_letter.event, dead_letter)  # a crash can leave a second copy
    finally:
        consumer.close()
    return sorted(dead_letters.values(), key=_age)


def _age(dead_letter: DeadLetterRecord) -> tuple[datetime, Partition, int]:
    """When a record died; those that died together are in the order in which they stood in their topic."""
    return dead_letter.died_at, dead_letter.partition, dead_letter.offset


def replay(services: Services, events: Iterable[str] | None) -> Replayed:
    """Send waiting dead-letter records to their topic again, those of some events or all.

    Sending them twice has no second effect: a record's replay has always the same id.

    Raises:
        DataError: no record waits for one of the events.
        DependencyError: the broker is away; nobody knows how many were sent.
    """
    waiting = waiting_dead_letters(services)
    chosen = waiting if events is None else find_dead_letters(waiting, dict.fromkeys(events))
    messages = [replay_of(dead_letter) for dead_letter in chosen if dead_letter.complete]
    if services.replays is not None:
        services.replays.put(messages)
        sent = len(messages)
    else:
        with closing(services.broker.producer()) as producer:
            sent = producer.deliver(messages).delivered
    too_large = (dead_letter.event for dead_letter in chosen if not dead_letter.complete)
    return Replayed(sent=sent, too_large=tuple(too_large))


def find_dead_letters(waiting: Iterable[DeadLetterRecord], events: Collection[str]) -> list[DeadLetterRecord]:
    """The dead-letter records of some events.

    Raises:
        DataError: none waits for one of them.
    """
    dead_letters = {dead_letter.event: dead_letter for dead_letter in waiting}
    for event in events:
        if event not in dead_letters:
            hint = did_you_mean(event, list(dead_letters)) or " `loan-default dead-letters list` names them."
            raise DataError(f"a dead-letter record must wait, however: none does for {event!r}.{hint}")
    return [dead_letters[event] for event in events]

"""Dead letters of the ingestion: which wait, and how they are sent again once what broke them is mended.

A letter waits until its replay has been judged. A replay that is rejected again is a dead letter of its own,
and the one it came from waits no longer: each application is in the list once.
"""

from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import dataclass
from uuid import uuid4

import structlog

from loan_default.database.ingestion_repositories import RawDataLogRepository
from loan_default.errors import DataError, did_you_mean
from loan_default.kafka.consuming import look
from loan_default.kafka.dead_letters import DeadLetter, read_dead_letter, replay_of, replayed_id
from loan_default.kafka.topics import RAW, dead_letter_topic
from loan_default.pipelines.services import Flow

log = structlog.get_logger()

TOPIC = dead_letter_topic(RAW)


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """What became of letters that were to be sent again."""

    sent: int
    too_large: tuple[str, ...]
    """Events whose content was never kept: send them anew from their source."""


def waiting_letters(flow: Flow) -> list[DeadLetter]:
    """Dead letters that nobody has dealt with, the oldest first, each event once.

    Raises:
        DependencyError: broker or database are away, or a topic is not there.
    """
    flow.broker.check_topics([TOPIC])
    consumer = flow.broker.consumer(f"look-{uuid4().hex}", [TOPIC])
    try:
        letters: dict[str, DeadLetter] = {}
        for record in look(consumer, ends=flow.broker.end_offsets(TOPIC), pace=flow.pace):
            try:
                letter = read_dead_letter(record)
            except DataError as error:
                log.warning("not_a_dead_letter", reason=str(error))  # somebody else wrote to the topic
                continue
            letters.setdefault(letter.event, letter)  # a crash can leave a second copy
    finally:
        consumer.close()
    judged_again = RawDataLogRepository(flow.database).known(map(replayed_id, letters))
    waiting = [letter for event, letter in letters.items() if replayed_id(event) not in judged_again]
    return sorted(waiting, key=lambda letter: (letter.died_at, letter.event))


def find_letter(flow: Flow, event: str) -> DeadLetter:
    """The waiting letter of an event.

    Raises:
        DataError: none waits for it.
    """
    return _find(waiting_letters(flow), [event])[0]


def replay(flow: Flow, events: Iterable[str] | None) -> Replayed:
    """Send waiting letters to their topic again, those of some events or all.

    Sending them twice has no second effect: a letter's replay has always the same id.

    Raises:
        DataError: no letter waits for one of the events.
        DependencyError: the broker is away; nobody knows how many were sent.
    """
    waiting = waiting_letters(flow)
    chosen = waiting if events is None else _find(waiting, dict.fromkeys(events))
    messages = [replay_of(letter) for letter in chosen if letter.complete]
    if flow.replays is not None:
        flow.replays.put(messages)
        sent = len(messages)
    else:
        with closing(flow.broker.producer()) as producer:
            sent = producer.deliver(messages).delivered
    too_large = (letter.event for letter in chosen if not letter.complete)
    return Replayed(sent=sent, too_large=tuple(too_large))


def _find(waiting: Iterable[DeadLetter], events: Collection[str]) -> list[DeadLetter]:
    letters = {letter.event: letter for letter in waiting}
    for event in events:
        if event not in letters:
            hint = did_you_mean(event, list(letters)) or " `loan-default dead-letters list` names them."
            raise DataError(f"a dead letter must wait, however: none does for {event!r}.{hint}")
    return [letters[event] for event in events]

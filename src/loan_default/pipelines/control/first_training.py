"""A stack that has no champion yet asks for its first training as soon as enough applications are there."""

import math
from contextlib import closing
from datetime import UTC, datetime

import structlog

from loan_default.data.datasets.splits import TEST_SHARE
from loan_default.database.control_documents import CommandLog
from loan_default.database.control_repositories import CommandRepository
from loan_default.database.ingestion_documents import EventStatus
from loan_default.database.ingestion_repositories import RawDataLogRepository
from loan_default.database.repositories import ModelRepository
from loan_default.kafka.control_events import Command, CommandType, request
from loan_default.pipelines.services import Services

FIRST_TRAINING = "first-training"
"""Id of the command: it is done once, however often it is sent.

Not all that was accepted can be evaluated on: outcomes and applications without a label count too. So it is
asked for again, as `first-training-2`, when twice as much is there as when it was done, and so on, until
there is a champion.
"""

log = structlog.get_logger()


def request_first_training(services: Services, *, minimum_rows: int) -> bool:
    """Ask for a training on `commands` if there is no champion and enough was accepted; says whether it did.

    Args:
        minimum_rows: rows that a model must be evaluated on; so many are held out of what was accepted.

    Raises:
        DependencyError: the database or the broker is away.
    """
    if ModelRepository(services.database).champion() is not None:
        return False
    events, done = RawDataLogRepository(services.database), _those_done(CommandRepository(services.database))
    accepted = events.count_by_status()[EventStatus.ACCEPTED]
    wanted = math.ceil(minimum_rows / TEST_SHARE)
    if done:
        then = events.count_by_status(until=done[-1].handled_at)[EventStatus.ACCEPTED]
        wanted = 2 * max(wanted, then)
    if accepted < wanted:
        log.info("first_training_waits", accepted=accepted, wanted=wanted)
        return False
    command = Command(
        id=_name(len(done) + 1),
        type=CommandType.TRAIN,
        source="loan-default",
        time=datetime.now(UTC),
        data={},
    )
    with closing(services.broker.producer()) as producer:
        producer.deliver([request(command)])
    log.info("first_training_requested", command=command.id, accepted=accepted)
    return True


def _those_done(commands: CommandRepository) -> list[CommandLog]:
    """The requests that were handled, in order."""
    done: list[CommandLog] = []
    while (entry := commands.find(_name(len(done) + 1))) is not None:
        done.append(entry)
    return done


def _name(number: int) -> str:
    return FIRST_TRAINING if number == 1 else f"{FIRST_TRAINING}-{number}"

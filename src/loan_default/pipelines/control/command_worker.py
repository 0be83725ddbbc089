"""Commands: each is done once, by an actor that is handed in; what cannot be done is a dead-letter record.

    follow(consumer, CommandWorker(services, actor), stop=stop)

A command that is known by its id is done no more. One is done before it is logged, and logged before its
offset is committed: who dies in between does it again, so the actor's acts must be repeatable.
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event as Flag
from typing import Any, Protocol

import structlog

from loan_default.database.control_documents import CommandLog, CommandStatus
from loan_default.database.control_repositories import CommandRepository
from loan_default.errors import DataError
from loan_default.failpoints import failpoint
from loan_default.kafka.consuming import follow
from loan_default.kafka.control_events import Command, CommandType, read_command
from loan_default.kafka.dead_letters import dead_letter_message, without_content
from loan_default.kafka.messages import Message, Record
from loan_default.kafka.topics import COMMANDS, dead_letter_topic
from loan_default.pipelines.services import Services

GROUP = "commands"
SWITCHES = frozenset({CommandType.PAUSE, CommandType.RESUME})
"""Commands that switch the ingestion on or off: only the youngest counts, in whatever order they come."""
CLOCK_SKEW = timedelta(minutes=5)
"""How far the clock of who sends a switch may be ahead of ours."""

log = structlog.get_logger()


class Actor(Protocol):
    """Who does what is asked for; an act that is done again for the same command changes nothing.

    They raise DataError where something cannot be done, DependencyError to be asked again.
    """

    def start_run(self, pipeline: CommandType, *, command: str, parameters: Mapping[str, Any]) -> None:
        """Start the run of a pipeline that a command asks for, once for each command id."""

    def switch_ingestion(self, *, on: bool) -> None:
        """Let the ingestion run by its schedule, or not."""


@dataclass(slots=True)
class Handled:
    """What became of the records: consumed = done + superseded + refused + duplicates + facts."""

    consumed: int = 0
    done: int = 0
    superseded: int = 0
    refused: int = 0
    duplicates: int = 0
    """Commands that were handled before."""
    facts: int = 0
    """Facts, which ask for nothing."""


class CommandWorker:
    """Called with records of `commands`, it has all their effects."""

    def __init__(self, services: Services, actor: Actor) -> None:
        services.broker.check_topics([COMMANDS, dead_letter_topic(COMMANDS)])
        self._services, self._actor = services, actor
        self._commands = CommandRepository(services.database)
        self._commands.ensure_indexes()
        self.handled = Handled()
        self._counted: set[str] = set()
        """Positions of the current batch that are counted: the batch may be tried several times."""

    def __call__(self, records: list[Record]) -> None:
        dead_letters = []
        for record in records:
            what, dead_letter = self._handle(record)
            if dead_letter is not None:
                dead_letters.append(dead_letter)
            if record.position not in self._counted:
                self._counted.add(record.position)
                self.handled.consumed += 1
                setattr(self.handled, what, getattr(self.handled, what) + 1)
        if dead_letters:
            with closing(self._services.broker.producer()) as producer:
                delivery = producer.deliver(dead_letters)
                producer.deliver(without_content(each.message) for each in delivery.refused)
        self._counted.clear()

    def _handle(self, record: Record) -> tuple[str, Message | None]:
        """Handle one record; returns as what it counts in `Handled`, and its dead-letter record if any."""
        try:
            command = read_command(record)
        except DataError as error:
            log.warning("command_refused", position=record.position, reason=str(error))
            return "refused", dead_letter_message(record, reason=str(error), now=datetime.now(UTC))
        if command is None:
            return "facts", None
        known = self._commands.find(command.id)
        if known is not None:
            if known.reason is None or known.place != record.position:
                return "duplicates", None
            # Its dead-letter record may not have been sent when an earlier try of this batch ended.
            return "duplicates", dead_letter_message(record, reason=known.reason, now=known.handled_at)
        entry = self._execute(command, record.position)
        failpoint("command_done")
        self._commands.add(entry)
        failpoint("command_logged")
        log.info("command_handled", command=entry.id, type=entry.type, status=entry.outcome)
        if entry.reason is None:
            return entry.outcome, None
        return entry.outcome, dead_letter_message(record, reason=entry.reason, now=entry.handled_at)

    def _execute(self, command: Command, position: str) -> CommandLog:
        status, reason = CommandStatus.DONE, None
        try:
            if command.type in SWITCHES:
                _check_time(command)
            if self._is_superseded(command):
                status = CommandStatus.SUPERSEDED
            elif command.type in SWITCHES:
                self._actor.switch_ingestion(on=command.type is CommandType.RESUME)
            else:
                self._actor.start_run(command.type, command=command.id, parameters=command.data)
        except DataError as error:
            status, reason = CommandStatus.REFUSED, str(error)
        return CommandLog(
            command=command.id,
            type=command.type,
            source=command.source,
            outcome=status,
            reason=reason,
            sent_at=command.time,
            handled_at=datetime.now(UTC),
            place=position,
        )

    def _is_superseded(self, command: Command) -> bool:
        if command.type not in SWITCHES:
            return False
        youngest = self._commands.last_done(SWITCHES)
        return youngest is not None and youngest > command.time


def _check_time(command: Command) -> None:
    """DataError for a switch that no later one could take back."""
    if command.time > datetime.now(UTC) + CLOCK_SKEW:
        raise DataError(
            f"a switch must have been made before now, however: its time is {command.time.isoformat()}, and "
            "earlier ones would count no more. Set the clock that it is from, and send it under a new id."
        )


def follow_commands(services: Services, actor: Actor, *, stop: Flag) -> Handled:
    """Handle commands as they come, until `stop` is set.

    Raises:
        DependencyError: broker, database or actor were away for longer than the retry budget.
    """
    worker = CommandWorker(services, actor)
    consumer = services.broker.consumer(GROUP, [COMMANDS])
    try:
        follow(consumer, worker, stop=stop, polling=services.polling)
    finally:
        consumer.close()
    return worker.handled

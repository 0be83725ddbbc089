"""What goes over the topic `commands`: requests to the pipelines, and facts about what they did.

CloudEvents in both modes of their Kafka binding: attributes in headers with the data as value, or, as a
person types it into a console client, everything in one JSON object:

    {"specversion": "1.0", "id": "retrain-7", "type": "training.requested", "source": "risk",
     "time": "2026-11-25T10:00:00Z", "data": {"preset": "fast"}}
"""

import hashlib
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from loan_default.errors import DataError, did_you_mean
from loan_default.kafka.broker import Broker
from loan_default.kafka.events import Event, read_event, read_structured, to_message
from loan_default.kafka.messages import Message, Record
from loan_default.kafka.topics import COMMANDS
from loan_default.limits import LONGEST_ID


class CommandType(StrEnum):
    """What can be asked for."""

    TRAIN = "training.requested"
    """Train a model; the data are the parameters of the run."""
    EVALUATE = "evaluation.requested"
    """Evaluate a model: `version`, or the newest that was not evaluated.

    With `replaces` a person confirms that `version` may replace that champion where the two cannot be
    compared; all other rules hold.
    """
    ROLL_BACK = "model.rollback.requested"
    """Make a former champion the champion: `version`, or the one before the present."""
    PAUSE = "ingestion.paused"
    """Start no more runs of the ingestion."""
    RESUME = "ingestion.resumed"


class FactType(StrEnum):
    """What is published of a model."""

    TRAINED = "model.trained"
    PROMOTED = "model.promoted"
    REJECTED = "model.rejected"
    REFUSED = "model.refused"
    """A scorer did not load it: its file is damaged, or does not score its golden rows."""
    DRIFTED = "model.drifted"
    """The applications that it scores are no longer like those of its training."""


class Command(NamedTuple):
    """One request."""

    id: str
    """The same however often it is sent: it acts once."""
    type: CommandType
    source: str
    time: datetime
    """When it was made, by the clock of who made it; UTC."""
    data: Mapping[str, Any]


def read_command(record: Record) -> Command | None:
    """The request in a record; None where it holds a fact.

    Raises:
        DataError: the rule that the record breaks, without any value of its data.
    """
    event = read_event(record) if record.header("ce_specversion") else read_structured(record)
    if event.type in set(FactType):
        return None
    if event.type not in set(CommandType):
        known = [str(kind) for kind in CommandType]
        hint = did_you_mean(event.type, known)
        raise DataError(f"the type must be one of {', '.join(known)}, however: it is another.{hint}")
    return Command(
        id=event.id, type=CommandType(event.type), source=event.source, time=event.time, data=event.data
    )


def request(command: Command) -> Message:
    """A request as a message. All have one key: they are read in the order in which they are sent."""
    return _message(command.type, command.id, command.source, command.time, command.data)


def fact(kind: FactType, *, version: str, metrics: Mapping[str, Any], occasion: str = "") -> Message:
    """A fact about a model as a message; published again it has the same id.

    Args:
        occasion: distinguishes facts of one kind about one model, such as two promotions; empty = there
            can be only one.
    """
    identifier = "/".join(filter(None, (kind, version, occasion)))
    if len(identifier) > LONGEST_ID:  # a scheduler's run may have a name of any length
        identifier = f"{kind}/{version}/{hashlib.sha256(occasion.encode()).hexdigest()[:16]}"
    return _message(kind, identifier, "loan-default", datetime.now(UTC), {"version": version, **metrics})


def publish_fact(
    broker: Broker, kind: FactType, *, version: str, metrics: Mapping[str, Any], occasion: str = ""
) -> None:
    """Publish on `commands` what became of a model, as `fact` says it; published again it has the same id.

    Raises:
        DependencyError: the broker is away.
    """
    with closing(broker.producer()) as producer:
        producer.deliver([fact(kind, version=version, metrics=metrics, occasion=occasion)])


def _message(kind: str, identifier: str, source: str, time: datetime, data: Mapping[str, Any]) -> Message:
    event = Event(
        id=identifier, type=kind, source=source, time=time, subject=COMMANDS, schema=f"{kind}/1", data=data
    )
    return to_message(event, COMMANDS)

"""Outcomes that clients report: what became of an application, as an event on `raw_data`.

With Kafka they are sent at once. Without it they wait in a folder until the next `loan-default ingest` takes
them, as replayed records do.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

from loan_default.data.schema.language import Schema
from loan_default.data.schema.values import value_reader
from loan_default.errors import DependencyError
from loan_default.kafka.broker import Broker, Producer
from loan_default.kafka.events import Event, EventType, to_message
from loan_default.kafka.messages import Message
from loan_default.kafka.outbox import Outbox
from loan_default.kafka.topics import RAW
from loan_default.limits import LONGEST_ID
from loan_default.serving.http.problems import Problem

SendOutcomes = Callable[[Sequence[Message]], None]
"""Makes outcomes durable; a DependencyError where it cannot."""

_SOURCE = "api"
_KEYS = frozenset({"application", "outcome", "observed_at"})


def outcome_events(body: Any, schema: Schema, *, named: str | None, now: datetime) -> list[Event]:
    """The events of one outcome or a list of them.

    Args:
        body: `{"application": id, "outcome": value of the target, "observed_at": time}`, the time optional.
        named: beginning of the events' ids, for requests that may come again; None = ids of their own.
        now: the time of an outcome that has none.

    Raises:
        Problem: 422 with the rule, the field and the row; none of them is taken then.
    """
    rows = body if isinstance(body, list) else [body]
    events, errors = [], []
    for number, row in enumerate(rows):
        found = _broken_rules(row, schema, now=now)
        if found:
            errors += [{**each, "row": number} if isinstance(body, list) else each for each in found]
            continue
        assert schema.target is not None
        events.append(
            Event(
                id=f"{named}-{number}" if named else f"outcome-{uuid4().hex}",
                type=EventType.OUTCOME,
                source=_SOURCE,
                time=_time(row.get("observed_at")) or now,
                subject=row["application"],
                schema=f"{schema.name}/{schema.digest[:12]}",
                data={schema.target.name: row["outcome"]},
            )
        )
    if errors:
        raise Problem(422, "outcome", "No outcome was taken. Correct those that break a rule.", errors=errors)
    if not events:
        raise Problem(422, "outcome", "The body must hold an outcome, or a list of at least one.")
    return events


class OutcomesOnDisk:
    """Outcomes in a folder of files, for the next ingestion that runs without Kafka."""

    def __init__(self, folder: Path) -> None:
        self._outbox = Outbox(folder)

    def __call__(self, messages: Sequence[Message]) -> None:
        """Write them to the disk."""
        self._outbox.put(messages)

    def close(self) -> None:
        """Nothing is open."""


class OutcomesOnKafka:
    """Outcomes on the topic `raw_data`, by one producer that is opened with the first of them."""

    def __init__(self, broker: Broker) -> None:
        self._broker, self._lock = broker, Lock()
        self._producer: Producer | None = None

    def __call__(self, messages: Sequence[Message]) -> None:
        """Send them and wait until the brokers have them.

        Raises:
            DependencyError: the brokers are away.
        """
        with self._lock:
            self._producer = self._producer or self._broker.producer()
            delivery = self._producer.deliver(messages)
        if delivery.refused:
            raise DependencyError(
                f"Cannot send an outcome: the broker refuses it: {delivery.refused[0].reason}."
            )

    def close(self) -> None:
        """Close the producer."""
        if self._producer is not None:
            self._producer.close()


def outcome_messages(events: Sequence[Event]) -> list[Message]:
    """The events as messages to `raw_data`."""
    return [to_message(event, RAW) for event in events]


def _broken_rules(row: Any, schema: Schema, *, now: datetime) -> list[dict[str, str]]:
    if not isinstance(row, Mapping):
        return [{"rule": "an outcome must be an object"}]
    errors = [] if row.keys() <= _KEYS else [{"rule": f"an outcome may have only {', '.join(sorted(_KEYS))}"}]
    application = row.get("application")
    if (
        not isinstance(application, str)
        or not 0 < len(application) <= LONGEST_ID
        or not application.isprintable()
    ):
        errors.append(
            {"field": "application", "rule": f"must be text of 1 to {LONGEST_ID} printable characters"}
        )
    if (target := schema.target) is None:
        errors.append({"rule": "the model's schema must have a target, however: it has none"})
    else:
        outcome = row.get("outcome")
        label, rule = value_reader(target)(outcome)
        if not isinstance(outcome, str):
            errors.append({"field": "outcome", "rule": "must be text, as the schema writes the outcome"})
        elif rule or label is None:
            errors.append({"field": "outcome", "rule": rule or "must say what became of the application"})
    observed = row.get("observed_at")
    if observed is not None:
        time = _time(observed)
        if time is None or time > now:
            errors.append(
                {"field": "observed_at", "rule": "must be a past time such as 2024-01-31T12:00:00Z"}
            )
    return errors


def _time(value: Any) -> datetime | None:
    """A time that names its zone, in UTC; None where it is none."""
    try:
        time = datetime.fromisoformat(value)
        return None if time.tzinfo is None else time.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None

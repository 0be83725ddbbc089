"""What becomes of one record of `raw_data`: a canonical record, or the rules that it breaks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from loan_default.data.schema.language import Schema
from loan_default.data.schema.record_batches import RecordBatchReader
from loan_default.data.schema.records import RecordError
from loan_default.data.schema.values import value_reader
from loan_default.errors import DataError
from loan_default.kafka.events import Event, EventType, event_id, read_event
from loan_default.kafka.messages import Record

_RECEIVED = EventType.RECEIVED


class ValidatedRecord(NamedTuple):
    """A record and what its validation found."""

    record: Record
    event_id: str
    event: Event | None
    """None = the record is no event."""
    canonical: dict[str, Any] | None
    """None = rejected."""
    rules: tuple[str, ...]
    """The broken rules, never a value; empty = accepted."""

    @property
    def reason(self) -> str:
        """The broken rules as one text; empty = accepted."""
        return "; ".join(self.rules)


class RecordValidator:
    """Validates records by a schema."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._read = RecordBatchReader(schema)

    def __call__(self, records: Sequence[Record]) -> list[ValidatedRecord]:
        """The result of each record; nothing in a record makes it raise."""
        events = [_event_or_rule(record) for record in records]
        received = [event.data for event in events if isinstance(event, Event) and event.type == _RECEIVED]
        readings = iter(self._read(received))
        validated = []
        for record, event in zip(records, events, strict=True):
            if isinstance(event, str):
                validated.append(_validated(record, None, None, (event,)))
                continue
            canonical = next(readings) if event.type == _RECEIVED else self._other(event)
            if isinstance(canonical, DataError):
                validated.append(_validated(record, event, None, _rules(canonical)))
            else:
                validated.append(_validated(record, event, canonical, ()))
        return validated

    def _other(self, event: Event) -> dict[str, Any] | DataError:
        if event.type != EventType.OUTCOME:
            return DataError(f"the header ce_type must be {EventType.RECEIVED} or {EventType.OUTCOME}")
        target = self._schema.target
        if target is None or set(event.data) != {target.name}:
            return DataError("an outcome must name the target of the schema and nothing else")
        label, rule = value_reader(target)(event.data[target.name])
        if rule or label is None:
            return DataError(f"an outcome {rule or 'must say what became of the application'}")
        return {"label": label}


def _event_or_rule(record: Record) -> Event | str:
    try:
        return read_event(record)
    except DataError as error:
        return str(error)


def _rules(error: DataError) -> tuple[str, ...]:
    return error.rules if isinstance(error, RecordError) else (str(error),)


def _validated(
    record: Record, event: Event | None, canonical: dict[str, Any] | None, rules: tuple[str, ...]
) -> ValidatedRecord:
    return ValidatedRecord(
        record=record,
        event_id=event.id if event else event_id(record),
        event=event,
        canonical=canonical,
        rules=rules,
    )

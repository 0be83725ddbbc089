"""What becomes of one record of `raw_data`: a canonical record, or the rules that it breaks."""

from dataclasses import dataclass
from typing import Any

from loan_default.data.records import RecordError, record_model, validate_record
from loan_default.data.schema import Schema
from loan_default.data.values import value_reader
from loan_default.errors import DataError
from loan_default.kafka.events import Event, EventType, event_id, read_event
from loan_default.kafka.messages import Record


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A record and its judgement."""

    record: Record
    event_id: str
    event: Event | None
    """None = the record is no event."""
    canonical: dict[str, Any] | None
    """None = rejected."""
    reason: str
    """The broken rules, never a value; empty = accepted."""


class Judge:
    """Judges records by a schema."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._model = record_model(schema)

    def __call__(self, record: Record) -> Judged:
        """The judgement of one record; nothing in a record makes it raise."""
        event = None
        try:
            event = read_event(record)
            canonical, reason = self._canonical(event), ""
        except RecordError as error:
            canonical, reason = None, "; ".join(error.rules)
        except DataError as error:
            canonical, reason = None, str(error)
        return Judged(
            record=record, event_id=event_id(record), event=event, canonical=canonical, reason=reason
        )

    def _canonical(self, event: Event) -> dict[str, Any]:
        if event.type == EventType.RECEIVED:
            return validate_record(event.data, self._schema, model=self._model)
        if event.type == EventType.OUTCOME:
            return self._outcome(event)
        raise DataError(f"the header ce_type must be {EventType.RECEIVED} or {EventType.OUTCOME}")

    def _outcome(self, event: Event) -> dict[str, Any]:
        target = self._schema.target
        if target is None or set(event.data) != {target.name}:
            raise DataError("an outcome must name the target of the schema and nothing else")
        label, rule = value_reader(target)(event.data[target.name])
        if rule or label is None:
            raise DataError(f"an outcome {rule or 'must say what became of the application'}")
        return {"label": label}

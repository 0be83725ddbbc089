"""The broker, database, schema and outbox that the steps of a run share."""

from dataclasses import dataclass, field
from uuid import uuid4

from loan_default.data.schema.language import Schema
from loan_default.database.connect import Database
from loan_default.kafka.broker import Broker
from loan_default.kafka.consuming import Polling
from loan_default.kafka.outbox import Outbox


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """Broker, database, schema and outbox that the steps of a pipeline share."""

    broker: Broker
    database: Database
    schema: Schema
    outbox: Outbox
    replays: Outbox | None = None
    """Where replayed events wait for the next process that takes them, without Kafka. None = the topic keeps
    them."""
    polling: Polling = field(default_factory=Polling)
    run: str = field(default_factory=lambda: uuid4().hex)
    """Id of the run, in the documents of its batches."""

    @property
    def schema_name(self) -> str:
        """Name and digest of the schema, in the events."""
        return f"{self.schema.name}/{self.schema.digest[:12]}"

"""Documents about the stream of applications: a small one for each event and batch.

None of them holds a record: only ids, positions, counts and times, and the rules that a record breaks.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from loan_default.database.stored_document import Count, Key, StoredDocument, Text, Time

Position = tuple[str, int, int]
"""Topic, partition, offset."""
Seconds = Annotated[FiniteFloat, Field(ge=0)]


class EventStatus(StrEnum):
    """The result of validating an event."""

    ACCEPTED = "accepted"
    """The event is valid: its canonical record is processed further."""
    REJECTED = "rejected"
    """The event breaks the schema: its bytes become a dead-letter record, `reason` names the broken rules."""


class RawDataLog(StoredDocument):
    """An event of a raw topic and its status. `raw_data_logs`.

    A redelivery of the record is the same document; see `RawDataLogRepository.add_new`.
    """

    passing = frozenset({"batch", "logged_at"})
    id_field = "event"

    event: Text
    """The id of the event, chosen by the producer."""
    topic: Text
    partition: Count
    offset: Count
    batch: Text
    """Id of the batch in which it was first seen; where that one died and its record is gone from the broker,
    of the batch that finishes the event."""
    outcome: EventStatus
    reason: Text | None = None
    """The broken rules of a rejected event, never a value; None = the event is accepted."""
    application: Text | None = None
    """Id of the application; None where the record does not say it."""
    sent_at: Time | None = None
    """Time of sending, by the producer's clock; None where it is not known."""
    logged_at: Time

    @property
    def id(self) -> str:
        """The id of the event."""
        return self.event

    @property
    def position(self) -> Position:
        """Position at which the event was first seen."""
        return self.topic, self.partition, self.offset

    @model_validator(mode="after")
    def _rejection_explained(self) -> Self:
        if (self.outcome is EventStatus.REJECTED) != (self.reason is not None):
            raise ValueError(
                f"reason must be given for rejected events and for them alone, however: "
                f"outcome={self.outcome}, reason={self.reason!r}"
            )
        return self


class OffsetRange(BaseModel):
    """The records of a partition that a batch took: from `first` to the one before `next`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topic: Text
    partition: Count
    first: Count
    next: Count
    """The offset that is committed."""

    @model_validator(mode="after")
    def _goes_up(self) -> Self:
        if self.first >= self.next:
            raise ValueError(f"next must follow first, however: first={self.first}, next={self.next}")
        return self


class IngestionBatch(StoredDocument):
    """Records that were polled, validated and committed together. `ingestion_batches`."""

    passing = frozenset({"started_at", "seconds"})
    id_field = "batch"

    batch: Text
    """The id of the batch: another one at each poll of a worker, also of records that come again."""
    run: Text
    """Id of the run of the pipeline."""
    worker: Text
    """Name of the worker's process."""
    ranges: Annotated[tuple[OffsetRange, ...], Field(min_length=1)]
    """A range for each partition. Not every offset need be a record: transactions use some."""
    consumed: Count
    accepted: Count
    rejected: Count
    duplicates: Count
    """Number of events that had been sent before."""
    redelivered: Count
    """Number of records that had been logged before, by a batch that did not reach its commit."""
    started_at: Time
    seconds: dict[Key, Seconds]
    """Name of a stage -> how long it took."""

    @property
    def id(self) -> str:
        """The id of the batch."""
        return self.batch

    @model_validator(mode="after")
    def _counts_add_up(self) -> Self:
        parts = self.accepted + self.rejected + self.duplicates + self.redelivered
        if self.consumed != parts:
            raise ValueError(
                f"consumed must be accepted + rejected + duplicates + redelivered, however: "
                f"consumed={self.consumed}, sum={parts}"
            )
        if len({(each.topic, each.partition) for each in self.ranges}) < len(self.ranges):
            raise ValueError("ranges must be of different partitions, however: one comes twice")
        offsets = sum(each.next - each.first for each in self.ranges)
        if self.consumed > offsets:
            raise ValueError(
                f"consumed must fit into the ranges, however: consumed={self.consumed}, offsets={offsets}"
            )
        return self

"""What is stored of the flow of applications: a small document for each event, batch and prediction.

None of them holds a record: ids, places, counts and times, and of a broken record the rules that it breaks.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from loan_default.database.stored_document import Count, Key, Share, StoredDocument, Text, Time

Place = tuple[str, int, int]
"""Topic, partition, offset."""
Seconds = Annotated[FiniteFloat, Field(ge=0)]


class EventStatus(StrEnum):
    """What became of an event."""

    ACCEPTED = "accepted"
    """Valid: its record was cleaned and goes on."""
    REJECTED = "rejected"
    """Against the schema: its bytes go to the dead letters, `reason` says which rules it breaks."""


class RawDataLog(StoredDocument):
    """An event of a raw topic and what became of it. `raw_data_logs`.

    A redelivery of the record is the same document; see `RawDataLogRepository.add_new`.
    """

    passing = frozenset({"batch", "logged_at"})
    id_field = "event"

    event: Text
    """The id, chosen by the producer."""
    topic: Text
    partition: Count
    offset: Count
    batch: Text
    """Id of the batch in which it was first seen; where that one died and its record is gone from the broker,
    of the batch that finishes the event."""
    outcome: EventStatus
    reason: Text | None = None
    """Of a rejected event: the broken rules, never a value."""
    application: Text | None = None
    """Id of the application; None where the record does not say it."""
    sent_at: Time | None = None
    """By the producer's clock; None where it is not known."""
    logged_at: Time

    @property
    def id(self) -> str:
        """The event's."""
        return self.event

    @property
    def place(self) -> Place:
        """Where the event was first seen."""
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
    """Which records of a partition a batch took: from `first` to the one before `next`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topic: Text
    partition: Count
    first: Count
    next: Count
    """What is committed."""

    @model_validator(mode="after")
    def _goes_up(self) -> Self:
        if self.first >= self.next:
            raise ValueError(f"next must follow first, however: first={self.first}, next={self.next}")
        return self


class IngestionBatch(StoredDocument):
    """Records that were taken, judged and committed together. `ingestion_batches`."""

    passing = frozenset({"started_at", "seconds"})
    id_field = "batch"

    batch: Text
    """The id: another one each time that a worker takes records, whether they are new or come again."""
    run: Text
    """Id of the run of the pipeline."""
    worker: Text
    """Name of the process."""
    ranges: Annotated[tuple[OffsetRange, ...], Field(min_length=1)]
    """One for each partition. Not every offset need be a record: transactions use some."""
    consumed: Count
    accepted: Count
    rejected: Count
    duplicates: Count
    """Events that had been sent before."""
    redelivered: Count
    """Records that had been logged before, by a batch that did not get as far as its commit."""
    started_at: Time
    seconds: dict[Key, Seconds]
    """Name of a stage -> how long it took."""

    @property
    def id(self) -> str:
        """The batch's."""
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


class Prediction(StoredDocument):
    """What a model said of an application. `predictions`."""

    passing = frozenset({"scored_at"})
    id_field = "event"

    event: Text
    """Id of the event that asked for it."""
    application: Text | None = None
    """Id of the application; None where the event does not say it."""
    version: Key
    """The model's."""
    pd: Share
    """Probability of default."""
    points: FiniteFloat
    """Score points: more are better."""
    scored_at: Time

    @property
    def id(self) -> str:
        """The event's."""
        return self.event

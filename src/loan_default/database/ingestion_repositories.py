"""Writing and reading of what is stored of the flow of applications, see `repositories`.

Events are written many at once, and only what is not there yet: a retry of a write whose
answer was lost changes nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pymongo.errors import BulkWriteError, OperationFailure

from loan_default.database.connect import (
    LONG_CALL_SECONDS,
    Collection,
    Database,
    Document,
)
from loan_default.database.driver_errors import database_errors
from loan_default.database.ingestion_documents import (
    EventStatus,
    IngestionBatch,
    Position,
    RawDataLog,
)
from loan_default.database.repositories import Repository
from loan_default.database.sqlite_storage import DUPLICATE_KEY
from loan_default.errors import DataError, DependencyError

ATTEMPTS = 3
"""How often a batch is written while documents of it expire between the write and the read."""

IDS_AT_ONCE = 5000
"""How many ids a query may hold: servers limit its bytes."""


class Arrival(StrEnum):
    """How an event arrived."""

    NEW = "new"
    """The event arrived for the first time; now it is logged."""
    REDELIVERED = "redelivered"
    """Its record was logged before, by a batch that may have ended there: repeat the steps after it."""
    DUPLICATE = "duplicate"
    """The event was sent again: it is logged at another offset. Count it; another record has its effects."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LogResult:
    """The arrival and status of events, in the order in which they were given."""

    arrivals: tuple[Arrival, ...]
    statuses: tuple[EventStatus, ...]
    """The status as logged. For an event that is not new the first one stands, even if the schema has changed
    since: otherwise one event could be both accepted and a dead-letter record."""

    def count(self, arrival: Arrival) -> int:
        """Return how many events arrived so."""
        return self.arrivals.count(arrival)


class RawDataLogRepository:
    """The events of the raw topics."""

    collection = "raw_data_logs"
    kind = RawDataLog

    def __init__(self, database: Database) -> None:
        self._documents = database[self.collection]

    def ensure_indexes(self) -> None:
        """Make the indexes; once they are there, no change."""
        keys = [("topic", 1), ("partition", 1), ("offset", 1)]
        with database_errors(f"index {self.collection}", seconds=LONG_CALL_SECONDS):
            self._documents.create_index(keys, unique=True, name="place")
            self._documents.create_index("batch", name="by_batch")
            # All that `count_by_status` asks for: it reads the index and no document.
            self._documents.create_index([("outcome", 1), ("logged_at", 1)], name="by_outcome")

    def add_new(self, logs: Sequence[RawDataLog]) -> LogResult:
        """Log the events that are not logged yet, in one write; return how each arrived.

        Of an event that comes twice within `logs` the first is kept. Only if some event is not new, the
        stored ones are looked up. Needs the indexes.

        Raises:
            DataError: an offset is stored as another event: the topic was made anew. What is new among the
                logs may be stored by then; committing nothing, as after any error, loses nothing.
            DependencyError: the database does not answer or refuses. The same call again is safe.
        """
        _check_positions(logs)
        known: dict[str, tuple[Position, EventStatus]] = {}
        waiting: dict[str, RawDataLog] = {}
        for log in logs:
            waiting.setdefault(log.event, log)
        new: set[str] = set()
        with database_errors(f"write {self.collection}"):
            for _ in range(ATTEMPTS):
                taken = insert_new(self._documents, [log.to_store() for log in waiting.values()])
                if not taken and len(waiting) == len(logs):  # all are new, as nearly always
                    return LogResult(
                        arrivals=(Arrival.NEW,) * len(logs), statuses=tuple(log.outcome for log in logs)
                    )
                stored = {log.event for index, log in enumerate(waiting.values()) if index not in taken}
                new |= stored
                known |= {event: (waiting[event].position, waiting[event].outcome) for event in stored}
                known |= self._look_up([event for event in waiting if event not in stored])
                waiting = {event: log for event, log in waiting.items() if event not in known}
                if not waiting:
                    return _result(logs, new, known)
                self._check_topics(waiting.values())
        raise DependencyError(
            f"{self.collection} must keep its documents for a while, however: {len(waiting)} were there when "
            "they were written and not when they were read. Let them expire later."
        )

    def of_batch(self, batch: str) -> list[RawDataLog]:
        """Return the events that were first seen in this batch, by position."""
        with database_errors(f"read {self.collection}", seconds=LONG_CALL_SECONDS):
            found = [RawDataLog.from_store(document) for document in self._documents.find({"batch": batch})]
        return sorted(found, key=lambda log: log.position)

    def count_by_status(self, *, until: datetime | None = None) -> dict[EventStatus, int]:
        """Return the number of events of each status, also if 0; with `until`, of those logged by then."""
        logged = {} if until is None else {"logged_at": {"$lte": until}}
        with database_errors(f"count {self.collection}", seconds=LONG_CALL_SECONDS):
            return {
                status: self._documents.count_documents({"outcome": status.value, **logged})
                for status in EventStatus
            }

    def event_ids(self, status: EventStatus) -> Iterator[str]:
        """Yield the ids of all events of this status, in no order; they are read while they are taken."""
        with database_errors(f"read {self.collection}"):
            for document in self._documents.find({"outcome": status.value}, {"_id": 1}):
                yield document["_id"]

    def known(self, events: Iterable[str]) -> set[str]:
        """Return those of these events that are logged."""
        with database_errors(f"read {self.collection}"):
            return _known_ids(self._documents, events)

    def find_all(self, events: Sequence[str]) -> list[RawDataLog]:
        """Return the logs of these events, in no order; an event that is not logged is left out."""
        with database_errors(f"read {self.collection}"):
            found = self._documents.find({"_id": {"$in": list(events)}})
            return [RawDataLog.from_store(document) for document in found]

    def move_to_batch(self, events: Sequence[str], batch: str) -> None:
        """Say of logged events that this batch is the one that finishes them."""
        with database_errors(f"write {self.collection}"):
            self._documents.update_many({"_id": {"$in": list(events)}}, {"$set": {"batch": batch}})

    def _look_up(self, events: list[str]) -> dict[str, tuple[Position, EventStatus]]:
        if not events:
            return {}
        fields = {"topic": 1, "partition": 1, "offset": 1, "outcome": 1}
        return {
            stored["_id"]: (
                (stored["topic"], stored["partition"], stored["offset"]),
                EventStatus(stored["outcome"]),
            )
            for stored in self._documents.find({"_id": {"$in": events}}, fields)
        }

    def _check_topics(self, logs: Iterable[RawDataLog]) -> None:
        """Raise where another event has the position of one of the logs, whose own ids are not stored."""
        for log in logs:
            position = {"topic": log.topic, "partition": log.partition, "offset": log.offset}
            if self._documents.find_one(position, {"_id": 1}) is not None:
                raise DataError(
                    f"Cannot log an event at {_shown(log.position)}: another event is logged there. The "
                    "topic was made anew, or its broker has lost records: offsets count again. Give the "
                    f"topic another name, or rename the collection {self.collection} once its events are "
                    "accounted for."
                )


class IngestionBatchRepository(Repository[IngestionBatch]):
    """The batches of the ingestion."""

    collection = "ingestion_batches"
    time_field = "started_at"
    kind = IngestionBatch

    def known(self, batches: Iterable[str]) -> set[str]:
        """Which of these batches are stored, so that all their effects are there."""
        with database_errors(f"read {self.collection}"):
            return _known_ids(self._documents, batches)


def insert_new(documents: Collection, batch: Sequence[Document]) -> set[int]:
    """Insert the documents whose keys are free; return the indexes of the others.

    OperationFailure where a document is refused for another reason.
    """
    if not batch:
        return set()
    try:
        documents.insert_many(batch, ordered=False)
    except BulkWriteError as error:
        errors = error.details["writeErrors"]
        others = [each for each in errors if each["code"] != DUPLICATE_KEY]
        if others := others + (error.details.get("writeConcernErrors") or []):
            # Not from the error, which quotes the documents.
            raise OperationFailure("a write must be accepted", others[0].get("code")) from None
        return {each["index"] for each in errors}
    return set()


def _known_ids(documents: Collection, ids: Iterable[str]) -> set[str]:
    wanted = list(ids)
    found: set[str] = set()
    for first in range(0, len(wanted), IDS_AT_ONCE):
        among = {"_id": {"$in": wanted[first : first + IDS_AT_ONCE]}}
        found.update(document["_id"] for document in documents.find(among, {"_id": 1}))
    return found


def _check_positions(logs: Sequence[RawDataLog]) -> None:
    events: dict[Position, str] = {}
    for log in logs:
        if events.setdefault(log.position, log.event) != log.event:
            raise DataError(
                f"a topic, partition and offset must be one event, however: {_shown(log.position)} comes as "
                "two. Log each record of the topic once."
            )


def _result(
    logs: Sequence[RawDataLog], new: set[str], known: dict[str, tuple[Position, EventStatus]]
) -> LogResult:
    arrivals = []
    unseen = set(new)
    for log in logs:
        if log.event in unseen:
            arrivals.append(Arrival.NEW)
            unseen.remove(log.event)
        else:
            again = known[log.event][0] == log.position
            arrivals.append(Arrival.REDELIVERED if again else Arrival.DUPLICATE)
    return LogResult(arrivals=tuple(arrivals), statuses=tuple(known[log.event][1] for log in logs))


def _shown(position: Position) -> str:
    return "/".join(map(str, position))

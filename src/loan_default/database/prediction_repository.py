"""Reading and writing of predictions, see `repositories`.

They are written many at once, and only those that are not there yet: the first write of an id wins, so a
retry, or the same event scored again by the same version, changes nothing. Ids and texts of a caller stand in
filters within `$in`, where a server takes them for values whatever they are.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from loan_default.database.connect import LONG_CALL_SECONDS, Database
from loan_default.database.driver_errors import database_errors
from loan_default.database.ingestion_repositories import IDS_AT_ONCE, insert_new
from loan_default.database.serving_documents import Group, Prediction

_FORMER = {"event": None}
"""The filter of what release 0.1 wrote: documents without the field."""
_MIGRATED_AT_ONCE = 1_000
_LOOK_UP_SECONDS = 60.0
"""Deadline of a look-up of many events. A store without the index reads all predictions for it; with the
deadline of other calls, whoever looks up what a killed process had answered would begin anew for ever."""


class PredictionRepository:
    """The predictions; an event has one for each version that scored it."""

    collection = "predictions"
    kind = Prediction

    def __init__(self, database: Database) -> None:
        self._documents = database[self.collection]

    def ensure_indexes(self) -> None:
        """Make the indexes; once they are there, no change."""
        with database_errors(f"index {self.collection}", seconds=LONG_CALL_SECONDS):
            self._documents.create_index("event", name="by_event")
            self._documents.create_index("application", name="by_application")
            self._documents.create_index("experiment", name="by_experiment")
            self._documents.create_index([("version", 1), ("scored_at", -1)], name="by_model_and_time")

    def add_new(self, predictions: Sequence[Prediction]) -> int:
        """Store the predictions whose ids are not there yet, in one write; return their number."""
        with database_errors(f"write {self.collection}"):
            batch = [prediction.to_store() for prediction in predictions]
            return len(batch) - len(insert_new(self._documents, batch))

    def replace_shadows(self, answers: Sequence[Prediction]) -> None:
        """Put answers in the place of shadows that have their ids; what is an answer already stays."""
        with database_errors(f"write {self.collection}"):
            for each in answers:
                shadow = {"_id": {"$in": [each.id]}, "group": {"$in": [str(Group.SHADOW)]}}
                values = {name: value for name, value in each.to_store().items() if name != "_id"}
                self._documents.update_one(shadow, {"$set": values})

    def find(self, identifier: str) -> Prediction | None:
        """Return the prediction of this id, `<event>/<version>`, or None."""
        return self.stored([identifier]).get(identifier)

    def stored(self, identifiers: Sequence[str]) -> dict[str, Prediction]:
        """Return those of these predictions that are stored, by id: what the first write of each holds."""
        found: dict[str, Prediction] = {}
        for first in range(0, len(identifiers), IDS_AT_ONCE):
            some = list(identifiers[first : first + IDS_AT_ONCE])
            found |= {each.id: each for each in self._read({"_id": {"$in": some}})}
        return found

    def of_event(self, event: str) -> list[Prediction]:
        """Return what each version made of an event, the first first."""
        return _by_time(self._read({"event": {"$in": [event]}}))

    def answers_to(self, events: Sequence[str]) -> dict[str, Prediction]:
        """Return the answer that each of these events got, by event: the first one, and none of a shadow."""
        found: dict[str, Prediction] = {}
        for first in range(0, len(events), IDS_AT_ONCE):
            some = list(events[first : first + IDS_AT_ONCE])
            for each in _by_time(self._read({"event": {"$in": some}}, seconds=_LOOK_UP_SECONDS)):
                if each.group is not Group.SHADOW:
                    found.setdefault(each.event, each)
        return found

    def of_application(self, application: str) -> list[Prediction]:
        """Return all predictions of an application, the first first."""
        return _by_time(self._read({"application": {"$in": [application]}}))

    def of_model_on(self, version: str, day: date) -> list[Prediction]:
        """Return what a version scored on a day (UTC), the first first."""
        begin = datetime.combine(day, time(), UTC)
        during = {"$gte": begin, "$lt": begin + timedelta(days=1)}
        return _by_time(self._read({"version": {"$in": [version]}, "scored_at": during}))

    def of_experiment(self, experiment: str) -> Iterator[Prediction]:
        """Yield the predictions of an experiment, in no order; they are read while they are taken."""
        return self._read({"experiment": {"$in": [experiment]}})

    def drop_before(self, limit: datetime) -> int:
        """Delete what was scored before a time, for stores that do not expire documents; return how many."""
        with database_errors(f"shorten {self.collection}", seconds=LONG_CALL_SECONDS):
            return self._documents.delete_many({"scored_at": {"$lt": limit}}).deleted_count

    def migrate(self) -> int:
        """Give predictions of release 0.1 the ids of this one; return how many there were.

        A prediction is written under its new id before the old one is deleted, so that a call that was
        interrupted loses nothing, and the next one finishes it.
        """
        moved = 0
        with database_errors(f"migrate {self.collection}", seconds=LONG_CALL_SECONDS):
            while former := list(self._documents.find(_FORMER).limit(_MIGRATED_AT_ONCE)):
                insert_new(self._documents, [Prediction.from_store(each).to_store() for each in former])
                among = {"_id": {"$in": [each["_id"] for each in former]}}
                moved += self._documents.delete_many({**among, **_FORMER}).deleted_count
        return moved

    def _read(self, condition: dict[str, Any], *, seconds: float | None = None) -> Iterator[Prediction]:
        with database_errors(f"read {self.collection}", seconds=seconds):
            for document in self._documents.find(condition):
                yield Prediction.from_store(document)


def _by_time(predictions: Iterable[Prediction]) -> list[Prediction]:
    return sorted(predictions, key=lambda each: (each.scored_at, each.id))

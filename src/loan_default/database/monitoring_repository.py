"""Reading and writing of monitored hours, see `repositories`."""

from datetime import UTC, datetime

from pymongo.errors import DuplicateKeyError

from loan_default.database.connect import LONG_CALL_SECONDS
from loan_default.database.driver_errors import database_errors
from loan_default.database.monitoring_documents import MonitoredHour
from loan_default.database.repositories import Repository

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class MonitoringRepository(Repository[MonitoredHour]):
    """The monitored hours; one for each model and hour."""

    collection = "monitoring"
    time_field = "begins_at"
    kind = MonitoredHour

    def ensure_indexes(self) -> None:
        """Make the indexes; once they are there, no change."""
        super().ensure_indexes()
        with database_errors(f"index {self.collection}", seconds=LONG_CALL_SECONDS):
            self._documents.create_index([("version", 1), ("begins_at", -1)], name="by_model_and_time")

    def put(self, hour: MonitoredHour) -> None:
        """Store an hour, in the place of what was computed of it before."""
        with database_errors(f"write {self.collection}"):
            values = hour.to_store()
            try:
                self._documents.insert_one(dict(values))
            except DuplicateKeyError:
                del values["_id"]
                self._documents.update_one({"_id": hour.id}, {"$set": values})

    def of_model(self, version: str, *, since: datetime | None = None, limit: int = 0) -> list[MonitoredHour]:
        """Return the hours of a model, the newest first; `limit` 0 = all."""
        wanted: dict[str, object] = {"version": version}
        if since is not None:
            wanted["begins_at"] = {"$gte": since}
        return self._newest(wanted, limit=limit)

    def last_retraining(self) -> datetime | None:
        """Return when the policy last asked for a training, for whichever model; None = never."""
        with database_errors(f"read {self.collection}"):
            newest = self._documents.find({"retraining_at": {"$gt": _LONG_AGO}})
            for stored in newest.sort([("retraining_at", -1)]).limit(1):
                return MonitoredHour.from_store(stored).retraining_at
        return None

"""Repositories of what decides who may ask and who answers: keys and experiments, see `repositories`."""

from datetime import datetime

from pymongo.errors import DuplicateKeyError

from loan_default.database.api_key_documents import ApiKey
from loan_default.database.connect import Database
from loan_default.database.driver_errors import database_errors
from loan_default.database.experiment_documents import EXPERIMENT_ID, Experiment, RunningExperiment
from loan_default.database.repositories import POINTERS, Repository
from loan_default.errors import DataError


class ApiKeyRepository(Repository[ApiKey]):
    """The keys, those that are valid no longer too: an audit asks who could do what."""

    collection = "api_keys"
    time_field = "created_at"
    kind = ApiKey

    def revoke(self, key: str, *, now: datetime) -> ApiKey:
        """Revoke a key and return it; one that is revoked keeps its time. DataError where there is none."""
        with database_errors(f"write {self.collection}"):
            live = {"_id": {"$in": [key]}, "revoked_at": None}
            self._documents.update_one(live, {"$set": {"revoked_at": now}})
        if (found := self.find(key)) is None:
            raise DataError("a key must exist, however: none has this id. `loan-default keys list` has all.")
        return found


class ExperimentRepository(Repository[Experiment]):
    """The experiments, and the pointer to the one that runs, which is moved by compare-and-set."""

    collection = "experiments"
    time_field = "started_at"
    kind = Experiment

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._pointers = database[POINTERS]

    def pointer(self) -> RunningExperiment | None:
        """Return the pointer, None before the first experiment."""
        with database_errors(f"read {POINTERS}"):
            stored = self._pointers.find_one({"_id": EXPERIMENT_ID})
        return None if stored is None else RunningExperiment.from_store(stored)

    def running(self) -> Experiment | None:
        """Return the experiment that runs, None without one.

        An experiment that has an end does not run, though a process that died may have left the pointer.
        """
        pointer = self.pointer()
        named = None if pointer is None or pointer.experiment is None else self.find(pointer.experiment)
        return None if named is None or named.ended_at is not None else named

    def of_champion(self, champion: str) -> list[Experiment]:
        """Return the experiments beside a champion that ran, the newest first."""
        return [each for each in self._newest({"champion": champion}) if each.ran]

    def begin(self, experiment: Experiment) -> None:
        """Store an experiment and let it run; the same call again changes nothing.

        The document comes before the pointer, so that what runs is known. DataError where another one runs.
        """
        seen = self.pointer()
        running = self.running()
        if running is not None and running.id != experiment.id:
            raise _taken(running.id)
        self.add(experiment)
        if running is None and not self._point_to(experiment.id, seen=seen):
            with database_errors(f"write {self.collection}"):  # it never ran
                never = {"ended_at": experiment.started_at, "ended_by": experiment.started_by}
                self._documents.update_one({"_id": experiment.id}, {"$set": never})
            raise _taken("another one, which has just been started,")

    def grow(self, experiment: str, share: float) -> Experiment:
        """Give the challenger a larger share and return the experiment.

        DataError where it has ended, or has as large a share: people must not change their model back.
        """
        smaller = {"_id": {"$in": [experiment]}, "ended_at": None, "share": {"$lt": share}}
        with database_errors(f"write {self.collection}"):
            grown = self._documents.update_one(smaller, {"$set": {"share": share}})
        found = self.get(experiment)
        if grown.matched_count == 0 and (found.share != share or found.ended_at is not None):
            raise DataError(
                f"the share of a running experiment must grow, however: {experiment} has {found.share:.1%}"
                f"{', and has ended' if found.ended_at else ''}. Stop it and start another one."
            )
        return found

    def end(self, experiment: str, *, by: str, now: datetime) -> Experiment:
        """Stop an experiment and return it; the same call again changes nothing."""
        with database_errors(f"write {self.collection}"):
            live = {"_id": {"$in": [experiment]}, "ended_at": None}
            self._documents.update_one(live, {"$set": {"ended_at": now, "ended_by": by}})
        seen = self.pointer()
        if seen is not None and seen.experiment == experiment:
            self._point_to(None, seen=seen)
        return self.get(experiment)

    def _point_to(self, experiment: str | None, *, seen: RunningExperiment | None) -> bool:
        """Move the pointer if it still is the one that was seen; return whether it moved."""
        with database_errors(f"write {POINTERS}"):
            if seen is None:
                try:
                    self._pointers.insert_one(RunningExperiment(experiment=experiment, rev=1).to_store())
                except DuplicateKeyError:
                    return False
                return True
            change = {"$set": {"experiment": experiment}, "$inc": {"rev": 1}}
            as_seen = {"_id": EXPERIMENT_ID, "rev": seen.rev, "experiment": seen.experiment}
            return self._pointers.find_one_and_update(as_seen, change) is not None


def _taken(which: str) -> DataError:
    return DataError(
        f"one experiment must run at a time, however: {which} runs. "
        "Stop it with `loan-default challenge stop`."
    )

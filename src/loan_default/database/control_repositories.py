"""Repositories of commands and decisions, and the fencing token that keeps a superseded try from writing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pymongo.errors import DuplicateKeyError

from loan_default.database.connect import LONG_CALL_SECONDS, Database
from loan_default.database.control_documents import MOVES, Action, CommandLog, CommandStatus, Decision
from loan_default.database.documents import ModelStatus
from loan_default.database.driver_errors import database_errors
from loan_default.database.repositories import FENCES, ModelRepository, Repository
from loan_default.errors import DataError


class CommandRepository(Repository[CommandLog]):
    """The commands that were handled."""

    collection = "command_log"
    time_field = "handled_at"
    kind = CommandLog

    def ensure_indexes(self) -> None:
        """Make the indexes; once they are there, no change."""
        super().ensure_indexes()
        with database_errors(f"index {self.collection}", seconds=LONG_CALL_SECONDS):
            self._documents.create_index([("sent_at", -1)], name="by_sent_at")

    def last_done(self, types: Iterable[str]) -> datetime | None:
        """Return when the youngest command of these types that had an effect was sent; None without any."""
        wanted = {"type": {"$in": list(types)}, "outcome": str(CommandStatus.DONE)}
        with database_errors(f"read {self.collection}"):
            for stored in self._documents.find(wanted).sort([("sent_at", -1)]).limit(1):
                return CommandLog.from_store(stored).sent_at
        return None


class DecisionRepository(Repository[Decision]):
    """The decisions about models."""

    collection = "decisions"
    time_field = "decided_at"
    kind = Decision

    def ensure_indexes(self) -> None:
        """Make the indexes; once they are there, no change."""
        super().ensure_indexes()
        with database_errors(f"index {self.collection}", seconds=LONG_CALL_SECONDS):
            self._documents.create_index("version", name="by_version")
            self._documents.create_index("run", name="by_run")
            self._documents.create_index("seen_rev", name="by_seen_rev")

    def of_model(self, version: str) -> list[Decision]:
        """Return all decisions about a model, the newest first."""
        return self._newest({"version": version})

    def of_run(self, run: str) -> list[Decision]:
        """Return all decisions of a run, the newest first."""
        return self._newest({"run": run})

    def keep(self, decision: Decision) -> Decision:
        """Store a decision and return it; where one has its id already, that one counts and is returned."""
        with database_errors(f"write {self.collection}"):
            try:
                self._documents.insert_one(decision.to_store())
            except DuplicateKeyError:
                return self.get(decision.id)
        return decision

    def champion_at(self, rev: int) -> str | None:
        """Return the champion after `rev` moves of the pointer, as the newest decision of that time names it.

        None where no decision was taken then. The moves of a pointer that was deleted and made anew count
        from 1 again, and older decisions at the same number are those of the former pointer.
        """
        newest = self._newest_one({"seen_rev": rev}) if rev > 0 else None
        return None if newest is None else _champion_beside(newest)

    def move_to(self, rev: int) -> Decision | None:
        """Return the newest decision that made the `rev`-th move of the pointer; None without any."""
        return self._newest_one({"seen_rev": rev - 1, "action": {"$in": [str(action) for action in MOVES]}})

    def last_champion(self) -> str | None:
        """Return the champion that the newest decision which knows of one names; None where none does.

        A decision knows of a champion where it was taken beside one, or where it makes the first one. The
        latter may have been written by a process that died before it moved the pointer: nothing tells that
        from a pointer that moved and was lost.
        """
        beside = self._newest_one({"seen_rev": {"$gt": 0}})
        first = self._newest_one({"seen_rev": 0, "action": {"$in": [str(action) for action in MOVES]}})
        known = [decision for decision in (beside, first) if decision is not None]
        if not known:
            return None
        return _champion_beside(max(known, key=lambda decision: (decision.decided_at, decision.seen_rev)))

    def last_move(self, version: str | None = None) -> Decision | None:
        """Return the newest decision that made a model the champion; `version` = that made this one it."""
        wanted: dict[str, object] = {"action": {"$in": [str(action) for action in MOVES]}}
        return self._newest_one(wanted if version is None else wanted | {"version": version})

    def _newest_one(self, wanted: Mapping[str, object]) -> Decision | None:
        with database_errors(f"read {self.collection}"):
            for stored in self._documents.find(wanted).sort([("decided_at", -1)]).limit(1):
                return Decision.from_store(stored)
        return None

    def supersede(self, decision: Decision) -> None:
        """Mark a decision as superseded: it had no effect, as the champion had changed."""
        with database_errors(f"write {self.collection}"):
            change = {"$set": {"action": str(Action.SUPERSEDED)}}
            self._documents.update_one({"_id": decision.id}, change)


def _champion_beside(decision: Decision) -> str:
    """The champion of the time of a decision; without one beside it, its model is or became the champion."""
    return decision.champion or decision.version


def lost_champion(database: Database) -> str | None:
    """Return the last model that is known to have been the champion; None where there has never been one.

    Where no pointer names a champion, a version shows that the pointer was lost, as by a partial restore.
    """
    models = ModelRepository(database)
    for status in (ModelStatus.CHAMPION, ModelStatus.ARCHIVED):
        if found := models.with_status(status):
            return found[0].version
    return DecisionRepository(database).last_champion()


@dataclass(frozen=True, kw_only=True, slots=True)
class FencingToken:
    """Lets the newest try of one task of one run write; an older one that still lives is refused.

    A scheduler that takes a process for dead starts another, and the first may live on. Each try claims
    the token when it begins and checks it before it writes.
    """

    database: Database
    run: str
    task: str
    attempt: int
    """Number of the try, from 1."""

    @property
    def id(self) -> str:
        """The id of the document in `fences`."""
        return f"{self.run}/{self.task}"

    def claim(self) -> None:
        """Claim the token for this try; DataError where a newer try has it."""
        now = datetime.now(UTC)
        fences = self.database[FENCES]
        with database_errors("claim a fencing token"):
            try:
                fences.insert_one({"_id": self.id, "attempt": self.attempt, "claimed_at": now})
            except DuplicateKeyError:
                ours = {"_id": self.id, "attempt": {"$lte": self.attempt}}
                change = {"$set": {"attempt": self.attempt, "claimed_at": now}}
                if fences.update_one(ours, change).matched_count == 0:
                    raise self._superseded() from None

    def check(self) -> None:
        """Check that this try still has the token; DataError where a newer try has begun."""
        with database_errors("check a fencing token"):
            stored = self.database[FENCES].find_one({"_id": self.id})
        if stored is None or stored["attempt"] != self.attempt:
            raise self._superseded()

    def _superseded(self) -> DataError:
        return DataError(
            f"Cannot write: try {self.attempt} of {self.id} was superseded by another try, which goes on. "
            "Nothing is to be done, except after a run was deleted and begun anew under its id: give it "
            f"another id, or delete {self.id!r} from {FENCES}."
        )

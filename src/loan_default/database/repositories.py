"""Reading and writing of the stored documents, alike on a server and in the embedded document store.

A repository takes a database, never an address. Errors: DataError where a document contradicts a stored one
or names one that does not exist, DependencyError where the database does not answer.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, ClassVar, Generic, TypeVar

from pymongo.errors import DuplicateKeyError

from loan_default.database.connect import LONG_CALL_SECONDS, Database
from loan_default.database.documents import (
    CHAMPION_ID,
    ID_DIGITS,
    Champion,
    ModelMetadata,
    ModelStatus,
    PerformanceMetrics,
    TrainingData,
)
from loan_default.database.driver_errors import database_errors
from loan_default.database.stored_document import StoredDocument
from loan_default.errors import DataError, did_you_mean

D = TypeVar("D", bound=StoredDocument)

POINTERS = "pointers"
"""Name of the collection of the champion's pointer."""
FENCES = "fences"
"""Name of the collection of fencing tokens: the newest try of each task, and the model of each run."""


def register_model(
    database: Database, model: ModelMetadata, *, metrics: Iterable[PerformanceMetrics], snapshot: TrainingData
) -> None:
    """Store a trained model with its metrics and training data; the same content again changes nothing.

    The model itself comes last: readers start from it, so a model that they see is complete. Documents that a
    crash leaves behind name a version that nobody sees. DataError where the parts do not belong together.
    """
    listed = list(metrics)
    if model.snapshot != snapshot.id:
        raise DataError(
            f"the model must name its data, however: model={model.snapshot!r}, data={snapshot.id!r}"
        )
    for each in listed:
        if each.version != model.version:
            raise DataError(
                f"metrics must be those of the model, however: "
                f"metrics={each.version!r}, model={model.version!r}"
            )
    TrainingDataRepository(database).add(snapshot)
    for each in listed:
        MetricsRepository(database).add(each)
    ModelRepository(database).add(model)


class Repository(Generic[D]):
    """A collection of documents of one class."""

    collection: ClassVar[str]
    time_field: ClassVar[str]
    """Name of the field that orders documents by age."""
    kind: type[D]

    def __init__(self, database: Database) -> None:
        self._documents = database[self.collection]

    def ensure_indexes(self) -> None:
        """Make the indexes; once they are there, no change."""
        with database_errors(f"index {self.collection}", seconds=LONG_CALL_SECONDS):
            self._documents.create_index([(self.time_field, -1)], name=f"by_{self.time_field}")

    def add(self, document: D) -> None:
        """Store a document; no change where it is there already, DataError where another has its id."""
        with database_errors(f"write {self.collection}"):
            try:
                self._documents.insert_one(document.to_store())
            except DuplicateKeyError:
                stored = self.find(document.id)
                if stored is not None and not document.same_content(stored):
                    raise DataError(
                        f"{self.collection} must keep what it holds, however: _id={document.id!r} comes "
                        "again with another content. Give what is new an id of its own."
                    ) from None

    def find(self, identifier: str) -> D | None:
        """Return the document with this id, or None."""
        with database_errors(f"read {self.collection}"):
            stored = self._documents.find_one({"_id": identifier})
        return None if stored is None else self.kind.from_store(stored)

    def get(self, identifier: str) -> D:
        """Return the document with this id; DataError where there is none."""
        document = self.find(identifier)
        if document is None:
            raise self._unknown(identifier)
        return document

    def newest_first(self, *, limit: int = 0) -> list[D]:
        """Return the documents, the newest first; `limit` 0 = all."""
        return self._newest({}, limit=limit)

    def latest(self) -> D | None:
        """Return the newest document, None where there is none."""
        newest = self.newest_first(limit=1)
        return newest[0] if newest else None

    def count(self) -> int:
        """Return the number of documents."""
        with database_errors(f"count {self.collection}"):
            return self._documents.count_documents({})

    def ids(self) -> list[str]:
        """Return the ids of all documents, in no order."""
        with database_errors(f"read {self.collection}"):
            return [str(document["_id"]) for document in self._documents.find({}, {"_id": 1})]

    def _newest(self, condition: dict[str, Any], *, limit: int = 0) -> list[D]:
        with database_errors(f"read {self.collection}"):
            stored = self._documents.find(condition).sort([(self.time_field, -1), ("_id", -1)]).limit(limit)
            return [self.kind.from_store(document) for document in stored]

    def _unknown(self, identifier: str) -> DataError:
        known = self.ids()
        hint = did_you_mean(identifier, known) if known else " Nothing is stored yet."
        return DataError(f"{self.collection} must hold what is asked for, however: _id={identifier!r}.{hint}")


class TrainingDataRepository(Repository[TrainingData]):
    """The snapshots of training data."""

    collection = "training_data"
    time_field = "created_at"
    kind = TrainingData

    def ensure_indexes(self) -> None:
        """Make the indexes; once they are there, no change."""
        super().ensure_indexes()
        with database_errors(f"index {self.collection}", seconds=LONG_CALL_SECONDS):
            self._documents.create_index("digest", name="by_digest")

    def with_digest(self, digest: str) -> list[TrainingData]:
        """Return the snapshots of rows with this digest, the newest first."""
        return self._newest({"digest": digest})


class MetricsRepository(Repository[PerformanceMetrics]):
    """The metrics of models."""

    collection = "performance_metrics"
    time_field = "computed_at"
    kind = PerformanceMetrics

    def ensure_indexes(self) -> None:
        """Make the indexes; once they are there, no change."""
        super().ensure_indexes()
        with database_errors(f"index {self.collection}", seconds=LONG_CALL_SECONDS):
            self._documents.create_index("version", name="by_version")
            self._documents.create_index("beside", name="by_beside")

    def of_model(self, version: str) -> list[PerformanceMetrics]:
        """Return all metrics of a model, the newest first."""
        return self._newest({"version": version})

    def beside(self, version: str) -> list[PerformanceMetrics]:
        """Return the metrics of other models that were measured beside this one, the newest first."""
        return self._newest({"beside": version})


class ModelRepository(Repository[ModelMetadata]):
    """The models, and the pointer to the champion."""

    collection = "model_metadata"
    time_field = "created_at"
    kind = ModelMetadata

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._pointers = database[POINTERS]
        self._claims = database[FENCES]

    def ensure_indexes(self) -> None:
        """Make the indexes; once they are there, no change."""
        super().ensure_indexes()
        with database_errors(f"index {self.collection}", seconds=LONG_CALL_SECONDS):
            self._documents.create_index("status", name="by_status")
            self._documents.create_index("snapshot", name="by_snapshot")

    def starting_with(self, beginning: str, *, limit: int) -> list[ModelMetadata]:
        """Return at most `limit` models whose version has this beginning, the newest first."""
        # A range of ids, which every store answers by its index of them; the last character there is ends it.
        return self._newest({"_id": {"$gte": beginning, "$lt": f"{beginning}\U0010ffff"}}, limit=limit)

    def of_snapshots(self, snapshots: Iterable[str]) -> list[ModelMetadata]:
        """Return the models that were made from one of these snapshots, the newest first."""
        return self._newest({"snapshot": {"$in": list(snapshots)}})

    def with_status(self, status: ModelStatus) -> list[ModelMetadata]:
        """Return the models of this status, the newest first."""
        return self._newest({"status": str(status)})

    def set_status(self, version: str, status: ModelStatus) -> None:
        """Change a model's status; DataError where there is no such model."""
        with database_errors(f"write {self.collection}"):
            result = self._documents.update_one({"_id": version}, {"$set": {"status": str(status)}})
        if result.matched_count == 0:
            raise self._unknown(version)

    def reject(self, version: str) -> None:
        """Mark a model as rejected; one that was evaluated before keeps its status."""
        waiting = {"_id": version, "status": str(ModelStatus.TRAINED)}
        with database_errors(f"write {self.collection}"):
            self._documents.update_one(waiting, {"$set": {"status": str(ModelStatus.REJECTED)}})

    def claim_run(self, run: str, version: str) -> None:
        """Claim the model of a run, which has one; DataError where another was stored for it.

        A model that was claimed and never stored is replaced.
        """
        claims, identifier = self._claims, f"{run}/model"
        while True:  # until the claim is ours: another process may change it in between
            with database_errors("claim the run"), suppress(DuplicateKeyError):
                claims.insert_one({"_id": identifier, "version": version})
                return
            with database_errors("claim the run"):
                claimed = claims.find_one({"_id": identifier}) or {}
            other = claimed.get("version")
            if other == version:
                return
            if other is not None and self.find(other) is not None:
                raise DataError(
                    f"a run must store one model, however: {run!r} has stored {other!r} and now comes "
                    f"with {version!r}. The stored one stays."
                )
            with database_errors("claim the run"):
                claims.update_one({"_id": identifier, "version": other}, {"$set": {"version": version}})

    def champion(self) -> Champion | None:
        """Return the pointer to the model that scores, None before the first promotion."""
        with database_errors(f"read {POINTERS}"):
            stored = self._pointers.find_one({"_id": CHAMPION_ID})
        return None if stored is None else Champion.from_store(stored)

    def move_champion(self, version: str, digest: str, *, seen_rev: int, seen_version: str | None) -> bool:
        """Point to another model if the pointer still is the one that was seen; return whether it moved.

        Where it did not, somebody else has moved it: read `champion()` and decide again.

        Args:
            version: the model that becomes the champion.
            digest: SHA-256 of its artefact.
            seen_rev: moves of the pointer when it was read; 0 = there was no pointer.
            seen_version: the champion at that time, None without a pointer. The moves of a pointer that was
                deleted and made anew count from 1 again, so the two together tell whether it is the same.

        Raises:
            DataError: the model is not stored, or its artefact has another digest.
            DependencyError: the database does not answer.
        """
        model = self.get(version)
        if model.sha256 != digest:
            raise DataError(
                f"the champion's digest must be that of its artefact, however: version={version!r}, "
                f"digest={digest[:ID_DIGITS]!r}, stored={model.sha256[:ID_DIGITS]!r}"
            )
        with database_errors(f"write {POINTERS}"):
            if seen_rev == 0:
                try:
                    self._pointers.insert_one(Champion(version=version, digest=digest, rev=1).to_store())
                except DuplicateKeyError:
                    return False
                return True
            change = {"$set": {"version": version, "digest": digest}, "$inc": {"rev": 1}}
            seen = {"_id": CHAMPION_ID, "rev": seen_rev, "version": seen_version}
            return self._pointers.find_one_and_update(seen, change) is not None

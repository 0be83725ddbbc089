"""The evidence of a training, stored beside its model: what the documents about it are made from."""

from typing import Any

from loan_default.database.connect import LONG_CALL_SECONDS
from loan_default.database.driver_errors import database_errors
from loan_default.database.repositories import Repository
from loan_default.database.stored_document import Digest, Key, StoredDocument, Time


class ModelEvidence(StoredDocument):
    """The figures that a training has computed for the documents of its model. `model_evidence`."""

    passing = frozenset({"computed_at"})

    version: Key
    """Version of the model."""
    sha256: Digest
    """SHA-256 of the model's artefact."""
    computed_at: Time
    figures: dict[Key, Any]
    """Plain values; `evaluation.training_evidence.TrainingEvidence` says what they are."""

    @property
    def id(self) -> str:
        """The version of the model."""
        return self.version


class EvidenceRepository(Repository[ModelEvidence]):
    """The evidence of the registered models."""

    collection = "model_evidence"
    time_field = "computed_at"
    kind = ModelEvidence

    def ensure_indexes(self) -> None:
        """Make the indexes; once they are there, no change."""
        super().ensure_indexes()
        with database_errors(f"index {self.collection}", seconds=LONG_CALL_SECONDS):
            self._documents.create_index("sha256", name="by_sha256")

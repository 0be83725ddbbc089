"""The evidence of a training, stored beside its model: what the documents about it are made from."""

import json
from collections.abc import Mapping
from typing import Any, Self

from loan_default.database.connect import LONG_CALL_SECONDS
from loan_default.database.driver_errors import database_errors
from loan_default.database.repositories import Repository
from loan_default.database.stored_document import Digest, Key, StoredDocument, Time
from loan_default.errors import DataError


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

    def to_store(self) -> dict[str, Any]:
        """Return the document with its figures as JSON text: they hold lists of lists, which not every store
        takes, and nobody looks for a document by them."""
        return {**super().to_store(), "figures": {"json": json.dumps(self.figures, allow_nan=False)}}

    @classmethod
    def from_store(cls, document: Mapping[str, Any]) -> Self:
        """Return the document of a stored dict.

        Raises:
            DataError: as `StoredDocument.from_store`, or the figures are no JSON.
        """
        figures = document.get("figures")
        if isinstance(figures, Mapping) and figures.keys() == {"json"}:
            try:
                document = {**document, "figures": json.loads(figures["json"])}
            except (TypeError, ValueError) as error:
                raise DataError(
                    f"figures must be JSON, however: those of {document.get('_id')!r} are not"
                ) from error
        return super().from_store(document)


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

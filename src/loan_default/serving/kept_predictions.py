"""What was predicted of an application, and what became of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loan_default.database.connect import Database
from loan_default.database.prediction_repository import PredictionRepository
from loan_default.database.serving_documents import Prediction
from loan_default.errors import DataError
from loan_default.serving.outcomes import outcomes_of


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptPredictions:
    """All predictions of one application, the first first."""

    application: str
    predictions: tuple[Prediction, ...]
    outcome: float | None
    """1.0 = default, 0.0 = none; None = not known yet, or not in the training store yet."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that can be written as JSON."""
        return {
            "application": self.application,
            "outcome": self.outcome,
            "predictions": [
                {"id": each.id, **each.model_dump(mode="json", exclude={"schema_version"})}
                for each in self.predictions
            ],
        }


def kept_predictions(
    database: Database, application: str, *, store: Path, schema: Path | None
) -> KeptPredictions:
    """Find what was predicted of an application, and its outcome in the training store.

    Args:
        store: folder of the training store.
        schema: of the ingestion, where the settings name one.

    Raises:
        DataError: nothing was predicted of it.
        DependencyError: the database is away.
    """
    predictions = PredictionRepository(database).of_application(application)
    if not predictions:
        raise DataError(
            "an application must have been scored, however: nothing is kept of this one. Scores of the last "
            "second, and those that wait for the document store, are stored soon."
        )
    version = predictions[-1].version
    outcomes = outcomes_of(database, [application], version=version, store=store, schema=schema)
    return KeptPredictions(
        application=application, predictions=tuple(predictions), outcome=outcomes.get(application)
    )

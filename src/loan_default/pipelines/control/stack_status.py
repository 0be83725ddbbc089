"""Where a stack stands: what came in, which models there are, and which of them scores."""

from dataclasses import dataclass

from loan_default.database.connect import Database
from loan_default.database.control_documents import Decision
from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.documents import Champion
from loan_default.database.ingestion_documents import EventStatus
from loan_default.database.ingestion_repositories import RawDataLogRepository
from loan_default.database.repositories import ModelRepository


@dataclass(frozen=True, kw_only=True, slots=True)
class StackStatus:
    """Counts and names, nothing of the data."""

    accepted: int
    """Events that passed the schema."""
    rejected: int
    """Events that are dead-letter records."""
    models: int
    decision: Decision | None
    """The latest decision about a model."""
    champion: Champion | None


def stack_status(database: Database) -> StackStatus:
    """What the collections say now; DependencyError where the database is away."""
    events = RawDataLogRepository(database).count_by_status()
    models = ModelRepository(database)
    return StackStatus(
        accepted=events[EventStatus.ACCEPTED],
        rejected=events[EventStatus.REJECTED],
        models=models.count(),
        decision=DecisionRepository(database).latest(),
        champion=models.champion(),
    )

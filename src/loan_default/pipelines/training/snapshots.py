"""Snapshots: documents that name the rows which the training store holds at one time."""

from datetime import UTC, datetime
from pathlib import Path

import structlog

from loan_default.database.documents import TrainingData
from loan_default.database.repositories import TrainingDataRepository
from loan_default.pipelines.ingestion.training_store_writer import store_processed_data
from loan_default.pipelines.services import Services
from loan_default.pipelines.training.dataset import Dataset, load_store, snapshot_of

log = structlog.get_logger()


def prepare_training_data(
    services: Services,
    folder: Path,
    *,
    maturity_days: int,
    since: datetime | None = None,
    until: datetime | None = None,
) -> TrainingData:
    """Bring the training store up to date and add a document of its rows to `training_data`."""
    store_processed_data(services, folder)
    period = {"since": since, "until": until}
    return snapshot_store(services, folder, maturity_days=maturity_days, **period)[1]


def snapshot_store(
    services: Services,
    folder: Path,
    *,
    maturity_days: int,
    since: datetime | None = None,
    until: datetime | None = None,
) -> tuple[Dataset, TrainingData]:
    """Read the training store as it is; returns its rows and the document that names them, which is stored.

    Args:
        maturity_days: age from which on an application's label counts.
        since, until: applications from that time on, and before that time; None = all.

    Raises:
        DataError: as `load_store`.
        DependencyError: the database is away.
    """
    now = datetime.now(UTC)
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)  # the precision of stored documents
    dataset = load_store(
        folder, services.schema, maturity_days=maturity_days, now=now, since=since, until=until
    )
    snapshot = snapshot_of(dataset, now).model_copy(update={"since": since, "until": until})
    repository = TrainingDataRepository(services.database)
    repository.ensure_indexes()
    repository.add(snapshot)
    log.info("training_data_prepared", run=services.run, snapshot=snapshot.id, rows=snapshot.rows_accepted)
    return dataset, snapshot

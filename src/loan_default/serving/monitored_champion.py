"""The champion beside what arrives, as commands and the hourly task compute it: without torch."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from loan_default.database.documents import ModelMetadata
from loan_default.database.monitoring_documents import MonitoredHour
from loan_default.models.frozen_model import FrozenModel
from loan_default.pipelines.layout import SERVING_FILES
from loan_default.pipelines.monitoring.champion_hours import monitor_champion
from loan_default.pipelines.services import Services
from loan_default.serving.serving_files import frozen_from
from loan_default.thresholds import DriftPolicy


def monitor_now(services: Services, *, home: Path, policy: DriftPolicy, cutoff: float) -> list[MonitoredHour]:
    """Compute the hours of the champion up to now, as `monitor_champion` does; its errors pass through.

    Raises:
        ArtifactError: the champion's file is damaged.
    """
    return monitor_champion(
        services,
        home=home,
        load=partial(_frozen, home=home),
        policy=policy,
        cutoff=cutoff,
        now=datetime.now(UTC),
    )


def _frozen(model: ModelMetadata, *, home: Path) -> FrozenModel:
    return frozen_from(home / model.path, sha256=model.sha256, cache=home / SERVING_FILES)

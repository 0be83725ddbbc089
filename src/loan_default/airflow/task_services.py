"""Settings and services of the tasks of all DAGs. The hourly tasks import this, so it never imports torch."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from loan_default.errors import ConfigurationError
from loan_default.pipelines.services import Services
from loan_default.settings import Settings, load_settings
from loan_default.wiring import open_services, warn_of_unknown_variables

Context = Mapping[str, Any]
"""The context that Airflow gives a task: `run_id`, `task_instance`, `dag_run`, `params` and more."""


@contextmanager
def services_of(context: Context) -> Iterator[tuple[Services, Settings]]:
    """Open the services of a run for as long as the block runs; yields them and the settings."""
    settings = load_settings()
    warn_of_unknown_variables()
    _check_shared(settings)
    with open_services(settings, run=context["run_id"]) as services:
        yield services, settings


def _check_shared(settings: Settings) -> None:
    """Raise ConfigurationError where the tasks of a run, each in its own process, would share nothing."""
    if settings.kafka_bootstrap_servers is None:
        raise ConfigurationError(
            "KAFKA_BOOTSTRAP_SERVERS must be set for the tasks of a DAG, however: it is not, and what a "
            "broker in memory holds is gone with its task. Name the brokers."
        )
    if not settings.home.is_absolute():
        raise ConfigurationError(
            "LOAN_DEFAULT_HOME must be an absolute path for the tasks of a DAG, however: it is "
            f"{settings.home}, which is another folder for each worker. Name a folder that they share."
        )

"""Defaults of the three DAGs: assets, the start of the schedules, retries, and what is logged of a failure.

Parsing a DAG file imports this module and nothing heavy: torch and pandas are imported by the tasks.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from airflow.sdk import Asset, ExceptionRetryPolicy, RetryAction, RetryRule

log = structlog.get_logger()

SNAPSHOT = Asset(name="training_snapshot", uri="x-loan-default://training_data", group="loan-default")
"""The data of a training; an event names the snapshot, its rows and its default rate."""
MODEL = Asset(name="model", uri="x-loan-default://model_metadata", group="loan-default")
"""A stored model; an event names its version and its metrics."""
START = datetime(2026, 1, 1, tzinfo=UTC)
TRAINING_POOL = "training"
"""The pool has one slot, so that one training runs at a time."""
RETRY_SECONDS = 30
"""The delay before the first retry; it doubles with each further one."""


def log_failure(context: Mapping[str, Any]) -> None:
    """Log one structured line that an alert can look for; the task's own log holds what went wrong."""
    task = context["task_instance"]
    log.error(
        "task_failed",
        dag=task.dag_id,
        run=task.run_id,
        task=task.task_id,
        attempt=task.try_number,
        error=type(context.get("exception")).__name__,
    )


_RETRIES = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception="loan_default.errors.DependencyError",
            action=RetryAction.RETRY,
            reason="the broker or the database is away",
        ),
        RetryRule(
            exception=ValueError, action=RetryAction.FAIL, reason="data and settings are the same at each try"
        ),
        RetryRule(
            exception="loan_default.errors.ArtifactError",
            action=RetryAction.FAIL,
            reason="a refused model file is refused again",
        ),
    ]
)
DEFAULT_ARGS: dict[str, Any] = {
    "owner": "risk",
    "retries": 5,
    "retry_delay": timedelta(seconds=RETRY_SECONDS),
    "retry_exponential_backoff": 2,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": _RETRIES,
    "execution_timeout": timedelta(minutes=50),
    "on_failure_callback": log_failure,
}

"""What the three DAGs have in common: assets, schedules' start, retries, and who is told of a failure.

Parsing a DAG file imports this and nothing heavy: torch and pandas come with the tasks.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Asset, ExceptionRetryPolicy, RetryAction, RetryRule

from loan_default.airflow.callbacks import log_failure

SNAPSHOT = Asset(name="training_snapshot", uri="x-loan-default://training_data", group="loan-default")
"""Data to train on; an event names the snapshot, its rows and its default rate."""
MODEL = Asset(name="model", uri="x-loan-default://model_metadata", group="loan-default")
"""A stored model; an event names its version and its figures."""
START = datetime(2026, 1, 1, tzinfo=UTC)
TRAINING_POOL = "training"
"""Has one slot: one training at a time."""
RETRY_SECONDS = 30

_RETRIES = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception="loan_default.errors.DependencyError",
            action=RetryAction.RETRY,
            reason="broker or database are away",
        ),
        RetryRule(
            exception=ValueError, action=RetryAction.FAIL, reason="data or settings are the same at each try"
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

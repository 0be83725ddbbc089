"""What happens when a task has failed for good."""

from collections.abc import Mapping
from typing import Any

import structlog

log = structlog.get_logger()


def log_failure(context: Mapping[str, Any]) -> None:
    """One structured line that an alert can look for; what went wrong stands in the task's own log."""
    task = context["task_instance"]
    log.error(
        "task_failed",
        dag=task.dag_id,
        run=task.run_id,
        task=task.task_id,
        attempt=task.try_number,
        error=type(context.get("exception")).__name__,
    )

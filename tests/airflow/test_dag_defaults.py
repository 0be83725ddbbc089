"""Defaults of the DAGs: which errors are retried, and what is logged of a task that failed."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from loan_default.errors import ArtifactError, ConfigurationError, DataError, DependencyError


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "action"),
    [
        (DependencyError("the broker is away"), "RETRY"),
        (DataError("the file is empty"), "FAIL"),
        (ConfigurationError("a variable is wrong"), "FAIL"),
        (ValueError("a date is wrong"), "FAIL"),
        (ArtifactError("the digest differs"), "FAIL"),
        (RuntimeError("nobody knows"), "DEFAULT"),
    ],
)
def test_an_error_decides_whether_its_task_is_tried_again(error, action):
    from loan_default.airflow.dag_defaults import DEFAULT_ARGS

    decision = DEFAULT_ARGS["retry_policy"].evaluate(error, try_number=1, max_tries=5, context=None)
    assert decision.action.name == action


@pytest.mark.slow
def test_the_delay_before_a_retry_grows_up_to_a_limit():
    from loan_default.airflow.dag_defaults import DEFAULT_ARGS, RETRY_SECONDS

    assert DEFAULT_ARGS["retry_delay"] == timedelta(seconds=RETRY_SECONDS)
    assert DEFAULT_ARGS["retry_exponential_backoff"] > 1
    assert DEFAULT_ARGS["retry_delay"] < DEFAULT_ARGS["max_retry_delay"] < DEFAULT_ARGS["execution_timeout"]


@pytest.mark.slow
def test_a_failure_is_logged_as_one_line_without_the_text_of_its_error():
    """The text of an error stands in the log of its task, which fewer people read."""
    from loan_default.airflow.dag_defaults import log_failure

    task = SimpleNamespace(dag_id="model_training", run_id="run", task_id="store_model", try_number=6)
    context: dict[str, Any] = {"task_instance": task, "exception": DataError("Jane Canary")}
    with structlog.testing.capture_logs() as lines:
        log_failure(context)
    assert lines == [
        {
            "event": "task_failed",
            "log_level": "error",
            "dag": "model_training",
            "run": "run",
            "task": "store_model",
            "attempt": 6,
            "error": "DataError",
        }
    ]

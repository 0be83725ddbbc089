"""What the tasks of all DAGs are made of. It knows nothing of torch: the hourly tasks import it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from loan_default.pipelines.flow import Flow
from loan_default.session import open_flow
from loan_default.settings import Settings, load_settings

Context = Mapping[str, Any]
"""Airflow's: `run_id`, `task_instance`, `dag_run`, `params` and more."""


@contextmanager
def flow_of(context: Context) -> Iterator[tuple[Flow, Settings]]:
    """The flow of a run and the settings, while the block runs."""
    settings = load_settings()
    with open_flow(settings, run=context["run_id"]) as flow:
        yield flow, settings

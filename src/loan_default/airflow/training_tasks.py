"""The bodies of the tasks of `model_training`: parts from the settings, pipeline functions, ids back.

The DAG imports this inside of its tasks. What a task returns is small and plain: ids, paths and counts.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import structlog
from airflow.sdk.exceptions import AirflowSkipException

from loan_default.airflow.task_services import Context, services_of
from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.database.control_repositories import FencingToken
from loan_default.pipelines.layout import TRAINING_STORE
from loan_default.pipelines.services import Services
from loan_default.pipelines.training import training_steps
from loan_default.pipelines.training.dataset import EmptyStoreError
from loan_default.pipelines.training.listeners import LogListener
from loan_default.pipelines.training.preparation import TrainingOptions
from loan_default.pipelines.training.training_steps import TrainingRun

log = structlog.get_logger()


def prepare_training_data(context: Context) -> dict[str, Any]:
    """The snapshot that the run trains on. A scheduled run that finds nothing, or nothing new, is skipped."""
    scheduled = context["dag_run"].run_type == "scheduled"
    with _training_run(context) as run:
        try:
            snapshot = training_steps.freeze_training_data(run, _fencing_token(context, run.services))
        except EmptyStoreError as error:
            if not scheduled:
                raise
            raise AirflowSkipException(f"nothing to train on yet: {error}") from error
        known = training_steps.model_of_data(run) if scheduled else None
    if known is not None:
        raise AirflowSkipException(
            f"nothing new: {known} was trained on the same {snapshot.rows_accepted} rows"
        )
    return {"snapshot": snapshot.id, "rows": snapshot.rows_accepted, "default_rate": snapshot.label_rate}


def pretrain_encoder(context: Context) -> str | None:
    """The encoder file; None where the run is to start from random weights."""
    with _training_run(context) as run:
        if run.encoder is None:
            log.info("not_pretrained", reason="the parameter pretrain is off")
            return None
        return str(training_steps.pretrain_step(run, LogListener(), _fencing_token(context, run.services)))


def train_classifier(context: Context) -> dict[str, Any]:
    """A model and its report, not registered yet."""
    with _training_run(context) as run:
        registration = training_steps.train_step(run, LogListener(), _fencing_token(context, run.services))
        return {"version": registration.model.version, "folder": str(run.folder / "model")}


def store_model(context: Context) -> dict[str, Any]:
    """The model in the registry; returns its version and figures."""
    with _training_run(context) as run:
        model, metrics = training_steps.store_step(run, _fencing_token(context, run.services))
        return {"version": model.version, "snapshot": model.snapshot, **metrics}


@contextmanager
def _training_run(context: Context) -> Iterator[TrainingRun]:
    params = context["params"]
    with services_of(context) as (services, settings):
        yield TrainingRun(
            services=services,
            home=settings.home,
            options=TrainingOptions(
                data=settings.home / TRAINING_STORE,
                maturity_days=settings.maturity_days,
                schema=settings.schema_file or BUNDLED_SCHEMA,
                pretrain=params["pretrain"],
                preset=params["preset"] or settings.preset,
                epochs=params["epochs"],
                pretraining_epochs=params["pretraining_epochs"],
                members=params["members"],
                objective=params["objective"],
                out_of_time=params["out_of_time"],
                seed=params["seed"],
            ),
            since=_time(params["since"]),
            until=_time(params["until"]),
        )


def _fencing_token(context: Context, services: Services) -> FencingToken:
    task = context["task_instance"]
    return FencingToken(
        database=services.database, run=task.run_id, task=task.task_id, attempt=task.try_number
    )


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time

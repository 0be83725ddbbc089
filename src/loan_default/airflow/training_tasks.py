"""The bodies of the tasks of `model_training`: each builds a run from the settings and calls one step of it.

The DAG imports this module inside of its tasks. What a task returns is small and plain: ids, paths, counts.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import structlog
from airflow.sdk.exceptions import AirflowSkipException

from loan_default.airflow.task_services import Context, services_of
from loan_default.database.control_repositories import FencingToken
from loan_default.pipelines.layout import TRAINING_STORE
from loan_default.pipelines.services import Services
from loan_default.pipelines.training import training_steps
from loan_default.pipelines.training.dataset import EmptyStoreError
from loan_default.pipelines.training.listeners import LogListener
from loan_default.pipelines.training.training_options import PARAMETERS, StoreData, TrainingOptions
from loan_default.pipelines.training.training_steps import TrainingRun
from loan_default.settings import Settings
from loan_default.wiring import review_policy_of, schema_file_of

log = structlog.get_logger()


def prepare_training_data(context: Context) -> dict[str, Any]:
    """Freeze the rows that the run trains on; a scheduled run without new rows is skipped."""
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
    """Pretrain; returns the encoder file, or None where the run starts from random weights."""
    with _training_run(context) as run:
        if run.encoder is None:
            log.info("not_pretrained", reason="the parameter pretrain is off")
            return None
        return str(training_steps.pretrain_step(run, LogListener(), _fencing_token(context, run.services)))


def train_classifier(context: Context) -> dict[str, Any]:
    """Train a model and write its report; it is not registered yet."""
    with _training_run(context) as run:
        registration = training_steps.train_step(run, LogListener(), _fencing_token(context, run.services))
        return {"version": registration.model.version, "folder": str(run.folder / "model")}


def store_model(context: Context) -> dict[str, Any]:
    """Register the model; returns its version and metrics."""
    with _training_run(context) as run:
        model, metrics = training_steps.register_step(run, _fencing_token(context, run.services))
        return {"version": model.version, "snapshot": model.snapshot, **metrics}


@contextmanager
def _training_run(context: Context) -> Iterator[TrainingRun]:
    params = context["params"]
    with services_of(context) as (services, settings):
        yield TrainingRun(
            services=services,
            home=settings.home,
            options=_options(params, settings),
            since=_time(params["since"]),
            until=_time(params["until"]),
            policy=review_policy_of(settings),
        )


def _options(params: Mapping[str, Any], settings: Settings) -> TrainingOptions:
    """The options that the parameters of a DAG run ask for, on the training store of the settings."""
    store = StoreData(folder=settings.home / TRAINING_STORE, maturity_days=settings.maturity_days)
    chosen = {name: params[name] for name, parameter in PARAMETERS.items() if parameter.scheduled}
    if chosen["preset"] is None:
        chosen["preset"] = settings.preset
    return TrainingOptions(data=store, schema=schema_file_of(settings), **chosen)


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

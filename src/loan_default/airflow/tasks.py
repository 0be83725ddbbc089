"""The bodies of the tasks: parts from the settings, one pipeline function, ids back.

A DAG imports this inside of its tasks. What a task returns is small and plain: ids, paths and counts.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from airflow.sdk.exceptions import AirflowSkipException

from loan_default.console import LogListener, make_console
from loan_default.database.control_repositories import Fence
from loan_default.errors import ConfigurationError
from loan_default.evaluation.gate import Thresholds, Verdict
from loan_default.pipelines import evaluation, ingestion, training_steps
from loan_default.pipelines.dataset import BUNDLED_SCHEMA, STORE
from loan_default.pipelines.evaluation import Chosen, Evaluated, EvaluationRun
from loan_default.pipelines.flow import Flow
from loan_default.pipelines.preparing import Prepared, TrainingOptions
from loan_default.pipelines.training_steps import TrainingRun
from loan_default.session import feed_of, open_flow
from loan_default.settings import Settings, load_settings

Context = Mapping[str, Any]
"""Airflow's: `run_id`, `task_instance`, `dag_run`, `params` and more."""

log = structlog.get_logger()


# Ingestion -----------------------------------------------------------------------------------------------


def ingest_raw_data(context: Context) -> dict[str, int]:
    """Rows of the source to `raw_data`."""
    with _flow(context) as (flow, settings):
        rows = context["params"]["rows"] or settings.source_rows
        feed = feed_of(settings.source, flow.schema, settings, rows=rows)
        sent = ingestion.ingest_raw_data(flow, feed)
    if not sent.sent and not sent.refused:
        log.info("nothing_new", source=settings.source.partition(":")[0])
    return asdict(sent)


def process_raw_data(context: Context) -> dict[str, int]:
    """What is on `raw_data` is judged."""
    with _flow(context) as (flow, _):
        return ingestion.process_raw_data(flow).counts


def send_processed_data(context: Context) -> dict[str, int]:
    """What was accepted to `processed_data`."""
    with _flow(context) as (flow, _):
        return {"sent": ingestion.send_processed_data(flow)}


# Training ------------------------------------------------------------------------------------------------


def prepare_training_data(context: Context) -> dict[str, Any]:
    """The snapshot that the run trains on. A scheduled run that finds nothing new is skipped."""
    with _training_run(context) as run:
        snapshot = training_steps.freeze_training_data(run)
        known = training_steps.model_of_data(run) if context["dag_run"].run_type == "scheduled" else None
    if known is not None:
        raise AirflowSkipException(
            f"nothing new: {known} was trained on the same {snapshot.rows_accepted} rows"
        )
    return {"snapshot": snapshot.id, "rows": snapshot.rows_accepted, "default_rate": snapshot.label_rate}


def pretrain_encoder(context: Context) -> str | None:
    """The encoder file; None where the run is to start from random weights."""
    if not context["params"]["pretrain"]:
        log.info("not_pretrained", reason="the parameter pretrain is off")
        return None
    with _training_run(context) as run:
        return str(training_steps.pretrain_step(run, TaskLog(make_console()), _fence(context, run.flow)))


def train_classifier(context: Context, encoder: str | None) -> dict[str, Any]:
    """A model and its report, not registered yet."""
    with _training_run(context) as run:
        given = Path(encoder) if encoder is not None else None
        registration = training_steps.train_step(
            run, TaskLog(make_console()), _fence(context, run.flow), encoder=given
        )
        return {"version": registration.model.version, "folder": str(run.folder / "model")}


def store_model(context: Context) -> dict[str, Any]:
    """The model in the registry; returns its version and figures."""
    with _training_run(context) as run:
        model, figures = training_steps.store_step(run, _fence(context, run.flow))
        return {"version": model.version, "snapshot": model.snapshot, **figures}


# Evaluation ----------------------------------------------------------------------------------------------


def load_model(context: Context) -> dict[str, Any]:
    """The model to be judged; a run that finds none is skipped."""
    params = context["params"]
    with _evaluation_run(context) as run:
        version = params["version"] or _announced_version(context)
        chosen = evaluation.choose_model(run, version=version, rollback=params["rollback"])
    if chosen is None:
        raise AirflowSkipException("nothing to judge: no model is stored yet")
    return asdict(chosen)


def evaluate_model(context: Context, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of the model and of the champion on the same rows; returns where they are."""
    with _evaluation_run(context) as run:
        return asdict(evaluation.evaluate_model(run, Chosen(**chosen).version))


def check_thresholds(context: Context, evaluated: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict of the gate, with its reasons."""
    with _evaluation_run(context) as run:
        verdict = evaluation.check_thresholds(run, Evaluated(**evaluated))
    for reason in verdict.reasons:
        log.info("rule_checked", rule=reason)
    return {"passed": verdict.passed, "reasons": list(verdict.reasons)}


def update_status(
    context: Context, chosen: Mapping[str, Any], evaluated: Mapping[str, Any], verdict: Mapping[str, Any]
) -> dict[str, Any]:
    """The decision, carried out."""
    given = Verdict(passed=verdict["passed"], reasons=tuple(verdict["reasons"]))
    with _evaluation_run(context) as run:
        rollback = Chosen(**chosen).rollback
        decision = evaluation.update_status(run, Evaluated(**evaluated), given, rollback=rollback)
    return {"version": decision.version, "action": str(decision.action)}


# Parts ---------------------------------------------------------------------------------------------------


class TaskLog(LogListener):
    """Stages and epochs of a training in the log of its task: counts, never values of the data."""

    def prepared(self, prepared: Prepared, out: Path, *, kept_schema: Path | None) -> None:  # noqa: ARG002
        """What the run works on."""
        split = prepared.split
        log.info(
            "training_prepared",
            rows=len(prepared.dataset.frame),
            train=len(split.train),
            validation=len(split.validation),
            test=len(split.test),
            unlabelled=len(split.unlabelled),
            folder=str(out),
            **{choice.what: str(choice.value) for choice in prepared.choices},
        )


@contextmanager
def _flow(context: Context) -> Iterator[tuple[Flow, Settings]]:
    settings = load_settings()
    _check_shared(settings)
    with open_flow(settings, run=context["run_id"]) as flow:
        yield flow, settings


def _check_shared(settings: Settings) -> None:
    """ConfigurationError where the tasks of a run, each a process of its own, would not find each other."""
    if settings.kafka_bootstrap_servers is None:
        raise ConfigurationError(
            "KAFKA_BOOTSTRAP_SERVERS must be set for the tasks of a DAG, however: it is not, and what a "
            "broker in memory holds is gone with its task. Name the brokers."
        )
    if not settings.home.is_absolute():
        raise ConfigurationError(
            "LOAN_DEFAULT_HOME must be an absolute path for the tasks of a DAG, however: it is "
            f"{settings.home}, which each worker finds in another place. Name a folder that they share."
        )


@contextmanager
def _training_run(context: Context) -> Iterator[TrainingRun]:
    params = context["params"]
    with _flow(context) as (flow, settings):
        yield TrainingRun(
            flow=flow,
            home=settings.home,
            options=TrainingOptions(
                data=settings.home / STORE,
                maturity_days=settings.maturity_days,
                schema=settings.schema_file or BUNDLED_SCHEMA,
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


@contextmanager
def _evaluation_run(context: Context) -> Iterator[EvaluationRun]:
    with _flow(context) as (flow, settings):
        yield EvaluationRun(
            flow=flow,
            home=settings.home,
            maturity_days=settings.maturity_days,
            thresholds=thresholds_of(settings),
        )


def thresholds_of(settings: Settings) -> Thresholds:
    """The thresholds that the settings name."""
    return Thresholds(
        minimum_rows=settings.minimum_rows,
        minimum_auc=settings.minimum_auc,
        minimum_ks=settings.minimum_ks,
        maximum_brier=settings.maximum_brier,
        maximum_calibration_error=settings.maximum_calibration_error,
        minimum_lead=settings.minimum_lead,
    )


def _fence(context: Context, flow: Flow) -> Fence:
    task = context["task_instance"]
    return Fence(database=flow.database, run=task.run_id, task=task.task_id, attempt=task.try_number)


def _announced_version(context: Context) -> str | None:
    """Version of the newest model whose asset started the run; None where the clock did."""
    events = [
        event
        for asset_events in (context.get("triggering_asset_events") or {}).values()
        for event in asset_events
    ]
    newest = max(events, key=lambda event: event.timestamp, default=None)
    return None if newest is None else newest.extra.get("version")


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time

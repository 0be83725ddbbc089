"""The bodies of the tasks of `model_evaluation`: parts from the settings, a pipeline function, ids back.

The DAG imports this inside of its tasks.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import structlog
from airflow.sdk.exceptions import AirflowSkipException

from loan_default.airflow.task_services import Context, services_of
from loan_default.evaluation.gate import Thresholds, Verdict
from loan_default.pipelines.promotion import candidates as choosing
from loan_default.pipelines.promotion import comparison as evaluation
from loan_default.pipelines.promotion import decisions as promotion
from loan_default.pipelines.promotion.comparison import Chosen, Evaluated, EvaluationRun
from loan_default.settings import Settings

log = structlog.get_logger()


def load_model(context: Context) -> dict[str, Any]:
    """The model to be judged; a run that finds none is skipped."""
    params = context["params"]
    with _evaluation_run(context) as run:
        chosen = choosing.choose_model(
            run,
            version=params["version"],
            rollback=params["rollback"],
            replaces=params.get("replaces"),  # a run that was queued before an upgrade has no such parameter
        )
    if chosen is None:
        raise AirflowSkipException("nothing to judge: no model is stored yet")
    return asdict(chosen)


def evaluate_model(context: Context, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of the model and of the champion on the same rows; returns where they are."""
    with _evaluation_run(context) as run:
        return asdict(evaluation.evaluate_model(run, Chosen(**chosen)))


def check_thresholds(context: Context, evaluated: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict of the gate, with its reasons."""
    with _evaluation_run(context) as run:
        verdict = evaluation.check_thresholds(run, Evaluated(**evaluated))
    for reason in verdict.reasons:
        log.info("rule_checked", rule=reason)
    return {"passed": verdict.passed, "reasons": list(verdict.reasons), "broken": list(verdict.broken)}


def update_status(
    context: Context, evaluated: Mapping[str, Any], verdict: Mapping[str, Any]
) -> dict[str, Any]:
    """The decision, carried out."""
    given = Verdict(reasons=tuple(verdict["reasons"]), broken=tuple(verdict["broken"]))
    with _evaluation_run(context) as run:
        decision = promotion.update_status(run, Evaluated(**evaluated), given)
    return {"version": decision.version, "action": str(decision.action)}


@contextmanager
def _evaluation_run(context: Context) -> Iterator[EvaluationRun]:
    with services_of(context) as (services, settings):
        yield EvaluationRun(
            services=services,
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

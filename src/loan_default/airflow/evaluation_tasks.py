"""Bodies of the tasks of `model_evaluation`: services from the settings, a pipeline function, ids back.

The DAG imports this module inside its tasks.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import structlog
from airflow.sdk.exceptions import AirflowSkipException

from loan_default.airflow.task_services import Context, services_of
from loan_default.evaluation.gate import Verdict
from loan_default.evaluation.gate_rules import rule_from_dict
from loan_default.pipelines.ingestion.training_store_writer import store_processed_data
from loan_default.pipelines.layout import TRAINING_STORE
from loan_default.pipelines.promotion import candidates, comparison, decisions
from loan_default.pipelines.promotion.evaluation_run import Chosen, Evaluated, EvaluationRun
from loan_default.wiring import review_policy_of

log = structlog.get_logger()

REJECTED = "rejected"
"""Key of the models that the task `load_model` has rejected, in what it returns."""


def load_model(context: Context) -> dict[str, Any]:
    """Choose the model to evaluate, reject the waiting ones whose files are refused, and check its own file.

    Returns the choice, and under `rejected` the reason for each rejected version. A run that finds no model
    is skipped.
    """
    params = context["params"]
    with _evaluation_run(context) as run:
        selection = candidates.choose_model(
            run,
            version=params["version"],
            rollback=params["rollback"],
            replaces=params.get("replaces"),  # a run that was queued before an upgrade has no such parameter
        )
        rejected = _reject(run, selection.refused)
        if selection.chosen is not None and not selection.was_read:
            comparison.read_registered(run, selection.chosen.version)
    if selection.chosen is None:
        also = f": the files of {', '.join(rejected)} were refused" if rejected else ""
        raise AirflowSkipException(f"no model can be evaluated yet{also}")
    return asdict(selection.chosen) | {REJECTED: rejected}


def evaluate_model(context: Context, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the training store up to date, then measure the model and the champion; returns ids of metrics.

    A rollback is not measured: it waits neither for the broker nor for the training store.
    """
    given = Chosen(**{name: value for name, value in chosen.items() if name != REJECTED})
    with _evaluation_run(context) as run:
        if not given.rollback:
            store_processed_data(run.services, run.home / TRAINING_STORE)
        return asdict(comparison.evaluate_model(run, given))


def check_thresholds(context: Context, evaluated: Mapping[str, Any]) -> dict[str, Any]:
    """Return the verdict of the gate, with its reasons."""
    with _evaluation_run(context) as run:
        verdict = comparison.check_thresholds(run, Evaluated(**evaluated))
    for reason in verdict.reasons:
        log.info("rule_checked", rule=reason)
    return {
        "passed": verdict.passed,
        "reasons": list(verdict.reasons),
        "broken": list(verdict.broken),
        "rules": [rule.to_dict() for rule in verdict.rules],
        "approval": verdict.approval,
    }


def update_status(
    context: Context, evaluated: Mapping[str, Any], verdict: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the decision and carry it out; returns the version and the action."""
    given = Verdict(
        reasons=tuple(verdict["reasons"]),
        broken=tuple(verdict["broken"]),
        rules=tuple(map(rule_from_dict, verdict.get("rules", ()))),  # none in a run of before an upgrade
        approval=verdict.get("approval"),
    )
    with _evaluation_run(context) as run:
        decision = decisions.update_status(run, Evaluated(**evaluated), given)
    return {"version": decision.version, "action": str(decision.action)}


def _reject(run: EvaluationRun, refused: tuple[candidates.RefusedModel, ...]) -> dict[str, str]:
    """Reject models whose files are refused; returns version -> reason."""
    rejected = {}
    for model in refused:
        decision = decisions.reject_refused(run, model.version, reason=model.reason)
        rejected[model.version] = model.reason
        log.warning(
            "model_rejected", run=run.id, version=model.version, decision=decision.id, reason=model.reason
        )
    return rejected


@contextmanager
def _evaluation_run(context: Context) -> Iterator[EvaluationRun]:
    with services_of(context) as (services, settings):
        yield EvaluationRun(
            services=services,
            home=settings.home,
            maturity_days=settings.maturity_days,
            thresholds=settings.thresholds,
            policy=settings.policy,
            profile=review_policy_of(settings).profile,
        )

"""Bodies of the tasks of `model_evaluation`: services from the settings, a pipeline function, ids back.

The DAG imports this module inside its tasks.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

import structlog
from airflow.sdk.exceptions import AirflowSkipException

from loan_default.airflow.approval_step import APPROVE, REASON
from loan_default.airflow.task_services import Context, services_of
from loan_default.evaluation.gate import Verdict
from loan_default.evaluation.gate_rules import rule_from_dict
from loan_default.pipelines.ingestion.training_store_writer import store_processed_data
from loan_default.pipelines.layout import TRAINING_STORE
from loan_default.pipelines.promotion import candidates, comparison, decisions
from loan_default.pipelines.promotion.evaluation_run import Chosen, Evaluated, EvaluationRun
from loan_default.pipelines.promotion.questions import Answer, question_of, update_status_after
from loan_default.wiring import review_policy_of

log = structlog.get_logger()

REJECTED = "rejected"
"""Key of the models that the task `load_model` has rejected, in what it returns."""
_OVER = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
"""States of a task that has ended."""


def load_model(context: Context) -> dict[str, Any]:
    """Choose the model to evaluate, reject the waiting ones whose files are refused, and check its own file.

    A model about which another run has not decided yet, as it waits for a person, is not chosen again.

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
            undecided=_undecided(context),
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
    """Return the verdict of the gate, with its reasons, and what a person has to be asked."""
    given = Evaluated(**evaluated)
    with _evaluation_run(context) as run:
        verdict = comparison.check_thresholds(run, given)
        question = question_of(run, given, verdict)
    for reason in verdict.reasons:
        log.info("rule_checked", rule=reason)
    return {
        "passed": verdict.passed,
        "reasons": list(verdict.reasons),
        "broken": list(verdict.broken),
        "rules": [rule.to_dict() for rule in verdict.rules],
        "approval": verdict.approval,
        "question": None if question is None else asdict(question),
    }


def update_status(
    context: Context,
    evaluated: Mapping[str, Any],
    verdict: Mapping[str, Any],
    *,
    answer: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the decision and carry it out; returns the version and the action.

    Args:
        answer: what the operator returns of a person's answer; None = nobody was asked.
    """
    measured = Evaluated(**evaluated)
    given = Verdict(
        reasons=tuple(verdict["reasons"]),
        broken=tuple(verdict["broken"]),
        rules=tuple(map(rule_from_dict, verdict.get("rules", ()))),  # none in a run of before an upgrade
        approval=verdict.get("approval"),
    )
    with _evaluation_run(context) as run:
        if answer is None:
            decision = decisions.update_status(run, measured, given)
        else:
            hours = verdict["question"]["hours"]
            decision = update_status_after(run, measured, given, answer=answer_of(answer), hours=hours)
    return {"version": decision.version, "action": str(decision.action)}


def answer_of(response: Mapping[str, Any]) -> Answer:
    """Return the answer within what Airflow's operator returns.

    The scheduler answers in nobody's name when the time is over. A user of whom the name alone says too
    little, as two people may share it, is given with the id.
    """
    user, reason = response["responded_by_user"], response["params_input"].get(REASON)
    who = None
    if user is not None:
        name, identifier = str(user["name"]).strip(), str(user["id"])
        who = identifier if name in {"", identifier} else f"{name} (Airflow user {identifier})"
    answered_at = response["responded_at"]
    return Answer(
        approved=who is not None and response["chosen_options"] == [APPROVE],
        who=who,
        reason=(str(reason).strip() or None) if reason is not None else None,
        answered_at=datetime.fromisoformat(answered_at) if isinstance(answered_at, str) else answered_at,
    )


def _undecided(context: Context) -> frozenset[str]:
    """Models that other runs have chosen and about which they have not decided yet."""
    task = context["task_instance"]
    runs = task.get_task_states(dag_id=task.dag_id, task_ids=["load_model", "update_status"])
    return frozenset(
        chosen["version"]
        for run, states in runs.items()
        if run != task.run_id
        and states.get("load_model") == "success"
        and states.get("update_status") not in _OVER
        and (chosen := task.xcom_pull(task_ids="load_model", run_id=run)) is not None
    )


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

"""# Evaluation

When models have been stored, and once a day, the newest model without an evaluation is evaluated on rows that
it has not seen, beside the champion on the same rows. A model that passes the thresholds becomes the
champion; one that fails is rejected with the reasons, and the champion stays. A model that cannot be compared
with the champion fails, unless a person has confirmed by `replaces` that it may replace that champion. Models
whose files are refused are rejected first. A rollback is not measured: it waits for no data.

With `LOAN_DEFAULT_APPROVAL=required` a person is asked about a model that passes every other rule and that
nobody has approved yet: the run waits at `ask_for_approval` until somebody answers under *Required Actions*,
at most for `LOAN_DEFAULT_APPROVAL_HOURS`. Whoever approves is stored as the approver. Without an answer the
model is rejected. The step is skipped where nobody has to be asked. Other runs go on meanwhile.

Reads the topic `processed_data`, the training store and the registry. Writes the training store, the
collections `training_data`, `performance_metrics`, `approvals`, `decisions` and `model_metadata`, the
champion's pointer, and `model.promoted` or `model.rejected` on `commands`.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import (
    AssetOrTimeSchedule,
    CronTriggerTimetable,
    Param,
    TriggerRule,
    dag,
    get_current_context,
    task,
)

from loan_default.airflow.approval_step import FORM, AskForApproval
from loan_default.airflow.dag_defaults import DEFAULT_ARGS, MODEL, START
from loan_default.thresholds import LONGEST_WAIT_HOURS


@dag(
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("0 6 * * *", timezone="UTC"), assets=[MODEL]),
    start_date=START,
    catchup=False,
    max_active_runs=8,  # a run that waits for a person must hold up no rollback and no other model
    dagrun_timeout=timedelta(hours=LONGEST_WAIT_HOURS + 2),
    default_args=DEFAULT_ARGS,
    tags=["loan-default", "evaluation"],
    doc_md=__doc__,
    params={
        "version": Param(
            None,
            type=["null", "string"],
            description="Version of the model. Empty: the newest without an evaluation, else the champion.",
        ),
        "rollback": Param(
            False,
            type="boolean",
            description="Make it, or the former one, the champion whatever its metrics are.",
        ),
        "replaces": Param(
            None,
            type=["null", "string"],
            description="The champion that the version may replace even if the two cannot be compared.",
        ),
    },
)
def model_evaluation() -> None:
    @task(inlets=[MODEL], max_active_tis_per_dag=1)
    def load_model() -> dict[str, Any]:
        from loan_default.airflow import evaluation_tasks

        return evaluation_tasks.load_model(get_current_context())

    @task(max_active_tis_per_dag=1)
    def evaluate_model(chosen: Any) -> dict[str, Any]:
        from loan_default.airflow import evaluation_tasks

        return evaluation_tasks.evaluate_model(get_current_context(), chosen)

    @task
    def check_thresholds(evaluated: Any) -> dict[str, Any]:
        from loan_default.airflow import evaluation_tasks

        return evaluation_tasks.check_thresholds(get_current_context(), evaluated)

    @task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)  # also where nobody was asked
    def update_status(evaluated: Any, verdict: Any, answer: Any) -> dict[str, Any]:
        from loan_default.airflow import evaluation_tasks

        return evaluation_tasks.update_status(get_current_context(), evaluated, verdict, answer=answer)

    evaluated = evaluate_model(load_model())
    verdict = check_thresholds(evaluated)
    asked = AskForApproval(task_id="ask_for_approval", verdict=verdict, params=FORM)
    update_status(evaluated, verdict, asked.output)


model_evaluation()

"""# Evaluation

When models have been stored, and once a day, the newest model without an evaluation is evaluated on rows that
it has not seen, beside the champion on the same rows. A model that passes the thresholds becomes the
champion; one that fails is rejected with the reasons, and the champion stays. A model that cannot be compared
with the champion fails, unless a person has confirmed by `replaces` that it may replace that champion. Models
whose files are refused are rejected first. A rollback is not measured: it waits for no data.

Reads the topic `processed_data`, the training store and the registry. Writes the training store, the
collections `training_data`, `performance_metrics`, `decisions` and `model_metadata`, the champion's pointer,
and `model.promoted` or `model.rejected` on `commands`.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, Param, dag, get_current_context, task

from loan_default.airflow.dag_defaults import DEFAULT_ARGS, MODEL, START


@dag(
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("0 6 * * *", timezone="UTC"), assets=[MODEL]),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=2),
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
    @task(inlets=[MODEL])
    def load_model() -> dict[str, Any]:
        from loan_default.airflow import evaluation_tasks

        return evaluation_tasks.load_model(get_current_context())

    @task
    def evaluate_model(chosen: Any) -> dict[str, Any]:
        from loan_default.airflow import evaluation_tasks

        return evaluation_tasks.evaluate_model(get_current_context(), chosen)

    @task
    def check_thresholds(evaluated: Any) -> dict[str, Any]:
        from loan_default.airflow import evaluation_tasks

        return evaluation_tasks.check_thresholds(get_current_context(), evaluated)

    @task
    def update_status(evaluated: Any, verdict: Any) -> dict[str, Any]:
        from loan_default.airflow import evaluation_tasks

        return evaluation_tasks.update_status(get_current_context(), evaluated, verdict)

    evaluated = evaluate_model(load_model())
    update_status(evaluated, check_thresholds(evaluated))


model_evaluation()

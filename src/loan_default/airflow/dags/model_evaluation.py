"""# Evaluation

When models have been stored, and once a day, the newest that waits is judged on rows that it has not seen,
beside the champion on the same rows. One that passes the thresholds becomes the champion; one that fails
keeps its verdict and reasons, and the champion stays. One that cannot be compared with the champion fails,
unless a person has confirmed by `replaces` that it may take that champion's place. A rollback is not
measured: it waits for no data.

Reads the training store and the registry. Writes the collections `performance_metrics`, `decisions` and
`model_metadata`, the champion's pointer, and `model.promoted` or `model.rejected` on `commands`.
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
            description="Which model. Empty: the newest that waits, else the champion.",
        ),
        "rollback": Param(
            False,
            type="boolean",
            description="Make it, or the former one, the champion whatever its figures.",
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

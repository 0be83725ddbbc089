"""# Training

Once a day, and when asked for, a model is trained on what the training store holds, and stored as a
candidate, which `model_evaluation` evaluates.

Reads the topic `processed_data`. Writes the training store, the collections `training_data`, `model_metadata`
and `performance_metrics`, the model file, and `model.trained` on `commands`. A task that is killed goes on
from its last epoch; a scheduled run without new data is skipped with the reason.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, dag, get_current_context, task

from loan_default.airflow.dag_defaults import DEFAULT_ARGS, MODEL, SNAPSHOT, START, TRAINING_POOL
from loan_default.pipelines.training.training_options import SCHEDULED_PARAMETERS, Parameter, json_schema

_LONG = timedelta(hours=3)


def _param(parameter: Parameter) -> Param:
    description = parameter.text + (f" Empty: {parameter.unset}." if parameter.unset else "")
    return Param(parameter.default, description=description, **json_schema(parameter))


@dag(
    schedule=CronTriggerTimetable("0 2 * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=8),
    default_args=DEFAULT_ARGS,
    tags=["loan-default", "training"],
    doc_md=__doc__,
    params={name: _param(parameter) for name, parameter in SCHEDULED_PARAMETERS.items()},
)
def model_training() -> None:
    @task(outlets=[SNAPSHOT])
    def prepare_training_data(*, outlet_events: Any = None) -> dict[str, Any]:
        from loan_default.airflow import training_tasks

        snapshot = training_tasks.prepare_training_data(get_current_context())
        outlet_events[SNAPSHOT].extra = snapshot
        return snapshot

    @task(pool=TRAINING_POOL, execution_timeout=_LONG)
    def pretrain_encoder() -> str | None:
        from loan_default.airflow import training_tasks

        return training_tasks.pretrain_encoder(get_current_context())

    @task(pool=TRAINING_POOL, execution_timeout=_LONG)
    def train_classifier() -> dict[str, Any]:
        from loan_default.airflow import training_tasks

        return training_tasks.train_classifier(get_current_context())

    @task(outlets=[MODEL])
    def store_model(*, outlet_events: Any = None) -> dict[str, Any]:
        from loan_default.airflow import training_tasks

        model = training_tasks.store_model(get_current_context())
        outlet_events[MODEL].extra = model
        return model

    prepare_training_data() >> pretrain_encoder() >> train_classifier() >> store_model()


model_training()

"""# Training

Once a day, and when asked for, a model is trained on what the training store holds, and stored as a
candidate: `model_evaluation` judges it.

Reads the topic `processed_data`. Writes the training store, the collections `training_data`, `model_metadata`
and `performance_metrics`, the model file, and `model.trained` on `commands`. A task that is killed goes on
from its last epoch; a scheduled run without new data trains nothing and says so.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, dag, get_current_context, task

from loan_default.airflow.dag_defaults import DEFAULT_ARGS, MODEL, SNAPSHOT, START, TRAINING_POOL

_LONG = timedelta(hours=3)
_OPTIONAL_COUNT: dict[str, Any] = {"type": ["null", "integer"], "minimum": 1, "maximum": 1_000}
_OPTIONAL_TIME: dict[str, Any] = {"type": ["null", "string"], "format": "date-time"}


@dag(
    schedule=CronTriggerTimetable("0 2 * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=8),
    default_args=DEFAULT_ARGS,
    tags=["loan-default", "training"],
    doc_md=__doc__,
    params={
        "preset": Param(
            None,
            enum=[None, "fast", "default", "best"],
            description="How much time it may take. Empty: LOAN_DEFAULT_PRESET.",
        ),
        "pretrain": Param(
            True, type="boolean", description="Start from an encoder that read unlabelled rows too."
        ),
        "objective": Param(
            None,
            enum=[None, "detection", "nt-xent", "both"],
            description="What pretraining optimises. Empty: detection.",
        ),
        "epochs": Param(None, **_OPTIONAL_COUNT, description="Passes at most. Empty: by preset and rows."),
        "pretraining_epochs": Param(None, **_OPTIONAL_COUNT, description="Empty: the preset's."),
        "members": Param(None, **_OPTIONAL_COUNT, description="Networks to average. Empty: the preset's."),
        "seed": Param(0, type="integer", minimum=0, maximum=2**32 - 1),
        "since": Param(None, **_OPTIONAL_TIME, description="Applications from then on. Empty: all."),
        "until": Param(None, **_OPTIONAL_TIME, description="Applications before then. Empty: all."),
        "out_of_time": Param(False, type="boolean", description="Test on the latest applications."),
    },
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

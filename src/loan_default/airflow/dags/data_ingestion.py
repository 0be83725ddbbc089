"""# Ingestion

Once an hour this DAG sends new rows of the source to `raw_data` and validates each of them by the schema.
Valid records go to `processed_data`. Rejected ones go to the dead-letter topic, with the rules that they
break. What arrived is then compared with the training of the champion, hour by hour.

It reads the source that `LOAN_DEFAULT_SOURCE` names. It writes to the topics `raw_data`, `processed_data` and
`raw_data.dlq`, to the training store, and to the collections `raw_data_logs`, `ingestion_batches` and
`monitoring`. Drift is published on `commands`. Every task may be repeated, even while another run is going
on.
"""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, Param, dag, get_current_context, task

from loan_default.airflow.dag_defaults import DEFAULT_ARGS, START


@dag(
    schedule=CronTriggerTimetable("0 * * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=2),
    default_args=DEFAULT_ARGS,
    tags=["loan-default", "ingestion"],
    doc_md=__doc__,
    params={
        "rows": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            maximum=10_000_000,
            description="Rows of this run. Empty: LOAN_DEFAULT_SOURCE_ROWS. A folder is taken whole.",
        )
    },
)
def data_ingestion() -> None:
    @task
    def ingest_raw_data() -> dict[str, int]:
        from loan_default.airflow import ingestion_tasks

        return ingestion_tasks.ingest_raw_data(get_current_context())

    @task
    def process_raw_data() -> dict[str, int]:
        from loan_default.airflow import ingestion_tasks

        return ingestion_tasks.process_raw_data(get_current_context())

    @task
    def send_processed_data() -> dict[str, int]:
        from loan_default.airflow import ingestion_tasks

        return ingestion_tasks.send_processed_data(get_current_context())

    @task
    def monitor_champion() -> dict[str, str]:
        from loan_default.airflow import ingestion_tasks

        return ingestion_tasks.monitor_champion(get_current_context())

    ingest_raw_data() >> process_raw_data() >> send_processed_data() >> monitor_champion()


data_ingestion()

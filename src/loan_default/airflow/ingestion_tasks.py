"""The bodies of the tasks of `data_ingestion`: parts from the settings, a pipeline function, counts back.

The DAG imports this inside of its tasks.
"""

from dataclasses import asdict

import structlog

from loan_default.airflow.task_services import Context, services_of
from loan_default.pipelines.control.first_training import request_first_training
from loan_default.pipelines.ingestion import ingestion_steps as ingestion
from loan_default.pipelines.ingestion.feed_remarks import remarks_on
from loan_default.wiring import feed_of

log = structlog.get_logger()


def ingest_raw_data(context: Context) -> dict[str, int]:
    """Rows of the source to `raw_data`."""
    with services_of(context) as (services, settings):
        rows = context["params"]["rows"] or settings.source_rows
        feed = feed_of(settings.source, services.schema, settings, rows=rows)
        sent = ingestion.ingest_raw_data(services, feed)
    for remark in remarks_on(feed):
        log.warning("file_not_taken", kind=remark.kind, name=remark.name, reason=remark.reason)
    if not sent.sent and not sent.refused:
        log.info("nothing_new", source=settings.source.partition(":")[0])
    return asdict(sent)


def process_raw_data(context: Context) -> dict[str, int]:
    """What is on `raw_data` is judged."""
    with services_of(context) as (services, _):
        return ingestion.process_raw_data(services).counts


def send_processed_data(context: Context) -> dict[str, int]:
    """What was accepted to `processed_data`; without a champion a first training is asked for."""
    with services_of(context) as (services, settings):
        sent = ingestion.send_processed_data(services)
        request_first_training(services, minimum_rows=settings.minimum_rows)
        return {"sent": sent}

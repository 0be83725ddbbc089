"""The bodies of the tasks of `data_ingestion`: each opens the services, calls a step, returns its counts.

The DAG imports this module inside of its tasks.
"""

from dataclasses import asdict

import structlog

from loan_default.airflow.task_services import Context, services_of
from loan_default.pipelines.control.first_training import request_first_training
from loan_default.pipelines.ingestion import ingestion_steps as ingestion
from loan_default.pipelines.ingestion.skipped_files import log_skipped, skipped_files
from loan_default.pipelines.ingestion.training_store_writer import store_processed_data
from loan_default.pipelines.layout import TRAINING_STORE
from loan_default.serving.monitored_champion import monitor_now
from loan_default.wiring import feed_of

log = structlog.get_logger()


def ingest_raw_data(context: Context) -> dict[str, int]:
    """Send the next rows of the source to `raw_data`."""
    with services_of(context) as (services, settings):
        rows = context["params"]["rows"] or settings.source_rows
        feed = feed_of(settings.source, services.schema, settings, rows=rows)
        sent = ingestion.ingest_raw_data(services, feed)
    for skipped in skipped_files(feed):
        log_skipped(skipped)
    if not sent.sent and not sent.refused:
        log.info("nothing_new", source=settings.source.partition(":")[0])
    return asdict(sent)


def process_raw_data(context: Context) -> dict[str, int]:
    """Validate what is on `raw_data`: events go to the outbox, rejected records to the dead-letter topic."""
    with services_of(context) as (services, _):
        return ingestion.process_raw_data(services).counts


def send_processed_data(context: Context) -> dict[str, int]:
    """Send accepted events to `processed_data`; where there is no champion, request the first training."""
    with services_of(context) as (services, settings):
        sent = ingestion.send_processed_data(services)
        request_first_training(services, minimum_rows=settings.minimum_rows)
        return {"sent": sent}


def monitor_champion(context: Context) -> dict[str, str]:
    """Bring the training store up to date and compare what arrived with the training of the champion.

    Returns the level of each hour that was computed, by its id.
    """
    with services_of(context) as (services, settings):
        store_processed_data(services, settings.home / TRAINING_STORE)
        hours = monitor_now(
            services, home=settings.home, policy=settings.drift_policy, cutoff=settings.cutoff
        )
        return {hour.id: hour.level for hour in hours}

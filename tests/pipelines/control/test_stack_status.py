"""The status of a stack is counted from its collections."""

from datetime import UTC, datetime

from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.data.schema.schema_files import load_schema
from loan_default.database.ingestion_documents import EventStatus, RawDataLog
from loan_default.database.ingestion_repositories import RawDataLogRepository
from loan_default.kafka.consuming import Polling
from loan_default.pipelines.control.stack_status import stack_status


def test_an_empty_stack_has_counts_of_zero_and_no_champion(new_services):
    now = stack_status(new_services(load_schema(BUNDLED_SCHEMA), Polling()).database)
    assert (now.accepted, now.rejected, now.models, now.decision, now.champion) == (0, 0, 0, None, None)


def test_events_are_counted_by_what_became_of_them(new_services):
    database = new_services(load_schema(BUNDLED_SCHEMA), Polling()).database
    logs = RawDataLogRepository(database)
    logs.ensure_indexes()
    outcomes = [EventStatus.ACCEPTED] * 3 + [EventStatus.REJECTED] * 2
    logs.add_new(
        [
            RawDataLog(
                event=f"e{number}",
                topic="raw_data",
                partition=0,
                offset=number,
                batch="b",
                outcome=outcome,
                reason="income: must be a number" if outcome is EventStatus.REJECTED else None,
                logged_at=datetime.now(UTC),
            )
            for number, outcome in enumerate(outcomes)
        ]
    )
    now = stack_status(database)
    assert (now.accepted, now.rejected) == (3, 2)

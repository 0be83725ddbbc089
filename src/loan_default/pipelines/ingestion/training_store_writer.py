"""Processed events become training data: `processed_data` is drained into the training store."""

from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Flag
from typing import Any

import structlog

from loan_default.data.datasets.store_compaction import compact
from loan_default.data.datasets.store_parts import StoredEvent, write_part
from loan_default.data.schema.column import TIME_KINDS
from loan_default.kafka.consuming import Consumed, drain
from loan_default.kafka.events import read_event
from loan_default.kafka.messages import Partition, Record
from loan_default.kafka.topics import PROCESSED, TRAINING_STORE
from loan_default.pipelines.services import Services

log = structlog.get_logger()


def store_processed_data(services: Services, folder: Path, *, stop: Flag | None = None) -> Consumed:
    """Write what is on `processed_data` now into the training store, and compact it; safe to repeat.

    Raises:
        DependencyError: the broker is away; what was not committed is written again, into the same files.
        DataError: a record of the topic is no event of ours.
    """
    times = [column.name for column in services.schema.columns if column.kind in TIME_KINDS]

    def write(records: list[Record]) -> None:
        parts: dict[Partition, list[Record]] = {}
        for record in records:
            parts.setdefault(record.partition, []).append(record)
        for partition, some in parts.items():
            write_part(
                folder,
                topic=partition.topic,
                partition=partition.number,
                first=some[0].offset,
                next=some[-1].offset + 1,
                rows=[_stored(record, times) for record in some],
            )

    ends = services.broker.end_offsets(PROCESSED)
    consumer = services.broker.consumer(TRAINING_STORE, [PROCESSED])
    try:
        consumed = drain(consumer, write, ends=ends, polling=services.polling, stop=stop)
    finally:
        consumer.close()
    compact(folder, now=datetime.now(UTC))
    log.info("processed_data_stored", run=services.run, records=consumed.records, batches=consumed.batches)
    return consumed


def _stored(record: Record, times: list[str]) -> StoredEvent:
    event = read_event(record)
    data: dict[str, Any] = dict(event.data)
    for name in times:  # JSON has no times
        if data.get(name) is not None:
            data[name] = datetime.fromisoformat(data[name])
    return StoredEvent(event.id, event.type, event.subject, event.time, data)

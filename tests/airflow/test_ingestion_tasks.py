"""What a task of `data_ingestion` logs of the files of a folder, without a server."""

import os
from contextlib import contextmanager

from structlog.testing import capture_logs

from loan_default.airflow import ingestion_tasks
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.outbox import Outbox
from loan_default.kafka.topics import TOPICS
from loan_default.pipelines.services import Services
from loan_default.settings import Settings

SCHEMA = Schema(name="loans", columns=(Column(name="income", kind=Kind.NUMERICAL),))


def test_a_file_that_only_waits_is_no_warning(tmp_path, monkeypatch):
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    (incoming / "notes.txt").write_text("hello")
    os.utime(incoming / "notes.txt", (1, 1))
    (incoming / "growing.csv.part").write_text("x")
    broker, database = MemoryBroker(), EmbeddedDatabase(tmp_path / "documents.sqlite3")
    broker.create_topics(TOPICS)
    services = Services(broker=broker, database=database, schema=SCHEMA, outbox=Outbox(tmp_path / "outbox"))
    settings = Settings(home=tmp_path, source=f"folder:{incoming}")

    @contextmanager
    def services_of(context):
        yield services, settings

    monkeypatch.setattr(ingestion_tasks, "services_of", services_of)
    with capture_logs() as logs:
        counts = ingestion_tasks.ingest_raw_data({"params": {"rows": None}})
    database.close()
    assert counts == {"sent": 0, "refused": 0}
    files = [(each["event"], each["log_level"], each["name"]) for each in logs if "name" in each]
    assert sorted(files) == [
        ("file_left_out", "warning", "notes.txt"),
        ("file_waits", "info", "growing.csv.part"),
    ]

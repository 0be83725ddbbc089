"""Rows a second of reading, validating and inferring the bundled file, beside pandas.read_csv of it.

    python -m benchmarks.tables           # a minute

The training store holds the same rows, which came by way of the broker in memory; the generator draws as
many. The two lines about the store differ by what a second validation of its rows costs.
"""

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from loan_default.bundled import BUNDLED_DATA, BUNDLED_SCHEMA
from loan_default.data.datasets.training_store import read_store
from loan_default.data.schema.frames import validate
from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import load_schema
from loan_default.data.sources.feeds import FileFeed
from loan_default.data.sources.generator import generate
from loan_default.data.sources.table_files import infer_schema, read_frame
from loan_default.pipelines.ingestion.ingestion_steps import (
    ingest_raw_data,
    process_raw_data,
    send_processed_data,
)
from loan_default.pipelines.ingestion.training_store_writer import store_processed_data
from loan_default.pipelines.training.dataset import load_store
from loan_default.settings import Settings
from loan_default.wiring import open_services

ROUNDS = 5
"""The best one counts."""


def main() -> None:
    """Measure the rates and print the table."""
    schema, rows = load_schema(BUNDLED_SCHEMA), len(pd.read_csv(BUNDLED_DATA))
    with tempfile.TemporaryDirectory() as name:
        folder, now = Path(name), datetime.now(UTC)
        _fill(folder, schema)
        works: dict[str, Callable[[], object]] = {
            "pandas.read_csv": lambda: pd.read_csv(BUNDLED_DATA),
            "a file read and validated": lambda: validate(read_frame(BUNDLED_DATA), schema, labelled=True),
            "a schema inferred": lambda: infer_schema(BUNDLED_DATA, target="default.payment.next.month"),
            "a file as rows of events": lambda: _read_feed(folder, schema),
            "the training store read": lambda: load_store(folder / "store", schema, maturity_days=0, now=now),
            "the same, not validated again": lambda: read_store(
                folder / "store", schema, maturity_days=0, now=now
            ),
            "rows generated": lambda: generate(schema, rows=rows, seed=1),
        }
        rates = {work: rows / min(_seconds(works[work]) for _ in range(ROUNDS)) for work in works}
    peer = next(iter(rates.values()))
    print("| work | rows/s | ratio |", "|---|---|---|", sep="\n")
    for work, rate in rates.items():
        print(f"| {work} | {rate:,.0f} | {rate / peer:.2f} |")


def _fill(folder: Path, schema: Schema) -> None:
    """Bring the bundled rows into a training store."""
    settings = Settings(home=folder, kafka_bootstrap_servers=None, mongodb_uri=None)
    with open_services(settings, BUNDLED_SCHEMA) as services:
        ingest_raw_data(services, FileFeed(BUNDLED_DATA, schema, state=folder / "feed.json"))
        process_raw_data(services)
        send_processed_data(services)
        store_processed_data(services, folder / "store")


def _read_feed(folder: Path, schema: Schema) -> int:
    feed = FileFeed(BUNDLED_DATA, schema, state=folder / "unread.json")  # no batch is marked as done
    return sum(len(batch.rows) for batch in feed.batches())


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()

"""Rows a second of reading, validating and inferring the bundled file, beside pandas.read_csv of it.

    python -m benchmarks.tables           # a minute

The second table reads the same rows as other kinds of file, beside pandas and, where it is installed
(`make .venv/benchmarks`), DuckDB on the same file.

The training store holds the same rows, which came by way of the broker in memory; the generator draws as
many. The two lines about the store differ by what a second validation of its rows costs.
"""

import importlib
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pandas as pd

from loan_default.bundled import BUNDLED_DATA, BUNDLED_SCHEMA
from loan_default.data.datasets.training_store import read_store
from loan_default.data.schema.frames import validate
from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import load_schema
from loan_default.data.sources.feeds import FileFeed
from loan_default.data.sources.generator import generate
from loan_default.data.sources.sniffing import detect_format
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
    _print_readers()


def _print_readers() -> None:
    """Print the rates at which each kind of file is found out and read, beside those of others."""
    frame = pd.read_csv(BUNDLED_DATA)
    with tempfile.TemporaryDirectory() as name:
        plain, wide = Path(name, "plain.csv"), Path(name, "wide.csv")
        semicolons, packed = Path(name, "semicolons.csv"), Path(name, "packed.csv.gz")
        parquet, feather, lines = (Path(name, f"x.{kind}") for kind in ("parquet", "feather", "jsonl"))
        frame.to_csv(plain, index=False)
        frame.to_csv(packed, index=False)
        frame.to_csv(wide, index=False, encoding="utf-16")
        frame.to_csv(semicolons, index=False, sep=";", decimal=",", encoding="cp1252")
        frame.to_parquet(parquet)
        frame.to_feather(feather)
        frame.to_json(lines, orient="records", lines=True)
        others: dict[Path, Callable[[], object]] = {
            plain: lambda: pd.read_csv(plain),
            packed: lambda: pd.read_csv(packed),
            wide: lambda: pd.read_csv(wide, encoding="utf-16"),
            semicolons: lambda: pd.read_csv(semicolons, sep=";", decimal=",", encoding="cp1252"),
            parquet: lambda: pd.read_parquet(parquet),
            feather: lambda: pd.read_feather(feather),
            lines: lambda: pd.read_json(lines, lines=True),
        }
        print(
            "\n| file | found out, rows/s | read, rows/s | pandas | DuckDB |",
            "|---|---|---|---|---|",
            sep="\n",
        )
        for path, pandas_read in others.items():
            works = [
                partial(detect_format, path),
                partial(read_frame, path),
                pandas_read,
                partial(_duckdb, path),
            ]
            shown = [_shown_rate(work, len(frame)) for work in works]
            print(f"| {path.name} | {' | '.join(shown)} |")


def _duckdb(path: Path) -> object:
    duckdb = importlib.import_module("duckdb")
    readers = {".parquet": "read_parquet", ".jsonl": "read_json"}
    if path.suffix == ".feather":
        raise NotImplementedError
    encoding = {"wide.csv": ", encoding='utf-16'", "semicolons.csv": ", encoding='latin-1'"}.get(
        path.name, ""
    )
    options = ", all_varchar=true, store_rejects=true" if path.suffix in (".csv", ".gz") else ""
    call = f"{readers.get(path.suffix, 'read_csv')}('{path}'{options}{encoding})"
    return duckdb.connect().sql(f"SELECT * FROM {call}").df()  # names of our own


def _shown_rate(work: Callable[[], object], rows: int) -> str:
    try:
        return f"{rows / min(_seconds(work) for _ in range(ROUNDS)):,.0f}"
    except (ImportError, NotImplementedError):
        return "-"


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

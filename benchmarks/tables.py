"""Rows a second of reading, validating and inferring the bundled file, beside pandas.read_csv of it.

    PYTHONPATH=tests python -m benchmarks.tables           # two minutes

The second table reads the same rows as other kinds of file, beside pandas and, where it is installed
(`make .venv/benchmarks`), DuckDB on the same file: 2.00 = ours takes half of its time. Pandas is given the
format of each file; ours finds it out, and keeps every value as text.

The training store holds the same rows, which came by way of the broker in memory; the generator draws as
many. The two lines about the store differ by what a second validation of its rows costs.
"""

import importlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from workbooks import write_workbook

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
_WORKBOOK_ROWS = 3_000


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


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    """The rows in a file of one kind, and how others read it."""

    title: str
    path: Path
    pandas: Callable[[], object]
    duckdb: str = ""
    """What DuckDB selects from; empty = it cannot read the file by itself."""


def _print_readers() -> None:
    """Print the rates at which each kind of file is found out and read, as multiples of those of others."""
    frame = pd.read_csv(BUNDLED_DATA)
    with tempfile.TemporaryDirectory() as name:
        print("\n| file | rows/s | found out, s | of pandas | of DuckDB |", "|---|---|---|---|---|", sep="\n")
        for file in _files(Path(name), frame):
            rows = len(frame) if file.path.suffix != ".xlsx" else _WORKBOOK_ROWS
            finding = min(_seconds(partial(detect_format, file.path)) for _ in range(ROUNDS))
            readers: list[Callable[[], object]] = [partial(read_frame, file.path), file.pandas]
            readers += [partial(_duckdb, file.duckdb)] if file.duckdb and find_spec("duckdb") else []
            # All in turn, so that what else the machine does meets all alike.
            rounds = [[_seconds(reader) for reader in readers] for _ in range(ROUNDS)]
            ours, *others = (min(seconds) for seconds in zip(*rounds, strict=True))
            ratios = [f"{other / ours:.2f}" for other in others] + ["-"] * (2 - len(others))
            print(f"| {file.title} | {rows / ours:,.0f} | {finding:.3f} | {' | '.join(ratios)} |", flush=True)


def _files(folder: Path, frame: pd.DataFrame) -> Iterator[_File]:
    """The rows written as files of each kind."""
    plain, semicolons, tabs, packed, archive, wide, book, parquet, feather, lines, arff = (
        folder / f"{name}"
        for name in (
            *("plain.csv", "semicolons.csv", "tabs.tsv", "packed.csv.gz", "archive.zip", "wide.csv"),
            *("book.xlsx", "rows.parquet", "rows.feather", "rows.jsonl", "rows.arff"),
        )
    )
    frame.to_csv(plain, index=False)
    frame.to_csv(semicolons, index=False, sep=";", decimal=",", encoding="cp1252")
    frame.to_csv(tabs, index=False, sep="\t")
    frame.to_csv(packed, index=False)
    frame.to_csv(archive, index=False, compression={"method": "zip", "archive_name": "plain.csv"})
    frame.to_csv(wide, index=False, encoding="utf-16")
    head = frame.iloc[:_WORKBOOK_ROWS].astype(object)
    write_workbook(book, {"Loans": [list(head.columns), *head.to_numpy().tolist()]})
    frame.to_parquet(parquet)
    frame.to_feather(feather)
    frame.to_json(lines, orient="records", lines=True)
    attributes = "".join(f"@attribute '{name}' numeric\n" for name in frame.columns)
    values = frame.to_csv(index=False, header=False, na_rep="?")
    arff.write_text(f"@relation loans\n{attributes}@data\n{values}", encoding="utf-8")

    def scanned(path: Path, options: str = "") -> str:
        return f"read_csv('{path}', all_varchar = true, store_rejects = true{options})"

    yield _File(title="CSV", path=plain, pandas=lambda: pd.read_csv(plain), duckdb=scanned(plain))
    yield _File(
        title="CSV in Windows-1252, semicolons",
        path=semicolons,
        pandas=lambda: pd.read_csv(semicolons, sep=";", decimal=",", encoding="cp1252"),
        duckdb=scanned(semicolons, ", encoding = 'latin-1'"),
    )
    yield _File(title="tabs", path=tabs, pandas=lambda: pd.read_csv(tabs, sep="\t"), duckdb=scanned(tabs))
    yield _File(title="CSV, gzipped", path=packed, pandas=lambda: pd.read_csv(packed), duckdb=scanned(packed))
    yield _File(title="CSV in a zip", path=archive, pandas=lambda: pd.read_csv(archive))
    yield _File(
        title="CSV in UTF-16",
        path=wide,
        pandas=lambda: pd.read_csv(wide, encoding="utf-16"),
        duckdb=scanned(wide, ", encoding = 'utf-16'"),
    )
    yield _File(
        title=f"Excel, {_WORKBOOK_ROWS:,} rows",
        path=book,
        pandas=lambda: pd.read_excel(book, engine="calamine"),
    )
    yield _File(
        title="Parquet",
        path=parquet,
        pandas=lambda: pd.read_parquet(parquet),
        duckdb=f"read_parquet('{parquet}')",
    )
    yield _File(title="Feather", path=feather, pandas=lambda: pd.read_feather(feather))
    yield _File(
        title="JSON lines",
        path=lines,
        pandas=lambda: pd.read_json(lines, lines=True),
        duckdb=f"read_json('{lines}')",
    )
    # pandas reads no ARFF: beside its reader of CSV below the declarations.
    n_lines = len(frame.columns) + 2
    yield _File(
        title="ARFF",
        path=arff,
        pandas=lambda: pd.read_csv(arff, skiprows=n_lines, header=None, na_values="?"),
    )


def _duckdb(source: str) -> object:
    connection = importlib.import_module("duckdb").connect()
    return connection.sql(f"SELECT * FROM {source}").df()  # names of our own


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

"""One table in fourteen dialects: trained on, scored, dropped into a folder and sent over Kafka alike.

The table of README.md is what these tests find out; a cell that does not hold fails.
"""

import csv
import gzip
import io
import json
import os
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from threading import Event as Flag

import numpy as np
import pandas as pd
import pytest
from conftest import Listener
from workbooks import write_workbook

from loan_default.data.schema.inference.infer import Inference
from loan_default.data.schema.inference.target_values import NamedOutcomes
from loan_default.data.schema.language import Schema
from loan_default.data.schema.records import records_frame, validate_record
from loan_default.data.sources.feeds import Feed, FileFeed
from loan_default.data.sources.folder_feed import FolderFeed
from loan_default.data.sources.format_words import describe_format
from loan_default.data.sources.sniffing import detect_format, format_for
from loan_default.data.sources.table_files import infer_schema
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.errors import DataError
from loan_default.kafka.consuming import Polling
from loan_default.kafka.events import read_event
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.outbox import Outbox
from loan_default.kafka.topics import RAW, TOPICS
from loan_default.models.model import LoanModel, load_model
from loan_default.pipelines.ingestion.ingestion_steps import ingest_raw_data
from loan_default.pipelines.scoring.file_scoring import quarantine_beside, score_file
from loan_default.pipelines.services import Services
from loan_default.pipelines.training.dataset import load_dataset
from loan_default.pipelines.training.local_run import run_training
from loan_default.pipelines.training.training_options import FileData, TrainingOptions

pytestmark = pytest.mark.slow

README = Path(__file__).parents[2] / "README.md"
NAMES = ["loan", "applied", "amount", "rate", "town", "owner", "bad"]
TOWNS = ["Zürich", "Genève", "Köln", "Málaga", "Bern"]
ROWS = 90


def rows_of(*, accents: bool = True) -> list[list[str]]:
    """The made-up table: a number of the loan, a date, an amount, a rate in percent, a town, a yes or no."""
    draw = np.random.default_rng(7)
    rows = []
    for number in range(ROWS):
        amount, rate, years = draw.uniform(900, 48_000), draw.uniform(2, 25), int(draw.integers(0, 700))
        town = TOWNS[int(draw.integers(len(TOWNS)))] if accents else "Bern"
        is_bad = draw.random() < 0.25 + 0.02 * (rate - 13)
        applied = date(2022, 1, 13) + timedelta(days=years)
        owner = "yes" if draw.random() < 0.5 else "no"
        rows.append(
            [
                f"L-{number:04d}",
                str(applied),
                f"{amount:.2f}",
                f"{rate:.2f}%",
                town,
                owner,
                str(int(is_bad)),
            ]
        )
    return rows


def text(delimiter: str = ",", *, header: bool = True, decimal: str = ".", names: list[str] = NAMES) -> str:
    lines = io.StringIO()
    rows = [
        [row[0], row[1], *(cell.replace(".", decimal) for cell in row[2:4]), *row[4:]] for row in rows_of()
    ]
    writer = csv.writer(lines, delimiter=delimiter, lineterminator="\n")
    writer.writerows([names, *rows] if header else rows)
    return lines.getvalue()


def frame() -> pd.DataFrame:
    content = pd.DataFrame(rows_of(), columns=NAMES)
    content["applied"] = pd.to_datetime(content["applied"])
    return content.astype({"amount": float, "bad": "int64"})


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("loans.csv", text())
        archive.writestr("readme.txt", "The loans of the bank.")


def arff(path: Path) -> None:
    kinds = ["string", "date yyyy-MM-dd", "numeric", "string", "string", "{yes,no}", "{0,1}"]
    lines = [
        "% loans",
        "@relation loans",
        *(f"@attribute '{n}' {k}" for n, k in zip(NAMES, kinds, strict=True)),
    ]
    rows = [",".join([f"'{r[0]}'", f'"{r[1]}"', r[2], f"'{r[3]}'", f"'{r[4]}'", *r[5:]]) for r in rows_of()]
    path.write_text("\n".join([*lines, "@data", *rows]), encoding="utf-8")


def workbook(path: Path) -> None:
    rows = [[*row[:2], float(row[2]), *row[3:6], int(row[6])] for row in rows_of()]
    write_workbook(path, {"Loans": [NAMES, *rows]})


def json_lines(path: Path) -> None:
    objects = [dict(zip(NAMES, [*r[:2], float(r[2]), *r[3:6], int(r[6])], strict=True)) for r in rows_of()]
    path.write_text("".join(json.dumps(each) + "\n" for each in objects), encoding="utf-8")


def titled(path: Path) -> None:
    footer = f"Total number of loans: {ROWS}\n"
    path.write_bytes(f"Loans of the bank\n\n{text(';')}{footer}".encode("cp1252"))


@dataclass(frozen=True, kw_only=True)
class Dialect:
    name: str
    file: str
    write: Callable[[Path], object]
    header: bool | None = None
    footer_lines: int = 0

    @property
    def names(self) -> list[str]:
        return [f"column_{n}" for n in range(1, 8)] if self.header is False else NAMES


PLAIN = Dialect(name="CSV, commas", file="loans.csv", write=lambda path: path.write_text(text(), "utf-8"))
DIALECTS = [
    PLAIN,
    Dialect(
        name="semicolons, decimal commas",
        file="loans.csv",
        write=lambda path: path.write_text(text(";", decimal=","), "utf-8"),
    ),
    Dialect(name="tabs", file="loans.tsv", write=lambda path: path.write_text(text("\t"), "utf-8")),
    Dialect(name="vertical bars", file="loans.txt", write=lambda path: path.write_text(text("|"), "utf-8")),
    Dialect(
        name="blanks, no header (`--header none`)",
        file="loans.dat",
        write=lambda path: path.write_text(text(" ", header=False).replace(" ", "   "), "utf-8"),
        header=False,
    ),
    Dialect(
        name="gzip", file="loans.csv.gz", write=lambda path: path.write_bytes(gzip.compress(text().encode()))
    ),
    Dialect(name="zip with a readme", file="loans.zip", write=zipped),
    Dialect(name="Excel", file="loans.xlsx", write=workbook),
    Dialect(name="Parquet", file="loans.parquet", write=lambda path: frame().to_parquet(path)),
    Dialect(name="Feather", file="loans.feather", write=lambda path: frame().to_feather(path)),
    Dialect(name="JSON lines", file="loans.jsonl", write=json_lines),
    Dialect(name="ARFF", file="loans.arff", write=arff),
    Dialect(name="UTF-16", file="loans.txt", write=lambda path: path.write_text(text("\t"), "utf-16")),
    Dialect(name="Windows-1252, title and total", file="loans.csv", write=titled, footer_lines=1),
]
each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)


@pytest.fixture
def file(tmp_path: Path, dialect: Dialect) -> Path:
    path = tmp_path / "sent" / dialect.file
    path.parent.mkdir()
    dialect.write(path)
    return path


def named_of(names: list[str]) -> NamedOutcomes | None:
    """What a person has to say of a target that no header names."""
    return None if names == NAMES else NamedOutcomes(bad=("1",), good=("0",))


def inferred(path: Path, dialect: Dialect) -> Inference:
    form = detect_format(path, header=dialect.header)
    return infer_schema(path, target=dialect.names[-1], named=named_of(dialect.names), form=form)


def plain_file(folder: Path, names: list[str]) -> Path:
    path = folder / "plain.csv"
    path.write_text(text(names=names), encoding="utf-8")
    return path


def canonical(values: pd.DataFrame) -> pd.DataFrame:
    """Canonical values in the order of the columns, whatever their names and the numbers of their rows."""
    return values.set_axis(NAMES, axis=1).sort_values("loan").reset_index(drop=True)


def expected_frame(folder: Path, schema: Schema, names: list[str]) -> pd.DataFrame:
    found = infer_schema(plain_file(folder, names), target=names[-1], named=named_of(names)).schema
    assert [column.kind for column in found.columns] == [column.kind for column in schema.columns]
    return canonical(load_dataset(folder / "plain.csv", found).frame)


@pytest.fixture(scope="session")
def model_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[str]], LoanModel]:
    """The model that is trained on the plain CSV, under other names of its columns for other files."""
    trained: dict[str, LoanModel] = {}

    def train(names: list[str]) -> LoanModel:
        if names[0] not in trained:
            home = tmp_path_factory.mktemp("model")
            options = TrainingOptions(
                data=FileData(plain_file(home, names)),
                target=names[-1],
                bad=None if names == NAMES else "1",
                good=None if names == NAMES else "0",
                preset="fast",
                epochs=1,
                pretraining_epochs=1,
                members=1,
            )
            database = EmbeddedDatabase(home / "documents.sqlite3")
            result = run_training(
                options,
                out=home / "run",
                home=home,
                database=database,
                listener=Listener(),
                command="train.py",
            )
            database.close()
            trained[names[0]] = load_model(result.out / "model.pth")
        return trained[names[0]]

    return train


@each_dialect
def test_it_is_trained_on_as_the_plain_file_is(dialect, file, tmp_path):
    schema = inferred(file, dialect).schema
    dataset = load_dataset(file, schema)
    assert (dataset.rows_read, dataset.footer_lines) == (ROWS, dialect.footer_lines)
    assert dict(dataset.reasons) == {}
    expected = expected_frame(tmp_path, schema, dialect.names)
    assert len(expected) == ROWS
    pd.testing.assert_frame_equal(canonical(dataset.frame), expected, check_dtype=False)


@each_dialect
def test_it_is_scored_as_the_plain_file_is(dialect, file, tmp_path, model_of):
    def pds(model: LoanModel, data: Path) -> pd.Series:
        out = tmp_path / "scores.csv"
        scored = score_file(model, data, out=out, quarantine=quarantine_beside(out), report=lambda rows: None)
        assert (scored.rows_read, scored.rows_scored, scored.rows_quarantined) == (ROWS, ROWS, 0)
        return pd.read_csv(out)["pd"]

    model = model_of(dialect.names)
    expected = pds(model, plain_file(tmp_path, dialect.names))
    assert expected.nunique() > ROWS / 2
    found = pds(replace(model, schema=inferred(file, dialect).schema), file)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def records_on_raw(feed: Feed, schema: Schema, folder: Path) -> list[dict[str, object]]:
    """What a feed sends to `raw_data`, read by the schema as a record is."""
    database, broker = EmbeddedDatabase(folder / "documents.sqlite3"), MemoryBroker()
    broker.create_topics(TOPICS)
    services = Services(
        broker=broker, database=database, schema=schema, outbox=Outbox(folder / "outbox"), polling=Polling()
    )
    ingested = ingest_raw_data(services, feed, stop=Flag())
    assert (ingested.sent, ingested.refused) == (ROWS, 0)
    records = [record for partition in broker.partitions_of(RAW) for record in broker.logs[partition]]
    database.close()
    return [validate_record(read_event(record).data, schema) for record in records]


@each_dialect
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_feed_sends_records_with_the_values_of_the_plain_file(dialect, file, tmp_path, kind):
    schema = inferred(file, dialect).schema
    if kind == "file":
        feed: Feed = FileFeed(file, schema, state=tmp_path / "state.json")
    else:
        os.utime(file, (time.time() - 60,) * 2)
        feed = FolderFeed(file.parent, schema, settle_seconds=0)
    records = records_on_raw(feed, schema, tmp_path)
    assert len(records) == ROWS
    found = canonical(records_frame(records, schema))
    expected = expected_frame(tmp_path, schema, dialect.names)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_a_schema_of_a_file_in_ascii_takes_accents_in_every_way(tmp_path, encoding, model_of):
    first, sent = tmp_path / "first.csv", tmp_path / "sent" / "next.csv"
    first.write_text(text().translate(str.maketrans("üèöá", "ueoa")), encoding="ascii")
    schema = infer_schema(first, target="bad").schema
    assert schema.format.encoding == "ascii"
    sent.parent.mkdir()
    sent.write_bytes(text().encode(encoding))
    model = model_of(NAMES)
    model = replace(model, schema=replace(model.schema, format=schema.format))
    out = tmp_path / "scores.csv"
    scored = score_file(model, sent, out=out, quarantine=quarantine_beside(out), report=lambda rows: None)
    assert scored.rows_scored == ROWS
    assert not any("town" in reason for reason in scored.unseen)  # its levels were learned with accents
    os.utime(sent, (time.time() - 60,) * 2)
    feeds: list[Feed] = [
        FileFeed(sent, schema, state=tmp_path / "state.json"),
        FolderFeed(sent.parent, schema),
    ]
    for number, feed in enumerate(feeds):
        folder = tmp_path / str(number)
        folder.mkdir()
        records = records_on_raw(feed, schema, folder)
        assert {record["town"] for record in records} == set(TOWNS)


def readme_table(folder: Path) -> str:
    """The table of README.md; the tests above hold that each dialect works in all four ways."""
    plain = inferred(plain_file(folder, NAMES), PLAIN).schema
    lines = [
        "| file | found out as | train | score | folder feed | record on Kafka | by a schema of the first |",
        "|---|---|---|---|---|---|---|",
    ]
    for dialect in DIALECTS:
        path = folder / dialect.file
        dialect.write(path)
        form = detect_format(path, header=dialect.header)
        try:
            format_for(path, plain)
            verdict = "read"
        except DataError:
            verdict = "refused"
        works = "works | " * 4
        lines.append(f"| {dialect.name} | {describe_format(form)} | {works}{verdict} |")
    return "\n".join(lines)


def test_the_table_of_the_documents_is_what_was_found_out(tmp_path):
    table = readme_table(tmp_path)
    assert table in README.read_text(encoding="utf-8"), f"README.md must hold:\n{table}"

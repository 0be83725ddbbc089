"""Processes without Kafka are killed between any two steps: the next one brings the rest to the store."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loan_default.data.datasets.training_store import read_store
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import dump_schema
from loan_default.database.ingestion_documents import EventStatus
from loan_default.database.ingestion_repositories import RawDataLogRepository
from loan_default.pipelines.ingestion.dead_letter_replay import replay, waiting_dead_letters
from loan_default.pipelines.layout import TRAINING_STORE
from loan_default.settings import Settings
from loan_default.wiring import open_services

pytestmark = pytest.mark.slow

ROWS, BROKEN = 1_200, frozenset({3, 700, 1_199})
"""More than two of the worker's batches; broken rows are in each of them."""
FAILPOINTS = (
    "batch_delivered",
    "logged",
    "sent",
    "outbox_written",
    "batch_stored",
    "replays_processed",
    "outbox_sent",
    "events_stored",
)
SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="id", kind=Kind.IDENTIFIER),
        Column(name="income", kind=Kind.NUMERICAL, minimum=0),
        Column(name="bad", kind=Kind.TARGET),
    ),
)
MENDED = replace(
    SCHEMA,
    columns=tuple(replace(each, minimum=-1) if each.name == "income" else each for each in SCHEMA.columns),
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    rows = [f"a{number},{-1 if number in BROKEN else number},{number % 2}" for number in range(ROWS)]
    (tmp_path / "loans.csv").write_text("\n".join(["id,income,bad", *rows]))
    (tmp_path / "strict.toml").write_text(dump_schema(SCHEMA))
    (tmp_path / "mended.toml").write_text(dump_schema(MENDED))
    return tmp_path


def ingest(home: Path, *words: str, schema: str = "strict", failpoints: str = "") -> int:
    """Run `loan-default ingest` as a process of its own; its exit code."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "MONGODB_"))},
        "LOAN_DEFAULT_HOME": str(home),
        "LOAN_DEFAULT_TEST": "1",
        "LOAN_DEFAULT_FAILPOINTS": failpoints,
    }
    command = [sys.executable, "-c", "from loan_default.cli.main import main; main()", "ingest", *words]
    command += ["--schema", str(home / f"{schema}.toml")]
    return subprocess.run(command, check=False, env=environment, capture_output=True, timeout=120).returncode


def stored(home: Path) -> set[str]:
    contents = read_store(home / TRAINING_STORE, SCHEMA, maturity_days=0, now=datetime.now(UTC))
    return set(contents.frame["id"])


def dead(home: Path) -> list[str]:
    with open_services(Settings(home=home), home / "strict.toml") as services:
        return [dead_letter.event for dead_letter in waiting_dead_letters(services)]


def expected_store(*, with_broken: bool = False) -> set[str]:
    return {f"a{number}" for number in range(ROWS) if with_broken or number not in BROKEN}


@pytest.mark.parametrize("point", [*FAILPOINTS, "logged@2", "logged@3"])
def test_a_process_killed_at_any_step_loses_no_row(home, point):
    name, _, passing = point.partition("@")
    failpoints = f"{name}=kill@{passing or 1}"
    assert ingest(home, "--file", str(home / "loans.csv"), failpoints=failpoints) == -signal.SIGKILL
    assert ingest(home, "--file", str(home / "loans.csv")) == 0
    assert stored(home) == expected_store()
    assert len(dead(home)) == len(BROKEN)
    with open_services(Settings(home=home), home / "strict.toml") as services:
        counts = RawDataLogRepository(services.database).count_by_status()
    assert counts == {EventStatus.ACCEPTED: ROWS - len(BROKEN), EventStatus.REJECTED: len(BROKEN)}


def test_processes_killed_one_after_the_other_lose_no_row(home):
    for point in FAILPOINTS:
        ingest(home, "--file", str(home / "loans.csv"), failpoints=f"{point}=kill")
    assert ingest(home, "--file", str(home / "loans.csv")) == 0
    assert stored(home) == expected_store()
    assert len(dead(home)) == len(BROKEN)


@pytest.mark.parametrize("point", ["logged", "outbox_written", "replays_processed", "outbox_sent"])
def test_a_process_killed_while_it_takes_replays_loses_none(home, point):
    assert ingest(home, "--file", str(home / "loans.csv")) == 0
    with open_services(Settings(home=home), home / "strict.toml") as services:
        assert replay(services, None).sent == len(BROKEN)
    assert ingest(home, schema="mended", failpoints=f"{point}=kill") == -signal.SIGKILL
    assert ingest(home, schema="mended") == 0
    assert stored(home) == expected_store(with_broken=True)
    assert dead(home) == []

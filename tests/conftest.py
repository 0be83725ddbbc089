"""One small trained model for all tests of the pipelines and the commands."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import structlog
from hypothesis import HealthCheck, settings
from servers.errors import NotInstallable
from servers.ferretdb import start_ferretdb
from servers.kafka import start_kafka
from servers.mongodb import is_genuine, start_mongodb
from servers.process import temporary_folder
from servers.required import skip_without
from xdist.scheduler import LoadScopeScheduling

from loan_default.cli import main as cli
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import dump_schema
from loan_default.data.sources.generator import generate, to_text
from loan_default.database.connect import Database
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.pipelines.training.local_run import TrainingResult, run_training
from loan_default.pipelines.training.plan import TrainingPlan
from loan_default.pipelines.training.training_options import FileData, TrainingOptions

_usual = settings.get_profile(settings.get_current_profile_name())  # another one where CI is set
settings.register_profile("full", parent=_usual, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("full")  # a busy machine is no failure
settings.register_profile("quick", parent=settings.get_profile("full"), max_examples=10)
"""Of `make check`: a test without a number of its own tries fewer examples than the 100 of `make test`."""

SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="id", kind=Kind.IDENTIFIER, optional=True),
        Column(name="made", kind=Kind.TIMESTAMP, optional=True),
        Column(name="income", kind=Kind.NUMERICAL, minimum=0, nullable=True),
        Column(name="debt", kind=Kind.NUMERICAL),
        Column(name="ratio", kind=Kind.NUMERICAL, minimum=0, maximum=1, optional=True, nullable=True),
        Column(name="purpose", kind=Kind.CATEGORICAL, categories=("car", "house", "study")),
        Column(name="city", kind=Kind.CATEGORICAL, open=True, nullable=True, optional=True),
        Column(name="bad", kind=Kind.TARGET, positive="yes", negative="no"),
    ),
)
ROWS = 500
BROKEN = {5: ("income", "-7"), 9: ("purpose", "boat"), 17: ("debt", "much")}
"""Row -> the value that breaks the schema."""
UNLABELLED = range(30, 50)


ONE_AFTER_THE_OTHER = {"test_compose.py", "test_compose_secure.py"}
"""Files of `integration` whose tests share a stack and go on from one another."""
WITH_AIRFLOW = {"test_airflow.py", "test_approval.py", "test_story.py"}
"""Files of `integration` that start an Airflow of their own: one at a time, on two cores."""


class _LongestFirst(LoadScopeScheduling):
    """Tests of `integration` go to whichever worker is free, those of another file or a stack all to one.

    A worker then makes the models and the servers that a file shares once. All that start an Airflow go to
    one worker.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0])
        if file.name in WITH_AIRFLOW:
            return "airflow"
        alone = file.parent.name == "integration" and file.name not in ONE_AFTER_THE_OTHER
        return nodeid if alone else str(file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """Ours in the place of `load`, which xdist takes by itself; None = the one that `--dist` names."""
    if config.getoption("dist") != "load":
        return None
    config.option.loadscopereorder = False  # it would put those that are long and alone last
    return _LongestFirst(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest where workers share the tests, so that all are busy to the end."""

    def rank(item: pytest.Item) -> int:
        if item.path.name in ONE_AFTER_THE_OTHER | WITH_AIRFLOW:
            return 0
        if item.path.parent.name == "integration":
            return 1
        return 2 if item.get_closest_marker("slow") else 3

    if hasattr(config, "workerinput"):
        items.sort(key=rank)


@dataclass
class Listener:
    """A listener that remembers its calls."""

    stages: list[str] = field(default_factory=list)
    prepared_runs: list[TrainingPlan] = field(default_factory=list)
    signs: int = 0
    kept_schema: Path | None = None

    def stage(self, name: str, detail: str) -> None:
        self.stages.append(name)

    def planned(self, plan: TrainingPlan, out: Path, *, kept_schema: Path | None) -> None:
        self.prepared_runs.append(plan)
        self.kept_schema = kept_schema

    def progress(self, progress: object) -> None:
        self.signs += 1


@dataclass(frozen=True)
class Lab:
    """A folder with a file of applications, its schema, and the model that was trained on it."""

    home: Path
    data: Path
    schema: Path
    raw: pd.DataFrame
    """The rows of the file as text, without the copy at its end."""
    options: TrainingOptions
    outcome: TrainingResult
    listener: Listener
    database: Database

    @property
    def version(self) -> str:
        assert self.outcome.trained is not None
        return self.outcome.trained.model.version

    def with_options(self, **changes: object) -> TrainingOptions:
        return replace(self.options, **changes)


def applications(rows: int = ROWS, *, seed: int = 3) -> pd.DataFrame:
    """Sound applications as text, as they would stand in a file."""
    return to_text(generate(SCHEMA, rows=rows, seed=seed).frame, SCHEMA)


@pytest.fixture(autouse=True)
def usual_logging() -> Iterator[None]:
    """What a command has set up for its output goes with the test."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    raw = applications()
    for row, (column, value) in BROKEN.items():
        raw.loc[row, column] = value
    raw.loc[list(UNLABELLED), "bad"] = ""
    data, schema = folder / "loans.csv", folder / "loans.toml"
    pd.concat([raw, raw.iloc[[0]]]).to_csv(data, index=False)
    schema.write_text(dump_schema(SCHEMA), encoding="utf-8")
    options = TrainingOptions(
        data=FileData(data), schema=schema, preset="fast", epochs=2, pretraining_epochs=1, members=1
    )
    listener, home = Listener(), folder / "runs"
    home.mkdir()
    database = EmbeddedDatabase(home / "documents.sqlite3")
    outcome = run_training(
        options, out=home / "loans", home=home, database=database, listener=listener, command="train.py …"
    )
    yield Lab(
        home=home,
        data=data,
        schema=schema,
        raw=raw,
        options=options,
        outcome=outcome,
        listener=listener,
        database=database,
    )
    database.close()


@pytest.fixture(scope="session")
def kafka_servers() -> Iterator[str]:
    """Addresses of a genuine broker: the one that the environment names, else one that is started here."""
    if named := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield named
        return
    with _started(start_kafka) as server:
        yield server.environment["KAFKA_BOOTSTRAP_SERVERS"]


@pytest.fixture(scope="session")
def mongodb_uri() -> Iterator[str]:
    """Address of a server that speaks MongoDB's protocol: the environment's, else of one started here."""
    if named := os.environ.get("MONGODB_URI"):
        yield named
        return
    with _started(start_ferretdb) as server:
        yield server.environment["MONGODB_URI"]


@pytest.fixture(scope="session")
def genuine_mongodb_uri() -> Iterator[str]:
    """Address of MongoDB itself: the environment's, else of a `mongod` that is started here."""
    if named := os.environ.get("MONGODB_URI"):
        if not is_genuine(named):
            pytest.skip(
                "FerretDB 1.24 reads and writes in two steps: of two racing updates both report success"
            )
        yield named
        return
    with _started(start_mongodb) as server:
        yield server.environment["MONGODB_URI"]


@contextmanager
def _started(start: Callable[[Path], Any]) -> Iterator[Any]:
    """A server while the tests run; they are skipped, with the reason, where it cannot be had."""
    with temporary_folder() as folder:
        try:
            server = start(folder / "server")
        except NotInstallable as reason:
            skip_without(reason)
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def sound_applications() -> pd.DataFrame:
    return applications(300, seed=8)


@pytest.fixture
def shell(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Types a command into a folder without servers; returns exit code, output and errors."""
    for name in ("MONGODB_URI", "KAFKA_BOOTSTRAP_SERVERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOAN_DEFAULT_HOME", str(tmp_path / "home"))

    def type_(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.run(cli.app, words)
        out, errors = capsys.readouterr()
        return ended.value.code, out, errors

    return type_

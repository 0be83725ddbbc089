"""Airflow on this machine: api-server, scheduler, dag-processor and triggerer, as child processes.

Its database is a PostgreSQL, the DAGs are those of the package. Tasks run in processes of the scheduler
(LocalExecutor), with the variables that they are given: where Kafka and MongoDB are, and the home folder.
"""

import json
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import httpx

from servers.errors import NotInstallable
from servers.installation import run
from servers.postgres import Postgres
from servers.process import LOCALHOST, ServerProcess, on_free_ports

ADMIN, VIEWER = "admin", "viewer"
_ROOT = Path(__file__).parents[2]
_DAGS = _ROOT / "src" / "loan_default" / "airflow" / "dags"
_PARALLEL_TASKS = 4
_READY_WITHIN_SECONDS = 180.0


@dataclass(kw_only=True)
class Airflow:
    """An Airflow that runs."""

    url: str
    passwords: dict[str, str]
    """User -> password; `admin` may do everything, `viewer` look only."""
    processes: dict[str, ServerProcess]
    """`api-server`, `scheduler`, `dag-processor`, `triggerer`."""
    environ: dict[str, str] = field(repr=False)
    """Of all its processes."""
    home: Path
    _tokens: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LOAN_DEFAULT_AIRFLOW_URL": self.url,
            "LOAN_DEFAULT_AIRFLOW_USERNAME": ADMIN,
            "LOAN_DEFAULT_AIRFLOW_PASSWORD": self.passwords[ADMIN],
        }

    def call(self, method: str, path: str, body: object = None, *, user: str = ADMIN) -> httpx.Response:
        """A request to its API, `path` from `/api/v2` on."""
        if user not in self._tokens:
            login = {"username": user, "password": self.passwords[user]}
            answer = httpx.post(f"{self.url}/auth/token", json=login, timeout=30)
            self._tokens[user] = answer.raise_for_status().json()["access_token"]
        headers = {"Authorization": f"Bearer {self._tokens[user]}"}
        return httpx.request(method, f"{self.url}/api/v2{path}", json=body, headers=headers, timeout=30)

    def get(self, path: str) -> Any:
        """What its API says."""
        return self.call("GET", path).raise_for_status().json()

    def unpause(self, dag: str) -> None:
        self.call("PATCH", f"/dags/{dag}", {"is_paused": False}).raise_for_status()

    def pause(self, dag: str) -> None:
        """Start no more runs of this DAG, neither scheduled nor triggered ones."""
        self.call("PATCH", f"/dags/{dag}", {"is_paused": True}).raise_for_status()

    def trigger(self, dag: str, run_id: str | None = None, **conf: object) -> str:
        """Id of a new run."""
        body = {"logical_date": None, "conf": conf} | ({"dag_run_id": run_id} if run_id else {})
        answer = self.call("POST", f"/dags/{dag}/dagRuns", body).raise_for_status()
        return str(answer.json()["dag_run_id"])

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """The runs of a DAG, the oldest first."""
        found: list[dict[str, Any]] = self.get(f"/dags/{dag}/dagRuns?order_by=run_after&limit=100")[
            "dag_runs"
        ]
        return found

    def tasks(self, dag: str, run_id: str) -> dict[str, dict[str, Any]]:
        """Task -> what is known of it."""
        found = self.get(f"/dags/{dag}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return {each["task_id"]: each for each in found}

    def log(self, dag: str, run_id: str, task: str, attempt: int = 1) -> str:
        """What a task wrote."""
        return self.call("GET", f"/dags/{dag}/dagRuns/{run_id}/taskInstances/{task}/logs/{attempt}").text

    def stop(self) -> None:
        for process in reversed(self.processes.values()):
            process.stop()


def start_airflow(
    folder: Path, postgres: Postgres, *, environ: Mapping[str, str], settings: Mapping[str, str] | None = None
) -> Airflow:
    """Start it with its home in `folder`, which must be new or empty; DAGs are paused.

    Args:
        environ: for the tasks.
        settings: of Airflow, `AIRFLOW__…`, over those that are set here.

    Raises:
        NotInstallable: Airflow is not installed in this environment.
        StartError: it does not come up.
    """
    try:  # not imported: in this process Airflow would read its settings before tests/airflow has set them
        version("apache-airflow")
    except PackageNotFoundError:
        raise NotInstallable("Airflow", "the extra `airflow` must be installed, however: it is not") from None
    folder.mkdir(parents=True, exist_ok=True)
    database = _make_database(postgres)
    passwords = {user: secrets.token_hex(8) for user in (ADMIN, VIEWER)}
    (folder / "simple_auth_manager_passwords.json.generated").write_text(json.dumps(passwords))
    return on_free_ports(
        4, lambda ports: _start(folder, ports, database, passwords, {**environ, **(settings or {})})
    )


def _start(
    folder: Path, ports: list[int], database: str, passwords: dict[str, str], environ: Mapping[str, str]
) -> Airflow:
    port, health, logs, trigger_logs = ports
    url = f"http://{LOCALHOST}:{port}"
    variables = {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(_DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(_PARALLEL_TASKS),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin,{VIEWER}:viewer",
        "AIRFLOW__CORE__AUTH_MANAGER": (
            "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
        ),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__API__HOST": LOCALHOST,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "True",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": LOCALHOST,
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(health),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(logs),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_logs),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "OMP_NUM_THREADS": "1",
        **environ,
    }
    command = str(Path(sys.executable).with_name("airflow"))
    for words in (("db", "migrate"), ("pools", "set", "training", "1", "one training at a time")):
        run("Airflow", command, *words, folder=folder, environ=variables)
    airflow = Airflow(url=url, passwords=passwords, processes={}, environ=variables, home=folder)
    ready: dict[str, Callable[[], bool]] = {
        "api-server": lambda: _answers(f"{url}/api/v2/version"),
        "scheduler": lambda: _answers(f"http://{LOCALHOST}:{health}/health"),
        "dag-processor": lambda: True,
        "triggerer": lambda: True,
    }
    with ExitStack() as started:
        for name, is_ready in ready.items():
            process = airflow_process(name, folder, variables, is_ready=is_ready)
            airflow.processes[name] = process
            process.start(within_seconds=_READY_WITHIN_SECONDS)
            started.callback(process.kill)
        _wait_for_dags(airflow)
        started.pop_all()
    return airflow


def airflow_process(
    name: str, folder: Path, variables: Mapping[str, str], *, is_ready: Callable[[], bool]
) -> ServerProcess:
    """One of its processes, not started yet."""
    return ServerProcess(
        name=f"Airflow {name}",
        command=[str(Path(sys.executable).with_name("airflow")), name.partition(" ")[0]],
        log=folder / f"{name.replace(' ', '-')}.log",
        environ=dict(variables),
        is_ready=is_ready,
    )


def _wait_for_dags(airflow: Airflow) -> None:
    """Until the dag-processor has read them all."""
    names, deadline = {path.stem for path in _DAGS.glob("*.py")}, time.monotonic() + _READY_WITHIN_SECONDS
    while {dag["dag_id"] for dag in airflow.get("/dags")["dags"]} != names:
        if time.monotonic() > deadline:
            errors = airflow.get("/importErrors")["import_errors"]
            raise AssertionError(f"the DAGs must be read in time, however: {errors}")
        time.sleep(0.5)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


def _make_database(postgres: Postgres) -> str:
    """The address of a new database with a user of its own."""
    import psycopg2  # noqa: PLC0415 (comes with Airflow)

    name, password = f"airflow_{secrets.token_hex(4)}", secrets.token_hex(16)
    connection = psycopg2.connect(postgres.uri)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
            cursor.execute(f"CREATE DATABASE {name} OWNER {name}")
    finally:
        connection.close()
    return f"postgresql+psycopg2://{name}:{password}@{postgres.host}/{name}"

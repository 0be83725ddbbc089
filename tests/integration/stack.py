"""The whole house on genuine servers: Kafka, MongoDB, PostgreSQL, and Airflow with its scheduler."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pymongo
from integration.world import World, running_world
from servers.airflow import ADMIN, Airflow, start_airflow
from servers.errors import NotInstallable
from servers.postgres import Postgres, start_postgres
from servers.process import temporary_folder
from servers.required import skip_without

from loan_default.database.connect import Database

OVER = {"success", "failed"}


@dataclass(frozen=True)
class Stack:
    """Servers, and the scheduler over them."""

    world: World
    postgres: Postgres
    airflow: Airflow
    database: Database

    def finish(self, dag: str, run_id: str, *, seconds: float = 300) -> dict[str, str]:
        """State of each task of a run that has ended in success."""
        state = self.end_of(dag, run_id, seconds=seconds)
        tasks = {name: str(task["state"]) for name, task in self.airflow.tasks(dag, run_id).items()}
        assert state == "success", (tasks, self.logs(dag, run_id))
        return tasks

    def end_of(self, dag: str, run_id: str, *, seconds: float = 300) -> str:
        """State of a run that has ended."""

        def over() -> bool:
            return self.airflow.get(f"/dags/{dag}/dagRuns/{run_id}")["state"] in OVER

        patiently(over, seconds=seconds, otherwise=lambda: self.airflow.tasks(dag, run_id))
        return str(self.airflow.get(f"/dags/{dag}/dagRuns/{run_id}")["state"])

    def question(self, run_id: str) -> dict[str, Any]:
        """What Airflow asks a person in a run of the evaluation, once the run waits for the answer.

        A step that is answered before the scheduler has noted that its process ended is taken for one that
        was killed, and asks again. No person is that quick, a test is: it waits for the scheduler's line.
        """
        ended = f"TaskInstance Finished: dag_id=model_evaluation, task_id=ask_for_approval, run_id={run_id},"

        def waits() -> bool:
            step = self.airflow.tasks("model_evaluation", run_id)["ask_for_approval"]
            if step["state"] != "awaiting_input":
                return False
            return ended in self.airflow.processes["scheduler"].log.read_text("utf-8", errors="replace")

        patiently(waits, seconds=200, otherwise=lambda: self.airflow.tasks("model_evaluation", run_id))
        found: dict[str, Any] = self.airflow.get(_question(run_id))
        return found

    def answer(self, run_id: str, option: str, *, user: str = ADMIN, **form: object) -> httpx.Response:
        """What Airflow says to the answer of a user."""
        body = {"chosen_options": [option], "params_input": form}
        return self.airflow.call("PATCH", _question(run_id), body, user=user)

    def logs(self, dag: str, run_id: str) -> str:
        """What the tasks of a run wrote in their last tries."""
        return "\n".join(
            self.airflow.log(dag, run_id, name, task["try_number"])[-3000:]
            for name, task in self.airflow.tasks(dag, run_id).items()
            if task["try_number"]
        )

    def run_of_type(self, dag: str, kind: str, *, known: tuple[str, ...] = ()) -> str:
        """Id of a run of this type that is not known yet, once it is there."""
        found: list[str] = []

        def there() -> bool:
            found[:] = [
                run["dag_run_id"]
                for run in self.airflow.runs(dag)
                if run["run_type"] == kind and run["dag_run_id"] not in known
            ]
            return bool(found)

        patiently(there, seconds=120, otherwise=lambda: self.airflow.runs(dag))
        return found[0]


def _question(run_id: str) -> str:
    """Path of the question of a run in Airflow's API."""
    return f"/dags/model_evaluation/dagRuns/{run_id}/taskInstances/ask_for_approval/-1/hitlDetails"


@contextmanager
def running_stack(
    home: Path, *, environ: Mapping[str, str], settings: Mapping[str, str] | None = None
) -> Iterator[Stack]:
    """All servers, DAGs paused; skipped, with the reason, where they cannot be had."""
    with running_world(home) as world, temporary_folder() as folder:
        postgres = None
        try:
            postgres = start_postgres(folder / "postgres")
            variables = {
                **world.kafka.environment,
                **world.ferretdb.environment,
                "LOAN_DEFAULT_HOME": str(home),
                **environ,
            }
            airflow = start_airflow(folder / "airflow", postgres, environ=variables, settings=settings)
        except NotInstallable as reason:
            if postgres is not None:
                postgres.stop()
            skip_without(reason)
        try:
            with pymongo.MongoClient(world.ferretdb.uri, tz_aware=True) as client:
                yield Stack(world, postgres, airflow, client["loan_default"])
        finally:
            airflow.stop()
            postgres.stop()


def patiently(
    true: Callable[[], bool], *, seconds: float, otherwise: Callable[[], object] = lambda: ""
) -> None:
    """Wait until something is true; a server that is away is no failure."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
        except (httpx.HTTPError, pymongo.errors.PyMongoError, OSError):
            pass
        if time.monotonic() > deadline:
            raise AssertionError(f"it must come true within {seconds} s: {otherwise()}")
        time.sleep(0.5)

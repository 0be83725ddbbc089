"""Tasks, schedulers and the database of Airflow die: runs go on, and nothing is there twice."""

import os
import random
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from integration.stack import OVER, Stack, patiently, running_stack
from servers.airflow import airflow_process

from loan_default.database.documents import ModelMetadata
from loan_default.database.repositories import ModelRepository

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        "AIRFLOW_FAULTS" not in os.environ, reason="a quarter of an hour: set AIRFLOW_FAULTS=1"
    ),
]

ROWS = 1_500
HEARTBEAT_TIMEOUT = 20
CHECKED_EVERY = 5
EPOCHS, PRETRAINING_EPOCHS = 14, 4
CONF = {"epochs": EPOCHS, "pretraining_epochs": PRETRAINING_EPOCHS, "members": 1}
SHORT = {"epochs": 1, "pretrain": False, "members": 1}
TRAINING = "model_training"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("home")
    environ = {
        "LOAN_DEFAULT_SOURCE": "generated",
        "LOAN_DEFAULT_SOURCE_ROWS": str(ROWS),
        "LOAN_DEFAULT_PRESET": "fast",
        # An epoch of so few rows is over before anybody can kill it.
        "LOAN_DEFAULT_TEST": "1",
        "LOAN_DEFAULT_FAILPOINTS": "epoch_done=sleep(1000)",
    }
    settings = {
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(HEARTBEAT_TIMEOUT),
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": str(CHECKED_EVERY),
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    }
    with running_stack(home, environ=environ, settings=settings) as stack:
        stack.airflow.unpause("data_ingestion")
        stack.finish("data_ingestion", stack.run_of_type("data_ingestion", "scheduled"))
        stack.airflow.call("PATCH", "/dags/data_ingestion", {"is_paused": True}).raise_for_status()
        stack.airflow.unpause(TRAINING)
        stack.finish(TRAINING, stack.run_of_type(TRAINING, "scheduled"), seconds=400)
        yield stack


@pytest.fixture
def chance() -> random.Random:
    seed = int(os.environ.get("FAULT_SEED", random.SystemRandom().randrange(10**6)))
    sys.stdout.write(f"FAULT_SEED={seed}\n")
    return random.Random(seed)


def test_a_training_that_is_killed_at_any_epoch_comes_to_the_same_weights(stack, chance):
    stack.airflow.trigger(TRAINING, "whole", **CONF)
    stack.finish(TRAINING, "whole", seconds=400)
    stack.airflow.trigger(TRAINING, "killed", **CONF)
    kills = {"pretrain_encoder": signal.SIGKILL, "train_classifier": signal.SIGTERM}
    for task, how in kills.items():
        wanted = chance.randint(1, PRETRAINING_EPOCHS - 1)
        patiently(lambda task=task, wanted=wanted: len(epochs(stack, "killed", task)) >= wanted, seconds=200)
        end(task_process(stack, "killed", task), how)
        patiently(lambda task=task: attempt(stack, "killed", task) == 2, seconds=200)
    stack.finish(TRAINING, "killed", seconds=400)
    whole, killed = model_of(stack, "whole"), model_of(stack, "killed")
    assert weights(whole) == weights(killed)
    for task, most in (("pretrain_encoder", PRETRAINING_EPOCHS), ("train_classifier", EPOCHS)):
        done = [epoch for number in (1, 2) for epoch in epochs(stack, "killed", task, number)]
        assert len(done) <= most + 1, "at most one epoch is done again"


def test_five_runs_at_once_and_a_cleared_task_store_one_model_each(stack):
    runs = [stack.airflow.trigger(TRAINING, f"at-once-{number}", **SHORT) for number in range(5)]
    first = runs[0]
    patiently(lambda: state(stack, first, "train_classifier") == "running", seconds=200)
    clear(stack, first, "train_classifier")
    for run in runs:
        stack.finish(TRAINING, run, seconds=500)
        assert len(models_of(stack, run)) == 1
    clear(stack, first, "store_model")
    patiently(lambda: attempt(stack, first, "store_model") == 2, seconds=100)
    stack.finish(TRAINING, first)
    assert len(models_of(stack, first)) == 1


def test_a_supervisor_that_is_killed_is_noticed_and_its_orphan_cannot_write(stack):
    stack.airflow.trigger(TRAINING, "orphan", **CONF)
    patiently(lambda: len(epochs(stack, "orphan", "train_classifier")) >= 1, seconds=300)
    child = task_process(stack, "orphan", "train_classifier")
    os.kill(parent_of(child), signal.SIGKILL)
    killed = time.monotonic()
    patiently(lambda: state(stack, "orphan", "train_classifier") != "running", seconds=200)
    noticed = time.monotonic() - killed
    stack.finish(TRAINING, "orphan", seconds=400)
    assert attempt(stack, "orphan", "train_classifier") == 2
    assert len(models_of(stack, "orphan")) == 1
    patiently(lambda: not Path(f"/proc/{child}").exists(), seconds=60)
    sys.stdout.write(f"noticed after {noticed:.0f} s\n")
    assert noticed <= HEARTBEAT_TIMEOUT + CHECKED_EVERY + 10


def test_when_one_of_two_schedulers_dies_the_other_goes_on_and_starts_no_try_twice(stack):
    airflow = stack.airflow
    health = {
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": "0",
    }
    second = airflow_process(
        "scheduler second", airflow.home, airflow.environ | health, is_ready=lambda: True
    )
    second.start()
    try:
        airflow.trigger(TRAINING, "two-schedulers", **CONF)
        patiently(lambda: len(epochs(stack, "two-schedulers", "train_classifier")) >= 1, seconds=300)
        child = task_process(stack, "two-schedulers", "train_classifier")
        owner = airflow.processes["scheduler"]
        if os.getpgid(parent_of(child)) == os.getpgid(second.pid):
            owner = second
        owner.kill()  # with its workers, as when its machine goes
        stack.finish(TRAINING, "two-schedulers", seconds=400)
        tries = attempt(stack, "two-schedulers", "train_classifier")
        for number in range(1, tries + 1):
            text = airflow.log(TRAINING, "two-schedulers", "train_classifier", number)
            assert text.count("training_planned") <= 1
        assert len(models_of(stack, "two-schedulers")) == 1
    finally:
        if not airflow.processes["scheduler"].running:
            airflow.processes["scheduler"].start()
        second.stop()


@pytest.mark.parametrize("seconds", [5, 30])
def test_a_run_outlives_a_restart_of_the_database(stack, seconds):
    run = f"outage-{seconds}"
    stack.airflow.trigger(TRAINING, run, **CONF)
    patiently(lambda: len(epochs(stack, run, "train_classifier")) >= 1, seconds=300)
    stack.postgres.process.kill()
    time.sleep(seconds)
    stack.postgres.process.start()
    patiently(lambda: is_over_under_supervision(stack, run), seconds=500)
    stack.finish(TRAINING, run)
    assert len(models_of(stack, run)) == 1
    sys.stdout.write(f"{seconds} s: {attempt(stack, run, 'train_classifier')} tries\n")


def is_over_under_supervision(stack: Stack, run: str) -> bool:
    """Whether a run has ended; a process of Airflow that has ended is started again, as compose does."""
    for process in stack.airflow.processes.values():
        if not process.running:
            process.start()
    return stack.airflow.get(f"/dags/{TRAINING}/dagRuns/{run}")["state"] in OVER


def end(pid: int, how: signal.Signals) -> None:
    """End a process as its supervisor does: who does not go by itself in five seconds is killed."""
    with suppress(ProcessLookupError):
        os.kill(pid, how)
        if how is signal.SIGTERM:
            time.sleep(5)
            os.kill(pid, signal.SIGKILL)


def epochs(stack: Stack, run: str, task: str, number: int = 1) -> list[int]:
    """The epochs that a try of a task has finished."""
    text = stack.airflow.log(TRAINING, run, task, number)
    found = re.findall(r'epoch_finished[^{}]*?"epoch": ?(\d+)|"epoch": ?(\d+)[^{}]*?epoch_finished', text)
    return [int(one or other) for one, other in found]


def task_process(stack: Stack, run: str, task: str) -> int:
    """The process that runs the body of a task."""
    return int(stack.airflow.tasks(TRAINING, run)[task]["pid"])


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def attempt(stack: Stack, run: str, task: str) -> int:
    return int(stack.airflow.tasks(TRAINING, run)[task]["try_number"])


def state(stack: Stack, run: str, task: str) -> str:
    return str(stack.airflow.tasks(TRAINING, run)[task]["state"])


def clear(stack: Stack, run: str, task: str) -> None:
    body: dict[str, Any] = {
        "dag_run_id": run,
        "task_ids": [task],
        "dry_run": False,
        "only_failed": False,
        "include_downstream": True,
    }
    stack.airflow.call("POST", f"/dags/{TRAINING}/clearTaskInstances", body).raise_for_status()


def models_of(stack: Stack, run: str) -> list[ModelMetadata]:
    return [model for model in ModelRepository(stack.database).newest_first() if model.run == run]


def model_of(stack: Stack, run: str) -> ModelMetadata:
    (model,) = models_of(stack, run)
    return model


def weights(model: ModelMetadata) -> str:
    """The digest of what the weights are and come from; the beginning of a version is a time."""
    return model.version.rpartition("-")[2]

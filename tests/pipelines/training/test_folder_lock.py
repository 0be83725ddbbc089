"""Two runs by hand in one folder: the second is refused, and a run that was killed holds nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import SCHEMA, applications

from loan_default.data.schema.schema_files import dump_schema
from loan_default.errors import ConfigurationError
from loan_default.pipelines.training.folder_lock import only_run_in

TRAIN = Path(__file__).resolve().parents[3] / "train.py"
FOR_EVER, QUICKLY = "100000", "1"


def test_a_folder_is_free_again_after_a_run_and_after_one_that_failed(tmp_path):
    out = tmp_path / "made" / "run"
    with pytest.raises(KeyError), only_run_in(out):
        raise KeyError("the run failed")
    with only_run_in(out), only_run_in(tmp_path / "other"):
        pass
    with only_run_in(out), pytest.raises(ConfigurationError, match=f"process {os.getpid()} on "):
        only_run_in(out).__enter__()


def test_one_that_has_only_just_begun_is_not_named(tmp_path):
    with only_run_in(tmp_path):
        (tmp_path / ".run.json").write_text("{")
        with pytest.raises(ConfigurationError, match="another run is at work there"):
            only_run_in(tmp_path).__enter__()


def test_a_folder_that_cannot_be_made_is_one_line():
    with pytest.raises(ConfigurationError, match=r"must be a folder that can be written, however: /proc"):
        only_run_in(Path("/proc/nowhere/run")).__enter__()


Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts pretraining in the folder `run`, for so many epochs."""
    (tmp_path / "loans.toml").write_text(dump_schema(SCHEMA))
    applications(300).to_csv(tmp_path / "loans.csv", index=False)
    command = [sys.executable, str(TRAIN), "--pretrain", "--preset", "fast", "--out", "run"]
    command += ["--data", "loans.csv", "--schema", "loans.toml", "--pretraining-epochs"]
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "LOAN_DEFAULT_HOME": str(tmp_path / "home")}
    environ.pop("MONGODB_URI", None)
    started = []

    def run(epochs: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [*command, epochs],
            cwd=tmp_path,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.integration
def test_of_two_processes_the_second_is_refused_and_a_kill_frees_the_folder(start, tmp_path):
    checkpoint = tmp_path / "run" / "checkpoints" / "pretraining.ckpt"
    first = start(FOR_EVER)
    wait_until(checkpoint.exists)
    second = start(QUICKLY)
    output, _ = second.communicate(timeout=120)
    assert second.returncode == 2
    assert f"process {first.pid} on " in output
    assert "Wait for it, stop it, or choose another folder by --out." in output
    written = checkpoint.stat().st_mtime_ns  # the first goes on with its checkpoints
    wait_until(lambda: checkpoint.stat().st_mtime_ns > written)
    assert first.poll() is None

    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=60)
    third = start(QUICKLY)
    output, _ = third.communicate(timeout=120)
    assert third.returncode == 0, output


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)

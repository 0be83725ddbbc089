"""kill -9 at random times: files stay usable, and a resumed run ends with the same weights."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import dump_schema
from loan_default.data.sources.generator import generate, to_text
from loan_default.errors import ArtifactError
from loan_default.models.model import load_encoder, load_model

TRAIN = Path(__file__).resolve().parents[2] / "train.py"
SCHEMA = Schema(
    name="loans",
    columns=(
        *(Column(name=f"number_{place}", kind=Kind.NUMERICAL, nullable=True) for place in range(6)),
        Column(name="purpose", kind=Kind.CATEGORICAL, categories=("car", "house", "study")),
        Column(name="bad", kind=Kind.TARGET),
    ),
)
KILLS = 5
ORPHANS_END_WITHIN_SECONDS = 60.0
"""A worker that is still importing torch when its run is killed may need that; an orphan lives for ever."""

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc"),
]


@pytest.fixture
def folder(tmp_path):
    """A folder; whatever process of it is left at the end is ended."""
    yield tmp_path
    for process in _processes_of(tmp_path):
        os.kill(process, signal.SIGKILL)


def test_runs_that_are_killed_and_resumed_end_with_the_weights_of_one_that_was_not(folder):
    (folder / "loans.toml").write_text(dump_schema(SCHEMA))
    to_text(generate(SCHEMA, rows=1_200, seed=1).frame, SCHEMA).to_csv(folder / "loans.csv", index=False)
    started = time.monotonic()
    assert _start(folder, "whole").wait() == 0
    seconds = time.monotonic() - started
    expected = _weights(folder / "whole")

    times = np.random.default_rng(20261123).permutation(np.linspace(0.1, 0.95, KILLS)) * seconds
    chain = 0
    for seconds_in in times:
        run = _start(folder, f"run-{chain}", "--resume")
        try:
            code = run.wait(timeout=seconds_in)
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
            run.wait()
            _check_that_processes_end(folder)
            _check_files(folder)
        else:  # it had been killed so late before that nothing was left to do
            assert code == 0
            assert _weights(folder / f"run-{chain}") == expected
            chain += 1
    assert _start(folder, f"run-{chain}", "--resume").wait() == 0
    assert [_weights(folder / f"run-{number}") for number in range(chain + 1)] == [expected] * (chain + 1)
    assert not list((folder / f"run-{chain}").rglob("*.tmp"))


def _start(folder: Path, out: str, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, TRAIN, "--pretrain", "--train", "--preset", "fast", "--members", "2"]
    command += ["--pretraining-epochs", "2", "--epochs", "5", "--out", out]
    command += ["--data", "loans.csv", "--schema", "loans.toml", *options]
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "LOAN_DEFAULT_HOME": str(folder / "home")}
    environ.pop("MONGODB_URI", None)
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)


def _weights(out: Path) -> str:
    return str(load_model(out / "model.pth").provenance["weights"])


def _check_that_processes_end(folder: Path) -> None:
    deadline = time.monotonic() + ORPHANS_END_WITHIN_SECONDS
    while alive := _processes_of(folder):
        assert time.monotonic() < deadline, f"workers must end with their run, however: {alive} are alive"
        time.sleep(0.2)


def _processes_of(folder: Path) -> list[int]:
    """Processes that were started with a home in this folder."""
    mark, found = f"LOAN_DEFAULT_HOME={folder / 'home'}\0".encode(), []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and mark in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:  # it has ended meanwhile
            continue
    return found


def _check_files(folder: Path) -> None:
    """Files under their names are whole; halves are refused whatever they are called."""
    for path in folder.rglob("*"):
        if path.suffix == ".tmp":
            for load in (load_model, load_encoder):
                with pytest.raises(ArtifactError):
                    load(path)
        elif path.suffix == ".pth":
            (load_encoder if path.name == "encoder.pth" else load_model)(path)

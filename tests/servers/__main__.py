"""Start real servers for as long as this runs: `python -m servers --help`."""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn, Protocol

from servers.airflow import start_airflow
from servers.errors import NotInstallable, StartError
from servers.ferretdb import install_ferretdb, start_ferretdb
from servers.kafka import install_kafka, start_kafka
from servers.postgres import Postgres, install_postgres, start_postgres
from servers.process import dying_with_its_parent, temporary_folder


class Server(Protocol):
    """What every server object has."""

    @property
    def environment(self) -> dict[str, str]: ...
    def stop(self) -> None: ...


INSTALL: dict[str, Callable[[], Path]] = {
    "ferretdb": install_ferretdb,
    "postgres": install_postgres,
    "kafka": install_kafka,
}
START: dict[str, Callable[[Path], Server]] = {
    "ferretdb": start_ferretdb,
    "postgres": start_postgres,
    "kafka": start_kafka,
}


_COMMAND = (sys.executable, "-c", "from loan_default.cli.main import main; main()")


def main() -> int:
    """Print the variables to export, wait for Ctrl-C or SIGTERM, stop everything; 1 where nothing runs."""
    parser = argparse.ArgumentParser(prog="python -m servers", description=__doc__)
    parser.add_argument("--only", choices=START, action="append", help="may be repeated; default: all")
    parser.add_argument("--airflow", action="store_true", help="all of them, and Airflow over them")
    parser.add_argument("--install", action="store_true", help="download and build only; default: start them")
    options = parser.parse_args()
    names = options.only or list(START)
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell without job control has SIGINT ignored
        signal.signal(number, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # not under nohup
        signal.signal(signal.SIGHUP, _interrupt)
    try:
        if options.install:
            return install(names)
        return serve_airflow() if options.airflow else serve(names)
    except KeyboardInterrupt:
        return 0


def install(names: list[str]) -> int:
    """Put what is missing into the cache; 1 where something cannot be had."""
    missing = 0
    for name in names:
        try:
            _say(f"# {name}: {INSTALL[name]()}")
        except NotInstallable as reason:
            _say(f"# {reason}")
            missing = 1
    return missing


def serve(names: list[str]) -> int:
    """Start servers and wait; all are stopped at the end, however it comes."""
    with temporary_folder() as folder, ExitStack() as running:
        found = [running.enter_context(_running(name, folder / name)) for name in names]
        if not any(found):
            return 1
        _say("# ready; Ctrl-C stops them and removes their data")
        while True:
            signal.pause()


def serve_airflow() -> int:
    """Start everything with the DAGs switched on, say where to look, and wait."""
    with temporary_folder() as folder, ExitStack() as running:
        home = folder / "home"
        environ = {"LOAN_DEFAULT_HOME": str(home)}
        try:
            servers = {name: start(folder / name) for name, start in START.items()}
        except (NotInstallable, StartError) as reason:
            _say(f"# {reason}".replace("\n", "\n# "))
            return 1
        for server in servers.values():
            running.callback(server.stop)
            environ |= server.environment
        home.mkdir()
        subprocess.run([*_COMMAND, "init"], env={**os.environ, **environ}, check=True)
        postgres = servers["postgres"]
        assert isinstance(postgres, Postgres)
        airflow = start_airflow(folder / "airflow", postgres, environ=environ)
        running.callback(airflow.stop)
        listener = subprocess.Popen(
            dying_with_its_parent([*_COMMAND, "commands"]),
            env={**os.environ, **environ, **airflow.environment},
        )
        running.callback(listener.wait)
        running.callback(listener.terminate)
        for dag in ("model_evaluation", "model_training", "data_ingestion"):
            airflow.unpause(dag)
        for variable, value in environ.items():
            _say(f"export {variable}={shlex.quote(value)}")
        _say(f"# Airflow: {airflow.url}")
        for user, password in airflow.passwords.items():
            _say(f"# login: {user} / {password}")
        _say("# ready; Ctrl-C stops everything and removes the data")
        while True:
            signal.pause()


@contextmanager
def _running(name: str, folder: Path) -> Iterator[bool]:
    """Whether the server could be started; its variables are printed."""
    started = time.monotonic()
    try:
        server = START[name](folder)
    except (NotInstallable, StartError) as reason:
        _say(f"# {reason}".replace("\n", "\n# "))
        yield False
        return
    try:
        _say(f"# {name}: up after {time.monotonic() - started:.1f} s")
        for variable, value in server.environment.items():
            _say(f"export {variable}={shlex.quote(value)}")
        yield True
    finally:
        server.stop()


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

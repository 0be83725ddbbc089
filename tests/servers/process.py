"""A server as a child process that is started, killed, paused and restarted, and never left behind."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from servers.errors import NotInstallable, StartError

LOCALHOST = "127.0.0.1"
READY_WITHIN_SECONDS = 90.0
"""A broker is up in a few seconds; a machine that is busy with other tests takes several times that."""
STOPPED_WITHIN_SECONDS = 20.0
_PORTS = range(15_000, 32_000)
"""Below the ports that Linux gives to outgoing connections (from 32768). With one of those, a client that
knocks while its server is away may be given the server's own port, meet itself and keep the server out."""
_ATTEMPTS = 5
"""Other processes look for free ports too: so often others are tried."""
_POLL_SECONDS = 0.05

Started = TypeVar("Started")

# The kernel kills a server when the thread that started it ends. This thread ends with the interpreter, so
# that any other thread may start a server.
_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="server-starter")


@dataclass(kw_only=True)
class ServerProcess:
    """One server with its command, which names its port and its folder: a restart finds both again."""

    name: str
    command: Sequence[str]
    log: Path
    """What it writes to stdout and stderr, of all its starts."""
    is_ready: Callable[[], bool]
    may_start: Callable[[], bool] = lambda: True
    """Asked before a start until it says yes: something that the last run left may have to go first."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment of this process."""
    stop_signal: signal.Signals = signal.SIGTERM
    user: str | None = None
    """Whom to become; None = stay who we are. Only root may become another."""
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _log_start: int = field(default=0, init=False)

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.name} must have been started, however: it never was")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *, within_seconds: float = READY_WITHIN_SECONDS) -> None:
        """Start it and wait until it is ready; StartError where it is not, and then it is killed."""
        if self.running:
            raise RuntimeError(f"{self.name} must be stopped before a start, however: pid={self.pid} runs")
        deadline = time.monotonic() + within_seconds
        while not self.may_start():
            self._wait_a_little(deadline, "could not be started")
        self._process = _STARTER.submit(self._spawn).result()
        try:
            # Both: what answers on the port may be a stranger that took it before our server could.
            while not (self.is_ready() and self.running):
                self._wait_a_little(deadline, "was not ready")
                self._check_that_it_runs()
        except BaseException:
            self.kill()
            raise

    def stop(self, *, within_seconds: float = STOPPED_WITHIN_SECONDS) -> None:
        """Ask it to end, wait, and kill it where it does not; nothing happens to one that is not running."""
        if self._process is None or not self.running:
            return
        self.resume()
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(within_seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL for it and its own children: what a crash looks like."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def pause(self) -> None:
        """Freeze it: its connections stay open and nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stop it and start it again on the same port and data."""
        self.stop()
        self.start()

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            return subprocess.Popen(
                dying_with_its_parent(self.command, user=self.user),
                cwd=self.log.parent,
                env={**os.environ, **self.environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone: we stop the servers in their order
            )

    def _signal(self, number: signal.Signals) -> None:
        if self.running:
            with suppress(ProcessLookupError):  # it ended in between
                os.killpg(self.pid, number)

    def _check_that_it_runs(self) -> None:
        if self._process is not None and (code := self._process.poll()) is not None:
            raise StartError(f"{self.name} ended with code {code} before it was ready", log=self._written())

    def _wait_a_little(self, deadline: float, otherwise: str) -> None:
        if time.monotonic() > deadline:
            raise StartError(f"{self.name} {otherwise} in time", log=self._written())
        time.sleep(_POLL_SECONDS)

    def _written(self) -> str:
        """What it wrote since its last start."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")


def dying_with_its_parent(command: Sequence[str], *, user: str | None = None) -> list[str]:
    """The command behind `setpriv`, which asks the kernel to kill it when the thread that started it ends."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise NotInstallable("A server", "setpriv (util-linux) must be on the PATH, however: it is not found")
    become = [f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
    return [setpriv, "--pdeathsig=KILL", *become, "--", *command]


def on_free_ports(count: int, start: Callable[[list[int]], Started]) -> Started:
    """What `start` returns for ports that are free; it is called again with others where they were taken."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return start(free_ports(count))
        except StartError as error:
            if not error.port_was_taken or attempt == _ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


def listens(port: int) -> bool:
    """Whether somebody accepts connections on a port of this machine."""
    try:
        socket.create_connection((LOCALHOST, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def open_sockets(pid: int) -> int:
    """How many sockets a process has."""
    return sum(map(_is_socket, Path(f"/proc/{pid}/fd").iterdir()))


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for the data of servers, which is removed at the end.

    Not pytest's: only its owner may enter that, and PostgreSQL, which refuses to be root, is another.
    """
    with TemporaryDirectory(prefix="loan-default-servers-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def _is_socket(file: Path) -> bool:
    try:
        return str(file.readlink()).startswith("socket:")
    except FileNotFoundError:
        return False  # it was closed in between


def free_ports(count: int) -> list[int]:
    # Not the generator that tests seed: workers would all draw the same ports.
    candidates = random.SystemRandom().sample(_PORTS, k=len(_PORTS))
    return list(islice(filter(_is_free, candidates), count))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOCALHOST, port))
        except OSError:
            return False
    return True

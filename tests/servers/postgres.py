"""PostgreSQL as the distribution has it: never downloaded, only found and started."""

import os
import pwd
import secrets
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from servers.errors import NotInstallable
from servers.installation import find_program, run
from servers.process import LOCALHOST, ServerProcess, on_free_ports

_HINT = "on Debian: apt-get install postgresql"
_USER = "postgres"
"""The user of the distribution's package; PostgreSQL refuses to be root."""
_STATUS_LINE = 7
"""Of `postmaster.pid`, counted from 0: where the server says `ready`, and what pg_ctl waits for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Postgres:
    """A server that runs, and its superuser."""

    host: str
    """host:port."""
    username: str
    password: str
    process: ServerProcess

    @property
    def uri(self) -> str:
        return f"postgresql://{self.username}:{self.password}@{self.host}/postgres"

    @property
    def environment(self) -> dict[str, str]:
        return {"POSTGRES_URI": self.uri}

    def stop(self) -> None:
        self.process.stop()


def install_postgres() -> Path:
    """The folder of its programs; NotInstallable where the distribution's package is missing."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    places = tuple(str(path) for path in reversed(versions))
    return Path(find_program("PostgreSQL", "initdb", places=places, hint=_HINT)).resolve().parent


def start_postgres(folder: Path) -> Postgres:
    """Start a server with its data in `folder`, which must be new or empty, in a place its user may enter.

    Raises:
        NotInstallable: its package is missing, or we are root and the user `postgres` is missing.
        StartError: it does not come up.
    """
    programs = install_postgres()
    user = _other_user()
    folder.mkdir(parents=True, exist_ok=True)
    data, password_file, password = folder / "data", folder / "password", secrets.token_hex(16)
    password_file.touch(mode=0o600)
    password_file.write_text(password, encoding="utf-8")
    if user is not None:
        shutil.chown(folder, user)
        shutil.chown(password_file, user)
    access = ("--auth=scram-sha-256", f"--username={_USER}", f"--pwfile={password_file}")
    initdb = (str(programs / "initdb"), f"--pgdata={data}", *access, "--encoding=UTF8", "--no-sync")
    run("PostgreSQL", *initdb, folder=folder, user=user)
    return on_free_ports(1, lambda ports: _start(programs, folder, password, user, *ports))


def _start(programs: Path, folder: Path, password: str, user: str | None, port: int) -> Postgres:
    data = folder / "data"
    settings = {"listen_addresses": LOCALHOST, "port": port, "unix_socket_directories": "", "fsync": "off"}
    process = ServerProcess(
        name="PostgreSQL",
        command=[
            str(programs / "postgres"),
            f"-D{data}",
            *(f"--{name}={value}" for name, value in settings.items()),
        ],
        log=folder / "postgres.log",
        is_ready=lambda: _is_ready(data / "postmaster.pid", process.pid),
        stop_signal=signal.SIGINT,  # "fast": SIGTERM would wait for the last client to leave
        user=user,
    )
    process.start()
    return Postgres(host=f"{LOCALHOST}:{port}", username=_USER, password=password, process=process)


def _is_ready(status: Path, pid: int) -> bool:
    """What the server says of itself; a file with another pid is left over from one that was killed."""
    try:
        lines = status.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return False
    return lines[:1] == [str(pid)] and [line.strip() for line in lines[_STATUS_LINE:]] == ["ready"]


def _other_user() -> str | None:
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(_USER).pw_name
    except KeyError:
        raise NotInstallable("PostgreSQL", f"root must have a user {_USER!r} to become; {_HINT}") from None

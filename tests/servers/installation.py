"""Programs of others, downloaded or built once and kept in the user's cache folder."""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from servers.errors import NotInstallable
from servers.process import dying_with_its_parent

BUILD_WITHIN_SECONDS = 1_800.0
"""On two cores a cold build of FerretDB takes one to three minutes, one of kube-apiserver ten."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_SHOWN_CHARACTERS = 300
"""The most that is quoted of what a failed command wrote."""


def installed(server: str, version: str, build: Callable[[Path], None]) -> Path:
    """The folder of a server in the cache; `build` fills it where it is missing.

    The folder appears whole or not at all: it is built beside its place and renamed. A second process waits
    for the first; what a killed one left is removed by the next.

    Raises:
        NotInstallable: from `build`, or the cache cannot be written.
    """
    folder = cache_folder() / f"{server.lower()}-{version}"
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_name(f".{folder.name}.lock")):
            if not folder.is_dir():
                _build(folder, build)
    except OSError as error:
        raise NotInstallable(f"{server} {version}", f"{type(error).__name__}: {error}") from error
    return folder


def cache_folder() -> Path:
    """`loan-default/servers` in the user's cache folder, by the rule of the XDG base directories."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "loan-default" / "servers"


def find_program(server: str, name: str, *, places: tuple[str, ...] = (), hint: str) -> str:
    """The path of a program on the PATH or in one of the folders `places`; NotInstallable with the hint."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *places))
    if found := shutil.which(name, path=path):
        return found
    raise NotInstallable(server, f"{name} must be on the PATH, however: it is not found; {hint}")


def run(
    server: str,
    *command: str,
    folder: Path,
    environ: Mapping[str, str] | None = None,
    user: str | None = None,
) -> str:
    """What a command prints; NotInstallable with its first error where it fails."""
    shown = f"`{' '.join([Path(command[0]).name, *command[1:3]])} …`"
    try:
        done = subprocess.run(
            dying_with_its_parent(command, user=user),
            cwd=folder,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BUILD_WITHIN_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        reason = f"{shown} must end within {error.timeout:.0f} s, however: it did not"
        raise NotInstallable(server, reason) from error
    except subprocess.CalledProcessError as error:
        reason = _first_error(f"{error.stderr}\n{error.stdout}")
        raise NotInstallable(server, f"{shown} failed: {reason}") from error
    return done.stdout


def _build(folder: Path, build: Callable[[Path], None]) -> None:
    for left in folder.parent.glob(f".{folder.name}.*.part"):  # of a killed process: the lock is ours
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(
        prefix=f".{folder.name}.", suffix=".part", dir=folder.parent
    ) as temporary:
        made = Path(temporary) / folder.name
        made.mkdir()
        build(made)
        made.rename(folder)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Held by one process at a time; the kernel gives it back when the process ends, however it ends."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _first_error(output: str) -> str:
    plain = _COLOURS.sub("", output)
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() or line.startswith("go: ")]
    return (telling or lines[-1:] or ["it printed nothing"])[0][:_SHOWN_CHARACTERS]

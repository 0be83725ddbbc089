"""One run at a time in a folder: a second one would delete the checkpoints of the first.

The operating system holds the lock and frees it when the process ends, however it ends. A file beside it
names the holder; it has no effect once the lock is free.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from loan_default.errors import ConfigurationError
from loan_default.files import write_atomically

_LOCK, _HOLDER = ".run.lock", ".run.json"


@contextmanager
def only_run_in(out: Path) -> Iterator[None]:
    """Keep other runs by hand out of a folder while the block runs; the folder is made.

    Raises:
        ConfigurationError: another run uses it, or the folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / _LOCK, timeout=0)
        lock.acquire()
    except Timeout:
        raise ConfigurationError(
            f"Cannot train in {out}: {_holder(out)} is at work there. Wait for it, stop it, or choose "
            "another folder by --out."
        ) from None
    except OSError as error:
        raise unwritable_folder(out, error) from error
    try:
        write_atomically(out / _HOLDER, json.dumps(_this_process()).encode())
        yield
    finally:
        (out / _HOLDER).unlink(missing_ok=True)
        lock.release()


def unwritable_folder(out: Path, error: OSError) -> ConfigurationError:
    """The error to raise where the folder of a run cannot be made or written."""
    return ConfigurationError(
        f"--out must be a folder that can be written, however: {out}: {error.strerror}. Choose another."
    )


def _this_process() -> dict[str, str | int]:
    return {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _holder(out: Path) -> str:
    """The process that holds the lock, in words."""
    try:
        held = json.loads((out / _HOLDER).read_bytes())
        return f"process {held['process']} on {held['host']} (since {held['since']})"
    except (OSError, ValueError, KeyError, TypeError):  # it has only just begun
        return "another run"

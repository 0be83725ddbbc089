"""Atomic writes, which leave a file whole or absent, and digests of files."""

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_atomically(path: Path, data: bytes | Callable[[Path], None]) -> None:
    """Write a file so that readers and crashes see the old content or the new, never a part.

    The bytes, or whatever the function writes to the path it is given, go to a temporary file in the
    same folder, which is flushed to the disk and renamed over `path`; then the folder is flushed too.
    Missing folders are made. A temporary file that a kill leaves behind is hidden and ends in `.tmp`.

    Raises:
        OSError: the folder cannot be written. Whatever the function raises passes through as it is. In both
            cases `path` is as it was and the temporary file is gone.
    """
    with _written_beside(path, data) as temporary:
        temporary.replace(path)


def write_once(path: Path, data: bytes) -> None:
    """Make a file as `write_atomically` does, unless it exists: of several processes the first one's stays.

    Raises:
        OSError: the folder cannot be written, or its file system has no hard links.
    """
    with _written_beside(path, data) as temporary, suppress(FileExistsError):
        os.link(temporary, path)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file of any size as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _written_beside(path: Path, data: bytes | Callable[[Path], None]) -> Iterator[Path]:
    """Write and flush a temporary file in the folder of a path; it is gone after the block."""
    folder = path.parent
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{path.name[:40]}.{secrets.token_hex(8)}.tmp"
    try:
        # Not by tempfile, which lets only the owner read: here the kernel applies the umask.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        if callable(data):
            data(temporary)
        else:
            temporary.write_bytes(data)
        _flush(temporary, os.O_RDWR)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":  # elsewhere a folder cannot be opened
        _flush(folder, os.O_RDONLY)


def _flush(path: Path, mode: int) -> None:
    descriptor = os.open(path, mode)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Lines on disk between the answer that they belong to and the store that keeps them.

A line is written before its answer goes out, so a process that is killed after that loses none; `sync`
brings lines to the disk itself, for machines that lose their power. A process appends to a file of its own,
which it holds locked. Files whose owner is gone are adopted by whoever looks first.

    predictions_spool/01764450000000000000-4711-000000.jsonl
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Lock

from loan_default.errors import ConfigurationError, DependencyError

LIMIT_BYTES = 256 * 2**20
"""Default of the bytes that may wait: about half a million predictions."""
_SUFFIX = ".jsonl"
_DAMAGED = ".damaged"
_CLOSED = "the spool is closed"


@dataclass(eq=False, kw_only=True, slots=True)
class Segment:
    """One file of lines, locked by this process until it is removed."""

    path: Path
    descriptor: int
    size: int = 0
    """Bytes of whole lines."""
    lines: int = 0
    began: float = field(default_factory=time.monotonic)
    """Time of the first line, by the monotonic clock."""
    done: int = 0
    """Bytes from the start that are stored; storing them again would change nothing."""
    damaged: int = 0
    """Lines among them that could not be read."""

    def unstored(self) -> Iterator[bytes]:
        """Yield the lines that are not stored yet, each with its end."""
        with self.path.open("rb") as file:
            file.seek(self.done)
            left = self.size - self.done
            while left > 0 and (line := file.readline()):
                left -= len(line)
                yield line


class Spool:
    """A folder of segments; safe to use from several threads, and by several processes."""

    def __init__(self, folder: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        """Open the folder, make it where it is not there, and adopt what dead processes left.

        Raises:
            ConfigurationError: the folder cannot be written.
        """
        self._folder, self._limit = folder, limit_bytes
        self._lock, self._numbers = Lock(), count()
        self._broken: str | None = None
        self._has_refused = False  # for want of room, since a segment was last removed
        self._sealed: list[Segment] = []
        self._dirty: list[Segment] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._current = self._new_segment()
            self.adopt()
        except OSError as error:
            raise ConfigurationError(
                f"predictions must be spooled to a folder that can be written, however: {folder} "
                f"({error.strerror}). Choose another LOAN_DEFAULT_HOME."
            ) from error

    @property
    def size(self) -> int:
        """Bytes that wait in the segments of this process."""
        with self._lock:
            return self._size()

    @property
    def waiting(self) -> int:
        """Lines that wait in the segments of this process, those of a segment that is being stored too."""
        with self._lock:
            return sum(each.lines for each in (*self._sealed, self._current))

    @property
    def is_full(self) -> bool:
        """Whether lines are refused, as they exceed the limit or the disk fails."""
        with self._lock:
            return self._broken is not None or self._has_refused or self._size() >= self._limit

    @property
    def oldest_seconds(self) -> float:
        """How long the oldest line has waited; 0 = none waits."""
        with self._lock:
            began = [each.began for each in (*self._sealed, self._current) if each.size]
        return time.monotonic() - min(began) if began else 0.0

    def append(self, lines: bytes, *, number: int) -> None:
        """Append lines, of which each has its end, or none of them.

        Raises:
            DependencyError: the limit is reached, or the disk does not take them.
        """
        with self._lock:
            if self._broken is not None:
                raise DependencyError(f"Cannot keep predictions: {self._broken}. Start the process anew.")
            if self._size() + len(lines) > self._limit:
                self._has_refused = self._size() > 0  # where nothing waits, nothing is removed either
                raise DependencyError(
                    f"Cannot keep predictions: {self._size()} of {self._limit} bytes wait for the document "
                    "store. See why it takes none."
                )
            segment = self._current
            if segment.size == 0:
                segment.began = time.monotonic()
            try:
                _write(segment.descriptor, lines)
            except OSError as error:
                with suppress(OSError):  # a part of a line must not stand before the next one
                    os.ftruncate(segment.descriptor, segment.size)
                raise DependencyError(
                    f"Cannot keep predictions: the disk refused them ({error.strerror}). Make room on it."
                ) from error
            segment.size += len(lines)
            segment.lines += number
            if segment not in self._dirty:
                self._dirty.append(segment)

    def sync(self) -> None:
        """Bring all lines to the disk; what fails stays known as `is_full`.

        Raises:
            OSError: no descriptor is free; the next call brings what is left.
        """
        for _ in range(len(self._dirty)):
            with self._lock:
                if not self._dirty:
                    return
                copy = os.dup(self._dirty[0].descriptor)
                del self._dirty[0]
            try:
                os.fsync(copy)
            except OSError as error:  # the kernel may have dropped the lines: no later call would tell
                self._broken = f"the disk did not take them ({error.strerror})"
            finally:
                os.close(copy)

    def take(self) -> Segment | None:
        """Return the segment to store next, the same one until it is removed; None = nothing waits."""
        with self._lock:
            if self._sealed:
                return self._sealed[0]
            if self._current.size == 0:
                return None
        fresh = self._new_segment()
        with self._lock:
            self._sealed.append(self._current)
            self._current = fresh
            return self._sealed[0]

    def remove(self, segment: Segment) -> None:
        """Remove a segment whose lines are stored; one with damaged lines stays under another name."""
        with self._lock:
            self._sealed.remove(segment)
            self._has_refused = False
            if segment in self._dirty:
                self._dirty.remove(segment)
            if segment.damaged:
                segment.path.replace(segment.path.with_suffix(_DAMAGED))
            else:
                segment.path.unlink(missing_ok=True)
            os.close(segment.descriptor)

    def adopt(self) -> int:
        """Take over the segments of processes that are gone; return their number of lines.

        Raises:
            OSError: the folder or a file cannot be read; what was taken over until then stays so.
        """
        with self._lock:
            ours = {each.path for each in (*self._sealed, self._current)}
        lines = 0
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            if path not in ours and (segment := _adopted(path)) is not None:
                with self._lock:
                    self._sealed.append(segment)
                lines += segment.lines
        return lines

    def close(self) -> None:
        """Give the segments up: whoever opens the folder next adopts them; an empty one is removed."""
        with suppress(OSError):
            self.sync()
        with self._lock:
            if self._broken == _CLOSED:
                return
            for each in (*self._sealed, self._current):
                if each.size == 0:
                    each.path.unlink(missing_ok=True)
                os.close(each.descriptor)
            self._sealed.clear()
            self._broken = _CLOSED

    def _size(self) -> int:
        return sum(each.size for each in self._sealed) + self._current.size

    def _new_segment(self) -> Segment:
        """Make a segment that nobody can adopt: it gets its name when it is locked."""
        name = f"{time.time_ns():020d}-{os.getpid()}-{next(self._numbers):06d}{_SUFFIX}"
        path = self._folder / name
        hidden = path.with_name(f".{name}.tmp")
        descriptor = os.open(hidden, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        hidden.replace(path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return Segment(path=path, descriptor=descriptor)


def _write(descriptor: int, lines: bytes) -> None:
    view = memoryview(lines)
    while view:
        view = view[os.write(descriptor, view) :]


def _adopted(path: Path) -> Segment | None:
    """Lock the segment of a process that is gone; None where one lives, or it belongs to somebody else."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        content = path.read_bytes()
    except (BlockingIOError, FileNotFoundError):
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)  # which unlocks it, for a later attempt
        raise
    if os.fstat(descriptor).st_nlink == 0:  # stored and removed between opening and locking
        os.close(descriptor)
        return None
    # A line without its end was being written when its process died: its answer never went out.
    whole = content.rfind(b"\n") + 1
    if whole == 0:
        path.unlink(missing_ok=True)
        os.close(descriptor)
        return None
    return Segment(path=path, descriptor=descriptor, size=whole, lines=content.count(b"\n", 0, whole))

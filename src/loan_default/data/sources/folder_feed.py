"""A folder that files of applications are dropped into: each is taken once, whoever reads and whoever dies.

    loans.csv                               a file that has just come
    .taken/<token>-loans.csv                being sent; the process that sends it has locked it (flock)
    .taken/<token>-loans.csv.json           its watermark
    .done/loans-<8 digits of SHA-256>.csv   sent
    .refused/loans-<8 digits>.csv           not a file of these applications, with a `.reason.txt` beside it

The lock is on the file itself and is taken before the file is moved, so that a file in `.taken` is never
unlocked while its process lives. It ends with that process; the next one then continues from the watermark.
This works on POSIX systems and local disks.

Writers should write under a name that begins with a dot or ends in `.tmp` or `.part`, then rename.
"""

import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loan_default.data.schema.file_format import FileFormat
from loan_default.data.schema.language import Schema
from loan_default.data.sources.feeds import (
    BATCH_ROWS,
    FeedBatch,
    Watermark,
    batches_of,
    check_columns,
    file_rows,
    plain_text,
)
from loan_default.data.sources.format_words import format_logged
from loan_default.data.sources.sniffing import format_for
from loan_default.data.sources.table_files import iter_frames, stem_of, suffix_of
from loan_default.errors import ConfigurationError, DataError, UnclearFileError
from loan_default.files import sha256_of, write_atomically

_WATERMARK = ".json"
_REASON = ".reason.txt"
_GROWS = "it changed while it was read: it is still being written"
_DROP_AGAIN = "Drop it again to send all of its rows."
_LONGEST_STEM = 180
"""Bytes of a file's name that are kept, so that it fits into 255 together with a token and a tag."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusedFile:
    """A file that cannot be used, with the reason."""

    name: str
    """The name under which it was dropped."""
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitingFile:
    """A file that is not taken yet, with the reason: it is taken later, or after a person has acted."""

    name: str
    """The name under which it was dropped."""
    reason: str


class FolderFeed:
    """Files of a folder, the oldest first; any number of processes may read the folder at the same time.

    A file is used whole or not at all: it is read to its end before its first row is sent. It is not taken
    while it is empty, was changed in the last `settle_seconds` or changes meanwhile, or if it is no plain
    file. Ids: `file-<16 digits of the file's SHA-256>-<row>`: the same content under another name gives the
    same ids.
    """

    def __init__(
        self, folder: Path, schema: Schema, *, settle_seconds: float = 2.0, batch_rows: int = BATCH_ROWS
    ) -> None:
        if settle_seconds < 0 or batch_rows < 1:
            raise ConfigurationError(
                "settle_seconds must be at least 0 and batch_rows at least 1, however: "
                f"settle_seconds={settle_seconds}, batch_rows={batch_rows}"
            )
        self.refused: list[RefusedFile] = []
        """Files that this feed has refused since `batches` was last called."""
        self.unknown: list[str] = []
        """Files that were seen then and are no files of applications by their names; they stay."""
        self.waiting: list[WaitingFile] = []
        """Files that were seen then and left for later: too young, empty, being written, or locked by another
        process."""
        self.folder, self._schema = folder, schema
        self._settle_seconds, self._batch_rows = settle_seconds, batch_rows
        self._taken, self._done, self._refused = (folder / name for name in (".taken", ".done", ".refused"))

    def batches(self) -> Iterator[FeedBatch]:
        """The rows of all files that are there now and that no other process has locked.

        Raises:
            DataError: there is no such folder.
        """
        self.refused, self.unknown, self.waiting = [], [], []
        if not self.folder.is_dir():
            raise DataError(f"the folder of applications must exist, however: {self.folder}. Make it.")
        try:
            for folder in (self._taken, self._done, self._refused):
                folder.mkdir(exist_ok=True)
        except OSError as error:
            raise DataError(
                f"the folder of applications must be writable, however: {self.folder}: {error.strerror}"
            ) from error
        for path in [*self._left_behind(), *self._dropped()]:
            try:
                lock = _lock(path)
            except PermissionError as error:
                reason = f"a file must be readable, however: {error.strerror}"
                self._refuse(path, reason, tag=secrets.token_hex(4))
                continue
            if lock is None:
                if path.exists():
                    self._wait(path, "another process is sending it")
                continue
            try:
                yield from self._batches_of(path, lock)
            finally:
                os.close(lock)

    def refused_before(self) -> list[RefusedFile]:
        """Files that were refused before `batches` was last called and still lie in the folder, by name."""
        new = {file.name for file in self.refused}
        found = []
        for path in sorted(self._refused.glob(f"*{_REASON}")):
            name = _untagged(path.name.removesuffix(_REASON))
            if name not in new and path.with_name(path.name.removesuffix(_REASON)).exists():
                reason = path.read_text(errors="replace").strip()
                found.append(RefusedFile(name=name, reason=reason))
        return found

    def _left_behind(self) -> list[Path]:
        """Files that were taken and are not finished, whether their processes live or not."""
        for watermark in self._taken.glob(f"*{_WATERMARK}"):
            if not watermark.with_name(watermark.name.removesuffix(_WATERMARK)).exists():
                watermark.unlink(missing_ok=True)  # its file was finished when the process died
        return sorted(path for path in self._taken.iterdir() if suffix_of(path) and path.name[0] != ".")

    def _dropped(self) -> list[Path]:
        found = []
        for path in self.folder.iterdir():
            if path.name.startswith("."):
                continue
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue  # another process has taken it
            if path.name.endswith((".tmp", ".part")):
                self._wait(path, "its name says that it is still being written. Rename it when it is whole")
                continue
            if not stat.S_ISREG(status.st_mode):
                self._wait(path, "it must be a plain file, however: it is a folder, a link or a device")
                continue
            if suffix_of(path) is None:
                self.unknown.append(_filed_name(path.name))
                continue
            found.append((status.st_mtime_ns, path.name, path))
        return [path for _, _, path in sorted(found)]

    def _batches_of(self, path: Path, lock: int) -> Iterator[FeedBatch]:
        status = os.fstat(lock)
        begun = path.parent == self._taken and _watermark_of(path).exists()
        if not begun and (reason := self._not_settled(status)):
            self._wait(path, reason)
            return
        taken = self._take(path, lock) if path.parent == self.folder else path
        if taken is None:
            return
        path = taken
        name, digest = _dropped_name(path), sha256_of(path)
        try:
            form = format_for(path, self._schema)
            check_columns(path, self._schema, form)
            if not begun:
                _read_to_the_end(path, form)
            if _has_changed(status, lock):
                self._wait(path, _GROWS)
                return
            watermark = Watermark(_watermark_of(path), digest=digest, what=name, advice=_DROP_AGAIN)
            end = watermark.next_row
            rows = file_rows(path, self._schema, prefix=f"file-{digest[:16]}", start=end, form=form)
            source = plain_text(name)
            batches = batches_of(rows, watermark=watermark, source=source, batch_rows=self._batch_rows)
            for batch in format_logged(batches, form, file=source):
                end += len(batch.rows)
                yield batch
        except (DataError, UnclearFileError) as error:
            # A file that still changes is validated when it has settled.
            if _has_changed(status, lock):
                self._wait(path, _GROWS)
            else:
                self._refuse(path, str(error).replace(path.name, name), tag=digest[:8])
            return
        if _has_changed(status, lock):
            self._wait(path, _GROWS)
        elif watermark.next_row >= end:
            path.rename(self._done / _filed_name(name, tag=digest[:8]))
            _watermark_of(path).unlink(missing_ok=True)

    def _take(self, path: Path, lock: int) -> Path | None:
        """Move a dropped file to `.taken` and return its path; None where it was taken back or replaced."""
        try:
            taken = path.rename(self._taken / f"{secrets.token_hex(8)}-{_filed_name(path.name)}")
        except FileNotFoundError:
            return None  # its owner has taken it back
        # Where another file has just come under the name, the next run takes it.
        return taken if _is_at(lock, taken) else None

    def _not_settled(self, status: os.stat_result) -> str:
        """Why a file is not taken yet; empty = it can be taken."""
        if not status.st_size:
            return "it is empty"
        # A file from a machine whose clock is ahead would be young for long; the change time is ours.
        age = time.time() - min(status.st_mtime, status.st_ctime)
        if age >= self._settle_seconds:
            return ""
        return (
            f"it changed {max(0.0, age):.1f} s ago, and is taken when it has been left alone for "
            f"{self._settle_seconds:g} s"
        )

    def _wait(self, path: Path, reason: str) -> None:
        name = _dropped_name(path) if path.parent == self._taken else _filed_name(path.name)
        self.waiting.append(WaitingFile(name=name, reason=reason))

    def _refuse(self, path: Path, reason: str, *, tag: str) -> None:
        name = _dropped_name(path) if path.parent == self._taken else _filed_name(path.name)
        target = self._refused / _filed_name(name, tag=tag)
        write_atomically(target.with_name(f"{target.name}{_REASON}"), f"{reason}\n".encode(errors="replace"))
        try:
            path.rename(target)
        except FileNotFoundError:
            return  # another process was faster, and has reported it
        _watermark_of(path).unlink(missing_ok=True)
        self.refused.append(RefusedFile(name=name, reason=reason))


def _lock(path: Path) -> int | None:
    """Lock a file and return its descriptor; None where another process holds the lock or has moved it."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(lock, path):
            return lock
    except BlockingIOError:
        pass  # the process that holds it lives
    os.close(lock)
    return None


def _is_at(lock: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), path.lstat())
    except FileNotFoundError:
        return False


def _has_changed(status: os.stat_result, lock: int) -> bool:
    now = os.fstat(lock)
    return (status.st_size, status.st_mtime_ns) != (now.st_size, now.st_mtime_ns)


def _read_to_the_end(path: Path, form: FileFormat) -> None:
    for _ in iter_frames(path, rows=BATCH_ROWS, form=form):
        pass


def _watermark_of(path: Path) -> Path:
    return path.with_name(path.name + _WATERMARK)


def _dropped_name(taken: Path) -> str:
    return taken.name.partition("-")[2] or taken.name


def _untagged(filed: str) -> str:
    """The name of a file without the tag of `_filed_name`."""
    stem = stem_of(Path(filed))
    return f"{stem.rpartition('-')[0] or stem}{filed[len(stem) :]}"


def _filed_name(name: str, *, tag: str = "") -> str:
    """A name with a tag before its suffix, in UTF-8 (Arrow opens no other) and short enough for the disk."""
    stem = stem_of(Path(name))
    short = os.fsencode(stem)[:_LONGEST_STEM].decode(errors="replace")
    return f"{short}-{tag}{name[len(stem) :]}" if tag else f"{short}{name[len(stem) :]}"

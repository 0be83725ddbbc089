"""Files as streams of bytes, unpacked: gzip, or a zip with one table in it.

The content of a file decides how it is packed, not its name. A zip may hold notes beside its table (a readme,
a PDF); several tables are refused with their names.
"""

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from loan_default.data.schema.file_format import Compression
from loan_default.errors import DataError

PACKING_ERRORS = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError)
"""What a damaged gzip or zip raises while it is read. A zip with a password raises RuntimeError."""

_OTHER_PACKERS = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!": "RAR",
}
_WORKBOOK_PARTS = ("[Content_Types].xml", "xl/workbook.xml", "xl/workbook.bin", "content.xml")
"""Members of a zip that is a workbook: xlsx, xlsb, ods."""
_NOTES = re.compile(
    r"(^|[/_ .-])(read[ _-]?me|licen[cs]e|notes?|description|documentation|dictionary|metadata|changelog)\b",
    re.IGNORECASE,
)
_NO_TABLES = (".pdf", ".doc", ".docx", ".md", ".rst", ".html", ".htm", ".xml", ".png", ".jpg", ".sql", ".py")


def compression_of(path: Path) -> Compression:
    """How a file is packed, by its first bytes; a workbook is none, although it is a zip.

    Raises:
        DataError: it cannot be read, or is packed in a way that is not supported.
    """
    with readable(path), path.open("rb") as stream:
        start = stream.read(8)
    for magic, packer in _OTHER_PACKERS.items():
        if start.startswith(magic):
            raise DataError(
                f"a data file must be packed by gzip or zip, or not at all, however: {path.name} is packed "
                f"by {packer}. Unpack it."
            )
    if start.startswith(b"\x1f\x8b"):
        return Compression.GZIP
    if start.startswith((b"PK\3\4", b"PK\5\6")):
        with readable(path), zipfile.ZipFile(path) as archive:
            is_workbook = any(name in _WORKBOOK_PARTS for name in archive.namelist())
        return Compression.NONE if is_workbook else Compression.ZIP
    return Compression.NONE


@contextmanager
def open_unpacked(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, unpacked.

    Raises:
        DataError: as `compression_of`, or a zip does not hold exactly one table.
    """
    compression = compression_of(path)
    if compression is Compression.ZIP:
        with (
            readable(path),
            zipfile.ZipFile(path) as archive,
            archive.open(_table_in(archive, path)) as member,
        ):
            yield member
    elif compression is Compression.GZIP:
        with gzip.open(path, "rb") as stream:
            yield io.BufferedReader(stream, 64 * 1024)
    else:
        with path.open("rb") as stream:
            yield stream


def unpacked_bytes(path: Path) -> bytes | None:
    """The content of a packed file; None where the file is not packed and can be read in place."""
    if compression_of(path) is Compression.NONE:
        return None
    with readable(path), open_unpacked(path) as stream:
        return stream.read()


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what a damaged file raises into a DataError that names it."""
    try:
        yield
    except DataError:
        raise
    except PACKING_ERRORS as error:
        raise DataError(
            f"the data file must be readable to its end, however: {path.name}: "
            f"{str(error) or type(error).__name__}"
        ) from error


def _table_in(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    """The one member of an archive that is a table."""
    members = [member for member in archive.infolist() if not _is_hidden(member)]
    tables = members
    if len(tables) > 1:
        tables = [member for member in members if not member.filename.lower().endswith(_NO_TABLES)]
    if len(tables) > 1:
        tables = [
            member for member in tables if not _NOTES.search(PurePosixPath(member.filename).name)
        ] or tables
    if len(tables) != 1:
        names = ", ".join(repr(member.filename) for member in tables[:10]) or "none"
        raise DataError(
            f"a zip must hold one table, however: {path.name} holds {names}. Unpack it, and name one of its "
            "files."
        )
    return tables[0]


def _is_hidden(member: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(member.filename).parts
    return member.is_dir() or not parts or parts[0] == "__MACOSX" or parts[-1].startswith(".")


class ChunkStream(io.RawIOBase):
    """Chunks of bytes as a stream that others read from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, memoryview(b"")

    def readable(self) -> bool:
        """Say that it can be read, as `io` asks."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer with what comes next; 0 = the end."""
        while not len(self._rest):
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        n = min(len(buffer), len(self._rest))
        buffer[:n] = self._rest[:n]
        self._rest = self._rest[n:]
        return n

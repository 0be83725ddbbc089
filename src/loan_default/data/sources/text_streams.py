"""Text files as streams of UTF-8 that a reader of CSV can split, whatever their packing and encoding.

Lines above the header are left out, and runs of blanks between fields become one blank.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from loan_default.data.schema.file_format import FileFormat
from loan_default.data.sources.encodings import utf8_chunks
from loan_default.data.sources.packing import ChunkStream, open_unpacked

_BUFFER_BYTES = 512 * 1024


@contextmanager
def open_text(path: Path, form: FileFormat) -> Iterator[IO[bytes]]:
    """Open a text file as UTF-8 without the lines above its header, one blank for each run of blanks."""
    with open_unpacked(path) as stream:
        chunks = utf8_chunks(stream, form.encoding)
        if form.skip:
            chunks = _without_lines(chunks, form.skip)
        if form.delimiter == " ":
            chunks = _with_single_blanks(chunks, form.quote)
        yield io.BufferedReader(ChunkStream(chunks), _BUFFER_BYTES)


class EndableStream(io.RawIOBase):
    """A stream of bytes that can be ended before its end, by whoever no longer needs the rest."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._is_ended = stream, False

    def readable(self) -> bool:
        """Say that it can be read, as `io` asks."""
        return True

    def read(self, size: int = -1) -> bytes:
        """The next bytes; none after the end."""
        return b"" if self._is_ended else bytes(self._stream.read(size))

    def end(self) -> None:
        """Let nothing more be read."""
        self._is_ended = True


def _without_lines(chunks: Iterator[bytes], n_lines: int) -> Iterator[bytes]:
    start = b""
    for chunk in chunks:
        start += chunk
        lines = re.split(rb"(?<=\n)|(?<=\r)(?!\n)", start, maxsplit=n_lines)
        # A break at the very end may be the first half of one.
        if len(lines) > n_lines and lines[-1]:
            yield lines[-1]
            break
    else:
        lines = re.split(rb"(?<=\n)|(?<=\r)(?!\n)", start, maxsplit=n_lines)
        if len(lines) > n_lines:
            yield lines[-1]
    yield from chunks


def _with_single_blanks(chunks: Iterator[bytes], quote: str) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        rest += chunk
        end = max(rest.rfind(b"\n"), rest.rfind(b"\r")) + 1
        if end:
            yield _squeeze(rest[:end], quote.encode())
            rest = rest[end:]
    yield _squeeze(rest, quote.encode())


def _squeeze(lines: bytes, quote: bytes) -> bytes:
    if quote and quote in lines:
        kept = rb"(?:(?<=[ \t\r\n])|^)" + quote + rb"[^\r\n" + quote + rb"]*" + quote + rb"|[ \t]+"
        squeezed = re.sub(kept, lambda match: match[0] if match[0].startswith(quote) else b" ", lines)
    else:
        squeezed = re.sub(rb"[ \t]+", b" ", lines)
    return re.sub(rb"^ | (?=[\r\n]|\Z)", b"", squeezed, flags=re.MULTILINE)

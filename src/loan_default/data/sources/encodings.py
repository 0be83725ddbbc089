"""The encoding of a text file, and its text as a stream of UTF-8.

A file is looked through once, from its first byte to its last: an accent may come late. UTF-8 is known by its
own rules and UTF-16 by its mark or its zeros; `code_pages` tells the others apart by alphabets of languages.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from loan_default.data.sources.code_pages import find_code_page, may_be_in
from loan_default.data.sources.packing import open_unpacked, readable
from loan_default.errors import DataError

_BLOCK_BYTES = 512 * 1024
_HEAD_BYTES = 256 * 1024
"""How much of the beginning and at most of the end is looked at closely."""
_TAIL_BYTES = 64 * 1024
_ODD_BYTES = 16 * 1024
"""How much text with other bytes than ASCII and UTF-8 is kept to tell its code page."""
_LONG_LINE = 1_000
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order mark -> codec that reads it; the longer ones first."""
_BAD = re.compile("[\udc80-\udcff]")
_OTHER = re.compile("[^\x00-\x7f]")
_MOST_DAMAGED = 20
"""One in so many characters beyond ASCII may be damaged in a file of an encoding."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Glance:
    """What is known of a text file after it was looked through."""

    encoding: str
    """ "ascii" = all its bytes are ASCII, which most encodings write alike."""
    head: str
    """The beginning, up to the last whole line of 256 KB (all of a smaller file)."""
    tail: str
    """The end: the last whole lines of 64 KB."""
    is_whole: bool
    """Whether `head` is the whole file."""
    is_guess: bool = False
    """Whether the code page is only the likeliest one."""


def look_through(path: Path, *, encoding: str = "") -> Glance:
    """Read a text file once, and find out its encoding.

    Args:
        encoding: what it is expected to be in, which is believed where its bytes can be that and do not show
            another one; "" = nothing is known. Then the file may be read a second time.

    Raises:
        DataError: it cannot be read, is empty or is not text.
    """
    scan = _Scan()
    with readable(path), open_unpacked(path) as stream:
        while block := stream.read(_BLOCK_BYTES):
            scan.add(block)
    if not scan.head.strip(b"\r\n\t \0\xef\xbb\xbf\xff\xfe"):
        raise DataError(f"the data file must hold a header and rows, however: {path.name} is empty")
    found = scan.known_encoding(path)
    is_guess = False
    if found is None:
        page = find_code_page(scan.odd)
        # Bytes that no language explains are damaged ones: their rows will be named.
        found, is_guess = page.name or "utf-8", page.is_guess
        if encoding and _may_be(path, encoding, found=found, odd=scan.odd):
            found, is_guess = encoding, False
    is_whole = scan.size <= len(scan.head)
    return Glance(
        encoding=found,
        head=_whole_lines(bytes(scan.head), found, is_whole=is_whole),
        tail=_last_lines(bytes(scan.tail), found, offset=scan.size - len(scan.tail)),
        is_whole=is_whole,
        is_guess=is_guess,
    )


def _may_be(path: Path, encoding: str, *, found: str, odd: bytes) -> bool:
    """Whether a file that is in a code page may be in that encoding rather than in the one found."""
    name = codecs.lookup(encoding).name
    if name == codecs.lookup(found).name:
        return True
    if name.startswith(("utf", "ascii")) or not may_be_in(odd, encoding, found=found):
        return False
    decoder = codecs.getincrementaldecoder(encoding)(errors="surrogateescape")
    n_bad = n_other = 0
    with readable(path), open_unpacked(path) as stream:
        while block := stream.read(_BLOCK_BYTES):
            text = decoder.decode(block)
            if not text.isascii():
                n_bad += len(_BAD.findall(text))
                n_other += len(_OTHER.findall(text))
    return n_bad * _MOST_DAMAGED <= n_other


def utf8_chunks(stream: IO[bytes], encoding: str, *, block_bytes: int = _BLOCK_BYTES) -> Iterator[bytes]:
    """The text of a stream in UTF-8, without a byte order mark.

    Bytes that are not of the encoding stay what they are, so that they are not UTF-8 either, and their row is
    rejected.

    Raises:
        DataError: text in UTF-16 breaks off within a character.
    """
    name = codecs.lookup(encoding).name
    is_first = True
    if name in ("utf-8", "utf-8-sig", "ascii"):
        while block := stream.read(block_bytes):
            yield block.removeprefix(codecs.BOM_UTF8) if is_first else block
            is_first = False
        return
    damage = "surrogatepass" if name.startswith(("utf-16", "utf-32")) else "surrogateescape"
    decoder = codecs.getincrementaldecoder(encoding)(errors=damage)
    try:
        while block := stream.read(block_bytes):
            text = decoder.decode(block)
            if is_first and text:
                text, is_first = text.removeprefix("\ufeff"), False
            yield text.encode("utf-8", damage)
        yield decoder.decode(b"", final=True).encode("utf-8", damage)
    except UnicodeError as error:
        raise DataError(f"the data file must be in {encoding} to its end, however: {error}") from error


def same_encoding(first: str, second: str) -> bool:
    """Whether two encodings are read alike: byte order and byte order mark do not matter."""
    return _family(first) == _family(second)


def is_written_in(found: str, declared: str) -> bool:
    """Whether text in the encoding `found` can be what a schema declares.

    A schema whose file was ASCII tells nothing of the encoding, and ASCII is written alike in each that
    extends it: all but those of two or four bytes a character.
    """
    if "ascii" in (codecs.lookup(found).name, codecs.lookup(declared).name):
        return not any(_family(each) in ("utf-16", "utf-32") for each in (found, declared))
    return same_encoding(found, declared)


def _family(encoding: str) -> str:
    name = codecs.lookup(encoding).name
    for family in ("utf-8", "utf-16", "utf-32"):
        if name.startswith(family):
            return family
    # Latin-1 is Windows-1252 without its characters from 0x80 to 0x9F.
    return {"ascii": "utf-8", "iso8859-1": "cp1252", "iso8859-15": "cp1252"}.get(name, name)


class _Scan:
    """What was seen of a stream of bytes so far."""

    def __init__(self) -> None:
        self.head, self.tail = bytearray(), bytearray()
        self.size = self.n_good = self.n_bad = 0
        self._odd = bytearray()
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape")

    def add(self, block: bytes) -> None:
        self.size += len(block)
        if len(self.head) < _HEAD_BYTES:
            self.head += block[: _HEAD_BYTES - len(self.head)]
        self.tail += block[-_TAIL_BYTES:]
        del self.tail[:-_TAIL_BYTES]
        if block.isascii():
            self.n_bad += len(_BAD.findall(self._decoder.decode(block[:4])))
            self._decoder.reset()
            return
        text = self._decoder.decode(block)
        n_bad = len(_BAD.findall(text))
        self.n_bad += n_bad
        self.n_good += len(block) - len(text)
        if n_bad and len(self._odd) < _ODD_BYTES:
            for line in re.split(rb"[\r\n]", block):
                if not line.isascii() and len(self._odd) < _ODD_BYTES:
                    self._odd += _odd_parts(line) + b"\n"

    def known_encoding(self, path: Path) -> str | None:
        """The encoding where its own rules show it; None = it is a code page."""
        start = bytes(self.head[:4])
        for mark, codec in _MARKS.items():
            if start.startswith(mark):
                return codec
        if (wide := _wide_encoding(bytes(self.head[:4096]))) is not None:
            return wide
        zeros = self.head.count(0)
        if (
            zeros > len(self.head) / 200
            or 0 in re.split(rb"[\r\n]", self.head.lstrip(b"\r\n"), maxsplit=1)[0]
        ):
            raise DataError(
                f"a data file must be a table, however: {path.name} looks binary. Export it as CSV in UTF-8."
            )
        if not self.n_bad and not self.n_good:
            return "ascii"
        if not self.n_bad or self.n_good >= self.n_bad:
            return "utf-8"
        return None

    @property
    def odd(self) -> bytes:
        """Lines with other bytes than ASCII and UTF-8."""
        return bytes(self._odd)


def _odd_parts(line: bytes) -> bytes:
    """A line, or of a long one the fields that are not ASCII."""
    if len(line) <= _LONG_LINE:
        return line
    parts = [part for part in re.split(rb"[,;\t]", line) if not part.isascii()]
    return b",".join(parts)[:_LONG_LINE]


def _wide_encoding(start: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of ASCII text is zero."""
    if len(start) < 4:
        return None
    even, odd = start[0::2].count(0), start[1::2].count(0)
    half = len(start) / 2
    if odd > 0.4 * half and even < 0.05 * half:
        return "utf-16-le"
    if even > 0.4 * half and odd < 0.05 * half:
        return "utf-16-be"
    return None


def _whole_lines(head: bytes, encoding: str, *, is_whole: bool) -> str:
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    text = decoder.decode(head, final=is_whole).removeprefix("\ufeff")
    if is_whole:
        return text
    end = max(text.rfind("\n"), text.rfind("\r"))
    return text[: end + 1] if end >= 0 else text


def _last_lines(tail: bytes, encoding: str, *, offset: int) -> str:
    name = codecs.lookup(encoding).name
    if name == "utf-16" and offset:
        # The mark is at the beginning of the file: zeros at the end show the byte order.
        encoding = "utf-16-be" if tail[0::2].count(0) > tail[1::2].count(0) else "utf-16-le"
    if name.startswith("utf-16"):
        tail = tail[offset % 2 :]
    text = tail.decode(encoding, "replace").removeprefix("\ufeff")
    if not offset:
        return text
    begin = re.search(r"[\r\n]", text)
    return text[begin.end() :] if begin else ""

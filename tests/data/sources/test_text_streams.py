"""Streams of text for the reader of CSV: they end when nobody reads on, even when Python does."""

import gzip
import io
import subprocess
import sys
from pathlib import Path

import pytest

from loan_default.data.sources.table_files import iter_frames
from loan_default.data.sources.text_streams import EndableStream

_ROWS = "income,town,note\n" + '3000,"Köln\n",x\n' * 400_000
_HALF_READ = """
import sys
from pathlib import Path
from loan_default.data.sources.table_files import iter_frames

kept = [iter_frames(Path(name), rows=100) for name in sys.argv[1:]]
print(*(len(next(frames).frame) for frames in kept))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "gzip", "utf-16", "ragged"])
def test_python_ends_while_a_file_is_half_read(tmp_path, kind):
    text = _ROWS.replace("x\n", "x,y\n", 3) if kind == "ragged" else _ROWS
    content = text.encode("utf-16" if kind == "utf-16" else "utf-8")
    path = tmp_path / "loans.csv"
    path.write_bytes(gzip.compress(content, 1) if kind == "gzip" else content)
    done = subprocess.run(
        [sys.executable, "-c", _HALF_READ, str(path), str(path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "100 100\n", "")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux lists the open files")
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_reader_that_is_closed_early_leaves_no_file_open(tmp_path, encoding):
    path = tmp_path / "loans.csv"
    path.write_text(_ROWS, encoding=encoding)
    frames = iter_frames(path, rows=100)
    next(frames)
    assert _is_open(path)
    frames.close()
    assert not _is_open(path)


def _is_open(path):
    return any(link.is_symlink() and link.readlink() == path for link in Path("/proc/self/fd").iterdir())


def test_a_stream_that_was_ended_gives_nothing_more():
    stream = EndableStream(io.BytesIO(b"abcdef"))
    assert stream.read(2) == b"ab"
    stream.end()
    assert stream.read(2) == b""
    assert stream.read(-1) == b""

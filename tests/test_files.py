import hashlib
import os
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from loan_default.files import sha256_of, write_atomically, write_once

OLD = b"old" * 70_000
NEW = b"new" * 130_000
ROUNDS = 12

WRITER = """
import sys
from pathlib import Path
from loan_default.files import write_atomically

path, old, new = Path(sys.argv[1]), b"old" * 70_000, b"new" * 130_000
print("ready", flush=True)
while True:
    write_atomically(path, new)
    write_atomically(path, lambda temporary: temporary.write_bytes(old))
"""


def test_bytes_replace_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "model.pth"
    write_atomically(path, OLD)
    write_atomically(path, NEW)
    assert path.read_bytes() == NEW
    assert [file.name for file in path.parent.iterdir()] == ["model.pth"]


def test_of_several_who_make_a_file_the_first_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "snapshot.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: write_once(path, b"%d" % number), range(40)))
    first = path.read_bytes()
    write_once(path, b"late")
    assert path.read_bytes() == first
    assert [file.name for file in path.parent.iterdir()] == ["snapshot.json"]


def test_a_function_writes_to_a_path_in_the_same_folder(tmp_path: Path) -> None:
    seen: list[Path] = []

    def write(temporary: Path) -> None:
        seen.append(temporary)
        temporary.write_text("by function")

    path = tmp_path / "report.html"
    write_atomically(path, write)
    assert path.read_text() == "by function"
    assert seen[0].parent == tmp_path
    assert not seen[0].exists()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failing_function_leaves_the_old_content_and_no_temporary_file(
    tmp_path: Path, error: type[BaseException]
) -> None:
    def half(temporary: Path) -> None:
        temporary.write_bytes(NEW[:1000])
        raise error("in the middle")

    path = tmp_path / "model.pth"
    write_atomically(path, OLD)
    with pytest.raises(error, match="in the middle"):
        write_atomically(path, half)
    assert path.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [path]


def test_a_target_that_cannot_be_replaced_leaves_no_temporary_file(tmp_path: Path) -> None:
    folder = tmp_path / "is a folder"
    folder.mkdir()
    with pytest.raises(OSError, match="is a folder"):
        write_atomically(folder, NEW)
    assert list(tmp_path.iterdir()) == [folder]


def test_long_names_and_other_alphabets(tmp_path: Path) -> None:
    path = tmp_path / ("대출" * 40)
    write_atomically(path, OLD)
    assert path.read_bytes() == OLD


@pytest.mark.skipif(os.name != "posix", reason="the umask is a POSIX idea")
def test_the_umask_decides_who_may_read(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "model.pth", OLD)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model.pth").stat().st_mode) == 0o640


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kill -9 is a POSIX idea")
def test_kill_at_any_time_leaves_the_old_or_the_new_content(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    write_atomically(path, OLD)
    written = 0
    for round_number in range(ROUNDS):
        before = path.stat().st_ino
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        with process.stdout:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(0.01 + 0.0037 * round_number)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        assert path.read_bytes() in (OLD, NEW)
        written += path.stat().st_ino != before
    assert written, "the writer must have replaced the file at least once, else nothing was tested"


@pytest.mark.parametrize("size", [0, 1, 3_000_001])
def test_sha256_is_that_of_the_whole_content(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()

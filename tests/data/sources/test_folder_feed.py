"""The folder: every row at least once, no file lost, whoever dies and however many look."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.file_format import FileFormat
from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import dump_schema
from loan_default.data.sources import folder_feed
from loan_default.data.sources.feeds import FeedBatch
from loan_default.data.sources.folder_feed import FolderFeed
from loan_default.errors import ConfigurationError, DataError

SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="id", kind=Kind.IDENTIFIER),
        Column(name="income", kind=Kind.NUMERICAL),
        Column(name="bad", kind=Kind.TARGET),
    ),
)
ROWS = 250
BATCH_ROWS = 100


def text_of(name: str, rows: int = ROWS) -> str:
    return "id,income,bad\n" + "".join(f"{name}-{n},{n},0\n" for n in range(rows))


def drop(folder: Path, name: str, text: str | None = None, *, age: float = 60) -> Path:
    path = folder / name
    path.write_text(text_of(name) if text is None else text, encoding="utf-8")
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def feed_of(folder: Path, **options: float) -> FolderFeed:
    return FolderFeed(folder, SCHEMA, batch_rows=BATCH_ROWS, **options)  # type: ignore[arg-type]


def run(feed: FolderFeed) -> list[FeedBatch]:
    batches = []
    for batch in feed.batches():
        batches.append(batch)
        batch.done()
    return batches


def subjects(batches: list[FeedBatch]) -> list[str]:
    return [row.subject for batch in batches for row in batch.rows]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_files_are_sent_oldest_first_and_filed(tmp_path: Path) -> None:
    drop(tmp_path, "b.csv", age=90)
    drop(tmp_path, "a.csv", age=60)
    pd.DataFrame({"id": ["p"], "income": [1.5], "bad": [1]}).to_parquet(tmp_path / "c.parquet")
    os.utime(tmp_path / "c.parquet", (time.time() - 30,) * 2)
    batches = run(feed_of(tmp_path))
    assert [(batch.source, len(batch.rows)) for batch in batches] == [
        *[("b.csv", 100), ("b.csv", 100), ("b.csv", 50)],
        *[("a.csv", 100), ("a.csv", 100), ("a.csv", 50)],
        ("c.parquet", 1),
    ]
    assert batches[-1].rows[0].data == {"id": "p", "income": 1.5, "bad": "1"}
    assert [name.rsplit("-", 1)[0] for name in names(tmp_path / ".done")] == ["a", "b", "c"]
    assert names(tmp_path / ".taken") == []
    assert names(tmp_path) == [".done", ".refused", ".taken"]
    assert run(feed_of(tmp_path)) == []


def test_equal_content_has_equal_ids_and_equal_names_do_not_collide(tmp_path: Path) -> None:
    drop(tmp_path, "a.csv")
    first = run(feed_of(tmp_path))
    drop(tmp_path, "b.csv", text_of("a.csv"))
    drop(tmp_path, "a.csv", text_of("other"))
    second = {batch.source: batch for batch in run(feed_of(tmp_path)) if len(batch.rows) < BATCH_ROWS}
    assert second["b.csv"].rows == first[-1].rows
    assert not {row.event_id for row in second["a.csv"].rows} & {row.event_id for row in first[-1].rows}
    assert [name[:2] for name in names(tmp_path / ".done")] == ["a-", "a-", "b-"]


def test_a_file_dropped_under_the_name_of_one_that_is_being_sent_does_not_replace_it(tmp_path: Path) -> None:
    drop(tmp_path, "a.csv")
    batches = feed_of(tmp_path).batches()
    next(batches).done()
    drop(tmp_path, "a.csv", text_of("other"))
    rest = []
    for batch in batches:
        rest.append(batch)
        batch.done()
    assert subjects(rest) == [f"a.csv-{n}" for n in range(100, 250)]
    assert subjects(run(feed_of(tmp_path))) == [f"other-{n}" for n in range(250)]


# Files that are still being written ----------------------------------------------------------------------


@pytest.mark.parametrize("name", [".a.csv", "a.csv.tmp", "a.csv.part", ".a.csv.x7Gq"])
def test_names_of_unfinished_files_are_left_alone(tmp_path: Path, name: str) -> None:
    drop(tmp_path, name)
    feed = feed_of(tmp_path)
    assert run(feed) == []
    assert (tmp_path / name).exists()
    assert feed.unknown == []


def test_young_and_empty_files_are_left_alone(tmp_path: Path) -> None:
    drop(tmp_path, "young.csv", age=0)
    drop(tmp_path, "empty.csv", "")
    assert run(feed_of(tmp_path, settle_seconds=30)) == []
    assert {"young.csv", "empty.csv"} <= set(names(tmp_path))
    assert {batch.source for batch in run(feed_of(tmp_path, settle_seconds=0))} == {"young.csv"}


@pytest.mark.slow
def test_a_clock_that_is_ahead_does_not_hold_a_file_for_ever(tmp_path: Path) -> None:
    drop(tmp_path, "a.csv", age=-1e6)
    assert run(feed_of(tmp_path, settle_seconds=60)) == []
    time.sleep(0.05)
    assert len(subjects(run(feed_of(tmp_path, settle_seconds=0.05)))) == ROWS


@pytest.mark.slow
def test_a_file_that_grows_while_it_is_looked_at_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drop(tmp_path, "a.csv", text_of("a", 10) + "a-10,")
    stream = path.open("a")
    os.utime(path, (1e9, 1e9))
    read = folder_feed._read_to_the_end

    def grow(path: Path, form: FileFormat) -> None:
        read(path, form)
        stream.write("7,1\n")
        stream.close()

    monkeypatch.setattr(folder_feed, "_read_to_the_end", grow)
    feed = feed_of(tmp_path, settle_seconds=0.2)
    assert run(feed) == []
    (waits,) = feed.waiting
    assert (waits.name, waits.reason) == (
        "a.csv",
        "it changed while it was read: it is still being written",
    )
    monkeypatch.undo()
    assert run(feed) == []  # too young
    (waits,) = feed.waiting
    assert waits.reason.endswith("s ago, and is taken when it has been left alone for 0.2 s")
    time.sleep(0.2)
    batches = run(feed)
    assert subjects(batches) == [f"a-{n}" for n in range(11)]
    assert batches[-1].rows[-1].data == {"id": "a-10", "income": 7, "bad": "1"}
    assert feed.refused == []


def test_a_file_that_grows_after_it_was_begun_is_refused_and_not_filed_as_done(tmp_path: Path) -> None:
    drop(tmp_path, "a.csv")
    feed = feed_of(tmp_path)
    for batch in feed.batches():
        batch.done()
        (taken,) = (tmp_path / ".taken").glob("*.csv")
        with taken.open("a") as stream:
            stream.write("late,1,0\n")
    assert names(tmp_path / ".done") == []
    assert run(feed) == []
    (refused,) = feed.refused
    assert refused.name == "a.csv"
    assert refused.reason.startswith("a.csv must be as it was when its watermark was set")
    assert refused.reason.endswith("Drop it again to send all of its rows.")
    assert names(tmp_path / ".taken") == []


# Files that cannot be used -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"id,loan,bad\n1,2,0\n", "the column 'income' of the schema must be in a.csv, however"),
        ("a.csv", b"\x00\x01\x02PNG", "looks binary"),
        ("a.csv", b"id,income,bad\n", "header only"),
        ("a.csv", b'id,income,bad\n1,"2,0\n3,4,0\n', "a quoted value must end"),
        ("a.csv.gz", b"\x1f\x8b\x08 not gzip", "must be readable"),
        ("a.parquet", b"PAR1 not parquet", "must be Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_set_aside_with_its_reason(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    drop(tmp_path, "good.csv")
    feed = feed_of(tmp_path, settle_seconds=0)
    assert len(subjects(run(feed))) == ROWS
    (refused,) = feed.refused
    assert refused.name == name
    assert pd.Series([refused.reason]).str.contains(message).all()
    assert str(tmp_path) not in refused.reason
    stem, suffix = name.split(".", 1)
    kept, reason = names(tmp_path / ".refused")
    assert kept.startswith(f"{stem}-")
    assert kept.endswith(f".{suffix}")
    assert reason == f"{kept}.reason.txt"
    assert (tmp_path / ".refused" / kept).read_bytes() == content
    assert (tmp_path / ".refused" / reason).read_text() == refused.reason + "\n"
    assert names(tmp_path / ".taken") == []
    assert run(feed) == []
    assert feed.refused == []


@pytest.mark.slow
def test_a_file_is_used_whole_or_not_at_all(tmp_path: Path) -> None:
    drop(tmp_path, "a.csv", text_of("a", 20_000) + 'z,"1,0\nz,2,0\n')
    feed = feed_of(tmp_path)
    assert run(feed) == []
    assert len(feed.refused) == 1


def test_a_file_that_may_not_be_read_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drop(tmp_path, "a.csv")
    drop(tmp_path, "b.csv")
    real_open = os.open

    def only_others(path: Path, *arguments: int) -> int:
        if Path(path).name == "a.csv":  # as for a user who is not root
            raise PermissionError(13, "Permission denied")
        return real_open(path, *arguments)

    monkeypatch.setattr(os, "open", only_others)
    feed = feed_of(tmp_path)
    assert {batch.source for batch in run(feed)} == {"b.csv"}
    assert [file.reason for file in feed.refused] == ["a file must be readable, however: Permission denied"]
    assert len(names(tmp_path / ".refused")) == 2


def test_a_file_that_another_process_sends_waits(tmp_path: Path) -> None:
    drop(tmp_path, "a.csv")
    first, second = feed_of(tmp_path), feed_of(tmp_path)
    batches = first.batches()
    next(batches)
    assert run(second) == []
    assert [(waits.name, waits.reason) for waits in second.waiting] == [
        ("a.csv", "another process is sending it")
    ]
    batches.close()
    assert run(second)
    assert second.waiting == []


def test_what_was_refused_before_is_known_as_long_as_it_lies_there(tmp_path: Path) -> None:
    drop(tmp_path, "other-1.csv", "x,y\n1,2\n")
    feed = feed_of(tmp_path)
    run(feed)
    (refused,) = feed.refused
    assert feed.refused_before() == []
    run(feed)
    assert feed.refused_before() == [refused]
    for path in (tmp_path / ".refused").glob("*.csv"):
        path.unlink()
    assert feed.refused_before() == []


def test_other_things_stay_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "sub.csv").mkdir()
    drop(tmp_path, "loans.docx")
    (tmp_path / "link.csv").symlink_to(tmp_path / "loans.docx")
    feed = feed_of(tmp_path)
    assert run(feed) == []
    assert feed.unknown == ["loans.docx"]
    assert {waits.name for waits in feed.waiting} == {"sub.csv", "link.csv"}
    assert {"sub.csv", "loans.docx", "link.csv"} <= set(names(tmp_path))


@pytest.mark.parametrize("stem", ["x" * 251, "\u00e9" * 125, "a-b", "with space", "\udcff"])
def test_any_name_is_taken(tmp_path: Path, stem: str) -> None:
    drop(tmp_path, f"{stem}.csv", text_of("a"))
    (first, *_) = run(feed_of(tmp_path))
    assert first.source.isprintable()
    assert 0 < len(first.source) <= 200
    (done,) = names(tmp_path / ".done")
    assert done.startswith(stem[:50].replace("\udcff", "\ufffd"))
    assert done.endswith(".csv")


def test_the_folder_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the folder of applications must exist"):
        run(feed_of(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="settle_seconds=-1"):
        feed_of(tmp_path, settle_seconds=-1)


# Deaths and competition ----------------------------------------------------------------------------------


def test_what_was_not_done_comes_again_in_the_next_look(tmp_path: Path) -> None:
    drop(tmp_path, "a.csv")
    feed = feed_of(tmp_path)
    for index, batch in enumerate(feed.batches()):
        if index == 1:
            break  # delivery failed
        batch.done()
    rest = run(feed)
    assert subjects(rest) == [f"a.csv-{n}" for n in range(100, 250)]
    assert rest[0].rows == batch.rows
    assert len(names(tmp_path / ".done")) == 1


def test_batches_that_are_done_late_are_not_lost(tmp_path: Path) -> None:
    drop(tmp_path, "a.csv")
    batches = list(feed_of(tmp_path).batches())
    for batch in batches:
        batch.done()
    assert names(tmp_path / ".done") == []
    assert run(feed_of(tmp_path)) == []  # nothing is left to send, and the file is filed
    assert len(names(tmp_path / ".done")) == 1
    batches[-1].done()
    assert run(feed_of(tmp_path)) == []
    assert names(tmp_path / ".taken") == []


def test_a_file_that_another_process_has_locked_is_left_alone(tmp_path: Path) -> None:
    path = drop(tmp_path, "a.csv")
    with path.open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert run(feed_of(tmp_path)) == []
    assert len(subjects(run(feed_of(tmp_path)))) == ROWS


WORKER = """
import os, signal, sys, time
from pathlib import Path
from loan_default.data.sources import folder_feed
from loan_default.data.schema.schema_files import load_schema

folder, schema, ids, death = Path(sys.argv[1]), load_schema(Path(sys.argv[2])), sys.argv[3], sys.argv[4]
rename, unlink, sha256_of = Path.rename, Path.unlink, folder_feed.sha256_of

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

if death == "locked":
    Path.rename = die
if death == "taken":
    folder_feed.sha256_of = die
if death == "sent":
    Path.rename = lambda path, target: die() if target.parent.name == ".done" else rename(path, target)
if death == "filed":
    Path.unlink = die
Path(ids + ".ready").touch()
while death == "never" and not (folder / ".go").exists():
    time.sleep(0.002)
out = os.open(ids, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o666)
for index, batch in enumerate(folder_feed.FolderFeed(folder, schema, batch_rows=100).batches()):
    os.write(out, "".join(f"{row.event_id} {row.subject}\\n" for row in batch.rows).encode())
    if death == "delivered" and index == 1:
        die()
    if death == "hanging" and index == 1:
        time.sleep(60)
    batch.done()
"""


@pytest.fixture
def worker(tmp_path: Path) -> Callable[..., "subprocess.Popen[bytes]"]:
    schema = tmp_path / "loans.toml"
    schema.write_text(dump_schema(SCHEMA), encoding="utf-8")

    def start(folder: Path, ids: Path, death: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-c", WORKER, str(folder), str(schema), str(ids), death])

    return start


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "the worker must get there within 30 seconds"
        time.sleep(0.005)


@pytest.mark.integration
def test_the_claim_of_a_living_process_stands_and_that_of_a_killed_one_is_taken_over(
    tmp_path: Path, worker: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    folder, ids = tmp_path / "in", tmp_path / "ids"
    folder.mkdir()
    drop(folder, "a.csv")
    process = worker(folder, ids, "hanging")
    try:
        wait_for(lambda: ids.exists() and ids.read_text().count("\n") == 200)
        assert run(feed_of(folder)) == []
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    rest = run(feed_of(folder))
    assert subjects(rest) == [f"a.csv-{n}" for n in range(100, 250)]
    sent = dict(line.split() for line in ids.read_text().splitlines())
    repeated = {row.event_id: row.subject for row in rest[0].rows}
    assert repeated.items() <= sent.items()
    assert len(names(folder / ".done")) == 1
    assert names(folder / ".taken") == []


@pytest.mark.integration
def test_no_row_is_lost_wherever_a_process_dies(
    tmp_path: Path, worker: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    deaths = ["locked", "taken", "delivered", "sent", "filed"]
    processes = {}
    for death in deaths:
        (folder := tmp_path / death).mkdir()
        drop(folder, "a.csv")
        drop(folder, "b.csv", age=30)
        processes[death] = worker(folder, tmp_path / f"{death}.ids", death)
    for death, process in processes.items():
        assert process.wait(60) == -signal.SIGKILL, death
    for death in deaths:
        folder = tmp_path / death
        before = [line.split()[1] for line in (tmp_path / f"{death}.ids").read_text().splitlines()]
        after = subjects(run(feed_of(folder)))
        counts = Counter(before + after)
        assert set(counts) == {f"{name}-{n}" for name in ("a.csv", "b.csv") for n in range(ROWS)}, death
        assert sum(counts.values()) == 2 * ROWS + (BATCH_ROWS if death == "delivered" else 0), death
        assert len(names(folder / ".done")) == 2, death
        assert names(folder / ".taken") == [], death
        assert names(folder) == [".done", ".refused", ".taken"], death


@pytest.mark.integration
def test_two_processes_at_once_share_the_files(
    tmp_path: Path, worker: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    files = [f"f{n:02d}.csv" for n in range(30)]
    for name in files:
        drop(folder, name, text_of(name, 120))
    ids = [tmp_path / "one", tmp_path / "two"]
    processes = [worker(folder, path, "never") for path in ids]
    wait_for(lambda: all(Path(f"{path}.ready").exists() for path in ids))
    (folder / ".go").touch()
    assert [process.wait(60) for process in processes] == [0, 0]
    sent = [[line.split()[1] for line in path.read_text().splitlines()] for path in ids]
    assert sorted(sent[0] + sent[1]) == sorted(f"{name}-{n}" for name in files for n in range(120))
    assert len(names(folder / ".done")) == 30
    assert names(folder / ".taken") == []

"""Lines on disk: all or none, up to a limit, and adopted from processes that are gone."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loan_default.errors import ConfigurationError, DependencyError
from loan_default.serving import prediction_spool
from loan_default.serving.prediction_spool import Spool


def line(number):
    return f"line {number}\n".encode()


def put(spool, *numbers):
    spool.append(b"".join(map(line, numbers)), number=len(numbers))


def drained(spool):
    """All lines that wait, in the order in which they would be stored."""
    found = []
    while (segment := spool.take()) is not None:
        found += segment.unstored()
        spool.remove(segment)
    return found


def test_lines_come_back_in_order_and_once(tmp_path):
    spool = Spool(tmp_path / "a" / "b")
    assert (spool.take(), spool.waiting, spool.oldest_seconds) == (None, 0, 0)
    put(spool, 1, 2)
    put(spool, 3)
    assert (spool.waiting, spool.size) == (3, 21)
    assert 0 < spool.oldest_seconds < 60
    segment = spool.take()
    put(spool, 4)
    assert spool.take() is segment
    assert list(segment.unstored()) == [line(1), line(2), line(3)]
    segment.done = len(line(1))
    assert list(segment.unstored()) == [line(2), line(3)]
    spool.remove(segment)
    assert drained(spool) == [line(4)]
    assert (spool.waiting, spool.size, drained(spool)) == (0, 0, [])


def test_nothing_is_left_of_a_spool_that_was_drained(tmp_path):
    spool = Spool(tmp_path)
    put(spool, 1)
    drained(spool)
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_what_waits_at_the_end_is_adopted_by_the_next(tmp_path):
    first = Spool(tmp_path)
    put(first, 1, 2)
    first.take()
    put(first, 3)
    first.close()
    with pytest.raises(DependencyError, match="the spool is closed"):
        put(first, 4)
    second = Spool(tmp_path)
    put(second, 5)
    assert second.waiting == 4
    assert drained(second) == [line(1), line(2), line(3), line(5)]


def test_the_segments_of_a_process_that_lives_are_left_alone(tmp_path):
    first, second = Spool(tmp_path), Spool(tmp_path)
    put(first, 1)
    put(second, 2)
    assert (first.adopt(), second.adopt()) == (0, 0)
    assert drained(second) == [line(2)]
    assert drained(first) == [line(1)]


def test_a_line_without_its_end_was_never_answered(tmp_path):
    spool = Spool(tmp_path)
    put(spool, 1)
    (path,) = tmp_path.glob("*.jsonl")
    spool.close()
    with path.open("ab") as file:
        file.write(b"line 2 of which the e")
    assert drained(Spool(tmp_path)) == [line(1)]


def test_an_empty_segment_of_a_dead_process_is_removed(tmp_path):
    (tmp_path / "1-1-1.jsonl").touch()
    spool = Spool(tmp_path)
    assert spool.waiting == 0
    assert not (tmp_path / "1-1-1.jsonl").exists()


def test_a_full_spool_refuses_whole_batches_until_there_is_room(tmp_path):
    spool = Spool(tmp_path, limit_bytes=3 * len(line(1)))
    put(spool, 1, 2)
    assert not spool.is_full
    with pytest.raises(DependencyError, match=r"Cannot keep predictions: 14 of 21 bytes wait"):
        put(spool, 3, 4)
    assert spool.is_full, "what was refused once is refused again"
    put(spool, 3)
    assert spool.is_full
    segment = spool.take()
    with pytest.raises(DependencyError, match="21 of 21 bytes"):
        put(spool, 4)
    spool.remove(segment)
    assert not spool.is_full
    put(spool, 4)
    assert drained(spool) == [line(4)]


def test_a_batch_above_the_limit_does_not_make_an_empty_spool_full(tmp_path):
    spool = Spool(tmp_path, limit_bytes=10)
    with pytest.raises(DependencyError, match="0 of 10 bytes"):
        put(spool, 1, 2)
    assert not spool.is_full


def test_without_a_free_descriptor_lines_are_brought_to_the_disk_later(tmp_path, monkeypatch):
    spool, flushed = Spool(tmp_path), []
    put(spool, 1)

    def fail(descriptor):
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(prediction_spool.os, "dup", fail)
        with pytest.raises(OSError, match="Too many open files"):
            spool.sync()
    monkeypatch.setattr(prediction_spool.os, "fsync", flushed.append)
    spool.sync()
    assert len(flushed) == 1
    assert not spool.is_full


def test_what_another_user_left_is_not_ours(tmp_path, monkeypatch):
    first = Spool(tmp_path)
    put(first, 1)
    first.close()
    (path,) = tmp_path.glob("*.jsonl")
    open_ = os.open

    def refuse(name, *arguments, **named):
        if name == path:
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_(name, *arguments, **named)

    monkeypatch.setattr(prediction_spool.os, "open", refuse)
    spool = Spool(tmp_path)
    assert spool.waiting == 0
    monkeypatch.undo()
    assert spool.adopt() == 1


def test_a_file_that_cannot_be_read_keeps_no_other_from_being_stored(tmp_path, monkeypatch):
    (tmp_path / "1-1-1.jsonl").write_bytes(line(1))
    (tmp_path / "1-1-2.jsonl").write_bytes(line(2))
    read = Path.read_bytes

    def fail(path):
        if path.name == "1-1-2.jsonl":
            raise OSError(errno.EIO, "Input/output error")
        return read(path)

    spool = Spool(tmp_path / "other")
    monkeypatch.setattr(spool, "_folder", tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", fail)
        with pytest.raises(OSError, match="Input/output error"):
            spool.adopt()
    assert len(list(Path("/proc/self/fd").iterdir())) == before + 1, "of the one that was adopted"
    assert spool.adopt() == 1
    assert drained(spool) == [line(1), line(2)]


def test_what_dead_processes_left_counts_towards_the_limit(tmp_path):
    first = Spool(tmp_path)
    put(first, 1, 2)
    first.close()
    assert Spool(tmp_path, limit_bytes=10).is_full


@pytest.mark.parametrize("written", [0, 5])
def test_a_disk_that_is_full_leaves_no_part_of_a_line(tmp_path, monkeypatch, written):
    spool = Spool(tmp_path)
    put(spool, 1)
    write = os.write

    def full(descriptor, data):
        if written and len(data) > written:
            return write(descriptor, data[:written])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(prediction_spool.os, "write", full)
    with pytest.raises(DependencyError, match="the disk refused them"):
        put(spool, 2)
    monkeypatch.undo()
    put(spool, 3)
    assert drained(spool) == [line(1), line(3)]


def test_a_disk_that_loses_lines_is_trusted_no_longer(tmp_path, monkeypatch):
    spool = Spool(tmp_path)
    put(spool, 1)

    def fail(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(prediction_spool.os, "fsync", fail)
    spool.sync()
    monkeypatch.undo()
    assert spool.is_full
    with pytest.raises(DependencyError, match="the disk did not take them"):
        put(spool, 2)


def test_each_line_is_flushed_once(tmp_path, monkeypatch):
    spool = Spool(tmp_path)
    flushed = []
    fsync = os.fsync
    monkeypatch.setattr(
        prediction_spool.os, "fsync", lambda fd: flushed.append(os.fstat(fd).st_size) or fsync(fd)
    )
    for _ in range(2):
        spool.sync()
    assert flushed == []
    put(spool, 1)
    put(spool, 2)
    for _ in range(2):
        spool.sync()
    assert flushed == [2 * len(line(1))]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="must be spooled to a folder that can be written"):
        Spool(tmp_path / "file" / "spool")


def test_damaged_lines_are_kept_for_people(tmp_path):
    spool = Spool(tmp_path)
    put(spool, 1)
    segment = spool.take()
    segment.damaged = 1
    spool.remove(segment)
    (kept,) = tmp_path.glob("*.damaged")
    assert kept.read_bytes() == line(1)
    assert Spool(tmp_path).waiting == 0


def test_no_descriptor_is_left_open(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for round_ in range(20):
        spool = Spool(tmp_path)
        put(spool, round_)
        if round_ % 2:
            drained(spool)
        spool.sync()
        spool.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.sampled_from(["put", "take", "remove", "restart", "adopt"]), max_size=30))
def test_whatever_happens_each_line_is_stored_or_waits(tmp_path_factory, steps):
    folder = Path(tmp_path_factory.mktemp("spool"))
    spool, put_so_far, stored = Spool(folder), 0, []
    for step in steps:
        if step == "put":
            put(spool, put_so_far)
            put_so_far += 1
        elif step == "take":
            spool.take()
        elif step == "remove" and (segment := spool.take()) is not None:
            stored += segment.unstored()
            spool.remove(segment)
        elif step == "restart":
            spool.close()
            spool = Spool(folder)
        elif step == "adopt":
            spool.adopt()
    stored += drained(spool)
    assert stored == [line(number) for number in range(put_so_far)]
    spool.close()

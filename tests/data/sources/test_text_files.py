"""CSV files as raw frames: right values at the right row numbers, in flat memory, and no damaged row lost."""

import csv
import io
import tracemalloc

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loan_default.data.schema.file_format import FileFormat
from loan_default.data.sources import text_files
from loan_default.data.sources.table_files import iter_frames, read_frame
from loan_default.errors import DataError


def write(folder, content, name="file.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=5)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(
    header=st.lists(st.text("abcdefg", min_size=1, max_size=3), min_size=2, max_size=3, unique=True),
    rows=st.lists(st.lists(cells, min_size=2, max_size=4), min_size=1, max_size=12),
    size=st.integers(1, 5),
)
def test_any_csv_reads_like_the_csv_module(tmp_path_factory, header, rows, size):
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([header, *rows])
    path = write(tmp_path_factory.mktemp("csv"), text.getvalue())
    frames = list(iter_frames(path, rows=size, form=FileFormat()))
    got = {int(row): list(values) for part in frames for row, *values in part.frame.itertuples()}
    rejected = {int(row) for part in frames for row in part.rejects["row"]}
    assert got == {number: row for number, row in enumerate(rows) if len(row) == len(header)}
    assert rejected == {number for number, row in enumerate(rows) if len(row) != len(header)}
    assert all(len(part.frame) <= size for part in frames)


def test_row_numbers_stay_right_over_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "_BLOCK_BYTES", 200)
    lines = [
        f"{n}" if n % 7 == 3 else f'{n},"x\ny"' if n % 5 == 0 else f"{n},\xff" if n % 11 == 0 else f"{n},x"
        for n in range(500)
    ]
    body = "a,b\n" + "\n".join(lines) + "\n\n\n"
    raw = read_frame(write(tmp_path, body.encode("latin-1")))
    assert (raw.frame["a"].astype(int) == raw.frame.index).all()
    assert raw.rejects["text"].str.split(",").str[0].astype(int).tolist() == raw.rejects["row"].tolist()
    assert len(raw.frame) + len(raw.rejects) == 500
    ragged = raw.rejects["reason"].str.contains("must have 2 fields, however: 1 field")
    assert set(raw.rejects["row"][ragged]) == {n for n in range(500) if n % 7 == 3}
    assert raw.rejects["reason"][~ragged].str.contains("UTF-8").all()


def test_a_row_that_is_longer_than_a_block_is_read_and_no_row_comes_twice(tmp_path, monkeypatch):
    lines = [f"{n},{'x' * 700 if n % 90 == 70 else 'x'}{',y' * (n % 13 == 5)}" for n in range(400)]
    path = write(tmp_path, "a,b\n" + "\n".join(lines) + "\n")
    whole = read_frame(path)
    assert len(whole.frame) + len(whole.rejects) == 400
    for size in (50, 200, 300):
        monkeypatch.setattr(text_files, "_BLOCK_BYTES", size)
        raw = read_frame(path)
        assert raw.frame.equals(whole.frame), size
        assert raw.rejects.equals(whole.rejects), size


def test_a_file_without_one_good_row_still_reports_its_rows(tmp_path):
    raw = read_frame(write(tmp_path, "a,b\n1\n1,2,3\n"))
    assert raw.frame.empty
    assert raw.rejects["row"].tolist() == [0, 1]
    assert raw.rejects["text"].tolist() == ["1", "1,2,3"]


def test_values_are_not_touched(tmp_path):
    raw = read_frame(write(tmp_path, 'a,b\r\n" x ",NA\r\n,"1,5"\r\n'))
    assert raw.frame.to_numpy().tolist() == [[" x ", "NA"], ["", "1,5"]]


def test_an_open_quote_in_a_large_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "_BLOCK_BYTES", 100)
    with pytest.raises(DataError, match="a quoted value must end"):
        read_frame(write(tmp_path, 'a,b\n1,2\n3,"x\n' + "4,5\n" * 200))


@pytest.mark.slow
def test_memory_stays_flat(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "_BLOCK_BYTES", 64 * 1024)
    # The reader is some tens of blocks ahead: both files are larger than that.
    small, large = (
        _peak_bytes(write(tmp_path, "a,b\n" + "1234567,x\n" * rows), rows=rows)
        for rows in (250_000, 1_000_000)
    )
    assert large < 1.5 * small, f"4 times the rows must not need more memory, however: {small=}, {large=}"


def _peak_bytes(path, *, rows):
    before, peak, read = pa.total_allocated_bytes(), 0, 0
    tracemalloc.start()
    for part in iter_frames(path, rows=5_000):
        read += len(part.frame)
        peak = max(peak, pa.total_allocated_bytes() - before)
    _, python_peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert read == rows
    return peak + python_peak


def test_a_row_with_too_many_fields_and_other_bytes_is_one_reject_and_stops_nothing(tmp_path):
    path = tmp_path / "loans.csv"
    path.write_bytes(b"a,b\n1,2\n" + b"3,\xff,4\n" + "5,Zürich\n".encode())
    raw = read_frame(path)
    assert raw.frame["b"].tolist() == ["2", "Zürich"]
    assert raw.rejects["row"].tolist() == [1]
    assert raw.rejects["text"].tolist() == ["3,\ufffd,4"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("a,b", "header only"),
        ("a,b\n\n", "header only"),
        ("a,b,a\n1,2,3\n", "must be distinct.*'a'"),
        ("a\x07,b\n1,2\n", "must be printable"),
        ('"a\n', "must be one line"),
        ('a,b\n1,2\n3,"x\n4,5\n', "quote|quoted value must end"),
    ],
)
def test_damaged_csv_is_named(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read_frame(write(tmp_path, content))
    assert "\n" not in str(caught.value)

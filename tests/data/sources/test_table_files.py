"""Files as raw frames: right values at the right row numbers, and every damaged file named."""

import gzip
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loan_default.data.sources.table_files import iter_frames, read_columns, read_frame, stem_of
from loan_default.errors import DataError

BUNDLED = Path(__file__).parents[3] / "data/credit_card/credit_card.csv.gz"


def write(folder, content, name="file.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("loans.csv", "loans"),
        ("loans.2024.csv.gz", "loans.2024"),
        ("loans.2024.PARQUET", "loans.2024"),
        ("loans.csv.csv", "loans.csv"),
        ("loans.2024", "loans.2024"),
        ("loans", "loans"),
        (".csv", ".csv"),
    ],
)
def test_only_the_known_suffix_is_left_out_of_a_name(name, stem):
    assert stem_of(Path("a.folder") / name) == stem


@pytest.mark.slow
def test_bundled_set_is_complete():
    raw = read_frame(BUNDLED)
    assert raw.frame.shape == (30_000, 25)
    assert raw.rejects.empty
    assert raw.frame.iloc[-1]["ID"] == "30000"
    assert BUNDLED.stat().st_size < 1_500_000


def test_names_are_stripped_and_invented(tmp_path):
    path = write(tmp_path, b"\xef\xbb\xbf, age ,unnamed_1,\n1,2,3,4\n")
    assert read_columns(path) == ["unnamed_1_", "age", "unnamed_1", "unnamed_4"]
    assert read_frame(path).frame.iloc[0].tolist() == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("file.xlsx", b"x", "neither .xlsx nor a table"),
        ("file.parquet", b"unreadable", "neither .parquet nor a table"),
        ("file.parquet", b"PAR1 broken off", "must be Parquet that is readable"),
        ("file.csv.gz", b"unreadable", "neither .gz nor a table"),
        ("file.csv", b"PK\3\4xxxx", "must be readable"),
        ("file.csv", b"\x89PNG\r\n\0\0\0", "looks binary"),
        ("file.csv", b"%PDF-1.4\n%", "is PDF"),
        ("file.xls", b"<html><table><tr><td>1", "is HTML"),
        ("file.csv", b"BZh91AY&SY", "packed by bzip2"),
        ("file.json", b'[{"a": 1}, {"a": 2}]', "is one list"),
        ("file.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 99_999)[:-20], "readable to its end"),
    ],
)
def test_wrong_files_are_named(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        read_frame(write(tmp_path, content, name))


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(DataError, match="was not found"):
        iter_frames(tmp_path / "none.csv")  # at once, not at the first row
    with pytest.raises(DataError, match="is a directory"):
        read_frame(tmp_path)


def test_parquet_keeps_types_and_large_whole_numbers(tmp_path):
    path = tmp_path / "file.parquet"
    table = pa.table(
        {
            "id": [2**60 + 1, None, 3],
            "on": [date(2024, 1, 31)] * 3,
            "x": [1.5, None, 2.0],
            "ok": [True, False, True],
        }
    )
    pq.write_table(table, path)
    assert read_columns(path) == ["id", "on", "x", "ok"]
    frames = [part.frame for part in iter_frames(path, rows=2)]
    frame = pd.concat(frames)
    assert [len(part) for part in frames] == [2, 1]
    assert frame.index.tolist() == [0, 1, 2]
    assert frame["id"].iloc[0] == 2**60 + 1
    assert frame["on"].dtype.kind == "M"
    assert frame["x"].dtype == np.float64


def test_parquet_without_rows_is_named(tmp_path):
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "file.parquet")
    with pytest.raises(DataError, match="header only"):
        read_frame(tmp_path / "file.parquet")

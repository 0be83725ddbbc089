"""Parquet and Feather: types stay, parts have their row numbers, damage is named."""

import gzip
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from loan_default.data.schema.file_format import Compression, Container, FileFormat
from loan_default.data.sources.arrow_files import arrow_names, iter_arrow
from loan_default.data.sources.sniffing import detect_format
from loan_default.data.sources.table_files import read_columns, read_frame
from loan_default.errors import DataError

TABLE = pa.table(
    {
        "id": [2**60 + 1, None, 3, 4, 5],
        "on": [date(2024, 1, 31), None, *[date(2024, 2, 1)] * 3],
        "x": [1.5, None, 2.0, -0.0, 1e300],
        "town": ["Köln", None, "", "東京", "a, b"],
        "ok": [True, False, None, True, True],
    }
)
WRITERS = {
    "parquet": lambda table, path: pq.write_table(table, path, row_group_size=2),
    "feather": lambda table, path: pyarrow.feather.write_feather(table, str(path), chunksize=2),
    "lz4.feather": lambda table, path: pyarrow.feather.write_feather(table, str(path), compression="lz4"),
    "arrow": lambda table, path: pyarrow.feather.write_feather(table, str(path), compression="uncompressed"),
}


@pytest.mark.parametrize("kind", sorted(WRITERS))
@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_types_and_row_numbers_are_those_of_the_file(tmp_path, kind, rows):
    path = tmp_path / f"loans.{kind}"
    WRITERS[kind](TABLE, path)
    form = detect_format(path)
    assert form.container is (Container.PARQUET if kind == "parquet" else Container.FEATHER)
    assert read_columns(path) == arrow_names(path, form) == TABLE.column_names
    parts = [part.frame for part in iter_arrow(path, TABLE.column_names, rows, form=form)]
    assert max(len(part) for part in parts) <= rows
    frame = pd.concat(parts)
    assert frame.index.tolist() == [0, 1, 2, 3, 4]
    assert frame["id"].tolist() == [2**60 + 1, pd.NA, 3, 4, 5]
    assert frame["on"].tolist() == [pd.Timestamp(2024, 1, 31), pd.NaT, *[pd.Timestamp(2024, 2, 1)] * 3]
    np.testing.assert_array_equal(frame["x"], [1.5, np.nan, 2.0, -0.0, 1e300])
    assert frame["town"].isna().tolist() == [False, True, False, False, False]
    assert frame["town"].dropna().tolist() == ["Köln", "", "東京", "a, b"]
    assert frame["ok"].tolist() == [True, False, None, True, True]


def test_the_first_version_of_feather_is_read(tmp_path):
    path = tmp_path / "loans.feather"
    with pytest.warns(DeprecationWarning, match="Feather V1"):
        pyarrow.feather.write_feather(TABLE.select(["x", "town"]), str(path), version=1)
    assert path.read_bytes().startswith(b"FEA1")
    with pytest.warns(DeprecationWarning, match="Feather V1"):
        raw = read_frame(path)
    assert raw.frame.columns.tolist() == ["x", "town"]
    assert len(raw.frame) == 5


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_packed_files_are_read(tmp_path, kind):
    plain, packed = tmp_path / f"loans.{kind}", tmp_path / f"loans.{kind}.gz"
    WRITERS[kind](TABLE, plain)
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert detect_format(packed).compression is Compression.GZIP
    pd.testing.assert_frame_equal(read_frame(packed).frame, read_frame(plain).frame)


@pytest.mark.parametrize(("kind", "shown"), [("parquet", "Parquet"), ("feather", "Feather")])
def test_damage_is_named(tmp_path, kind, shown):
    path = tmp_path / f"loans.{kind}"
    WRITERS[kind](TABLE, path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=f"must be {shown} that is readable to its end, however: {path.name}"):
        arrow_names(path, FileFormat(container=Container(kind)))


def test_an_index_of_pandas_is_no_index_here(tmp_path):
    path = tmp_path / "loans.parquet"
    pd.DataFrame({"x": [1, 2]}, index=pd.Index([7, 8], name="id")).to_parquet(path)
    frame = read_frame(path).frame
    assert sorted(frame.columns) == ["id", "x"]
    assert frame.index.tolist() == [0, 1]

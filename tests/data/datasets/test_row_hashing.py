"""Hashes that are stored: pinned by golden values, and the same however equal values are held."""

import hashlib
import json
import struct
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loan_default.data.datasets import row_hashing
from loan_default.data.datasets.row_hashing import digest_of, hash_rows
from loan_default.data.datasets.splits import SPLIT_VERSION, held_out, on_a_held_out_side
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.errors import DataError

COLUMNS = (
    Column(name="amount", kind=Kind.NUMERICAL, nullable=True),
    Column(name="purpose", kind=Kind.CATEGORICAL, open=True, nullable=True),
    Column(name="grade", kind=Kind.ORDINAL, categories=("low", "high"), nullable=True),
    Column(name="id", kind=Kind.IDENTIFIER, nullable=True),
    Column(name="made", kind=Kind.TIMESTAMP, nullable=True),
    Column(name="bad", kind=Kind.TARGET),
)
TIME = datetime(2025, 3, 30, 1, 2, 3, 456789, tzinfo=UTC)
ROWS = [
    (1.5, "car", "low", "a-1", TIME, 1.0),
    (-0.0, "caf\u00e9 \u4e2d", "high", "a-2", datetime(1969, 12, 31, tzinfo=UTC), 0.0),
    (0.0, "caf\u00e9 \u4e2d", "high", "a-2", datetime(1969, 12, 31, tzinfo=UTC), 0.0),
    (np.nan, None, None, None, None, np.nan),
    (-1e300, "", "low", "", TIME, np.nan),
    (np.inf, "nan", "low", "0", TIME, 1.0),
    (0.1 + 0.2, "None", "high", "-", TIME, 0.0),
]
GOLDEN = [
    "2caac4f7e4aac348",
    "3ad299193762ea8e",
    "3ad299193762ea8e",
    "ba8aa701d0db9c1a",
    "4ffc272179451a22",
    "95ead37b5c181559",
    "6fbb6cc6a1e238f2",
]
GOLDEN_DIGEST = "3a5459f7961367bbea2375514316f391fa36a0e46ac00f111461d04aa7156285"
GOLDEN_TEST = [5, 7, 9, 11, 17, 22, 36]
GOLDEN_KEPT = [4, 5, 7, 9, 11, 17, 19, 20, 21, 22, 28, 29, 30, 36, 39]


def frame(rows: list[tuple[object, ...]] | None = None) -> pd.DataFrame:
    """A canonical frame, as validation makes it."""
    types = {"amount": "float64", "bad": "float64", "made": "datetime64[us, UTC]"}
    data = pd.DataFrame(ROWS if rows is None else rows, columns=[column.name for column in COLUMNS])
    return data.astype({column.name: types.get(column.name, "str") for column in COLUMNS})


def test_golden_hashes_of_all_kinds():
    """A change here moves rows between the sides of the permanent holdout: raise SPLIT_VERSION with it."""
    assert [f"{value:016x}" for value in hash_rows(frame(), COLUMNS)] == GOLDEN
    assert SPLIT_VERSION == 2


def test_the_golden_digest_of_a_frame():
    """A change here makes stored snapshots unreadable: raise DIGEST_VERSION with it."""
    assert digest_of(frame()) == GOLDEN_DIGEST
    assert row_hashing.DIGEST_VERSION == 2


def test_the_golden_sides_of_rows():
    """Those of the first rows by the shares and the hash of version 2."""
    schema = Schema(name="s", columns=(Column(name="x", kind=Kind.NUMERICAL),))
    rows = pd.DataFrame({"x": np.arange(40.0)})
    assert np.flatnonzero(held_out(rows, schema)).tolist() == GOLDEN_TEST
    assert np.flatnonzero(on_a_held_out_side(hash_rows(rows, schema.features))).tolist() == GOLDEN_KEPT


def test_hashes_are_those_of_the_bytes_that_are_documented():
    """A second making of the canonical bytes, with struct and one row at a time."""

    def text(value: object) -> bytes:
        if not isinstance(value, str):
            return bytes(16)
        return hashlib.blake2b(value.encode(), digest_size=16, person=b"loan-default/row").digest()

    def number(value: float) -> bytes:
        return bytes.fromhex("7ff8000000000000") if value != value else struct.pack(">d", value or 0.0)

    def time(value: object) -> bytes:
        if not isinstance(value, datetime):
            return struct.pack(">q", -(2**63))
        whole = value - datetime(1970, 1, 1, tzinfo=UTC)
        return struct.pack(">q", (whole.days * 86_400 + whole.seconds) * 10**6 + whole.microseconds)

    names = (
        '[["amount", "numerical"], ["bad", "target"], ["grade", "ordinal"], ["id", "identifier"], '
        '["made", "timestamp"], ["purpose", "categorical"]]'
    )
    salt = hashlib.blake2b(names.encode(), digest_size=16).digest()
    expected = []
    for amount, purpose, grade, name, made, bad in ROWS:
        row = number(amount) + number(bad) + text(grade) + text(name) + time(made) + text(purpose)
        digest = hashlib.blake2b(row, digest_size=8, salt=salt, person=b"loan-default/row").digest()
        expected.append(int.from_bytes(digest, "big"))
    assert hash_rows(frame(), COLUMNS).tolist() == expected


values = st.tuples(
    st.none() | st.floats(),
    st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8),
    st.none() | st.sampled_from(["low", "high"]),
    st.none() | st.text("ab", max_size=3),
    st.none() | st.integers(-(2 * 10**15), 7 * 10**15).map(lambda us: pd.Timestamp(us, unit="us", tz="UTC")),
    st.sampled_from([0.0, 1.0, None]),
)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.lists(values, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_equal_values_have_equal_hashes_however_they_are_held(rows, random):
    data = frame(rows)
    hashes, digest = hash_rows(data, COLUMNS), digest_of(data)
    shuffled = list(COLUMNS)
    random.shuffle(shuffled)
    others = [
        data[[column.name for column in shuffled]],
        data.set_axis(range(100, 100 + len(data))),
        data.astype({"purpose": "category", "grade": pd.CategoricalDtype(["high", "low"])}),
        data.astype({"purpose": object, "id": object}),
        data.assign(made=data["made"].dt.tz_convert("Asia/Kolkata")),
        data.assign(amount=data["amount"].where(data["amount"] != 0, -0.0)),
        data.astype({"amount": pd.Float64Dtype()}) if not np.isinf(data["amount"]).any() else data,
    ]
    for other in others:
        np.testing.assert_array_equal(hash_rows(other, shuffled), hashes)
        assert digest_of(other) == digest
    order = list(range(len(data)))
    random.shuffle(order)
    np.testing.assert_array_equal(hash_rows(data.iloc[order], COLUMNS), hashes[order])


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.lists(values, min_size=2, max_size=12))
def test_rows_have_equal_hashes_where_their_values_are_equal_and_nowhere_else(rows):
    data = frame(rows)
    hashes = hash_rows(data, COLUMNS)
    keys = [column.name for column in COLUMNS]
    groups = data.groupby(keys, dropna=False, sort=False).ngroup().to_numpy()
    np.testing.assert_array_equal(pd.factorize(hashes)[0], groups)


@pytest.mark.slow
def test_hashing_does_not_depend_on_how_many_rows_are_hashed_together(monkeypatch):
    data = pd.concat([frame()] * 5, ignore_index=True)
    hashes, digest = hash_rows(data, COLUMNS), digest_of(data)
    for rows in (1, 3, 7):
        monkeypatch.setattr(row_hashing, "_ROWS", rows)
        np.testing.assert_array_equal(hash_rows(data, COLUMNS), hashes)
        assert digest_of(data) == digest


def test_texts_that_flow_into_each_other_are_distinguished():
    pairs = [["ab", "c"], ["a", "bc"], ["abc", ""], ["abc", None], [None, "abc"]]
    assert len({digest_of(pd.DataFrame({"x": pd.Series(pair, dtype="str")})) for pair in pairs}) == 5


def test_a_name_and_a_kind_are_part_of_a_hash():
    data = pd.DataFrame({"x": ["1", "2"], "y": ["1", "2"]})
    columns = [
        Column(name="x", kind=Kind.ORDINAL, categories=("1", "2")),
        Column(name="y", kind=Kind.ORDINAL, categories=("1", "2")),
        Column(name="x", kind=Kind.CATEGORICAL, categories=("1", "2")),
    ]
    assert len({hash_rows(data, [column])[0] for column in columns}) == 3


def test_words_and_bounds_are_no_part_of_a_hash():
    data = pd.DataFrame({"x": [1.0, 2.0]})
    plain = Column(name="x", kind=Kind.NUMERICAL)
    worded = Column(name="x", kind=Kind.NUMERICAL, description="x", unit="m", minimum=0, nullable=True)
    np.testing.assert_array_equal(hash_rows(data, [plain]), hash_rows(data, [worded]))


def test_an_absent_column_is_missing_in_each_row():
    data = frame().drop(columns="purpose")
    nothing = frame().assign(purpose=pd.Series([None] * len(ROWS), dtype="str"))
    np.testing.assert_array_equal(hash_rows(data, COLUMNS), hash_rows(nothing, COLUMNS))


def test_no_rows_have_no_hashes():
    assert hash_rows(frame([]), COLUMNS).shape == (0,)


@pytest.mark.parametrize(
    ("name", "value"), [("amount", "much"), ("purpose", 1), ("made", "2025-01-01"), ("made", 20250101)]
)
def test_a_value_of_another_kind_is_refused_and_not_named(name, value):
    data = frame().astype({name: object})
    data.loc[0, name] = value
    with pytest.raises(DataError, match=f"the column '{name}' must hold") as refused:
        hash_rows(data, COLUMNS)
    assert "much" not in str(refused.value)


def test_hashes_are_spread_evenly():
    data = pd.DataFrame({"x": np.arange(20_000.0)})
    shares = hash_rows(data, [Column(name="x", kind=Kind.NUMERICAL)]) / 2.0**64
    counts = np.histogram(shares, bins=20, range=(0, 1))[0]
    assert abs(counts - 1_000).max() < 150  # 4.9 standard deviations of 30.8


def test_a_digest_depends_on_names_values_and_the_order_of_rows_alone():
    data = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", None]})
    assert digest_of(data) == digest_of(data.set_axis([7, 9])) == digest_of(data[["b", "a"]])
    others = [data.iloc[::-1], data.rename(columns={"a": "c"}), data.fillna("y"), data.iloc[:1]]
    assert len({digest_of(other) for other in [data, *others]}) == 5


def test_a_date_and_a_weight_are_hashed_by_their_values():
    columns = (Column(name="opened", kind=Kind.DATE), Column(name="w", kind=Kind.WEIGHT))
    times = pd.Series([TIME, TIME, None], dtype="datetime64[us, UTC]")
    rows = pd.DataFrame({"opened": times, "w": [1.0, 2.0, np.nan]})
    names = [["opened", "date"], ["w", "weight"]]
    salt = hashlib.blake2b(json.dumps(names).encode(), digest_size=16).digest()
    micros = int(pd.Timestamp(TIME).timestamp() * 1_000_000)
    expected = [
        hashlib.blake2b(cells, digest_size=8, salt=salt, person=b"loan-default/row").digest()
        for cells in (
            struct.pack(">qd", micros, 1.0),
            struct.pack(">qd", micros, 2.0),
            struct.pack(">qd", -(2**63), np.nan),
        )
    ]
    assert [number.tobytes()[::-1] for number in hash_rows(rows, columns)] == expected

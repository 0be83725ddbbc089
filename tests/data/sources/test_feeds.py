"""Feeds: the same events whatever the size of the batches, and the same validation as for the file."""

import csv
import hashlib
import io
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.frames import validate
from loan_default.data.schema.language import Schema
from loan_default.data.schema.records import RecordError, record_model, records_frame, validate_record
from loan_default.data.schema.schema_files import load_schema
from loan_default.data.sources import feeds, generator
from loan_default.data.sources.feeds import (
    Feed,
    FeedBatch,
    FeedRow,
    FileFeed,
    GeneratedFeed,
    file_rows,
    plain_text,
)
from loan_default.data.sources.generating_process import DataGeneratingProcess
from loan_default.data.sources.generator import generate, to_text
from loan_default.data.sources.json_rows import json_rows, row_subjects
from loan_default.data.sources.table_files import read_frame
from loan_default.errors import ConfigurationError, DataError

PROJECT = Path(__file__).parents[3]
BUNDLED = PROJECT / "data/credit_card/credit_card.csv.gz"
BUNDLED_SCHEMA = PROJECT / "config/schemas/credit_card.toml"
SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="id", kind=Kind.IDENTIFIER, nullable=True),
        Column(name="made", kind=Kind.TIMESTAMP, nullable=True),
        Column(name="income", kind=Kind.NUMERICAL, minimum=0, nullable=True),
        Column(name="late", kind=Kind.NUMERICAL, integer=True, special=(98,)),
        Column(name="purpose", kind=Kind.CATEGORICAL, categories=("car", "2"), aliases={"auto": "car"}),
        Column(name="city", kind=Kind.CATEGORICAL, open=True, nullable=True),
        Column(name="bad", kind=Kind.TARGET, positive="yes", negative="no"),
    ),
)
NAMES = [column.name for column in SCHEMA.columns]


def run(feed: Feed) -> list[FeedBatch]:
    """All batches, each done."""
    batches = []
    for batch in feed.batches():
        batches.append(batch)
        batch.done()
    return batches


def rows_of(batches: list[FeedBatch]) -> list[FeedRow]:
    return [row for batch in batches for row in batch.rows]


def write_csv(path: Path, rows: list[list[str]], header: list[str] | None = None) -> Path:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header or NAMES, *rows])
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


def accepted_like_the_file(path: Path) -> None:
    """The records of the feed pass or fail validation as the rows of the file do, one by one."""
    validation = validate(read_frame(path), SCHEMA, labelled=True)
    rows = rows_of(run(FileFeed(path, SCHEMA, state=path.with_suffix(".json"))))
    model, accepted, numbers = record_model(SCHEMA), [], []
    rules: Counter[str] = Counter()
    for row in rows:
        sent = orjson.loads(orjson.dumps(row.data))
        try:
            accepted.append(validate_record(sent, SCHEMA, model=model))
            numbers.append(int(row.event_id.rsplit("-", 1)[1]))
        except RecordError as error:
            rules.update(error.rules)
    assert rules == validation.counts
    assert numbers == validation.accepted.index.tolist()
    assert len(rows) == len(validation.accepted) + len(validation.rejected)
    pd.testing.assert_frame_equal(
        records_frame(accepted, SCHEMA), validation.accepted.reset_index(drop=True), check_dtype=True
    )


numbers_as_text = st.sampled_from(
    ["", " 7 ", "7.0", "-0", "1e3", "98", "0.1", "NA", "null", "nan", "inf", "-Infinity", "1e999", "x", "1,5"]
) | st.sampled_from(["9007199254740993", "18446744073709551616", "\u0661", "0x10", "true", "+5", "1e-7"])
codes_as_text = st.sampled_from(
    ["car", "CAR ", "auto", "2", "2.0", "", " ", "NA", "boat", "a\u200bb", "\x1b[1m"]
)
ids_as_text = st.sampled_from(
    ["A1", " A1 ", "", "NA", "e\u0301", "x" * 200, "x" * 201, "x" * 257, "a\tb", "\u00a0z", "7.0"]
)
times_as_text = st.sampled_from(
    ["2025-01-31", "2025-01-31T12:00:00+02:00", "", "NA", "31.1.2025", "20250131"]
)
labels_as_text = st.sampled_from(["yes", "no", " YES", "", "NA", "1", "maybe"])
csv_row = st.tuples(
    ids_as_text,
    times_as_text,
    numbers_as_text,
    numbers_as_text,
    codes_as_text,
    codes_as_text,
    labels_as_text,
).map(list)


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(rows=st.lists(csv_row, min_size=1, max_size=20))
def test_records_of_a_csv_file_are_validated_like_its_rows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    accepted_like_the_file(write_csv(tmp_path_factory.mktemp("csv") / "loans.csv", rows))


typed_columns = {
    "id": st.sampled_from(
        [pa.array([1, None, 2**60]), pa.array(["a", None, "b"]), pa.array([b"x", None, b"y"])]
    ),
    "made": st.sampled_from(
        [
            pa.array([1_700_000_000_123_456_789, None, -1], pa.timestamp("ns")),
            pa.array([1_700_000_000, None, 5], pa.timestamp("s", tz="Asia/Tokyo")),
            pa.array([19_000, None, 1], pa.date32()),
            pa.array([20240131, 5, 7]),
            pa.array(["2025-01-31", None, ""]),
        ]
    ),
    "income": st.sampled_from(
        [
            pa.array([0.1, None, np.nan]),
            pa.array([0.1, np.inf, -0.0], pa.float32()),
            pa.array([2**53 + 1, None, 2**62]),
            pa.array([Decimal("1.50"), None, Decimal("-2.00")]),
            pa.array(["1.5", "x", ""]),
            pa.array([True, None, False]),
            pa.array([5, None, 6], pa.timestamp("us")),
        ]
    ),
    "late": st.sampled_from(
        [pa.array([98, 1, None], pa.int8()), pa.array([1.5, 2.0, 98.0]), pa.array([1, 2, 3])]
    ),
    "purpose": st.sampled_from(
        [
            pa.array([2, 2, None]),
            pa.array([2.0, np.nan, 3.0]),
            pa.array(["car", "auto", "2"]),
            pa.array(["car", None, "2"]).dictionary_encode(),
            pa.array([["car"], None, ["2"]]),
        ]
    ),
    "city": st.sampled_from(
        [
            pa.array([True, False, None]),
            pa.array([1.0, np.inf, np.nan]),
            pa.array([1.5, 2.0, None]),
            pa.array([Decimal("1.50"), None, Decimal("2.00")]),
            pa.array([Decimal(2**53 + 1), None, Decimal(10**20 + 1)]),
            pa.array([{"a": 1}, None, {"a": 2}]),
            pa.array([b"x", None, b"y"]),
            pa.array([2**63, None, 2**64 - 1], pa.uint64()),
        ]
    ),
    "bad": st.sampled_from(
        [pa.array(["yes", "no", None]), pa.array([1, 0, None]), pa.array([True, None, False])]
    ),
}


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(columns=st.fixed_dictionaries(typed_columns))
def test_records_of_a_parquet_file_are_validated_like_its_rows(
    tmp_path_factory: pytest.TempPathFactory, columns: dict[str, pa.Array]
) -> None:
    path = tmp_path_factory.mktemp("parquet") / "loans.parquet"
    pq.write_table(pa.table(columns), path)
    accepted_like_the_file(path)


def test_values_are_typed_for_json_and_wrong_ones_stay_wrong(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "loans.csv",
        [["A1", "2025-01-31", "1e3", "2", "auto", "", "YES"], ["", "soon", "inf", "1,5", "boat", " x ", "?"]],
    )
    first, second = rows_of(run(FileFeed(path, SCHEMA, state=tmp_path / "state.json")))
    assert first.data == {
        "id": "A1",
        "made": "2025-01-31",
        "income": 1000,
        "late": 2,
        "purpose": "auto",
        "city": None,
        "bad": "yes",
    }
    assert list(second.data.values()) == [None, "soon", "inf", "1,5", "boat", " x ", "?"]
    assert (first.subject, second.subject) == ("A1", second.event_id)


def test_times_of_parquet_are_iso_text_in_utc(tmp_path: Path) -> None:
    frame = pd.DataFrame({"made": pd.to_datetime(["2025-01-31 12:00:00.25+02:00", None])})
    assert json_rows(frame, SCHEMA) == [{"made": "2025-01-31T10:00:00.250000Z"}, {"made": None}]


def test_subjects_are_canonical_and_fit_into_a_header() -> None:
    ids = [" A1 ", "e\u0301", "NA", "", "x" * 201, "a\tb", "\u00a0z\u3000"]
    expected = ["A1", "\u00e9", None, None, None, None, "z"]
    assert row_subjects(pd.DataFrame({"id": pd.Series(ids, dtype="str")}), SCHEMA) == expected
    assert row_subjects(pd.DataFrame({"id": pd.Series(ids, dtype=object)}), SCHEMA) == expected
    assert row_subjects(pd.DataFrame({"id": [7, 8]}), SCHEMA) == ["7", "8"]
    assert row_subjects(pd.DataFrame({"income": [7, 8]}), SCHEMA) == [None, None]


def test_rows_that_cannot_be_split_keep_their_number_and_their_text(tmp_path: Path) -> None:
    path = tmp_path / "loans.csv"
    path.write_bytes(b"late,purpose\n1,car\n2\n3,\xff\n4,car\n5,car,7\n")
    rows = rows_of(run(FileFeed(path, SCHEMA, state=tmp_path / "state.json")))
    assert [row.event_id.rsplit("-", 1)[1] for row in rows] == ["0", "1", "2", "3", "4"]
    assert [row.data for row in rows] == [
        {"late": 1, "purpose": "car"},
        {"raw_text": "2"},
        {"raw_text": "3,\ufffd"},
        {"late": 4, "purpose": "car"},
        {"raw_text": "5,car,7"},
    ]
    assert [row.subject for row in rows] == [row.event_id for row in rows]


# Batches and watermarks ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ragged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 rows, some of which have too few fields or bytes that are not UTF-8."""
    path = tmp_path_factory.mktemp("ragged") / "loans.csv"
    lines = ["late" if n % 13 == 3 else f"{n},\xff" if n % 17 == 5 else f"{n},car" for n in range(300)]
    path.write_bytes(("late,purpose\n" + "\n".join(lines) + "\n").encode("latin-1"))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("frame_rows", [10, 26])
def test_rows_between_two_numbers_are_all_there_and_no_others(ragged, monkeypatch, frame_rows) -> None:
    """Also where a frame ends just before the last of them, and where that one cannot be split."""
    monkeypatch.setattr(feeds, "_FRAME_ROWS", frame_rows)
    for start in (0, 4, 17):
        for stop in range(start, 32):
            batches = list(file_rows(ragged, SCHEMA, prefix="f", start=start, stop=stop))
            assert [number for batch in batches for number, _ in batch] == list(range(start, stop)), (
                start,
                stop,
            )
            assert all(row.event_id == f"f-{number}" for batch in batches for number, row in batch)
    everything = [number for batch in file_rows(ragged, SCHEMA, prefix="f", start=290) for number, _ in batch]
    assert everything == list(range(290, 300))


@pytest.mark.slow
@settings(deadline=None, max_examples=12)
@given(
    frame_rows=st.integers(5, 120) | st.just(5_000),
    batch_rows=st.integers(25, 120) | st.just(1_000),
    run_rows=st.none() | st.integers(100, 400),
    deaths=st.lists(st.integers(0, 5), max_size=3),
)
def test_the_size_of_batches_does_not_change_the_events(
    ragged: Path,
    tmp_path_factory: pytest.TempPathFactory,
    frame_rows: int,
    batch_rows: int,
    run_rows: int | None,
    deaths: list[int],
) -> None:
    state = tmp_path_factory.mktemp("state") / "state.json"
    expected = rows_of(run(FileFeed(ragged, SCHEMA, state=state.with_name("whole.json"), batch_rows=10_000)))
    assert len(expected) == 300
    seen: dict[str, FeedRow] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feeds, "_FRAME_ROWS", frame_rows)
        feed = FileFeed(ragged, SCHEMA, state=state, rows=run_rows, batch_rows=batch_rows)
        for death in [*deaths, None, None, None]:
            sent = 0
            for index, batch in enumerate(feed.batches()):
                assert 1 <= len(batch.rows) <= batch_rows
                for row in batch.rows:
                    assert seen.setdefault(row.event_id, row) == row
                sent += len(batch.rows)
                if index == death:
                    break  # delivered, but not done
                batch.done()
            assert run_rows is None or sent <= run_rows
    assert list(seen.values()) == expected


@pytest.mark.slow
def test_a_run_sends_the_next_rows_and_no_more(tmp_path: Path) -> None:
    feed = FileFeed(BUNDLED, load_schema(BUNDLED_SCHEMA), state=tmp_path / "s.json", rows=7, batch_rows=3)
    first, second = run(feed), run(feed)
    assert [len(batch.rows) for batch in first] == [3, 3, 1]
    assert [row.subject for row in rows_of(first + second)] == [str(n) for n in range(1, 15)]
    assert first[0].rows[0].event_id == "credit_card-86ea40d2-0"
    assert {batch.source for batch in first} == {"credit_card.csv.gz"}


def test_after_the_last_row_there_is_nothing(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "loans.csv", [["1", "car"], ["2", "car"]], ["late", "purpose"])
    feed = FileFeed(path, SCHEMA, state=tmp_path / "state.json")
    assert len(rows_of(run(feed))) == 2
    assert run(feed) == []


@pytest.mark.slow
def test_what_was_not_done_is_sent_again(tmp_path: Path) -> None:
    feed = FileFeed(BUNDLED, load_schema(BUNDLED_SCHEMA), state=tmp_path / "s.json", rows=4, batch_rows=2)
    delivered = next(iter(feed.batches()))
    again = run(feed)
    assert again[0].rows == delivered.rows
    delivered.done()  # late, and no step back
    assert json.loads((tmp_path / "s.json").read_text())["next_row"] == 4


@pytest.mark.slow
def test_a_batch_cannot_be_skipped(tmp_path: Path) -> None:
    feed = FileFeed(BUNDLED, load_schema(BUNDLED_SCHEMA), state=tmp_path / "s.json", rows=4, batch_rows=2)
    first, second = feed.batches()
    with pytest.raises(RuntimeError, match="in their order, however: row 0 is not, and 2 is"):
        second.done()
    first.done()
    second.done()


def test_a_file_that_changed_under_its_watermark_is_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "loans.csv", [["1", "car"], ["2", "car"]], ["late", "purpose"])
    feed = FileFeed(path, SCHEMA, state=tmp_path / "state.json", rows=1)
    run(feed)
    write_csv(path, [["1", "car"], ["3", "car"]], ["late", "purpose"])
    with pytest.raises(
        DataError, match=r"loans.csv must be as it was .* since the row 1 was next. Restore it"
    ):
        run(feed)
    (tmp_path / "state.json").unlink()
    assert [row.data["late"] for row in rows_of(run(feed))] == [1]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"digest": "x"}', '{"digest": "x", "next_row": "y"}'])
def test_a_damaged_watermark_is_refused(tmp_path: Path, content: str) -> None:
    state = tmp_path / "state.json"
    state.write_text(content)
    with pytest.raises(DataError, match=r"must be JSON with digest and next_row.*delete"):
        run(FileFeed(BUNDLED, load_schema(BUNDLED_SCHEMA), state=state))


def test_unknown_columns_are_left_out(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "loans.csv", [["1", "car", "z"], ["2", "car", "z"]], ["late", "purpose", "shoe"]
    )
    _, second = run(FileFeed(path, SCHEMA, state=tmp_path / "state.json", batch_rows=1))
    assert second.rows[0].data == {"late": 2, "purpose": "car"}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            ["Late", "purpose"],
            "'late' of the schema must be in loans.csv, however: it is not. Did you mean 'Late'",
        ),
        (["late", "city"], "'purpose' of the schema must be in loans.csv.*Add it"),
    ],
)
def test_a_file_none_of_whose_rows_can_pass_is_refused(
    tmp_path: Path, header: list[str], message: str
) -> None:
    path = write_csv(tmp_path / "loans.csv", [["1", "x"]], header)
    with pytest.raises(DataError, match=message):
        run(FileFeed(path, SCHEMA, state=tmp_path / "state.json"))


def test_a_file_without_any_feature_is_refused(tmp_path: Path) -> None:
    schema = Schema(name="s", columns=(Column(name="x", kind=Kind.NUMERICAL, optional=True),))
    path = write_csv(tmp_path / "loans.csv", [["1", "2"]], ["a", "b"])
    with pytest.raises(DataError, match="must have a feature of the schema"):
        run(FileFeed(path, schema, state=tmp_path / "state.json"))


@pytest.mark.parametrize("counts", [{"rows": 0}, {"batch_rows": 0}])
def test_counts_must_be_positive(tmp_path: Path, counts: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match=f"{next(iter(counts))}=0"):
        FileFeed(BUNDLED, SCHEMA, state=tmp_path / "s.json", **counts)
    with pytest.raises(ConfigurationError, match=f"{next(iter(counts))}=0"):
        GeneratedFeed(SCHEMA, seed=1, state=tmp_path / "s.json", **{"rows": 1, **counts})


def test_names_fit_into_ids_and_headers() -> None:
    assert plain_text("a b\tc\udcff\u200b\u00e9") == "a_b_c__\u00e9"
    assert len(plain_text("x" * 300)) == 150


@pytest.mark.slow
def test_every_row_of_the_bundled_file_is_read(tmp_path: Path) -> None:
    rows = rows_of(list(FileFeed(BUNDLED, load_schema(BUNDLED_SCHEMA), state=tmp_path / "s.json").batches()))
    assert len(rows) == 30_000


# The generator -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_generated_rows_pass_as_they_were_drawn(tmp_path: Path) -> None:
    feed = GeneratedFeed(SCHEMA, rows=None, seed=3, state=tmp_path / "s.json", population=700, batch_rows=64)
    rows = rows_of(run(feed))
    assert [row.event_id for row in rows] == [f"generated-3-{n}" for n in range(700)]
    records = [validate_record(orjson.loads(orjson.dumps(row.data)), SCHEMA) for row in rows]
    expected = generate(SCHEMA, rows=700, seed=3).frame
    pd.testing.assert_frame_equal(records_frame(records, SCHEMA), expected, check_index_type=False)
    assert [row.subject for row in rows] == expected["id"].tolist()
    assert {row.data["bad"] for row in rows} == {"yes", "no"}
    assert run(feed) == []


@pytest.mark.slow
@settings(deadline=None, max_examples=10)
@given(
    batch_rows=st.integers(25, 400),
    run_rows=st.none() | st.integers(100, 400),
    frame_rows=st.integers(50, 400),
)
def test_the_size_of_batches_does_not_change_what_is_generated(
    tmp_path_factory: pytest.TempPathFactory, batch_rows: int, run_rows: int | None, frame_rows: int
) -> None:
    folder = tmp_path_factory.mktemp("generated")
    whole = GeneratedFeed(SCHEMA, rows=None, seed=5, state=folder / "whole.json", population=300)
    rows: list[FeedRow] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feeds, "_FRAME_ROWS", frame_rows)
        feed = GeneratedFeed(
            SCHEMA, rows=run_rows, seed=5, state=folder / "s.json", population=300, batch_rows=batch_rows
        )
        for _ in range(3):
            rows += rows_of(run(feed))
    assert rows == rows_of(run(whole))


@pytest.mark.slow
def test_going_on_draws_only_the_blocks_of_the_new_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, drawn = generator._numbered_block, []

    def noting(process: DataGeneratingProcess, number: int) -> object:
        drawn.append(number)
        return real(process, number)

    monkeypatch.setattr(generator, "_numbered_block", noting)
    feed = GeneratedFeed(SCHEMA, rows=6_000, seed=1, state=tmp_path / "s.json", batch_rows=1_000)
    ids = [row.event_id for _ in range(5) for row in rows_of(run(feed))]
    assert ids == [f"generated-1-{row}" for row in range(30_000)]
    # A run of 6,000 rows lies in one block of 8,192 or in two.
    assert drawn == [0, 0, 1, 1, 2, 2, 2, 3]


def test_the_watermark_of_other_rows_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "s.json"
    run(GeneratedFeed(SCHEMA, rows=5, seed=1, state=state))
    with pytest.raises(DataError, match="the generator must be as it was"):
        run(GeneratedFeed(SCHEMA, rows=5, seed=2, state=state))
    assert [row.event_id for row in rows_of(run(GeneratedFeed(SCHEMA, rows=2, seed=1, state=state)))] == [
        "generated-1-5",
        "generated-1-6",
    ]


def with_texts(schema: Schema) -> Schema:
    """The same rules, described otherwise."""
    described = replace(schema["income"], description="Yearly income", unit="EUR")
    columns = tuple(described if column.name == "income" else column for column in schema.columns)
    return replace(schema, description="Mended.", columns=columns)


def test_a_mended_description_does_not_stop_the_generator(tmp_path: Path) -> None:
    state = tmp_path / "s.json"
    run(GeneratedFeed(SCHEMA, rows=5, seed=1, state=state))
    (batch,) = run(GeneratedFeed(with_texts(SCHEMA), rows=2, seed=1, state=state))
    assert [row.event_id for row in batch.rows] == ["generated-1-5", "generated-1-6"]


def test_the_watermark_of_an_earlier_release_is_continued_and_then_rewritten(tmp_path: Path) -> None:
    state = tmp_path / "s.json"
    identity = {"seed": 1, "rows": 1_000_000, "base_rate": 0.2, "signal": 1.5, "missing_rate": 0.05}
    content = json.dumps(identity | {"schema": SCHEMA.digest}, sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()
    state.write_text(json.dumps({"source": "the generator", "digest": digest, "next_row": 5}))
    (batch,) = run(GeneratedFeed(SCHEMA, rows=2, seed=1, state=state))
    assert [row.event_id for row in batch.rows] == ["generated-1-5", "generated-1-6"]
    (batch,) = run(GeneratedFeed(with_texts(SCHEMA), rows=1, seed=1, state=state))
    assert [row.event_id for row in batch.rows] == ["generated-1-7"]


@pytest.mark.parametrize(
    "other",
    [
        replace(SCHEMA, columns=SCHEMA.columns[::-1]),
        replace(
            SCHEMA, columns=(*SCHEMA.columns[:3], replace(SCHEMA["late"], special=()), *SCHEMA.columns[4:])
        ),
    ],
)
def test_other_columns_or_rules_make_other_rows(tmp_path: Path, other: Schema) -> None:
    state = tmp_path / "s.json"
    run(GeneratedFeed(SCHEMA, rows=5, seed=1, state=state))
    with pytest.raises(DataError, match="the generator must be as it was"):
        run(GeneratedFeed(other, rows=5, seed=1, state=state))


def test_a_schema_without_a_target_generates_applications(tmp_path: Path) -> None:
    schema = Schema(name="s", columns=(Column(name="x", kind=Kind.NUMERICAL),))
    (batch,) = run(GeneratedFeed(schema, rows=3, seed=1, state=tmp_path / "s.json"))
    assert [list(row.data) for row in batch.rows] == [["x"]] * 3
    assert batch.source == "generator-1"
    assert to_text(generate(schema, rows=3, seed=1).frame, schema)["x"].tolist() != ["", "", ""]


def test_times_are_utc(tmp_path: Path) -> None:
    (batch,) = run(GeneratedFeed(SCHEMA, rows=1, seed=1, state=tmp_path / "s.json"))
    assert datetime.fromisoformat(batch.rows[0].data["made"]).astimezone(UTC).year == 2025


def test_how_a_file_is_written_is_logged_with_its_first_rows_only(tmp_path):
    path = tmp_path / "loans.csv"
    path.write_text("id;income;bad\n1;2;0\n2;3;1\n", encoding="utf-8")
    columns = (Column(name="id", kind=Kind.IDENTIFIER), Column(name="income", kind=Kind.NUMERICAL))
    schema = Schema(name="loans", columns=(*columns, Column(name="bad", kind=Kind.TARGET)))
    feed = FileFeed(path, schema, state=tmp_path / "state.json", batch_rows=1)
    with structlog.testing.capture_logs() as logs:
        for batch in feed.batches():
            batch.done()
        assert not list(feed.batches())
    assert [(each["event"], each["file"], each["written_as"]) for each in logs] == [
        ("file_read", "loans.csv", "CSV in ASCII, fields separated by semicolons")
    ]


def test_lines_that_are_passed_over_are_logged_with_their_count(tmp_path):
    path = tmp_path / "loans.csv"
    path.write_text("id;income;bad\n1;2;0\n2;3;1\nTotal: 2 loans\n", encoding="utf-8")
    columns = (Column(name="id", kind=Kind.IDENTIFIER), Column(name="income", kind=Kind.NUMERICAL))
    schema = Schema(name="loans", columns=(*columns, Column(name="bad", kind=Kind.TARGET)))
    feed = FileFeed(path, schema, state=tmp_path / "state.json")
    with structlog.testing.capture_logs() as logs:
        for batch in feed.batches():
            batch.done()
        assert not list(feed.batches())
    assert [each["lines"] for each in logs if each["event"] == "footer_passed_over"] == [1]

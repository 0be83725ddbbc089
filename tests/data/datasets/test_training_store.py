"""The training store: the same table and digest however the events lie in parts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loan_default.data.datasets.row_hashing import digest_of
from loan_default.data.datasets.store_parts import APPLICATION, OUTCOME, StoredEvent, write_part
from loan_default.data.datasets.training_store import StoreContents, read_store
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.schema.records import record_model, records_frame, validate_record
from loan_default.data.sources.generator import generate
from loan_default.errors import ConfigurationError, DataError

SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="application_id", kind=Kind.IDENTIFIER),  # a name that the store uses itself
        Column(name="income", kind=Kind.NUMERICAL, nullable=True),
        Column(name="label", kind=Kind.CATEGORICAL, open=True, nullable=True),
        Column(name="record.label", kind=Kind.NUMERICAL, nullable=True),
        Column(name="bad", kind=Kind.TARGET),
    ),
)
TIMED = replace(SCHEMA, columns=(*SCHEMA.columns, Column(name="made", kind=Kind.TIMESTAMP, nullable=True)))
MODEL, TIMED_MODEL = record_model(SCHEMA), record_model(TIMED)
START = datetime(2025, 1, 1, tzinfo=UTC)
NOW = START + timedelta(days=100)


def application(
    event: str, *, of: str | None = None, day: float = 0, bad: str | None = None, **values: Any
) -> StoredEvent:
    raw = {"application_id": of or event, "bad": bad, **values}
    schema, model = (TIMED, TIMED_MODEL) if "made" in values else (SCHEMA, MODEL)
    return StoredEvent(
        event,
        APPLICATION,
        of or event,
        START + timedelta(days=day),
        validate_record(raw, schema, model=model),
    )


def outcome(event: str, *, of: str, label: float, day: float = 50) -> StoredEvent:
    return StoredEvent(event, OUTCOME, of, START + timedelta(days=day), {"label": label})


def write(folder: Path, *parts: Sequence[StoredEvent]) -> None:
    first = 0
    for rows in parts:
        write_part(
            folder, topic="processed_data", partition=0, first=first, next=first + len(rows) + 1, rows=rows
        )
        first += len(rows) + 1


def read(
    folder: Path, *parts: Sequence[StoredEvent], days: int = 0, schema: Schema = SCHEMA
) -> StoreContents:
    write(folder, *parts)
    return read_store(folder, schema, maturity_days=days, now=NOW)


def labels(contents: StoreContents) -> dict[str, float | None]:
    frame = contents.frame
    return {
        name: None if math.isnan(label) else label
        for name, label in zip(frame["application_id"], frame["bad"], strict=True)
    }


# Parts ---------------------------------------------------------------------------------------------------


def test_a_part_is_named_after_its_offsets_and_written_again_alike(tmp_path: Path) -> None:
    rows = [application("a", income=1.5, label="x"), outcome("o", of="a", label=1.0)]
    path = write_part(tmp_path / "new", topic="processed_data", partition=2, first=500, next=1000, rows=rows)
    assert path == tmp_path / "new" / "processed_data-2-000000000500-000000001000.parquet"
    content = path.read_bytes()
    assert (
        write_part(path.parent, topic="processed_data", partition=2, first=500, next=1000, rows=rows) == path
    )
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_columns_have_plain_types(tmp_path: Path) -> None:
    row = application("a", bad="1", income=1, label="x", made="2025-01-31T12:00:00+02:00")
    write(tmp_path, [row])
    (path,) = tmp_path.iterdir()
    time_type = pa.timestamp("us", tz="UTC")
    assert dict(zip(pq.read_schema(path).names, pq.read_schema(path).types, strict=True)) == {
        "event_id": pa.string(),
        "event_type": pa.string(),
        "application_id": pa.string(),
        "event_time": time_type,
        "outcome": pa.float64(),
        "record.application_id": pa.string(),
        "income": pa.float64(),
        "label": pa.string(),
        "record.record.label": pa.null(),
        "bad": pa.float64(),
        "made": time_type,
    }


def test_the_frame_is_the_records(tmp_path: Path) -> None:
    schema = Schema(
        name="all",
        columns=(
            Column(name="id", kind=Kind.IDENTIFIER),
            Column(name="made", kind=Kind.TIMESTAMP),
            Column(name="income", kind=Kind.NUMERICAL, nullable=True),
            Column(name="grade", kind=Kind.ORDINAL, categories=("A", "B"), nullable=True),
            Column(name="bad", kind=Kind.TARGET),
        ),
    )
    frame = generate(schema, rows=300, seed=1, missing_rate=0.3).frame
    cells = frame.astype(object).where(frame.notna(), None)
    records = cells.to_dict("records")
    events = [
        StoredEvent(f"e{n:03d}", APPLICATION, str(record["id"]), START, record)  # type: ignore[arg-type]
        for n, record in enumerate(records)
    ]
    contents = read(tmp_path, events[200:], events[:200], schema=schema)
    pd.testing.assert_frame_equal(contents.frame, frame, check_index_type=False)
    pd.testing.assert_frame_equal(contents.frame, records_frame(records, schema))
    assert contents.digest == digest_of(frame)


@pytest.mark.parametrize(("first", "following"), [(5, 5), (6, 5), (-1, 5)])
def test_a_part_needs_a_range(tmp_path: Path, first: int, following: int) -> None:
    with pytest.raises(DataError, match=f"first={first}, next={following}"):
        write_part(tmp_path, topic="t", partition=0, first=first, next=following, rows=[])


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (outcome("o", of="a", label=0.5), "'o' is 'outcome.observed' with label=0.5"),
        (replace(outcome("o", of="a", label=1.0), record={}), "with label=None"),
        (replace(application("a"), event_type="application.received"), "'a' is 'application.received'"),
        (replace(application("a"), record={"income": object()}), "income must be text, a number or a time"),
    ],
)
def test_events_that_mean_nothing_are_refused(tmp_path: Path, event: StoredEvent, message: str) -> None:
    with pytest.raises(DataError, match=message):
        write(tmp_path, [event])
    assert list(tmp_path.iterdir()) == []


def test_an_empty_store_is_an_empty_table(tmp_path: Path) -> None:
    for folder in (tmp_path / "none", tmp_path):
        contents = read_store(folder, SCHEMA, maturity_days=0, now=NOW)
        assert contents.frame.dtypes.astype(str).to_dict() == {
            "application_id": "str",
            "income": "float64",
            "label": "str",
            "record.label": "float64",
            "bad": "float64",
        }
        assert (len(contents.parts), contents.events, contents.last_event_time) == (0, 0, None)
    contents = read(tmp_path, [], [outcome("o", of="a", label=1.0)])
    assert (len(contents.parts), contents.events, contents.applications) == (2, 1, 0)


def test_other_files_are_no_parts(tmp_path: Path) -> None:
    (tmp_path / ".processed_data-0-000000000000-000000000009.parquet.ab.tmp").write_bytes(b"half")
    (tmp_path / "notes.parquet").write_bytes(b"no part")
    assert read(tmp_path, [application("a")]).parts == ("processed_data-0-000000000000-000000000002.parquet",)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text", "foreign"])
def test_a_damaged_part_is_named(tmp_path: Path, damage: str) -> None:
    write(tmp_path, [application("a")], [application(f"b{n}", income=n, label="x") for n in range(500)])
    path = max(tmp_path.iterdir())
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    path.write_bytes(
        {"cut": content[:-20], "flipped": content, "empty": b"", "text": b"no parquet" * 9}.get(damage, b"")
    )
    if damage == "foreign":
        pq.write_table(pa.table({"event_id": ["a"], "income": [1.0]}), path)
    with pytest.raises(
        DataError, match=f"must be a Parquet file of events, however: {path.name}: .*Delete it"
    ):
        read_store(tmp_path, SCHEMA, maturity_days=0, now=NOW)


@pytest.mark.slow
def test_every_flipped_byte_is_found_or_does_not_matter(tmp_path: Path) -> None:
    events = [application(f"a{n}", income=n) for n in range(20)]
    sound = read(tmp_path, events).digest
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    found = 0
    for position in range(0, len(content), 13):
        path.write_bytes(content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :])
        try:
            digest = read_store(tmp_path, SCHEMA, maturity_days=0, now=NOW).digest
        except DataError:
            found += 1
        else:
            assert digest == sound, position
    assert found > 50


def test_a_column_of_another_type_is_named(tmp_path: Path) -> None:
    write(tmp_path, [application("a", label="x")])
    other = replace(SCHEMA, columns=(Column(name="label", kind=Kind.NUMERICAL),))
    with pytest.raises(
        DataError, match=r"'label' must be double in all parts, however: it is string in processed"
    ):
        read_store(tmp_path, other, maturity_days=0, now=NOW)


def test_columns_come_and_go_with_the_schema(tmp_path: Path) -> None:
    write(tmp_path, [application("a", income=1.0)])
    grown = Schema(name="s", columns=(Column(name="new", kind=Kind.CATEGORICAL, open=True), SCHEMA["income"]))
    frame = read_store(tmp_path, grown, maturity_days=0, now=NOW).frame
    pd.testing.assert_frame_equal(
        frame, pd.DataFrame({"new": pd.Series([None], dtype="str"), "income": [1.0]})
    )


# Labels --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_of_copies_of_an_event_the_earliest_stays_wherever_it_lies(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    copies = [
        application("e", of="a", day=day, income=day, bad=bad) for day, bad in ((1, "0"), (2, "1"), (3, None))
    ]
    contents = read(tmp_path, *([copies[position]] for position in order))
    assert contents.frame["income"].tolist() == [1.0]
    assert contents.frame["bad"].tolist() == [0.0]
    assert (contents.duplicates, contents.superseded) == (2, 0)
    assert contents.first_event_time == contents.last_event_time == START + timedelta(days=1)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_copies_of_an_outcome_the_earliest_stays_wherever_it_lies(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    copies = [outcome("o", of="a", label=1.0, day=10), outcome("o", of="a", label=0.0, day=20)]
    contents = read(tmp_path, [application("a")], *([copies[position]] for position in order))
    assert labels(contents) == {"a": 1.0}
    assert contents.duplicates == 1


def test_of_copies_of_one_time_the_one_in_the_first_part_stays(tmp_path: Path) -> None:
    contents = read(tmp_path, [application("e", of="a", income=1)], [application("e", of="a", income=2)])
    assert contents.frame["income"].tolist() == [1.0]


def test_outcomes_come_late_twice_and_for_nobody(tmp_path: Path) -> None:
    contents = read(
        tmp_path,
        [outcome("o1", of="early", label=1.0, day=-5), outcome("o2", of="nobody", label=1.0)],
        [
            application("early"),
            application("late"),
            application("twice", bad="0"),
            application("kept", bad="1"),
        ],
        [outcome("o3", of="twice", label=0.0, day=60), outcome("o4", of="twice", label=1.0, day=40)],
        [outcome("o5", of="late", label=1.0), outcome("o5", of="late", label=1.0), application("open")],
    )
    assert labels(contents) == {"early": 1.0, "late": 1.0, "twice": 0.0, "kept": 1.0, "open": None}
    assert (contents.events, contents.applications, contents.duplicates) == (11, 5, 1)
    later = read_store(tmp_path, SCHEMA, maturity_days=0, now=NOW)
    write_part(tmp_path, topic="t", partition=1, first=0, next=1, rows=[application("nobody")])
    arrived = read_store(tmp_path, SCHEMA, maturity_days=0, now=NOW)
    assert later.digest == contents.digest != arrived.digest
    assert labels(arrived)["nobody"] == 1.0


def test_a_later_state_of_an_application_supersedes_the_earlier_one(tmp_path: Path) -> None:
    contents = read(
        tmp_path,
        [
            application("e2", of="a", day=2, income=2.0),
            application("e1", of="a", day=1, income=1.0, bad="1"),
        ],
        [application("e3", of="a", day=2, income=3.0)],
    )
    assert contents.frame["income"].tolist() == [3.0]  # of two at one time the later id
    assert (contents.superseded, contents.events) == (2, 3)
    assert contents.first_event_time == contents.last_event_time == START + timedelta(days=2)


def test_a_label_stays_known_though_a_later_state_has_none(tmp_path: Path) -> None:
    contents = read(
        tmp_path,
        [application("e1", of="a", day=1, bad="1"), application("e2", of="b", day=1, bad="1")],
        [application("e3", of="a", day=2), application("e4", of="b", day=2, bad="0")],
        [application("e5", of="a", day=3), application("e6", of="c", day=3)],
    )
    assert (contents.superseded, labels(contents)) == (3, {"a": 1.0, "b": 0.0, "c": None})


@pytest.mark.parametrize(
    ("days", "age", "counts"),
    [
        (30, timedelta(days=30), True),
        (30, timedelta(days=30) - timedelta(microseconds=1), False),
        (0, timedelta(days=-1), True),  # at once, even where a clock is ahead
        (1, timedelta(days=-1), False),
    ],
)
def test_a_label_counts_when_its_application_is_old_enough(
    tmp_path: Path, days: int, age: timedelta, counts: bool
) -> None:
    made = (NOW - age).astimezone(timezone(timedelta(hours=5)))
    rows = [
        application("event", bad="1")
        if days == 0
        else application("event", bad="1", day=100 - age / timedelta(days=1)),
        application("column", bad="1", made=made.isoformat(), day=99.9),
    ]
    contents = read(tmp_path, rows, days=days, schema=TIMED)
    expected = 1.0 if counts else None
    assert labels(contents) == {"event": expected, "column": expected}


def test_without_a_time_of_its_own_an_application_is_as_old_as_its_event(tmp_path: Path) -> None:
    rows = [
        application("old", bad="1", day=10, made=None),
        application("young", bad="1", day=95, made=None),
    ]
    contents = read(tmp_path, rows, days=30, schema=TIMED)
    assert labels(contents) == {"old": 1.0, "young": None}


def test_a_schema_without_a_target_has_no_labels(tmp_path: Path) -> None:
    schema = replace(SCHEMA, columns=SCHEMA.columns[:2])
    contents = read(tmp_path, [application("a", bad="1"), outcome("o", of="a", label=1.0)], schema=schema)
    assert list(contents.frame) == ["application_id", "income"]
    assert contents.events == 2


@pytest.mark.parametrize(("days", "now"), [(-1, NOW), (0, NOW.replace(tzinfo=None))])
def test_maturity_needs_days_and_a_time_zone(tmp_path: Path, days: int, now: datetime) -> None:
    with pytest.raises(ConfigurationError, match=f"maturity_days={days}, now="):
        read_store(tmp_path, SCHEMA, maturity_days=days, now=now)


# Any events in any parts ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Slow:
    """The same, an event at a time."""

    rows: list[dict[str, Any]]
    duplicates: int
    superseded: int
    outcomes: int


def slowly(events: list[StoredEvent], *, days: int) -> Slow:
    seen: dict[str, StoredEvent] = {}
    for event in sorted(events, key=lambda event: (event.event_time, event.event_id)):
        seen.setdefault(event.event_id, event)
    of_type = {
        kind: [event for event in seen.values() if event.event_type == kind]
        for kind in (APPLICATION, OUTCOME)
    }
    latest = {event.application_id: event for event in of_type[APPLICATION]}
    known = {
        event.application_id: event.record["bad"]
        for event in of_type[APPLICATION]
        if event.record["bad"] is not None
    }
    known |= {event.application_id: event.record["label"] for event in of_type[OUTCOME]}
    rows = []
    for event in sorted(latest.values(), key=lambda event: (event.event_time, event.event_id)):
        record = dict(event.record)
        record["bad"] = known.get(event.application_id)
        if days and NOW - event.event_time < timedelta(days=days):
            record["bad"] = None
        rows.append(record)
    return Slow(
        rows=rows,
        duplicates=len(events) - len(seen),
        superseded=len(of_type[APPLICATION]) - len(latest),
        outcomes=len(of_type[OUTCOME]),
    )


@st.composite
def stored_events(draw: st.DrawFn) -> list[StoredEvent]:
    events = []
    for number in range(draw(st.integers(1, 25))):
        of, day = draw(st.sampled_from("abcdef")), draw(st.integers(0, 100))
        if draw(st.integers(0, 2)):
            label = draw(st.sampled_from([None, "1", "0"]))
            values = {
                "income": draw(st.none() | st.floats(0, 9)),
                "label": draw(st.sampled_from([None, "x", "\u00e9"])),
            }
            raw = {"application_id": of, "bad": label, **values}
            record = validate_record(raw, SCHEMA, model=MODEL)
            events.append(StoredEvent(f"e{number}", APPLICATION, of, START + timedelta(days=day), record))
        else:
            events.append(outcome(f"e{number}", of=of, label=draw(st.sampled_from([0.0, 1.0])), day=day))
    return events


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(events=stored_events(), days=st.sampled_from([0, 1, 50]), data=st.data())
def test_any_events_in_any_parts_give_the_same_table(
    tmp_path_factory: pytest.TempPathFactory, events: list[StoredEvent], days: int, data: st.DataObject
) -> None:
    whole = read(tmp_path_factory.mktemp("whole"), events, days=days)
    order = data.draw(st.permutations(events))
    cuts = sorted({0, len(order), *data.draw(st.lists(st.integers(0, len(order)), max_size=4))})
    again = data.draw(st.lists(st.lists(st.sampled_from(events), max_size=6), max_size=3))
    parts = data.draw(st.permutations([*(order[a:b] for a, b in pairwise(cuts)), *again]))
    contents = read(tmp_path_factory.mktemp("parts"), *parts, days=days)
    pd.testing.assert_frame_equal(contents.frame, whole.frame)
    assert contents.digest == whole.digest == digest_of(whole.frame)
    expected = slowly([event for part in parts for event in part], days=days)
    pd.testing.assert_frame_equal(contents.frame, records_frame(expected.rows, SCHEMA))
    assert len(contents.parts) == len(parts)
    assert contents.duplicates == expected.duplicates == whole.duplicates + sum(map(len, again))
    assert contents.superseded == whole.superseded == expected.superseded
    assert contents.events == (
        contents.duplicates + contents.superseded + contents.applications + expected.outcomes
    )


def test_a_change_of_one_value_changes_the_digest(tmp_path: Path) -> None:
    first = read(tmp_path / "one", [application("a", income=1.0)]).digest
    assert read(tmp_path / "two", [application("a", income=1.5)]).digest != first
    assert read(tmp_path / "three", [application("a", income=1.0, bad="1")]).digest != first


@pytest.mark.slow
def test_a_hundred_thousand_events_in_many_parts_are_all_read(tmp_path: Path) -> None:
    record = validate_record({"application_id": "x", "income": 1, "label": "x"}, SCHEMA)
    events = [StoredEvent(f"e{n}", APPLICATION, f"a{n}", START, record) for n in range(100_000)]
    write(tmp_path, *(events[first : first + 5_000] for first in range(0, 100_000, 5_000)))
    assert read_store(tmp_path, SCHEMA, maturity_days=0, now=NOW).applications == 100_000


def test_a_range_of_a_topic_that_was_made_anew_does_not_overwrite_the_old_one(tmp_path):
    where = {"topic": "t", "partition": 0, "first": 0, "next": 2}
    old, new = [application("a"), application("b")], [application("c"), application("d")]
    path = write_part(tmp_path, **where, rows=old)
    another = write_part(tmp_path, **where, rows=new)
    assert path != another
    assert write_part(tmp_path, **where, rows=old) == path
    assert write_part(tmp_path, **where, rows=new) == another
    contents = read(tmp_path)
    assert contents.parts == (another.name, path.name)
    assert contents.applications == 4
    path.write_bytes(b"damaged")
    assert write_part(tmp_path, **where, rows=old) == path
    assert read(tmp_path).applications == 4


def test_dates_and_weights_are_stored_as_times_and_numbers(tmp_path: Path) -> None:
    columns = (
        Column(name="opened", kind=Kind.DATE, nullable=True, format="%d/%m/%Y"),
        Column(name="w", kind=Kind.WEIGHT, nullable=True),
    )
    schema = replace(SCHEMA, columns=(*SCHEMA.columns, *columns))
    raw = [
        {"application_id": "a", "opened": "31/01/2011", "w": 2},
        {"application_id": "b", "opened": None, "w": None},
    ]
    records = [validate_record(each, schema) for each in raw]
    events = [
        StoredEvent(
            f"e{day}", APPLICATION, str(record["application_id"]), START + timedelta(days=day), record
        )
        for day, record in enumerate(records)
    ]
    # Of the second part, all dates and weights are missing.
    contents = read(tmp_path, events[:1], events[1:], schema=schema)
    pd.testing.assert_frame_equal(contents.frame, records_frame(records, schema))
    assert contents.frame["opened"].tolist()[0] == pd.Timestamp("2011-01-31", tz="UTC")

"""Outcomes alone, held against the labels of the whole store."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loan_default.data.datasets.known_outcomes import known_outcomes
from loan_default.data.datasets.store_parts import APPLICATION, OUTCOME, StoredEvent, write_part
from loan_default.data.datasets.training_store import read_store
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema

START = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="id", kind=Kind.IDENTIFIER),
        Column(name="income", kind=Kind.NUMERICAL),
        Column(name="bad", kind=Kind.TARGET),
    ),
)


def application(event, of, day, bad=None):
    record = {"id": of, "income": 1.0, "bad": bad}
    return StoredEvent(event, APPLICATION, of, START + timedelta(days=day), record)


def outcome(event, of, day, label):
    return StoredEvent(event, OUTCOME, of, START + timedelta(days=day), {"label": label})


def write(folder, *parts):
    first = 0
    for rows in parts:
        write_part(
            folder, topic="processed_data", partition=0, first=first, next=first + len(rows), rows=rows
        )
        first += len(rows)


def test_an_event_goes_before_a_label_and_the_latest_before_earlier_ones(tmp_path):
    write(
        tmp_path,
        [application("1", "a", 0, 1.0), application("2", "b", 0), application("3", "c", 0, 1.0)],
        [outcome("4", "a", 3, 0.0), outcome("5", "b", 2, 1.0), outcome("6", "b", 4, 0.0)],
        [application("7", "c", 5, 0.0), application("8", "c", 6), application("9", "a", 9, 1.0)],
    )
    assert known_outcomes(tmp_path, target="bad") == {"a": 0.0, "b": 0.0, "c": 0.0}
    assert known_outcomes(tmp_path, target="bad", only=["b", "nobody"]) == {"b": 0.0}
    assert known_outcomes(tmp_path, target=None) == {"a": 0.0, "b": 0.0}
    assert known_outcomes(tmp_path, target="of another schema") == {"a": 0.0, "b": 0.0}


@pytest.mark.parametrize("exists", [True, False])
def test_without_parts_nothing_is_known(tmp_path, exists):
    folder = tmp_path / "store"
    if exists:
        folder.mkdir()
    assert known_outcomes(folder, target="bad") == {}


_people = st.sampled_from("abc")
_days = st.integers(0, 5)
_events = st.lists(
    st.one_of(
        st.tuples(st.just("application"), _people, _days, st.sampled_from([None, 0.0, 1.0])),
        st.tuples(st.just("outcome"), _people, _days, st.sampled_from([0.0, 1.0])),
    ),
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(_events, st.integers(1, 3))
def test_they_are_the_labels_of_the_training_store(tmp_path_factory, events, parts):
    folder = tmp_path_factory.mktemp("store")
    rows = [
        application(f"{n:02d}", of, day, label)
        if kind == "application"
        else outcome(f"{n:02d}", of, day, label)
        for n, (kind, of, day, label) in enumerate(events)
    ]
    write(folder, *(rows[part::parts] for part in range(parts) if rows[part::parts]))
    frame = read_store(folder, SCHEMA, maturity_days=0, now=START + timedelta(days=99)).frame
    labelled = {
        name: label for name, label in zip(frame["id"], frame["bad"], strict=True) if not np.isnan(label)
    }
    applied = {of for kind, of, *_ in events if kind == "application"}
    found = known_outcomes(folder, target="bad")
    assert {name: label for name, label in found.items() if name in applied} == labelled

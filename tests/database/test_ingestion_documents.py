"""Documents of the ingestion: what is refused, and that what is accepted comes back equal from the store."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.ingestion_documents import (
    EventStatus,
    IngestionBatch,
    OffsetRange,
    RawDataLog,
)
from loan_default.database.serving_documents import Prediction
from loan_default.errors import DataError

NOON = datetime(2026, 11, 23, 12, 0, 0, 123000, tzinfo=UTC)


def changed(document, **values):
    return type(document)(**{**document.model_dump(), **values})


@pytest.fixture
def log():
    return RawDataLog(
        event="e-1",
        topic="raw_data",
        partition=2,
        offset=17,
        batch="run.1/1",
        outcome=EventStatus.REJECTED,
        reason="income: must be at least 0",
        application="app-1",
        sent_at=NOON,
        logged_at=NOON + timedelta(seconds=1),
    )


@pytest.fixture
def batch():
    return IngestionBatch(
        batch="run.1/1",
        run="scheduled__2026-11-23T12:00:00.5+00:00",
        worker="host.domain:7",
        ranges=(
            OffsetRange(topic="raw_data", partition=0, first=0, next=6),
            OffsetRange(topic="raw_data", partition=1, first=4, next=5),
        ),
        consumed=7,
        accepted=3,
        rejected=2,
        duplicates=1,
        redelivered=1,
        started_at=NOON,
        seconds={"validate": 0.25, "log": 0.5},
    )


@pytest.fixture
def prediction():
    return Prediction(event="e-1", application="a", version="v1", pd=0.25, points=512.5, scored_at=NOON)


@pytest.mark.parametrize(
    "values",
    [
        {"event": ""},
        {"event": "a\0b"},
        {"partition": -1},
        {"offset": 2**63},
        {"outcome": "lost"},
        {"reason": None},
        {"reason": ""},
        {"outcome": "accepted"},
        {"application": ""},
        {"logged_at": datetime(2026, 1, 1)},  # noqa: DTZ001 - no zone, on purpose
        {"record": {}},
    ],
)
def test_a_broken_log_is_refused(log, values):
    assert changed(log) == log
    with pytest.raises(ValidationError):
        changed(log, **values)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"consumed": 6}, "accepted \\+ rejected \\+ duplicates \\+ redelivered"),
        ({"redelivered": -1, "consumed": 5}, "greater than or equal to 0"),
        ({"consumed": 8, "accepted": 4}, "fit into the ranges"),
        ({"ranges": ()}, "at least 1"),
        ({"ranges": [{"topic": "t", "partition": 0, "first": 7, "next": 7}]}, "next must follow first"),
        ({"ranges": [{"topic": "t", "partition": 0, "first": 0, "next": 7}] * 2}, "different partitions"),
        ({"seconds": {"validate": -0.1}}, "greater than or equal to 0"),
        ({"seconds": {"validate": math.nan}}, "finite"),
        ({"seconds": {"a.b": 1.0}}, "pattern"),
    ],
)
def test_a_broken_batch_is_refused(batch, values, reason):
    assert changed(batch) == batch
    with pytest.raises(ValidationError, match=reason):
        changed(batch, **values)


@pytest.mark.parametrize("values", [{"pd": 1.1}, {"pd": math.nan}, {"points": math.inf}, {"version": ""}])
def test_a_broken_prediction_is_refused(prediction, values):
    assert changed(prediction) == prediction
    with pytest.raises(ValidationError):
        changed(prediction, **values)


def test_the_id_is_stored_once(log, batch):
    for document, field in ((log, "event"), (batch, "batch")):
        stored = document.to_store()
        assert stored["_id"] == document.id == getattr(document, field)
        assert field not in stored
        assert type(document).from_store(stored) == document


def test_a_broken_stored_log_is_a_data_error(log):
    stored = log.to_store()
    del stored["offset"]
    with pytest.raises(DataError, match="_id='e-1': offset: Field required"):
        RawDataLog.from_store(stored)


def test_a_redelivered_log_has_the_same_content(log):
    assert changed(log, batch="run.2/9", logged_at=NOON + timedelta(days=1)).same_content(log)
    assert not changed(log, offset=18).same_content(log)


_text = st.text(min_size=1, max_size=8).filter(lambda text: "\0" not in text)
_time = st.integers(-(10**12), 10**12).map(lambda micros: NOON + timedelta(microseconds=micros))
_count = st.integers(0, 2**63 - 1)


@st.composite
def _logs(draw):
    reason = draw(st.none() | _text)
    return RawDataLog(
        event=draw(_text),
        topic=draw(_text),
        partition=draw(_count),
        offset=draw(_count),
        batch=draw(_text),
        outcome=EventStatus.ACCEPTED if reason is None else EventStatus.REJECTED,
        reason=reason,
        application=draw(st.none() | _text),
        sent_at=draw(st.none() | _time),
        logged_at=draw(_time),
    )


@st.composite
def _batches(draw):
    counts = draw(st.tuples(*[st.integers(0, 2**40)] * 4))
    return IngestionBatch(
        batch=draw(_text),
        run=draw(_text),
        worker=draw(_text),
        ranges=tuple(
            OffsetRange(topic=topic, partition=partition, first=first, next=first + 2**43)
            for (topic, partition), first in draw(
                st.dictionaries(
                    st.tuples(_text, st.integers(0, 9)), st.integers(0, 2**62), min_size=1, max_size=3
                )
            ).items()
        ),
        consumed=sum(counts),
        accepted=counts[0],
        rejected=counts[1],
        duplicates=counts[2],
        redelivered=counts[3],
        started_at=draw(_time),
        seconds=draw(
            st.dictionaries(st.sampled_from(["validate", "log", "send"]), st.floats(0, 1e308), max_size=3)
        ),
    )


_predictions = st.builds(
    Prediction,
    event=_text,
    application=st.none() | _text,
    version=st.sampled_from(["v1", "v2"]),
    pd=st.floats(0, 1),
    points=st.floats(allow_nan=False, allow_infinity=False),
    scored_at=_time,
)


@pytest.mark.slow
def test_any_document_comes_back_equal(tmp_path):
    things = EmbeddedDatabase(tmp_path / "documents.sqlite3")["things"]

    @settings(max_examples=60, deadline=None)
    @given(document=st.one_of(_logs(), _batches(), _predictions))
    def check(document):
        things.delete_many({})
        things.insert_one(document.to_store())
        found = type(document).from_store(things.find_one({"_id": document.id}))
        assert found == document
        assert found.id == document.id

    check()

"""The documents about models: what is refused, and that what is accepted comes back equal everywhere."""

import math
from datetime import UTC, datetime, timedelta

import mongomock_ng
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from loan_default.database.documents import (
    Champion,
    DatasetName,
    ModelMetadata,
    ModelStatus,
    PerformanceMetrics,
    TrainingData,
    finite_metrics,
    model_version,
)
from loan_default.database.embedded import EmbeddedDatabase

NOON = datetime(2026, 11, 23, 12, 0, 0, 123000, tzinfo=UTC)


def changed(document, **values):
    return type(document)(**{**document.model_dump(), **values})


@pytest.mark.parametrize(
    "values",
    [
        {"created_at": datetime(2026, 1, 1)},  # noqa: DTZ001 - no zone, on purpose
        {"unheard_of": 1},
        {"status": "best"},
        {"path": "/models/a.pth"},
        {"path": "../a.pth"},
        {"path": ""},
        {"path": "models\\a.pth"},
        {"sha256": "CD" * 32},
        {"sha256": "cd" * 31},
        {"members": 0},
        {"parameters": 2**63},
        {"parameters": -1},
        {"training_seconds": math.nan},
        {"training_seconds": math.inf},
        {"rows": {"a.b": 1}},
        {"rows": {"$a": 1}},
        {"libraries": {"torch": ""}},
        {"version": ""},
        {"preset": "a\0b"},
    ],
)
def test_a_broken_model_is_refused(model, values):
    assert changed(model) == model
    with pytest.raises(ValidationError):
        changed(model, **values)


@pytest.mark.parametrize(
    "values",
    [
        {"figures": {"auc": math.nan}, "intervals": {}, "reasons": {}},
        {"figures": {"auc": math.inf}, "intervals": {}, "reasons": {}},
        {"figures": {"auc": None}, "intervals": {}, "reasons": {}},
        {"reasons": {}},
        {"reasons": {"ks": "why", "auc": "but it is there"}},
        {"intervals": {"auc": (0.9, 0.8)}},
        {"intervals": {"other": (0.1, 0.2)}},
        {"intervals": {"auc": (0.1, math.nan)}},
        {"label_rate": 1.1},
        {"dataset": "train"},
    ],
)
def test_broken_metrics_are_refused(metrics, values):
    with pytest.raises(ValidationError):
        changed(metrics, **values)


@pytest.mark.parametrize(
    "values",
    [
        {"rows_read": 13},
        {"first_at": NOON},
        {"first_at": NOON, "last_at": NOON - timedelta(days=1)},
        {"label_rate": -0.1},
    ],
)
def test_broken_training_data_are_refused(snapshot, values):
    with pytest.raises(ValidationError):
        changed(snapshot, **values)


def test_a_version_sorts_by_time_and_names_the_content():
    first = model_version(NOON, "ff" * 32)
    assert first == "20261123-120000-ffffffffffff"
    assert first < model_version(NOON + timedelta(seconds=1), "00" * 32)


def test_the_same_data_are_the_same_snapshot(snapshot):
    later = changed(snapshot, created_at=NOON + timedelta(days=1))
    assert (later.id, later.same_content(snapshot)) == (snapshot.id, True)
    for other in (changed(snapshot, digest="00" * 32), changed(snapshot, rows_read=13, rows_rejected=2)):
        assert other.id != snapshot.id
        assert not other.same_content(snapshot)


def test_figures_that_do_not_exist_get_a_reason(metrics):
    figures, reasons = finite_metrics({"auc": 0.5, "ks": math.nan, "lift": -math.inf, "gini": None})
    assert figures == {"auc": 0.5, "ks": None, "lift": None, "gini": None}
    assert set(reasons) == {"ks", "lift", "gini"}
    assert reasons["lift"] == "infinite"
    assert changed(metrics, figures=figures, reasons=reasons).figures == figures


def test_a_snapshot_of_the_first_release_keeps_its_id_and_says_how_its_digest_was_made(snapshot):
    # What the first release made of the same data, and what it called them.
    first = {
        "_id": "data-6c7cdf0a7fe1",
        "digest": "ab" * 32, "created_at": NOON, "sources": ["applications.csv"], "rows_read": 12,
        "rows_accepted": 10, "rows_rejected": 1, "rows_duplicate": 1, "label_rate": 0.2,
        "columns": ["age", "default"], "first_at": None, "last_at": None, "parts": [], "since": None,
        "until": None,
    }  # fmt: skip
    read = TrainingData.from_store(first)
    assert (read.id, read.digest_version, read.schema_version) == (first["_id"], 1, "1.0")
    assert snapshot.to_store() == first | {"digest_version": 1, "schema_version": "1.1"}


_text = st.text(min_size=1, max_size=8).filter(lambda text: "\0" not in text)
_key = _text.filter(lambda text: "." not in text and "$" not in text)
_time = st.integers(-(10**12), 10**12).map(lambda micros: NOON + timedelta(microseconds=micros))
_digest = st.text("0123456789abcdef", min_size=64, max_size=64)
_count = st.integers(0, 2**63 - 1)
_share = st.none() | st.floats(0, 1)
_finite = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def _models(draw):
    return ModelMetadata(
        version=draw(_key),
        created_at=draw(_time),
        status=draw(st.sampled_from(ModelStatus)),
        path="models/" + draw(st.text("abc-_ é", min_size=1)) + ".pth",
        sha256=draw(_digest),
        schema_name=draw(_text),
        schema_digest=draw(_digest),
        preset=draw(_text),
        objective=draw(_text),
        pretrained=draw(st.booleans()),
        members=draw(st.integers(1, 9)),
        parameters=draw(_count),
        rows=draw(st.dictionaries(_key, _count, max_size=3)),
        seed=draw(_count),
        code_version=draw(_text),
        libraries=draw(st.dictionaries(_key, _text, max_size=3)),
        training_seconds=draw(st.floats(0, 1e308)),
        snapshot=draw(_key),
    )


@st.composite
def _metrics(draw):
    figures = draw(st.dictionaries(_key, st.none() | _finite, max_size=4))
    with_interval = draw(st.sets(st.sampled_from(sorted(figures)))) if figures else set()
    return PerformanceMetrics(
        version=draw(_key),
        dataset=draw(st.sampled_from(DatasetName)),
        snapshot=draw(_key),
        computed_at=draw(_time),
        rows=draw(_count),
        label_rate=draw(_share),
        figures=figures,
        intervals={name: tuple(sorted(draw(st.tuples(_finite, _finite)))) for name in with_interval},
        reasons={name: draw(_text) for name, value in figures.items() if value is None},
    )


@st.composite
def _snapshots(draw):
    parts = draw(st.tuples(*[st.integers(0, 2**40)] * 3))
    ends = sorted(draw(st.tuples(_time, _time)))
    first, last = draw(st.sampled_from([(None, None), tuple(ends)]))
    return TrainingData(
        digest=draw(_digest),
        created_at=draw(_time),
        sources=tuple(draw(st.lists(_text, max_size=3))),
        rows_read=sum(parts),
        rows_accepted=parts[0],
        rows_rejected=parts[1],
        rows_duplicate=parts[2],
        label_rate=draw(_share),
        columns=tuple(draw(st.lists(_text, max_size=4))),
        first_at=first,
        last_at=last,
    )


_champions = st.builds(Champion, version=_key, digest=_digest, rev=st.integers(1, 2**63 - 1))


@pytest.mark.slow
@pytest.mark.parametrize("world", ["embedded", "mongomock"])
def test_any_document_comes_back_equal(world, tmp_path):
    database = (
        EmbeddedDatabase(tmp_path / "documents.sqlite3")
        if world == "embedded"
        else mongomock_ng.MongoClient(tz_aware=True)["d"]
    )

    @settings(max_examples=60, deadline=None)
    @given(document=st.one_of(_models(), _metrics(), _snapshots(), _champions))
    def check(document):
        things = database["things"]
        things.delete_many({})
        things.insert_one(document.to_store())
        found = type(document).from_store(things.find_one({"_id": document.id}))
        assert found == document
        assert found.id == document.id
        assert found.same_content(document)

    check()

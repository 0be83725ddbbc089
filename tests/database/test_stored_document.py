"""The rules of all stored documents: times, content, and the versions of neighbouring releases."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from loan_default.database.documents import (
    ModelMetadata,
    TrainingData,
)
from loan_default.database.ingestion_documents import IngestionBatch
from loan_default.database.stored_document import FIRST_VERSION
from loan_default.errors import DataError

NOON = datetime(2026, 11, 23, 12, 0, 0, 123000, tzinfo=UTC)


def changed(document, **values):
    return type(document)(**{**document.model_dump(), **values})


def test_documents_do_not_change(model):
    with pytest.raises(ValidationError):
        model.seed = 1


def test_times_are_utc_milliseconds(model):
    east = timezone(timedelta(hours=3))
    time = datetime(2026, 11, 23, 15, 0, 0, 123999, tzinfo=east)
    assert changed(model, created_at=time).created_at == NOON
    assert changed(model, created_at=time).created_at.utcoffset() == timedelta(0)


def test_a_status_and_a_time_are_not_content(model, metrics):
    assert changed(model, status="champion", created_at=NOON + timedelta(1)).same_content(model)
    assert not changed(model, seed=1).same_content(model)
    assert changed(metrics, computed_at=NOON + timedelta(1)).same_content(metrics)
    assert not changed(metrics, rows=3).same_content(metrics)


def test_a_broken_stored_document_is_a_data_error(model):
    stored = model.to_store()
    stored.pop("seed")
    with pytest.raises(DataError, match=f"_id='{model.version}': seed: Field required"):
        ModelMetadata.from_store(stored)


def test_a_field_that_only_another_release_knows_is_ignored_when_it_is_read(model, metrics, snapshot):
    batch = {
        "_id": "b", "run": "r", "worker": "w", "consumed": 0, "accepted": 0, "rejected": 0, "duplicates": 0,
        "redelivered": 0, "started_at": NOON, "seconds": {},
        "ranges": [{"topic": "t", "partition": 0, "first": 0, "next": 4, "later": 1}],
    }  # fmt: skip
    assert IngestionBatch.from_store(batch | {"later": 1}) == IngestionBatch.from_store(batch)
    for document in (model, metrics, snapshot):
        stored = document.to_store() | {"schema_version": "1.7", "later": {"deep": [1]}}
        found = type(document).from_store(stored)
        assert found.schema_version == "1.7"
        assert found.same_content(document)
        assert found.id == document.id
        with pytest.raises(ValidationError, match="later"):  # but none of ours is made with it
            changed(document, later=1)


def test_a_document_without_a_version_is_of_the_first_one_and_ours_are_stored_as_it_was(model):
    stored = model.to_store()
    assert "schema_version" not in stored | model.model_dump()
    assert ModelMetadata.from_store(stored).schema_version == FIRST_VERSION == "1.0"


def test_a_class_with_added_fields_says_so_in_what_it_makes_and_reads_both(snapshot):
    class Grown(TrainingData):
        current_version = "1.2"
        passing = TrainingData.passing | {"place"}
        place: str | None = None

    made = Grown(**snapshot.model_dump(exclude={"schema_version"}), place="here")
    assert made.schema_version == made.to_store()["schema_version"] == "1.2"
    assert json.loads(made.model_dump_json())["schema_version"] == "1.2"
    assert Grown.from_store(snapshot.to_store()).schema_version == "1.1"
    assert TrainingData.from_store(made.to_store()).id == made.id == snapshot.id
    assert Grown.from_json(made.model_dump_json().encode()) == made
    assert TrainingData.from_json(made.model_dump_json().encode()).same_content(snapshot)


@pytest.mark.parametrize("version", ["2.0", "10.3"])
def test_a_newer_major_version_is_refused_and_no_other_fault_is_named(model, version):
    stored = {"_id": model.version, "schema_version": version, "version": 7}
    with pytest.raises(DataError) as refused:
        ModelMetadata.from_store(stored)
    assert str(refused.value).endswith(
        f"_id={model.version!r}: schema_version {version} was written by a newer release, this one reads up "
        "to 1.x. Upgrade this installation."
    )


@pytest.mark.parametrize("version", ["1", "one", "", "0.9", 1])
def test_what_is_no_version_is_refused(model, version):
    with pytest.raises(DataError, match="schema_version: "):
        ModelMetadata.from_store(model.to_store() | {"schema_version": version})


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"{}"])
def test_a_file_that_is_no_document_is_a_data_error(text):
    with pytest.raises(DataError, match="a stored TrainingData must be "):
        TrainingData.from_json(text)

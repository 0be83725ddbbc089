"""What a run leaves behind: its inputs in its folder, its model and its metrics in the registry."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from loan_default.database.documents import DatasetName
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.repositories import MetricsRepository, ModelRepository, TrainingDataRepository
from loan_default.errors import ArtifactError, DataError
from loan_default.models.artifact import digest_path
from loan_default.models.model import load_model
from loan_default.pipelines.training.registration import (
    Registration,
    register_trained,
    registration_of,
    write_inputs,
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[EmbeddedDatabase]:
    database = EmbeddedDatabase(tmp_path / "documents.sqlite3")
    yield database
    database.close()


@pytest.fixture
def registration(lab) -> Registration:
    return registration_of(
        lab.outcome.plan, lab.outcome.trained, intervals=lab.outcome.intervals, run="daily-1"
    )


def test_a_registration_names_the_model_its_rows_and_its_run(lab, registration):
    plan, trained, model = lab.outcome.plan, lab.outcome.trained, registration.model
    assert (model.version, model.sha256, model.run) == (lab.version, trained.sha256, "daily-1")
    assert model.path == f"models/{lab.version}.pth"
    assert model.snapshot == registration.snapshot.id
    assert registration.snapshot.digest == plan.dataset.digest
    assert model.rows == {
        "train": len(plan.split.train),
        "validation": len(plan.split.validation),
        "test": len(plan.split.test),
        "unlabelled": 20,
    }
    assert model.parameters == sum(p.numel() for p in trained.model.members[0].parameters())
    assert model.pretrained
    assert model.training_seconds == sum(trained.seconds.values())


def test_only_metrics_on_test_rows_have_ranges(lab, registration):
    validation, test = registration.metrics
    assert (validation.dataset, validation.intervals) == (DatasetName.VALIDATION, {})
    assert test.dataset is DatasetName.TEST
    auc = lab.outcome.intervals["auc"]
    assert test.intervals["auc"] == (auc.low, auc.high)
    assert test.figures["auc"] == lab.outcome.trained.model.metrics["test"]["auc"]
    assert validation.figures["auc"] == lab.outcome.trained.model.metrics["validation"]["auc"]


def test_test_rows_of_the_latest_time_are_registered_as_such(lab):
    plan = replace(lab.outcome.plan, options=lab.with_options(out_of_time=True))
    registration = registration_of(plan, lab.outcome.trained, intervals=lab.outcome.intervals)
    assert [each.dataset for each in registration.metrics] == [
        DatasetName.VALIDATION,
        DatasetName.OUT_OF_TIME,
    ]
    assert registration.model.run is None


@pytest.mark.slow
def test_a_model_is_registered_with_its_file_and_again_without_a_change(
    lab, registration, database, tmp_path
):
    file = lab.outcome.trained.path
    for _ in range(2):
        model = register_trained(registration, file, home=tmp_path, database=database)
    kept = tmp_path / model.path
    assert kept.read_bytes() == file.read_bytes()
    assert load_model(kept).version == lab.version  # by the digest beside it
    assert ModelRepository(database).newest_first() == [model]
    assert len(MetricsRepository(database).of_model(lab.version)) == 2
    assert [each.id for each in TrainingDataRepository(database).newest_first()] == [registration.snapshot.id]


def test_a_file_that_is_not_as_it_was_written_is_not_registered(lab, registration, database, tmp_path):
    file = tmp_path / "model.pth"
    file.write_bytes(lab.outcome.trained.path.read_bytes() + b"!")
    with pytest.raises(ArtifactError, match="must be as it was written"):
        register_trained(registration, file, home=tmp_path, database=database)
    assert ModelRepository(database).newest_first() == []
    assert not digest_path(tmp_path / registration.model.path).exists()


def test_a_run_has_one_model(lab, registration, database, tmp_path):
    file = lab.outcome.trained.path
    register_trained(registration, file, home=tmp_path, database=database)
    other = registration.model.model_copy(update={"version": "another", "path": "models/another.pth"})
    with pytest.raises(DataError, match="daily-1"):
        register_trained(
            registration.model_copy(update={"model": other}), file, home=tmp_path, database=database
        )
    assert [model.version for model in ModelRepository(database).newest_first()] == [lab.version]
    assert not (tmp_path / "models" / "another.pth").exists()


def test_a_schema_that_was_edited_in_the_folder_is_kept_under_another_name(lab, tmp_path):
    plan = lab.outcome.plan
    assert write_inputs(plan, tmp_path) is None
    assert (tmp_path / "schema.toml").read_bytes() == lab.schema.read_bytes()
    assert write_inputs(plan, tmp_path) is None
    (tmp_path / "schema.toml").write_text("# edited\n")
    kept = write_inputs(plan, tmp_path)
    assert kept is not None
    assert kept.read_text() == "# edited\n"
    assert (tmp_path / "schema.toml").read_bytes() == lab.schema.read_bytes()

"""A whole run: what lies in its folder and in the registry, and that all of it agrees."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Listener

from loan_default.data.schema.schema_files import load_schema
from loan_default.database.documents import DatasetName, ModelStatus
from loan_default.database.repositories import MetricsRepository, ModelRepository, TrainingDataRepository
from loan_default.errors import ArtifactError, ConfigurationError, DataError, DependencyError
from loan_default.evaluation.metrics import measure
from loan_default.models.device import torch_threads
from loan_default.models.model import load_model
from loan_default.pipelines.training import local_run as local
from loan_default.pipelines.training import member_fits, stages
from loan_default.pipelines.training.local_run import run_training
from loan_default.pipelines.training.registration import write_inputs
from loan_default.pipelines.training.training_options import FileData


def test_a_run_leaves_a_model_with_its_digest_a_report_the_schema_and_the_quarantine(lab):
    out = lab.outcome.out
    digest, name = (out / "model.pth.sha256").read_text().split()
    assert digest == hashlib.sha256((out / "model.pth").read_bytes()).hexdigest()
    assert name == "model.pth"
    assert load_model(out / "model.pth").version == lab.version
    report = (out / "report.html").read_text()
    assert lab.version in report
    assert "</html>" in report
    assert load_schema(out / "schema.toml") == load_schema(lab.schema)
    quarantine = pd.read_csv(out / "quarantine.csv")
    assert quarantine["row"].tolist() == [5, 9, 17]
    assert quarantine["reason"].str.split(":").str[0].tolist() == ["income", "purpose", "debt"]
    assert not list(out.rglob("*.tmp"))


def test_stages_are_reported_in_order_and_nothing_slow_before_everything_is_prepared(lab):
    stages = ["read", "split", "features", "pretrain", "train", "calibrate", "evaluate", "report"]
    assert lab.listener.stages == stages
    assert lab.listener.prepared_runs == [lab.outcome.plan]
    assert lab.listener.signs >= 3  # an epoch of pretraining and two of training
    assert lab.outcome.trained is not None
    assert set(lab.outcome.trained.seconds) == set(stages[:-1])


def test_what_a_run_answers_is_what_it_has_stored(lab):
    result, stored = lab.outcome, MetricsRepository(lab.database).of_model(lab.version)
    test = next(each for each in stored if each.dataset is DatasetName.TEST)
    assert {
        name: (each.low, each.high) for name, each in result.intervals.items()
    }.items() >= test.intervals.items()
    assert test.intervals
    assert result.document == ModelRepository(lab.database).get(lab.version)
    assert result.encoder == lab.outcome.out / "encoder.pth"


@pytest.mark.slow
def test_a_run_computes_on_its_threads_and_leaves_those_of_its_caller(lab, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    seen = []
    listener = Listener()
    monkeypatch.setattr(listener, "progress", lambda _: seen.append(torch.get_num_threads()))
    with torch_threads(3):
        outcome = run_training(
            lab.with_options(epochs=1),
            out=tmp_path / "run",
            home=lab.home,  # where the registry looks for the file: other tests score with the newest model
            database=lab.database,
            listener=listener,
            command="train.py",
        )
        assert torch.get_num_threads() == 3
    assert len(seen) >= 2
    assert set(seen) == {outcome.plan.compute.threads}
    assert outcome.plan.compute.threads < 3


def test_the_quarantine_of_a_run_has_no_formula(lab, tmp_path):
    plan = lab.outcome.plan
    rejected = pd.DataFrame({"row": [3, 4], "reason": ["debt: …", "=1+1"], "debt": ["=1+1", "-4"]})
    odd = replace(plan, dataset=replace(plan.dataset, quarantined=rejected))
    write_inputs(odd, tmp_path)
    cells = pd.read_csv(tmp_path / "quarantine.csv", dtype=str)
    assert cells.to_numpy().tolist() == [["3", "debt: …", "'=1+1"], ["4", "'=1+1", "-4"]]


def test_counts_of_rows_add_up(lab):
    dataset, split = lab.outcome.plan.dataset, lab.outcome.plan.split
    assert dataset.rows_read == 501
    assert (len(dataset.frame), len(dataset.quarantined), dataset.duplicates) == (497, 3, 1)
    assert sum(dataset.reasons.values()) == 3
    parts = np.concatenate([split.train, split.validation, split.test, split.unlabelled])
    assert sorted(parts.tolist()) == list(range(497))
    assert len(split.unlabelled) == 20


def test_the_registry_names_the_file_the_rows_and_the_figures(lab):
    model = ModelRepository(lab.database).get(lab.version)
    assert model.status is ModelStatus.TRAINED
    kept = lab.home / model.path
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == model.sha256
    assert load_model(kept).version == load_model(kept, sha256=model.sha256).version == lab.version
    split = lab.outcome.plan.split
    assert model.rows["test"] == len(split.test)
    assert model.preset == "fast"
    assert model.pretrained
    snapshot = TrainingDataRepository(lab.database).get(model.snapshot)
    assert (snapshot.rows_read, snapshot.rows_rejected, snapshot.rows_duplicate) == (501, 3, 1)
    assert snapshot.first_at is not None
    metrics = {each.dataset: each for each in MetricsRepository(lab.database).of_model(lab.version)}
    assert set(metrics) == {DatasetName.VALIDATION, DatasetName.TEST}
    low, high = metrics[DatasetName.TEST].intervals["auc"]
    assert low <= metrics[DatasetName.TEST].figures["auc"] <= high


def test_the_figures_are_those_of_the_measured_model_on_the_test_rows(lab):
    plan = lab.outcome.plan
    rows = plan.dataset.frame.iloc[plan.split.test]
    pds = lab.outcome.trained.measured.predict_pd(rows)
    metrics = measure(rows["bad"].to_numpy(), pds)
    stored = {each.dataset: each for each in MetricsRepository(lab.database).of_model(lab.version)}
    assert stored[DatasetName.TEST].figures["auc"] == pytest.approx(metrics.auc, abs=1e-6)
    assert stored[DatasetName.TEST].figures["brier"] == pytest.approx(metrics.brier, abs=1e-6)


@pytest.mark.slow
def test_pretraining_alone_leaves_an_encoder_and_training_goes_on_from_it(lab, listener_of, tmp_path):
    alone = _run(lab, tmp_path / "a", listener_of(), train=False)
    assert alone.trained is None
    assert alone.encoder == tmp_path / "a" / "encoder.pth"
    assert not (tmp_path / "a" / "model.pth").exists()
    later = _run(lab, tmp_path / "b", listener_of(), pretrain=False, encoder=alone.encoder)
    assert later.trained is not None
    assert later.document is not None
    assert later.document.pretrained
    # The same encoder and seed as in one go: the same weights.
    assert lab.outcome.trained is not None
    assert later.trained.model.provenance["weights"] == lab.outcome.trained.model.provenance["weights"]


@pytest.mark.slow
def test_an_out_of_time_run_tests_on_the_latest_rows_and_says_so(lab, listener_of, tmp_path):
    outcome = _run(lab, tmp_path, listener_of(), pretrain=False, out_of_time=True, epochs=1)
    made, split = outcome.plan.dataset.frame["made"], outcome.plan.split
    assert made.iloc[split.test].min() > made.iloc[np.concatenate([split.train, split.validation])].max()
    datasets = {each.dataset for each in MetricsRepository(lab.database).of_model(outcome.document.version)}
    assert datasets == {DatasetName.VALIDATION, DatasetName.OUT_OF_TIME}


@pytest.mark.slow
def test_a_schema_that_a_person_edited_is_kept_beside_the_new_one(lab, listener_of, tmp_path):
    edited = "# mine\n" + lab.schema.read_text()
    (tmp_path / "schema.toml").write_text(edited)
    listener = listener_of()
    _run(lab, tmp_path, listener, train=False)
    assert listener.kept_schema is not None
    assert listener.kept_schema.read_text() == edited
    assert (tmp_path / "schema.toml").read_text() == lab.schema.read_text()
    listener = listener_of()
    _run(lab, tmp_path, listener, train=False)
    assert listener.kept_schema is None


@pytest.mark.slow
def test_a_finished_run_that_is_resumed_is_the_same_version(lab, listener_of, tmp_path):
    first = _run(lab, tmp_path, listener_of(), epochs=1)
    stored = {each.version for each in ModelRepository(lab.database).newest_first()}
    again = _run(lab, tmp_path, listener_of(), epochs=1, resume=True)
    assert again.document.version == first.document.version
    assert again.document.sha256 == first.document.sha256
    assert {each.version for each in ModelRepository(lab.database).newest_first()} == stored
    anew = _run(lab, tmp_path, listener_of(), epochs=1)
    assert anew.document.version != first.document.version


@pytest.mark.slow
def test_a_new_run_that_fails_leaves_the_former_model_and_shows_no_report_as_its_own(
    lab, listener_of, tmp_path, monkeypatch
):
    former = _run(lab, tmp_path, listener_of(), epochs=1)

    def fail(*args, **kwargs):
        raise DataError("a loss must be finite, however: nan")

    with monkeypatch.context() as patched:
        patched.setattr(member_fits, "train_members", fail)
        with pytest.raises(DataError, match="a loss must be finite"):
            _run(lab, tmp_path, listener_of(), epochs=1)
    assert load_model(tmp_path / "model.pth").version == former.document.version
    assert not (tmp_path / "report.html").exists()
    assert former.document.version in (tmp_path / "former-report.html").read_text()
    resumed = _run(lab, tmp_path, listener_of(), epochs=1, resume=True)
    assert resumed.document.version != former.document.version
    assert load_model(tmp_path / "model.pth").version == resumed.document.version
    assert resumed.document.version in (tmp_path / "report.html").read_text()
    assert not (tmp_path / "former-report.html").exists()


@pytest.mark.slow
def test_a_run_that_finds_nothing_to_go_on_with_says_so(lab, listener_of, tmp_path):
    listener = listener_of()
    result = _run(lab, tmp_path, listener, train=False, resume=True)
    (shown,) = [choice for choice in listener.prepared_runs[0].choices if choice.what == "resume"]
    assert shown.value == "from the start"
    assert str(tmp_path) in shown.reason
    assert result.plan == listener.prepared_runs[0]
    listener = listener_of()
    _run(lab, tmp_path, listener, train=False, resume=True)
    assert "resume" not in [choice.what for choice in listener.prepared_runs[0].choices]


@pytest.mark.slow
def test_a_run_resumed_elsewhere_never_touches_the_file_that_is_registered(
    lab, listener_of, tmp_path, monkeypatch
):
    """Same weights, other provenance: another version, so that both files keep their digests."""
    first = _run(lab, tmp_path, listener_of(), epochs=1)
    real = stages.provenance_of
    monkeypatch.setattr(stages, "provenance_of", lambda plan: real(plan) | {"threads": 7})
    again = _run(lab, tmp_path, listener_of(), epochs=1, resume=True)
    assert again.document.version != first.document.version
    for document in (first.document, again.document):
        load_model(lab.home / document.path, sha256=document.sha256)


@pytest.mark.parametrize("name", ["models", "training_store", "training", "outbox", "feeds"])
def test_a_run_takes_no_folder_that_the_home_keeps_for_something_else(lab, listener_of, name):
    with pytest.raises(ConfigurationError, match=rf"home folder keeps .*{name} is\. Choose"):
        _run(lab, lab.home / name, listener_of())


@pytest.mark.slow
def test_the_report_and_the_registry_say_how_the_members_were_trained(lab, listener_of, tmp_path):
    outcome = _run(
        lab, tmp_path, listener_of(), pretrain=False, encoder=lab.outcome.out / "encoder.pth", epochs=1
    )
    assert (outcome.document.pretrained, outcome.document.objective) == (True, "detection")
    assert outcome.trained.model.provenance["epochs"] == outcome.plan.preset.training.epochs == 1
    report = (tmp_path / "report.html").read_text()
    assert "pretrained on the training rows of the same split" in report
    assert "A tabular transformer with 2 layers" in report


@pytest.mark.slow
def test_a_schema_inside_the_folder_of_the_run_keeps_its_comments(lab, listener_of, tmp_path):
    schema = tmp_path / "schema.toml"
    schema.write_text("# mine\n" + lab.schema.read_text())
    outcome = _run(lab, tmp_path, listener_of(), train=False, schema=schema)
    assert schema.read_text().startswith("# mine\n")
    assert outcome.plan.schema == lab.outcome.plan.schema


@pytest.mark.slow
def test_a_stale_quarantine_goes_when_no_row_is_broken(lab, listener_of, sound_applications, tmp_path):
    data = tmp_path / "sound.csv"
    sound_applications.to_csv(data, index=False)
    (tmp_path / "quarantine.csv").write_text("of an earlier run")
    _run(lab, tmp_path, listener_of(), train=False, data=FileData(data))
    assert not (tmp_path / "quarantine.csv").exists()


def test_a_folder_that_is_a_file_is_refused_before_anything_is_read(lab, listener_of, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("")
    for out in (taken, taken / "inside"):
        listener = listener_of()
        with pytest.raises(ConfigurationError, match=r"--out must be a folder, however: .*taken is a file"):
            _run(lab, out, listener)
        assert listener.stages == []


@pytest.mark.slow
def test_a_registry_that_is_gone_at_the_end_leaves_the_model_and_says_how_to_go_on(
    lab, listener_of, tmp_path, monkeypatch
):
    def away(*args, **kwargs):
        raise DependencyError("the database must answer, however: it is away.")

    monkeypatch.setattr(local, "register_trained", away)
    with pytest.raises(
        DependencyError,
        match=r"is away\. The model file is .*model\.pth, but .*--resume",
    ):
        _run(lab, tmp_path, listener_of(), pretrain=False, epochs=1)
    assert load_model(tmp_path / "model.pth")
    assert (tmp_path / "report.html").exists()


def test_a_flipped_bit_in_the_encoder_is_refused(lab, listener_of, tmp_path):
    encoder = tmp_path / "encoder.pth"
    content = bytearray((lab.outcome.out / "encoder.pth").read_bytes())
    content[len(content) // 2] ^= 1
    encoder.write_bytes(content)
    (tmp_path / "encoder.pth.sha256").write_bytes((lab.outcome.out / "encoder.pth.sha256").read_bytes())
    with pytest.raises(ArtifactError, match="recorded digest"):
        _run(lab, tmp_path / "run", listener_of(), pretrain=False, encoder=encoder)


@pytest.fixture
def listener_of(lab):
    return type(lab.listener)


def _run(lab, out: Path, listener, **changes):
    return run_training(
        lab.with_options(**changes),
        out=out,
        home=lab.home,
        database=lab.database,
        listener=listener,
        command="train.py …",
    )

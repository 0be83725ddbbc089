"""Steps of a training: repeated, superseded, and of runs whose ids look alike."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from conftest import SCHEMA, Listener
from pipelines.promotion_setup import PromotionSetup, feed, new_services, new_training

from loan_default.data.datasets.store_compaction import compact
from loan_default.data.sources.feeds import GeneratedFeed
from loan_default.database.control_repositories import FencingToken
from loan_default.errors import ArtifactError, DataError
from loan_default.kafka.memory import MemoryBroker
from loan_default.models.features import Features
from loan_default.models.golden_rows import ROWS as GOLDEN_ROWS
from loan_default.pipelines.services import Services
from loan_default.pipelines.training import dataset
from loan_default.pipelines.training.run_report import ReportFigures
from loan_default.pipelines.training.training_steps import (
    TrainingRun,
    freeze_training_data,
    model_of_data,
    pretrain_step,
    register_step,
    train_step,
)


@dataclass
class Meanwhile(Listener):
    """Lets something happen when a stage begins, or when an epoch has ended."""

    at: str = ""
    happens: Callable[[], object] = field(default=lambda: None)

    def stage(self, name: str, detail: str) -> None:
        if name == self.at:
            self.happens()

    def progress(self, progress: object) -> None:
        if progress.last is not None and self.at == "epoch":  # type: ignore[attr-defined]
            self.happens()


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    services = new_services(tmp_path)
    yield services
    services.database.client.close()


@pytest.fixture
def run(services: Services, tmp_path: Path) -> TrainingRun:
    """With its snapshot."""
    run = new_training(services, tmp_path, pretrain=True)
    freeze_training_data(run, token_of(run, "freeze"))
    return run


def test_parts_that_were_written_anew_under_other_names_are_taken(run, services, tmp_path):
    for part in run.store.folder.glob("*.parquet"):
        head, _, end = part.stem.rpartition("-")
        part.rename(part.with_name(f"{head}-{int(end) + 1:012d}.parquet"))
    again = replace(run, services=replace(services, run="again"))
    snapshot = freeze_training_data(again, token_of(again, "freeze"))
    assert snapshot.digest == run.snapshot.digest
    assert (
        set(snapshot.parts)
        == {part.name for part in run.store.folder.glob("*.parquet")}
        != set(run.snapshot.parts)
    )


@pytest.mark.slow
def test_a_run_goes_on_from_its_snapshot_when_the_store_was_compacted_meanwhile(run, services):
    for _ in range(2):
        compact(run.store.folder, now=datetime.now(UTC) + timedelta(seconds=1), parts=1, kept=timedelta(0))
    assert not any((run.store.folder / part).exists() for part in run.snapshot.parts)
    assert pretrain_step(run, Listener(), token_of(run, "pretrain")).exists()
    again = replace(run, services=replace(services, run="again"))
    assert freeze_training_data(again, token_of(again, "freeze")) == run.snapshot  # the stored one


def test_a_snapshot_of_a_newer_release_is_read_and_one_of_a_newer_major_refused(run):
    path, known = run.folder / "snapshot.json", run.snapshot
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": "1.9", "later": 1}))
    assert run.snapshot.same_content(known)
    assert run.snapshot.parts == known.parts
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": "2.0"}))
    with pytest.raises(DataError, match=r"schema_version 2\.0 was written by a newer release"):
        assert run.snapshot


def token_of(run: TrainingRun, task: str, *, attempt: int = 1) -> FencingToken:
    return FencingToken(database=run.services.database, run=run.id, task=task, attempt=attempt)


def with_fields_of_another_release(path: Path) -> None:
    """A registration that a newer release has written, whose register_step this one does."""
    registration = json.loads(path.read_text())
    for part in (registration, registration["model"], registration["snapshot"]):
        part["later"] = 1
    path.write_text(json.dumps(registration))


def superseded(run: TrainingRun, task: str) -> Callable[[], None]:
    return token_of(run, task, attempt=2).claim


@pytest.mark.slow
def test_all_steps_in_a_row_and_again_are_one_model(run):
    for attempt in (1, 2):
        encoder = pretrain_step(run, Listener(), token_of(run, "pretrain", attempt=attempt))
        assert encoder == run.encoder
        registration = train_step(run, Listener(), token_of(run, "train", attempt=attempt))
        with_fields_of_another_release(run.folder / "model" / "registration.json")
        model, metrics = register_step(run, token_of(run, "store", attempt=attempt))
        assert model == registration.model
        assert model.pretrained
        assert 0 < metrics["auc"] <= 1


@pytest.mark.slow
def test_a_step_reads_and_validates_the_store_once_and_transforms_its_rows_once(run, monkeypatch):
    calls: list[str] = []

    def counted(name: str, work: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            calls.append(name)
            return work(*arguments, **named)

        return call

    for name in ("read_store", "validate"):
        monkeypatch.setattr(dataset, name, counted(name, getattr(dataset, name)))
    transform = Features.transform

    def counted_transform(features: Features, frame: pd.DataFrame) -> object:
        calls.extend(["transform"] * (len(frame) > GOLDEN_ROWS))  # those of the model file are no rows of it
        return transform(features, frame)

    monkeypatch.setattr(Features, "transform", counted_transform)
    monkeypatch.setattr(
        "loan_default.pipelines.training.training_steps.write_report",
        lambda *_, **__: ReportFigures(intervals={}),
    )
    pretrain_step(run, Listener(), token_of(run, "pretrain"))
    assert sorted(calls) == ["read_store", "transform", "validate"]
    calls.clear()
    train_step(run, Listener(), token_of(run, "train"))
    assert sorted(calls) == ["read_store", "transform", "validate"]


def test_an_encoder_that_is_not_there_is_no_reason_to_start_from_random_weights(run):
    with pytest.raises(ArtifactError, match="must exist"):
        train_step(run, Listener(), token_of(run, "train"))


@pytest.mark.slow
def test_the_snapshot_of_a_run_stays_though_a_superseded_try_comes_to_its_end(services, tmp_path):
    class Slow(MemoryBroker):
        """While the first try asks it, a second one starts and ends, and more data come."""

        def end_offsets(self, topic):
            if not seconds:
                seconds.append(freeze_training_data(run, token_of(run, "freeze", attempt=2)))
                feed(services, GeneratedFeed(SCHEMA, rows=50, seed=9, state=tmp_path / "feed-9.json"))
            return super().end_offsets(topic)

    seconds = []
    run = new_training(services, tmp_path)
    slow = Slow()
    slow.logs, slow.groups = services.broker.logs, services.broker.groups
    first = replace(run, services=replace(services, broker=slow))
    with pytest.raises(DataError, match=r"try 1 of .* was superseded"):
        freeze_training_data(first, token_of(run, "freeze"))
    assert run.snapshot == seconds[0]


def test_a_superseded_try_does_not_sweep_the_folder_in_which_the_next_one_writes(run):
    writing = run.folder / "encoder" / ".encoder.pth.0123.tmp"
    writing.parent.mkdir()
    writing.touch()
    slow = Meanwhile(at="features", happens=superseded(run, "pretrain"))
    with pytest.raises(DataError, match=r"try 1 of .* was superseded"):
        pretrain_step(run, slow, token_of(run, "pretrain"))
    assert writing.exists()


@pytest.mark.slow
def test_a_superseded_try_writes_neither_encoder_nor_model(run):
    slow = Meanwhile(at="epoch", happens=superseded(run, "pretrain"))
    with pytest.raises(DataError, match=r"try 1 of .* was superseded"):
        pretrain_step(run, slow, token_of(run, "pretrain"))
    assert run.encoder is not None
    assert not run.encoder.exists()
    run = replace(run, options=replace(run.options, pretrain=False))
    slow = Meanwhile(at="evaluate", happens=superseded(run, "train"))
    with pytest.raises(DataError, match=r"try 1 of .* was superseded"):
        train_step(run, slow, token_of(run, "train"))
    assert not (run.folder / "model" / "model.pth").exists()


def test_runs_whose_ids_differ_in_one_sign_have_folders_of_their_own(run):
    names = ["retrain:7", "retrain~7", "retrain-7", "x" * 250, "x" * 249]
    folders = {replace(run, services=replace(run.services, run=name)).folder for name in names}
    assert len(folders) == len(names)
    for folder in folders:
        assert folder.parent == run.folder.parent
        folder.mkdir()


@pytest.mark.slow
def test_rows_that_another_run_was_trained_on_are_not_new(promotion: PromotionSetup):
    def frozen(name: str) -> TrainingRun:
        run = new_training(replace(promotion.services, run=name), promotion.home)
        freeze_training_data(run, token_of(run, "freeze"))
        return run

    own = new_training(promotion.services, promotion.home)
    assert model_of_data(own) is None, "its own model makes no run needless"
    assert model_of_data(frozen("next")) == promotion.model.version
    promotion.candidate("by-hand")
    assert model_of_data(frozen("next")) == promotion.model.version, "what was trained by hand is no run's"
    promotion.grow(50, seed=2)
    assert model_of_data(frozen("later")) is None

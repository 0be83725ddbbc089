import math
import multiprocessing.resource_tracker
import multiprocessing.spawn
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score

from loan_default.data.schema.language import Schema
from loan_default.data.sources.generator import generate
from loan_default.errors import ArtifactError, ConfigurationError, DependencyError
from loan_default.models.classifier import HeadConfig
from loan_default.models.contrastive import ObjectiveConfig
from loan_default.models.encoder import EncoderConfig
from loan_default.models.features import fit_features
from loan_default.models.fitting import Fitted, Progress
from loan_default.models.joint_loss import PretrainingRows
from loan_default.models.labelled import Labelled
from loan_default.models.member_training import Architecture, MemberJob, train_members
from loan_default.models.model import mean_probability
from loan_default.models.schedules import FitConfig

CONFIG = FitConfig(epochs=3, learning_rate=3e-3, batch_size=64, patience=0)

Train = Callable[..., list[Fitted]]
Same = Callable[[Fitted, Fitted], bool]


class Killed(Exception):
    pass


def part(labelled: Labelled, rows: slice) -> Labelled:
    return Labelled(inputs=labelled.inputs[rows], labels=labelled.labels[rows])


@pytest.fixture
def train(architecture: Architecture, labelled: Labelled) -> Train:
    def run(
        *,
        seeds: tuple[int, ...] = (1,),
        folder: Path | None = None,
        config: FitConfig = CONFIG,
        processes: int = 1,
        resume: bool = False,
        fingerprint: str = "same",
        encoder_state: dict[str, torch.Tensor] | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
        rows: Labelled = labelled,
        pretraining: PretrainingRows | None = None,
    ) -> list[Fitted]:
        jobs = [
            MemberJob(
                number=number,
                seed=seed,
                fingerprint=f"{fingerprint} {number}",
                checkpoint=folder / f"member-{number}.ckpt" if folder else None,
                learned=np.arange(300),
                scored=np.arange(300, 400),
            )
            for number, seed in enumerate(seeds, start=1)
        ]
        return train_members(
            architecture,
            rows,
            jobs=jobs,
            config=config,
            encoder_state=encoder_state,
            device=torch.device("cpu"),
            processes=processes,
            resume=resume,
            on_progress=on_progress,
            pretraining=pretraining,
        )

    return run


def kill_after(epoch: int, *, stage: str = "member 1") -> Callable[[Progress], None]:
    def on_progress(progress: Progress) -> None:
        if progress.last is not None and progress.last.epoch == epoch and progress.stage == stage:
            raise Killed

    return on_progress


@pytest.mark.slow
def test_the_score_is_the_validation_auc_of_what_is_kept(
    train: Train, architecture: Architecture, labelled: Labelled
) -> None:
    fitted = train()[0]
    member = architecture.new_classifier()
    member.load_state_dict(fitted.state)
    probability = mean_probability([member], labelled.inputs[slice(300, 400)])
    assert roc_auc_score(labelled.labels[300:], probability) == pytest.approx(fitted.best.score)


@pytest.mark.slow
def test_the_score_is_minus_the_log_loss_where_the_configuration_asks_for_it(
    train: Train, architecture: Architecture, labelled: Labelled
) -> None:
    fitted = train(config=replace(CONFIG, measure="log loss"))[0]
    member = architecture.new_classifier()
    member.load_state_dict(fitted.state)
    probability = mean_probability([member], labelled.inputs[slice(300, 400)])
    assert log_loss(labelled.labels[300:], probability) == pytest.approx(-(fitted.best.score or 0))


@pytest.mark.slow
def test_members_differ_by_their_seed_alone(train: Train, same_weights: Same) -> None:
    first, second, again = train(seeds=(1, 2, 1))
    assert same_weights(first, again)
    assert not same_weights(first, second)


def test_a_member_starts_from_the_given_encoder(train: Train, architecture: Architecture) -> None:
    torch.manual_seed(77)
    start = architecture.new_encoder().state_dict()
    frozen = replace(CONFIG, epochs=1, learning_rate=1e-12, weight_decay=0.0)
    state = train(encoder_state=start, config=frozen)[0].state
    for name, tensor in start.items():
        torch.testing.assert_close(state[f"encoder.{name}"], tensor, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_resumed_member_ends_with_the_same_bits(
    train: Train, tmp_path: Path, same_weights: Same, epoch: int
) -> None:
    with pytest.raises(Killed):
        train(folder=tmp_path, on_progress=kill_after(epoch))
    assert same_weights(train(folder=tmp_path, resume=True)[0], train()[0])


@pytest.mark.slow
def test_killed_in_the_second_member_the_first_is_not_trained_again(
    train: Train, tmp_path: Path, same_weights: Same
) -> None:
    with pytest.raises(Killed):
        train(seeds=(1, 2), folder=tmp_path, on_progress=kill_after(2, stage="member 2"))
    updates: list[Progress] = []
    resumed = train(seeds=(1, 2), folder=tmp_path, resume=True, on_progress=updates.append)
    assert {progress.stage for progress in updates} == {"member 2"}
    assert all(map(same_weights, resumed, train(seeds=(1, 2))))


@pytest.mark.slow
def test_processes_give_the_same_bits_whole_and_resumed(
    train: Train, tmp_path: Path, same_weights: Same
) -> None:
    alone = train(seeds=(1, 2))
    # As if both had been killed at their own time: the first after its first epoch, the second before any.
    with pytest.raises(Killed):
        train(seeds=(1, 2), folder=tmp_path, on_progress=kill_after(1))
    updates: list[Progress] = []
    resumed = train(seeds=(1, 2), folder=tmp_path, processes=2, resume=True, on_progress=updates.append)
    assert all(map(same_weights, resumed, alone))
    ended = sorted((p.stage, p.last.epoch) for p in updates if p.last is not None)
    assert ended == [("member 1", 2), ("member 1", 3), ("member 2", 1), ("member 2", 2), ("member 2", 3)]
    for one, other in zip(resumed, alone, strict=True):
        assert [e.score for e in one.history] == [e.score for e in other.history]


@pytest.mark.slow
def test_an_error_in_a_process_reaches_the_caller(train: Train, tmp_path: Path) -> None:
    train(seeds=(1, 2), folder=tmp_path, fingerprint="old", config=replace(CONFIG, epochs=1))
    with pytest.raises(ConfigurationError, match=r"member-[12]\.ckpt belongs to others"):  # whoever is first
        train(seeds=(1, 2), folder=tmp_path, processes=2, resume=True)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_an_error_of_one_member_stops_the_others(train: Train, tmp_path: Path) -> None:
    train(seeds=(1, 2), folder=tmp_path, fingerprint="old", config=replace(CONFIG, epochs=1))
    (tmp_path / "member-1.ckpt").unlink()
    epochs = replace(CONFIG, epochs=100_000)  # short ones: the other's signs come without a pause
    started = time.monotonic()
    with pytest.raises(ConfigurationError, match=r"member-2\.ckpt belongs to others"):
        train(seeds=(1, 2), folder=tmp_path, config=epochs, processes=2, resume=True)
    # Most of it is the start of two processes, which import torch.
    assert time.monotonic() - started < 60
    assert not active_children()


@pytest.mark.slow
def test_a_killed_process_is_one_clear_error(train: Train, tmp_path: Path) -> None:
    def kill_the_others(progress: Progress) -> None:
        for process in active_children():
            process.kill()

    with pytest.raises(DependencyError, match="one was killed"):
        train(seeds=(1, 2), folder=tmp_path, processes=2, on_progress=kill_the_others)


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_processes_that_cannot_start_are_one_clear_error(train: Train, monkeypatch: Any) -> None:
    multiprocessing.resource_tracker.ensure_running()  # it is a process, too, and must start
    monkeypatch.setattr(multiprocessing.spawn, "_python_exe", b"/bin/false")
    with pytest.raises(DependencyError, match="one was killed"):
        train(seeds=(1, 2), processes=2)


@pytest.mark.slow
def test_processes_do_not_run_the_script_again(train: Train, monkeypatch: Any, tmp_path: Path) -> None:
    script = tmp_path / "script.py"  # as Airflow's, which ends in an error within a task
    script.write_text("raise SystemExit('the script was run again')")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    assert len(train(seeds=(1, 2), processes=2)) == 2
    assert sys.modules["__main__"].__file__ == str(script)


@pytest.mark.slow
def test_a_checkpoint_of_other_options_is_refused(train: Train, tmp_path: Path) -> None:
    train(folder=tmp_path, fingerprint="old", config=replace(CONFIG, epochs=1))
    with pytest.raises(ConfigurationError, match=r"member-1\.ckpt belongs to others"):
        train(folder=tmp_path, resume=True)


def test_a_damaged_checkpoint_is_refused(train: Train, tmp_path: Path) -> None:
    train(folder=tmp_path, config=replace(CONFIG, epochs=1))
    path = tmp_path / "member-1.ckpt"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ArtifactError, match=r"member-1\.ckpt is damaged"):
        train(folder=tmp_path, resume=True)


@pytest.mark.parametrize("batch_size", [64, 300])  # several steps, and one whose loss is still finite
def test_a_rate_that_is_far_too_large_is_a_clear_error(train: Train, batch_size: int) -> None:
    config = replace(CONFIG, learning_rate=1e30, batch_size=batch_size, ema=0.0)
    with pytest.raises(ConfigurationError, match=r"must stay finite, however: .*smaller learning rate"):
        train(config=config)


@pytest.mark.parametrize("labels", [[0, 1, 2], [0, 1, math.nan], [0, 1]])
def test_labels_must_be_0_or_1_one_a_row(labelled: Labelled, labels: list[float]) -> None:
    with pytest.raises(ValueError, match="must be 0 or 1, one a row, however: rows=3"):
        Labelled(inputs=labelled.inputs[slice(0, 3)], labels=np.array(labels, dtype=np.float32))


# It learns


def trained_on_generated(schema: Schema, *, shuffled: bool, rows: int, epochs: int) -> dict[str, Any]:
    generated = generate(schema, rows=rows, seed=21)
    frame = generated.frame
    labels = frame["default"].to_numpy(dtype=np.float32, copy=True)
    cut = int(0.6 * rows), int(0.75 * rows)
    if shuffled:
        np.random.default_rng(1).shuffle(labels)
    features = fit_features(frame.iloc[: cut[0]], schema)
    inputs = features.transform(frame)
    everything = Labelled(inputs=inputs, labels=labels)
    architecture = Architecture(
        features=features,
        encoder=EncoderConfig(n_layers=1, width=16, heads=1),
        head=HeadConfig(predictors=4, hidden=32),
    )
    fitted = train_members(
        architecture,
        everything,
        jobs=[
            MemberJob(
                number=1,
                seed=1,
                fingerprint="",
                checkpoint=None,
                learned=np.arange(cut[0]),
                scored=np.arange(*cut),
            )
        ],
        config=FitConfig(epochs=epochs, learning_rate=3e-3, batch_size=128, patience=4),
        encoder_state=None,
        device=torch.device("cpu"),
        processes=1,
        resume=False,
        on_progress=lambda progress: None,
    )
    member = architecture.new_classifier()
    member.load_state_dict(fitted[0].state)
    test = slice(cut[1], None)
    return {
        "auc": roc_auc_score(labels[test], mean_probability([member], inputs[test])),
        "bayes": roc_auc_score(labels[test], generated.probability[test]),
        "expected": generated.bayes_auc,
        "bads": int(labels[test].sum()),
        "goods": int((1 - labels[test]).sum()),
    }


@pytest.mark.slow
def test_it_comes_near_the_best_auc_that_the_data_allow(schema: Schema) -> None:
    result = trained_on_generated(schema, shuffled=False, rows=6_000, epochs=15)
    assert result["bayes"] == pytest.approx(result["expected"], abs=0.04)
    assert result["expected"] > 0.75
    assert result["auc"] > result["bayes"] - 0.025, result


@pytest.mark.slow
def test_it_finds_nothing_in_shuffled_labels(schema: Schema) -> None:
    result = trained_on_generated(schema, shuffled=True, rows=6_000, epochs=4)
    n, m = result["bads"], result["goods"]
    error = math.sqrt((n + m + 1) / (12 * n * m))  # of the AUC of scores that know nothing
    assert abs(result["auc"] - 0.5) < 4 * error, result


@pytest.mark.slow
def test_going_on_with_pretraining_changes_the_weights_and_leaves_no_others(
    train: Train, architecture: Architecture, labelled: Labelled, same_weights: Same, tmp_path: Path
) -> None:
    pretraining = PretrainingRows(
        inputs=labelled.inputs[np.arange(100, 300)], objective=ObjectiveConfig(), weight=1.0
    )
    alone, joint = train(seeds=(1, 2)), train(seeds=(1, 2), pretraining=pretraining)
    assert list(joint[0].state) == list(alone[0].state)
    assert not same_weights(joint[0], alone[0])
    assert all(epoch.losses["pretraining"] > 0 for epoch in joint[0].history)
    architecture.new_classifier().load_state_dict(joint[0].state)
    elsewhere = train(seeds=(1, 2), pretraining=pretraining, processes=2)
    assert all(map(same_weights, joint, elsewhere))
    with pytest.raises(Killed):
        train(seeds=(1,), pretraining=pretraining, folder=tmp_path, on_progress=kill_after(2))
    resumed = train(seeds=(1,), pretraining=pretraining, folder=tmp_path, resume=True)
    assert same_weights(resumed[0], joint[0])

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from loan_default.choices import OBJECTIVES
from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import dump_schema
from loan_default.data.sources.generator import to_text
from loan_default.errors import ConfigurationError
from loan_default.models.contrastive import ObjectiveConfig
from loan_default.models.encoder import EncoderConfig
from loan_default.models.fitting import Progress
from loan_default.models.labelled import Labelled
from loan_default.models.member_training import Architecture
from loan_default.models.model import load_encoder
from loan_default.models.pretraining import Pretrained, pretrain
from loan_default.models.schedules import FitConfig
from loan_default.pipelines.training.plan import TrainingPlan, plan_training
from loan_default.pipelines.training.stages import pretrain_encoder
from loan_default.pipelines.training.stopwatch import Stopwatch
from loan_default.pipelines.training.training_options import FileData, TrainingOptions

CONFIG = FitConfig(epochs=3, learning_rate=3e-3, batch_size=64, patience=0, weight_decay=1e-5)


class Killed(Exception):
    pass


@pytest.fixture
def pretrained(architecture: Architecture, labelled: Labelled) -> Callable[..., Pretrained]:
    def run(
        *,
        objective: str = "both",
        config: FitConfig = CONFIG,
        checkpoint: Path | None = None,
        resume: bool = False,
        fingerprint: str = "same",
        on_progress: Callable[[Progress], None] = lambda progress: None,
        drawn_before: int = 0,
        **options: Any,
    ) -> Pretrained:
        torch.manual_seed(0)
        encoder = architecture.new_encoder()
        torch.rand(drawn_before)
        return pretrain(
            encoder,
            labelled.inputs[np.arange(300)],
            labelled.inputs[np.arange(300, 400)],
            objective=ObjectiveConfig(objective=objective, **options),
            config=config,
            seed=4,
            device=torch.device("cpu"),
            fingerprint=fingerprint,
            checkpoint=checkpoint,
            resume=resume,
            on_progress=on_progress,
        )

    return run


def assert_same(one: Pretrained, other: Pretrained) -> None:
    assert one.state.keys() == other.state.keys()
    for name, tensor in one.state.items():
        assert torch.equal(tensor, other.state[name]), name


@pytest.mark.slow
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_each_objective_lowers_its_losses(pretrained: Callable[..., Pretrained], objective: str) -> None:
    history = pretrained(objective=objective, config=replace(CONFIG, epochs=8)).fitted.history
    assert history[-1].losses["loss"] < history[0].losses["loss"]
    assert max(epoch.score for epoch in history[1:]) > history[0].score, "on held-out rows too"
    for part in history[0].losses:
        if part != "detection":  # few rows teach little of it beside the rest
            assert history[-1].losses[part] < history[0].losses[part], part


@pytest.mark.slow
def test_the_state_is_that_of_an_encoder(
    pretrained: Callable[..., Pretrained], architecture: Architecture
) -> None:
    result = pretrained()
    encoder = architecture.new_encoder()
    encoder.load_state_dict(result.state)  # strict: nothing more, nothing less
    torch.manual_seed(0)
    start = architecture.new_encoder().state_dict()
    moved = {name for name, tensor in result.state.items() if not torch.equal(tensor, start[name])}
    assert {"mask", "cls", "blocks.0.query.weight", "categories.weight"} <= moved


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits_whatever_was_drawn_before(
    pretrained: Callable[..., Pretrained],
) -> None:
    one, other = pretrained(), pretrained(drawn_before=7)
    assert_same(one, other)
    assert [epoch.score for epoch in one.fitted.history] == [epoch.score for epoch in other.fitted.history]


@pytest.mark.slow
def test_the_global_random_numbers_are_left_alone(pretrained: Callable[..., Pretrained]) -> None:
    pretrained(config=replace(CONFIG, epochs=1))
    after = torch.rand(3)
    pretrained(config=replace(CONFIG, epochs=2))
    assert torch.equal(torch.rand(3), after)


def test_validation_rows_decide_nothing_but_the_best_epoch(
    architecture: Architecture, labelled: Labelled
) -> None:
    def run(validation: slice) -> Pretrained:
        torch.manual_seed(0)
        return pretrain(
            architecture.new_encoder(),
            labelled.inputs[np.arange(200)],
            labelled.inputs[validation],
            objective=ObjectiveConfig(),
            config=replace(CONFIG, epochs=1),
            seed=4,
            device=torch.device("cpu"),
            fingerprint="",
            checkpoint=None,
            resume=False,
            on_progress=lambda progress: None,
        )

    one, other = run(slice(200, 300)), run(slice(300, 400))
    assert_same(one, other)
    assert one.fitted.best.score != other.fitted.best.score


@pytest.mark.slow
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_resumed_run_ends_with_the_same_bits(
    pretrained: Callable[..., Pretrained], tmp_path: Path, objective: str, epoch: int
) -> None:
    checkpoint = tmp_path / "pretraining.ckpt"

    def kill(progress: Progress) -> None:
        if progress.last is not None and progress.last.epoch == epoch:
            raise Killed

    whole = pretrained(objective=objective)
    with pytest.raises(Killed):
        pretrained(objective=objective, checkpoint=checkpoint, on_progress=kill)
    assert_same(pretrained(objective=objective, checkpoint=checkpoint, resume=True), whole)


@pytest.mark.slow
def test_a_checkpoint_of_other_options_is_refused(
    pretrained: Callable[..., Pretrained], tmp_path: Path
) -> None:
    checkpoint = tmp_path / "pretraining.ckpt"
    pretrained(checkpoint=checkpoint, config=replace(CONFIG, epochs=1))
    with pytest.raises(ConfigurationError, match="belongs to others"):
        pretrained(checkpoint=checkpoint, resume=True, fingerprint="of other data")


def test_a_rate_that_is_far_too_large_is_a_clear_error(pretrained: Callable[..., Pretrained]) -> None:
    with pytest.raises(ConfigurationError, match="must stay finite"):
        pretrained(config=replace(CONFIG, learning_rate=1e30))


# No label is read


def test_there_is_no_argument_for_labels() -> None:
    names = set(inspect.signature(pretrain).parameters)
    assert not {name for name in names if "label" in name or "target" in name or name == "y"}
    assert "Labelled" not in str(inspect.signature(pretrain))


def small(plan: TrainingPlan) -> TrainingPlan:
    preset = replace(
        plan.preset,
        encoder=EncoderConfig(n_layers=1, width=16, heads=1),
        pretraining=replace(plan.preset.pretraining, epochs=2),
    )
    return replace(plan, preset=preset)


def with_rows(plan: TrainingPlan, frame: pd.DataFrame) -> TrainingPlan:
    """The plan with other values in its rows."""
    return replace(plan, dataset=replace(plan.dataset, frame=frame), inputs=plan.features.transform(frame))


@pytest.mark.slow
@pytest.mark.parametrize("change", ["shuffled", "all bad", "unknown"])
def test_other_labels_leave_the_pretrained_weights_identical(
    frame: pd.DataFrame, schema: Schema, tmp_path: Path, change: str
) -> None:
    data, schema_file = tmp_path / "rows.csv", tmp_path / "schema.toml"
    to_text(frame, schema).to_csv(data, index=False)
    schema_file.write_text(dump_schema(schema))
    options = TrainingOptions(data=FileData(data), schema=schema_file, device="cpu", train=False)
    watch = Stopwatch(lambda name, detail: None)
    # The split is stratified and so reads labels; from there on nothing may.
    plan = small(plan_training(options, watch=watch, environ={"OMP_NUM_THREADS": "1"}))
    before, path = pretrain_encoder(
        plan, out=tmp_path / "one", watch=watch, on_progress=lambda progress: None
    )

    other = plan.dataset.frame.copy()
    labels = other["default"].to_numpy(copy=True)
    np.random.default_rng(0).shuffle(labels)
    other["default"] = {"shuffled": labels, "all bad": 1.0, "unknown": np.nan}[change]
    assert not other["default"].equals(plan.dataset.frame["default"])
    changed = with_rows(plan, other)
    after, other_path = pretrain_encoder(
        changed, out=tmp_path / "two", watch=watch, on_progress=lambda progress: None
    )
    assert_same(before, after)
    assert path.read_bytes() == other_path.read_bytes()
    torch.testing.assert_close(load_encoder(path).state, before.state, rtol=0, atol=0)

    # And the check can fail: other inputs give other weights.
    other["amount"] = other["amount"].to_numpy()[::-1]
    moved, _ = pretrain_encoder(
        with_rows(plan, other),
        out=tmp_path / "three",
        watch=watch,
        on_progress=lambda progress: None,
    )
    assert any(not torch.equal(tensor, before.state[name]) for name, tensor in moved.state.items())

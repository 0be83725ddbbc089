import math
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from loan_default.errors import ArtifactError, ConfigurationError
from loan_default.models.checkpoints import write_checkpoint
from loan_default.models.contrastive import ObjectiveConfig, PretrainingModel
from loan_default.models.fitting import Fitted, Progress, fit, parameter_groups
from loan_default.models.member_training import Architecture
from loan_default.models.schedules import FitConfig, Passes

CONFIG = FitConfig(epochs=4, learning_rate=0.05, batch_size=16, patience=0)


class Line:
    """Fit y = 3 x with dropout, so that the random numbers of the steps matter."""

    def __init__(self, *, scores: list[float] | None = None, scale: float = 1.0) -> None:
        torch.manual_seed(9)
        self.module: nn.Module = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.3), nn.Linear(8, 1))
        self.n_rows = 100
        self.x = torch.linspace(-1, 1, 100)[:, None]
        self.seen: list[Tensor] = []
        self._scores, self._scale = scores, scale

    def losses(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        self.seen.append(rows)
        noise = torch.randn(len(rows), 1, generator=generator) * 0.01
        error = (self.module(self.x[rows]) - 3 * self.x[rows] + noise) * self._scale
        return {"loss": error.square().mean(), "first": error[0, 0].abs()}

    def score(self, module: nn.Module) -> float:
        if self._scores is not None:
            return self._scores.pop(0)
        return -float((module(self.x) - 3 * self.x).square().mean().detach())


def run(
    task: Any,
    config: FitConfig = CONFIG,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    seed: int = 0,
    fingerprint: str = "same",
    on_progress: Callable[[Progress], None] = lambda progress: None,
    passes: Passes | None = None,
) -> Fitted:
    return fit(
        task,
        config,
        stage="test",
        seed=seed,
        fingerprint=fingerprint,
        checkpoint=checkpoint,
        resume=resume,
        on_progress=on_progress,
        passes=passes,
    )


# Schedule and groups


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The learning rate of each step that is taken."""
    kept: list[float] = []
    step = torch.optim.AdamW.step

    def kept_step(optimizer: torch.optim.AdamW, *arguments: Any) -> Any:
        kept.append(optimizer.param_groups[0]["lr"])
        return step(optimizer, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", kept_step)
    return kept


def test_without_patience_the_rate_warms_up_and_falls_over_all_epochs(rates: list[float]) -> None:
    run(Line(), replace(CONFIG, epochs=10, learning_rate=1.0))
    assert len(rates) == 60
    # A tenth of 60 steps: the first step has a sixth of the rate.
    assert rates[0] == pytest.approx(1 / 6)
    assert max(rates) == rates[5] == pytest.approx(1.0, abs=0.03)
    assert all(later < earlier for earlier, later in pairwise(rates[5:]))
    assert rates[30] == pytest.approx(0.525)
    assert rates[-1] == pytest.approx(0.05, abs=0.01)


def test_the_rate_falls_from_the_best_weights_on_when_the_score_gets_no_better(rates: list[float]) -> None:
    scores = [0.5, 0.6, 0.7, 0.8, 0.7, 0.7, 0.75, 0.85, 0.9]
    fitted = run(Line(scores=scores.copy()), replace(CONFIG, epochs=50, patience=3, learning_rate=1.0))
    # Four passes to the best, three in vain, then two (30 % of four) over which the rate falls.
    assert [epoch.score for epoch in fitted.history] == scores
    assert fitted.best.epoch == 9
    assert fitted.passes == Passes(steady=4, cooling=2, cooled=2)
    by_epoch = [rates[6 * epoch : 6 * epoch + 6] for epoch in range(9)]
    assert all(rate == 1.0 for epoch in by_epoch[5:7] for rate in epoch)
    assert by_epoch[7][0] == 1.0
    assert by_epoch[8][0] == pytest.approx(0.525)


@pytest.mark.slow
@pytest.mark.parametrize(("best", "waited"), [(4, 3), (8, 6), (21, 16)])
def test_what_learns_slowly_is_waited_for_longer(best: int, waited: int) -> None:
    scores = [0.5 + 0.01 * n for n in range(best)] + [0.5] * 40
    fitted = run(Line(scores=scores), replace(CONFIG, epochs=200, patience=2))
    cooling = max(1, math.ceil(0.3 * best))
    assert len(fitted.history) == best + waited + cooling
    assert fitted.passes == Passes(steady=best)


def test_it_cools_in_time_where_the_epochs_run_out(rates: list[float]) -> None:
    fitted = run(
        Line(scores=[0.1 * n for n in range(1, 11)]),
        replace(CONFIG, epochs=10, patience=5, learning_rate=1.0),
    )
    assert len(fitted.history) == 10
    assert fitted.passes == Passes(steady=7, cooling=3, cooled=3)
    assert rates[-1] < 0.1


@pytest.mark.slow
def test_the_same_passes_lead_to_the_same_weights_without_a_score(
    same_weights: Callable[[Fitted, Fitted], bool],
) -> None:
    """Where the best epoch is reached without a wasted one, repeating its passes takes the same steps."""
    config = replace(CONFIG, epochs=10, patience=5)
    found = run(Line(scores=[0.1 * n for n in range(1, 11)]), config)

    class Unscored(Line):
        def score(self, module: nn.Module) -> float:
            raise AssertionError("nothing is left to score")

    repeated = run(Unscored(), config, passes=found.passes)
    assert same_weights(found, repeated)
    assert [epoch.losses for epoch in repeated.history] == [epoch.losses for epoch in found.history]
    assert repeated.best.score is None


def test_a_repeated_run_can_be_resumed(
    tmp_path: Path, same_weights: Callable[[Fitted, Fitted], bool]
) -> None:
    passes = Passes(steady=2, cooling=2, cooled=1)
    whole = run(Line(), passes=passes)
    assert len(whole.history) == 3
    checkpoint = tmp_path / "run.ckpt"
    with pytest.raises(Killed):
        run(Line(), passes=passes, checkpoint=checkpoint, on_progress=kill_after(2))
    assert same_weights(run(Line(), passes=passes, checkpoint=checkpoint, resume=True), whole)


def test_only_matrices_of_the_network_decay(architecture: Architecture) -> None:
    module = architecture.new_classifier()
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    groups = parameter_groups(module, replace(CONFIG, weight_decay=0.1))
    decayed = {names[id(p)] for group in groups if group["weight_decay"] == 0.1 for p in group["params"]}
    rest = {names[id(p)] for group in groups if group["weight_decay"] == 0.0 for p in group["params"]}
    assert decayed | rest == set(names.values())
    assert not decayed & rest
    assert decayed == {
        *(
            f"encoder.blocks.{block}.{layer}.weight"
            for block in (0, 1)
            for layer in ("query", "key_value", "out", "up", "down")
        ),
        "layers.0.weight",
        "layers.1.weight",
        "weight",
    }


def test_heads_of_pretraining_do_not_decay(architecture: Architecture) -> None:
    module = PretrainingModel(architecture.new_encoder(), ObjectiveConfig())
    kept = [
        parameter
        for group in parameter_groups(module, CONFIG)
        if not group["weight_decay"]
        for parameter in group["params"]
    ]
    assert any(parameter is module.detector for parameter in kept)
    assert any(parameter is module.rebuilder for parameter in kept)


# The loop


@pytest.mark.slow
def test_it_learns_and_keeps_the_best_average() -> None:
    task = Line()
    before = task.score(task.module)
    fitted = run(task, replace(CONFIG, epochs=30))
    assert fitted.best.score is not None
    assert fitted.best.score > before / 10
    assert fitted.best.score == max(epoch.score or before for epoch in fitted.history)
    again = Line()
    again.module.load_state_dict(fitted.state)
    assert again.score(again.module.eval()) == pytest.approx(fitted.best.score, abs=1e-7)


def test_every_epoch_takes_each_row_once_at_most_in_another_order() -> None:
    task = Line()
    run(task, replace(CONFIG, epochs=2))
    first, second = torch.cat(task.seen[:6]), torch.cat(task.seen[6:])
    assert len(task.seen) == 12
    assert len(first.unique()) == len(second.unique()) == 96  # the rest of 4 rows is left to other epochs
    assert not torch.equal(first, second)


def test_fewer_rows_than_a_batch_make_one_batch() -> None:
    task = Line()
    run(task, replace(CONFIG, batch_size=1000, epochs=2))
    assert [len(rows) for rows in task.seen] == [100, 100]


def test_it_waits_for_its_patience_and_goes_back_to_the_best() -> None:
    scores = [0.5, 0.7, 0.6, 0.65, 0.69, 0.1, 0.9]
    fitted = run(Line(scores=scores.copy()), replace(CONFIG, epochs=50, patience=3))
    assert [epoch.score for epoch in fitted.history] == scores[:6]
    assert fitted.best.epoch == 2
    assert fitted.passes == Passes(steady=2)


def test_without_patience_it_never_stops_early() -> None:
    fitted = run(Line(scores=[0.9, 0.5, 0.4, 0.3]), replace(CONFIG, patience=0))
    assert len(fitted.history) == 4
    assert fitted.best.epoch == 1


def test_the_average_is_that_of_the_steps() -> None:
    """By hand: a = a + (1 - decay) (w - a), with decay (1 + step) / (10 + step) while that is smaller."""

    class Traced(Line):
        steps: list[Tensor]

        def losses(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
            self.steps.append(self.module[0].weight.detach().clone())
            return super().losses(rows, generator)

    task = Traced()
    task.steps = []
    fitted = run(task, replace(CONFIG, epochs=2, ema=0.5))
    weights = [*task.steps[1:], task.module[0].weight.detach()]
    average, best = task.steps[0].clone(), []
    for step, weight in enumerate(weights):
        average += (1 - min(0.5, (1 + step) / (10 + step))) * (weight - average)
        best.append(average.clone())
    last_step = fitted.best.epoch * 6 - 1
    torch.testing.assert_close(fitted.state["0.weight"], best[last_step])
    assert (fitted.state["0.weight"] - weights[last_step]).abs().max() > 1e-5


def test_without_average_the_weights_themselves_are_kept() -> None:
    task = Line(scores=[0.1, 0.2])
    fitted = run(task, replace(CONFIG, epochs=2, ema=0.0))
    for name, tensor in task.module.state_dict().items():
        torch.testing.assert_close(fitted.state[name], tensor)


def test_losses_are_the_means_over_the_batches() -> None:
    class Counting(Line):
        def losses(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
            losses = super().losses(rows, generator)
            return losses | {"count": torch.tensor(float(len(self.seen)))}

    fitted = run(Counting(), replace(CONFIG, epochs=2))
    assert [epoch.losses["count"] for epoch in fitted.history] == [3.5, 9.5]


def test_progress_never_runs_backwards_and_names_each_epoch_once() -> None:
    updates: list[Progress] = []
    run(Line(), on_progress=updates.append)
    assert [progress.last.epoch for progress in updates if progress.last] == [1, 2, 3, 4]
    done = [progress.done_rows for progress in updates]
    assert done == sorted(done)
    assert done[-1] == updates[-1].total_rows == 400
    assert {progress.epoch for progress in updates} == {1, 2, 3, 4}


# Going wrong


@pytest.mark.parametrize("rate", [1e-3, 1e30])
def test_a_loss_that_is_not_finite_is_a_clear_error(rate: float) -> None:
    task = Line(scale=1e30) if rate < 1 else Line()
    with pytest.raises(
        ConfigurationError, match=rf"must stay finite, however: .*rate than {re.escape(str(rate))}\."
    ):
        run(task, replace(CONFIG, learning_rate=rate))


def test_a_score_that_is_not_finite_is_a_clear_error(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.ckpt"
    with pytest.raises(ConfigurationError, match="score=nan"):
        run(Line(scores=[0.5, math.nan]), checkpoint=checkpoint)
    # What was good before it stays usable.
    assert len(run(Line(scores=[0.6, 0.6, 0.6]), checkpoint=checkpoint, resume=True).history) == 4


# Resuming


class Killed(Exception):
    pass


def kill_after(epoch: int) -> Callable[[Progress], None]:
    def on_progress(progress: Progress) -> None:
        if progress.last is not None and progress.last.epoch == epoch:
            raise Killed

    return on_progress


def kill_within(epoch: int) -> Callable[[Progress], None]:
    def on_progress(progress: Progress) -> None:
        if progress.last is None and progress.epoch == epoch:
            raise Killed

    return on_progress


@pytest.mark.slow
@pytest.mark.parametrize(
    ("killer", "epoch"),
    [*((kill_after, epoch) for epoch in (1, 2, 3, 4)), *((kill_within, epoch) for epoch in (2, 3, 4))],
)
def test_a_resumed_run_ends_with_the_same_bits(
    tmp_path: Path,
    killer: Callable[[int], Callable[[Progress], None]],
    epoch: int,
    same_weights: Callable[[Fitted, Fitted], bool],
) -> None:
    whole = run(Line())
    checkpoint = tmp_path / "run.ckpt"
    with pytest.raises(Killed):
        run(Line(), checkpoint=checkpoint, on_progress=killer(epoch))
    torch.manual_seed(1234)  # whatever the new process drew before
    task = Line()
    with torch.no_grad():
        task.module[0].weight.fill_(7.0)  # its own weights are irrelevant
    updates: list[Progress] = []
    resumed = run(task, checkpoint=checkpoint, resume=True, on_progress=updates.append)
    assert same_weights(resumed, whole)
    assert [(e.losses, e.score) for e in resumed.history] == [(e.losses, e.score) for e in whole.history]
    redone = [progress.last.epoch for progress in updates if progress.last]
    assert redone == list(range(epoch + (killer is kill_after), 5)), "no epoch more than needed is repeated"


@pytest.mark.slow
def test_killed_at_every_epoch_in_turn(
    tmp_path: Path, same_weights: Callable[[Fitted, Fitted], bool]
) -> None:
    checkpoint = tmp_path / "run.ckpt"
    for epoch in (1, 2, 3):
        with pytest.raises(Killed):
            run(Line(), checkpoint=checkpoint, resume=True, on_progress=kill_after(epoch))
    assert same_weights(run(Line(), checkpoint=checkpoint, resume=True), run(Line()))


@pytest.mark.slow
def test_early_stopping_survives_a_resume(tmp_path: Path) -> None:
    config, checkpoint = replace(CONFIG, epochs=20, patience=2), tmp_path / "run.ckpt"
    scores = [0.1, 0.9, 0.1, 0.2, 0.3]
    whole = run(Line(scores=scores.copy()), config)
    for epoch in range(1, 5):
        checkpoint.unlink(missing_ok=True)
        with pytest.raises(Killed):
            run(Line(scores=scores.copy()), config, checkpoint=checkpoint, on_progress=kill_after(epoch))
        resumed = run(Line(scores=scores[epoch:]), config, checkpoint=checkpoint, resume=True)
        assert [each.score for each in resumed.history] == scores
        assert [each.losses for each in resumed.history] == [each.losses for each in whole.history]
        assert resumed.passes == whole.passes == Passes(steady=2)


def test_a_finished_run_is_not_run_again(
    tmp_path: Path, same_weights: Callable[[Fitted, Fitted], bool]
) -> None:
    checkpoint = tmp_path / "run.ckpt"
    whole = run(Line(), checkpoint=checkpoint)
    task = Line()
    assert same_weights(run(task, checkpoint=checkpoint, resume=True), whole)
    assert task.seen == []


@pytest.mark.slow
def test_without_resume_an_old_checkpoint_is_ignored(
    tmp_path: Path, same_weights: Callable[[Fitted, Fitted], bool]
) -> None:
    checkpoint = tmp_path / "run.ckpt"
    run(Line(), checkpoint=checkpoint, fingerprint="old", seed=5)
    assert same_weights(run(Line(), checkpoint=checkpoint), run(Line()))


def test_seeds_differ(same_weights: Callable[[Fitted, Fitted], bool]) -> None:
    assert not same_weights(run(Line(), seed=1), run(Line(), seed=2))


def test_a_checkpoint_of_other_options_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.ckpt"
    run(Line(), checkpoint=checkpoint, fingerprint="old")
    with pytest.raises(ConfigurationError, match=r"run\.ckpt belongs to others.*--resume"):
        run(Line(), checkpoint=checkpoint, resume=True, fingerprint="new")


def test_a_damaged_or_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.ckpt"
    run(Line(), checkpoint=checkpoint)
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged"):
        run(Line(), checkpoint=checkpoint, resume=True)
    write_checkpoint(checkpoint, {"weights": torch.zeros(2)})
    with pytest.raises(ConfigurationError, match="belongs to others"):
        run(Line(), checkpoint=checkpoint, resume=True)

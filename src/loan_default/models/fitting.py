"""The loop that pretraining and training share: AdamW, warm-up, a rate that falls, clipping, EMA.

How long it trains follows from its progress: at the full rate as long as the score gets better, then the
rate falls. How far the rate has fallen by the best epoch is known afterwards, so the same steps can be
repeated on more rows, where none are left to score.

It writes a checkpoint after each epoch and can go on from one. Every epoch seeds its own randomness from
(seed, epoch), so an interrupted and resumed run takes the same steps as an uninterrupted one; on one thread
it ends with the same weights to the bit.
"""

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from loan_default.errors import ConfigurationError
from loan_default.models.checkpoints import read_checkpoint, write_checkpoint
from loan_default.models.schedules import COOLING, WAITING, WARM_UP_STEPS, FitConfig, Passes

StateDict = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """Losses, score and speed of one pass over the training rows."""

    epoch: int
    """Number of the epoch, from 1."""
    losses: Mapping[str, float]
    """Mean training losses over the epoch, by component."""
    score: float | None
    """Score of the averaged weights on validation rows, an AUC or minus a loss; higher is better. None =
    nothing is left to score."""
    rows_per_second: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """The progress of a stage; listeners are called with it a few times a second at most."""

    stage: str
    epoch: int
    epochs: int
    done_rows: int
    """Rows of all epochs so far."""
    total_rows: int
    """Rows of all epochs, if the score gets no better from here on."""
    last: Epoch | None
    """The epoch that has just ended; None within an epoch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """The best weights of a fit and how it went."""

    state: StateDict = field(repr=False)
    best: Epoch
    history: tuple[Epoch, ...]
    passes: Passes
    """What led to the best weights."""


OnProgress = Callable[[Progress], None]
"""What is called several times a second while a module is fitted, and after each epoch."""


class FittingTask(Protocol):
    """What to optimise: a module, its losses on some rows, and a score."""

    module: nn.Module
    n_rows: int

    def losses(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses of training rows, among them `loss`, which is minimised."""
        ...

    def score(self, module: nn.Module) -> float:
        """How good a module is on validation rows; higher is better, NaN = its weights have run away."""
        ...


def fit(
    task: FittingTask,
    config: FitConfig,
    *,
    stage: str,
    seed: int,
    fingerprint: str,
    checkpoint: Path | None,
    resume: bool,
    on_progress: OnProgress,
    passes: Passes | None = None,
) -> Fitted:
    """The best averaged weights over the epochs.

    Args:
        stage: name of the stage in progress and messages.
        fingerprint: digest of everything that decides the result; a checkpoint of another one is refused.
        checkpoint: file to write after each epoch; None = none.
        resume: go on from `checkpoint` if it is there; the module's own weights are then irrelevant.
        passes: what to repeat; nothing is scored, and the last weights are the result. None = the score
            decides.

    Raises:
        ConfigurationError: the checkpoint belongs to other data or options, or a loss or score is not finite.
        ArtifactError: the checkpoint is damaged.
    """
    run = _Run(task, config, seed=seed, fingerprint=fingerprint, given=passes)
    if checkpoint is not None and resume and checkpoint.exists():
        run.restore(read_checkpoint(checkpoint), where=checkpoint)
    while not run.is_over:
        run.epoch(on_progress, stage=stage)
        if checkpoint is not None:
            write_checkpoint(checkpoint, run.checkpoint_state())
        on_progress(run.progress(stage, done_rows=run.n_epochs * task.n_rows, last=run.history[-1]))
    return run.result()


class _Run:
    """The moving parts of one fit: weights, their average, optimiser state, best so far."""

    def __init__(
        self, task: FittingTask, config: FitConfig, *, seed: int, fingerprint: str, given: Passes | None
    ) -> None:
        self.task, self.config, self.seed, self.fingerprint = task, config, seed, fingerprint
        self.given = given
        self.average = copy.deepcopy(task.module)
        self.optimizer = torch.optim.AdamW(parameter_groups(task.module, config), fused=True)
        self.history: list[Epoch] = []
        self.best_epoch = 0
        self.best_passes = Passes(steady=0)
        self.best_state: StateDict = {}
        self.passes = Passes(steady=0, cooling=0 if config.patience else config.epochs)
        # A last batch of a few rows would be mostly noise, and NT-Xent contrasts a row with
        # others: its rows are left to the other epochs, whose shuffles differ.
        self.batches = max(1, task.n_rows // config.batch_size)

    @property
    def n_epochs(self) -> int:
        return len(self.history)

    @property
    def is_over(self) -> bool:
        if self.given is not None:
            return self.n_epochs >= self.given.total
        cooled = 0 < self.passes.cooling <= self.passes.cooled
        return cooled or self.n_epochs >= self.config.epochs

    def result(self) -> Fitted:
        if self.given is not None:
            state = _copy(self.average.state_dict())
            return Fitted(state=state, best=self.history[-1], history=tuple(self.history), passes=self.given)
        return Fitted(
            state=self.best_state,
            best=self.history[self.best_epoch - 1],
            history=tuple(self.history),
            passes=self.best_passes,
        )

    def epoch(self, on_progress: OnProgress, *, stage: str) -> None:
        """One pass over the rows, and what follows from its score."""
        started = time.monotonic()
        means = self._pass(on_progress, stage=stage)
        score = self._score(means, stage=stage) if self.given is None else None
        rows = min(self.batches * self.config.batch_size, self.task.n_rows)
        self.history.append(
            Epoch(
                epoch=self.n_epochs + 1,
                losses=means,
                score=score,
                rows_per_second=rows / (time.monotonic() - started),
            )
        )
        if self.passes.cooling:
            self.passes = replace(self.passes, cooled=self.passes.cooled + 1)
        else:
            self.passes = replace(self.passes, steady=self.passes.steady + 1)
        if score is not None:
            self._keep_if_best(score)
            self._cool_if_stuck()
        elif self.given is not None and self.n_epochs == self.given.steady:
            self.task.module.load_state_dict(self.average.state_dict())  # as at the beginning of a fall

    def _pass(self, on_progress: OnProgress, *, stage: str) -> dict[str, float]:
        """The steps of one epoch; returns the mean losses."""
        config, reported = self.config, 0.0
        generator = torch.Generator().manual_seed(_epoch_seed(self.seed, self.n_epochs))
        torch.manual_seed(_epoch_seed(self.seed, self.n_epochs) + 1)  # dropout draws from the global one
        order = torch.randperm(self.task.n_rows, generator=generator)
        sums: dict[str, Tensor] = {}
        self.task.module.train()
        for number in range(self.batches):
            step = self.n_epochs * self.batches + number
            for group in self.optimizer.param_groups:
                group["lr"] = config.learning_rate * self._rate(step)
            losses = self.task.losses(order[number * config.batch_size :][: config.batch_size], generator)
            self.optimizer.zero_grad(set_to_none=True)
            losses["loss"].backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.task.module.parameters(), config.clip)
            self.optimizer.step()
            self._average(step)
            for name, loss in losses.items():
                sums[name] = sums.get(name, torch.zeros_like(loss)) + loss.detach()
            if time.monotonic() - reported > 0.2:
                reported = time.monotonic()
                done = self.n_epochs * self.task.n_rows + (number + 1) * config.batch_size
                on_progress(self.progress(stage, done_rows=done, last=None))
        means = {name: float(total) / self.batches for name, total in sums.items()}
        if not all(map(math.isfinite, means.values())):
            raise self._not_finite(stage, means, score=None)
        return means

    def _score(self, means: Mapping[str, float], *, stage: str) -> float:
        self.average.eval()
        with torch.inference_mode():
            score = self.task.score(self.average)
        if not math.isfinite(score):
            raise self._not_finite(stage, means, score=score)
        return score

    def _not_finite(
        self, stage: str, means: Mapping[str, float], *, score: float | None
    ) -> ConfigurationError:
        return ConfigurationError(
            f"losses and score must stay finite, however: epoch {self.n_epochs + 1} of {stage}: {means}, "
            f"score={score}. Try a smaller learning rate than {self.config.learning_rate}."
        )

    def _rate(self, step: int) -> float:
        """Share of the peak learning rate at a step."""
        warm_up = min(1.0, (step + 1) / min(WARM_UP_STEPS, max(1, self.config.epochs * self.batches // 10)))
        within = (step - self.n_epochs * self.batches) / self.batches
        if self.given is not None:
            return warm_up * self.given.rate(self.n_epochs + within)
        return warm_up * self.passes.rate(self.passes.total + within)

    def _keep_if_best(self, score: float) -> None:
        best = self.history[self.best_epoch - 1].score if self.best_epoch else None
        if best is None or score > best:
            self.best_epoch, self.best_passes = self.n_epochs, self.passes
            self.best_state = _copy(self.average.state_dict())

    def _cool_if_stuck(self) -> None:
        """Let the rate fall from the best weights on, where the score has not improved for long enough."""
        if self.passes.cooling or self.n_epochs >= self.config.epochs:
            return
        cooling = max(1, math.ceil(COOLING * self.best_passes.steady))
        waited = self.n_epochs - self.best_epoch
        if waited < self._patience(self.best_epoch) and self.n_epochs + cooling < self.config.epochs:
            return
        self.passes = replace(self.best_passes, cooling=cooling)
        self.average.load_state_dict(self.best_state)
        self.task.module.load_state_dict(self.best_state)

    def _patience(self, best_epoch: int) -> int:
        """Epochs to wait for a better score than that of the best one."""
        return max(self.config.patience, math.ceil(WAITING * best_epoch))

    def _average(self, step: int) -> None:
        # Young averages follow quickly, so that the random start does not linger in them.
        decay = min(self.config.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.parameters()), list(self.task.module.parameters()), 1 - decay
            )

    def progress(self, stage: str, *, done_rows: int, last: Epoch | None) -> Progress:
        epochs = self._expected_epochs()
        return Progress(
            stage=stage,
            epoch=min(self.n_epochs + (last is None), epochs),
            epochs=epochs,
            done_rows=done_rows,
            total_rows=epochs * self.task.n_rows,
            last=last,
        )

    def _expected_epochs(self) -> int:
        """Epochs that this run takes if the score gets no better."""
        if self.given is not None:
            return self.given.total
        if self.passes.cooling:
            expected = self.n_epochs + self.passes.cooling - self.passes.cooled
        else:
            best = max(1, self.best_epoch)
            expected = best + self._patience(best) + max(1, math.ceil(COOLING * best))
        return min(self.config.epochs, max(self.n_epochs, expected))

    def checkpoint_state(self) -> dict[str, Any]:
        return {
            "fingerprint": self.fingerprint,
            "module": self.task.module.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": [asdict(epoch) for epoch in self.history],
            "passes": asdict(self.passes),
            "best_epoch": self.best_epoch,
            "best_passes": asdict(self.best_passes),
            "best_state": self.best_state,
        }

    def restore(self, saved: Mapping[str, Any], *, where: Path) -> None:
        if saved.get("fingerprint") != self.fingerprint:
            raise ConfigurationError(
                f"a run must be resumed with the data and options it was started with, however: {where} "
                "belongs to others. Repeat the first command with --resume, or leave --resume out."
            )
        self.task.module.load_state_dict(saved["module"])
        self.average.load_state_dict(saved["average"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.history = [Epoch(**epoch) for epoch in saved["history"]]
        self.passes = Passes(**saved["passes"])
        self.best_epoch, self.best_passes = saved["best_epoch"], Passes(**saved["best_passes"])
        device = next(self.task.module.parameters()).device
        self.best_state = {name: tensor.to(device) for name, tensor in saved["best_state"].items()}


def state_of_part(state: StateDict, name: str) -> StateDict:
    """The weights of a part of a module, among those of the whole."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}


_TOKENS = ("numerical", "categories", "cls", "mask", "missing")
_NOT_DECAYED = (*_TOKENS, "bias", "scales", "detector", "rebuilder")


def parameter_groups(module: nn.Module, config: FitConfig) -> list[dict[str, Any]]:
    """Groups for AdamW: matrices of the network decay, all else does not."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        is_matrix = parameter.ndim >= 2 and not any(part in _NOT_DECAYED for part in name.split("."))
        groups.setdefault(config.weight_decay if is_matrix else 0.0, []).append(parameter)
    return [{"params": parameters, "weight_decay": decay} for decay, parameters in groups.items()]


def _epoch_seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def _copy(state: Mapping[str, Tensor]) -> StateDict:
    return {name: tensor.detach().clone() for name, tensor in state.items()}

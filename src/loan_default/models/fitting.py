"""The loop that pretraining and training share: AdamW, warm-up and cosine, clipping, EMA, early stopping.

It writes a checkpoint after each epoch and can go on from one. Every epoch seeds its own randomness from
(seed, epoch), so an interrupted and resumed run takes the same steps as an uninterrupted one; on one thread
it ends with the same weights to the bit.
"""

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from loan_default.errors import ConfigurationError
from loan_default.models.checkpoints import read_checkpoint, write_checkpoint

StateDict = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class FitConfig:
    """How a module is optimised."""

    epochs: int
    """Passes over the rows at most."""
    learning_rate: float
    """Peak of the schedule: 3 % linear warm-up, then cosine down to 10 %."""
    batch_size: int
    """Rows a step."""
    patience: int
    """Epochs without a better score before stopping; 0 = never stop early."""
    weight_decay: float = 1e-4
    """Weight decay of matrices of the network; embeddings, norms and biases have none."""
    clip: float = 1.0
    """Largest gradient norm."""
    encoder_rate: float = 1.0
    """Learning rate of the encoder's blocks as a share of the others'; below 1 where they are pretrained,
    so that a head that knows nothing yet does not undo them."""
    ema: float = 0.99
    """Decay a step of the averaged weights, which are what is scored and kept; 0 = off."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be a positive integer, however: {name}={getattr(self, name)}")
        if not (min(self.learning_rate, self.encoder_rate, self.clip) > 0 <= self.weight_decay):
            raise ValueError(f"rates must be positive, however: {asdict(self)}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema must be in [0, 1), however: ema={self.ema}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """Losses, score and speed of one pass over the training rows."""

    epoch: int
    """Number of the epoch, from 1."""
    losses: Mapping[str, float]
    """Mean training losses over the epoch, by component."""
    score: float
    """Score of the averaged weights on validation rows; higher is better."""
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
    """Rows of all epochs, if early stopping saves none."""
    last: Epoch | None
    """The epoch that has just ended; None within an epoch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """The best weights of a fit and how it went."""

    state: StateDict = field(repr=False)
    best: Epoch
    history: tuple[Epoch, ...]


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
) -> Fitted:
    """The best averaged weights over the epochs.

    Args:
        stage: name of the stage in progress and messages.
        fingerprint: digest of everything that decides the result; a checkpoint of another one is refused.
        checkpoint: file to write after each epoch; None = none.
        resume: go on from `checkpoint` if it is there; the module's own weights are then irrelevant.

    Raises:
        ConfigurationError: the checkpoint belongs to other data or options, or a loss or score is not finite.
        ArtifactError: the checkpoint is damaged.
    """
    run = _Run(task, config, seed=seed, fingerprint=fingerprint)
    if checkpoint is not None and resume and checkpoint.exists():
        run.restore(read_checkpoint(checkpoint), where=checkpoint)
    while not run.is_over:
        run.epoch(on_progress, stage=stage)
        if checkpoint is not None:
            write_checkpoint(checkpoint, run.checkpoint_state())
        on_progress(run.progress(stage, done_rows=run.n_epochs * task.n_rows, last=run.history[-1]))
    return Fitted(state=run.best_state, best=run.history[run.best_epoch - 1], history=tuple(run.history))


class _Run:
    """The moving parts of one fit: weights, their average, optimiser state, best so far."""

    def __init__(self, task: FittingTask, config: FitConfig, *, seed: int, fingerprint: str) -> None:
        self.task, self.config, self.seed, self.fingerprint = task, config, seed, fingerprint
        self.average = copy.deepcopy(task.module)
        self.optimizer = torch.optim.AdamW(parameter_groups(task.module, config), fused=True)
        self.history: list[Epoch] = []
        self.best_epoch = 0
        self.best_state: StateDict = {}
        # A last batch of a few rows would be mostly noise, and NT-Xent contrasts a row with
        # others: its rows are left to the other epochs, whose shuffles differ.
        self.batches = max(1, task.n_rows // config.batch_size)

    @property
    def n_epochs(self) -> int:
        return len(self.history)

    @property
    def is_over(self) -> bool:
        waited = self.n_epochs - self.best_epoch
        return self.n_epochs >= self.config.epochs or (0 < self.config.patience <= waited)

    def epoch(self, on_progress: OnProgress, *, stage: str) -> None:
        config, started, reported = self.config, time.monotonic(), 0.0
        generator = torch.Generator().manual_seed(_epoch_seed(self.seed, self.n_epochs))
        torch.manual_seed(_epoch_seed(self.seed, self.n_epochs) + 1)  # dropout draws from the global one
        order = torch.randperm(self.task.n_rows, generator=generator)
        sums: dict[str, Tensor] = {}
        self.task.module.train()
        for number in range(self.batches):
            step = self.n_epochs * self.batches + number
            rate = config.learning_rate * schedule(step, total=config.epochs * self.batches)
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group["share"]
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
        self.average.eval()
        with torch.inference_mode():
            score = self.task.score(self.average)
        if not all(map(math.isfinite, [*means.values(), score])):
            raise ConfigurationError(
                f"losses and score must stay finite, however: epoch {self.n_epochs + 1} of {stage}: {means}, "
                f"score={score}. Try a smaller learning rate than {config.learning_rate}."
            )
        rows = self.batches * config.batch_size
        self.history.append(
            Epoch(
                epoch=self.n_epochs + 1,
                losses=means,
                score=score,
                rows_per_second=min(rows, self.task.n_rows) / (time.monotonic() - started),
            )
        )
        if self.best_epoch == 0 or score > self.history[self.best_epoch - 1].score:
            self.best_epoch, self.best_state = self.n_epochs, _copy(self.average.state_dict())

    def _average(self, step: int) -> None:
        # Young averages follow quickly, so that the random start does not linger in them.
        decay = min(self.config.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.parameters()), list(self.task.module.parameters()), 1 - decay
            )

    def progress(self, stage: str, *, done_rows: int, last: Epoch | None) -> Progress:
        return Progress(
            stage=stage,
            epoch=min(self.n_epochs + (last is None), self.config.epochs),
            epochs=self.config.epochs,
            done_rows=done_rows,
            total_rows=self.config.epochs * self.task.n_rows,
            last=last,
        )

    def checkpoint_state(self) -> dict[str, Any]:
        return {
            "fingerprint": self.fingerprint,
            "module": self.task.module.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": [asdict(epoch) for epoch in self.history],
            "best_epoch": self.best_epoch,
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
        self.best_epoch = saved["best_epoch"]
        device = next(self.task.module.parameters()).device
        self.best_state = {name: tensor.to(device) for name, tensor in saved["best_state"].items()}


def schedule(step: int, *, total: int) -> float:
    """Share of the peak learning rate at a step: 3 % linear warm-up times a cosine from 1 to 0.1."""
    warm_up = min(1.0, (step + 1) / max(1.0, 0.03 * total))
    return warm_up * (0.55 + 0.45 * math.cos(math.pi * step / max(1, total)))


_TOKENS = ("numerical", "categories", "cls", "mask", "missing")
_NOT_DECAYED = (*_TOKENS, "bias", "scales", "detector", "rebuilder")


def parameter_groups(module: nn.Module, config: FitConfig) -> list[dict[str, Any]]:
    """Groups for AdamW: matrices of the network decay, all else does not; `share` scales the rate."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        parts = name.split(".")
        is_matrix = parameter.ndim >= 2 and not any(part in _NOT_DECAYED for part in parts)
        decay = config.weight_decay if is_matrix else 0.0
        share = config.encoder_rate if parts[:2] == ["encoder", "blocks"] else 1.0
        groups.setdefault((decay, share), []).append(parameter)
    return [
        {"params": parameters, "weight_decay": decay, "share": share}
        for (decay, share), parameters in groups.items()
    ]


def _epoch_seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def _copy(state: Mapping[str, Tensor]) -> StateDict:
    return {name: tensor.detach().clone() for name, tensor in state.items()}

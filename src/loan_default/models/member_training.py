"""Training: members of a model, each an encoder with a head, learned from labelled rows.

Members differ in their seed alone and are averaged in probability space. On a CPU several of them have a
process and a thread each: the network is too small for more threads to pay.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score
from torch import Tensor, nn

from loan_default.models.arrays import Device, predict, to_tensors
from loan_default.models.classifier import Classifier, HeadConfig
from loan_default.models.encoder import Encoder, EncoderConfig
from loan_default.models.features import Features, Inputs
from loan_default.models.fitting import Fitted, OnProgress, StateDict, fit
from loan_default.models.monotonic import FALL_WEIGHT, moved_rows
from loan_default.models.processes import from_bytes, run_in_processes, to_bytes
from loan_default.models.schedules import FitConfig, Measure, Passes


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelled:
    """Inputs of rows, and whether they defaulted."""

    inputs: Inputs
    labels: NDArray[np.float32]
    """(rows,), 1 = default, 0 = none; never missing."""
    weights: NDArray[np.float64] | None = None
    """(rows,), how much each row counts, above 0; None = all alike."""

    def __post_init__(self) -> None:
        if self.weights is not None and (
            len(self.weights) != len(self.labels)
            or not np.isfinite(self.weights).all()
            or self.weights.min(initial=1) <= 0
        ):
            raise ValueError(
                f"weights must be above 0, one a row, however: rows={len(self.labels)}, "
                f"weights={len(self.weights)}, smallest={self.weights.min(initial=1)}"
            )
        if len(self.inputs) != len(self.labels) or not np.isin(self.labels, (0, 1)).all():
            raise ValueError(
                f"labels must be 0 or 1, one a row, however: rows={len(self.inputs)}, "
                f"labels={np.unique(self.labels)[:5]} x {len(self.labels)}"
            )

    def __getitem__(self, positions: NDArray[np.int64]) -> "Labelled":
        """The rows at some positions."""
        weights = None if self.weights is None else self.weights[positions]
        return Labelled(inputs=self.inputs[positions], labels=self.labels[positions], weights=weights)


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """All that rebuilds the network of a member: its features and its sizes."""

    features: Features
    encoder: EncoderConfig
    head: HeadConfig

    def new_encoder(self) -> Encoder:
        """An encoder with fresh random weights."""
        features = self.features
        return Encoder(features.edges, features.cardinalities, self.encoder, features.level_counts)

    def new_classifier(self) -> Classifier:
        """A member with fresh random weights."""
        return Classifier(self.new_encoder(), self.head)


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberJob:
    """One member to train: everything that decides its weights, and where its checkpoint lies."""

    number: int
    """Number of the member, from 1."""
    seed: int
    fingerprint: str
    checkpoint: Path | None
    learned: NDArray[np.int64]
    """Positions of the rows that it learns from."""
    scored: NDArray[np.int64]
    """Positions of the rows that decide how long it trains; not read where `passes` are given."""
    passes: Passes | None = None
    """Passes to repeat; None = the scored rows decide."""
    weights: NDArray[np.float64] | None = None
    """`(learned,)`, how much each learned row counts for this member; None = as the rows say."""


def train_members(
    architecture: Architecture,
    rows: Labelled,
    *,
    jobs: Sequence[MemberJob],
    config: FitConfig,
    encoder_state: StateDict | None,
    device: Device,
    processes: int,
    resume: bool,
    on_progress: OnProgress,
    follow_up: Callable[[MemberJob, Fitted], MemberJob] | None = None,
) -> list[Fitted]:
    """The members' best weights, in the order of the jobs, then those of what follows them.

    Args:
        rows: all rows that a job may name.
        encoder_state: weights that every member's encoder starts with; None = random.
        processes: members trained at once, each on one thread; 1 = in this process, one after the other.
        follow_up: the job that comes after one that is done, from what it found; it waits for no other job,
            so that no core is idle while one member takes long. None = nothing comes after.

    Raises:
        ConfigurationError: a checkpoint is of another run, or a loss is not finite. Raised at once; members
            that are still trained are stopped and have their checkpoints.
        DependencyError: a member's process was killed.
    """
    encoder = None if encoder_state is None else to_bytes(encoder_state)
    work = _Work(architecture, rows, config, encoder, str(device), resume)
    if processes <= 1 or len(jobs) == 1:
        fitted = [work.run(job, on_progress) for job in jobs]
        after = [] if follow_up is None else map(follow_up, jobs, fitted)
        return [*fitted, *(work.run(job, on_progress) for job in after)]
    with TemporaryDirectory(prefix=_ROWS, dir=_clean_folder(jobs)) as folder:
        filed = _put_into_files(work, Path(folder))
        return run_in_processes(
            filed, jobs, processes=processes, on_progress=on_progress, follow_up=follow_up
        )


def _clean_folder(jobs: Sequence[MemberJob]) -> Path | None:
    """The folder of the checkpoints, without the rows of a run that was killed; None = the system's."""
    if jobs[0].checkpoint is None:
        return None
    folder = jobs[0].checkpoint.parent
    for left in folder.glob(f"{_ROWS}*"):
        shutil.rmtree(left, ignore_errors=True)
    return folder


def trained_classifier(architecture: Architecture, state: StateDict, train: Inputs) -> Classifier:
    """A member on the CPU with trained weights, ready to predict values that no training row had."""
    member = architecture.new_classifier()
    weights = {name: tensor.cpu() for name, tensor in state.items()}
    if member.encoder.level_rates is not None:  # those that only the training rows looked up are not needed
        weights[_RATES] = weights[_RATES][: member.encoder.level_rates.n_positions]
    member.load_state_dict(weights)
    member.encoder.fill_unseen(torch.from_numpy(train.numerical), torch.from_numpy(train.codes))
    return member.eval()


_RATES = "encoder.level_rates.rates"
"""Name of the rates of levels among the weights of a member."""


class _Member:
    """The task of one member: mean over its predictors of the cross entropy; a measure of the scored rows.

    Rows count by their weights, which have a mean of 1 over the training rows. Where the PD must be monotonic
    in some columns, falls of the logits along them are a loss beside it.
    """

    def __init__(
        self,
        module: Classifier,
        train: Labelled,
        validation: Labelled,
        *,
        directions: NDArray[np.int64],
        measure: Measure,
        device: Device,
    ) -> None:
        self._measure = measure
        self.module: nn.Module = module
        self._directions = torch.from_numpy(directions).to(device) if directions.any() else None
        self._devices = [device] if device.type == "cuda" else []
        self.n_rows = len(train.labels)
        self._train = to_tensors(train.inputs, device)
        self._labels = torch.from_numpy(train.labels).to(device)
        self._weights = None
        if train.weights is not None:
            normalised = (train.weights / train.weights.mean()).astype(np.float32)
            self._weights = torch.from_numpy(normalised).to(device)
        self._validation, self._outcomes = to_tensors(validation.inputs, device), validation.labels
        self._validation_weights = validation.weights

    def losses(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross entropy of training rows, and how far their PDs move the wrong way."""
        numerical, codes = self._train[0][rows], self._train[1][rows]
        if self._directions is None:
            return {"loss": self._cross_entropy(self.module(numerical, codes), rows)}
        moved, rises = moved_rows(numerical, self._directions, generator)
        with torch.random.fork_rng(self._devices):  # both passes drop the same, or chance would be a fall
            moved_logits = self.module(moved, codes)
        logits = self.module(numerical, codes)
        falls = F.relu(-rises[:, None] * (moved_logits - logits)).mean()
        return {"loss": self._cross_entropy(logits, rows) + FALL_WEIGHT * falls, "falls": falls}

    def _cross_entropy(self, logits: Tensor, rows: Tensor) -> Tensor:
        labels = self._labels[rows][:, None].expand_as(logits)
        weights = None if self._weights is None else self._weights[rows][:, None].expand_as(logits)
        return F.binary_cross_entropy_with_logits(logits, labels, weight=weights)

    def score(self, module: nn.Module) -> float:
        """AUC on the validation rows, or minus their log loss; NaN if a prediction is not finite."""
        probability = predict(module, self._validation)
        if not np.isfinite(probability).all():
            return float("nan")
        weights = self._validation_weights
        if self._measure == "log loss":
            return -float(log_loss(self._outcomes, probability, sample_weight=weights, labels=[0, 1]))
        return float(roc_auc_score(self._outcomes, probability, sample_weight=weights))


@dataclass(frozen=True, slots=True)
class _Work:
    """Trains a member; its fields are what all members share."""

    architecture: Architecture
    rows: Labelled
    config: FitConfig
    encoder_state: bytes | None
    device: str
    resume: bool

    def run(self, job: MemberJob, on_progress: OnProgress) -> Fitted:
        device = torch.device(self.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(job.seed)
            module = self.architecture.new_classifier()
            if self.encoder_state is not None:
                module.encoder.load_state_dict(from_bytes(self.encoder_state))
            learned = self.rows[job.learned]
            if job.weights is not None:
                learned = replace(learned, weights=job.weights)
            if module.encoder.level_rates is not None:
                levels = module.encoder.level_rates.learn(
                    learned.inputs.levels, learned.labels, learned.weights, seed=job.seed
                )
                learned = replace(learned, inputs=replace(learned.inputs, levels=levels))
            task = _Member(
                module.to(device),
                learned,
                self.rows[job.scored],
                directions=self.architecture.features.directions,
                measure=self.config.measure,
                device=device,
            )
            return fit(
                task,
                self.config,
                stage=f"member {job.number}" if job.passes is None else f"member {job.number}, all labels",
                seed=job.seed,
                fingerprint=job.fingerprint,
                checkpoint=job.checkpoint,
                resume=self.resume,
                on_progress=on_progress,
                passes=job.passes,
            )


_ROWS = "rows-"
"""Beginning of the name of a folder with rows for the processes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _FiledWork:
    """Trains a member on rows that lie in files, so that it is small enough to be sent with each job."""

    architecture: Architecture
    folder: Path
    config: FitConfig
    device: str
    resume: bool

    def run(self, job: MemberJob, on_progress: OnProgress) -> Fitted:
        encoder = self.folder / _ENCODER
        work = _Work(
            self.architecture,
            _read_rows(self.folder / _LABELLED),
            self.config,
            encoder.read_bytes() if encoder.exists() else None,
            self.device,
            self.resume,
        )
        return work.run(job, on_progress)


_LABELLED, _ENCODER = "labelled.npz", "encoder"


def _put_into_files(work: _Work, folder: Path) -> _FiledWork:
    rows = work.rows
    arrays: dict[str, Any] = {"labels": rows.labels}
    arrays |= {each: getattr(rows.inputs, each) for each in ("numerical", "codes", "levels")}
    if rows.weights is not None:
        arrays["weights"] = rows.weights
    np.savez(folder / _LABELLED, **arrays)
    if work.encoder_state is not None:
        (folder / _ENCODER).write_bytes(work.encoder_state)
    return _FiledWork(
        architecture=work.architecture,
        folder=folder,
        config=work.config,
        device=work.device,
        resume=work.resume,
    )


def _read_rows(path: Path) -> Labelled:
    with np.load(path) as arrays:
        inputs = Inputs(numerical=arrays["numerical"], codes=arrays["codes"], levels=arrays["levels"])
        weights = arrays["weights"] if "weights" in arrays.files else None
        return Labelled(inputs=inputs, labels=arrays["labels"], weights=weights)

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
from numpy.typing import NDArray

from loan_default.models.arrays import Device
from loan_default.models.classifier import Classifier, HeadConfig
from loan_default.models.encoder import Encoder, EncoderConfig
from loan_default.models.features import Features, Inputs
from loan_default.models.fitting import Fitted, OnProgress, StateDict, fit, state_of_part
from loan_default.models.joint_loss import JointClassifier, PretrainingLoss, PretrainingRows
from loan_default.models.labelled import Labelled
from loan_default.models.member_task import MemberTask
from loan_default.models.processes import from_bytes, run_in_processes, to_bytes
from loan_default.models.schedules import FitConfig, Passes


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
    pretraining: PretrainingRows | None = None,
    follow_up: Callable[[MemberJob, Fitted], MemberJob] | None = None,
) -> list[Fitted]:
    """The members' best weights, in the order of the jobs, then those of what follows them.

    Args:
        rows: all rows that a job may name.
        encoder_state: weights that every member's encoder starts with; None = random.
        processes: members trained at once, each on one thread; 1 = in this process, one after the other.
        pretraining: what goes on pretraining the encoder of every member while it trains; None = nothing.
        follow_up: the job that comes after one that is done, from what it found; it waits for no other job,
            so that no core is idle while one member takes long. None = nothing comes after.

    Raises:
        ConfigurationError: a checkpoint is of another run, or a loss is not finite. Raised at once; members
            that are still trained are stopped and have their checkpoints.
        DependencyError: a member's process was killed.
    """
    encoder = None if encoder_state is None else to_bytes(encoder_state)
    work = _Work(architecture, rows, pretraining, config, encoder, str(device), resume)
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


@dataclass(frozen=True, slots=True)
class _Work:
    """Trains a member; its fields are what all members share."""

    architecture: Architecture
    rows: Labelled
    pretraining: PretrainingRows | None
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
            joint, beside = None, None
            if self.pretraining is not None:
                joint = JointClassifier(module, self.pretraining.objective)
                beside = PretrainingLoss(joint.pretraining_model, self.pretraining, device)
            task = MemberTask(
                (joint or module).to(device),
                learned,
                self.rows[job.scored],
                directions=self.architecture.features.directions,
                measure=self.config.measure,
                device=device,
                beside=beside,
            )
            fitted = fit(
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
        return fitted if joint is None else replace(fitted, state=state_of_part(fitted.state, "classifier"))


_ROWS = "rows-"
"""Beginning of the name of a folder with rows for the processes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _FiledWork:
    """Trains a member on rows that lie in files, so that it is small enough to be sent with each job."""

    architecture: Architecture
    folder: Path
    pretraining: PretrainingRows | None
    """Without its rows."""
    config: FitConfig
    device: str
    resume: bool

    def run(self, job: MemberJob, on_progress: OnProgress) -> Fitted:
        encoder, pretraining = self.folder / _ENCODER, self.pretraining
        if pretraining is not None:
            # Mapped: all processes share these rows, which may be many, and touch what they draw.
            arrays = {name: np.load(self.folder / f"{name}.npy", mmap_mode="c") for name in _PRETRAINING}
            pretraining = replace(pretraining, inputs=Inputs(**arrays))
        work = _Work(
            self.architecture,
            _read_rows(self.folder / _LABELLED),
            pretraining,
            self.config,
            encoder.read_bytes() if encoder.exists() else None,
            self.device,
            self.resume,
        )
        return work.run(job, on_progress)


_LABELLED, _ENCODER = "labelled.npz", "encoder"
_PRETRAINING = ("numerical", "codes")


def _put_into_files(work: _Work, folder: Path) -> _FiledWork:
    rows = work.rows
    arrays: dict[str, Any] = {"labels": rows.labels}
    arrays |= {each: getattr(rows.inputs, each) for each in ("numerical", "codes", "levels")}
    if rows.weights is not None:
        arrays["weights"] = rows.weights
    np.savez(folder / _LABELLED, **arrays)
    pretraining = work.pretraining
    if pretraining is not None:
        for name in _PRETRAINING:
            np.save(folder / f"{name}.npy", getattr(pretraining.inputs, name))
        pretraining = replace(pretraining, inputs=pretraining.inputs[np.arange(0)])
    if work.encoder_state is not None:
        (folder / _ENCODER).write_bytes(work.encoder_state)
    return _FiledWork(
        architecture=work.architecture,
        folder=folder,
        pretraining=pretraining,
        config=work.config,
        device=work.device,
        resume=work.resume,
    )


def _read_rows(path: Path) -> Labelled:
    with np.load(path) as arrays:
        inputs = Inputs(numerical=arrays["numerical"], codes=arrays["codes"], levels=arrays["levels"])
        return Labelled(inputs=inputs, labels=arrays["labels"], weights=arrays.get("weights", None))

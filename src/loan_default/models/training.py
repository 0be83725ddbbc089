"""Training: members of a model, each an encoder with a head, learned from labelled rows.

Members differ in their seed alone and are averaged in probability space. On a CPU several of them have a
process and a thread each: the network is too small for more threads to pay.
"""

import io
import os
import queue
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.queues import Queue
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from loan_default.errors import DependencyError
from loan_default.models.arrays import Device, predict, to_tensors
from loan_default.models.classifier import Classifier, HeadConfig
from loan_default.models.encoder import Encoder, EncoderConfig
from loan_default.models.features import Features, Inputs
from loan_default.models.fitting import FitConfig, Fitted, Progress, Report, StateDict, fit


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelled:
    """Rows and what became of them."""

    inputs: Inputs
    labels: NDArray[np.float32]
    """(rows,), 1 = default, 0 = none; never missing."""

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.labels) or not np.isin(self.labels, (0, 1)).all():
            raise ValueError(
                f"labels must be 0 or 1, one a row, however: rows={len(self.inputs)}, "
                f"labels={np.unique(self.labels)[:5]} x {len(self.labels)}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """What rebuilds a member's network: its size and what its features look like."""

    features: Features
    encoder: EncoderConfig
    head: HeadConfig

    def new_encoder(self) -> Encoder:
        """An encoder with fresh random weights."""
        return Encoder(self.features.edges, self.features.cardinalities, self.encoder)

    def new_classifier(self) -> Classifier:
        """A member with fresh random weights."""
        return Classifier(self.new_encoder(), self.head)


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberJob:
    """One member to train: everything that decides its weights, and where its checkpoint lies."""

    number: int
    """From 1."""
    seed: int
    fingerprint: str
    checkpoint: Path | None


def train_members(
    architecture: Architecture,
    train: Labelled,
    validation: Labelled,
    *,
    jobs: Sequence[MemberJob],
    config: FitConfig,
    encoder_state: StateDict | None,
    device: Device,
    processes: int,
    resume: bool,
    report: Report,
) -> list[Fitted]:
    """The members' best weights, in the order of the jobs.

    Args:
        encoder_state: weights that every member's encoder starts with; None = random.
        processes: members trained at once, each on one thread; 1 = in this process, one after the other.

    Raises:
        ConfigurationError: a checkpoint is of another run, or a loss is not finite. Raised at once; members
            that are still trained are stopped and have their checkpoints.
        DependencyError: a member's process was killed.
    """
    work = _Work(architecture, train, validation, config, _to_bytes(encoder_state), str(device), resume)
    if processes <= 1 or len(jobs) == 1:
        return [work.run(job, report) for job in jobs]
    with TemporaryDirectory(prefix=_ROWS, dir=_clean_folder(jobs)) as folder:
        return _train_in_processes(_put_into_files(work, Path(folder)), jobs, processes, report)


def _clean_folder(jobs: Sequence[MemberJob]) -> Path | None:
    """The folder of the checkpoints, without the rows of a run that was killed; None = the system's."""
    if jobs[0].checkpoint is None:
        return None
    folder = jobs[0].checkpoint.parent
    for left in folder.glob(f"{_ROWS}*"):
        shutil.rmtree(left, ignore_errors=True)
    return folder


def _train_in_processes(
    work: "_FiledWork", jobs: Sequence[MemberJob], processes: int, report: Report
) -> list[Fitted]:
    context = get_context("spawn")
    signs: Queue[Progress] = context.Queue()
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_start_worker, initargs=(signs,))
    others = active_children()
    try:
        futures = _submit(pool, work, jobs)
        while not all(future.done() for future in futures):
            _forward(signs, report, seconds=0.2)
            for future in futures:
                if future.done():
                    future.result()  # raises what stopped the member: the others need not go on
        while _forward(signs, report, seconds=0.2):
            pass  # the last signs can arrive after their result
        return [_with_state(*future.result()) for future in futures]
    except BrokenProcessPool as error:
        raise DependencyError(
            "every member's process must live to its end, however: one was killed, perhaps for lack of "
            "memory. Go on with --resume, on a machine with more memory or with fewer --members."
        ) from error
    except BaseException:
        for process in active_children():
            if process not in others:  # nobody waits for the epochs of a run that was stopped
                process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _submit(
    pool: ProcessPoolExecutor, work: "_FiledWork", jobs: Sequence[MemberJob]
) -> "list[Future[tuple[Fitted, bytes]]]":
    try:
        with _no_script():
            return [pool.submit(_run_in_worker, work, job) for job in jobs]
    except OSError as error:  # the pool was closed under our hands
        raise BrokenProcessPool("a process died before the next was started") from error


def trained_classifier(architecture: Architecture, state: StateDict, train: Inputs) -> Classifier:
    """A member on the CPU with trained weights, ready to predict values that no training row had."""
    member = architecture.new_classifier()
    member.load_state_dict({name: tensor.cpu() for name, tensor in state.items()})
    member.encoder.fill_unseen(torch.from_numpy(train.numerical), torch.from_numpy(train.codes))
    return member.eval()


class _Member:
    """The task of one member: mean over its predictors of the cross entropy; validation AUC."""

    def __init__(
        self,
        module: Classifier,
        train: tuple[Tensor, Tensor],
        labels: Tensor,
        validation: tuple[Tensor, Tensor],
        outcomes: NDArray[np.float32],
    ) -> None:
        self.module: nn.Module = module
        self.n_rows = len(labels)
        self._train, self._labels = train, labels
        self._validation, self._outcomes = validation, outcomes

    def losses(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002
        """Cross entropy of training rows."""
        logits = self.module(self._train[0][rows], self._train[1][rows])
        labels = self._labels[rows][:, None].expand_as(logits)
        return {"loss": F.binary_cross_entropy_with_logits(logits, labels)}

    def score(self, module: nn.Module) -> float:
        """AUC on the validation rows; NaN if a prediction is not finite."""
        probability = predict(module, self._validation)
        if not np.isfinite(probability).all():
            return float("nan")
        return float(roc_auc_score(self._outcomes, probability))


@dataclass(frozen=True, slots=True)
class _Work:
    """What all members share."""

    architecture: Architecture
    train: Labelled
    validation: Labelled
    config: FitConfig
    encoder_state: bytes | None
    device: str
    resume: bool

    def run(self, job: MemberJob, report: Report) -> Fitted:
        device = torch.device(self.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(job.seed)
            module = self.architecture.new_classifier()
            if self.encoder_state is not None:
                module.encoder.load_state_dict(_from_bytes(self.encoder_state))
            task = _Member(
                module.to(device),
                to_tensors(self.train.inputs, device),
                torch.from_numpy(self.train.labels).to(device),
                to_tensors(self.validation.inputs, device),
                self.validation.labels,
            )
            return fit(
                task,
                self.config,
                stage=f"member {job.number}",
                seed=job.seed,
                fingerprint=job.fingerprint,
                checkpoint=job.checkpoint,
                resume=self.resume,
                report=report,
            )


_ROWS = "rows-"
"""Beginning of the name of a folder with rows for the processes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _FiledWork:
    """A work whose rows lie in files: a pool can hang where a process dies that much is being sent to."""

    architecture: Architecture
    folder: Path
    config: FitConfig
    device: str
    resume: bool

    def load(self) -> _Work:
        encoder = self.folder / _ENCODER
        return _Work(
            self.architecture,
            _read_rows(self.folder / _TRAIN),
            _read_rows(self.folder / _VALIDATION),
            self.config,
            encoder.read_bytes() if encoder.exists() else None,
            self.device,
            self.resume,
        )


_TRAIN, _VALIDATION, _ENCODER = "train.npz", "validation.npz", "encoder"


def _put_into_files(work: _Work, folder: Path) -> _FiledWork:
    for name, rows in ((_TRAIN, work.train), (_VALIDATION, work.validation)):
        np.savez(folder / name, numerical=rows.inputs.numerical, codes=rows.inputs.codes, labels=rows.labels)
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
        inputs = Inputs(numerical=arrays["numerical"], codes=arrays["codes"])
        return Labelled(inputs=inputs, labels=arrays["labels"])


@contextmanager
def _no_script() -> Iterator[None]:
    """Processes that are started meanwhile do not run the script of this one first, as they otherwise would.

    They need nothing of it, and a scheduler's would not even start within one of its tasks.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


_signs: "Queue[Progress] | None" = None


def _start_worker(signs: "Queue[Progress]") -> None:
    global _signs  # noqa: PLW0603 (a worker process has one parent to report to)
    _signs = signs
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker when the run is killed, so that a resumed one is alone with its checkpoints.

    A worker that waits for work would wait for ever: it holds the other end of its pipe too.
    """
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _run_in_worker(work: _FiledWork, job: MemberJob) -> tuple[Fitted, bytes]:
    def report(progress: Progress) -> None:
        if _signs is not None:
            _signs.put(progress)

    fitted = work.load().run(job, report)
    return Fitted(state={}, best=fitted.best, history=fitted.history), _to_bytes(fitted.state) or b""


def _with_state(fitted: Fitted, state: bytes) -> Fitted:
    return Fitted(state=_from_bytes(state), best=fitted.best, history=fitted.history)


def _forward(signs: "Queue[Progress]", report: Report, *, seconds: float) -> int:
    """Report what comes within some seconds; returns how many signs came."""
    deadline, count = time.monotonic() + seconds, 0
    while (left := deadline - time.monotonic()) > 0:
        try:
            sign = signs.get(timeout=left)
        except queue.Empty:
            break
        report(sign)
        count += 1
    return count


def _to_bytes(state: StateDict | None) -> bytes | None:
    """Tensors as bytes: between processes torch would pass file handles, which small machines run out of."""
    if state is None:
        return None
    buffer = io.BytesIO()
    torch.save({name: tensor.cpu() for name, tensor in state.items()}, buffer)
    return buffer.getvalue()


def _from_bytes(state: bytes) -> StateDict:
    loaded: StateDict = torch.load(io.BytesIO(state), map_location="cpu", weights_only=True)
    return loaded

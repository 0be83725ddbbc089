"""A pool of processes that report, that end with their parent, and that the error of one ends."""

import io
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.queues import Queue
from types import ModuleType
from typing import Any, Protocol

import torch

from loan_default.errors import DependencyError
from loan_default.models.fitting import Fitted, Progress, Report, StateDict


class Work(Protocol):
    """What is done to each job, in a process of its own."""

    def run(self, job: Any, report: Report, /) -> Fitted: ...


def run_in_processes(work: Work, jobs: Sequence[Any], *, processes: int, report: Report) -> list[Fitted]:
    """The results of the jobs, in their order, each worked off in one of so many processes on one thread.

    Args:
        work: small, as it is sent with each job: a pool can hang where a process dies that much is sent to.

    Raises:
        DependencyError: a process was killed. What a job raises is raised at once, and ends the others.
    """
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
    pool: ProcessPoolExecutor, work: Work, jobs: Sequence[Any]
) -> "list[Future[tuple[Fitted, bytes]]]":
    try:
        with _no_script():
            return [pool.submit(_run_in_worker, work, job) for job in jobs]
    except OSError as error:  # the pool was closed under our hands
        raise BrokenProcessPool("a process died before the next was started") from error


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


def _run_in_worker(work: Work, job: Any) -> tuple[Fitted, bytes]:
    def report(progress: Progress) -> None:
        if _signs is not None:
            _signs.put(progress)

    fitted = work.run(job, report)
    return Fitted(state={}, best=fitted.best, history=fitted.history), to_bytes(fitted.state)


def _with_state(fitted: Fitted, state: bytes) -> Fitted:
    return Fitted(state=from_bytes(state), best=fitted.best, history=fitted.history)


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


def to_bytes(state: StateDict) -> bytes:
    """Tensors as bytes: between processes torch would pass file handles, which small machines run out of."""
    buffer = io.BytesIO()
    torch.save({name: tensor.cpu() for name, tensor in state.items()}, buffer)
    return buffer.getvalue()


def from_bytes(state: bytes) -> StateDict:
    """The tensors of `to_bytes`, on the CPU."""
    loaded: StateDict = torch.load(io.BytesIO(state), map_location="cpu", weights_only=True)
    return loaded

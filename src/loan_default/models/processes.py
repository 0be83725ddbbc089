"""A pool of processes whose progress is passed on, that end with their parent, and that one error ends."""

import io
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.queues import Queue
from types import ModuleType
from typing import Any, Protocol

import torch

from loan_default.errors import DependencyError
from loan_default.models.fitting import Fitted, OnProgress, Progress, StateDict


class Work(Protocol):
    """What is done to each job, in a process of its own."""

    def run(self, job: Any, on_progress: OnProgress, /) -> Fitted: ...


def run_in_processes(
    work: Work,
    jobs: Sequence[Any],
    *,
    processes: int,
    on_progress: OnProgress,
    follow_up: Callable[[Any, Fitted], Any] | None = None,
) -> list[Fitted]:
    """Run each job in one of so many processes, on one thread; returns the results in the order of the jobs.

    Args:
        work: small, as it is sent with each job: a pool can hang where a process dies that much is sent to.
        follow_up: the job that comes after one that is done, from its result without the weights; it waits
            for no other, and its result stands behind those of all jobs. None = nothing comes after.

    Raises:
        DependencyError: a process was killed. What a job raises is raised at once, and ends the others.
    """
    context = get_context("spawn")
    updates: Queue[Progress] = context.Queue()
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_start_worker, initargs=(updates,))
    others = active_children()
    try:
        futures = dict(enumerate(_submit(pool, work, jobs)))
        while not all(future.done() for future in futures.values()):
            _forward(updates, on_progress, seconds=0.2)
            for place, future in list(futures.items()):
                if not future.done():
                    continue
                fitted, _ = future.result()  # raises what stopped the member: the others need not go on
                if follow_up is not None and place < len(jobs) and place + len(jobs) not in futures:
                    (after,) = _submit(pool, work, [follow_up(jobs[place], fitted)])
                    futures[place + len(jobs)] = after
        while _forward(updates, on_progress, seconds=0.2):
            pass  # the last updates can arrive after the result of their job
        return [_with_state(*futures[place].result()) for place in sorted(futures)]
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
    except OSError as error:  # the pool was closed meanwhile
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


_updates: "Queue[Progress] | None" = None


def _start_worker(updates: "Queue[Progress]") -> None:
    global _updates  # noqa: PLW0603 (a worker process has one parent that it sends its progress to)
    _updates = updates
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
    def send_update(progress: Progress) -> None:
        if _updates is not None:
            _updates.put(progress)

    fitted = work.run(job, send_update)
    return replace(fitted, state={}), to_bytes(fitted.state)


def _with_state(fitted: Fitted, state: bytes) -> Fitted:
    return replace(fitted, state=from_bytes(state))


def _forward(updates: "Queue[Progress]", on_progress: OnProgress, *, seconds: float) -> int:
    """Pass on the updates that arrive within some seconds; returns how many arrived."""
    deadline, count = time.monotonic() + seconds, 0
    while (left := deadline - time.monotonic()) > 0:
        try:
            update = updates.get(timeout=left)
        except queue.Empty:
            break
        on_progress(update)
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

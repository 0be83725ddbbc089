"""Rows that wait for the one thread that scores them: what has come meanwhile is scored together.

There is no timer: a lone request runs at once, and a run takes only what waits, first in first out. A request
of n rows counts n. If a run raises, each of its requests is run alone, so that only the guilty one fails.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

J = TypeVar("J")
R = TypeVar("R")

Work = Callable[[Sequence[J]], Sequence[R]]
"""Jobs -> for each of them its result; called in the thread of the queue."""


class QueueFullError(Exception):
    """As many rows wait as may."""


class QueueTimeoutError(Exception):
    """A job has waited for longer than it may."""


@dataclass(slots=True, eq=False)
class _Entry(Generic[J, R]):
    job: J
    rows: int
    future: "asyncio.Future[R]"
    entered: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class _Failed:
    """Why a job has no result; a result may be an error itself, such as that of a record."""

    error: Exception


class RowQueue(Generic[J, R]):
    """A bounded queue in front of one thread.

    Args:
        work: what the thread does with the jobs of a run.
        most_rows: rows of one run; a job with more runs alone.
        capacity: rows that may wait; a job that finds none waiting is taken whatever its size.
        seconds: a job that has waited longer is not begun.
    """

    def __init__(
        self, work: Work[J, R], *, name: str, most_rows: int, capacity: int, seconds: float = 5.0
    ) -> None:
        self._work, self._most_rows, self._capacity, self._seconds = work, most_rows, capacity, seconds
        self._entries: SimpleQueue[_Entry[J, R] | None] = SimpleQueue()
        self._rows = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._started = False

    @property
    def rows(self) -> int:
        """Rows that wait or are being scored."""
        return self._rows

    def submit(self, job: J, *, rows: int) -> "asyncio.Future[R]":
        """Put a job at the end; to be called in the event loop. Cancel the future to take it out again.

        Raises:
            QueueFullError: too many rows wait.
        """
        if self._rows and self._rows + rows > self._capacity:
            raise QueueFullError
        if not self._started:
            self._loop = asyncio.get_running_loop()
            self._thread.start()
            self._started = True
        entry = _Entry[J, R](job, rows, asyncio.get_running_loop().create_future())
        self._rows += rows
        entry.future.add_done_callback(lambda _: self._leave(rows))
        self._entries.put(entry)
        return entry.future

    def close(self) -> None:
        """End the thread after what waits."""
        if self._started:
            self._entries.put(None)
            self._thread.join()

    def _leave(self, rows: int) -> None:
        """Count rows no longer: they have a result, or their client has gone and freed their place."""
        self._rows -= rows

    # In the thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        held: _Entry[J, R] | None = None
        while True:
            first = held or self._entries.get()
            held = None
            if first is None:
                return
            batch, rows = [first], first.rows
            while rows < self._most_rows and not self._entries.empty():
                following = self._entries.get()
                if following is None:
                    self._entries.put(None)
                    break
                if rows + following.rows > self._most_rows:
                    held = following
                    break
                batch.append(following)
                rows += following.rows
            self._settle(batch, self._results(batch))

    def _results(self, batch: list[_Entry[J, R]]) -> list[R | _Failed]:
        now = time.monotonic()
        results: list[R | _Failed] = [_Failed(QueueTimeoutError())] * len(batch)
        live = [
            position
            for position, entry in enumerate(batch)
            if not entry.future.cancelled() and now - entry.entered <= self._seconds
        ]
        for position, result in zip(live, self._attempt([batch[each] for each in live]), strict=True):
            results[position] = result
        return results

    def _attempt(self, batch: list[_Entry[J, R]]) -> list[R | _Failed]:
        if not batch:
            return []
        try:
            results = list(self._work([entry.job for entry in batch]))
            _check_length(results, batch)
        except Exception as error:
            if len(batch) == 1:
                return [_Failed(error)]
            return [result for entry in batch for result in self._attempt([entry])]
        return [*results]

    def _settle(self, batch: list[_Entry[J, R]], results: list[R | _Failed]) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._hand_over, batch, results)

    def _hand_over(self, batch: list[_Entry[J, R]], results: list[R | _Failed]) -> None:
        for entry, result in zip(batch, results, strict=True):
            if entry.future.done():
                continue
            if isinstance(result, _Failed):
                entry.future.set_exception(result.error)
            else:
                entry.future.set_result(result)


def _check_length(results: Sequence[object], batch: Sequence[object]) -> None:
    """Results are matched by position: one too few would give someone another's."""
    if len(results) != len(batch):
        raise RuntimeError(
            f"each job must have one result, however: jobs={len(batch)}, results={len(results)}"
        )

"""Every prediction is kept: spooled before its answer goes out, and stored in bulk off the request's path.

While the document store is away predictions wait on disk, up to a limit; beyond it `add` refuses, so that no
score is given that is not kept. What waits when a process ends is stored by the next one. The ids make each
write safe to repeat.
"""

import math
import random
import time
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self

import structlog

from loan_default.database.prediction_repository import PredictionRepository
from loan_default.database.serving_documents import Group, Prediction
from loan_default.errors import DataError, DependencyError, LoanDefaultError
from loan_default.failpoints import failpoint
from loan_default.serving.prediction_spool import LIMIT_BYTES, Segment, Spool

log = structlog.get_logger()

SYNC_SECONDS = 0.05
"""Longest time from a line to its flush to the disk, apart from the flush itself."""
STORED_AT_ONCE = 500
"""Predictions of one write to the document store."""
_LINGER_SECONDS = 0.05
"""Time in which predictions gather for one write."""
_ADOPT_SECONDS = 10.0
"""How often an idle log looks for what other processes left."""
_EXPIRY_SECONDS = 3_600.0
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.2, 5.0
"""Waits between attempts to reach a store that is away."""
_REMEMBERED = 5_000
"""Events whose predictions are found before they are stored."""


class PredictionLog:
    """Keeps predictions; `add` may be called from any thread."""

    def __init__(
        self,
        repository: PredictionRepository,
        folder: Path,
        *,
        limit_bytes: int = LIMIT_BYTES,
        days: int | None = None,
    ) -> None:
        """Open the spool and begin to store what waits there.

        Args:
            limit_bytes: bytes that may wait in the folder; beyond them `add` refuses.
            days: delete predictions that are older, now and each hour, for a store that does not do so by
                itself; None = delete none.

        Raises:
            ConfigurationError: the folder cannot be written.
        """
        self._repository, self._days = repository, days
        self._spool = Spool(folder, limit_bytes=limit_bytes)
        self._stop, self._written = Event(), Event()
        self._pending: OrderedDict[str, dict[str, Prediction]] = OrderedDict()
        self._pending_lock = Lock()
        self._stored = self._failures = 0
        self._threads = [
            Thread(target=self._keep_syncing, name="predictions-sync", daemon=True),
            Thread(target=self._keep_storing, name="predictions-store", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Predictions that are not known to be stored yet."""
        return self._spool.waiting

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the spool that are in use."""
        return self._spool.size

    @property
    def lag(self) -> float:
        """How long the oldest prediction has waited to be stored, in seconds; 0 = none waits."""
        return self._spool.oldest_seconds

    @property
    def is_full(self) -> bool:
        """Whether `add` refuses: answer nothing that has to be kept."""
        return self._spool.is_full

    @property
    def stored(self) -> int:
        """Predictions that this process has brought to the store, those that were there already too."""
        return self._stored

    @property
    def failures(self) -> int:
        """Writes to the store that failed and are made again."""
        return self._failures

    def add(self, predictions: Sequence[Prediction]) -> None:
        """Keep predictions, all or none; once this returns, a kill of the process loses none.

        Raises:
            DependencyError: the spool is full or the disk fails: give no answer.
        """
        if not predictions:
            return
        lines = b"".join(each.model_dump_json().encode() + b"\n" for each in predictions)
        with self._pending_lock:  # before they can be stored, which takes them out again
            new = [each for each in predictions if each.id not in self._pending.get(each.event, {})]
            for each in predictions:
                self._pending.setdefault(each.event, {}).setdefault(each.id, each)
            while len(self._pending) > _REMEMBERED:
                self._pending.popitem(last=False)
        try:
            self._spool.append(lines, number=len(predictions))
        except DependencyError:
            self._forget(new)
            raise
        failpoint("predictions_spooled")
        self._written.set()

    def of_event(self, event: str) -> list[Prediction]:
        """Return the predictions of an event: those that are stored, then those that wait.

        While an answer waits, what waits is all: a store that is away is not asked for what is known.

        Raises:
            DependencyError: none waits, and the store does not answer.
        """
        with self._pending_lock:
            waiting = dict(self._pending.get(event, {}))
        if any(each.group is not Group.SHADOW for each in waiting.values()):
            return list(waiting.values())
        try:
            stored = {each.id: each for each in self._repository.of_event(event)}
        except DependencyError:
            if not waiting:
                raise
            stored = {}
        return [*stored.values(), *(each for name, each in waiting.items() if name not in stored)]

    def wait_until_stored(self, *, seconds: float) -> bool:
        """Wait until nothing waits, at most so long; return whether that is so."""
        until = time.monotonic() + seconds
        while self.waiting and time.monotonic() < until:
            time.sleep(0.01)
        return not self.waiting

    def close(self, *, seconds: float = 5.0) -> None:
        """Store what waits, for at most so long; the rest stays on disk for the next process."""
        self.wait_until_stored(seconds=seconds)
        self._stop.set()
        self._written.set()
        for thread in self._threads:
            thread.join(timeout=seconds)
        if not any(thread.is_alive() for thread in self._threads):
            self._spool.close()  # else a write still uses it; the end of the process gives it up as well

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _keep_syncing(self) -> None:
        failed = False
        while not self._stop.wait(SYNC_SECONDS):
            try:
                self._spool.sync()
                failed = False
            except OSError as error:  # tried again: the thread must outlive it
                if not failed:  # once an outage
                    log.warning("predictions_not_synced", kind=type(error).__name__, reason=error.strerror)
                failed = True

    def _keep_storing(self) -> None:
        looked, failed, expired = time.monotonic(), 0, -math.inf
        while not self._stop.is_set():
            try:
                if self._days is not None and time.monotonic() - expired >= _EXPIRY_SECONDS:
                    self._repository.drop_before(datetime.now(UTC) - timedelta(days=self._days))
                    expired = time.monotonic()
                segment = self._spool.take()
                if segment is not None:
                    self._store(segment)
                elif time.monotonic() - looked >= _ADOPT_SECONDS:
                    looked = time.monotonic()
                    self._spool.adopt()
            except (LoanDefaultError, OSError) as error:
                failed += 1
                self._failures += 1
                if failed == 1:  # once an outage; the lag is a metric
                    log.warning("predictions_wait", reason=str(error), waiting=self.waiting)
                longest = min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2 ** min(failed, 10))
                self._stop.wait(longest * random.uniform(0.5, 1))  # noqa: S311 (spreads replicas, no secret)
                continue
            if segment is None:
                self._written.wait(_ADOPT_SECONDS)
                self._written.clear()
            elif failed:
                log.info("predictions_stored_again", failures=failed, waiting=self.waiting)
                failed = 0
            self._stop.wait(_LINGER_SECONDS)

    def _store(self, segment: Segment) -> None:
        """Write the predictions of a segment to the store and remove it; DependencyError where it is away."""
        unstored = segment.unstored()
        while lines := list(islice(unstored, STORED_AT_ONCE)):
            predictions = []
            for line in lines:
                try:
                    predictions.append(Prediction.from_json(line))
                except DataError:
                    segment.damaged += 1
            self._repository.add_new(predictions)
            failpoint("predictions_stored")
            segment.done += sum(map(len, lines))
            self._stored += len(predictions)
            self._forget(predictions)
        if segment.damaged:
            log.error("spool_damaged", file=segment.path.name, lines=segment.damaged)
        self._spool.remove(segment)

    def _forget(self, predictions: Sequence[Prediction]) -> None:
        """Drop predictions from those that wait."""
        with self._pending_lock:
            for each in predictions:
                of_event = self._pending.get(each.event, {})
                of_event.pop(each.id, None)
                if not of_event:
                    self._pending.pop(each.event, None)

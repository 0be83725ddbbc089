"""What the routes share: the models, the queues, the limits, and where predictions and outcomes go."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog
from starlette.requests import Request

from loan_default.data.schema.records import RecordError
from loan_default.database.api_key_documents import KeyScope
from loan_default.database.serving_documents import Prediction
from loan_default.serving.explanations import DEFAULT_POLICY, ReasonPolicy
from loan_default.serving.http.access import Access
from loan_default.serving.http.explanation_runs import ExplainedResult, ExplanationRuns
from loan_default.serving.http.idempotency import AnsweredRequests
from loan_default.serving.http.outcome_events import SendOutcomes
from loan_default.serving.http.problems import Problem
from loan_default.serving.http.row_queue import QueueFullError, RowQueue
from loan_default.serving.http.score_runs import Keep, ScoreJob, ScoreResult, ScoreRuns
from loan_default.serving.http.telemetry import Readings, Telemetry
from loan_default.serving.http.token_buckets import TokenBuckets
from loan_default.serving.http.what_ifs import WhatIf, score_what_ifs
from loan_default.serving.lineup import Lineup

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class ServingLimits:
    """What one server takes on."""

    most_bytes: int = 2_000_000
    """Bytes of a body."""
    body_seconds: float = 10.0
    """Seconds in which a body must arrive."""
    head_seconds: float = 10.0
    """Seconds in which the head of a request must arrive."""
    most_rows: int = 1_000
    """Applications of a request."""
    small_rows: int = 16
    """Applications of a request of the quick lane, and of one run in it."""
    small_capacity: int = 64
    """Applications that may wait in the quick lane."""
    large_capacity: int = 2_000
    """Applications that may wait in the lane of larger requests."""
    run_rows: int = 64
    """Applications that are scored at once."""
    explained_rows: int = 4
    """Applications that are explained at once: each takes as long as dozens of scores."""
    queue_seconds: float = 5.0
    """Seconds for which a request may wait."""
    most_in_flight: int = 256
    """Requests that are answered at once."""
    rate: float = 0.0
    """Applications a second for each key; 0 = no limit."""
    burst: float = 1_000.0
    """Applications that a key may have at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stores:
    """Where predictions, models and outcomes are kept."""

    keep: Keep
    """Keeps predictions before they are given; a DependencyError where it cannot."""
    can_keep: Callable[[], bool]
    """Whether there is room for more predictions."""
    lag_seconds: Callable[[], float]
    """Age of the oldest prediction that is not in the document store yet; 0 = there is none."""
    predictions_of: Callable[[str], Sequence[Prediction]]
    """What each model made of an event; a DependencyError while the store is away."""
    models: Callable[[], Sequence[Mapping[str, Any]]]
    """The registered models, the newest first; a DependencyError while the store is away."""
    send_outcomes: SendOutcomes


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """All that the routes need."""

    lineup: Callable[[], Lineup | None]
    """The models that answer now; None = none is loaded."""
    access: Access
    stores: Stores
    telemetry: Telemetry
    limits: ServingLimits
    small: RowQueue[ScoreJob, ScoreResult]
    large: RowQueue[ScoreJob, ScoreResult]
    what_if: RowQueue[WhatIf, Mapping[str, Any] | RecordError]
    explained: RowQueue[ScoreJob, ExplainedResult]
    mirrored: RowQueue[ScoreResult, None]
    buckets: TokenBuckets
    answered: AnsweredRequests = field(default_factory=AnsweredRequests)

    def take_share(self, caller: str, rows: int) -> None:
        """Count applications against the share of a caller; a Problem (429) where it is used up."""
        self._refuse(self.buckets.take(caller, rows))

    def check_share(self, request: Request) -> None:
        """Refuse a request of a caller whose share is used up, before anything is spent on it.

        Raises:
            Problem: 429 where it is used up, 401 or 403 where the key may not send applications or outcomes.
        """
        if self.buckets.rate and request.method == "POST":
            caller = self.access.check(request, KeyScope.SCORE, KeyScope.OUTCOME)
            self._refuse(self.buckets.wait(caller))

    def _refuse(self, seconds: float) -> None:
        if seconds:
            self.telemetry.shed.labels("rate").inc()
            raise Problem(
                429, "rate", "The key has used up its share of this server. Slow down.", retry_after=seconds
            )

    def mirror(self, result: ScoreResult) -> None:
        """Let the challenger of an experiment in shadow score what was answered, unless it is behind."""
        if result.lineup.trial is None:
            return
        rows = len(result.answers)
        try:
            run = self.mirrored.submit(result, rows=rows)
        except QueueFullError:
            self.telemetry.shadow_dropped.inc(rows)
        else:
            run.add_done_callback(partial(self._count_failed, rows))

    def _count_failed(self, rows: int, run: "asyncio.Future[None]") -> None:
        """Count what the challenger did not score; nobody else asks what became of it."""
        error = None if run.cancelled() else run.exception()
        if error is not None:
            # The message of an error may hold a value; its type does not.
            log.warning("shadow_failed", rows=rows, error=type(error).__name__)
            self.telemetry.shadow_dropped.inc(rows)

    def close(self) -> None:
        """End the threads after what waits."""
        for queue in (self.small, self.large, self.what_if, self.explained, self.mirrored):
            queue.close()


def make_parts(
    lineup: Callable[[], Lineup | None],
    *,
    access: Access,
    stores: Stores,
    limits: ServingLimits,
    policy: ReasonPolicy = DEFAULT_POLICY,
) -> Parts:
    """The parts of a server, with queues of their own."""
    telemetry = Telemetry()
    runs = ScoreRuns(lineup, stores.keep, telemetry=telemetry, most_rows=limits.run_rows)
    explanations = ExplanationRuns(
        lineup, stores.keep, telemetry=telemetry, most_rows=limits.explained_rows, policy=policy
    )
    seconds = limits.queue_seconds
    parts = Parts(
        lineup=lineup,
        access=access,
        stores=stores,
        telemetry=telemetry,
        limits=limits,
        small=RowQueue(
            runs.score,
            name="scores",
            most_rows=limits.small_rows,
            capacity=limits.small_capacity,
            seconds=seconds,
        ),
        large=RowQueue(
            runs.score,
            name="large-scores",
            most_rows=limits.run_rows,
            capacity=limits.large_capacity,
            seconds=seconds,
        ),
        what_if=RowQueue(
            lambda asked: score_what_ifs(asked, lineup(), telemetry=telemetry),
            name="what-ifs",
            most_rows=limits.run_rows,
            capacity=limits.large_capacity,
            seconds=seconds,
        ),
        explained=RowQueue(
            explanations.explain,
            name="explanations",
            most_rows=limits.explained_rows,
            capacity=limits.small_capacity,
            seconds=seconds,
        ),
        mirrored=RowQueue(
            runs.mirror, name="shadow", most_rows=limits.run_rows, capacity=limits.large_capacity
        ),
        buckets=TokenBuckets(rate=limits.rate, burst=limits.burst),
    )
    telemetry.watch(
        Readings(
            queue_rows=lambda: {"small": parts.small.rows, "large": parts.large.rows},
            spool_lag_seconds=stores.lag_seconds,
            model=lambda: None if (now := lineup()) is None else (now.champion.version, now.champion.digest),
        )
    )
    return parts


def ready_lineup(parts: Parts) -> Lineup:
    """The models that answer now; a Problem (503) while none is loaded."""
    lineup = parts.lineup()
    if lineup is None:
        raise Problem(503, "not-ready", "No model is loaded yet. Try again later.", retry_after=2)
    return lineup

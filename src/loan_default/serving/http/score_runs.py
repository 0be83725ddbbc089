"""What the threads of the queues do: score the applications of several requests together, and keep them.

A run answers by one lineup from its beginning to its end, and its predictions are in the journal before any
of its requests is answered.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from loan_default.data.schema.records import RecordError
from loan_default.database.serving_documents import Door, Prediction
from loan_default.serving.answering import Answer, answer, shadow
from loan_default.serving.explained_answers import Explain, without_reasons
from loan_default.serving.http.telemetry import Telemetry
from loan_default.serving.lineup import Lineup

Keep = Callable[[Sequence[Prediction]], None]
"""Keeps predictions for ever; raises where it cannot."""


class NotReadyError(Exception):
    """No model is loaded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreJob:
    """The applications of one request."""

    records: Sequence[Any]
    """Any JSON values; those that are no applications are answered with the rule that they break."""
    event_ids: Sequence[str]
    request_digest: str | None = None
    """SHA-256 of the request, where it came with an idempotency key."""
    started: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreResult:
    """What became of the applications of one request, in their order."""

    answers: Sequence[Answer | RecordError]
    lineup: Lineup


class ScoreRuns:
    """Scores jobs by the lineup that answers now, and keeps each prediction.

    Args:
        lineup: the models that answer now; None = none is loaded.
        most_rows: rows that are scored at once; a larger job is scored in parts.
        explain: gives answers their reasons before they are kept.
    """

    def __init__(
        self,
        lineup: Callable[[], Lineup | None],
        keep: Keep,
        *,
        telemetry: Telemetry,
        most_rows: int,
        explain: Explain = without_reasons,
    ) -> None:
        self._lineup, self._keep, self._telemetry = lineup, keep, telemetry
        self._most_rows, self._explain = most_rows, explain

    def score(self, jobs: Sequence[ScoreJob]) -> list[ScoreResult]:
        """Score the jobs of one run together.

        Raises:
            NotReadyError: no model is loaded.
            Exception: what `keep` raises; nothing is answered then.
        """
        lineup = self._lineup()
        if lineup is None:
            raise NotReadyError
        records = [record for job in jobs for record in job.records]
        event_ids = [event for job in jobs for event in job.event_ids]
        answers: list[Answer | RecordError] = []
        for first in range(0, len(records), self._most_rows):
            last, began = first + self._most_rows, time.perf_counter()
            scored = answer(
                lineup,
                records[first:last],
                event_ids=event_ids[first:last],
                door=Door.HTTP,
                now=datetime.now(UTC),
            )
            answers += self._explain(lineup, scored)
            self._telemetry.compute_seconds.observe(time.perf_counter() - began)
            self._telemetry.batch_rows.observe(min(last, len(records)) - first)
        remaining = iter(answers)
        shares = [list(islice(remaining, len(job.records))) for job in jobs]
        predictions = [
            _completed(each.prediction, job)
            for job, share in zip(jobs, shares, strict=True)
            for each in share
            if isinstance(each, Answer)
        ]
        if predictions:
            self._keep(predictions)
        self._count(predictions, refused=len(answers) - len(predictions))
        return [ScoreResult(answers=share, lineup=lineup) for share in shares]

    def mirror(self, results: Sequence[ScoreResult]) -> list[None]:
        """Score what has been answered by the challenger of an experiment in shadow, and keep that too."""
        for result in results:
            predictions = shadow(result.lineup, result.answers)
            if predictions:
                self._keep(predictions)
                self._count(predictions, refused=0)
        return [None] * len(results)

    def _count(self, predictions: Sequence[Prediction], *, refused: int) -> None:
        if refused:
            self._telemetry.refused_records.inc(refused)
        for each in predictions:
            self._telemetry.predictions.labels(each.version, str(each.group)).inc()
            if each.experiment is not None:
                self._telemetry.experiment_predictions.labels(each.experiment, str(each.group)).inc()


def _completed(prediction: Prediction, job: ScoreJob) -> Prediction:
    """The prediction with what is known of its request."""
    return prediction.model_copy(
        update={
            "latency_seconds": time.monotonic() - job.started,
            "request_digest": job.request_digest,
        }
    )

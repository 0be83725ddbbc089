"""A consumer of the group that scores `processed_data`: `predictions` first, then `scores`, then the commit.

    follow(consumer, StreamScorer(...), stop=stop, polling=BATCHES)

Records may come many times, their effects happen once: an event that has a prediction is not scored again,
and what goes to `scores` is what the store holds of it, whichever model scores meanwhile. The events on
`scores` have the ids of those that asked, so that a reader drops what comes twice. Another model takes over
between two batches, never within one.
"""

import time
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from threading import Event as Flag
from typing import Any

import structlog

from loan_default.data.schema.records import RecordError
from loan_default.database.experiment_documents import Mode
from loan_default.database.prediction_repository import PredictionRepository
from loan_default.database.serving_documents import Door, Prediction
from loan_default.errors import DataError, DependencyError
from loan_default.failpoints import failpoint
from loan_default.kafka.broker import Broker, Producer
from loan_default.kafka.consuming import Polling, follow
from loan_default.kafka.dead_letters import dead_letter_message, without_content
from loan_default.kafka.events import Event, EventType, read_event, to_message
from loan_default.kafka.messages import Message, Partition, Record
from loan_default.kafka.outbox import must_fit
from loan_default.kafka.topics import PROCESSED, SCORES, SCORING, dead_letter_topic
from loan_default.serving.answering import Answer, answer, shadow
from loan_default.serving.canonical_records import record_reader
from loan_default.serving.explained_answers import Explain, without_reasons
from loan_default.serving.lineup import Lineup
from loan_default.serving.redeliveries import Redeliveries

SOURCE = "scoring"
"""Source of the events on `scores`."""
BATCH = 200
"""Records that are scored together: few enough that one batch takes a tenth of a second."""
REPORT_SECONDS = 60.0
"""Time between two log lines about what was scored."""

log = structlog.get_logger()


@dataclass(slots=True)
class Scored:
    """What became of the records: consumed = scored + repeated + outcomes + refused."""

    consumed: int = 0
    scored: int = 0
    repeated: int = 0
    """Events that had a prediction already: it was sent again."""
    outcomes: int = 0
    """Outcomes, which ask for no score."""
    refused: int = 0
    """Records that the model's schema does not take: dead-letter records."""
    shadowed: int = 0
    """Predictions of a challenger beside those; kept, and not sent."""
    oldest_seconds: float = 0.0
    """The longest time from an event to its score on the topic."""

    def add(self, other: "Scored") -> None:
        """Count what another batch came to."""
        for name in ("consumed", "scored", "repeated", "outcomes", "refused", "shadowed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.oldest_seconds = max(self.oldest_seconds, other.oldest_seconds)


@dataclass(slots=True)
class _Batch:
    """What the records of one batch are, and what they have come to so far."""

    asked: dict[str, Event] = field(default_factory=dict)
    """Position of a record -> the event of the application that asks for a score."""
    broken: dict[str, str] = field(default_factory=dict)
    """Position of a record that is no such event -> the rule that it breaks."""
    outcomes: int = 0
    unscored: dict[str, str] = field(default_factory=dict)
    """Id of an event that no model could score -> why."""

    def reason(self, record: Record) -> str | None:
        """Why a record becomes a dead-letter record; None = it does not."""
        event = self.asked.get(record.position)
        return self.broken.get(record.position) if event is None else self.unscored.get(event.id)


class StreamScorer:
    """Called with records of `processed_data`, it has all their effects."""

    def __init__(
        self,
        *,
        broker: Broker,
        producer: Producer,
        predictions: PredictionRepository,
        lineup: Callable[[], Lineup],
        explain: Explain = without_reasons,
    ) -> None:
        """Make a scorer.

        Args:
            lineup: returns the models that answer now; it is called once a batch.
            explain: gives answers their reasons before they are stored.

        Raises:
            DependencyError: the broker is away, or a topic is not there.
        """
        broker.check_topics([PROCESSED, SCORES, dead_letter_topic(PROCESSED)])
        self._producer, self._predictions, self._lineup = producer, predictions, lineup
        self._explain = explain
        self._redeliveries = Redeliveries(broker.end_offsets)
        self._versions: set[str] = set()  # all that may have answered here
        self.scored = Scored()

    def __call__(self, records: list[Record]) -> None:
        lineup, now, started = self._lineup(), datetime.now(UTC), time.monotonic()
        batch = _read(records)
        asked = {event.id: event for event in batch.asked.values()}
        known = self._answered_before(records, batch, lineup)
        new = [event for event in asked.values() if event.id not in known]
        answers: list[Answer] = []
        for event, answered in zip(new, _answered(lineup, new, now=now, started=started), strict=True):
            if isinstance(answered, Answer):
                answers.append(answered)
            else:
                batch.unscored[event.id] = answered
        answers = [each for each in self._explain(lineup, answers) if isinstance(each, Answer)]
        kept = self._keep(answers)
        failpoint("answers_stored")
        self._deliver(_messages(records, batch, {**known, **kept}, now=now))
        failpoint("scores_sent")
        shadowed = self._keep_shadows(lineup, answers)
        self.scored.add(_counted(records, batch, kept, shadowed=shadowed, sent_at=datetime.now(UTC)))
        self._redeliveries.handled()

    def keep(self, assigned: Set[Partition]) -> None:
        """Note after each poll which partitions are ours: of another one's records, some may come again."""
        self._redeliveries.keep(assigned)

    def _keep(self, answers: Sequence[Answer]) -> dict[str, Prediction]:
        """Store predictions; return the answer that the store holds of each event: the first one wins."""
        predictions = [each.prediction for each in answers]
        if not predictions or self._predictions.add_new(predictions) == len(predictions):
            return {each.event: each for each in predictions}
        events = [each.event for each in predictions]
        kept = self._predictions.answers_to(events)
        if shadowed := [each for each in predictions if each.event not in kept]:
            self._predictions.replace_shadows(shadowed)  # a shadow had the id, and nobody an answer
            kept = self._predictions.answers_to(events)
        return {each.event: each for each in predictions} | kept

    def _answered_before(
        self, records: Sequence[Record], batch: _Batch, lineup: Lineup
    ) -> dict[str, Prediction]:
        """Look up the answers of events that may have one.

        As long as one model answers here, an event that is sent twice needs no look-up: its prediction has
        the same id. Once another has answered too, by a promotion or an experiment, either may have been the
        first.
        """
        self._versions.add(lineup.champion.version)
        if lineup.trial is not None and lineup.trial.mode is Mode.SHARE:
            self._versions.add(lineup.trial.challenger.version)
        several = len(self._versions) > 1
        looked_up = []
        for record in records:
            redelivered = self._redeliveries.possible(record)  # of each record, as it follows them
            if (event := batch.asked.get(record.position)) and (redelivered or several):
                looked_up.append(event.id)
        return self._predictions.answers_to(looked_up) if looked_up else {}

    def _keep_shadows(self, lineup: Lineup, answers: Sequence[Answer]) -> int:
        try:
            predictions = shadow(lineup, answers)
        except DependencyError:
            raise
        except Exception as error:  # the answers are out: an experiment's model must not hold them up
            log.warning("shadow_failed", records=len(answers), kind=type(error).__name__)
            return 0
        if predictions:
            self._predictions.add_new(predictions)
        return len(predictions)

    def _deliver(self, messages: Sequence[Message]) -> None:
        delivery = self._producer.deliver(messages)
        if scores := [each for each in delivery.refused if each.message.topic == SCORES]:
            raise must_fit(scores)
        # A record that its topic could hold may be too large for that of dead-letter records.
        self._producer.deliver(without_content(each.message) for each in delivery.refused)


def follow_processed_data(
    *,
    broker: Broker,
    predictions: PredictionRepository,
    lineup: Callable[[], Lineup],
    polling: Polling,
    stop: Flag,
    alive: Callable[[], None] = lambda: None,
    explain: Explain = without_reasons,
) -> Scored:
    """Score applications as they come, until `stop` is set; the batch that is being scored is finished.

    Args:
        polling: how long an absent server is waited for; its batches are made smaller here.
        alive: called after each poll.
        explain: gives answers their reasons; by default they have none.

    Raises:
        DependencyError: broker or database were away for longer than the retry budget. Nothing is lost: what
            was not committed is delivered again.
    """
    batches = replace(polling, batch=BATCH)
    reported = time.monotonic()

    with closing(broker.producer()) as producer:
        scorer = StreamScorer(
            broker=broker, producer=producer, predictions=predictions, lineup=lineup, explain=explain
        )
        before = replace(scorer.scored)

        with closing(broker.consumer(SCORING, [PROCESSED])) as consumer:

            def after_poll() -> None:
                nonlocal reported, before
                scorer.keep(consumer.assigned())
                alive()
                if time.monotonic() - reported > REPORT_SECONDS and scorer.scored != before:
                    reported, before = time.monotonic(), replace(scorer.scored)
                    log.info("scored", **_counts(before))

            follow(consumer, scorer, stop=stop, polling=batches, after_poll=after_poll)
    return scorer.scored


def _counts(scored: Scored) -> dict[str, float]:
    return {each.name: getattr(scored, each.name) for each in fields(scored)}


def _counted(
    records: Sequence[Record],
    batch: _Batch,
    kept: Mapping[str, Prediction],
    *,
    shadowed: int,
    sent_at: datetime,
) -> Scored:
    refused = sum(1 for record in records if batch.reason(record))
    ages = [(sent_at - event.time).total_seconds() for event in batch.asked.values() if event.id in kept]
    return Scored(
        consumed=len(records),
        scored=len(kept),
        repeated=len(records) - len(kept) - batch.outcomes - refused,
        outcomes=batch.outcomes,
        refused=refused,
        shadowed=shadowed,
        oldest_seconds=max(ages, default=0.0),
    )


def _read(records: Sequence[Record]) -> _Batch:
    batch = _Batch()
    for record in records:
        try:
            event = read_event(record)
        except DataError as error:
            batch.broken[record.position] = str(error)
            continue
        if event.type == EventType.PROCESSED:
            batch.asked[record.position] = event
        elif event.type == EventType.OUTCOME:
            batch.outcomes += 1
        else:
            rule = f"the header ce_type must be {EventType.PROCESSED} or {EventType.OUTCOME}"
            batch.broken[record.position] = rule
    return batch


def _answered(
    lineup: Lineup, events: Sequence[Event], *, now: datetime, started: float
) -> list[Answer | str]:
    """An answer for each application, or why there is none, without any value of it."""
    if not events:
        return []
    read = record_reader(lineup.champion.schema)
    try:
        answers = answer(
            lineup,
            [read(event.data) for event in events],
            event_ids=[event.id for event in events],
            applications=[event.subject for event in events],
            door=Door.STREAM,
            now=now,
            started=started,
        )
    except DependencyError:
        raise
    except Exception as error:
        # One record that a model cannot compute must not stop all that stand behind it.
        if len(events) > 1:
            return [each for event in events for each in _answered(lineup, [event], now=now, started=started)]
        kind = type(error).__name__
        log.warning("event_not_scored", version=lineup.champion.version, kind=kind)
        return [f"a model must be able to score it, however: {lineup.champion.version} raised {kind}"]
    return [
        f"by the schema of the model: {'; '.join(each.rules)}" if isinstance(each, RecordError) else each
        for each in answers
    ]


def _messages(
    records: Sequence[Record], batch: _Batch, predictions: Mapping[str, Prediction], *, now: datetime
) -> list[Message]:
    """The score or the dead-letter record of each record, in their order."""
    messages = []
    for record in records:
        if reason := batch.reason(record):
            messages.append(dead_letter_message(record, reason=reason, now=now))
        elif event := batch.asked.get(record.position):
            messages.append(score_message(predictions[event.id], subject=event.subject))
    return messages


def score_message(prediction: Prediction, *, subject: str) -> Message:
    """Return a prediction as an event on `scores`, keyed by the application that it is of."""
    data: dict[str, Any] = {
        "pd": prediction.pd,
        "points": prediction.points,
        "version": prediction.version,
        "digest": prediction.digest,
        "group": str(prediction.group),
        "experiment": prediction.experiment,
    }
    if prediction.explanation is not None:
        data["explanation"] = prediction.explanation.model_dump(mode="json")
    event = Event(
        id=prediction.event,
        type=EventType.SCORED,
        source=SOURCE,
        time=prediction.scored_at,
        subject=subject,
        schema="score/1",
        data=data,
    )
    return to_message(event, SCORES)

"""Events that a worker logged before it died, and whose records no broker delivers again.

On Kafka the records of such a batch are not committed: they come again at their offsets, and what follows
the log is done then. A broker in memory is gone with its process: the feed sends the rows again, at other
offsets, and the log takes them for duplicates. This batch takes over those of them that are unfinished:

    the batch that logged them has no document, which is written when all its effects are there, and
    the broker does not hold their record, so that nobody else will finish them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loan_default.database.ingestion_documents import RawDataLog
from loan_default.database.ingestion_repositories import (
    Arrival,
    IngestionBatchRepository,
    LogResult,
    RawDataLogRepository,
)
from loan_default.kafka.broker import Broker
from loan_default.kafka.messages import Partition
from loan_default.kafka.topics import RAW


@dataclass(frozen=True, kw_only=True, slots=True)
class UnfinishedEvents:
    """Finds the unfinished events among those that were sent again."""

    broker: Broker
    logs: RawDataLogRepository
    batches: IngestionBatchRepository

    def take_over(self, result: LogResult, events: Sequence[str], *, batch: str) -> LogResult:
        """What the log says of events, with each unfinished one as redelivered, once.

        Args:
            events: ids, in the order of the result.
            batch: id of the batch in hand, which finishes them.

        Raises:
            DependencyError: broker or database are away.
        """
        pairs = list(zip(events, result.arrivals, strict=True))
        duplicates = {event for event, arrival in pairs if arrival is Arrival.DUPLICATE}
        if not duplicates:
            return result
        unfinished = self._unfinished(sorted(duplicates), batch)
        if not unfinished:
            return result
        self.logs.move_to_batch(sorted(unfinished), batch)
        arrivals = list(result.arrivals)
        for position, (event, arrival) in enumerate(pairs):
            if arrival is Arrival.DUPLICATE and event in unfinished:
                unfinished.remove(event)  # of two copies one has the effects
                arrivals[position] = Arrival.REDELIVERED
        return replace(result, arrivals=tuple(arrivals))

    def _unfinished(self, events: Sequence[str], batch: str) -> set[str]:
        logged = [log for log in self.logs.find_all(events) if log.batch != batch]
        finished = self.batches.known({log.batch for log in logged})
        logged = [log for log in logged if log.batch not in finished]
        if not logged:
            return set()
        # Asked for only now: a record that was logged by then lies before these ends.
        firsts, ends = self.broker.first_offsets(RAW), self.broker.end_offsets(RAW)

        def is_on_broker(log: RawDataLog) -> bool:
            partition = Partition(log.topic, log.partition)
            return partition in firsts and firsts[partition] <= log.offset < ends[partition]

        return {log.event for log in logged if not is_on_broker(log)}

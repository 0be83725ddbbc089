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
        """Return what the log says of events, with each unfinished one as redelivered, once.

        Events that were delivered again move to this batch too where the batch that logged them has no
        document: that batch was an earlier try, or its worker died, and this one finishes them.

        Args:
            events: ids, in the order of the result.
            batch: id of the current batch, which finishes them.

        Raises:
            DependencyError: broker or database are away.
        """
        pairs = list(zip(events, result.arrivals, strict=True))
        seen = {event for event, arrival in pairs if arrival is not Arrival.NEW}
        unfinished = self._unfinished(sorted(seen), batch) if seen else []
        if not unfinished:
            return result
        redelivered = {event for event, arrival in pairs if arrival is Arrival.REDELIVERED}
        sent_again = self._not_on_broker([log for log in unfinished if log.event not in redelivered])
        moved = sent_again | {log.event for log in unfinished if log.event in redelivered}
        if moved:
            self.logs.move_to_batch(sorted(moved), batch)
        arrivals = list(result.arrivals)
        for index, (event, _) in enumerate(pairs):
            if event in sent_again:
                sent_again.remove(event)  # of two copies one has the effects
                arrivals[index] = Arrival.REDELIVERED
        return replace(result, arrivals=tuple(arrivals))

    def _unfinished(self, events: Sequence[str], batch: str) -> list[RawDataLog]:
        logged = [log for log in self.logs.find_all(events) if log.batch != batch]
        finished = self.batches.known({log.batch for log in logged})
        return [log for log in logged if log.batch not in finished]

    def _not_on_broker(self, logged: Sequence[RawDataLog]) -> set[str]:
        if not logged:
            return set()
        # Asked for only now: a record that was logged by then lies before these ends.
        firsts, ends = self.broker.first_offsets(RAW), self.broker.end_offsets(RAW)

        def is_on_broker(log: RawDataLog) -> bool:
            partition = Partition(log.topic, log.partition)
            return partition in firsts and firsts[partition] <= log.offset < ends[partition]

        return {log.event for log in logged if not is_on_broker(log)}

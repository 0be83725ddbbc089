"""Promotions as they are heard of on `commands`: the pointer is looked at once, not with the next look.

The pointer stays the truth: what is missed here is found two seconds later.
"""

from collections.abc import Callable
from contextlib import closing
from threading import Event
from uuid import uuid4

import structlog

from loan_default.errors import DependencyError
from loan_default.kafka.broker import Broker
from loan_default.kafka.control_events import FactType
from loan_default.kafka.topics import COMMANDS

GROUPS = "promotions-"
"""Prefix of the consumer groups: each process has its own, so that all hear everything."""
_PROMOTED = FactType.PROMOTED.encode()
_POLL_SECONDS = 0.5
_RETRY_SECONDS = 10.0
_MOST_RECORDS = 500

log = structlog.get_logger()


def hear_promotions(broker: Broker, hear: Callable[[], None], *, stop: Event) -> None:
    """Call `hear` after each promotion until `stop` is set; while the broker is away nothing is heard."""
    is_away = False
    while not stop.is_set():
        try:
            with closing(broker.consumer(f"{GROUPS}{uuid4().hex}", [COMMANDS])) as consumer:
                while not stop.is_set():
                    records = consumer.poll(max_records=_MOST_RECORDS, timeout_seconds=_POLL_SECONDS)
                    is_away = False
                    if any(record.header("ce_type") == _PROMOTED for record in records):
                        hear()
        except DependencyError as error:
            if not is_away:  # once an outage
                log.warning("promotions_not_heard", reason=str(error))
            is_away = True
            stop.wait(_RETRY_SECONDS)

"""The listener, for as long as there is something on the topic."""

from loan_default.kafka.consuming import drain
from loan_default.kafka.topics import COMMANDS
from loan_default.pipelines.control.command_worker import GROUP, Actor, CommandWorker, Handled
from loan_default.pipelines.services import Services


def handle_commands(services: Services, actor: Actor) -> Handled:
    """What is on `commands` now."""
    worker, ends = CommandWorker(services, actor), services.broker.end_offsets(COMMANDS)
    consumer = services.broker.consumer(GROUP, [COMMANDS])
    try:
        drain(consumer, worker, ends=ends, polling=services.polling)
    finally:
        consumer.close()
    return worker.handled

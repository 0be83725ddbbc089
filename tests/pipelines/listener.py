"""The listener, for as long as there is something on the topic."""

from loan_default.kafka.consuming import drain
from loan_default.kafka.topics import COMMANDS
from loan_default.pipelines.control.command_worker import GROUP, Actor, CommandWorker, Handled
from loan_default.pipelines.services import Flow


def handle_commands(flow: Flow, actor: Actor) -> Handled:
    """What is on `commands` now."""
    worker, ends = CommandWorker(flow, actor), flow.broker.end_offsets(COMMANDS)
    consumer = flow.broker.consumer(GROUP, [COMMANDS])
    try:
        drain(consumer, worker, ends=ends, pace=flow.pace)
    finally:
        consumer.close()
    return worker.handled

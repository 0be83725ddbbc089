"""News of models on the topic `commands`."""

from collections.abc import Mapping
from contextlib import closing

from loan_default.kafka.control_events import FactType, fact
from loan_default.pipelines.services import Flow


def announce(
    flow: Flow, kind: FactType, *, version: str, figures: Mapping[str, object], occasion: str = ""
) -> None:
    """Say on `commands` what became of a model, as `fact` does; said again it has the same id."""
    with closing(flow.broker.producer()) as producer:
        producer.deliver([fact(kind, version=version, figures=figures, occasion=occasion)])

"""The live models of a service: loaded from files, with refusals published on `commands`.

with open_live_models(registered_models(database, home), home=home, broker=broker) as live:
    answer(live.lineup, …)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread

from loan_default.kafka.broker import Broker
from loan_default.kafka.control_events import FactType, publish_fact
from loan_default.pipelines.layout import SERVING_FILES
from loan_default.serving.lineup import Scorer
from loan_default.serving.live_models import LiveModels, Refusal
from loan_default.serving.promotion_facts import hear_promotions
from loan_default.serving.scorer import load_scorer
from loan_default.serving.wanted_models import Source, WantedModel


@contextmanager
def open_live_models(source: Source, *, home: Path, broker: Broker | None) -> Iterator[LiveModels]:
    """Models that were looked for once and are followed from now on, until the block ends.

    Args:
        source: names the models that shall answer, such as `registered_models(database, home)`.
        home: folder of the registered models and of what is derived from them.
        broker: takes the facts about refused models, and tells of promotions at once; None = refusals are
            logged alone, and promotions are found with the next look.
    """

    def load(model: WantedModel) -> Scorer:
        cache = home / SERVING_FILES
        return load_scorer(model.path, version=model.version, sha256=model.sha256, cache=cache)

    def publish(refusal: Refusal) -> None:
        if broker is not None:
            publish_refusal(broker, refusal)

    live = LiveModels(source, load, on_refused=publish)
    live.refresh()
    live.start()
    stop = Event()
    listener = None
    if broker is not None:
        hear = partial(hear_promotions, broker, live.look_now, stop=stop)
        listener = Thread(target=hear, name="promotions", daemon=True)
        listener.start()
    try:
        yield live
    finally:
        stop.set()
        if listener is not None:
            listener.join()
        live.close()


def publish_refusal(broker: Broker, refusal: Refusal) -> None:
    """Publish that a model was refused; the fact has the same id from all replicas.

    The fact names the file by its name alone, as folders are those of one machine.
    """
    model = refusal.model
    reason = refusal.reason.replace(str(model.path), model.path.name)
    publish_fact(
        broker,
        FactType.REFUSED,
        version=model.version or model.path.stem,
        metrics={"digest": model.sha256, "reason": reason},
        occasion=model.sha256[:12],
    )

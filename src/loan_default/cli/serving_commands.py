"""`loan-default serve`: scores over HTTP."""

from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loan_default.cli.answering_models import models_to_answer
from loan_default.cli.console import make_console, say
from loan_default.cli.options import ModelName
from loan_default.errors import ConfigurationError
from loan_default.wiring import open_database, start, stopping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loan_default.database.connect import Database
    from loan_default.kafka.broker import Broker
    from loan_default.pipelines.registry import Registered
    from loan_default.serving.http.parts import Stores
    from loan_default.settings import Settings

Host = Annotated[str, typer.Option(help="Address to listen on. Another than 127.0.0.1 needs a key.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 = any that is free.")]
Rate = Annotated[
    float,
    typer.Option(
        min=0, help="Applications a second that each key may ask for, 0 = no limit. Of this process."
    ),
]


_PACKAGES = ("fastapi", "uvicorn", "prometheus_client")
"""Of the extra `serving`."""


def serve(host: Host = "127.0.0.1", port: Port = 8000, model: ModelName = None, rate: Rate = 0.0) -> None:
    """Answer requests for scores over HTTP, until Ctrl-C or SIGTERM; with a page for people at /.

    Without servers it uses the embedded store, and the champion or the newest model.
    """
    from importlib.metadata import version as version_of
    from importlib.util import find_spec

    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        raise ConfigurationError(
            f"the extra `serving` must be installed for serve, however: {missing[0]} is not. "
            "pip install 'loan-default[serving]'"
        )

    from loan_default.database.serving_repositories import ApiKeyRepository
    from loan_default.kafka.open_broker import connect
    from loan_default.pipelines.layout import SERVING_FILES
    from loan_default.serving.explanations import ReasonPolicy
    from loan_default.serving.http.access import Access
    from loan_default.serving.http.application import create_app
    from loan_default.serving.http.http_server import Address, check_reachable, run_server
    from loan_default.serving.http.parts import ServingLimits, make_parts
    from loan_default.serving.open_models import open_live_models
    from loan_default.serving.scorer import load_scorer

    console, settings = make_console(), start()
    address, limits = Address(host=host, port=port), ServingLimits(rate=rate, burst=max(rate / 10, 16.0))
    with ExitStack() as opened:
        stop = opened.enter_context(stopping())
        database = opened.enter_context(open_database(settings))
        access = Access(ApiKeyRepository(database).newest_first, open_locally=address.is_local)
        access.load()
        check_reachable(address, access)
        source = models_to_answer(settings, database, model)
        if model is not None:
            wanted = source().champion  # no other will follow it: one that is damaged is refused at once
            cache = settings.home / SERVING_FILES
            load_scorer(wanted.path, version=wanted.version, sha256=wanted.sha256, cache=cache)
        elif settings.mongodb_uri is None:
            source()  # nobody else will register a model here soon: say at once that there is none
        broker = None if settings.kafka_bootstrap_servers is None else connect(settings)
        live = opened.enter_context(open_live_models(source, home=settings.home, broker=broker))
        stores = opened.enter_context(_open_stores(settings, database, broker))
        policy = ReasonPolicy(against=settings.reasons_against, cutoff=settings.cutoff)
        parts = make_parts(lambda: live.lineup, access=access, stores=stores, limits=limits, policy=policy)
        opened.callback(parts.close)

        if stop.is_set():
            return

        def show(port: int) -> None:
            version = live.lineup.champion.version if live.lineup else "no model yet"
            say(console, "serving", f"{version} at http://{host}:{port}, until Ctrl-C")

        run_server(
            create_app(parts, version=version_of("loan-default")),
            address,
            head_seconds=limits.head_seconds,
            started=show,
            refresh=access.refresh,
            stop=stop.is_set,
        )


@contextmanager
def _open_stores(settings: "Settings", database: "Database", broker: "Broker | None") -> "Iterator[Stores]":
    """Where predictions and outcomes go; what waits when the block ends is stored, or stays on the disk."""
    from loan_default.database.prediction_repository import PredictionRepository
    from loan_default.pipelines.layout import PREDICTION_SPOOL, REPLAYS
    from loan_default.pipelines.registry import list_models
    from loan_default.serving.http.outcome_events import OutcomesOnDisk, OutcomesOnKafka
    from loan_default.serving.http.parts import Stores
    from loan_default.serving.prediction_log import PredictionLog

    spool = settings.spool_folder or settings.home / PREDICTION_SPOOL
    days = settings.prediction_days if settings.mongodb_uri is None else None  # a server deletes by itself
    outcomes = OutcomesOnDisk(settings.home / REPLAYS) if broker is None else OutcomesOnKafka(broker)
    with (
        PredictionLog(PredictionRepository(database), spool, days=days) as predictions,
        closing(outcomes),
    ):
        yield Stores(
            keep=predictions.add,
            can_keep=lambda: not predictions.is_full,
            lag_seconds=lambda: predictions.lag,
            predictions_of=predictions.of_event,
            models=lambda: [shown_model(each) for each in list_models(database)],
            send_outcomes=outcomes,
        )


def shown_model(registered: "Registered") -> "dict[str, Any]":
    """What clients may know of a registered model: nothing of this machine, such as paths."""
    model, test = registered.model, registered.test
    return {
        "version": model.version,
        "digest": model.sha256,
        "created_at": model.created_at.isoformat(),
        "status": str(model.status),
        "champion": registered.is_champion,
        "preset": model.preset,
        "rows": model.rows,
        "measured_on": None if test is None else str(test.dataset),
        "metrics": None if test is None else test.figures,
    }

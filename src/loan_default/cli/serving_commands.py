"""`loan-default serve`: scores over HTTP."""

from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loan_default.cli.console import make_console, say
from loan_default.cli.options import ModelName
from loan_default.wiring import open_database, start, stopping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loan_default.database.connect import Database
    from loan_default.pipelines.registry import Registered
    from loan_default.serving.http.parts import Stores
    from loan_default.serving.lineup import Lineup
    from loan_default.settings import Settings

Host = Annotated[str, typer.Option(help="Address to listen on. Another than 127.0.0.1 needs a key.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 = any that is free.")]
Rate = Annotated[
    float,
    typer.Option(
        min=0, help="Applications a second that each key may ask for, 0 = no limit. Of this process."
    ),
]


def serve(host: Host = "127.0.0.1", port: Port = 8080, model: ModelName = None, rate: Rate = 0.0) -> None:
    """Answer requests for scores over HTTP, until Ctrl-C or SIGTERM; with a page for people at /.

    Without servers it uses the embedded store, and the champion or the newest model.
    """
    from importlib.metadata import version as version_of

    from loan_default.database.serving_repositories import ApiKeyRepository
    from loan_default.serving.http.access import Access
    from loan_default.serving.http.application import create_app
    from loan_default.serving.http.http_server import Address, check_reachable, run_server
    from loan_default.serving.http.parts import ServingLimits, make_parts

    console, settings = make_console(), start()
    address, limits = Address(host=host, port=port), ServingLimits(rate=rate, burst=max(rate, 1.0))
    with ExitStack() as opened:
        opened.enter_context(stopping())
        database = opened.enter_context(open_database(settings))
        access = Access(ApiKeyRepository(database).newest_first, open_locally=address.is_local)
        access.refresh()
        check_reachable(address, access)
        lineup = _newest(settings, database, model)
        stores = opened.enter_context(_open_stores(settings, database))
        parts = make_parts(lambda: lineup, access=access, stores=stores, limits=limits)
        opened.callback(parts.close)
        run_server(
            create_app(parts, version=version_of("loan-default")),
            address,
            head_seconds=limits.head_seconds,
            started=lambda port: say(
                console, "serving", f"{lineup.champion.version} at http://{host}:{port}, until Ctrl-C"
            ),
            refresh=access.refresh,
        )


def _newest(settings: "Settings", database: "Database", model: str | None) -> "Lineup":
    from loan_default.pipelines.registry import file_to_score_with
    from loan_default.serving.lineup import Lineup
    from loan_default.serving.scorer import load_scorer

    file = file_to_score_with(database, model, home=settings.home, sha256=None)
    assert file.sha256 is not None
    return Lineup(
        champion=load_scorer(file.path, version=file.path.stem, sha256=file.sha256, cache=settings.home)
    )


@contextmanager
def _open_stores(settings: "Settings", database: "Database") -> "Iterator[Stores]":
    """Where predictions and outcomes go; what waits when the block ends is stored, or stays on the disk."""
    from loan_default.database.prediction_repository import PredictionRepository
    from loan_default.kafka.open_broker import connect
    from loan_default.pipelines.layout import PREDICTION_SPOOL, REPLAYS
    from loan_default.pipelines.registry import list_models
    from loan_default.serving.http.outcome_events import OutcomesOnDisk, OutcomesOnKafka
    from loan_default.serving.http.parts import Stores
    from loan_default.serving.prediction_log import PredictionLog

    outcomes = (
        OutcomesOnDisk(settings.home / REPLAYS)
        if settings.kafka_bootstrap_servers is None
        else OutcomesOnKafka(connect(settings))
    )
    with (
        PredictionLog(PredictionRepository(database), settings.home / PREDICTION_SPOOL) as predictions,
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
        "metrics": None if test is None else test.figures,
    }

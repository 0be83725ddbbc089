"""`loan-default serve`: scores over HTTP."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from loan_default.cli.console import make_console, say
from loan_default.cli.options import ModelName
from loan_default.wiring import open_database, start, stopping

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loan_default.database.connect import Database
    from loan_default.database.serving_documents import Prediction
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

    from loan_default.serving.http.access import Access
    from loan_default.serving.http.application import create_app
    from loan_default.serving.http.http_server import Address, check_reachable, run_server
    from loan_default.serving.http.parts import ServingLimits, make_parts

    console, settings = make_console(), start()
    address, limits = Address(host=host, port=port), ServingLimits(rate=rate, burst=max(rate, 1.0))
    with open_database(settings) as database, stopping():
        access = Access(list, open_locally=address.is_local)
        check_reachable(address, access)
        lineup = _newest(settings, database, model)
        parts = make_parts(lambda: lineup, access=access, stores=_stores(settings, database), limits=limits)
        try:
            run_server(
                create_app(parts, version=version_of("loan-default")),
                address,
                head_seconds=limits.head_seconds,
                started=lambda port: say(
                    console, "serving", f"{lineup.champion.version} at http://{host}:{port}, until Ctrl-C"
                ),
            )
        finally:
            parts.close()


def _newest(settings: "Settings", database: "Database", model: str | None) -> "Lineup":
    from loan_default.pipelines.registry import file_to_score_with
    from loan_default.serving.lineup import Lineup
    from loan_default.serving.scorer import load_scorer

    file = file_to_score_with(database, model, home=settings.home, sha256=None)
    assert file.sha256 is not None
    return Lineup(
        champion=load_scorer(file.path, version=file.path.stem, sha256=file.sha256, cache=settings.home)
    )


def _stores(settings: "Settings", database: "Database") -> "Stores":
    from loan_default.database.prediction_repository import PredictionRepository
    from loan_default.kafka.open_broker import connect
    from loan_default.pipelines.layout import REPLAYS
    from loan_default.pipelines.registry import list_models
    from loan_default.serving.http.outcome_events import OutcomesOnDisk, OutcomesOnKafka
    from loan_default.serving.http.parts import Stores

    predictions = PredictionRepository(database)

    def keep(made: "Sequence[Prediction]") -> None:
        predictions.add_new(made)

    return Stores(
        keep=keep,
        can_keep=lambda: True,
        lag_seconds=lambda: 0.0,
        predictions_of=predictions.of_event,
        models=lambda: [shown_model(each) for each in list_models(database)],
        send_outcomes=OutcomesOnDisk(settings.home / REPLAYS)
        if settings.kafka_bootstrap_servers is None
        else OutcomesOnKafka(connect(settings)),
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

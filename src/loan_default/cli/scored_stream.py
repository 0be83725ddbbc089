"""`loan-default score --follow`: the stream of applications, scored by the models that answer at the time."""

import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from loan_default.cli.console import counted, say
from loan_default.errors import ConfigurationError, DependencyError
from loan_default.settings import Settings
from loan_default.wiring import open_database, stopping

if TYPE_CHECKING:
    from loan_default.serving.explained_answers import Explain
    from loan_default.serving.lineup import Lineup
    from loan_default.serving.live_models import LiveModels
    from loan_default.serving.stream_scoring import Scored


_WAIT_SECONDS = 1.0
"""Time between two looks for a first model."""
_CHECK_SECONDS = 10.0
"""Time between two checks of the golden rows: they take a few milliseconds."""


def follow_stream(console: Console, settings: Settings, *, alive: Path | None) -> None:
    """Score `processed_data` until Ctrl-C or SIGTERM, and print what came of it.

    Args:
        alive: a file whose time is set after each poll; None = none.

    Raises:
        ConfigurationError: no broker is named.
        DependencyError: broker or database were away for longer than the retry budget.
        ArtifactError: the model is refused, or it no longer scores its golden rows.
    """
    from loan_default.database.prediction_repository import PredictionRepository
    from loan_default.kafka.consuming import Polling
    from loan_default.kafka.open_broker import connect
    from loan_default.serving.open_models import open_live_models
    from loan_default.serving.stream_scoring import Scored, follow_processed_data
    from loan_default.serving.wanted_models import registered_models

    if settings.kafka_bootstrap_servers is None:
        raise ConfigurationError(
            "KAFKA_BOOTSTRAP_SERVERS must be set for score --follow, however: it is not, and nobody can send "
            "anything to a broker in the memory of this process. Name the brokers, or score a file."
        )
    with stopping() as stop, open_database(settings) as database:
        broker = connect(settings)
        source = registered_models(database, settings.home)
        with open_live_models(source, home=settings.home, broker=broker) as live:
            show = sign_of_life(alive, live) if alive else lambda: None
            # It joins the group when it can score: what comes before that waits on the topic.
            while not live.is_ready and not stop.wait(_WAIT_SECONDS):
                show()
            scored = Scored()
            if not stop.is_set():
                scored = follow_processed_data(
                    broker=broker,
                    predictions=PredictionRepository(database),
                    lineup=lambda: ready_lineup_of(live),
                    polling=Polling(retry_budget_seconds=settings.retry_budget_seconds),
                    stop=stop,
                    alive=show,
                    explain=_explain_by(settings),
                )
    print_scored_stream(console, scored)


def _explain_by(settings: Settings) -> "Explain":
    """What gives scores their reasons, as the settings want it."""
    from loan_default.serving.explained_answers import explained_where_possible, without_reasons
    from loan_default.serving.explanations import ReasonPolicy

    if not settings.stream_reasons:
        return without_reasons
    policy = ReasonPolicy(against=settings.reasons_against, cutoff=settings.cutoff)
    return partial(explained_where_possible, policy=policy)


def ready_lineup_of(live: "LiveModels") -> "Lineup":
    """The models that answer now; DependencyError while there is none, so that a batch waits."""
    lineup = live.lineup
    if lineup is None:
        raise DependencyError("a model must be loaded before the stream is scored, however: none is yet.")
    return lineup


def sign_of_life(
    file: Path, live: "LiveModels", *, clock: Callable[[], float] = time.monotonic
) -> Callable[[], None]:
    """A function that sets the time of a file; now and then the champion must score its golden rows first.

    Without a model there is nothing to score yet: it waits, and is well.
    """
    checked = -math.inf

    def show() -> None:
        nonlocal checked
        if live.lineup is not None and (now := clock()) - checked > _CHECK_SECONDS:
            live.lineup.champion.check_golden_rows()
            checked = now
        file.touch()

    return show


def print_scored_stream(console: Console, scored: "Scored") -> None:
    """Print what became of the records of a stream."""
    say(
        console,
        "scored",
        f"{counted(scored.consumed, 'record')}: {scored.scored:,} scored, {scored.repeated:,} sent again, "
        f"{scored.outcomes:,} outcomes, {scored.refused:,} rejected",
    )
    if scored.shadowed:
        say(console, "shadow", f"{counted(scored.shadowed, 'prediction')} of a challenger, kept and not sent")
    if scored.refused:
        say(console, "", "the rejected records are on processed_data.dlq with their reasons")

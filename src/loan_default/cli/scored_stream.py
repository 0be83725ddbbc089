"""`loan-default score --follow`: the stream of applications, scored by the models that answer at the time."""

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from loan_default.cli.console import counted, say
from loan_default.errors import ConfigurationError
from loan_default.settings import Settings
from loan_default.wiring import open_database, stopping

if TYPE_CHECKING:
    from loan_default.serving.stream_scoring import Scored


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
    from loan_default.pipelines.layout import SERVING_FILES
    from loan_default.pipelines.registry import file_to_score_with
    from loan_default.serving.lineup import Lineup
    from loan_default.serving.scorer import load_scorer
    from loan_default.serving.stream_scoring import follow_processed_data

    if settings.kafka_bootstrap_servers is None:
        raise ConfigurationError(
            "KAFKA_BOOTSTRAP_SERVERS must be set for score --follow, however: it is not, and nobody can send "
            "anything to a broker in the memory of this process. Name the brokers, or score a file."
        )
    with ExitStack() as opened:
        stop = opened.enter_context(stopping())
        database = opened.enter_context(open_database(settings))
        file = file_to_score_with(database, None, home=settings.home, sha256=None)
        champion = load_scorer(
            file.path,
            version=file.path.stem,
            sha256=file.sha256 or "",
            cache=settings.home / SERVING_FILES,
        )
        lineup = Lineup(champion=champion)
        scored = follow_processed_data(
            broker=connect(settings),
            predictions=PredictionRepository(database),
            lineup=lambda: lineup,
            polling=Polling(retry_budget_seconds=settings.retry_budget_seconds),
            stop=stop,
            alive=sign_of_life(alive, champion.check_golden_rows) if alive else lambda: None,
        )
    print_scored_stream(console, scored)


def sign_of_life(
    file: Path, check: Callable[[], None], *, clock: Callable[[], float] = time.monotonic
) -> Callable[[], None]:
    """A function that sets the time of a file; now and then the model must score its golden rows first."""
    checked = -math.inf

    def show() -> None:
        nonlocal checked
        if (now := clock()) - checked > _CHECK_SECONDS:
            check()
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

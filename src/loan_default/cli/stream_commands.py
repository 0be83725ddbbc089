"""`loan-default ingest`, `prepare` and `commands`: applications and requests, taken by hand."""

import shlex
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loan_default.cli.console import counted, make_console, print_reasons, say
from loan_default.cli.options import IngestionSchemaFile, path_option
from loan_default.errors import ArtifactError, ConfigurationError, DataError, DependencyError
from loan_default.wiring import feed_of, open_services, schema_file_of, start, stopping

if TYPE_CHECKING:
    from rich.console import Console

    from loan_default.data.sources.feeds import Feed
    from loan_default.pipelines.ingestion.ingestion_steps import Ingested
    from loan_default.pipelines.services import Services
    from loan_default.settings import Settings

_ROWS_HELP = (
    "Rows of --file in one go, default: all that are left. Without a source: of the bundled accounts."
)
Folder = Annotated[Path | None, path_option("Folder that CSV and Parquet files drop into.")]
File = Annotated[Path | None, path_option("File whose next rows are sent, see --rows.")]
Generate = Annotated[int | None, typer.Option(help="Send so many generated applications.")]
Rows = Annotated[int | None, typer.Option(help=_ROWS_HELP)]
Seed = Annotated[int, typer.Option(help="Seed of --generate.")]
Follow = Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C or SIGTERM.")]


def ingest(
    folder: Folder = None,
    file: File = None,
    generate: Generate = None,
    schema: IngestionSchemaFile = None,
    rows: Rows = None,
    seed: Seed = 0,
    follow: Follow = False,
) -> None:
    """Take applications from a source to `processed_data` and the training store, or with --follow on and on.

    Without a source, what is on `raw_data` already is processed.
    """
    from loan_default.pipelines.ingestion.ingest import follow_feed, ingest_once
    from loan_default.pipelines.layout import TRAINING_STORE

    console, settings = make_console(), start()
    store = settings.home / TRAINING_STORE
    source, rows = _source(folder=folder, file=file, generate=generate, rows=rows)
    with open_services(settings, schema) as services, stopping() as stop:
        feed = feed_of(source, services.schema, settings, rows=rows, seed=seed) if source else None
        if follow:
            processed = follow_feed(services, feed, store, stop=stop)
        else:
            taken = ingest_once(services, feed, store, stop=stop)
            processed = taken.processed
            _say_ingested(console, taken.ingested, feed)
            say(console, "sent", f"{counted(taken.sent, 'event')} to processed_data")
            say(console, "stored", f"{counted(taken.stored, 'event')} in {store}")
            _monitor(console, services, settings)
    say(
        console,
        "processed",
        f"{counted(processed.consumed, 'record')}: {processed.accepted:,} accepted, "
        f"{processed.rejected:,} rejected, {processed.duplicates:,} duplicates, "
        f"{processed.redelivered:,} redelivered",
    )
    print_reasons(console, dict(processed.rules.most_common()))
    if processed.rejected:
        say(console, "", "`loan-default dead-letters list` names the rejected records")


def _monitor(console: "Console", services: "Services", settings: "Settings") -> None:
    """Compare what arrived with the training of the champion; what was ingested stands all the same."""
    from loan_default.serving.monitored_champion import monitor_now

    try:
        hours = monitor_now(
            services, home=settings.home, policy=settings.drift_policy, cutoff=settings.cutoff
        )
    except (ArtifactError, DataError, DependencyError) as error:
        say(console, "drift", f"not computed: {error}", style="yellow")
        return
    if hours:
        say(console, "drift", f"{hours[-1].level}; `loan-default drift` shows the measures")


def prepare(schema: IngestionSchemaFile = None) -> None:
    """Bring the training store up to date with `processed_data` and register what it holds."""
    from loan_default.pipelines.layout import TRAINING_STORE
    from loan_default.pipelines.training.snapshots import prepare_training_data

    console, settings = make_console(), start()
    with open_services(settings, schema) as services:
        snapshot = prepare_training_data(
            services, settings.home / TRAINING_STORE, maturity_days=settings.maturity_days
        )
    rate = "no label counts yet" if snapshot.label_rate is None else f"default rate {snapshot.label_rate:.2%}"
    period = f", {snapshot.first_at:%Y-%m-%d} to {snapshot.last_at:%Y-%m-%d}" if snapshot.first_at else ""
    say(
        console,
        "snapshot",
        f"{snapshot.id}: {counted(snapshot.rows_accepted, 'application')}, {rate}{period}",
    )
    used = str(schema_file_of(settings, schema))
    words = ["python", "train.py", "--pretrain", "--train", "--data", "store:", "--schema", used]
    say(console, "train", shlex.join(words))


def commands() -> None:
    """Do what the topic `commands` asks for through Airflow, until Ctrl-C or SIGTERM."""
    from loan_default.airflow.rest import AirflowActor
    from loan_default.pipelines.control.command_worker import follow_commands

    console, settings = make_console(), start()
    if settings.kafka_bootstrap_servers is None:
        raise ConfigurationError(
            "KAFKA_BOOTSTRAP_SERVERS must be set for commands, however: it is not, and nobody can send "
            "anything to a broker in the memory of this process. Name the brokers."
        )
    with (
        closing(AirflowActor(settings)) as actor,
        open_services(settings) as services,
        stopping() as stop,
    ):
        handled = follow_commands(services, actor, stop=stop)
    say(
        console,
        "commands",
        f"{counted(handled.consumed, 'record')}: {handled.done:,} done, {handled.superseded:,} superseded, "
        f"{handled.refused:,} refused, {handled.duplicates:,} duplicates, {handled.facts:,} facts",
    )


def _source(
    *, folder: Path | None, file: Path | None, generate: int | None, rows: int | None
) -> tuple[str | None, int | None]:
    """The source that the options name, and the rows of one go; None = none is named."""
    if sum(source is not None for source in (folder, file, generate)) > 1:
        raise ConfigurationError("the source must be one of --folder, --file and --generate. Name one.")
    for option, number in (("--rows", rows), ("--generate", generate)):
        if number is not None and number < 1:
            raise ConfigurationError(f"{option} must be at least 1, however: {number}")
    if rows is not None and (folder is not None or generate is not None):
        raise ConfigurationError(
            "--rows must come with --file or without a source, however: --folder is taken whole and "
            "--generate has a number of its own. Leave --rows out."
        )
    if generate is not None:
        return "generated", generate
    if folder is not None:
        return f"folder:{folder}", None
    if file is not None:
        return f"file:{file}", rows
    return ("bundled", rows) if rows is not None else (None, None)


_EARLIER_SHOWN = 10
"""Files that were refused before and are named again, at most."""


def _say_ingested(console: "Console", ingested: "Ingested", feed: "Feed | None") -> None:
    if feed is None:
        return
    from loan_default.pipelines.ingestion.skipped_files import (
        refused_earlier,
        skipped_files,
        why_nothing_came,
    )

    say(console, "raw_data", f"{counted(ingested.sent, 'event')} sent, {ingested.refused:,} too large")
    skipped, earlier = list(skipped_files(feed)), list(refused_earlier(feed))
    if not (skipped or ingested.sent or ingested.refused):
        skipped.append(why_nothing_came(feed))
    for each in [*skipped, *earlier[:_EARLIER_SHOWN]]:
        say(console, each.kind, f"{each.name}: {each.reason}", style="yellow")
    if len(earlier) > _EARLIER_SHOWN:
        say(console, "", f"and {len(earlier) - _EARLIER_SHOWN:,} more that were refused before")

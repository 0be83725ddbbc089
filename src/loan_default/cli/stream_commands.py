"""`loan-default ingest`, `prepare`, `dead-letters` and `commands`: the flow of applications by hand."""

import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from loan_default.cli.console import make_console, print_reasons, say
from loan_default.errors import ConfigurationError, DependencyError
from loan_default.wiring import feed_of, open_services, start, stopping

if TYPE_CHECKING:
    from rich.console import Console

    from loan_default.data.sources.feeds import Feed
    from loan_default.pipelines.ingestion.ingestion_steps import Ingested
    from loan_default.pipelines.ingestion.worker import Processed
    from loan_default.pipelines.services import Services

log = structlog.get_logger()

dead_letters_app = typer.Typer(help="Records that could not be used: look at them, and send them again.")

_ROWS_HELP = (
    "Rows of --file in one go, default: all that are left. Without a source: of the bundled accounts."
)
_SCHEMA_HELP = "Schema file. Default: that of the bundled accounts."
SchemaFile = Annotated[Path | None, typer.Option("--schema", help=_SCHEMA_HELP)]
Folder = Annotated[Path | None, typer.Option(help="Folder that CSV and Parquet files drop into.")]
File = Annotated[Path | None, typer.Option(help="File whose next rows are sent, see --rows.")]
Generate = Annotated[int | None, typer.Option(help="Send so many generated applications.")]
Rows = Annotated[int | None, typer.Option(help=_ROWS_HELP)]
Seed = Annotated[int, typer.Option(help="Seed of --generate.")]
Follow = Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C or SIGTERM.")]
Events = Annotated[list[str] | None, typer.Argument(help="Ids of events. Default: all that wait.")]


def ingest(
    folder: Folder = None,
    file: File = None,
    generate: Generate = None,
    schema: SchemaFile = None,
    rows: Rows = None,
    seed: Seed = 0,
    follow: Follow = False,
) -> None:
    """Take applications from a source to `processed_data` and the training store, or with --follow on and on.

    Without a source, what is on `raw_data` already is processed.
    """
    from loan_default.pipelines.ingestion.in_process import take_to_store
    from loan_default.pipelines.ingestion.ingestion_steps import (
        ingest_raw_data,
        process_raw_data,
        send_processed_data,
    )
    from loan_default.pipelines.ingestion.training_store_writer import store_processed_data
    from loan_default.pipelines.ingestion.worker import Processed
    from loan_default.pipelines.layout import TRAINING_STORE

    console, settings = make_console(), start()
    store, in_memory = settings.home / TRAINING_STORE, settings.kafka_bootstrap_servers is None
    with open_services(settings, schema) as services, stopping() as stop:
        source, rows = _source(folder=folder, file=file, generate=generate, rows=rows)
        feed = feed_of(source, services.schema, settings, rows=rows, seed=seed) if source else None
        processed = Processed()
        if follow and in_memory:

            def take() -> None:
                processed.add(take_to_store(services, feed, store, stop=stop).processed)

            _feed_on(services, feed, stop, take)
        elif follow:
            processed = _follow(services, feed, stop)
        elif in_memory:
            taken = take_to_store(services, feed, store, stop=stop)
            processed = taken.processed
            _say_ingested(console, taken.ingested, feed)
            _say_stored(console, sent=taken.sent, stored=taken.stored, store=store)
        else:
            if feed is not None:
                _say_ingested(console, ingest_raw_data(services, feed, stop=stop), feed)
            if not stop.is_set():
                processed = process_raw_data(services, stop=stop)
            sent = send_processed_data(services)
            stored = store_processed_data(services, store, stop=stop).records
            _say_stored(console, sent=sent, stored=stored, store=store)
    say(
        console,
        "processed",
        f"{processed.consumed:,} records: {processed.accepted:,} accepted, {processed.rejected:,} rejected, "
        f"{processed.duplicates:,} duplicates, {processed.redelivered:,} redelivered",
    )
    print_reasons(console, dict(processed.rules.most_common()))
    if processed.rejected:
        say(console, "", "`loan-default dead-letters list` names the rejected records")


def prepare(schema: SchemaFile = None) -> None:
    """Bring the training store up to date with `processed_data` and register what it holds."""
    from loan_default.bundled import BUNDLED_SCHEMA
    from loan_default.pipelines.layout import TRAINING_STORE
    from loan_default.pipelines.training.snapshots import prepare_training_data

    console, settings = make_console(), start()
    with open_services(settings, schema) as services:
        snapshot = prepare_training_data(
            services, settings.home / TRAINING_STORE, maturity_days=settings.maturity_days
        )
    rate = "no label counts yet" if snapshot.label_rate is None else f"default rate {snapshot.label_rate:.2%}"
    period = f", {snapshot.first_at:%Y-%m-%d} to {snapshot.last_at:%Y-%m-%d}" if snapshot.first_at else ""
    say(console, "snapshot", f"{snapshot.id}: {snapshot.rows_accepted:,} applications, {rate}{period}")
    say(
        console,
        "train",
        f"python train.py --pretrain --train --data store: --schema {schema or BUNDLED_SCHEMA}",
    )


@dead_letters_app.command("list")
def list_dead_letters(
    schema: SchemaFile = None, as_json: Annotated[bool, typer.Option("--json")] = False
) -> None:
    """Dead letters that wait, the oldest first."""
    from loan_default.pipelines.ingestion.dead_letter_replay import waiting_dead_letters

    console, settings = make_console(), start()
    with open_services(settings, schema) as services:
        dead_letters = waiting_dead_letters(services)
    if as_json:
        typer.echo(
            json.dumps(
                [
                    {
                        "event": dead_letter.event,
                        "reason": dead_letter.reason,
                        "topic": dead_letter.partition.topic,
                        "partition": dead_letter.partition.number,
                        "offset": dead_letter.offset,
                        "died_at": dead_letter.died_at.isoformat(),
                    }
                    for dead_letter in dead_letters
                ],
                indent=2,
            )
        )
        return
    for dead_letter in dead_letters:
        say(console, "", f"{dead_letter.event}  {dead_letter.died_at:%Y-%m-%d %H:%M}  {dead_letter.reason}")
    say(console, "waiting", f"{len(dead_letters):,} dead letters")


@dead_letters_app.command("show")
def show_dead_letter(
    event: Annotated[str, typer.Argument(help="Id of an event.")], schema: SchemaFile = None
) -> None:
    """One dead letter in full, with the record as it came: mind who sees it."""
    from loan_default.pipelines.ingestion.dead_letter_replay import find_dead_letter

    console, settings = make_console(), start()
    with open_services(settings, schema) as services:
        dead_letter = find_dead_letter(services, event)
    topic, number = dead_letter.partition
    position = f"{topic}, partition {number}, offset {dead_letter.offset}"
    for label, text in (
        ("event", dead_letter.event),
        ("reason", dead_letter.reason),
        ("stood in", position),
        ("died at", dead_letter.died_at.isoformat()),
        *((name, value.decode(errors="replace")) for name, value in dead_letter.original.headers),
        (
            "value",
            "null"
            if dead_letter.original.value is None
            else dead_letter.original.value.decode(errors="replace"),
        ),
    ):
        say(console, label, text)


@dead_letters_app.command("replay")
def replay_dead_letters(events: Events = None, schema: SchemaFile = None) -> None:
    """Send dead letters to `raw_data` again, after what broke them is mended."""
    from loan_default.pipelines.ingestion.dead_letter_replay import replay

    console, settings = make_console(), start()
    with open_services(settings, schema) as services:
        replayed = replay(services, events or None)
    say(console, "replayed", f"{replayed.sent:,} events; `loan-default ingest` processes them")
    if replayed.too_large:
        say(console, "not kept", f"{', '.join(replayed.too_large)}: send them anew from their source")


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
        open_services(settings, None) as services,
        stopping() as stop,
    ):
        handled = follow_commands(services, actor, stop=stop)
    say(
        console,
        "commands",
        f"{handled.consumed:,} records: {handled.done:,} done, {handled.superseded:,} superseded, "
        f"{handled.refused:,} refused, {handled.duplicates:,} duplicates, {handled.facts:,} facts",
    )


def _source(
    *, folder: Path | None, file: Path | None, generate: int | None, rows: int | None
) -> tuple[str | None, int | None]:
    """The source that the options name, and the rows of one go; None = none is named."""
    if sum(source is not None for source in (folder, file, generate)) > 1:
        raise ConfigurationError("the source must be one of --folder, --file and --generate. Name one.")
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
_FEED_SECONDS = 2.0
"""Between two looks at a source that is followed."""


def _follow(services: "Services", feed: "Feed | None", stop: Flag) -> "Processed":
    """Feed in one thread, process in this one; the error of either ends both."""
    from loan_default.pipelines.ingestion.ingestion_steps import follow_raw_data, ingest_raw_data

    failed: list[BaseException] = []

    def feeding() -> None:
        try:
            if feed is not None:
                _feed_on(services, feed, stop, lambda: ingest_raw_data(services, feed, stop=stop))
        except BaseException as error:  # raised again by the main thread
            failed.append(error)
            stop.set()

    thread = Thread(target=feeding)
    thread.start()
    try:
        processed = follow_raw_data(services, stop=stop)
    finally:
        stop.set()
        thread.join()
    if failed:
        raise failed[0]
    return processed


def _feed_on(services: "Services", feed: "Feed | None", stop: Flag, take: Callable[[], object]) -> None:
    """Take what a feed has, again and again until told to stop."""
    answered = time.monotonic()
    logged: set[tuple[str, str]] = set()
    while not stop.is_set():
        try:
            take()
            answered = time.monotonic()
            logged = _log_remarks(feed, logged)
        except DependencyError as error:
            if time.monotonic() - answered > services.polling.retry_budget_seconds:
                raise
            log.warning("feed_waits", reason=str(error))
        stop.wait(_FEED_SECONDS)


def _log_remarks(feed: "Feed | None", logged: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Log the files of a folder that were not taken, each once for as long as it lies there; return them."""
    from loan_default.pipelines.ingestion.feed_remarks import remarks_on

    remarks = [] if feed is None else list(remarks_on(feed))
    for remark in remarks:
        if (remark.kind, remark.name) not in logged:
            if remark.kind == "waits":
                log.info("file_waits", name=remark.name, reason=remark.reason)
            else:
                log.warning("file_left_out", name=remark.name, reason=remark.reason)
    return {(remark.kind, remark.name) for remark in remarks}


def _say_ingested(console: "Console", ingested: "Ingested", feed: "Feed | None") -> None:
    if feed is None:
        return
    from loan_default.pipelines.ingestion.feed_remarks import earlier_remarks_on, remarks_on, why_nothing_came

    say(console, "raw_data", f"{ingested.sent:,} events sent, {ingested.refused:,} too large")
    remarks, earlier = list(remarks_on(feed)), list(earlier_remarks_on(feed))
    if not (remarks or ingested.sent or ingested.refused):
        remarks.append(why_nothing_came(feed))
    for remark in [*remarks, *earlier[:_EARLIER_SHOWN]]:
        say(console, remark.kind, f"{remark.name}: {remark.reason}", style="yellow")
    if len(earlier) > _EARLIER_SHOWN:
        say(console, "", f"and {len(earlier) - _EARLIER_SHOWN:,} more that were refused before")


def _say_stored(console: "Console", *, sent: int, stored: int, store: Path) -> None:
    say(console, "sent", f"{sent:,} events to processed_data")
    say(console, "stored", f"{stored:,} events in {store}")

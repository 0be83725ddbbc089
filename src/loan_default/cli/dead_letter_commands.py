"""`loan-default dead-letters`: list, show and replay the records that could not be used."""

import json
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from loan_default.cli.console import counted, make_console, say
from loan_default.cli.options import AsJson, IngestionSchemaFile
from loan_default.wiring import open_services, start

if TYPE_CHECKING:
    from loan_default.kafka.dead_letters import DeadLetterRecord
    from loan_default.pipelines.services import Services

dead_letters_app = typer.Typer(help="Records that could not be used: look at them, and send them again.")

Source = Literal["raw_data", "processed_data", "commands"]
Of = Annotated[
    Source,
    typer.Option(help="Topic they come from. Those of raw_data wait until they are replayed; others stay."),
]
Events = Annotated[list[str] | None, typer.Argument(help="Ids of events. Default: all that wait.")]


@dead_letters_app.command("list")
def list_dead_letters(
    of: Of = "raw_data", schema: IngestionSchemaFile = None, as_json: AsJson = False
) -> None:
    """List the dead-letter records that wait, the oldest first."""
    console, settings = make_console(), start()
    with open_services(settings, schema) as services:
        dead_letters = _waiting(services, of)
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
    say(console, "waiting", counted(len(dead_letters), "dead-letter record"))


@dead_letters_app.command("show")
def show_dead_letter(
    event: Annotated[str, typer.Argument(help="Id of an event.")],
    of: Of = "raw_data",
    schema: IngestionSchemaFile = None,
) -> None:
    """Show one dead-letter record in full, with the record as it came: mind who sees it."""
    from loan_default.pipelines.ingestion.dead_letter_replay import find_dead_letters

    console, settings = make_console(), start()
    with open_services(settings, schema) as services:
        (dead_letter,) = find_dead_letters(_waiting(services, of), [event])
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
def replay_dead_letters(events: Events = None, schema: IngestionSchemaFile = None) -> None:
    """Send dead-letter records to `raw_data` again, once what broke them is mended."""
    from loan_default.pipelines.ingestion.dead_letter_replay import replay

    console, settings = make_console(), start()
    with open_services(settings, schema) as services:
        replayed = replay(services, events or None)
    say(console, "replayed", f"{counted(replayed.sent, 'event')}; `loan-default ingest` processes them")
    if replayed.too_large:
        say(console, "not kept", f"{', '.join(replayed.too_large)}: send them anew from their source")


def _waiting(services: "Services", of: Source) -> "list[DeadLetterRecord]":
    from loan_default.pipelines.ingestion.dead_letter_replay import dead_letters_of, waiting_dead_letters

    return waiting_dead_letters(services) if of == "raw_data" else dead_letters_of(services, of)

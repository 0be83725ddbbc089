"""`loan-default card`: the model card and validation report of a registered model."""

import json
from pathlib import Path
from typing import Annotated

import typer

from loan_default.cli.console import make_console, say
from loan_default.cli.options import AsJson, path_option
from loan_default.errors import ConfigurationError
from loan_default.wiring import open_database, start

CardOf = Annotated[
    str | None, typer.Argument(metavar="VERSION", help="Version of the model; its beginning will do.")
]
CardFolder = Annotated[
    Path | None,
    path_option("Folder of the files. Default: cards/VERSION in the home folder.", "--out"),
]
CardSchema = Annotated[bool, typer.Option("--schema", help="Print the JSON schema of cards, and end.")]


def card(
    version: CardOf = None, out: CardFolder = None, schema: CardSchema = False, as_json: AsJson = False
) -> None:
    """Write the model card and validation report of a model as HTML, Markdown and JSON.

    They hold stored figures alone: a card with a missing figure is refused, and so is one whose figures are
    not as the audit trail recorded them.
    """
    from loan_default.evaluation.card_contents import card_schema
    from loan_default.pipelines.governance.card_inputs import gather_card, write_card
    from loan_default.pipelines.layout import CARDS

    console, settings = make_console(), start()
    if schema:
        typer.echo(json.dumps(card_schema(), indent=2))
        return
    if version is None:
        raise ConfigurationError(
            "a card must be of a model, however: no version is given. `loan-default models` lists them."
        )
    with open_database(settings) as database:
        gathered = gather_card(database, version, settings=settings)
    folder = out or settings.home / CARDS / gathered.version
    paths = write_card(gathered, folder)
    if as_json:
        typer.echo(json.dumps(gathered.model_dump(mode="json"), indent=2))
        return
    for path in paths:
        say(console, path.suffix.removeprefix("."), str(path))
    say(console, "sha256", gathered.digest)

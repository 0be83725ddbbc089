"""`loan-default predictions`: what was predicted of an application, and what became of it."""

import json
from typing import Annotated

import typer

from loan_default.cli.console import counted, make_console, say
from loan_default.cli.options import AsJson
from loan_default.cli.shown_reasons import print_explanation
from loan_default.wiring import open_database, start

predictions_app = typer.Typer(help="Predictions that were kept: look them up.")

Application = Annotated[str, typer.Argument(help="Id of an application.")]


@predictions_app.command("show")
def show_predictions(application: Application, as_json: AsJson = False) -> None:
    """Show all predictions of an application, the first first, and its outcome once it is known.

    A prediction that was given with its reasons is shown with them.
    Outcomes are those in the training store, which the hourly run fills.
    """
    from loan_default.pipelines.layout import TRAINING_STORE
    from loan_default.serving.kept_predictions import kept_predictions

    console, settings = make_console(), start()
    with open_database(settings) as database:
        kept = kept_predictions(
            database, application, store=settings.home / TRAINING_STORE, schema=settings.schema_file
        )
    if as_json:
        typer.echo(json.dumps(kept.to_dict(), indent=2))
        return
    for each in kept.predictions:
        experiment = f", experiment {each.experiment}" if each.experiment else ""
        say(
            console,
            f"{each.scored_at:%Y-%m-%d %H:%M:%S}",
            f"PD {each.pd:.2%}, {each.points:.0f} points, by {each.version} as {each.group}, "
            f"{each.door or 'release 0.1'}{experiment}",
        )
        if each.explanation is not None:
            print_explanation(console, each.explanation)
    say(console, "kept", counted(len(kept.predictions), "prediction"))
    words = {None: "not known yet", 1.0: "default", 0.0: "no default"}
    say(console, "outcome", words[kept.outcome])


@predictions_app.callback()
def _group() -> None:
    """Make `show` a command of a group, though it is the only one yet."""

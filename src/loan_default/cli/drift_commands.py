"""`loan-default drift`: how far the applications have moved from the training of the model that scores."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from loan_default.cli.console import make_console, say
from loan_default.cli.options import AsJson, path_option
from loan_default.errors import DataError
from loan_default.wiring import open_database, open_services, start

if TYPE_CHECKING:
    from rich.console import Console

    from loan_default.database.connect import Database
    from loan_default.database.monitoring_documents import MonitoredHour
    from loan_default.settings import Settings

Model = Annotated[
    str | None,
    typer.Option("--model", help="Version of a model (its beginning will do). Default: the champion."),
]
Hours = Annotated[int, typer.Option(min=1, max=24 * 366, help="Hours that are shown, back from now.")]
Now = Annotated[
    bool, typer.Option("--now", help="Compute the present hour first, as the hourly ingestion does.")
]
Html = Annotated[Path | None, path_option("Write a page with drift over time to this file.", "--html")]

_SHOWN = 8
"""Measures that a terminal shows."""
_TIME = "%Y-%m-%d %H:%M"
_COLOURS = {"warn": "yellow", "act": "red"}


def drift(
    model: Model = None, hours: Hours = 168, now: Now = False, html: Html = None, as_json: AsJson = False
) -> None:
    """Show how far applications, scores and outcomes have moved from the training of a model, hour by hour.

    [bold]Try[/]

        loan-default drift                      # the champion, as the last hourly run has left it

        loan-default drift --now                # compute the present hour first; publishes what it finds

        loan-default drift --html drift.html    # PSI over time, for people
    """
    console, settings = make_console(), start()
    if now:
        _compute(settings)
    since = datetime.now(UTC) - timedelta(hours=hours)
    with open_database(settings) as database:
        version, stored = _stored_hours(database, model, since)
    if html is not None:
        from loan_default.evaluation.drift_page import render_drift_page
        from loan_default.files import write_atomically

        page = render_drift_page(
            [each.model_dump() for each in stored],
            version=version,
            policy=settings.drift_policy,
            written_at=datetime.now(UTC),
        )
        write_atomically(html, page.encode())
    if as_json:
        documents = [each.model_dump(mode="json") for each in stored]
        typer.echo(json.dumps({"version": version, "hours": documents}, indent=2))
        return
    _print(console, version, stored)
    if html is not None:
        say(console, "page", str(html))


def _compute(settings: "Settings") -> None:
    from loan_default.serving.monitored_champion import monitor_now

    with open_services(settings) as services:
        monitor_now(services, home=settings.home, policy=settings.drift_policy, cutoff=settings.cutoff)


def _stored_hours(
    database: "Database", model: str | None, since: datetime
) -> tuple[str, list["MonitoredHour"]]:
    """The version and its hours, the oldest first; DataError where there are none."""
    from loan_default.database.monitoring_repository import MonitoringRepository
    from loan_default.database.repositories import ModelRepository
    from loan_default.pipelines.registry import find_model, model_that_answers

    version = (
        model_that_answers(database)[0].version
        if model is None
        else find_model(database, model).model.version
    )
    stored = MonitoringRepository(database).of_model(version, since=since)
    if not stored:
        champion = ModelRepository(database).champion()
        way = (
            "The hourly ingestion computes them, or `loan-default drift --now`."
            if champion is not None and champion.version == version
            else "They are computed of the champion alone; `loan-default promote` may make it that."
        )
        raise DataError(
            f"hours of the model must have been monitored, however: none of {version} is stored since "
            f"{since:%Y-%m-%d %H:%M} UTC. {way}"
        )
    return version, stored[::-1]


def _print(console: "Console", version: str, stored: list["MonitoredHour"]) -> None:
    last = stored[-1]
    say(console, "model", version)
    say(
        console,
        "hours",
        f"{len(stored):,}, {stored[0].begins_at:{_TIME}} to {last.begins_at:{_TIME}} UTC",
    )
    say(
        console,
        "level",
        f"{last.level}, on {last.assessed_rows:,} applications since {last.assessed_since:{_TIME}} UTC",
        style=_COLOURS.get(last.level, ""),
    )
    if last.signals:
        table = Table("measure", "column", "value", "in training", "warns above", "level")
        for each in last.signals[:_SHOWN]:
            table.add_row(
                each.measured.replace("_", " "),
                each.column or "",
                f"{each.value:.3f}",
                "" if each.expected is None else f"{each.expected:.3f}",
                f"{each.limit:.3f}",
                each.level,
            )
        console.print(table)
        if len(last.signals) > _SHOWN:
            say(console, "", f"and {len(last.signals) - _SHOWN:,} more, see --json")
    if last.estimated is not None:
        say(
            console,
            "estimate",
            f"if PDs are right: AUC {last.estimated.auc:.3f}, Brier {last.estimated.brier:.3f}",
        )
    if last.realised is not None:
        found = last.realised
        auc = (
            ""
            if found.auc is None
            else f", AUC {found.auc:.3f} ({found.auc_low:.3f} to {found.auc_high:.3f})"
        )
        say(
            console,
            "outcomes",
            f"{found.rows:,} of its predictions: {found.bad_rate:.1%} defaulted, mean PD {found.mean_pd:.1%}"
            + auc,
        )
    if last.retraining is not None:
        say(console, "training", f"asked for as {last.retraining}")

"""`loan-default audit`: who did what to which model, and whether the trail of it is whole."""

import json
import re
from dataclasses import asdict
from typing import Annotated

import typer

from loan_default.cli.console import counted, make_console, say
from loan_default.cli.options import AsJson
from loan_default.errors import ConfigurationError, DataError
from loan_default.wiring import open_database, start

audit_app = typer.Typer(help="The audit trail: list its records, verify that none was altered or removed.")

Model = Annotated[str | None, typer.Option(help="Version of a model (its beginning will do). Default: all.")]
Expected = Annotated[
    str | None,
    typer.Option(help="Digest that an earlier `audit verify` printed, kept elsewhere. Default: none."),
]


@audit_app.command("list")
def list_records(model: Model = None, as_json: AsJson = False) -> None:
    """List the records, the first first: when, who, what, and which model."""
    from loan_default.database.audit_repository import AuditRepository

    console, settings = make_console(), start()
    with open_database(settings) as database:
        records = AuditRepository(database).in_order()
    if model is not None:  # not looked up in the registry: the trail also names models that are gone
        records = [each for each in records if each.version.startswith(model)]
        if not records:
            raise DataError(
                f"the audit trail must name the model, however: no record is of {model!r}. `loan-default "
                "models` lists the versions."
            )
    if as_json:
        typer.echo(json.dumps([each.model_dump(mode="json") for each in records], indent=2))
        return
    for each in records:
        details = ", ".join(f"{name} {value}" for name, value in each.details.items())
        reason = f": {each.reason}" if each.reason else ""
        say(
            console,
            f"{each.number}",
            f"{each.happened_at:%Y-%m-%d %H:%M:%S}  {each.action}  {each.version}  by {each.who}"
            f"  ({details}){reason}",
        )
    say(console, "audit", counted(len(records), "record"))


@audit_app.command("verify")
def verify(expect: Expected = None, as_json: AsJson = False) -> None:
    """Verify each record, the chain, and the models and decisions that it names; exit code 2 for a fault.

    The digest that it prints is that of the last record. Kept outside of the database, it shows later that
    no record up to it was altered or removed, not even by somebody who made the whole chain anew.
    """
    from loan_default.database.audit_verification import verify_trail

    if expect is not None and not re.fullmatch("[0-9a-f]{64}", expect):
        raise ConfigurationError(
            "--expect must be a digest of 64 hexadecimal digits, as `loan-default audit verify` prints it, "
            f"however: --expect={expect!r}"
        )
    console, settings = make_console(), start()
    with open_database(settings) as database:
        check = verify_trail(database, expected=expect)
    if as_json:
        typer.echo(json.dumps(asdict(check), indent=2))
    else:
        for fault in check.faults:
            say(console, "fault", fault, style="red")
        say(console, "audit", f"{counted(check.records, 'record')}, {counted(len(check.faults), 'fault')}")
        say(console, "digest", check.digest or "none: nothing is recorded yet")
    if check.faults:
        raise DataError(
            f"the audit trail must be whole, however: {counted(len(check.faults), 'fault')}, the first: "
            f"{check.faults[0]}"
        )

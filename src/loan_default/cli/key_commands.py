"""`loan-default keys`: who may ask the server for scores."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loan_default.cli.console import counted, make_console, say
from loan_default.cli.options import AsJson
from loan_default.database.api_key_documents import KeyScope
from loan_default.wiring import open_database, start

if TYPE_CHECKING:
    from loan_default.database.api_key_documents import ApiKey

keys_app = typer.Typer(help="Keys of those who may ask the server: add, list and revoke them.")

Owner = Annotated[str, typer.Argument(help="Who uses the key: a program, a branch, a person.")]
Scopes = Annotated[
    list[KeyScope] | None,
    typer.Option("--scope", help="What the key may do; may be repeated. Default: score."),
]
Days = Annotated[int, typer.Option(help="Days until it expires. 0 = never.")]
KeyId = Annotated[str, typer.Argument(help="Id of the key: the part before the dot.")]


@keys_app.command("add")
def add_key(owner: Owner, scope: Scopes = None, days: Days = 365, as_json: AsJson = False) -> None:
    """Add a key and print it: it is shown this once."""
    from loan_default.database.serving_repositories import ApiKeyRepository
    from loan_default.serving.api_keys import REFRESH_SECONDS, new_key

    console, settings = make_console(stderr=True), start()
    key, token = new_key(owner, scopes=scope or [KeyScope.SCORE], now=datetime.now(UTC), days=days)
    with open_database(settings) as database:
        ApiKeyRepository(database).add(key)
    if as_json:
        typer.echo(json.dumps({**_plain(key), "token": token}, indent=2))
        return
    typer.echo(token)
    until = "it never expires" if key.expires_at is None else f"until {key.expires_at:%Y-%m-%d}"
    say(console, "added", f"{key.key} of {key.owner}, {', '.join(key.scopes)}, {until}")
    say(
        console,
        "next",
        f"keep it now: it is stored nowhere. Servers take it within {REFRESH_SECONDS} seconds",
    )


@keys_app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List all keys, the newest first; no secret is known of any."""
    from loan_default.database.serving_repositories import ApiKeyRepository

    console, settings = make_console(), start()
    with open_database(settings) as database:
        keys = ApiKeyRepository(database).newest_first()
    if as_json:
        typer.echo(json.dumps([_plain(key) for key in keys], indent=2))
        return
    for key in keys:
        say(console, "", f"{key.key}  {_state(key)}  {', '.join(key.scopes)}  {key.owner}")
    valid = sum(key.is_valid_at(datetime.now(UTC)) for key in keys)
    say(console, "keys", f"{counted(len(keys), 'key')}, {valid} valid")


@keys_app.command("revoke")
def revoke_key(key: KeyId, as_json: AsJson = False) -> None:
    """Revoke a key: servers refuse it within 5 seconds."""
    from loan_default.database.serving_repositories import ApiKeyRepository
    from loan_default.serving.api_keys import public_part

    console, settings = make_console(), start()
    with open_database(settings) as database:
        revoked = ApiKeyRepository(database).revoke(public_part(key), now=datetime.now(UTC))
    if as_json:
        typer.echo(json.dumps(_plain(revoked), indent=2))
    else:
        say(console, "revoked", f"{revoked.key} of {revoked.owner}")


def _plain(key: "ApiKey") -> dict[str, Any]:
    """A key as JSON, without the digest of its secret."""
    return {
        **key.model_dump(mode="json", exclude={"secret_digest"}),
        "valid": key.is_valid_at(datetime.now(UTC)),
    }


def _state(key: "ApiKey") -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    if key.expires_at is None:
        return "no expiry"
    word = "until" if key.is_valid_at(datetime.now(UTC)) else "expired"
    return f"{word} {key.expires_at:%Y-%m-%d}"

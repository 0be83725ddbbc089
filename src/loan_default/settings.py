"""Where things are and how they are logged: what an environment may change, read and checked at the start.

| variable | default | meaning |
|---|---|---|
| `LOAN_DEFAULT_HOME` | `runs` | folder of models, reports and the embedded store |
| `MONGODB_URI` | none | the MongoDB server; without it the embedded store is used |
| `LOAN_DEFAULT_MONGODB_DATABASE` | `loan_default` | name of the database on that server |
| `LOAN_DEFAULT_LOG_FORMAT` | `auto` | `json`, `console`, or `auto`: console on a terminal, else JSON |
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from loan_default.errors import ConfigurationError

_PREFIX = "LOAN_DEFAULT_"


def _server_address(uri: SecretStr) -> SecretStr:
    if not uri.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("must start with mongodb:// or mongodb+srv://")
    return uri


class Settings(BaseSettings):
    """The settings; made by `load_settings` and passed on as an argument."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, populate_by_name=True
    )

    home: Annotated[Path, AfterValidator(Path.expanduser)] = Path("runs")
    """Folder of models, reports and the embedded store; relative to the current folder, made when needed."""
    mongodb_uri: Annotated[SecretStr, AfterValidator(_server_address)] | None = Field(
        default=None, validation_alias="MONGODB_URI"
    )
    """Address with user name and password, `mongodb://…`; None = the embedded store under `home`."""
    mongodb_database: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,63}$")] = "loan_default"
    """Database on the server: letters, digits, `_` and `-`."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """`auto` writes for people on a terminal and JSON elsewhere."""


def load_settings() -> Settings:
    """The settings of this environment; ConfigurationError with a line for each value that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            _explained(dict(problem)) for problem in error.errors(include_url=False, include_context=False)
        ]
    raise ConfigurationError("\n".join(lines))  # outside of the except block: the cause would show secrets


def _explained(problem: dict[str, Any]) -> str:
    """One line for one wrong value; never the address of the server, which holds the password."""
    field = str(problem["loc"][0])
    name = field if field.isupper() else _PREFIX + field.upper()
    rule = (
        problem["msg"]
        .removeprefix("Value error, ")
        .replace("Input should ", "must ")
        .replace("String should ", "must ")
    )
    shown = "a value that is not shown" if "MONGODB_URI" in name else f"{name}={problem['input']!r}"
    return f"{name} {rule}, however: {shown}. Change it or unset it."

"""A password in any setting, at home there or pasted into it, is in no message, log, repr or output."""

import json
import socket
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import AliasChoices, SecretStr, ValidationError

from loan_default.database.connect import connect as connect_database
from loan_default.errors import ConfigurationError, LoanDefaultError
from loan_default.kafka.open_broker import connect as connect_broker
from loan_default.settings import Settings, load_settings

CANARY = "c4n4ry-p455w0rd"
FORMS = (
    CANARY,
    f"user:{CANARY}@127.0.0.1:9",
    f"user:{CANARY}@[::1]:9",
    f"127.0.0.1:9,user:{CANARY}@127.0.0.1:10",
    f"http://user:{CANARY}@127.0.0.1:9/",
    f"http://127.0.0.1:9/?password={CANARY}",
    f"http://[{CANARY}]/",
    f"mongodb://user:{CANARY}@127.0.0.1:9/",
    f"mongodb://user:{CANARY}@127.0.0.1:wrong/",
    f"mongodb://user:{CANARY}/@127.0.0.1/?authMechanism={CANARY}",
    f"postgres://user:{CANARY}@127.0.0.1:9/",
    f"SASL_SSL://user:{CANARY}@127.0.0.1:9",
    f"file:s3://user:{CANARY}@bucket/loans.csv",
    f"folder:user:{CANARY}@host",
    f"  {CANARY}",
)
BELONGS_TOGETHER = {
    "mongodb_username": {"MONGODB_PASSWORD": CANARY},
    "mongodb_password": {"MONGODB_USERNAME": "user"},
    "kafka_sasl_username": {"KAFKA_SASL_PASSWORD": CANARY, "KAFKA_SECURITY_PROTOCOL": "SASL_SSL"},
    "kafka_sasl_password": {"KAFKA_SASL_USERNAME": "user", "KAFKA_SECURITY_PROTOCOL": "SASL_SSL"},
}
SHOWS_NAMES = {
    "home",
    "schema_file",
    "spool_folder",
    "kafka_ssl_cafile",
    "mongodb_database",
    "segments",
    "exposure_column",
}
"""Settings that name files, columns or a database: a bare word is a sound value, and may be shown."""


def variable(field: str) -> str:
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return str(alias or f"LOAN_DEFAULT_{field.upper()}")


def forms_of(field: str) -> Iterator[str]:
    return (form for form in FORMS if not (field in SHOWS_NAMES and form.strip() == CANARY))


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*map(variable, Settings.model_fields), "LOAN_DEFAULT_SECRETS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOAN_DEFAULT_ANSWER_SECONDS", "0.2")


def text_of(error: BaseException) -> str:
    """All that a log would hold of an error, with those that led to it."""
    return "".join([*traceback.format_exception(error), repr(error), str(error)])


def text_of_settings(settings: Settings) -> str:
    return f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


@pytest.mark.slow
@pytest.mark.parametrize("place", ["variable", "file"])
@pytest.mark.parametrize("field", Settings.model_fields)
def test_no_setting_shows_a_password(monkeypatch, tmp_path, field, place):
    for name, value in BELONGS_TOGETHER.get(field, {}).items():
        monkeypatch.setenv(name, value)
    for form in forms_of(field):
        if place == "file":
            (tmp_path / variable(field)).write_text(form)
            monkeypatch.setenv("LOAN_DEFAULT_SECRETS", str(tmp_path))
            monkeypatch.delenv(variable(field), raising=False)
        else:
            monkeypatch.setenv(variable(field), form)
        try:
            shown = text_of_settings(load_settings())
        except ConfigurationError as error:
            shown = text_of(error)
        assert CANARY not in shown, form


@pytest.mark.parametrize("field", Settings.model_fields)
def test_pydantic_shows_none_where_settings_are_made_in_code(field):
    for form in forms_of(field):
        try:
            shown = text_of_settings(Settings(**{field: form}))
        except ValidationError as error:
            shown = text_of(error)
        assert CANARY not in shown, form


@pytest.mark.slow  # together: the address of a database is waited for
@pytest.mark.parametrize("command", ["models", "init"])
@pytest.mark.parametrize("field", Settings.model_fields)
def test_no_command_prints_one(shell, monkeypatch, tmp_path, field, command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOAN_DEFAULT_LOG_FORMAT", "json")
    monkeypatch.setenv("LOAN_DEFAULT_RETRY_BUDGET_SECONDS", "1.1")
    monkeypatch.setenv("LOAN_DEFAULT_SESSION_SECONDS", "1")
    for name, value in BELONGS_TOGETHER.get(field, {}).items():
        monkeypatch.setenv(name, value)
    if field.startswith("mongodb") and field != "mongodb_uri":
        monkeypatch.setenv("MONGODB_URI", "mongodb://127.0.0.1:9/")
    if field.startswith("kafka_sasl"):
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")
    for form in (FORMS[1], FORMS[4], FORMS[7]):
        monkeypatch.setenv(variable(field), form)
        code, out, errors = shell(command)
        assert code in {0, 2, 3}
        assert CANARY not in out + errors, form


def test_a_folder_of_secrets_that_is_none_is_not_shown(monkeypatch):
    monkeypatch.setenv("LOAN_DEFAULT_SECRETS", CANARY)
    with pytest.raises(ConfigurationError, match="LOAN_DEFAULT_SECRETS must be a folder") as caught:
        load_settings()
    assert CANARY not in text_of(caught.value)


def test_a_file_of_secrets_that_is_no_text_is_not_shown(monkeypatch, tmp_path):
    (tmp_path / "MONGODB_PASSWORD").write_bytes(CANARY.encode() + b"\xff")
    monkeypatch.setenv("LOAN_DEFAULT_SECRETS", str(tmp_path))
    with pytest.raises(ConfigurationError, match="must be text that can be read") as caught:
        load_settings()
    assert CANARY not in text_of(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "uri",
    [
        f"mongodb://user:{CANARY}@127.0.0.1:9/",
        f"mongodb://user:{CANARY}@127.0.0.1:9/?authMechanism={CANARY}",
        f"mongodb://user:{CANARY}@127.0.0.1:9/?tlsCAFile={CANARY}",
        f"mongodb://us@er:{CANARY}@127.0.0.1:9/",
        f"mongodb+srv://user:{CANARY}@nowhere.invalid/",
    ],
)
def test_no_error_of_the_database_repeats_its_address(uri):
    with pytest.raises(LoanDefaultError) as caught:
        connect_database(Settings(mongodb_uri=uri, answer_seconds=0.2))
    assert CANARY not in text_of(caught.value)


@pytest.mark.slow
def test_no_error_of_the_broker_and_no_repr_of_its_connection_has_the_password():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = Settings(
            kafka_bootstrap_servers=f"127.0.0.1:{silent.getsockname()[1]}",
            kafka_security_protocol="SASL_PLAINTEXT",
            kafka_sasl_username="user",
            kafka_sasl_password=SecretStr(CANARY),
            answer_seconds=0.3,
        )
        broker = connect_broker(settings)
        assert CANARY not in repr(broker._connection)
        with pytest.raises(LoanDefaultError) as caught:
            broker.check_topics(["raw_data"])
    assert CANARY not in text_of(caught.value)


def test_the_canary_would_be_found():
    shown = json.dumps({"home": f"{Path(CANARY)}"})
    assert CANARY in shown
    assert CANARY in text_of(ConfigurationError(CANARY))
    assert CANARY in text_of_settings(Settings(home=Path(CANARY)))

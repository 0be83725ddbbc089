"""Settings: defaults, the environment, and errors that help and keep secrets."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from loan_default import settings as module
from loan_default.errors import ConfigurationError
from loan_default.settings import Settings, load_settings

NAMES = ("LOAN_DEFAULT_HOME", "MONGODB_URI", "LOAN_DEFAULT_MONGODB_DATABASE", "LOAN_DEFAULT_LOG_FORMAT")
URI = "mongodb://loan:s3cret@db:27017/"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_nothing_needs_to_be_set():
    settings = load_settings()
    assert (settings.home, settings.mongodb_uri) == (Path("runs"), None)
    assert (settings.mongodb_database, settings.log_format) == ("loan_default", "auto")


def test_the_environment_is_read(monkeypatch):
    for name, value in zip(NAMES, ("~/loans", URI, "loans", "json"), strict=True):
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.home == Path.home() / "loans"
    assert settings.mongodb_uri is not None
    assert settings.mongodb_uri.get_secret_value() == URI
    assert (settings.mongodb_database, settings.log_format) == ("loans", "json")


def test_empty_variables_count_as_unset(monkeypatch):
    for name in NAMES:
        monkeypatch.setenv(name, "")
    assert load_settings() == Settings()


def test_every_wrong_value_has_a_line_and_no_secret_is_shown(monkeypatch):
    monkeypatch.setenv("LOAN_DEFAULT_LOG_FORMAT", "xml")
    monkeypatch.setenv("LOAN_DEFAULT_MONGODB_DATABASE", "a/b")
    monkeypatch.setenv("MONGODB_URI", "postgres://loan:s3cret@db")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    lines = sorted(str(caught.value).splitlines())
    assert [line.split()[0] for line in lines] == sorted([NAMES[1], NAMES[2], NAMES[3]])
    assert "must be 'auto', 'json' or 'console', however: LOAN_DEFAULT_LOG_FORMAT='xml'" in lines[0]
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_settings_show_no_secret_and_do_not_change(monkeypatch):
    monkeypatch.setenv("MONGODB_URI", URI)
    settings = load_settings()
    assert "s3cret" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    with pytest.raises(ValidationError):
        settings.home = Path("elsewhere")  # type: ignore[misc]


def test_the_documentation_names_every_variable():
    assert module.__doc__ is not None
    assert all(f"`{name}`" in module.__doc__ for name in NAMES)
    assert len(Settings.model_fields) == len(NAMES)

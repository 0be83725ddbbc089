"""Settings: defaults, the environment, and errors that help and keep secrets."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from loan_default import settings as module
from loan_default.errors import ConfigurationError
from loan_default.settings import Settings, load_settings, unknown_variables

NAMES = ("LOAN_DEFAULT_HOME", "MONGODB_URI", "LOAN_DEFAULT_MONGODB_DATABASE", "LOAN_DEFAULT_LOG_FORMAT")
OTHERS = (
    "LOAN_DEFAULT_MATURITY_DAYS",
    "LOAN_DEFAULT_ANSWER_SECONDS",
    "LOAN_DEFAULT_RETRY_BUDGET_SECONDS",
    "LOAN_DEFAULT_PATIENCE_SECONDS",
    "LOAN_DEFAULT_SESSION_SECONDS",
    "LOAN_DEFAULT_AIRFLOW_URL",
    "LOAN_DEFAULT_AIRFLOW_USERNAME",
    "LOAN_DEFAULT_AIRFLOW_PASSWORD",
    "LOAN_DEFAULT_SOURCE",
    "LOAN_DEFAULT_SOURCE_ROWS",
    "LOAN_DEFAULT_SCHEMA",
    "LOAN_DEFAULT_PRESET",
    "LOAN_DEFAULT_PREDICTION_DAYS",
    "LOAN_DEFAULT_SPOOL",
    "LOAN_DEFAULT_API_KEY",
    "LOAN_DEFAULT_MINIMUM_ROWS",
    "LOAN_DEFAULT_MINIMUM_AUC",
    "LOAN_DEFAULT_MINIMUM_KS",
    "LOAN_DEFAULT_MAXIMUM_BRIER",
    "LOAN_DEFAULT_MAXIMUM_CALIBRATION_ERROR",
    "LOAN_DEFAULT_MINIMUM_LEAD",
    "LOAN_DEFAULT_MINIMUM_BADS",
    "LOAN_DEFAULT_MINIMUM_COVERAGE",
    "LOAN_DEFAULT_MAXIMUM_AUC_LOSS",
    "LOAN_DEFAULT_MAXIMUM_BRIER_LOSS",
    "LOAN_DEFAULT_MAXIMUM_CALIBRATION_SHIFT",
    "LOAN_DEFAULT_MINIMUM_CALIBRATION_SLOPE",
    "LOAN_DEFAULT_MAXIMUM_CALIBRATION_SLOPE",
    "LOAN_DEFAULT_MINIMUM_SEGMENT_ROWS",
    "LOAN_DEFAULT_MAXIMUM_SEGMENT_GAP",
    "LOAN_DEFAULT_MAXIMUM_SCORE_PSI",
    "LOAN_DEFAULT_MAXIMUM_COLUMN_PSI",
    "LOAN_DEFAULT_MAXIMUM_FALLS",
    "LOAN_DEFAULT_MAXIMUM_MEAN_PD_CHANGE",
    "LOAN_DEFAULT_MAXIMUM_APPROVAL_CHANGE",
    "LOAN_DEFAULT_DEMAND",
    "LOAN_DEFAULT_LEAD_FROM",
    "LOAN_DEFAULT_APPROVAL",
    "LOAN_DEFAULT_APPROVAL_HOURS",
    "LOAN_DEFAULT_COOLDOWN_DAYS",
    "LOAN_DEFAULT_CUTOFF",
    "LOAN_DEFAULT_SEGMENTS",
    "LOAN_DEFAULT_POLICY_PROFILE",
    "LOAN_DEFAULT_MATERIALITY",
    "LOAN_DEFAULT_LOSS_GIVEN_DEFAULT",
    "LOAN_DEFAULT_MARGIN",
    "LOAN_DEFAULT_EXPOSURE_COLUMN",
    "LOAN_DEFAULT_REASONS_AGAINST",
    "LOAN_DEFAULT_STREAM_REASONS",
    "LOAN_DEFAULT_DRIFT_ROWS",
    "LOAN_DEFAULT_DRIFT_WARNING",
    "LOAN_DEFAULT_DRIFT_ACTION",
    "LOAN_DEFAULT_RETRAIN_ON_DRIFT",
    "LOAN_DEFAULT_RETRAIN_COOLDOWN_HOURS",
)
MONGODB = (
    "MONGODB_USERNAME",
    "MONGODB_PASSWORD",
    "MONGODB_PIPELINE_PASSWORD",
    "MONGODB_COMMANDS_PASSWORD",
    "MONGODB_API_PASSWORD",
    "MONGODB_SCORER_PASSWORD",
    "MONGODB_READER_PASSWORD",
)
KAFKA = (
    "KAFKA_BOOTSTRAP_SERVERS",
    "KAFKA_SECURITY_PROTOCOL",
    "KAFKA_SASL_MECHANISM",
    "KAFKA_SASL_USERNAME",
    "KAFKA_SASL_PASSWORD",
    "KAFKA_SSL_CAFILE",
)
ALL = (*NAMES, *OTHERS, *KAFKA, *MONGODB, "LOAN_DEFAULT_SECRETS")
URI = "mongodb://loan:s3cret@db:27017/"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch):
    for name in ALL:
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
    for name in ALL:
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


def test_a_broker_with_a_password_is_read(monkeypatch):
    values = ("a.example:9092,b:9093", "SASL_SSL", "SCRAM-SHA-256", "loan", "s3cret", "/etc/ca.pem")
    for name, value in zip(KAFKA, values, strict=True):
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.kafka_bootstrap_servers == "a.example:9092,b:9093"
    assert settings.kafka_sasl_password is not None
    assert settings.kafka_sasl_password.get_secret_value() == "s3cret"
    assert "s3cret" not in f"{settings!r} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (
            {"KAFKA_BOOTSTRAP_SERVERS": "kafka"},
            "KAFKA_BOOTSTRAP_SERVERS must be host:port, or several by commas",
        ),
        ({"KAFKA_SASL_USERNAME": "loan"}, "it is PLAINTEXT, set: 1 of 2. Change one of them."),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_PASSWORD": "s3cret"}, "SASL_SSL, set: 1 of 2"),
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL must be 'PLAINTEXT'"),
    ],
)
def test_what_does_not_belong_together_is_one_line(monkeypatch, values, line):
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert line in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_session_is_over_before_the_retry_budget_is(monkeypatch):
    monkeypatch.setenv("LOAN_DEFAULT_RETRY_BUDGET_SECONDS", "10")
    with pytest.raises(ConfigurationError, match=r"SESSION_SECONDS must be less .* however: 10\.0 >= 10\.0"):
        load_settings()


@pytest.mark.parametrize("name", ["LOAN_DEFAULT_RETRY_BUDGET_SECONDS", "LOAN_DEFAULT_PATIENCE_SECONDS"])
def test_the_retry_budget_is_read_from_its_variable_and_from_the_former_one(monkeypatch, tmp_path, name):
    monkeypatch.setenv(name, "90")
    assert load_settings().retry_budget_seconds == 90
    monkeypatch.setenv("LOAN_DEFAULT_RETRY_BUDGET_SECONDS", "70")
    assert load_settings().retry_budget_seconds == 70, "the present name goes first"
    monkeypatch.setenv("LOAN_DEFAULT_RETRY_BUDGET_SECONDS", "-1")
    with pytest.raises(
        ConfigurationError, match=r"^LOAN_DEFAULT_RETRY_BUDGET_SECONDS must be greater than 0"
    ):
        load_settings()
    monkeypatch.delenv("LOAN_DEFAULT_RETRY_BUDGET_SECONDS")
    monkeypatch.delenv(name, raising=False)
    (tmp_path / name).write_text("80")
    monkeypatch.setenv("LOAN_DEFAULT_SECRETS", str(tmp_path))
    assert load_settings().retry_budget_seconds == 80


def test_settings_show_no_secret_and_do_not_change(monkeypatch):
    monkeypatch.setenv("MONGODB_URI", URI)
    settings = load_settings()
    assert "s3cret" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    with pytest.raises(ValidationError):
        settings.home = Path("elsewhere")  # type: ignore[misc]


def test_the_documentation_names_every_variable():
    assert module.__doc__ is not None
    assert all(f"`{name}`" in module.__doc__ for name in ALL)
    assert len(Settings.model_fields) == len(ALL) - 2, "the folder of secrets and a former name are no fields"


def test_files_of_a_folder_take_the_place_of_variables(monkeypatch, tmp_path):
    (tmp_path / "MONGODB_PASSWORD").write_text("s3cret\n")
    (tmp_path / "mongodb_reader_password").write_text("r3ader")
    (tmp_path / "something_else").write_text("x")
    monkeypatch.setenv("LOAN_DEFAULT_SECRETS", str(tmp_path))
    monkeypatch.setenv("MONGODB_USERNAME", "pipeline")
    settings = load_settings()
    assert settings.mongodb_password is not None
    assert settings.mongodb_password.get_secret_value() == "s3cret"
    assert {user: secret.get_secret_value() for user, secret in settings.mongodb_users.items()} == {
        "reader": "r3ader"
    }
    monkeypatch.setenv("MONGODB_PASSWORD", "of-the-environment")
    assert load_settings().mongodb_password.get_secret_value() == "of-the-environment"


def test_a_folder_of_secrets_must_be_there(monkeypatch, tmp_path):
    monkeypatch.setenv("LOAN_DEFAULT_SECRETS", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigurationError, match="LOAN_DEFAULT_SECRETS must be a folder, however:"):
        load_settings()


@pytest.mark.parametrize("alone", ["MONGODB_USERNAME", "MONGODB_PASSWORD"])
def test_a_name_comes_with_a_password(monkeypatch, alone):
    monkeypatch.setenv(alone, "s3cret")
    with pytest.raises(ConfigurationError, match="must be set together") as caught:
        load_settings()
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("LOAN_DEFAULT_MINIMUM_AUCC", " Did you mean 'LOAN_DEFAULT_MINIMUM_AUC'?"),
        ("LOAN_DEFAULT_SHEMA", " Did you mean 'LOAN_DEFAULT_SCHEMA'?"),
        ("loan_default_preset_name", " Did you mean 'LOAN_DEFAULT_PRESET'?"),
        ("LOAN_DEFAULT_XYZ", ""),
    ],
)
def test_a_misspelt_variable_is_named_with_the_one_that_was_meant(name, hint):
    (line,) = unknown_variables([name, "HOME", "LOAN_DEFAULTS", *ALL])
    assert line == f"{name} must be the name of a setting, however: none is called so.{hint}"


@pytest.mark.parametrize(
    "name",
    [
        *ALL,
        "loan_default_home",
        "LOAN_DEFAULT_SCHEMA_FILE",
        "LOAN_DEFAULT_FAILPOINTS",
        "LOAN_DEFAULT_SECRETS_FOLDER",
        "LOAN_DEFAULT_TEST_KAFKA",
        "LOAN_DEFAULT_COMMANDS_SERVICE_HOST",
        "LOAN_DEFAULT_COMMANDS_SERVICE_PORT_HTTP",
        "LOAN_DEFAULT_COMMANDS_PORT_8080_TCP_ADDR",
        "LOAN_DEFAULT_COMMANDS_PORT",
    ],
)
def test_settings_and_what_the_stack_and_kubernetes_set_beside_them_are_known(name):
    assert unknown_variables([name]) == []

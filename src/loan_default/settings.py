"""Where things are and how they are logged: what an environment may change, read and checked at the start.

| variable | default | meaning |
|---|---|---|
| `LOAN_DEFAULT_HOME` | `runs` | folder of models, reports and the embedded store |
| `MONGODB_URI` | none | the MongoDB server; without it the embedded store is used |
| `MONGODB_USERNAME`, `MONGODB_PASSWORD` | none | in place of those in the address |
| `MONGODB_PIPELINE_PASSWORD`, `MONGODB_READER_PASSWORD` | none | of users that `loan-default init` makes |
| `MONGODB_COMMANDS_PASSWORD` | none | of the one that `loan-default commands` needs |
| `MONGODB_API_PASSWORD`, `MONGODB_SCORER_PASSWORD` | none | of those that score, by HTTP and on the stream |
| `LOAN_DEFAULT_MONGODB_DATABASE` | `loan_default` | name of the database on that server |
| `KAFKA_BOOTSTRAP_SERVERS` | none | `host:port` or `[IPv6]:port`, by commas; none: a broker in memory |
| `KAFKA_SECURITY_PROTOCOL` | `PLAINTEXT` | `SSL`, `SASL_PLAINTEXT` or `SASL_SSL` for TLS and passwords |
| `KAFKA_SASL_MECHANISM` | `SCRAM-SHA-512` | or `SCRAM-SHA-256`, `PLAIN`; with SASL only |
| `KAFKA_SASL_USERNAME`, `KAFKA_SASL_PASSWORD` | none | with SASL only |
| `KAFKA_SSL_CAFILE` | the system's | certificates to trust, with TLS only |
| `LOAN_DEFAULT_ANSWER_SECONDS` | 10 | how long a broker or the database may take to answer |
| `LOAN_DEFAULT_RETRY_BUDGET_SECONDS` | 60 | how long work waits for a server that is away before it fails |
| `LOAN_DEFAULT_PATIENCE_SECONDS` | none | the former name of the retry budget, still read |
| `LOAN_DEFAULT_SESSION_SECONDS` | 10 | how long a consumer that crashed keeps its partitions from others |
| `LOAN_DEFAULT_PREDICTION_DAYS` | none | days for which predictions are kept; none: for ever |
| `LOAN_DEFAULT_SPOOL` | `predictions_spool` under the home folder | predictions that wait for the database |
| `LOAN_DEFAULT_API_KEY` | none | a key that `loan-default init` lets in, to score, report outcomes and read |
| `LOAN_DEFAULT_MATURITY_DAYS` | 0 | age from which on a label in the training store counts |
| `LOAN_DEFAULT_AIRFLOW_URL` | `http://127.0.0.1:8080` | where `commands` finds Airflow's API |
| `LOAN_DEFAULT_AIRFLOW_USERNAME`, `LOAN_DEFAULT_AIRFLOW_PASSWORD` | none | who may start runs, for it |
| `LOAN_DEFAULT_SOURCE` | `bundled` | of scheduled runs; or `generated`, `folder:PATH`, `file:PATH` |
| `LOAN_DEFAULT_SOURCE_ROWS` | 1000 | rows of one scheduled run; a folder is taken whole |
| `LOAN_DEFAULT_SCHEMA` | that of the bundled accounts | the schema of what is ingested |
| `LOAN_DEFAULT_PRESET` | `default` | preset of scheduled trainings; or `fast` |
| `LOAN_DEFAULT_MINIMUM_ROWS` | 500 | labelled rows that a model must be evaluated on |
| `LOAN_DEFAULT_MINIMUM_AUC`, `LOAN_DEFAULT_MINIMUM_KS` | 0.65, 0.2 | what a champion must reach |
| `LOAN_DEFAULT_MAXIMUM_BRIER` | 0.25 | what its Brier score must not exceed |
| `LOAN_DEFAULT_MAXIMUM_CALIBRATION_ERROR` | 0.05 | what its ECE must not exceed |
| `LOAN_DEFAULT_MINIMUM_LEAD` | 0 | how far its AUC must be ahead of the champion's on the same rows |
| `LOAN_DEFAULT_MINIMUM_BADS` | 50 | defaults, and good ends, among those rows |
| `LOAN_DEFAULT_MINIMUM_COVERAGE` | 0.3 | share of rows old enough for an outcome whose outcome is known |
| `LOAN_DEFAULT_MAXIMUM_AUC_LOSS`, `LOAN_DEFAULT_MAXIMUM_BRIER_LOSS` | 0.01, 0.01 | what it may lose |
| `LOAN_DEFAULT_MAXIMUM_CALIBRATION_SHIFT` | 0.35 | distance of its calibration intercept from 0, in logits |
| `LOAN_DEFAULT_MINIMUM_CALIBRATION_SLOPE`, `LOAN_DEFAULT_MAXIMUM_CALIBRATION_SLOPE` | 0.6, 1.7 | bounds |
| `LOAN_DEFAULT_MINIMUM_SEGMENT_ROWS` | 200 | rows below which a segment is not compared |
| `LOAN_DEFAULT_MAXIMUM_SEGMENT_GAP` | 0.05 | distance of default rate and mean PD of a segment |
| `LOAN_DEFAULT_MAXIMUM_SCORE_PSI` | 0.25 | PSI of its scores against those of its training |
| `LOAN_DEFAULT_MAXIMUM_COLUMN_PSI` | 0.25 | PSI of any column against that of its training |
| `LOAN_DEFAULT_MAXIMUM_FALLS` | 0.01 | share of rows whose PD moves against `monotonic` of a column |
| `LOAN_DEFAULT_MAXIMUM_MEAN_PD_CHANGE` | 0.05 | distance of its mean PD from the champion's |
| `LOAN_DEFAULT_MAXIMUM_APPROVAL_CHANGE` | 0.1 | distance of its approval rate from the champion's |
| `LOAN_DEFAULT_DEMAND` | `better` | what it must show beside the champion; or `as-good` |
| `LOAN_DEFAULT_LEAD_FROM` | `unseen` | where it must show it; `live`: in an experiment on live applications |
| `LOAN_DEFAULT_APPROVAL` | `none` | `required`: a named person must approve a model before it is promoted |
| `LOAN_DEFAULT_APPROVAL_HOURS` | 24 | how long a run of the evaluation waits for that person; 168 at most |
| `LOAN_DEFAULT_COOLDOWN_DAYS` | 0 | days between two promotions; 0: off |
| `LOAN_DEFAULT_CUTOFF` | 0.2 | PD up to which an application counts as approved |
| `LOAN_DEFAULT_SEGMENTS` | none | columns, by commas, in whose segments no model may be worse |
| `LOAN_DEFAULT_REASONS_AGAINST` | `all` | explain a PD against all applicants; or `cut-off` |
| `LOAN_DEFAULT_STREAM_REASONS` | false | whether scores on the stream come with their reasons |
| `LOAN_DEFAULT_POLICY_PROFILE` | `us` | what a model is reviewed by: `us`, `eu`, `kr` |
| `LOAN_DEFAULT_MATERIALITY` | none | tier of the model, by exposure and purpose: `high`, `medium`, `low` |
| `LOAN_DEFAULT_LOSS_GIVEN_DEFAULT` | 0.45 | share of the exposure that a default loses |
| `LOAN_DEFAULT_MARGIN` | 0.1 | share of the exposure that a loan without default earns |
| `LOAN_DEFAULT_EXPOSURE_COLUMN` | none | numerical column of the exposure; none: each loan counts as one |
| `LOAN_DEFAULT_DRIFT_ROWS` | 1000 | applications that are assessed for drift at once, up to a week of them |
| `LOAN_DEFAULT_DRIFT_WARNING`, `LOAN_DEFAULT_DRIFT_ACTION` | 0.1, 0.25 | PSI that warns, that is acted on |
| `LOAN_DEFAULT_RETRAIN_ON_DRIFT` | `off` | or `warn`, `act`: the drift that asks for a training |
| `LOAN_DEFAULT_RETRAIN_COOLDOWN_HOURS` | 168 | hours between two trainings that drift asks for |
| `LOAN_DEFAULT_LOG_FORMAT` | `auto` | `json`, `console`, or `auto`: console on a terminal, else JSON |
| `LOAN_DEFAULT_SECRETS` | none | a folder with a file for each variable that is kept out of the environment |
"""

import os
import re
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_origin

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from loan_default.addresses import check_local_path, check_web_address, server_list
from loan_default.choices import PresetName, ReferenceMethod
from loan_default.errors import ConfigurationError, did_you_mean
from loan_default.thresholds import (
    DEFAULT_DRIFT_POLICY,
    DEFAULT_POLICY,
    DEFAULT_THRESHOLDS,
    Demand,
    Difference,
    DriftPolicy,
    GatePolicy,
    Hours,
    LeadFrom,
    Ratio,
    RetrainOn,
    Rows,
    Share,
    Thresholds,
    WaitingHours,
)

_PREFIX = "LOAN_DEFAULT_"
_OTHERS = re.compile(
    r"LOAN_DEFAULT_(SECRETS|FAILPOINTS|TEST_\w+|(UID|VERSION|THREADS|INCOMING|SETS|SECRETS_FOLDER)"
    r"|\w+_SERVICE_(HOST|PORT\w*)|\w+_PORT(_\d+_\w+)?)"
)
"""Variables that are no settings: of tests, of the Compose files, and those that Kubernetes sets for each
service of the namespace."""


def _server_address(uri: SecretStr) -> SecretStr:
    if not uri.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("must start with mongodb:// or mongodb+srv://")
    return uri


def _servers(servers: str) -> str:
    server_list(servers)
    return servers


def _web_address(url: str) -> str:
    check_web_address(url)
    return url


def _no_address(path: Any) -> Any:
    check_local_path(str(path))
    return path


LocalPath = Annotated[Path, BeforeValidator(_no_address)]
"""A path; what looks like `scheme://host` or `user:password@host` is refused."""


class Settings(BaseSettings):
    """The settings; made by `load_settings` and passed on as an argument."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    home: Annotated[LocalPath, AfterValidator(Path.expanduser)] = Path("runs")
    """Folder of models, reports and the embedded store; relative to the current folder, made when needed."""
    mongodb_uri: Annotated[SecretStr, AfterValidator(_server_address)] | None = Field(
        default=None, validation_alias="MONGODB_URI"
    )
    """Address, with user name and password or without; None = the embedded store under `home`."""
    mongodb_username: SecretStr | None = Field(default=None, validation_alias="MONGODB_USERNAME")
    mongodb_password: SecretStr | None = Field(default=None, validation_alias="MONGODB_PASSWORD")
    """User name and password take the place of those in the address."""
    mongodb_pipeline_password: SecretStr | None = Field(
        default=None, validation_alias="MONGODB_PIPELINE_PASSWORD"
    )
    mongodb_commands_password: SecretStr | None = Field(
        default=None, validation_alias="MONGODB_COMMANDS_PASSWORD"
    )
    mongodb_api_password: SecretStr | None = Field(default=None, validation_alias="MONGODB_API_PASSWORD")
    mongodb_scorer_password: SecretStr | None = Field(
        default=None, validation_alias="MONGODB_SCORER_PASSWORD"
    )
    mongodb_reader_password: SecretStr | None = Field(
        default=None, validation_alias="MONGODB_READER_PASSWORD"
    )
    """Passwords of the users that `loan-default init` makes; None = that user is not made."""
    mongodb_database: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,63}$")] = "loan_default"
    """Database on the server: letters, digits, `_` and `-`."""
    kafka_bootstrap_servers: Annotated[str, AfterValidator(_servers)] | None = Field(
        default=None, validation_alias="KAFKA_BOOTSTRAP_SERVERS"
    )
    """`host:port,[IPv6 address]:port`; None = a broker in memory."""
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", validation_alias="KAFKA_SECURITY_PROTOCOL"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="SCRAM-SHA-512", validation_alias="KAFKA_SASL_MECHANISM"
    )
    kafka_sasl_username: SecretStr | None = Field(default=None, validation_alias="KAFKA_SASL_USERNAME")
    kafka_sasl_password: SecretStr | None = Field(default=None, validation_alias="KAFKA_SASL_PASSWORD")
    kafka_ssl_cafile: LocalPath | None = Field(default=None, validation_alias="KAFKA_SSL_CAFILE")
    answer_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    """How long a broker or the database may take to answer."""
    retry_budget_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        default=60.0,
        validation_alias=AliasChoices("LOAN_DEFAULT_RETRY_BUDGET_SECONDS", "LOAN_DEFAULT_PATIENCE_SECONDS"),
    )
    """How long work waits for a server that is away before it fails; the second name is the former one."""
    session_seconds: Annotated[float, Field(ge=1, le=1800)] = 10.0
    """How long a consumer that crashed keeps its partitions from others; brokers take 6 and more."""
    prediction_days: Annotated[int, Field(ge=1, le=24_855)] | None = None
    """Days for which predictions are kept; None = for ever. `loan-default init` lets MongoDB delete them."""
    spool_folder: LocalPath | None = Field(default=None, validation_alias="LOAN_DEFAULT_SPOOL")
    """Folder of predictions that wait for the database; None = under `home`."""
    api_key: SecretStr | None = None
    """A whole key, `<12 hexadecimal digits>.<secret>`; None = `init` lets nobody in."""
    maturity_days: Annotated[int, Field(ge=0, le=3660)] = 0
    """Age in days from which on the label of an application counts; 0 = every label counts at once."""
    airflow_url: Annotated[str, AfterValidator(_web_address)] = "http://127.0.0.1:8080"
    """Address of Airflow, without a user name or password in it."""
    airflow_username: SecretStr | None = None
    airflow_password: SecretStr | None = None
    source: Annotated[
        str,
        StringConstraints(pattern=r"^(bundled|generated|folder:.+|file:.+)$"),
        AfterValidator(_no_address),
    ] = "bundled"
    """Where the applications of a scheduled run come from."""
    source_rows: Annotated[int, Field(ge=1)] = 1_000
    """Rows of one scheduled run; a folder is taken whole."""
    schema_file: LocalPath | None = Field(default=None, validation_alias="LOAN_DEFAULT_SCHEMA")
    """The schema of what is ingested; None = that of the bundled accounts."""
    preset: PresetName = "default"
    """Preset of scheduled trainings."""
    minimum_rows: Rows = DEFAULT_THRESHOLDS.minimum_rows
    minimum_auc: Share = DEFAULT_THRESHOLDS.minimum_auc
    minimum_ks: Share = DEFAULT_THRESHOLDS.minimum_ks
    maximum_brier: Share = DEFAULT_THRESHOLDS.maximum_brier
    maximum_calibration_error: Share = DEFAULT_THRESHOLDS.maximum_calibration_error
    minimum_lead: Difference = DEFAULT_THRESHOLDS.minimum_lead
    minimum_bads: Rows = DEFAULT_THRESHOLDS.minimum_bads
    minimum_coverage: Share = DEFAULT_THRESHOLDS.minimum_coverage
    maximum_auc_loss: Share = DEFAULT_THRESHOLDS.maximum_auc_loss
    maximum_brier_loss: Share = DEFAULT_THRESHOLDS.maximum_brier_loss
    maximum_calibration_shift: Ratio = DEFAULT_THRESHOLDS.maximum_calibration_shift
    minimum_calibration_slope: Ratio = DEFAULT_THRESHOLDS.minimum_calibration_slope
    maximum_calibration_slope: Ratio = DEFAULT_THRESHOLDS.maximum_calibration_slope
    minimum_segment_rows: Rows = DEFAULT_THRESHOLDS.minimum_segment_rows
    maximum_segment_gap: Share = DEFAULT_THRESHOLDS.maximum_segment_gap
    maximum_score_psi: Ratio = DEFAULT_THRESHOLDS.maximum_score_psi
    maximum_column_psi: Ratio = DEFAULT_THRESHOLDS.maximum_column_psi
    maximum_falls: Share = DEFAULT_THRESHOLDS.maximum_falls
    maximum_mean_pd_change: Share = DEFAULT_THRESHOLDS.maximum_mean_pd_change
    maximum_approval_change: Share = DEFAULT_THRESHOLDS.maximum_approval_change
    """The thresholds that a model must reach to become the champion; see `thresholds.Thresholds`."""
    demand: Demand = DEFAULT_POLICY.demand
    lead_from: LeadFrom = DEFAULT_POLICY.lead_from
    approval: Literal["none", "required"] = DEFAULT_POLICY.approval
    approval_hours: WaitingHours = DEFAULT_POLICY.approval_hours
    cooldown_days: Annotated[float, Field(ge=0, le=3660)] = DEFAULT_POLICY.cooldown_days
    cutoff: Share = DEFAULT_POLICY.cutoff
    segments: Annotated[str, StringConstraints(pattern=r"^[^:/@]*$")] = ",".join(DEFAULT_POLICY.segments)
    """What is asked of a model beside thresholds; see `thresholds.GatePolicy`."""
    reasons_against: ReferenceMethod = "all"
    """Against whom PDs are explained: all applicants, or those who are just approved."""
    stream_reasons: bool = False
    """Whether scores on the stream come with their reasons; they take some times as long then."""
    policy_profile: Literal["us", "eu", "kr"] = "us"
    """Policy profile that models and their documents are reviewed by."""
    materiality: Literal["high", "medium", "low"] | None = None
    """Tier that the lender gives the model, for its card; None = none is assigned."""
    loss_given_default: Annotated[float, Field(gt=0, le=1)] = 0.45
    """Share of the exposure that is lost when a loan defaults."""
    margin: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of the exposure that is earned when it does not."""
    exposure_column: Annotated[str, StringConstraints(pattern=r"^[^:/@]+$")] | None = None
    """Numerical column of the exposure at default; None = every application counts as one unit."""
    drift_rows: Rows = DEFAULT_DRIFT_POLICY.drift_rows
    drift_warning: Share = DEFAULT_DRIFT_POLICY.drift_warning
    drift_action: Share = DEFAULT_DRIFT_POLICY.drift_action
    retrain_on_drift: RetrainOn = DEFAULT_DRIFT_POLICY.retrain_on_drift
    retrain_cooldown_hours: Hours = DEFAULT_DRIFT_POLICY.retrain_cooldown_hours
    """What counts as drift, and what follows from it; see `thresholds.DriftPolicy`."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """`auto` writes for people on a terminal and JSON elsewhere."""

    @property
    def thresholds(self) -> Thresholds:
        """What a model must reach to become the champion."""
        return Thresholds(**{field.name: getattr(self, field.name) for field in fields(Thresholds)})

    @property
    def policy(self) -> GatePolicy:
        """What is asked of a model beside thresholds."""
        return GatePolicy(
            demand=self.demand,
            lead_from=self.lead_from,
            approval=self.approval,
            approval_hours=self.approval_hours,
            cooldown_days=self.cooldown_days,
            cutoff=self.cutoff,
            segments=tuple(filter(None, (name.strip() for name in self.segments.split(",")))),
        )

    @property
    def drift_policy(self) -> DriftPolicy:
        """What counts as drift, and what follows from it."""
        return DriftPolicy(**{field.name: getattr(self, field.name) for field in fields(DriftPolicy)})

    @property
    def mongodb_users(self) -> dict[str, SecretStr]:
        """Users to make -> their passwords."""
        given = {
            "pipeline": self.mongodb_pipeline_password,
            "commands": self.mongodb_commands_password,
            "api": self.mongodb_api_password,
            "scorer": self.mongodb_scorer_password,
            "reader": self.mongodb_reader_password,
        }
        return {user: password for user, password in given.items() if password is not None}

    @model_validator(mode="after")
    def _name_with_password(self) -> Self:
        if (self.mongodb_username is None) != (self.mongodb_password is None):
            raise ValueError(
                "MONGODB_USERNAME and MONGODB_PASSWORD must be set together, however: only one is"
            )
        return self

    @model_validator(mode="after")
    def _session_within_retry_budget(self) -> Self:
        if self.session_seconds >= self.retry_budget_seconds:
            raise ValueError(
                "LOAN_DEFAULT_SESSION_SECONDS must be less than LOAN_DEFAULT_RETRY_BUDGET_SECONDS, or work "
                f"fails before a crashed consumer is given up, however: {self.session_seconds} >= "
                f"{self.retry_budget_seconds}"
            )
        return self

    @model_validator(mode="after")
    def _password_with_sasl(self) -> Self:
        given = [self.kafka_sasl_username is not None, self.kafka_sasl_password is not None]
        if given != [self.kafka_security_protocol.startswith("SASL")] * 2:
            raise ValueError(
                "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD must be set with a KAFKA_SECURITY_PROTOCOL of "
                f"SASL_PLAINTEXT or SASL_SSL, and with no other, however: it is "
                f"{self.kafka_security_protocol}, set: {sum(given)} of 2"
            )
        return self


def load_settings() -> Settings:
    """The settings of this environment and of the files in the folder that LOAN_DEFAULT_SECRETS names.

    A file is named like its variable, such as `MONGODB_PASSWORD`, and holds the value; what is in the
    environment goes first.

    Raises:
        ConfigurationError: that folder is not there, a file in it is not text that can be read, or values are
            wrong: a line for each.
    """
    folder = secrets_folder()
    try:
        return Settings(_secrets_dir=folder)
    except (OSError, SettingsError):
        lines = [f"each file in {folder} must be text that can be read, however: one is not. Write it anew."]
    except ValidationError as error:
        lines = [
            _explained(dict(problem)) for problem in error.errors(include_url=False, include_context=False)
        ]
    raise ConfigurationError("\n".join(lines))  # outside of the except block: the cause would show secrets


def unknown_variables(environ: Iterable[str]) -> list[str]:
    """A line for each name of a variable that looks like a setting and is none; it is not read."""
    known = {name.upper() for key in Settings.model_fields for name in (*_names(key), _PREFIX + key)}
    settings = [name.removeprefix(_PREFIX) for name in sorted(known) if name.startswith(_PREFIX)]
    lines = []
    for name in environ:
        variable = name.upper()
        if variable.startswith(_PREFIX) and variable not in known and not _OTHERS.fullmatch(variable):
            # Without the prefix, which makes all of them alike.
            close = did_you_mean(variable.removeprefix(_PREFIX), settings)
            hint = close.replace("mean '", f"mean '{_PREFIX}")
            lines.append(f"{name} must be the name of a setting, however: none is called so.{hint}")
    return lines


def secrets_folder() -> Path | None:
    """The folder that LOAN_DEFAULT_SECRETS names; ConfigurationError where it is not there."""
    folder = os.environ.get("LOAN_DEFAULT_SECRETS")
    if not folder:
        return None
    if not Path(folder).is_dir():
        raise ConfigurationError(
            "LOAN_DEFAULT_SECRETS must be a folder, however: it names none. Change it or unset it."
        )
    return Path(folder)


def _explained(problem: dict[str, Any]) -> str:
    """One line for one wrong value; never one that holds a password."""
    if not problem["loc"]:  # a rule about several
        return str(problem["msg"]).removeprefix("Value error, ") + ". Change one of them."
    field = str(problem["loc"][0])
    name = field if field.isupper() else _PREFIX + field.upper()
    rule = (
        problem["msg"]
        .removeprefix("Value error, ")
        .replace("Input should ", "must ")
        .replace("String should ", "must ")
    )
    return f"{name} {rule}, however: {_shown(field, name, problem['input'])}. Change it or unset it."


def _shown(field: str, name: str, value: object) -> str:
    """A wrong value where a choice or a number was expected and it is a word or a number; else not the value.

    Passwords are pasted into the wrong variable, and come within addresses.
    """
    kinds = {alias: each.annotation for key, each in Settings.model_fields.items() for alias in _names(key)}
    kind, text = kinds.get(field), str(value)
    is_word = get_origin(kind) is Literal and re.fullmatch("[A-Za-z_-]{1,16}", text)
    is_number = kind in {int, float} and re.fullmatch("[-+.0-9eE]{1,24}", text)
    return f"{name}={value!r}" if is_word or is_number else "a value that is not shown"


def _names(key: str) -> tuple[str, ...]:
    """What a problem may call a field: by its name, or by its variable."""
    alias = Settings.model_fields[key].validation_alias
    if isinstance(alias, AliasChoices):  # its first name, and the former ones
        return key, *map(str, alias.choices)
    return key, str(alias or key)

"""Airflow's REST API, as far as commands need it: start a run, pause a DAG.

https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html (v2)
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import httpx

from loan_default.errors import ConfigurationError, DataError, DependencyError, did_you_mean
from loan_default.kafka.control_events import CommandType
from loan_default.pipelines.training.training_options import SCHEDULED_PARAMETERS
from loan_default.settings import Settings

INGESTION = "data_ingestion"
PIPELINES = {
    CommandType.TRAIN: "model_training",
    CommandType.EVALUATE: "model_evaluation",
    CommandType.ROLL_BACK: "model_evaluation",
}
"""The DAG that does what a command asks for."""
PARAMETERS = {
    CommandType.TRAIN: frozenset(SCHEDULED_PARAMETERS),
    CommandType.EVALUATE: frozenset({"version", "replaces"}),
    CommandType.ROLL_BACK: frozenset({"version"}),
}
"""What a command may say of its run: a DAG takes any name, and does nothing with one that it lacks."""
_RUN_ID = re.compile(r"[A-Za-z0-9_.~:+-]{1,200}")
"""What Airflow takes as the id of a run."""


def run_id_of(command: str) -> str:
    """Id of the run that a command starts: the same command is the same run."""
    named = command if _RUN_ID.fullmatch(command) else hashlib.sha256(command.encode()).hexdigest()[:16]
    return f"command__{named}"


class AirflowActor:
    """Does what commands ask for, by REST; `close` it at the end.

    Raises:
        DataError: Airflow refuses the request: the same one is refused again.
        DependencyError: it does not answer, or is not ready.
        ConfigurationError: it does not let us in, or not do this.
    """

    def __init__(self, settings: Settings) -> None:
        username, password = settings.airflow_username, settings.airflow_password
        if username is None or password is None:
            raise ConfigurationError(
                "LOAN_DEFAULT_AIRFLOW_USERNAME and LOAN_DEFAULT_AIRFLOW_PASSWORD must be set for commands, "
                "however: they are not. Name a user who may start runs."
            )
        self._login = {"username": username.get_secret_value(), "password": password.get_secret_value()}
        self._client = httpx.Client(base_url=settings.airflow_url, timeout=settings.answer_seconds)

    def close(self) -> None:
        """Give back the connections."""
        self._client.close()

    def start_run(self, pipeline: CommandType, *, command: str, parameters: Mapping[str, Any]) -> None:
        """Start the run of a pipeline; one that is there already stays as it is."""
        _check_names(pipeline, parameters)
        conf = dict(parameters)
        if pipeline is CommandType.ROLL_BACK:
            conf["rollback"] = True
        body = {"dag_run_id": run_id_of(command), "logical_date": None, "conf": conf}
        self._call("POST", f"/api/v2/dags/{PIPELINES[pipeline]}/dagRuns", body, done=httpx.codes.CONFLICT)

    def switch_ingestion(self, *, on: bool) -> None:
        """Unpause or pause the DAG of the ingestion."""
        self._call("PATCH", f"/api/v2/dags/{INGESTION}", {"is_paused": not on})

    def _call(self, method: str, path: str, body: Mapping[str, Any], *, done: int | None = None) -> None:
        """Send a request; the status `done` is as good as success."""
        if "Authorization" not in self._client.headers:
            self._log_in()
        answer = self._send(method, path, body)
        if answer.status_code == httpx.codes.UNAUTHORIZED:  # the token has expired
            self._log_in()
            answer = self._send(method, path, body)
        if answer.is_success or answer.status_code == done:
            return
        _raise_for(answer, f"{method} {path}", detail=_detail(answer))

    def _log_in(self) -> None:
        self._client.headers.pop("Authorization", None)
        answer = self._send("POST", "/auth/token", self._login)
        if not answer.is_success:
            _raise_for(answer, "logging in", detail="see its log.")  # what it says may repeat the password
        self._client.headers["Authorization"] = f"Bearer {_token(answer)}"

    def _send(self, method: str, path: str, body: Mapping[str, Any]) -> httpx.Response:
        try:
            return self._client.request(method, path, json=dict(body))
        except httpx.TransportError as error:
            raise DependencyError(
                f"Cannot reach Airflow: {method} {path} failed: {type(error).__name__}. Is its "
                "api-server running, and LOAN_DEFAULT_AIRFLOW_URL right?"
            ) from error


def _check_names(pipeline: CommandType, parameters: Mapping[str, Any]) -> None:
    """DataError where a parameter is none of the command's; it names none of those that were given."""
    known = PARAMETERS[pipeline]
    if unknown := sorted(set(parameters) - known):
        raise DataError(
            f"the data of {pipeline} must be among {', '.join(sorted(known))}, however: {len(unknown)} of "
            f"{len(parameters)} are not.{did_you_mean(unknown[0], known)}"
        )


def _raise_for(answer: httpx.Response, doing: str, *, detail: str) -> None:
    code = answer.status_code
    if code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise ConfigurationError(
            f"Cannot command Airflow: {doing} was refused with {code}. Check the user's name, "
            "password and role."
        )
    # A DAG that is not parsed yet, or whose file is being mended, is there later.
    absent = code == httpx.codes.NOT_FOUND or "has import errors" in detail
    if absent or code >= httpx.codes.INTERNAL_SERVER_ERROR or code == httpx.codes.TOO_MANY_REQUESTS:
        raise DependencyError(f"Airflow is not ready: {doing} failed with {code}: {detail}")
    raise DataError(f"Airflow refused the command: {code}: {detail}")


def _token(answer: httpx.Response) -> str:
    """The token of a login that succeeded; DependencyError where another service than Airflow answered."""
    try:
        token = answer.json()["access_token"]
    except (ValueError, KeyError, TypeError):
        token = None
    if not isinstance(token, str) or not token:
        raise DependencyError(
            f"Cannot log in to Airflow: it answered with {answer.status_code} without "
            "an access_token. Is it Airflow that answers at LOAN_DEFAULT_AIRFLOW_URL?"
        )
    return token


def _detail(answer: httpx.Response) -> str:
    """What Airflow says, in one line."""
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = answer.text
    if isinstance(detail, list):  # of the fields that it refuses, FastAPI repeats the values
        detail = "; ".join(
            f"{'.'.join(map(str, each.get('loc', ())))}: {each.get('msg')}"
            for each in detail
            if isinstance(each, Mapping)
        )
    return " ".join(str(detail).split())[:300]

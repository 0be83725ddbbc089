"""What commands do by Airflow's API, over real HTTP."""

from collections.abc import Iterator
from http import HTTPStatus

import pytest
from pydantic import SecretStr
from servers.airflow_api import PASSWORD, USERNAME, AirflowApi, running_airflow_api

from loan_default.airflow.rest import PARAMETERS, AirflowActor, run_id_of
from loan_default.errors import ConfigurationError, DataError, DependencyError
from loan_default.kafka.control_events import CommandType
from loan_default.settings import Settings

TRAIN, EVALUATE, ROLL_BACK = CommandType.TRAIN, CommandType.EVALUATE, CommandType.ROLL_BACK


@pytest.fixture
def api() -> Iterator[AirflowApi]:
    with running_airflow_api() as running:
        yield running


@pytest.fixture
def actor(api: AirflowApi) -> Iterator[AirflowActor]:
    actor = AirflowActor(settings_of(api))
    yield actor
    actor.close()


def settings_of(api: AirflowApi, *, password: str = PASSWORD) -> Settings:
    return Settings(airflow_url=api.url, airflow_username=USERNAME, airflow_password=SecretStr(password))


def test_each_command_starts_the_run_of_its_dag_and_one_login_does(api, actor):
    actor.start_run(TRAIN, command="a", parameters={"preset": "fast"})
    actor.start_run(EVALUATE, command="b", parameters={"version": "v1"})
    actor.start_run(ROLL_BACK, command="c", parameters={})
    assert api.runs == {
        "command__a": {"dag": "model_training", "conf": {"preset": "fast"}},
        "command__b": {"dag": "model_evaluation", "conf": {"version": "v1"}},
        "command__c": {"dag": "model_evaluation", "conf": {"rollback": True}},
    }
    actor.switch_ingestion(on=False)
    actor.switch_ingestion(on=True)
    assert (api.paused, api.logins) == ([True, False], 1)


@pytest.mark.parametrize(
    "answer", [{}, {"access_token": None}, {"access_token": 7}, [], b"<html>", b"\xff", b""], ids=repr
)
def test_a_login_without_a_token_is_tried_again(api, actor, answer):
    """So answers what stands before an Airflow that is starting: a proxy, or another service."""
    api.login = answer
    with pytest.raises(DependencyError, match="201 without an access_token"):
        actor.switch_ingestion(on=True)
    api.login = None
    actor.switch_ingestion(on=True)
    assert api.paused == [False]


def test_a_run_that_is_there_stays_as_it_is(api, actor):
    for preset in ("fast", "default"):
        actor.start_run(TRAIN, command="a", parameters={"preset": preset})
    assert api.runs == {"command__a": {"dag": "model_training", "conf": {"preset": "fast"}}}


def test_any_id_of_a_command_gives_a_run_id_that_airflow_takes():
    assert run_id_of("retrain-7") == run_id_of("retrain-7") == "command__retrain-7"
    odd = {run_id_of(name) for name in ("Wien/7", "Wien 7", "x" * 201)}
    assert len(odd) == 3
    assert all(name.removeprefix("command__").isalnum() for name in odd)


def test_a_token_that_has_expired_is_renewed(api, actor):
    actor.start_run(TRAIN, command="a", parameters={})
    api.token = "second"
    actor.start_run(TRAIN, command="b", parameters={})
    assert (list(api.runs), api.logins) == (["command__a", "command__b"], 2)


def test_a_wrong_password_is_named(api):
    actor = AirflowActor(settings_of(api, password="guessed"))
    with pytest.raises(ConfigurationError, match=r"logging in was refused with 401\. Check the user's name"):
        actor.switch_ingestion(on=True)
    actor.close()
    with pytest.raises(ConfigurationError, match="LOAN_DEFAULT_AIRFLOW_PASSWORD must be set"):
        AirflowActor(Settings(airflow_url=api.url))


@pytest.mark.parametrize(
    ("status", "detail", "error"),
    [
        (HTTPStatus.FORBIDDEN, "Forbidden", ConfigurationError),
        (HTTPStatus.UNAUTHORIZED, "Not authenticated", ConfigurationError),
        (HTTPStatus.BAD_REQUEST, "Invalid input for param epochs: 0 is below 1", DataError),
        (HTTPStatus.UNPROCESSABLE_ENTITY, "dag_run_id: not a valid one", DataError),
        # A DAG that is not parsed yet, or cannot be parsed just now, is there later.
        (HTTPStatus.NOT_FOUND, "Dag with dag_id: 'model_training' not found", DependencyError),
        (HTTPStatus.BAD_REQUEST, "Dag with dag_id: 'x' has import errors and cannot", DependencyError),
        (HTTPStatus.TOO_MANY_REQUESTS, "slower", DependencyError),
        (HTTPStatus.SERVICE_UNAVAILABLE, "away", DependencyError),
    ],
)
def test_an_answer_decides_whether_to_ask_again(api, actor, status, detail, error):
    actor.switch_ingestion(on=True)  # logged in
    api.broken, api.detail = status, detail
    with pytest.raises(error, match=str(status.value)):
        actor.start_run(TRAIN, command="a", parameters={})
    assert api.runs == {}


def test_what_airflow_repeats_of_a_request_is_in_no_message(api, actor):
    api.broken = HTTPStatus.UNPROCESSABLE_ENTITY
    for detail in (
        [{"loc": ["body", "password"], "msg": "too short", "input": {"password": PASSWORD}}],
        f"cannot read {{'password': '{PASSWORD}'}}",
    ):
        api.detail = detail
        with pytest.raises(DataError, match="422") as refused:
            actor.switch_ingestion(on=True)  # which logs in
        assert PASSWORD not in str(refused.value)


def test_a_refusal_of_airflow_names_the_rules_and_not_the_values(api, actor):
    actor.switch_ingestion(on=True)  # logged in
    api.broken = HTTPStatus.UNPROCESSABLE_ENTITY
    api.detail = [{"loc": ["body", "conf", "seed"], "msg": "must be a number", "input": "Jane Canary"}]
    with pytest.raises(DataError, match=r"422: body\.conf\.seed: must be a number$"):
        actor.start_run(TRAIN, command="a", parameters={"seed": "Jane Canary"})


def test_an_airflow_that_is_away_is_asked_again():
    with running_airflow_api() as gone:
        settings = settings_of(gone)
    actor = AirflowActor(settings)
    with pytest.raises(
        DependencyError, match=r"^Cannot reach Airflow: .* failed: \w+\. Is its api-server running"
    ):
        actor.switch_ingestion(on=True)
    actor.close()


@pytest.mark.parametrize(
    ("kind", "parameters", "rule"),
    [
        (
            EVALUATE,
            {"rollback": True},
            r"evaluation.requested must be among replaces, version, however: 1 of 1 are",
        ),
        (TRAIN, {"seed": 1, "epoch": 3}, r"however: 1 of 2 are not\. Did you mean 'epochs'\?"),
        (ROLL_BACK, {"Jane Canary": 1}, r"must be among version, however: 1 of 1 are not"),
    ],
)
def test_a_parameter_that_the_command_does_not_have_is_refused(api, actor, kind, parameters, rule):
    with pytest.raises(DataError, match=rule) as refused:
        actor.start_run(kind, command="a", parameters=parameters)
    assert "Canary" not in str(refused.value)
    assert api.runs == {}


@pytest.mark.slow
def test_the_parameters_of_a_command_are_those_of_its_dag(dags):
    assert set(dags["model_training"].params) == PARAMETERS[TRAIN]
    assert set(dags["model_evaluation"].params) == PARAMETERS[EVALUATE] | {"rollback"}
    assert PARAMETERS[EVALUATE] == PARAMETERS[ROLL_BACK] | {"replaces"}

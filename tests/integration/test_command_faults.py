"""Commands on genuine servers: doubled, out of order, unknown, broken, and a listener that is killed."""

import random
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import orjson
import pytest
from integration.world import World, wait_until
from servers.airflow_api import PASSWORD, USERNAME, AirflowApi, running_airflow_api

from loan_default.kafka.control_events import Command, CommandType, FactType, fact, request
from loan_default.kafka.dead_letters import read_dead_letter
from loan_default.kafka.messages import Message
from loan_default.kafka.topics import COMMANDS, dead_letter_topic
from loan_default.pipelines.control.command_worker import GROUP

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
VALID = 30
JUNK = (b"retrain", None, b"[]", b"\xff", b'{"specversion":"1.0","id":"x","type":"drop.tables"}')


@pytest.fixture
def airflow() -> Iterator[AirflowApi]:
    with running_airflow_api() as api:
        yield api


@pytest.fixture
def login(airflow, monkeypatch):
    monkeypatch.setenv("LOAN_DEFAULT_AIRFLOW_URL", airflow.url)
    monkeypatch.setenv("LOAN_DEFAULT_AIRFLOW_USERNAME", USERNAME)
    monkeypatch.setenv("LOAN_DEFAULT_AIRFLOW_PASSWORD", PASSWORD)


def send(world: World, messages: list[Message]) -> None:
    producer = world.broker.producer()
    assert producer.deliver(messages).delivered == len(messages)
    producer.close()


def train(number: int) -> Message:
    command = Command(
        id=f"train-{number}", type=CommandType.TRAIN, source="risk", time=NOON, data={"seed": number}
    )
    message = request(command)
    if number % 2:
        return message
    typed = {"specversion": "1.0", "id": command.id, "type": command.type, "source": "risk"}
    return Message(  # as a console client sends it
        topic=COMMANDS,
        key=None,
        value=orjson.dumps(typed | {"time": "2026-11-25T12:00:00Z", "data": command.data}),
    )


def all_read(world: World) -> bool:
    done = {place: offset or 0 for place, offset in world.broker.committed(GROUP, COMMANDS).items()}
    return done == dict(world.broker.end_offsets(COMMANDS))


@pytest.mark.usefixtures("login")
def test_the_effects_are_those_of_the_distinct_valid_commands(world, airflow):
    messages = [train(number) for number in range(VALID)] * 3
    messages += [Message(topic=COMMANDS, key=b"junk", value=value) for value in JUNK]
    messages += [fact(FactType.TRAINED, version=f"v{number}", metrics={}) for number in range(5)]
    random.Random(0).shuffle(messages)
    send(world, messages)
    for point in ("command_done@3", "command_logged@5"):
        name, _, passing = point.partition("@")
        assert world.start("commands", failpoints=f"{name}=kill@{passing}").wait(60) == -signal.SIGKILL
    listener = world.start("commands")
    wait_until(lambda: all_read(world))
    listener.send_signal(signal.SIGTERM)
    assert listener.wait(60) == 0
    assert {name: run["conf"] for name, run in airflow.runs.items()} == {
        f"command__train-{number}": {"seed": number} for number in range(VALID)
    }
    dead_letters = [read_dead_letter(record) for record in world.records(dead_letter_topic(COMMANDS))]
    assert len({record.event for record in dead_letters}) == len(JUNK)
    assert all(record.reason for record in dead_letters)


@pytest.mark.usefixtures("login")
def test_switches_out_of_order_leave_the_ingestion_as_the_youngest_says(world, airflow):
    switches = [
        Command(
            id=f"switch-{minute}",
            type=CommandType.RESUME if minute == 9 else CommandType.PAUSE,
            source="risk",
            time=NOON + timedelta(minutes=minute),
            data={},
        )
        for minute in (1, 9, 4, 2, 9, 1)
    ]
    send(world, [request(each) for each in switches])
    listener = world.start("commands")
    wait_until(lambda: all_read(world))
    listener.send_signal(signal.SIGTERM)
    assert listener.wait(60) == 0
    assert airflow.paused == [True, False]


@pytest.mark.usefixtures("login")
def test_an_airflow_that_is_away_is_waited_for(world, airflow):
    airflow.broken = HTTPStatus.SERVICE_UNAVAILABLE
    send(world, [train(1)])
    listener = world.start("commands")
    wait_until(lambda: b"batch_waits" in (world.home / "commands.log").read_bytes())
    assert not all_read(world)
    airflow.broken = None
    wait_until(lambda: all_read(world))
    listener.send_signal(signal.SIGTERM)
    assert listener.wait(60) == 0
    assert list(airflow.runs) == ["command__train-1"]


def test_without_a_login_it_says_so_at_once(world):
    assert world.run("commands") == 2
    assert b"LOAN_DEFAULT_AIRFLOW_USERNAME" in (world.home / "commands.log").read_bytes()

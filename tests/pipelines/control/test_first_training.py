"""The first training is asked for once: with enough rows, without a champion."""

import pytest

from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.data.schema.schema_files import load_schema
from loan_default.data.sources.feeds import GeneratedFeed
from loan_default.database.documents import Champion
from loan_default.database.repositories import POINTERS
from loan_default.kafka.consuming import Polling, look
from loan_default.kafka.control_events import CommandType, read_command
from loan_default.kafka.topics import COMMANDS
from loan_default.pipelines.control.command_worker import CommandWorker
from loan_default.pipelines.control.first_training import FIRST_TRAINING, request_first_training
from loan_default.pipelines.ingestion.ingestion_steps import ingest_raw_data, process_raw_data
from loan_default.pipelines.services import Services


@pytest.fixture
def services(new_services) -> Services:
    return new_services(load_schema(BUNDLED_SCHEMA), Polling(poll_seconds=0.01, retry_budget_seconds=0.5))


def ingest(services, tmp_path, rows):
    ingest_raw_data(services, GeneratedFeed(services.schema, rows=rows, seed=0, state=tmp_path / "feed.json"))
    process_raw_data(services)


def records(services):
    consumer = services.broker.consumer("test", [COMMANDS])
    found = list(look(consumer, ends=services.broker.end_offsets(COMMANDS)))
    consumer.close()
    return found


def requests(services):
    return [read_command(record) for record in records(services)]


class Starts:
    """Notes the runs that it is to start."""

    def __init__(self):
        self.runs = []

    def start_run(self, pipeline, *, command, parameters):
        self.runs.append(command)

    def switch_ingestion(self, *, on):
        raise AssertionError(on)


@pytest.mark.slow
def test_it_waits_for_as_many_rows_as_a_model_is_evaluated_on(services, tmp_path):
    ingest(services, tmp_path, 90)
    assert not request_first_training(services, minimum_rows=20)
    assert requests(services) == []
    ingest(services, tmp_path, 10)
    assert request_first_training(services, minimum_rows=20)
    (command,) = requests(services)
    assert (command.id, command.type, command.data) == (FIRST_TRAINING, CommandType.TRAIN, {})


@pytest.mark.slow
def test_one_that_was_done_is_not_asked_for_again(services, tmp_path):
    ingest(services, tmp_path, 50)
    for _ in range(2):  # the listener is away
        assert request_first_training(services, minimum_rows=10)
    starts = Starts()
    CommandWorker(services, starts)(records(services))
    assert starts.runs == [FIRST_TRAINING]
    assert not request_first_training(services, minimum_rows=10)


@pytest.mark.slow
def test_without_a_champion_it_is_asked_for_again_when_twice_as_much_is_there(services, tmp_path):
    for _ in range(3):  # the listener is away: however much comes meanwhile, one training is asked for
        ingest(services, tmp_path, 50)
        assert request_first_training(services, minimum_rows=10)
    assert {command.id for command in requests(services)} == {FIRST_TRAINING}
    work_off = CommandWorker(services, Starts())
    work_off(records(services))
    ingest(services, tmp_path, 149)
    assert not request_first_training(services, minimum_rows=10)
    ingest(services, tmp_path, 1)
    assert request_first_training(services, minimum_rows=10)
    assert requests(services)[-1].id == f"{FIRST_TRAINING}-2"
    work_off(records(services))
    assert not request_first_training(services, minimum_rows=10)


def test_a_stack_with_a_champion_needs_none(services, tmp_path):
    ingest(services, tmp_path, 50)
    services.database[POINTERS].insert_one(Champion(version="1", digest="ab" * 32, rev=1).to_store())
    assert not request_first_training(services, minimum_rows=10)
    assert requests(services) == []

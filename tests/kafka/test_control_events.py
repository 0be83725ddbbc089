"""Requests and facts, in both modes of CloudEvents."""

from datetime import UTC, datetime

import orjson
import pytest

from loan_default.errors import DataError
from loan_default.kafka.control_events import Command, CommandType, FactType, fact, read_command, request
from loan_default.kafka.messages import Headers, Partition, Record
from loan_default.kafka.topics import COMMANDS

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
COMMAND = Command(id="retrain-7", type=CommandType.TRAIN, source="risk", time=NOON, data={"preset": "fast"})
TYPED = {
    "specversion": "1.0",
    "id": "retrain-7",
    "type": "training.requested",
    "source": "risk",
    "time": "2026-11-25T12:00:00Z",
    "data": {"preset": "fast"},
}


def record(value: bytes | None, headers: Headers = ()) -> Record:
    return Record(Partition(COMMANDS, 0), 7, None, value, headers)


def typed(**changes: object) -> Record:
    left = {name: value for name, value in (TYPED | changes).items() if value is not ...}
    return record(orjson.dumps(left))


def test_a_request_is_read_as_it_was_sent():
    message = request(COMMAND)
    assert read_command(record(message.value, message.headers)) == COMMAND


def test_what_a_person_types_is_the_same_request():
    assert read_command(typed()) == COMMAND
    assert read_command(typed(data=...)) == COMMAND._replace(data={})


def test_facts_ask_for_nothing_and_are_the_same_when_published_again():
    first, again = (
        fact(FactType.PROMOTED, version="v1", occasion="3", metrics={"auc": 0.78}) for _ in range(2)
    )
    assert read_command(record(first.value, first.headers)) is None
    assert dict(first.headers)["ce_id"] == dict(again.headers)["ce_id"] == b"model.promoted/v1/3"
    assert orjson.loads(first.value or b"") == {"version": "v1", "auc": 0.78}
    trained = fact(FactType.TRAINED, version="v1", metrics={})
    assert dict(trained.headers)["ce_id"] == b"model.trained/v1"


def test_what_happens_to_a_model_again_is_another_fact():
    long = "scheduled__" + "x" * 240
    occasions = ("3", "5", "manual__2026-11-25T12:00:00+00:00", long, long + "y")
    facts = [fact(FactType.REJECTED, version="v1", occasion=each, metrics={}) for each in occasions]
    assert len({dict(each.headers)["ce_id"] for each in facts}) == len(occasions)
    for each in facts:
        assert read_command(record(each.value, each.headers)) is None


def test_all_keep_their_order():
    assert request(COMMAND).key == fact(FactType.TRAINED, version="v1", metrics={}).key


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (record(None), "the value must be there"),
        (record(b""), "it is empty"),
        (record(b"retrain please"), "must be JSON in UTF-8"),
        (record(b'["training.requested"]'), "another kind of JSON"),
        (typed(specversion=...), "specversion must be 1.0"),
        (typed(specversion="0.3"), "specversion must be 1.0"),
        (typed(id=...), "ce_id must be there"),
        (typed(id=""), "ce_id must have 1 to 200"),
        (typed(id=7), "ce_id must be there"),
        (typed(id="x" * 201), "ce_id must have 1 to 200"),
        (typed(time="noon"), "ce_time must be a time"),
        (typed(time="2026-11-25T12:00:00"), "ce_time must name its time zone"),
        (typed(data=["fast"]), "data must be a JSON object"),
        (typed(type="training.request"), "Did you mean 'training.requested'?"),
        (typed(type="rm -rf"), "the type must be one of"),
    ],
)
def test_what_is_no_command_is_refused_by_its_rule(broken, rule):
    with pytest.raises(DataError, match=rule.replace("(", r"\(").replace("?", r"\?")) as refused:
        read_command(broken)
    assert "rm -rf" not in str(refused.value)

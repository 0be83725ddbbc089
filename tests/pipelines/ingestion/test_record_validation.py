"""What becomes of one record of `raw_data`: accepted in canonical form, or rejected by its rules."""

from datetime import UTC, datetime

import pytest

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.kafka.events import Event, EventType, to_message
from loan_default.kafka.messages import Partition, Record
from loan_default.kafka.topics import RAW
from loan_default.pipelines.ingestion.record_validation import RecordValidator

SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="income", kind=Kind.NUMERICAL, minimum=0),
        Column(name="purpose", kind=Kind.CATEGORICAL, categories=("car", "house")),
        Column(name="bad", kind=Kind.TARGET, positive="yes", negative="no"),
    ),
)
SOUND = b'{"income":1,"purpose":"CAR"}'


def record(value: bytes | None, *, kind: EventType = EventType.RECEIVED, offset: int = 0) -> Record:
    time = datetime(2026, 1, 1, tzinfo=UTC)
    event = Event(id=f"e{offset}", type=kind, source="t", time=time, subject="a", schema="", data={})
    message = to_message(event, RAW)
    return Record(Partition(RAW, 0), offset, message.key, value, message.headers)


def test_each_record_has_its_own_answer_in_the_order_they_came():
    values = [SOUND, b"{", b'{"income":-1,"purpose":"Canary"}', SOUND]
    records = [record(value, offset=offset) for offset, value in enumerate(values)]
    answers = RecordValidator(SCHEMA)(records)
    assert [answer.record for answer in answers] == records
    assert [answer.event_id for answer in answers] == ["e0", "e1", "e2", "e3"]
    assert answers[0].canonical == answers[3].canonical == {"income": 1.0, "purpose": "car", "bad": None}
    assert [bool(answer.reason) for answer in answers] == [False, True, True, False]
    assert answers[1].event is None
    assert answers[2].canonical is None
    assert answers[2].reason == "income: must be at least 0; purpose: must be one of car, house"


@pytest.mark.parametrize(("text", "label"), [(b'"YES"', 1.0), (b'"no"', 0.0)])
def test_an_outcome_has_the_label_that_its_text_means(text, label):
    (answer,) = RecordValidator(SCHEMA)([record(b'{"bad":' + text + b"}", kind=EventType.OUTCOME)])
    assert (answer.canonical, answer.reason) == ({"label": label}, "")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b'{"bad":null}', "an outcome must say what became of the application"),
        (b'{"bad":"Canary"}', "an outcome must be one of no, yes"),
        (b"{}", "an outcome must name the target of the schema and nothing else"),
        (b'{"bad":"yes","income":1}', "an outcome must name the target of the schema and nothing else"),
    ],
)
def test_an_unusable_outcome_is_rejected_by_its_rule_without_its_value(value, reason):
    (answer,) = RecordValidator(SCHEMA)([record(value, kind=EventType.OUTCOME)])
    assert (answer.canonical, answer.reason) == (None, reason)


def test_an_event_of_another_type_is_rejected():
    (answer,) = RecordValidator(SCHEMA)([record(SOUND, kind=EventType.PROCESSED)])
    assert answer.canonical is None
    assert answer.reason.startswith("the header ce_type must be ")


def test_a_schema_without_a_target_takes_no_outcomes():
    schema = Schema(name="s", columns=SCHEMA.columns[:2])
    (answer,) = RecordValidator(schema)([record(b'{"bad":"yes"}', kind=EventType.OUTCOME)])
    assert answer.reason == "an outcome must name the target of the schema and nothing else"


def test_a_record_that_is_no_event_is_named_after_its_offset():
    (answer,) = RecordValidator(SCHEMA)([Record(Partition(RAW, 3), 7, None, SOUND, ())])
    assert answer.event_id.startswith("raw_data-3-")
    assert answer.event is None
    assert answer.reason == "the header ce_id must be there"


def test_no_records_have_no_answers():
    assert RecordValidator(SCHEMA)([]) == []

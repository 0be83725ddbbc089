"""Outcomes over HTTP: events on `raw_data`, all of a request or none."""

import pytest

from loan_default.kafka.messages import Record
from loan_default.kafka.topics import RAW


def records_of(messages):
    return [
        Record(
            topic=each.topic, partition=0, offset=number, key=each.key, value=each.value, headers=each.headers
        )
        for number, each in enumerate(messages)
    ]


def test_outcomes_become_events(served):
    body = [
        {"application": "p-1", "outcome": "1", "observed_at": "2026-01-31T12:00:00Z"},
        {"application": "p-2", "outcome": "0"},
    ]
    response = served.client.post("/v1/outcomes", json=body)
    assert response.status_code == 202
    first, second = served.shelf.outcomes
    assert (first.topic, first.key) == (RAW, b"p-1")
    assert dict(first.headers)["ce_type"] == b"outcome.observed"
    assert dict(first.headers)["ce_time"] == b"2026-01-31T12:00:00+00:00"
    assert second.value == b'{"default":"0"}'
    assert response.json()["events"] == [dict(each.headers)["ce_id"].decode() for each in (first, second)]


def test_a_request_that_comes_again_under_its_key_is_the_same_events(served):
    headers, body = {"Idempotency-Key": "k"}, {"application": "p-1", "outcome": "1"}
    events = [served.client.post("/v1/outcomes", json=body, headers=headers).json() for _ in range(2)]
    assert events[0] == events[1]
    other = served.client.post("/v1/outcomes", json=body | {"outcome": "0"}, headers=headers).json()
    assert other != events[0]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"application": "p", "outcome": "CANARY"}, "outcome"),
        ({"application": "p", "outcome": None}, "outcome"),
        ({"application": "p", "outcome": 1}, "outcome"),
        ({"application": "p", "outcome": True}, "outcome"),
        ({"application": {"$ne": None}, "outcome": "1"}, "application"),
        ({"application": "", "outcome": "1"}, "application"),
        ({"application": "a\nb", "outcome": "1"}, "application"),
        ({"application": "p" * 201, "outcome": "1"}, "application"),
        ({"application": "p", "outcome": "1", "observed_at": "2026-01-31"}, "observed_at"),
        ({"application": "p", "outcome": "1", "observed_at": "2999-01-31T00:00:00Z"}, "observed_at"),
        ({"application": "p", "outcome": "1", "CANARY": 1}, None),
        ("CANARY", None),
    ],
)
def test_an_outcome_that_breaks_a_rule_is_refused_with_all_others(served, row, field):
    response = served.client.post("/v1/outcomes", json=[{"application": "q", "outcome": "1"}, row])
    assert response.status_code == 422
    (error,) = response.json()["errors"]
    assert (error.get("field"), error["row"]) == (field, 1)
    assert "CANARY" not in response.text
    assert served.shelf.outcomes == []


def test_what_cannot_be_kept_is_503(served):
    served.shelf.away = True
    response = served.client.post("/v1/outcomes", json={"application": "p", "outcome": "1"})
    assert response.status_code == 503
    assert "mongodb" not in response.text

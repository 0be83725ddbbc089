"""Keys of requests that come again: what may be one, and whose it is."""

import asyncio

import pytest

from loan_default.serving.http.idempotency import AnsweredRequests, identity_of
from loan_default.serving.http.problems import Problem


def identity(key="k", client="a", body=b"{}"):
    return identity_of(key, client=client, body=body)


def test_a_key_names_the_events_of_one_client():
    assert identity() == identity()
    assert identity().event != identity(client="b").event
    assert identity().name == identity(body=b"[]").name
    assert identity().event != identity(body=b"[]").event
    assert identity_of(None, client="a", body=b"") is None


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "é", "a\n"])
def test_a_key_must_be_printable_and_short(key):
    with pytest.raises(Problem):
        identity(key)


def test_what_was_forgotten_is_new_and_the_oldest_are_dropped(monkeypatch):
    monkeypatch.setattr("loan_default.serving.http.idempotency._REMEMBERED", 2)

    async def scenario():
        answered = AnsweredRequests()
        waiting = answered.begin(identity("1"))
        answered.forget(identity("1"))
        assert waiting.cancelled()
        assert answered.find(identity("1")) is None
        for key in ("2", "3", "4"):
            answered.begin(identity(key))
            answered.finish(identity(key), b"")
        return [answered.find(identity(key)) is not None for key in ("2", "3", "4")]

    assert asyncio.run(scenario()) == [False, True, True]


def test_answers_are_bounded_by_bytes_and_those_to_come_are_never_dropped(monkeypatch):
    monkeypatch.setattr("loan_default.serving.http.idempotency._REMEMBERED_BYTES", 10)

    async def scenario():
        answered = AnsweredRequests()
        for key in ("first", "1", "2", "3"):
            answered.begin(identity(key))
        for key in ("1", "2", "3"):
            answered.finish(identity(key), b"12345")
        return [answered.find(identity(key)) is not None for key in ("first", "1", "2", "3")]

    assert asyncio.run(scenario()) == [True, False, True, True]

"""Bodies: limits of size and time, and JSON that means one thing."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request

from loan_default.serving.http.json_bodies import parse_json, read_body
from loan_default.serving.http.problems import Problem

VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
)
OBJECTS = st.dictionaries(st.text(max_size=5), VALUES | st.text(max_size=8), max_size=6)


def request_of(*chunks: bytes, headers: dict[str, str] | None = None, pause: float = 0.0) -> Request:
    """A request whose body comes in chunks; an empty last one ends it, no chunk is a client that has gone."""
    waiting = list(chunks)

    async def receive():
        await asyncio.sleep(pause)
        if not waiting:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    named = {"content-type": "application/json"} | (headers or {})
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    return Request({"type": "http", "method": "POST", "headers": raw}, receive)


def read(request: Request, *, most_bytes: int = 10, seconds: float = 5.0) -> bytes:
    return asyncio.run(read_body(request, most_bytes=most_bytes, seconds=seconds))


def refused(request: Request, **limits) -> int:
    with pytest.raises(Problem) as problem:
        read(request, **limits)
    return problem.value.status


def test_a_body_is_read_in_one_chunk_or_in_several():
    assert read(request_of(b"0123456789")) == b"0123456789"
    assert read(request_of(b"0123", b"", b"456789", b"")) == b"0123456789"


def test_a_body_that_is_too_large_is_refused_declared_or_not_before_the_rest_comes():
    assert refused(request_of(b"x", headers={"content-length": "11"})) == 413
    assert refused(request_of(b"x", headers={"content-length": "-1"})) == 413
    assert refused(request_of(b"01234567890")) == 413
    endless = request_of(*[b"0123456"] * 1000)
    assert refused(endless) == 413
    assert len(read(endless, most_bytes=10_000)) > 6_900, (
        "all but the first chunks were read before the refusal"
    )


@pytest.mark.slow
def test_a_body_that_drips_is_refused_in_time():
    assert refused(request_of(*[b"x"] * 50, pause=0.02), seconds=0.1, most_bytes=1000) == 408


def test_a_body_must_be_declared_as_plain_json():
    assert refused(request_of(b"{}", headers={"content-type": "text/plain"})) == 415
    assert refused(request_of(b"{}", headers={"content-encoding": "gzip"})) == 415
    assert read(request_of(b"{}", headers={"content-type": "application/JSON; charset=utf-8"})) == b"{}"


def test_a_client_that_has_gone_is_no_problem_of_ours():
    with pytest.raises(ClientDisconnect):
        read(request_of())


@pytest.mark.parametrize(
    "body", [b"", b"{", b"NaN", b"[1e999]", b"-Infinity", b'"\xff"', b"{'a':1}", b"[1,]"]
)
def test_what_is_no_json_is_refused_without_a_value(body):
    with pytest.raises(Problem) as problem:
        parse_json(body)
    assert problem.value.status == 400


@pytest.mark.parametrize("body", [b'{"a":1,"a":1}', b'[{"b":":","a":1,"\\u0061":2}]', b'{"x":{"a":1,"a":2}}'])
def test_a_key_that_is_given_twice_is_refused(body):
    with pytest.raises(Problem) as problem:
        parse_json(body)
    assert problem.value.kind == "repeated-key"


def test_deep_nesting_is_refused():
    for depth in (5, 900, 100_000):
        with pytest.raises(Problem) as problem:
            parse_json(b"[" * depth + b"]" * depth)
        assert problem.value.status in (400, 422)
    assert parse_json(b"[[[[1]]]]") == [[[[1]]]]


@pytest.mark.slow
@given(st.lists(OBJECTS, max_size=4) | OBJECTS)
def test_whatever_is_json_is_read_as_the_standard_library_reads_it(value):
    assert parse_json(json.dumps(value).encode()) == value

"""Bodies of requests: read whole within limits of size and time, then parsed strictly as JSON."""

import asyncio
import json
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request

from loan_default.serving.http.problems import Problem

_DEEPEST = 4
"""Nested lists and objects; a list of applications with plain values has two."""
_JSON = "application/json"


async def read_body(request: Request, *, most_bytes: int, seconds: float) -> bytes:
    """The body of a request, whether its length is declared or it comes in chunks.

    Raises:
        Problem: 413 for more than `most_bytes`, before the rest is read; 408 where it is not there after
            `seconds`; 415 where it is not declared as JSON.
        ClientDisconnect: the client has gone.
    """
    headers = request.headers
    if headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
        raise Problem(415, "media-type", f"The header Content-Type must be {_JSON}.")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "media-type", "The body must be sent without a Content-Encoding.")
    declared = headers.get("content-length")
    if declared is not None and (not declared.isdecimal() or int(declared) > most_bytes):
        raise _too_large(most_bytes)
    message = await _receive(request, seconds)
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):  # most bodies come at once
        if len(body) > most_bytes:
            raise _too_large(most_bytes)
        return body
    chunks, total = [body], len(body)
    deadline = asyncio.get_running_loop().time() + seconds
    while message.get("more_body", False):
        if total > most_bytes:
            raise _too_large(most_bytes)
        message = await _receive(request, deadline - asyncio.get_running_loop().time())
        chunks.append(message.get("body", b""))
        total += len(chunks[-1])
    if total > most_bytes:
        raise _too_large(most_bytes)
    return b"".join(chunks)


def parse_json(body: bytes) -> Any:
    """A JSON value without NaN, infinite numbers, repeated keys or deep nesting.

    Raises:
        Problem: 400 where it is no such JSON; nothing of the body is in it.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Problem(
            400, "json", "The body must be JSON in UTF-8 with finite numbers, however: it cannot be read."
        ) from None
    # Each key has one colon outside of text. As many colons as keys: no key was given twice.
    if _count_keys(value, _DEEPEST) != body.count(b":"):
        _refuse_repeated_keys(body)
    return value


async def _receive(request: Request, seconds: float) -> Any:
    try:
        async with asyncio.timeout(max(seconds, 0)):
            message = await request.receive()
    except TimeoutError:
        raise Problem(
            408,
            "slow-body",
            "The body must arrive in time. Send it at once.",
            headers={"Connection": "close"},
        ) from None
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message


def _too_large(most_bytes: int) -> Problem:
    return Problem(
        413,
        "body-size",
        f"The body must have at most {most_bytes:,} bytes. Send fewer applications at once.",
        headers={"Connection": "close"},
    )


def _count_keys(value: Any, depth: int) -> int:
    """Number of keys of all objects in a value."""
    if isinstance(value, dict):
        inner, own = list(value.values()), len(value)
    elif isinstance(value, list):
        inner, own = value, 0
    else:
        return 0
    if not depth:
        raise Problem(422, "nesting", f"The body must have at most {_DEEPEST} levels of lists and objects.")
    for each in inner:
        if type(each) is dict or type(each) is list:
            own += _count_keys(each, depth - 1)
    return own


def _refuse_repeated_keys(body: bytes) -> None:
    def checked(pairs: list[tuple[str, Any]]) -> None:
        if len({key for key, _ in pairs}) != len(pairs):
            raise Problem(422, "repeated-key", "Each key of an object must be given once.")

    json.loads(body, object_pairs_hook=checked)

"""`POST /v1/scores`, `/v1/explanations` and `/v1/what-if`: through the limits and a queue to an answer."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from uuid import uuid4

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from loan_default.data.schema.records import RecordError
from loan_default.database.api_key_documents import KeyScope
from loan_default.database.serving_documents import Prediction
from loan_default.errors import ConfigurationError, DependencyError
from loan_default.serving.http.explanation_runs import explanation_content
from loan_default.serving.http.idempotency import identity_of
from loan_default.serving.http.json_bodies import parse_json, read_body
from loan_default.serving.http.parts import Parts, ready_lineup
from loan_default.serving.http.problems import Problem, broken_rules
from loan_default.serving.http.route_descriptions import EXPLANATIONS, SCORES, WHAT_IF
from loan_default.serving.http.row_queue import QueueFullError, QueueTimeoutError, RowQueue
from loan_default.serving.http.score_contents import (
    answered_predictions,
    json_response,
    prediction_content,
    score_content,
)
from loan_default.serving.http.score_runs import NotReadyError, ScoreJob
from loan_default.serving.http.what_ifs import read_what_if
from loan_default.serving.lineup import Lineup

J = TypeVar("J")
R = TypeVar("R")

_REPLAYED = {"Idempotency-Replayed": "true"}
_LOOKED_FOR = 16
"""Applications of a list of which none was scored before for it to be taken for new: a look-up for each of
1,000 would take longer than to score them."""


def score_routes(parts: Parts) -> APIRouter:
    """The routes that score."""
    routes = APIRouter()

    @routes.post("/v1/scores", **SCORES)
    async def scores(request: Request) -> Response:
        started = time.monotonic()
        caller = parts.access.check(request, KeyScope.SCORE)
        limits = parts.limits
        body = await read_body(request, most_bytes=limits.most_bytes, seconds=limits.body_seconds)
        parsed = parse_json(body)
        _check_rows(len(parsed) if isinstance(parsed, list) else 1, parts)
        parts.take_share(caller, len(parsed) if isinstance(parsed, list) else 1)
        identity = identity_of(request.headers.get("idempotency-key"), client=caller, body=body)
        if identity is None:
            new = _Asked(parsed, event=f"http-{uuid4().hex}", started=started)
            return json_response(await _score(parts, request, new, kept={}))
        known = parts.answered.find(identity)
        if known is not None:
            return json_response(await _repeated(known), headers=_REPLAYED)
        parts.answered.begin(identity)
        asked = _Asked(parsed, event=identity.event, started=started, digest=identity.digest)
        try:
            kept = await asyncio.to_thread(_kept, parts, asked.event_ids)
            content = await _score(parts, request, asked, kept=kept)
        except BaseException:
            parts.answered.forget(identity)
            raise
        parts.answered.finish(identity, content)
        return json_response(content, headers=_REPLAYED if len(kept) == len(asked.records) else None)

    @routes.post("/v1/explanations", **EXPLANATIONS)
    async def explanations(request: Request) -> Response:
        started = time.monotonic()
        caller = parts.access.check(request, KeyScope.SCORE)
        limits = parts.limits
        body = await read_body(request, most_bytes=limits.most_bytes, seconds=limits.body_seconds)
        application = parse_json(body)
        parts.take_share(caller, 1)
        event = f"http-{uuid4().hex}"
        job = ScoreJob(records=[application], event_ids=[event], started=started)
        result = await _submitted(parts, request, parts.explained, job, rows=1)
        (answered,) = result.scored.answers
        if isinstance(answered, RecordError):
            raise _refused(answered, result.scored.lineup)
        parts.mirror(result.scored)
        return json_response(orjson.dumps(explanation_content(result, 0)))

    @routes.post("/v1/what-if", **WHAT_IF)
    async def what_if(request: Request) -> Response:
        caller = parts.access.check(request, KeyScope.SCORE)
        limits = parts.limits
        body = await read_body(request, most_bytes=limits.most_bytes, seconds=limits.body_seconds)
        lineup = ready_lineup(parts)
        asked = read_what_if(parse_json(body), lineup.champion.schema)
        parts.take_share(caller, len(asked.values))
        result = await _submitted(parts, request, parts.what_if, asked, rows=len(asked.values))
        if isinstance(result, RecordError):
            raise _refused(result, lineup)
        return json_response(orjson.dumps(result))

    return routes


def _check_rows(rows: int, parts: Parts) -> None:
    most = parts.limits.most_rows
    if rows > most:
        raise Problem(
            413, "rows", f"A request must have at most {most:,} applications. Send several requests."
        )
    if not rows:
        raise Problem(422, "rows", "The body must hold an application, or a list of at least one.")


class _Asked:
    """One application or a list of them, with ids for their events."""

    def __init__(self, parsed: Any, *, event: str, started: float, digest: str | None = None) -> None:
        self.is_list, self.started, self.digest = isinstance(parsed, list), started, digest
        self.records: Sequence[Any] = parsed if self.is_list else [parsed]
        numbers = range(len(self.records))
        self.event_ids = [f"{event}-{number}" for number in numbers] if self.is_list else [event]


async def _score(parts: Parts, request: Request, asked: _Asked, *, kept: Mapping[str, Prediction]) -> bytes:
    """Score what was asked and is not kept by an event's id; the content of the answer to all of it."""
    contents = {event: prediction_content(prediction) for event, prediction in kept.items()}
    missing = [each for each in zip(asked.event_ids, asked.records, strict=True) if each[0] not in kept]
    if missing:
        job = ScoreJob(
            records=[record for _, record in missing],
            event_ids=[event for event, _ in missing],
            request_digest=asked.digest,
            started=asked.started,
        )
        lane = parts.small if len(missing) <= parts.limits.small_rows else parts.large
        result = await _submitted(parts, request, lane, job, rows=len(missing))
        parts.mirror(result)
        for event, each in zip(job.event_ids, result.answers, strict=True):
            if not isinstance(each, RecordError):
                contents[event] = score_content(each, result.lineup)
            elif asked.is_list:
                contents[event] = {"errors": broken_rules(each.rules, result.lineup.champion.schema)}
            else:
                raise _refused(each, result.lineup)
    in_order = [contents[event] for event in asked.event_ids]
    if not asked.is_list:
        return orjson.dumps(in_order[0])
    refused = sum("errors" in each for each in in_order)
    return orjson.dumps({"scores": in_order, "scored": len(in_order) - refused, "refused": refused})


def _refused(error: RecordError, lineup: Lineup) -> Problem:
    return Problem(
        422,
        "application",
        "The application breaks rules of the model's schema, which GET /v1/schema describes.",
        errors=broken_rules(error.rules, lineup.champion.schema),
    )


async def _submitted(parts: Parts, request: Request, lane: RowQueue[J, R], job: J, *, rows: int) -> R:
    """The result of a job; a client that goes away takes its job out of the queue."""
    is_alone = not lane.rows
    try:
        future = lane.submit(job, rows=rows)
        if is_alone:  # it runs already: watching the client would cost more than it saves
            return await future
        return await _unless_gone(request, future)
    except (QueueFullError, QueueTimeoutError):
        parts.telemetry.shed.labels("queue").inc()
        raise Problem(503, "busy", "Too many applications wait. Try again later.", retry_after=1) from None
    except NotReadyError:
        raise Problem(503, "not-ready", "No model is loaded yet. Try again later.", retry_after=2) from None
    except ConfigurationError:
        raise Problem(
            409, "no-reasons", "The model that answers cannot explain its PDs. Ask /v1/scores for the score."
        ) from None
    except DependencyError:
        parts.telemetry.shed.labels("spool").inc()
        raise Problem(
            503,
            "cannot-keep",
            "Predictions cannot be kept now, so none is given. Try again later.",
            retry_after=5,
        ) from None


async def _unless_gone(request: Request, future: "asyncio.Future[R]") -> R:
    """The result, or CancelledError where the client goes away before it is there."""

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        future.cancel()

    watching = asyncio.create_task(watch())
    try:
        return await future
    finally:
        watching.cancel()


async def _repeated(known: "asyncio.Future[bytes]") -> bytes:
    try:
        return await asyncio.shield(known)
    except asyncio.CancelledError:
        if not known.cancelled():
            raise
        raise Problem(
            409,
            "idempotency-key",
            "The first request under the Idempotency-Key failed. Send it again.",
            retry_after=1,
        ) from None


def _kept(parts: Parts, event_ids: Sequence[str]) -> dict[str, Prediction]:
    """The answers that an earlier process, or a model before, gave to the same request, by event.

    While the store is away nobody can look: the request is scored again. The same version gives the same PD,
    of which the first write stands; that of another version is a prediction of its own.
    """
    kept: dict[str, Prediction] = {}
    for number, event in enumerate(event_ids):
        if number == _LOOKED_FOR and not kept:
            break
        try:
            found = answered_predictions(parts.stores.predictions_of(event))
        except DependencyError:
            break
        if found:
            kept[event] = found[0]
    return kept

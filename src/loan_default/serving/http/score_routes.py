"""`POST /v1/scores` and `POST /v1/what-if`: through the limits and a queue to an answer."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import uuid4

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from loan_default.data.schema.records import RecordError
from loan_default.database.api_key_documents import KeyScope
from loan_default.errors import DependencyError
from loan_default.serving.http.idempotency import RequestIdentity, check_same, identity_of
from loan_default.serving.http.json_bodies import parse_json, read_body
from loan_default.serving.http.parts import Parts, ready_lineup
from loan_default.serving.http.problems import Problem, broken_rules
from loan_default.serving.http.route_descriptions import SCORES, WHAT_IF
from loan_default.serving.http.row_queue import QueueFullError, QueueTimeoutError, RowQueue
from loan_default.serving.http.score_contents import (
    answered_predictions,
    json_response,
    prediction_content,
    score_content,
)
from loan_default.serving.http.score_runs import NotReadyError, ScoreJob, ScoreResult
from loan_default.serving.http.what_ifs import read_what_if
from loan_default.serving.lineup import Lineup

J = TypeVar("J")
R = TypeVar("R")

_REPLAYED = {"Idempotency-Replayed": "true"}


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
        records = parsed if isinstance(parsed, list) else [parsed]
        _check_rows(len(records), parts)
        parts.take_share(caller, len(records))
        identity = identity_of(request.headers.get("idempotency-key"), client=caller, body=body)
        if identity is None:
            content = await _score(parts, request, parsed, event=f"http-{uuid4().hex}", started=started)
            return json_response(content)
        known = parts.answered.find(identity)
        if known is not None:
            return json_response(await _repeated(known), headers=_REPLAYED)
        answered = parts.answered.begin(identity)
        try:
            kept = await _kept(parts, identity, parsed)
            content = kept or await _score(
                parts, request, parsed, event=identity.event, started=started, digest=identity.digest
            )
        except BaseException:
            parts.answered.forget(identity)
            raise
        answered.set_result(content)
        return json_response(content, headers=_REPLAYED if kept else None)

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


async def _score(
    parts: Parts, request: Request, parsed: Any, *, event: str, started: float, digest: str | None = None
) -> bytes:
    """Score one application or a list of them; the content of the answer."""
    is_list = isinstance(parsed, list)
    records: Sequence[Any] = parsed if is_list else [parsed]
    job = ScoreJob(
        records=records,
        event_ids=[f"{event}-{number}" for number in range(len(records))] if is_list else [event],
        request_digest=digest,
        started=started,
    )
    lane = parts.small if len(records) <= parts.limits.small_rows else parts.large
    result = await _submitted(parts, request, lane, job, rows=len(records))
    parts.mirror(result)
    if is_list:
        return orjson.dumps(_list_content(result))
    (answer,) = result.answers
    if isinstance(answer, RecordError):
        raise _refused(answer, result.lineup)
    return orjson.dumps(score_content(answer, result.lineup))


def _list_content(result: ScoreResult) -> dict[str, Any]:
    schema = result.lineup.champion.schema
    scores: list[dict[str, Any]] = [
        {"errors": broken_rules(each.rules, schema)}
        if isinstance(each, RecordError)
        else score_content(each, result.lineup)
        for each in result.answers
    ]
    refused = sum(isinstance(each, RecordError) for each in result.answers)
    return {"scores": scores, "scored": len(scores) - refused, "refused": refused}


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


async def _kept(parts: Parts, identity: RequestIdentity, parsed: Any) -> bytes | None:
    """The answer that an earlier process gave to the same request, from what was kept of it.

    While the store is away nobody can look: the request is scored, and the first write of its id stands.
    """
    is_list = isinstance(parsed, list)
    events = [f"{identity.event}-{number}" for number in range(len(parsed))] if is_list else [identity.event]
    contents: list[dict[str, Any]] = []
    for event in events:
        try:
            found = answered_predictions(await asyncio.to_thread(parts.stores.predictions_of, event))
        except DependencyError:
            return None
        if not found:  # nothing was kept, or an application was refused
            return None
        check_same(found[0].request_digest, identity)
        contents.append(prediction_content(found[0]))
    return orjson.dumps(
        {"scores": contents, "scored": len(contents), "refused": 0} if is_list else contents[0]
    )

"""`POST /v1/outcomes`: what became of an application."""

import asyncio
from datetime import UTC, datetime

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from loan_default.database.api_key_documents import KeyScope
from loan_default.errors import DependencyError
from loan_default.serving.http.idempotency import identity_of
from loan_default.serving.http.json_bodies import parse_json, read_body
from loan_default.serving.http.outcome_events import outcome_events, outcome_messages
from loan_default.serving.http.parts import Parts, ready_lineup
from loan_default.serving.http.problems import Problem
from loan_default.serving.http.route_descriptions import OUTCOMES


def outcome_routes(parts: Parts) -> APIRouter:
    """The route that takes outcomes."""
    routes = APIRouter()

    @routes.post("/v1/outcomes", status_code=202, **OUTCOMES)
    async def outcomes(request: Request) -> Response:
        caller = parts.access.check(request, KeyScope.OUTCOME)
        limits = parts.limits
        body = await read_body(request, most_bytes=limits.most_bytes, seconds=limits.body_seconds)
        parsed = parse_json(body)
        if isinstance(parsed, list) and len(parsed) > limits.most_rows:
            raise Problem(413, "rows", f"A request must have at most {limits.most_rows:,} outcomes.")
        parts.take_share(caller, len(parsed) if isinstance(parsed, list) else 1)
        identity = identity_of(
            request.headers.get("idempotency-key"), client=f"outcomes\0{caller}", body=body
        )
        events = outcome_events(
            parsed,
            ready_lineup(parts).champion.schema,
            named=None if identity is None else identity.event,
            now=datetime.now(UTC),
        )
        try:
            await asyncio.to_thread(parts.stores.send_outcomes, outcome_messages(events))
        except DependencyError:
            raise Problem(
                503, "cannot-keep", "Outcomes cannot be kept now. Send them again later.", retry_after=5
            ) from None
        parts.telemetry.outcomes.inc(len(events))
        content = {"events": [event.id for event in events]}
        return Response(orjson.dumps(content), status_code=202, media_type="application/json")

    return routes

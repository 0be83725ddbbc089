"""`GET /v1/models`, `/v1/models/champion`, `/v1/schema`, `/v1/predictions/{id}`: what there is to read."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from loan_default.database.api_key_documents import KeyScope
from loan_default.errors import DependencyError
from loan_default.limits import LONGEST_ID
from loan_default.serving.http.parts import Parts, ready_lineup
from loan_default.serving.http.problems import Problem
from loan_default.serving.http.record_schema import application_schema
from loan_default.serving.http.route_descriptions import CHAMPION, MODELS, PREDICTION, SCHEMA
from loan_default.serving.http.score_contents import answered_predictions, json_response, prediction_content
from loan_default.serving.http.usual_values import usual_values

T = TypeVar("T")


def model_routes(parts: Parts) -> APIRouter:
    """The routes that read."""
    routes = APIRouter()
    described: dict[str, bytes] = {}  # digest of the champion -> its schema, which takes long to describe

    @routes.get("/v1/models", **MODELS)
    async def models(request: Request) -> Response:
        parts.access.check(request, KeyScope.READ)
        listed = await _from_store(parts.stores.models)
        return json_response(orjson.dumps({"models": list(listed)}))

    @routes.get("/v1/models/champion", **CHAMPION)
    async def champion(request: Request) -> Response:
        parts.access.check(request, KeyScope.READ, KeyScope.SCORE)
        lineup = ready_lineup(parts)
        scorer, trial = lineup.champion, lineup.trial
        content: dict[str, Any] = {
            "version": scorer.version,
            "digest": scorer.digest,
            "schema": scorer.schema.name,
            "schema_digest": scorer.schema.digest,
            "experiment": None
            if trial is None
            else {
                "id": trial.id,
                "mode": str(trial.mode),
                "share": trial.share,
                "challenger": trial.challenger.version,
            },
        }
        return json_response(orjson.dumps(content))

    @routes.get("/v1/schema", **SCHEMA)
    async def schema(request: Request) -> Response:
        parts.access.check(request, KeyScope.READ, KeyScope.SCORE)
        scorer = ready_lineup(parts).champion
        if scorer.digest not in described:
            content = application_schema(scorer.schema, usual=usual_values(scorer))
            described.clear()
            described[scorer.digest] = orjson.dumps(content)
        return Response(described[scorer.digest], media_type="application/schema+json")

    @routes.get("/v1/predictions/{id}", **PREDICTION)
    async def prediction(request: Request) -> Response:
        parts.access.check(request, KeyScope.READ)
        event = request.path_params["id"]
        if len(event) > LONGEST_ID or not event.isprintable():
            raise Problem(422, "prediction", f"An id must have at most {LONGEST_ID} printable characters.")
        found = answered_predictions(await _from_store(lambda: parts.stores.predictions_of(event)))
        if not found:
            raise Problem(
                404, "prediction", "No prediction has that id; it may have been deleted by its age."
            )
        return json_response(orjson.dumps(prediction_content(found[0])))

    return routes


async def _from_store(read: Callable[[], T]) -> T:
    """What the document store holds; a Problem (503) while it is away. Scores are given all the same."""
    try:
        return await asyncio.to_thread(read)
    except DependencyError:
        raise Problem(
            503, "store", "The document store does not answer. Try again later.", retry_after=5
        ) from None

"""`/livez`, `/readyz` and `/metrics`: for whoever runs the server. They need no key and show no value."""

import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor

import orjson
import structlog
from fastapi import APIRouter
from starlette.responses import Response

from loan_default.errors import ArtifactError
from loan_default.serving.http.parts import Parts
from loan_default.serving.http.route_descriptions import LIVE, METRICS, READY
from loan_default.serving.lineup import Scorer

_LATE_SECONDS = 10.0
"""Age of the oldest prediction on the disk from which on the document store counts as away."""
_CHECK_SECONDS = 10.0
"""Time between two checks of the golden rows."""

log = structlog.get_logger()


def health_routes(parts: Parts) -> APIRouter:
    """The routes of probes and metrics."""
    routes = APIRouter()
    checks: dict[str, tuple[float, bool]] = {}
    # Requests that wait for the store or the broker may take all threads of asyncio's own.
    thread = ThreadPoolExecutor(1, thread_name_prefix="golden-rows")

    async def checked(champion: Scorer) -> bool:
        """Whether the champion still scores its golden rows; tried now and then, as it takes milliseconds."""
        at, is_sound = checks.get(champion.digest, (-math.inf, False))
        if time.monotonic() - at > _CHECK_SECONDS:
            is_sound = await asyncio.get_running_loop().run_in_executor(thread, _scores_golden_rows, champion)
            checks.clear()  # of the champions before
            checks[champion.digest] = (time.monotonic(), is_sound)
        return is_sound

    @routes.get("/livez", **LIVE)
    async def live() -> Response:
        return Response(b'{"status":"alive"}', media_type="application/json")

    @routes.get("/readyz", **READY)
    async def ready() -> Response:
        """503 where no score can be given. A store that is away is shown; scores are given all the same."""
        lineup = parts.lineup()
        has_room, lag = parts.stores.can_keep(), parts.stores.lag_seconds()
        is_ready = lineup is not None and has_room and await checked(lineup.champion)
        status = "ready" if is_ready and lag < _LATE_SECONDS else "degraded" if is_ready else "not ready"
        content = {
            "status": status,
            "model": None if lineup is None else lineup.champion.version,
            "predictions": "kept" if has_room else "refused",
            "spool_lag_seconds": round(lag, 3),
        }
        return Response(
            orjson.dumps(content), status_code=200 if is_ready else 503, media_type="application/json"
        )

    @routes.get("/metrics", **METRICS)
    async def metrics() -> Response:
        return Response(parts.telemetry.text(), media_type=parts.telemetry.content_type)

    return routes


def _scores_golden_rows(champion: Scorer) -> bool:
    try:
        champion.check_golden_rows()
    except ArtifactError as error:
        log.error("golden_rows_failed", version=champion.version, reason=str(error))  # noqa: TRY400 (no values)
        return False
    return True

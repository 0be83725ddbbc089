"""The application: FastAPI with the routes, the gate in front of them, and errors as problem details."""

from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from loan_default.database.api_key_documents import KeyScope
from loan_default.serving.http.health_routes import health_routes
from loan_default.serving.http.model_routes import model_routes
from loan_default.serving.http.openapi_document import openapi_document
from loan_default.serving.http.outcome_routes import outcome_routes
from loan_default.serving.http.parts import Parts
from loan_default.serving.http.problems import Problem, problem_response
from loan_default.serving.http.request_gate import Gate
from loan_default.serving.http.score_routes import score_routes

_FILES = {
    "/": ("index.html", "text/html"),
    "/page/page.css": ("page.css", "text/css"),
    "/page/page.js": ("page.js", "text/javascript"),
    "/page/curve.js": ("curve.js", "text/javascript"),
}
"""Path -> file of the page for people, and its media type."""
_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
}
_KINDS = {404: ("resource", "There is nothing under that path."), 405: ("method", "Use another method.")}


def create_app(parts: Parts, *, version: str) -> FastAPI:
    """The application of one server.

    Args:
        version: of the package, for the OpenAPI document.
    """
    # The pages of FastAPI's own documentation load scripts from elsewhere.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    for routes in (score_routes, outcome_routes, model_routes, health_routes):
        app.include_router(routes(parts))
    for path, (name, media_type) in _FILES.items():
        app.add_api_route(path, _file(name, media_type), include_in_schema=False)

    @app.get("/openapi.json", include_in_schema=False)
    async def document(request: Request) -> Response:
        parts.access.check(request, KeyScope.READ, KeyScope.SCORE)
        content = openapi_document(app, parts.lineup(), version=version)
        return Response(orjson.dumps(content), media_type="application/json")

    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _wrong_parameters)
    app.add_middleware(
        Gate,
        telemetry=parts.telemetry,
        check_share=parts.check_share,
        most_in_flight=parts.limits.most_in_flight,
        local_only=lambda: parts.access.is_open,
    )
    return app


def _file(name: str, media_type: str) -> Callable[[], Awaitable[Response]]:
    content = resources.files("loan_default.serving.http").joinpath("page", name).read_bytes()

    async def serve() -> Response:
        return Response(content, media_type=media_type, headers=_PAGE_HEADERS)

    return serve


def _problem(request: Request, error: Any) -> Response:
    return problem_response(error, request.state.request_id)


def _http_error(request: Request, error: Any) -> Response:
    kind, detail = _KINDS.get(error.status_code, ("request", "The request cannot be answered."))
    status = error.status_code if error.status_code in _KINDS else 400
    problem = Problem(status, kind, detail, headers=error.headers)
    return problem_response(problem, request.state.request_id)


def _wrong_parameters(request: Request, error: Any) -> Response:  # noqa: ARG001 (it quotes what was sent)
    problem = Problem(422, "parameters", "A parameter breaks its rule.")
    return problem_response(problem, request.state.request_id)

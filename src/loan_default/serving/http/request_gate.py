"""The outermost part of the application: ids, limits on hosts and concurrency, errors, headers, counts.

It is plain ASGI: Starlette's `BaseHTTPMiddleware` would start a task for each request.
"""

import re
import time
import traceback
from collections.abc import Callable, Collection
from uuid import uuid4

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loan_default.serving.http.problems import Problem, problem_response
from loan_default.serving.http.telemetry import Telemetry

log = structlog.get_logger()

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_GONE = 499
"""Status in the metrics of a request whose client did not wait."""
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Gate:
    """What every request passes.

    Args:
        check_share: raises a Problem for a caller that has used up its share.
        most_in_flight: requests at once; more are answered 503. Probes and metrics are not counted.
        local_only: answer only for the names of this machine, so that no page of another site can ask a
            server without keys through a browser (DNS rebinding).
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        telemetry: Telemetry,
        check_share: Callable[[Request], None],
        most_in_flight: int,
        local_only: Callable[[], bool],
    ) -> None:
        self._app, self._telemetry, self._check_share = app, telemetry, check_share
        self._most_in_flight, self._local_only = most_in_flight, local_only
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), _GONE
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        counted = scope["path"].startswith("/v1/")

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                    *_HEADERS,
                ]
            await send(message)

        self._in_flight += counted
        self._telemetry.in_flight.set(self._in_flight)
        try:
            self._check(scope, counted=counted)
            await self._app(scope, receive, send_with_headers)
        except Problem as problem:
            await problem_response(problem, request_id)(scope, receive, send_with_headers)
        except ClientDisconnect:
            status = _GONE
        except Exception as error:
            # The message of an error may hold a value; its type and its place do not.
            log.error(  # noqa: TRY400 (a trace shows messages)
                "request_failed", request_id=request_id, error=type(error).__name__, place=_place(error)
            )
            if status != _GONE:  # the answer has begun: closing the connection is all that is left
                raise
            fault = Problem(500, "fault", f"Report it with the request id {request_id}.")
            await problem_response(fault, request_id)(scope, receive, send_with_headers)
        finally:
            self._in_flight -= counted
            self._telemetry.in_flight.set(self._in_flight)
            route = getattr(scope.get("route"), "path", "other")
            self._telemetry.requests.labels(route, _method(scope), str(status)).inc()
            self._telemetry.seconds.labels(route).observe(time.perf_counter() - started)

    def _check(self, scope: Scope, *, counted: bool) -> None:
        if self._local_only():
            headers = dict(scope["headers"])
            host = _name(headers.get(b"host", b"").decode("latin-1"))
            origin = headers.get(b"origin", b"").decode("latin-1")
            if host not in _LOCAL_HOSTS or (origin and _name(origin.partition("://")[2]) not in _LOCAL_HOSTS):
                raise Problem(
                    421,
                    "host",
                    "A server without keys answers only for localhost. Add one with `loan-default keys add`.",
                )
        if counted:
            self._check_share(Request(scope))
        if counted and self._in_flight > self._most_in_flight:
            self._telemetry.shed.labels("in_flight").inc()
            raise Problem(
                503, "busy", "Too many requests are being answered. Try again later.", retry_after=1
            )


_METHODS: Collection[str] = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _method(scope: Scope) -> str:
    method = str(scope["method"])
    return method if method in _METHODS else "other"


def _name(host: str) -> str:
    """The name in `name:port` or `[address]:port`."""
    return re.sub(r":\d+$", "", host.strip().lower())


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(text := str(value, "latin-1")):
            return text
    return uuid4().hex


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "unknown"
    last = frames[-1]
    return f"{last.filename.rpartition('/')[2]}:{last.lineno}"

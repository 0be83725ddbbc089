"""Errors as problem details (RFC 9457): the rule and the field, never a value, a path or a stack."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from starlette.responses import Response

from loan_default.data.schema.language import Schema

MEDIA_TYPE = "application/problem+json"
_TITLES = {
    400: "The request cannot be read",
    401: "A key is needed",
    403: "The key may not do that",
    404: "There is no such resource",
    405: "The resource does not take that method",
    408: "The request took too long to arrive",
    409: "The request contradicts the state of the server",
    413: "The body is too large",
    415: "The body must be JSON",
    421: "The server does not answer for that host",
    422: "The request breaks a rule",
    429: "The key has used up its share",
    500: "The server has a fault",
    503: "The server cannot answer now",
}


class Problem(Exception):  # noqa: N818 (the name of the standard)
    """A request that is answered with problem details.

    Args:
        status: HTTP status.
        kind: ends the URN of its type; clients tell problems apart by it.
        detail: the rule and what to do, without a value of the request.
        errors: for each broken rule its `rule`, and where known its `field` and `row`.
        retry_after: seconds after which to try again; None = do not.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(kind)
        self.status, self.kind, self.detail, self.errors = status, kind, detail, tuple(errors)
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, round(retry_after + 0.5)))

    def content(self, request_id: str) -> dict[str, Any]:
        """The members of the problem as plain values."""
        content: dict[str, Any] = {
            "type": f"urn:loan-default:problem:{self.kind}",
            "title": _TITLES[self.status],
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
        }
        return content | ({"errors": list(self.errors)} if self.errors else {})


def problem_response(problem: Problem, request_id: str) -> Response:
    """The response to a request that is answered with a problem."""
    return Response(
        orjson.dumps(problem.content(request_id)),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=problem.headers,
    )


def broken_rules(rules: Iterable[str], schema: Schema) -> list[dict[str, str]]:
    """The rules of a `RecordError`, such as `income: must be at least 0`, as `field` and `rule`."""
    names = sorted((column.name for column in schema.columns), key=len, reverse=True)
    errors = []
    for rule in rules:
        # A name may hold a colon itself: the longest one that the rule begins with is meant.
        name = next((name for name in names if rule.startswith(f"{name}: ")), None)
        errors.append(
            {"rule": rule} if name is None else {"field": name, "rule": rule.removeprefix(f"{name}: ")}
        )
    return errors

"""What OpenAPI says of each route: its words, its parameters, its bodies and its answers.

Bodies name components, which `openapi_document` makes from the schema of the model that answers, with
examples.
"""

from collections.abc import Mapping
from typing import Any

_JSON = "application/json"
_PROBLEM = "application/problem+json"
_KEY: list[dict[str, list[str]]] = [{"key": []}]


def _ref(component: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{component}"}


def _one_or_list(component: str) -> dict[str, Any]:
    return {"oneOf": [_ref(component), {"type": "array", "minItems": 1, "items": _ref(component)}]}


def _answers(
    words: str, schema: Mapping[str, Any], *problems: int, media: str = _JSON, status: int = 200
) -> Any:
    retry = {
        "Retry-After": {"description": "Seconds after which to try again.", "schema": {"type": "integer"}}
    }
    answers: dict[str, Any] = {str(status): {"description": words, "content": {media: {"schema": schema}}}}
    for code in sorted({*problems, 500}):
        answers[str(code)] = {
            "description": _WORDS[code],
            "content": {_PROBLEM: {"schema": _ref("Problem")}},
            **({"headers": retry} if code in (429, 503) else {}),
        }
    return answers


_WORDS = {
    400: "The body is no JSON, or a header cannot be used.",
    401: "The key is missing, wrong, expired or revoked.",
    403: "The key lacks the scope.",
    404: "There is no such prediction.",
    408: "The body did not arrive in time.",
    409: "An earlier request under the same Idempotency-Key failed while this one waited for it; or the "
    "model that answers cannot explain its PDs.",
    413: "The body has too many bytes or rows.",
    415: "The body is not declared as JSON.",
    422: "A rule is broken; `errors` names rules, fields and rows, never a value.",
    429: "The key has used up its share.",
    500: "A fault of the server.",
    503: "The server is full or not ready.",
}
_BODY_PROBLEMS = (400, 401, 403, 408, 413, 415, 422, 429, 503)
_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A request that comes again with the same key and body is the same prediction, once. "
    "With another body it is refused by the process that answered first, and a request of its own elsewhere.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def _route(
    name: str, summary: str, words: str, answers: Any, *, security: Any = _KEY, **extra: Any
) -> dict[str, Any]:
    """Arguments of a route of FastAPI; all that OpenAPI shows is given, nothing is derived from types."""
    return {
        "operation_id": name,
        "summary": summary,
        "description": words,
        "openapi_extra": {"responses": answers, "security": security, **extra},
        "response_model": None,
    }


def _body(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {_JSON: {"schema": schema}}}}


SCORES = _route(
    "score",
    "Score one application or a list of them",
    "Each score is kept before it is given. In a list each application has a score or the rules that it "
    "breaks; one bad application changes nothing for the others.",
    _answers(
        "The score, or for a list the scores in its order.",
        {"anyOf": [_ref("Score"), _ref("ScoreList")]},
        *_BODY_PROBLEMS,
        409,
    ),
    parameters=[_IDEMPOTENCY],
    **_body(
        {
            "oneOf": [
                _ref("Application"),
                {
                    "type": "array",
                    "minItems": 1,
                    "description": "What is no application is answered with the rules that it breaks.",
                    "items": {"anyOf": [_ref("Application"), {}]},
                },
            ]
        }
    ),
)
EXPLANATIONS = _route(
    "explain",
    "Score one application, with the reasons for its PD",
    "At most four columns that raised the PD against a reference population, in words of the schema, and how "
    "far contributions and PD are apart. Above the cut-off comes a what-if besides: the smallest change of "
    "one column that would cross it, and no promise. The score is kept with its reasons before it is given.",
    _answers("The score and its reasons.", _ref("Explanation"), *_BODY_PROBLEMS, 409),
    **_body(_ref("Application")),
)
WHAT_IF = _route(
    "whatIf",
    "Score an application with one column moved over several values",
    "For looking around: the champion answers, and nothing is kept, since nobody applied so.",
    _answers("The PDs in the order of the values.", _ref("WhatIfCurve"), *_BODY_PROBLEMS),
    **_body(_ref("WhatIf")),
)
OUTCOMES = _route(
    "reportOutcomes",
    "Report what became of an application, or of several",
    "They become events on `raw_data`. All are taken or none.",
    _answers("The ids of the events.", _ref("Events"), *_BODY_PROBLEMS, status=202),
    parameters=[_IDEMPOTENCY],
    **_body(_one_or_list("Outcome")),
)
MODELS = _route(
    "listModels",
    "List the registered models",
    "The newest first.",
    _answers("The models.", _ref("Models"), 401, 403, 503),
)
CHAMPION = _route(
    "showChampion",
    "Show the model that answers",
    "With the experiment that runs, if one does.",
    _answers("The model.", _ref("AnsweringModel"), 401, 403, 503),
)
SCHEMA = _route(
    "showSchema",
    "Show what an application must hold",
    "A JSON Schema with units, bounds, categories and an example that can be sent.",
    _answers("The JSON Schema.", {"type": "object"}, 401, 403, 503, media="application/schema+json"),
)
PREDICTION = _route(
    "showPrediction",
    "Show a score that was given",
    "By the id in the answer. A score can be read here once it has reached the document store.",
    _answers("The prediction.", _ref("Prediction"), 401, 403, 404, 422, 503),
    parameters=[
        {
            "name": "id",
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[A-Za-z0-9._-]+$"},
        }
    ],
)
_STATUS = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
LIVE = _route(
    "live", "Whether the process answers", "For liveness probes.", _answers("Yes.", _STATUS), security=[]
)
READY = _route(
    "ready",
    "Whether scores can be given",
    "A document store that is away is shown as `degraded`: scores are given and kept on the disk meanwhile.",
    {
        **_answers("They can.", _STATUS),
        "503": {"description": "They cannot.", "content": {_JSON: {"schema": _STATUS}}},
    },
    security=[],
)
METRICS = _route(
    "metrics",
    "Metrics for Prometheus",
    "Text format.",
    _answers("The metrics.", {"type": "string"}, media="text/plain"),
    security=[],
)

"""The OpenAPI document: the routes, with components and examples by the schema of the model that answers."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from loan_default.data.schema.column import NUMBER_KINDS, Kind
from loan_default.data.schema.language import Schema
from loan_default.limits import LONGEST_ID
from loan_default.serving.http.record_schema import application_schema
from loan_default.serving.http.usual_values import usual_values
from loan_default.serving.lineup import Lineup

_TEXT: dict[str, Any] = {"type": "string"}
_NULLABLE_TEXT: dict[str, Any] = {"type": ["string", "null"]}
_SHARE: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 1}


def openapi_document(app: FastAPI, lineup: Lineup | None, *, version: str) -> dict[str, Any]:
    """The document for the model that answers now; without one, applications are objects of any columns."""
    document = get_openapi(
        title="loan-default",
        version=version,
        summary="Calibrated probabilities of default.",
        description=(
            "Errors are problem details (RFC 9457). They name the rule and the field that broke it and a "
            "request id, and never a value. Send `Authorization: Bearer <key>`; a server without keys "
            "answers on this machine only."
        ),
        routes=app.routes,
    )
    schema = None if lineup is None else lineup.champion.schema
    application: Mapping[str, Any] = {"type": "object", "examples": [{}]}
    if lineup is not None:
        application = application_schema(lineup.champion.schema, usual=usual_values(lineup.champion))
    components = document.setdefault("components", {})
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "bearerFormat": "id.secret"}}
    components["schemas"] = _components(application, schema)
    for path, examples in _examples(application, schema).items():
        body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        body["examples"] = {name: {"value": value} for name, value in examples.items()}
    return document


def _object(required: Mapping[str, Any], **optional: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}


def _components(application: Mapping[str, Any], schema: Schema | None) -> dict[str, Any]:
    model = _object({"version": _TEXT, "digest": _NULLABLE_TEXT})
    score = {
        "id": _TEXT,
        "application": _NULLABLE_TEXT,
        "pd": _SHARE | {"description": "Probability of default."},
        "points": {"type": "number", "description": "Score points: more are better."},
        "model": model,
        "group": {"type": "string", "enum": ["champion", "challenger"]},
    }
    below = {"type": ["number", "null"], "description": "Share of the training population with a lower PD."}
    rules = {"type": "array", "items": _object({"rule": _TEXT}, field=_TEXT, row={"type": "integer"})}
    count = {"type": "integer", "minimum": 0}
    return {
        "Application": {key: value for key, value in application.items() if key != "$schema"},
        "Score": _object(score, share_below=below, door=_NULLABLE_TEXT, scored_at=_TEXT),
        "Explanation": _explained(score, below),
        "ScoreList": _object(
            {
                "scores": {
                    "type": "array",
                    "items": {"anyOf": [{"$ref": "#/components/schemas/Score"}, _object({"errors": rules})]},
                },
                "scored": count,
                "refused": count,
            }
        ),
        "Prediction": _object(score | {"door": _NULLABLE_TEXT, "scored_at": _TEXT}),
        "WhatIf": _what_if(schema),
        "WhatIfCurve": _object(
            {
                "column": _TEXT,
                "values": {"type": "array"},
                "pds": {"type": "array", "items": {"type": ["number", "null"]}},
                "points": {"type": "array", "items": {"type": ["number", "null"]}},
                "model": model,
            }
        ),
        "Outcome": _outcome(schema),
        "Events": _object({"events": {"type": "array", "items": _TEXT}}),
        "Models": _object({"models": {"type": "array", "items": _object({"version": _TEXT})}}),
        "AnsweringModel": _object(
            {
                "version": _TEXT,
                "digest": _TEXT,
                "schema": _TEXT,
                "schema_digest": _TEXT,
                "experiment": {"type": ["object", "null"]},
            }
        ),
        "Problem": _object(
            {"type": _TEXT, "title": _TEXT, "status": count, "detail": _TEXT, "request_id": _TEXT},
            errors=rules,
        ),
    }


def _explained(score: Mapping[str, Any], below: Mapping[str, Any]) -> dict[str, Any]:
    number: dict[str, Any] = {"type": "number"}
    reason = _object(
        {
            "column": _TEXT,
            "words": _TEXT,
            "contribution": number | {"description": "What it added to the log-odds of default."},
            "points": number | {"description": "What it changed the score by, in points: below 0."},
        }
    )
    explanation = _object(
        {
            "reasons": {"type": "array", "maxItems": 4, "items": reason},
            "withheld": number | {"description": "Log-odds of columns that are no reasons."},
            "reference": _TEXT,
            "reference_pd": _SHARE,
            "gap": number | {"description": "Log-odds that no column explains."},
        }
    )
    hint = _object(
        {
            "column": _TEXT,
            "value": {"type": ["number", "string"]},
            "pd": _SHARE,
            "size": _SHARE | {"description": "Share of the training rows between both values."},
            "note": _TEXT,
        }
    )
    return _object(
        {
            **score,
            "cutoff": _SHARE | {"description": "PD up to which a loan is approved."},
            "explanation": explanation,
            "hint": {"anyOf": [hint, {"type": "null"}]},
        },
        share_below=below,
    )


def _what_if(schema: Schema | None) -> dict[str, Any]:
    column: dict[str, Any] = {"type": "string"}
    if schema is not None:
        column["enum"] = [each.name for each in schema.columns if each.kind is not Kind.TARGET]
    values = {"type": "array", "minItems": 1, "maxItems": 64}
    application = {"$ref": "#/components/schemas/Application"}
    return _object({"application": application, "column": column, "values": values}) | {
        "additionalProperties": False
    }


def _outcome(schema: Schema | None) -> dict[str, Any]:
    outcome: dict[str, Any] = {"type": "string"}
    if schema is not None and schema.target is not None:
        target = schema.target
        outcome["enum"] = [target.negative, target.positive]
        outcome["description"] = target.description or "What became of it, as the schema writes it."
    identifier = {"type": "string", "minLength": 1, "maxLength": LONGEST_ID, "pattern": "^[ -~]+$"}
    observed = {"type": ["string", "null"], "format": "date-time", "description": "Default: now."}
    return _object({"application": identifier, "outcome": outcome}, observed_at=observed) | {
        "additionalProperties": False
    }


def _examples(application: Mapping[str, Any], schema: Schema | None) -> dict[str, dict[str, Any]]:
    example = application["examples"][0]
    moved = next((name for name in example if schema is not None and schema[name].kind in NUMBER_KINDS), None)
    outcome = "1" if schema is None or schema.target is None else schema.target.negative
    column = moved or next(iter(example), "column")
    return {
        "/v1/scores": {"one": example, "several": [example, example]},
        "/v1/explanations": {"one": example},
        "/v1/what-if": {
            "one": {"application": example, "column": column, "values": [example.get(column)]},
        },
        "/v1/outcomes": {"one": {"application": "example-1", "outcome": outcome}},
    }

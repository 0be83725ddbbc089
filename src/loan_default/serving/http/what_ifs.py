"""What-ifs: an application with one field moved. The scores belong to nobody, so they are not kept.

A what-if is answered by the champion, whatever experiment runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loan_default.data.schema.column import Kind
from loan_default.data.schema.language import Schema
from loan_default.data.schema.records import RecordError
from loan_default.evaluation.metrics import score_points
from loan_default.serving.http.problems import Problem
from loan_default.serving.http.score_runs import NotReadyError
from loan_default.serving.http.telemetry import Telemetry
from loan_default.serving.lineup import Lineup

_MOST_VALUES = 64
_KEYS = frozenset({"application", "column", "values"})


@dataclass(frozen=True, kw_only=True, slots=True)
class WhatIf:
    """An application, and the values that one of its columns is moved to."""

    application: Mapping[str, Any]
    column: str
    values: Sequence[Any]


def read_what_if(body: Any, schema: Schema) -> WhatIf:
    """The what-if of a body, `{"application": {…}, "column": name, "values": […]}`.

    Raises:
        Problem: 422 with the rules that it breaks. The application itself is validated when it is scored.
    """
    if not isinstance(body, dict) or body.keys() != _KEYS:
        raise _broken("body", f"must be an object of {', '.join(sorted(_KEYS))}")
    application, column, values = body["application"], body["column"], body["values"]
    if not isinstance(application, dict):
        raise _broken("application", "must be an object of named values")
    known = {each.name for each in schema.columns if each.kind is not Kind.TARGET}
    if not isinstance(column, str) or column not in known:
        raise _broken("column", "must be a column of the schema")
    if not isinstance(values, list) or not 0 < len(values) <= _MOST_VALUES:
        raise _broken("values", f"must be a list of 1 to {_MOST_VALUES} values")
    return WhatIf(application=application, column=column, values=values)


def score_what_ifs(
    asked: Sequence[WhatIf], lineup: Lineup | None, *, telemetry: Telemetry
) -> list[Mapping[str, Any] | RecordError]:
    """For each what-if the PD of each value, None where the application with it breaks the schema.

    Where the application itself does, its error takes the place of the PDs.

    Raises:
        NotReadyError: no model is loaded.
    """
    if lineup is None:
        raise NotReadyError
    scorer = lineup.champion
    moved = [{**each.application, each.column: value} for each in asked for value in each.values]
    read = scorer.read(moved)
    canonical = [row for row in read if not isinstance(row, RecordError)]
    pds = iter(scorer.score(canonical).tolist() if canonical else [])
    scores = [None if isinstance(row, RecordError) else next(pds) for row in read]
    telemetry.what_ifs.inc(len(canonical))
    contents: list[Mapping[str, Any] | RecordError] = []
    first = 0
    for each in asked:
        own = scores[first : first + len(each.values)]
        first += len(each.values)
        (itself,) = scorer.read([each.application])
        if isinstance(itself, RecordError):
            contents.append(itself)
            continue
        contents.append(
            {
                "column": each.column,
                "values": list(each.values),
                "pds": own,
                "points": [None if pd is None else float(score_points([pd])[0].round(2)) for pd in own],
                "model": {"version": scorer.version, "digest": scorer.digest},
            }
        )
    return contents


def _broken(field: str, rule: str) -> Problem:
    return Problem(422, "what-if", "The what-if breaks a rule.", errors=[{"field": field, "rule": rule}])

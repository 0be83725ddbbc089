"""Problem details: their members, their headers, and rules split into field and rule."""

import orjson
from serving_setup import SCHEMA

from loan_default.data.schema.schema_files import schema_from_dict
from loan_default.serving.http.problems import Problem, broken_rules, problem_response


def test_a_problem_has_the_members_of_the_standard_and_a_request_id():
    problem = Problem(429, "rate", "Slow down.", retry_after=2.2)
    response = problem_response(problem, "r-1")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["retry-after"] == "3"
    assert orjson.loads(response.body) == {
        "type": "urn:loan-default:problem:rate",
        "title": "The key has used up its share",
        "status": 429,
        "detail": "Slow down.",
        "request_id": "r-1",
    }


def test_rules_are_split_at_the_longest_name_of_a_column():
    columns = {name: {"kind": "numerical"} for name in ("a", "a: b")}
    schema = schema_from_dict({"name": "colons", "columns": columns})
    assert broken_rules(["a: b: must be a number", "a: must be given"], schema) == [
        {"field": "a: b", "rule": "must be a number"},
        {"field": "a", "rule": "must be given"},
    ]
    assert broken_rules(["fields must be columns of the schema"], SCHEMA) == [
        {"rule": "fields must be columns of the schema"}
    ]

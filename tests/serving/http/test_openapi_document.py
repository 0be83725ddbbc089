"""The OpenAPI document: every route, examples that work when pasted, and answers as it says (S18)."""

import pytest
from jsonschema import Draft202012Validator
from serving_setup import key_of

KEY = key_of("0" * 12, scopes=["admin"])
BEARER = {"Authorization": "Bearer 000000000000.s3cret"}


@pytest.fixture
def document(served):
    return served.client.get("/openapi.json").json()


def test_each_route_is_described_with_its_answers(served, document):
    described = {(path, method) for path, item in document["paths"].items() for method in item}
    assert described == {
        ("/v1/scores", "post"),
        ("/v1/explanations", "post"),
        ("/v1/what-if", "post"),
        ("/v1/outcomes", "post"),
        ("/v1/models", "get"),
        ("/v1/models/champion", "get"),
        ("/v1/schema", "get"),
        ("/v1/predictions/{id}", "get"),
        ("/livez", "get"),
        ("/readyz", "get"),
        ("/metrics", "get"),
    }
    for item in document["paths"].values():
        for operation in item.values():
            assert operation["summary"]
            assert {"200", "202"} & operation["responses"].keys()
            assert "HTTPValidationError" not in str(operation)


@pytest.mark.slow
def test_the_examples_work_when_they_are_pasted(served, document):
    asked = 0
    for path, item in document["paths"].items():
        body = item.get("post", {}).get("requestBody")
        if body is None:
            continue
        for example in body["content"]["application/json"]["examples"].values():
            response = served.client.post(path, json=example["value"])
            assert response.status_code in (200, 202), (path, response.text)
            asked += 1
    assert asked == 5


def test_examples_satisfy_the_schema_of_an_application(document):
    application = document["components"]["schemas"]["Application"]
    Draft202012Validator(application).validate(application["examples"][0])


def test_without_a_model_there_is_a_document_too(served):
    served.lineup[0] = None
    assert served.client.get("/openapi.json").status_code == 200


def test_it_needs_a_key_where_there_are_keys(serve):
    served = serve(keys=[KEY])
    assert served.client.get("/openapi.json").status_code == 401
    assert served.client.get("/openapi.json", headers=BEARER).status_code == 200

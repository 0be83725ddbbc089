"""Scores over HTTP: the model's own PDs, kept before they are given, and limits that hold."""

import asyncio
import gc
import threading

import numpy as np
import pytest
import structlog
from serving_setup import SCHEMA, key_of, record_of

from loan_default.data.schema.records import records_frame, validate_record
from loan_default.database.experiment_documents import Mode
from loan_default.serving.lineup import Lineup, Trial


def offline(scorer, record):
    return scorer.model.predict_pd(records_frame([validate_record(record, SCHEMA)], SCHEMA))[0]


def post(served, body, **headers):
    return served.client.post("/v1/scores", json=body, headers=headers)


KEYS = {"a": "0" * 12, "b": "1" * 12}


def bearer(name):
    return {"Authorization": f"Bearer {KEYS[name]}.s3cret"}


class Held:
    """A scorer that can be held up, or that raises for a debt of 66."""

    def __init__(self, scorer):
        self._scorer, self.free, self.entered = scorer, threading.Event(), threading.Event()
        self.version, self.digest, self.schema = scorer.version, scorer.digest, scorer.schema
        self.read, self.share_below = scorer.read, scorer.share_below

    def score(self, canonical):
        self.entered.set()
        assert self.free.wait(10)
        if any(row["debt"] == 66 for row in canonical):
            raise RuntimeError("a value: CANARY")
        return self._scorer.score(canonical)


# Answers ---------------------------------------------------------------------------------------------------


def test_one_application_gets_the_pd_of_the_model_and_is_kept(served, champion):
    record = record_of("p-1", debt=7)
    response = post(served, record)
    content = response.json()
    assert response.status_code == 200
    assert content["pd"] == pytest.approx(offline(champion, record), abs=1e-6)
    assert content["model"] == {"version": "v1", "digest": champion.digest}
    (kept,) = served.shelf.predictions.values()
    assert (kept.event, kept.application, kept.pd) == (content["id"], "p-1", content["pd"])
    assert kept.latency_seconds > 0


def test_a_list_gets_a_score_or_the_broken_rules_each_in_its_order(served, champion):
    records = [record_of("a", debt=1), record_of("b", debt=-1), 7, record_of("c", debt=3)]
    content = post(served, records).json()
    assert (content["scored"], content["refused"]) == (2, 2)
    first, second, third, fourth = content["scores"]
    assert first["pd"] == pytest.approx(offline(champion, records[0]), abs=1e-6)
    assert second == {"errors": [{"field": "debt", "rule": "must be at least 0"}]}
    assert third == {"errors": [{"rule": "a record must be an object of named values"}]}
    assert fourth["application"] == "c"
    assert {each.application for each in served.shelf.predictions.values()} == {"a", "c"}


@pytest.mark.slow
def test_a_large_list_goes_its_own_way_and_gets_the_same_pds(served, champion):
    records = [record_of(f"p-{number}", debt=number % 100) for number in range(300)]
    content = post(served, records).json()
    expected = champion.model.predict_pd(
        records_frame([validate_record(each, SCHEMA) for each in records], SCHEMA)
    )
    np.testing.assert_allclose([each["pd"] for each in content["scores"]], expected, atol=1e-6)
    assert len(served.shelf.predictions) == 300


@pytest.mark.slow
def test_requests_at_once_get_their_own_answers(served, champion):
    records = [record_of(f"p-{number}", debt=number % 100) for number in range(60)]

    async def all_at_once():
        client = served.client.http
        return await asyncio.gather(*(client.post("/v1/scores", json=each) for each in records))

    for record, response in zip(records, served.client.run(all_at_once()), strict=True):
        assert response.status_code == 200
        assert response.json()["application"] == record["loan"]
        assert response.json()["pd"] == pytest.approx(offline(champion, record), abs=1e-6)


def test_an_application_that_breaks_the_schema_is_answered_with_fields_and_rules_without_values(served):
    response = post(served, {"loan": "CANARY", "income": "CANARY", "purpose": ["CANARY"], "CANARY": 1})
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert {each.get("field") for each in response.json()["errors"]} == {"income", "debt", "purpose", None}
    assert "CANARY" not in response.text
    assert served.shelf.predictions == {}


@pytest.mark.parametrize("operator", [{"$ne": None}, {"$gt": ""}, {"$where": "1"}, ["$ne"], {"a.b": 1}])
@pytest.mark.parametrize("field", ["loan", "income", "debt", "purpose", "sex"])
def test_operators_of_a_database_are_no_values(served, field, operator):
    response = post(served, {**record_of("p"), field: operator})
    assert response.status_code == 422
    assert [each["field"] for each in response.json()["errors"]] == [field]


@pytest.mark.parametrize("value", ["true", '"1"', "[1]"])
def test_a_number_must_be_a_number(served, value):
    body = f'{{"debt": {value}, "purpose": "car"}}'
    response = served.client.post("/v1/scores", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422


@pytest.mark.parametrize("number", ["NaN", "1e999", "-Infinity"])
@pytest.mark.parametrize("path", ["/v1/scores", "/v1/what-if", "/v1/outcomes"])
def test_numbers_that_are_none_are_refused_on_each_route(served, path, number):
    body = f'{{"debt": {number}}}'
    response = served.client.post(path, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert number not in response.text


# Limits and faults -----------------------------------------------------------------------------------------


def test_rows_and_bytes_have_limits(serve):
    served = serve(most_rows=3, most_bytes=500)
    assert post(served, [record_of("p")] * 4).status_code == 413
    assert post(served, []).status_code == 422
    assert post(served, record_of("p" * 600)).status_code == 413


def test_what_cannot_be_kept_is_not_given(served):
    served.shelf.away = True
    response = post(served, record_of("p"))
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert "mongodb" not in response.text
    assert "pd" not in response.json()


def test_without_a_model_nothing_is_scored(served):
    served.lineup[0] = None
    assert post(served, record_of("p")).status_code == 503


def test_a_share_that_is_used_up_is_429_and_other_keys_have_theirs(serve):
    served = serve(keys=[key_of(each) for each in KEYS.values()], rate=0.001, burst=2)
    assert [post(served, record_of("p"), **bearer("a")).status_code for _ in range(3)] == [200, 200, 429]
    refused = post(served, record_of("p"), **bearer("a") | {"X-Forwarded-For": "1.2.3.4"})
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 100
    assert post(served, record_of("p"), **bearer("b")).status_code == 200


@pytest.mark.slow
def test_a_full_queue_is_503_with_a_time_and_what_was_taken_is_answered(serve, champion):
    served = serve(small_capacity=4)
    held = Held(champion)
    served.lineup[0] = Lineup(champion=held)

    async def flood():
        client = served.client.http
        tasks = [asyncio.create_task(client.post("/v1/scores", json=record_of(f"p-{n}"))) for n in range(30)]
        while sum(task.done() for task in tasks) < 20:
            await asyncio.sleep(0.01)
        held.free.set()
        return await asyncio.gather(*tasks)

    responses = served.client.run(flood())
    statuses = [response.status_code for response in responses]
    assert set(statuses) == {200, 503}
    assert statuses.count(200) == 4
    assert all("retry-after" in each.headers for each in responses if each.status_code == 503)
    assert post(served, record_of("p")).status_code == 200


@pytest.mark.slow
def test_an_application_that_makes_the_model_raise_fails_alone_and_shows_nothing(served, champion):
    held = Held(champion)
    served.lineup[0] = Lineup(champion=held)
    records = [record_of("first"), *(record_of(f"p-{n}", debt=60 + n) for n in range(10))]

    async def send():
        client = served.client.http
        first = asyncio.create_task(client.post("/v1/scores", json=records[0]))
        await asyncio.to_thread(held.entered.wait, 10)
        others = [asyncio.create_task(client.post("/v1/scores", json=each)) for each in records[1:]]
        await asyncio.sleep(0.2)
        held.free.set()
        return await asyncio.gather(first, *others)

    responses = served.client.run(send())
    assert [response.status_code for response in responses] == [200] * 7 + [500] + [200] * 3
    assert "CANARY" not in responses[7].text
    assert "Traceback" not in responses[7].text
    assert responses[7].json()["request_id"] == responses[7].headers["x-request-id"]


@pytest.mark.slow
def test_while_models_swap_each_answer_is_that_of_the_version_it_names(served, champion, challenger):
    scorers, record = {"v1": champion, "v2": challenger}, record_of("p", debt=9)
    expected = {version: offline(scorer, record) for version, scorer in scorers.items()}
    assert abs(expected["v1"] - expected["v2"]) > 1e-4, "they differ"

    async def swap_under_load():
        client, tasks = served.client.http, []
        for number in range(100):
            served.lineup[0] = Lineup(champion=scorers["v1" if number % 2 else "v2"])
            body = [record] * 3 if number % 5 == 0 else record
            tasks.append(asyncio.create_task(client.post("/v1/scores", json=body)))
            await asyncio.sleep(0.002)
        return await asyncio.gather(*tasks)

    responses = served.client.run(swap_under_load())
    assert {response.status_code for response in responses} == {200}
    seen = set()
    for response in responses:
        scores = response.json().get("scores", [response.json()])
        versions = {each["model"]["version"] for each in scores}
        assert len(versions) == 1, "a request is answered by one lineup"
        assert [each["pd"] for each in scores] == pytest.approx(
            [expected[next(iter(versions))]] * len(scores)
        )
        seen |= versions
    assert seen == {"v1", "v2"}


# Idempotency -----------------------------------------------------------------------------------------------


def test_the_same_key_and_body_is_the_same_prediction_once(served):
    first = post(served, record_of("p"), **{"Idempotency-Key": "k-1"})
    again = post(served, record_of("p"), **{"Idempotency-Key": "k-1"})
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(served.shelf.predictions) == 1


def test_the_same_key_with_another_body_is_refused(served):
    post(served, record_of("p"), **{"Idempotency-Key": "k-1"})
    assert post(served, record_of("q"), **{"Idempotency-Key": "k-1"}).status_code == 422


def test_after_a_restart_the_prediction_is_found_in_the_store(serve):
    one, other = serve(), serve()
    body = [record_of("p"), record_of("q")]
    first = post(one, body, **{"Idempotency-Key": "k-1"}).json()
    other.shelf.predictions = one.shelf.predictions
    other.lineup[0] = None  # nothing is scored again
    again = post(other, body, **{"Idempotency-Key": "k-1"})
    assert again.headers["idempotency-replayed"] == "true"
    assert [each["pd"] for each in again.json()["scores"]] == [each["pd"] for each in first["scores"]]


def test_another_body_after_a_restart_is_scored_and_kept_as_a_request_of_its_own(serve):
    one, other = serve(), serve()
    post(one, record_of("p", debt=1), **{"Idempotency-Key": "k-1"})
    other.shelf.predictions = one.shelf.predictions
    given = post(other, record_of("q", debt=99), **{"Idempotency-Key": "k-1"}).json()
    (kept,) = other.shelf.of_event(given["id"])
    assert (kept.application, kept.pd) == ("q", given["pd"])
    assert len(other.shelf.predictions) == 2


def test_after_a_promotion_what_was_answered_stands_and_only_the_missing_is_scored(
    serve, champion, challenger
):
    one, other = serve(), serve()
    body = [record_of("p"), record_of("q", debt=-1), record_of("r")]
    first = post(one, body, **{"Idempotency-Key": "k-1"}).json()
    lost = first["scores"][2]["id"]
    other.shelf.predictions = {key: each for key, each in one.shelf.predictions.items() if each.event != lost}
    other.lineup[0] = Lineup(champion=challenger)
    again = post(other, body, **{"Idempotency-Key": "k-1"})
    assert "idempotency-replayed" not in again.headers
    content = again.json()
    assert (content["scored"], content["refused"]) == (2, 1)
    assert content["scores"][0]["pd"] == first["scores"][0]["pd"]
    assert content["scores"][1] == first["scores"][1]
    assert [each["model"]["version"] for each in content["scores"][::2]] == ["v1", "v2"]
    assert [each.version for each in other.shelf.predictions.values()] == ["v1", "v2"]


def test_requests_with_one_key_at_once_are_one_prediction(served):
    async def send():
        client, headers = served.client.http, {"Idempotency-Key": "k-1"}
        asked = (client.post("/v1/scores", json=record_of("p"), headers=headers) for _ in range(8))
        return await asyncio.gather(*asked)

    responses = served.client.run(send())
    assert len({response.text for response in responses}) == 1
    assert len(served.shelf.predictions) == 1


def test_one_key_of_two_clients_is_two_requests_and_a_failed_one_can_be_repeated(serve):
    served = serve(keys=[key_of(each) for each in KEYS.values()])
    named = {"Idempotency-Key": "k-1"}
    served.shelf.away = True
    assert post(served, record_of("p"), **named | bearer("a")).status_code == 503
    served.shelf.away = False
    assert post(served, record_of("p"), **named | bearer("a")).status_code == 200
    assert post(served, record_of("q"), **named | bearer("b")).status_code == 200
    assert post(served, record_of("q"), **bearer("a") | {"Idempotency-Key": "é".encode()}).status_code == 400


# Experiments and what-ifs ----------------------------------------------------------------------------------


def test_scores_of_a_challenger_in_shadow_are_kept_and_never_given(served, champion, challenger):
    trial = Trial(id="x", mode=Mode.SHADOW, share=1.0, challenger=challenger)
    served.lineup[0] = Lineup(champion=champion, trial=trial)
    content = post(served, record_of("p")).json()
    served.parts.mirrored.close()
    versions = {each.version: str(each.group) for each in served.shelf.predictions.values()}
    assert versions == {"v1": "champion", "v2": "shadow"}
    assert content["model"]["version"] == "v1"
    read = served.client.get(f"/v1/predictions/{content['id']}").json()
    assert read["model"]["version"] == "v1"


@pytest.mark.slow
def test_a_shadow_run_that_fails_is_counted_and_its_error_shows_nothing(served, champion, challenger):
    held, messages = Held(challenger), []
    held.free.set()
    served.client.loop.set_exception_handler(lambda _, context: messages.append(context))
    trial = Trial(id="x", mode=Mode.SHADOW, share=1.0, challenger=held)
    served.lineup[0] = Lineup(champion=champion, trial=trial)
    with structlog.testing.capture_logs() as logs:
        assert post(served, [record_of("p", debt=66), record_of("q")]).status_code == 200
        served.parts.mirrored.close()
        assert "loan_shadow_dropped_total 2.0" in served.client.get("/metrics").text
    gc.collect()
    served.client.get("/livez")
    assert messages == []
    assert [each["error"] for each in logs if each["event"] == "shadow_failed"] == ["RuntimeError"]
    assert "CANARY" not in str(logs)


def test_a_what_if_moves_one_column_and_keeps_nothing(served, champion):
    asked = {"application": record_of("p"), "column": "debt", "values": [0, 50, -1, 100]}
    response = served.client.post("/v1/what-if", json=asked)
    content = response.json()
    expected = [offline(champion, record_of("p", debt=debt)) for debt in (0, 50, 100)]
    assert content["pds"][2] is None
    np.testing.assert_allclose([content["pds"][at] for at in (0, 1, 3)], expected, atol=1e-6)
    assert served.shelf.predictions == {}


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"application": {}, "column": "debt", "values": []},
        {"application": {}, "column": "default", "values": [1]},
        {"application": {}, "column": {"$ne": 1}, "values": [1]},
        {"application": 1, "column": "debt", "values": [1]},
        {"application": {}, "column": "debt", "values": [1] * 65},
        {"application": record_of("p") | {"income": -1}, "column": "debt", "values": [1, 2]},
    ],
)
def test_a_what_if_that_is_none_is_refused(served, body):
    response = served.client.post("/v1/what-if", json=body)
    assert response.status_code == 422
    assert response.json()["errors"]

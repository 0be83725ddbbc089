"""What every request passes: ids, hosts, concurrency, headers, and faults that show nothing."""

import asyncio
import threading

import pytest
from serving_setup import record_of

from loan_default.serving.lineup import Lineup


def test_a_request_has_an_id_its_own_or_ours(served):
    assert served.client.get("/livez", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    for wrong in ("", "a b", "x" * 65, "<script>"):
        given = served.client.get("/livez", headers={"X-Request-Id": wrong}).headers["x-request-id"]
        assert len(given) == 32


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8080"},
        {"Host": "localhost.evil.example"},
        {"Host": ""},
        {"Host": "testserver"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_server_without_keys_answers_no_page_of_another_site(served, headers):
    response = served.client.get("/v1/models/champion", headers=headers)
    assert response.status_code == 421
    assert "evil" not in response.text


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080"])
def test_it_answers_for_the_names_of_this_machine(served, host):
    headers = {"Host": host, "Origin": f"http://{host}"}
    assert served.client.get("/v1/models/champion", headers=headers).status_code == 200


def test_what_is_not_there_and_wrong_methods_are_problems(served):
    for path, status in (("/none", 404), ("/v1/none", 404)):
        response = served.client.get(path)
        assert (response.status_code, response.json()["status"]) == (status, status)
        assert response.headers["content-type"] == "application/problem+json"
    assert served.client.get("/v1/scores").status_code == 405
    assert served.client.get("/v1/scores").headers["allow"] == "POST"


@pytest.mark.slow
def test_too_many_requests_at_once_are_503_and_probes_are_answered(serve, champion):
    served, free = serve(most_in_flight=2), threading.Event()

    class Held:
        version, digest, schema = champion.version, champion.digest, champion.schema
        read, share_below = champion.read, champion.share_below

        def score(self, canonical):
            assert free.wait(10)
            return champion.score(canonical)

    served.lineup[0] = Lineup(champion=Held())

    async def flood():
        client = served.client.http
        tasks = [asyncio.create_task(client.post("/v1/scores", json=record_of("p"))) for _ in range(6)]
        await asyncio.sleep(0.1)
        live = await client.get("/livez")
        free.set()
        return live, await asyncio.gather(*tasks)

    live, responses = served.client.run(flood())
    assert live.status_code == 200
    assert sorted(response.status_code for response in responses) == [200, 200, 503, 503, 503, 503]


def test_a_used_up_share_is_429_however_many_requests_come_at_once(serve):
    served = serve(most_in_flight=2, rate=0.001, burst=1)

    async def flood():
        client = served.client.http
        return await asyncio.gather(*(client.post("/v1/scores", json=record_of("p")) for _ in range(12)))

    statuses = sorted(response.status_code for response in served.client.run(flood()))
    # The second may have passed the gate before the first took its share; none is for want of a place.
    assert statuses == [200] + [429] * 11
    assert served.client.get("/v1/schema").status_code == 200


def test_answers_forbid_sniffing_and_framing(served):
    headers = served.client.get("/").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"

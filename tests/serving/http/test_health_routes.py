"""Probes and metrics: they need no key, show no value, and count what happened."""

import asyncio
import re
import threading

import pytest
from serving_setup import record_of

from loan_default.errors import ArtifactError
from loan_default.serving.lineup import Lineup


def test_a_server_is_ready_while_it_can_score_and_keep(served):
    assert served.client.get("/livez").status_code == 200
    assert served.client.get("/readyz").json()["status"] == "ready"
    served.shelf.lag = 60.0
    late = served.client.get("/readyz")
    assert (late.status_code, late.json()["status"]) == (200, "degraded")
    served.shelf.away = True
    assert served.client.get("/readyz").status_code == 503
    served.shelf.away, served.lineup[0] = False, None
    assert served.client.get("/readyz").status_code == 503
    assert served.client.get("/livez").status_code == 200


def test_a_model_that_no_longer_scores_its_golden_rows_is_not_ready(served, champion):
    class Broken:
        version, digest, schema = "v9", "9" * 64, champion.schema

        def check_golden_rows(self):
            raise ArtifactError("they differ")

    served.lineup[0] = Lineup(champion=Broken())
    response = served.client.get("/readyz")
    assert (response.status_code, response.json()["model"]) == (503, "v9")


@pytest.mark.slow
def test_a_probe_waits_for_no_request_that_waits_for_the_store(served):
    free = threading.Event()

    async def ask():
        waiting = [asyncio.create_task(asyncio.to_thread(free.wait, 20)) for _ in range(64)]
        await asyncio.sleep(0.05)
        try:
            return await asyncio.wait_for(served.client.http.get("/readyz"), 5)
        finally:
            free.set()
            await asyncio.gather(*waiting)

    assert served.client.run(ask()).status_code == 200


def test_probes_need_no_key(serve):
    served = serve(open_locally=False)
    assert {served.client.get(path).status_code for path in ("/livez", "/readyz", "/metrics")} == {200}
    assert served.client.get("/v1/models").status_code == 401


def test_metrics_count_requests_scores_and_refusals_without_values(served):
    served.client.post("/v1/scores", json=[record_of("CANARY"), record_of("p", debt=-1)])
    served.client.post("/v1/scores", json=record_of("q"))
    served.client.get("/CANARY/CANARY")
    response = served.client.get("/metrics")
    text = response.text
    assert response.headers["content-type"].startswith("text/plain")
    assert 'loan_http_requests_total{code="200",method="POST",route="/v1/scores"} 2.0' in text
    assert 'loan_http_requests_total{code="404",method="GET",route="other"} 1.0' in text
    assert 'loan_predictions_total{group="champion",model_version="v1"} 2.0' in text
    assert "loan_records_refused_total 1.0" in text
    assert re.search(r'loan_model_info\{digest="(01)+",version="v1"\} 1\.0', text)
    assert 'loan_queue_rows{lane="small"} 0.0' in text
    assert 'le="0.005"' in text
    assert "CANARY" not in text

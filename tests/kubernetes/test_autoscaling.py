"""The metric that the autoscaler of the API may read moves with the load of a real server."""

import math
import re
import threading
import time
from pathlib import Path

import httpx
import pytest
import yaml
from serving_processes import HttpProcess, serving

CHART = Path(__file__).resolve().parents[2] / "kubernetes" / "chart"
TARGET = 2
"""Requests in flight of one pod that the autoscaler aims at."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def server(lab):
    with serving(lab.home) as process:
        yield process


def in_flight(server: HttpProcess) -> float:
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    name = values["api"]["autoscaling"]["requestsInFlightMetric"]
    (value,) = re.findall(rf"^{name} (\S+)$", server.metrics(), re.MULTILINE)
    return float(value)


def pods_wanted(values: list[float]) -> int:
    """What the autoscaler wants of one pod: its metric over the target, rounded up."""
    return max(1, math.ceil(sum(values) / len(values) / TARGET))


def watch(server: HttpProcess, *, looks: int = 20) -> list[float]:
    found = []
    for _ in range(looks):
        found.append(in_flight(server))
        time.sleep(0.05)
    return found


def test_a_load_makes_the_autoscaler_want_more_pods_and_its_end_fewer(server):
    assert pods_wanted(watch(server)) == 1
    stop, answers = threading.Event(), []
    rows = [server.example] * 256

    def ask() -> None:
        with httpx.Client(timeout=60) as client:
            while not stop.is_set():
                answers.append(client.post(f"{server.url}/v1/scores", json=rows).status_code)

    clients = [threading.Thread(target=ask) for _ in range(8)]
    for client in clients:
        client.start()
    time.sleep(1)
    under_load = watch(server)
    stop.set()
    for client in clients:
        client.join()
    assert answers.count(200) > 0
    assert pods_wanted(under_load) >= 2
    assert pods_wanted(watch(server)) == 1

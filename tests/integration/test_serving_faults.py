"""Scores over HTTP while the document store and the broker freeze, die and come back."""

import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

import pymongo
import pytest
from integration.test_scoring_faults import QUICKLY
from integration.world import World, wait_until
from servers.process import ServerProcess
from serving_processes import HttpProcess, serving

from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.data.schema.schema_files import load_schema
from loan_default.data.sources.generator import generate, to_text

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(7_200)]

SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
"""Of mixed faults; SOAK_SECONDS=1800 is half an hour."""
AWAY_SECONDS = 60.0
"""Of the outage of the store that comes first."""


@pytest.fixture
def server(world: World):
    """A server over a broker and a document store that are genuine, with a model."""
    schema = load_schema(BUNDLED_SCHEMA)
    data = world.home / "loans.csv"
    to_text(generate(schema, rows=900, seed=1).frame, schema).to_csv(data, index=False)
    words = ("train", "--pretrain", "--train", "--data", str(data), "--schema", str(BUNDLED_SCHEMA))
    assert world.run(*words, *QUICKLY) == 0, (world.home / "commands.log").read_text()[-2000:]
    with serving(world.home, servers={**world.kafka.environment, **world.ferretdb.environment}) as found:
        yield found


class Clients:
    """Two clients that ask all the time, each answer's id noted."""

    def __init__(self, server: HttpProcess) -> None:
        self._server, self._over = server, threading.Event()
        self.answered: list[str] = []
        self.statuses: Counter[int | None] = Counter()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(2)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, client: int) -> None:
        number = 0
        while not self._over.is_set():
            # Whoever sends a key waits until the store was asked, or has not answered in time.
            key = {"Idempotency-Key": f"soak-{number}"} if client else {}
            response = self._server.http.post(
                f"{self._server.url}/v1/scores",
                json=self._server.example,
                headers=key,
            )
            self.statuses[response.status_code] += 1
            if response.status_code == 200:
                self.answered.append(response.json()["id"])
            number += 1
            time.sleep(0.02)


def stored(world: World) -> set[str]:
    with pymongo.MongoClient(world.ferretdb.environment["MONGODB_URI"]) as client:
        return {each["event"] for each in client["loan_default"]["predictions"].find({}, {"event": 1})}


def test_no_answer_is_lost_and_the_server_is_as_before(world, server):
    chance = random.Random(0)
    faults: list[Callable[[ServerProcess], None]] = [freeze, crash]
    victims = {"store": world.ferretdb.process, "broker": world.kafka.broker}
    with Clients(server) as clients:
        time.sleep(5)
        before = (server.resident_bytes(), server.threads(), server.descriptors())
        world.ferretdb.process.pause()
        time.sleep(AWAY_SECONDS)
        during = server.http.get(f"{server.url}/readyz")
        assert (during.status_code, during.json()["status"]) == (200, "degraded")
        assert during.json()["spool_lag_seconds"] > AWAY_SECONDS / 2
        world.ferretdb.process.resume()
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            chance.choice(faults)(victims[chance.choice(list(victims))])
            time.sleep(chance.uniform(2, 8))
    wait_until(lambda: set(clients.answered) <= stored(world), seconds=120)
    assert len(clients.answered) > 100
    assert set(clients.statuses) == {200}, "a store that is away holds up no score"
    # The connections to servers that died are given back with the next look at them.
    wait_until(lambda: server.descriptors() <= before[2] + 8, seconds=60)
    after = (server.resident_bytes(), server.threads(), server.descriptors())
    sys.stdout.write(f"\n{len(clients.answered):,} answers; memory, threads, descriptors {before}, {after}\n")
    assert after[0] < before[0] + 60e6
    assert after[1] <= before[1] + 4
    assert server.http.get(f"{server.url}/readyz").json()["status"] == "ready"


def freeze(victim: ServerProcess) -> None:
    """Its connections stay open, and nobody answers."""
    victim.pause()
    time.sleep(4)
    victim.resume()


def crash(victim: ServerProcess) -> None:
    victim.kill()
    time.sleep(2)
    victim.restart()

"""Predictions while the document store is silent, refuses, is cut off or loses its answers: none is lost."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from servers.errors import NotInstallable
from servers.ferretdb import start_ferretdb
from servers.process import open_sockets, temporary_folder
from servers.proxy import Proxy, ferretdb_behind_proxy
from servers.required import skip_without

from loan_default.database.connect import Database, connect
from loan_default.database.prediction_repository import PredictionRepository
from loan_default.database.serving_documents import Door, Prediction
from loan_default.serving.prediction_log import PredictionLog
from loan_default.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]

FAULTS: dict[str, Callable[[Proxy], None]] = {
    "half-open": Proxy.hold,
    "refused": Proxy.refuse,
    "cut": Proxy.cut,
    "answers lost": lambda proxy: proxy.lose_answers(lambda request: b"insert" in request, times=5),
}
FAULT_SECONDS = 4.0
LONGEST_ADD_SECONDS = 1.0
"""What an answer may wait for its prediction on a busy machine; a store that is away takes longer."""


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[Proxy, Database, Database]]:
    """A proxy in front of a server, its database through the proxy, and the same database without it."""
    with temporary_folder() as folder, ExitStack() as opened:
        try:
            server = start_ferretdb(folder / "ferretdb")
        except NotInstallable as reason:
            skip_without(reason)
        opened.callback(server.stop)
        proxy, seen = opened.enter_context(ferretdb_behind_proxy(server))
        databases = []
        for each in (seen, server):
            uri = each.environment["MONGODB_URI"]
            databases.append(connect(Settings(home=tmp_path, mongodb_uri=uri, answer_seconds=1.0)))
            opened.callback(databases[-1].client.close)
        yield proxy, *databases


def prediction_of(event: str) -> Prediction:
    fields = {"digest": "ab" * 32, "pd": 0.25, "points": 512.5, "door": Door.HTTP}
    return Prediction(event=event, version="v1", scored_at=datetime.now(UTC), **fields)


def ids_in(database: Database) -> set[str]:
    return {each["_id"] for each in database["predictions"].find({}, {"_id": 1})}


def test_none_is_lost_and_none_is_there_twice_whatever_the_network_does(stores, tmp_path):
    proxy, database, plain = stores
    repository = PredictionRepository(database)
    repository.ensure_indexes()
    kept: list[str] = []
    before = open_sockets(os.getpid())
    with PredictionLog(repository, tmp_path / "spool") as log:
        for fault, break_ in FAULTS.items():
            break_(proxy)
            until, slowest = time.monotonic() + FAULT_SECONDS, 0.0
            while time.monotonic() < until:
                prediction = prediction_of(f"{fault}-{len(kept)}")
                started = time.monotonic()
                log.add([prediction])
                slowest = max(slowest, time.monotonic() - started)
                kept.append(prediction.id)
                time.sleep(0.005)
            assert slowest < LONGEST_ADD_SECONDS, fault
            assert not log.is_full
            proxy.mend()
            assert log.wait_until_stored(seconds=60), fault
            assert ids_in(plain) == set(kept), fault
        assert log.failures >= len(FAULTS) - 1
        assert log.lag == 0
    assert len(kept) > 500
    assert open_sockets(os.getpid()) <= before + 4
    assert list((tmp_path / "spool").iterdir()) == []

"""A store that is frozen and one that is killed twenty times: what it has confirmed, it keeps."""

import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Flag

import pytest
from integration.world import check_ledger, send_broken, wait_until
from servers.errors import NotInstallable
from servers.ferretdb import Ferretdb, start_ferretdb
from servers.process import temporary_folder
from servers.required import skip_without

from loan_default.database.connect import Database, connect
from loan_default.database.ingestion_documents import EventStatus, RawDataLog
from loan_default.database.ingestion_repositories import RawDataLogRepository
from loan_default.errors import DependencyError
from loan_default.kafka.events import event_id
from loan_default.kafka.topics import PROCESSING, RAW
from loan_default.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(400)]

KILLS = 20
BATCH = 20
BROKEN = 30
FROZEN_SECONDS = 6.0


@pytest.fixture
def store() -> Iterator[Ferretdb]:
    with temporary_folder() as folder:
        try:
            server = start_ferretdb(folder / "ferretdb")
        except NotInstallable as reason:
            skip_without(reason)
        yield server
        server.stop()


def test_a_store_killed_twenty_times_keeps_every_write_that_it_acknowledged(store, tmp_path):
    seed = int(os.environ.get("FAULT_SEED", random.SystemRandom().randrange(10**6)))
    chance, stop = random.Random(seed), Flag()
    database = connect(Settings(mongodb_uri=store.uri, answer_seconds=2.0))
    RawDataLogRepository(database).ensure_indexes()
    ledger = tmp_path / "ledger"
    with ThreadPoolExecutor(1) as threads:
        writer = threads.submit(keep_writing, database, ledger, stop)
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.1, 1.0))
            store.process.kill()
            acknowledged = len(read_ledger(ledger))
            store.process.start()
            wait_until(lambda acknowledged=acknowledged: len(read_ledger(ledger)) > acknowledged)
        stop.set()
        tried, repeated = writer.result(60)
    acknowledged = read_ledger(ledger)
    stored = [each["_id"] for each in database["raw_data_logs"].find({}, {"_id": 1})]
    database.client.close()
    sys.stdout.write(
        f"FAULT_SEED={seed}: {KILLS} kills, {len(acknowledged)} acknowledged, {len(stored)} stored, "
        f"{repeated} batches tried more than once\n"
    )
    assert not acknowledged - set(stored), "lost"
    assert not set(stored) - tried, "phantom"
    assert len(stored) == len(set(stored)), "twice"
    assert repeated > 0, "some write must have been cut off, or the test proves nothing"


def keep_writing(database: Database, ledger: Path, stop: Flag) -> tuple[set[str], int]:
    """Log batch after batch, each until it is acknowledged; all ids that were tried, and repetitions."""
    logs, tried, number, repeated = RawDataLogRepository(database), set[str](), 0, 0
    with ledger.open("a") as file:
        while not stop.is_set():
            batch = [log_of(place) for place in range(number, number + BATCH)]
            tried |= {log.event for log in batch}
            failed = False
            while True:
                try:
                    logs.add_new(batch)
                    break
                except DependencyError:
                    failed = True
                    time.sleep(0.05)
            file.writelines(f"{log.event}\n" for log in batch)
            file.flush()
            os.fsync(file.fileno())
            number += BATCH
            repeated += failed
    return tried, repeated


def read_ledger(path: Path) -> set[str]:
    """Ids of whole lines; the last one may be on its way."""
    text = path.read_text() if path.exists() else ""
    return set(text[: text.rfind("\n") + 1].splitlines())


def log_of(place: int) -> RawDataLog:
    return RawDataLog(
        event=f"event-{place}",
        topic="kills",
        partition=0,
        offset=place,
        batch="kills",
        outcome=EventStatus.ACCEPTED,
        logged_at=datetime.now(UTC),
    )


def test_while_the_store_is_frozen_nothing_is_committed_and_then_nothing_is_lost(world):
    send_broken(world, BROKEN)
    follower = world.start("ingest", "--follow", "--generate", "500")
    wait_until(lambda: len(world.documents()) > BROKEN + 500)
    world.ferretdb.process.pause()
    time.sleep(1.0)  # what had been answered before may still be committed
    frozen, sent = committed(world), sum(world.broker.end_offsets(RAW).values())
    deadline = time.monotonic() + FROZEN_SECONDS
    while time.monotonic() < deadline:
        assert committed(world) == frozen, "an offset was committed whose effects cannot be there"
        time.sleep(0.3)
    assert sum(world.broker.end_offsets(RAW).values()) > sent, "nothing waited for the store"
    world.ferretdb.process.kill()
    world.ferretdb.process.start()
    wait_until(lambda: sum(filter(None, committed(world).values())) >= sent)
    follower.send_signal(signal.SIGTERM)
    assert follower.wait(60) == 0, (world.home / "commands.log").read_text()[-3000:]
    assert world.run("ingest") == 0
    on_topic = {event_id(record) for record in world.records(RAW)}
    check_ledger(world, sound=len(on_topic) - BROKEN, broken=BROKEN)


def committed(world):
    return dict(world.broker.committed(PROCESSING, RAW))

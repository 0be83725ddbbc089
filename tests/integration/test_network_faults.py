"""The flow behind a bad network: slow, silent, cut, answers lost. It waits or says so, and loses nothing."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pymongo
import pytest
from integration.world import World, check_ledger, running_world, send_broken, wait_until
from servers.process import open_sockets
from servers.proxy import Proxy, Request, ferretdb_behind_proxy, kafka_behind_proxy

from loan_default.database.connect import connect
from loan_default.database.ingestion_documents import EventStatus, RawDataLog
from loan_default.database.ingestion_repositories import RawDataLogRepository
from loan_default.errors import DependencyError
from loan_default.kafka.client import Connection, KafkaBroker
from loan_default.kafka.events import event_id
from loan_default.kafka.messages import Message, next_offsets
from loan_default.kafka.topics import COMMANDS, PROCESSED, RAW, Topic, dead_letter_topic
from loan_default.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]

BROKEN = 30
ROWS = 200
"""Rows of one batch of the feed, which sends the next batch every two seconds."""
FAULTS: dict[str, Callable[[Proxy], None]] = {
    "half-open": Proxy.hold,
    "refused": Proxy.refuse,
    "cut": Proxy.cut,
    "a second of latency": lambda proxy: proxy.slow(1.0),
    "1 kB/s": lambda proxy: proxy.throttle(1_000),
}
SLACK_SECONDS = 3.0
"""What a busy machine may add to a deadline."""


@dataclass(frozen=True)
class Network:
    """A world, and how it is seen through a proxy in front of each server."""

    world: World
    seen: World
    broker: Proxy
    store: Proxy

    def finish(self) -> None:
        """Process what is there, without the proxies, and count every id."""
        assert self.world.run("ingest") == 0
        sent = {event_id(record) for record in self.world.records(RAW)}
        broken = sum(name.startswith("broken-") for name in sent)
        check_ledger(self.world, sound=len(sent) - broken, broken=broken)
        assert b"Traceback" not in log_of(self.world)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    home = tmp_path_factory.mktemp("home")
    with (
        running_world(home) as world,
        kafka_behind_proxy(world.kafka) as (broker, kafka),
        ferretdb_behind_proxy(world.ferretdb) as (store, ferretdb),
    ):
        send_broken(world, BROKEN)
        seen = World(home=home, kafka=kafka, ferretdb=ferretdb, commands=world.commands)
        yield Network(world=world, seen=seen, broker=broker, store=store)


@pytest.fixture
def network(servers: Network) -> Iterator[Network]:
    yield servers
    servers.broker.mend()
    servers.store.mend()
    for command in servers.world.commands:  # of a test that failed
        command.kill()
        command.wait()


@pytest.mark.parametrize("fault", FAULTS)
def test_no_call_to_the_broker_outlives_its_deadline(network, fault):
    reach = Connection(
        servers=(network.seen.kafka.bootstrap,), security={}, timeout_seconds=2.0, delivery_seconds=3.0
    )
    broker, dead_letters = KafkaBroker(reach), [Message(topic=COMMANDS, key=b"k", value=b"x" * 100_000)]
    producer, consumer = broker.producer(), broker.consumer(f"deadlines of {fault}", [COMMANDS])
    producer.deliver([Message(topic=COMMANDS, key=b"k", value=b"x")])
    read = consumer.poll(max_records=1, timeout_seconds=5.0)
    while not read:
        read = consumer.poll(max_records=1, timeout_seconds=5.0)

    FAULTS[fault](network.broker)
    # A call of several requests has the time of each.
    within(0.5 + 2.0, lambda: consumer.poll(max_records=9, timeout_seconds=0.5))
    within(2.0, consumer.positions)
    within(2.0, lambda: consumer.commit(next_offsets(read)))
    within(1.0 + 2.0, lambda: consumer.idle(1.0))
    within(3 * 2.0, lambda: broker.check_topics([RAW]))
    within(5 * 2.0, lambda: broker.create_topics([Topic(name=f"new-{len(fault)}")]))
    within(5 * 2.0, lambda: broker.end_offsets(COMMANDS))
    within(5 * 2.0, lambda: broker.committed("anyone", COMMANDS))
    within(3.0, lambda: producer.deliver(dead_letters))
    other = broker.producer()
    within(3 * 2.0 + 3.0, lambda: other.deliver(dead_letters))
    for member in (producer, other, consumer):
        within(2 * 2.0, member.close)


@pytest.mark.parametrize("fault", FAULTS)
def test_no_call_to_the_store_outlives_its_deadline(network, fault):
    uri = network.seen.ferretdb.uri
    settings = Settings(MONGODB_URI=uri, mongodb_database="deadlines", answer_seconds=2.0)
    database = connect(settings)
    logs = RawDataLogRepository(database)
    logs.ensure_indexes()
    batches = [[log_of_event(fault, n) for n in range(first, first + 50)] for first in (0, 50)]
    assert logs.add_new(batches[0]).statuses
    FAULTS[fault](network.store)
    within(2.0, lambda: logs.add_new(batches[1]))
    within(2.0, lambda: logs.known([log.event for log in batches[0]]))
    within(5.0, lambda: connect_and_close(settings))
    within(2.0, database.client.close)


def test_a_broker_behind_a_bad_network_is_waited_for(network):
    survive(
        network,
        network.broker,
        slow_seconds=0.2,
        waits=lambda: log_of(network.world).count(b"_waits"),
    )


def test_a_store_behind_a_bad_network_is_waited_for(network):
    survive(
        network,
        network.store,
        slow_seconds=0.2,
        waits=lambda: log_of(network.world).count(b"batch_waits"),
    )


def survive(network, proxy, *, slow_seconds, waits):
    """One process has all faults after one another, each long enough to be felt, and is as before then."""
    with follower(network) as process:
        progress(network)
        before = peak(process)
        proxy.slow(slow_seconds)
        progress(network)
        proxy.mend()
        for _ in range(5):
            proxy.cut()
            progress(network)
        for fault in (proxy.hold, lambda: proxy.throttle(200)):
            logged_before = waits()
            fault()
            wait_until(lambda before=logged_before: waits() > before)
            proxy.mend()
            progress(network)
        wait_until(lambda: all(now <= then for now, then in zip(peak(process), before, strict=True)))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    network.finish()


def test_a_process_that_is_stopped_while_the_store_is_silent_ends_with_one_error(network):
    with follower(network) as process:
        progress(network)
        logged_before = log_of(network.world).count(b"batch_waits")
        network.store.hold()
        wait_until(lambda: log_of(network.world).count(b"batch_waits") > logged_before)
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 3
    assert error_of(network.world).startswith("A service does not answer: Cannot ")
    network.store.mend()
    network.finish()


def test_a_broker_that_stays_silent_ends_the_process_with_one_error(network):
    with follower(network) as process:
        progress(network)
        network.broker.hold()
        assert process.wait(200) == 3
    assert error_of(network.world).startswith("A service does not answer: the broker must answer, however:")
    network.broker.mend()
    network.finish()


def test_a_write_whose_answer_is_lost_has_one_effect(network):
    requests = (
        (network.broker, produce_to(RAW)),
        (network.store, insert_into("raw_data_logs")),
        (network.broker, produce_to(dead_letter_topic(RAW))),
        (network.store, insert_into("ingestion_batches")),
        (network.broker, produce_to(PROCESSED)),
        (network.broker, commit_of("processing")),
    )
    for number, (proxy, request) in enumerate(requests, start=1):
        send_broken(network.world, BROKEN, first=number * BROKEN)
        lost = proxy.lost
        proxy.lose_answers(request, times=2)
        assert network.seen.run("ingest", "--generate", "100") == 0
        assert proxy.lost == lost + 2
    network.finish()


def log_of(world: World) -> bytes:
    return (world.home / "commands.log").read_bytes()


def error_of(world: World) -> str:
    """The last line of the output of the commands: nothing may come after an error."""
    return log_of(world).decode().splitlines()[-1]


@contextmanager
def follower(network: Network) -> "Iterator[subprocess.Popen[bytes]]":
    """A process that feeds and processes through the proxies."""
    process = network.seen.start("ingest", "--follow", "--generate", str(ROWS))
    yield process
    assert process.poll() is not None, "a test waits for the end of what it has started"


def logged(world: World) -> int:
    with pymongo.MongoClient(world.ferretdb.uri) as client:
        return client["loan_default"]["raw_data_logs"].count_documents({})


def progress(network: Network) -> None:
    """Wait until another batch has been logged."""
    wanted = logged(network.world) + ROWS
    wait_until(lambda: logged(network.world) >= wanted)


def peak(process: "subprocess.Popen[bytes]", *, seconds: float = 6.0) -> tuple[int, int]:
    """The most threads and the most sockets that a process has within a round of its feed."""
    tasks, threads, sockets = Path(f"/proc/{process.pid}/task"), 0, 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        threads = max(threads, sum(1 for _ in tasks.iterdir()))
        sockets = max(sockets, open_sockets(process.pid))
        time.sleep(0.05)
    return threads, sockets


def within(seconds: float, call: Callable[[], object]) -> None:
    """It returns or says that a service does not answer, in time."""
    started = time.monotonic()
    with suppress(DependencyError):
        call()
    assert time.monotonic() - started <= seconds + SLACK_SECONDS


def connect_and_close(settings: Settings) -> None:
    connect(settings).client.close()


def log_of_event(fault: str, number: int) -> RawDataLog:
    return RawDataLog(
        event=f"{fault}-{number}",
        topic=fault,
        partition=0,
        offset=number,
        batch=fault,
        outcome=EventStatus.ACCEPTED,
        logged_at=datetime.now(UTC),
    )


def produce_to(topic: str) -> Request:
    """Kafka's requests begin with length and number of the call; a name stands behind its length."""
    name = bytes([len(topic) + 1]) + topic.encode()
    return lambda request: request[4:6] == b"\x00\x00" and name in request


def commit_of(group: str) -> Request:
    return lambda request: request[4:6] == b"\x00\x08" and group.encode() in request


def insert_into(collection: str) -> Request:
    name = collection.encode() + b"\x00"
    return lambda request: b"\x02insert\x00" + len(name).to_bytes(4, "little") + name in request

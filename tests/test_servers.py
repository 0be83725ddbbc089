"""The servers that other tests rely on: they answer, refuse strangers, survive kills, leave nothing."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pymongo
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError
from pymongo.errors import OperationFailure
from servers.errors import NotInstallable, StartError
from servers.ferretdb import start_ferretdb
from servers.installation import installed
from servers.kafka import install_kafka, start_kafka
from servers.postgres import Postgres, install_postgres, start_postgres
from servers.process import LOCALHOST, ServerProcess, listens, on_free_ports, temporary_folder
from servers.required import skip_without

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="servers need setpriv (util-linux)"),
]


@pytest.fixture
def folder():
    with temporary_folder() as folder:
        yield folder


@pytest.fixture
def start(folder):
    """Starts a server; the test is skipped where it cannot be had, and the server stopped in any case."""
    running = []

    def start(function):
        try:
            running.append(function(folder / "server"))
        except NotInstallable as reason:
            skip_without(reason)
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def web(folder):
    """Makes small servers on a given port, which need nothing but Python."""
    made = []

    def make(port):
        command = [sys.executable, "-m", "http.server", "--bind", LOCALHOST, str(port)]
        log = folder / "web.log"
        made.append(ServerProcess(name="web", command=command, log=log, is_ready=lambda: _says_hello(port)))
        return made[-1]

    yield make
    for server in made:
        server.kill()


def test_kafka_keeps_its_records_when_broker_and_zookeeper_are_killed(start):
    kafka = start(start_kafka)
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    admin.create_topics({"loans": {"num_partitions": 1, "replication_factor": 1}}, wait_for_metadata=True)
    admin.close()
    assert _send(kafka.bootstrap, b"first") == 0
    kafka.broker.kill()
    kafka.zookeeper.kill()
    assert not kafka.broker.running
    assert not listens(_port(kafka.bootstrap))
    kafka.zookeeper.start()
    kafka.broker.start()
    assert _send(kafka.bootstrap, b"second") == 1
    assert _read(kafka.bootstrap, 2) == [b"first", b"second"]

    login = {"security_protocol": "SASL_PLAINTEXT", "bootstrap_timeout_ms": 2_000}
    login |= {"sasl_plain_username": kafka.username, "sasl_plain_password": kafka.password}
    for mechanism in ("PLAIN", "SCRAM-SHA-512"):
        login["sasl_mechanism"] = mechanism
        assert _read(kafka.sasl_bootstrap, 2, **login) == [b"first", b"second"]
        with pytest.raises(KafkaError):
            _read(kafka.sasl_bootstrap, 2, **{**login, "sasl_plain_password": "wrong"})

    pids = [kafka.broker.pid, kafka.zookeeper.pid]
    kafka.stop()
    assert not any(map(_exists, pids))


def test_ferretdb_keeps_its_documents_when_it_is_killed_and_refuses_strangers(start):
    server = start(start_ferretdb)
    with pymongo.MongoClient(server.uri) as client:
        client.tests.loans.insert_one({"_id": "a", "amount": 3})
    server.process.kill()
    assert not listens(_port(server.host))
    server.process.start()
    with pymongo.MongoClient(server.uri) as client:
        assert list(client.tests.loans.find()) == [{"_id": "a", "amount": 3}]
    for uri, code in (
        (server.uri.replace(server.password, "wrong"), 18),  # AuthenticationFailed
        (f"mongodb://{server.host}/", 13),  # Unauthorized
    ):
        with pymongo.MongoClient(uri) as client, pytest.raises(OperationFailure) as refused:
            client.tests.loans.insert_one({"_id": "b"})
        assert refused.value.code == code
    server.stop()
    assert not _exists(server.process.pid)


def test_postgres_keeps_its_rows_when_it_is_killed_and_refuses_strangers(start):
    server = start(start_postgres)
    assert _query(server, "create table loans as select 3 as amount").returncode == 0
    server.process.kill()
    server.process.start()
    assert _query(server, "select amount from loans").stdout == "3\n"
    assert "authentication failed" in _query(server, "select 1", password="wrong").stderr
    server.stop()
    assert not _exists(server.process.pid)


def test_a_server_is_frozen_and_goes_on_and_comes_back_on_its_port(web):
    server = on_free_ports(1, lambda ports: _started(web(*ports)))
    port, first = int(server.command[-1]), server.pid
    server.pause()
    assert not _says_hello(port)
    server.resume()
    assert _says_hello(port)
    server.pause()
    server.stop()
    assert not _exists(first)
    server.restart()
    assert _says_hello(port)
    assert server.pid != first


def test_a_port_that_is_lost_to_another_is_replaced(web):
    tried = []

    def start(ports):
        tried.append(port := taken.getsockname()[1] if not tried else ports[0])
        return _started(web(port))

    with socket.create_server((LOCALHOST, 0)) as taken:
        server = on_free_ports(1, start)
    assert len(tried) == 2
    assert int(server.command[-1]) == tried[1]


def test_a_server_that_ends_too_early_says_why(folder):
    server = ServerProcess(
        name="broken",
        command=["sh", "-c", "echo no such setting; exit 3"],
        log=folder / "log",
        is_ready=lambda: False,
    )
    with pytest.raises(StartError, match=r"broken ended with code 3 before it was ready\nno such setting"):
        server.start()


def test_a_server_that_is_not_ready_in_time_is_killed(folder):
    server = ServerProcess(name="slow", command=["sleep", "600"], log=folder / "log", is_ready=lambda: False)
    with pytest.raises(StartError, match="slow was not ready in time"):
        server.start(within_seconds=0.2)
    assert not _exists(server.pid)


def test_a_server_outlives_the_thread_that_started_it_and_dies_with_its_process(folder):
    program = f"""if True:
        import os, signal, sys, threading, time
        from pathlib import Path
        from servers.process import ServerProcess
        command = ["sleep", "600"]
        log = Path({str(folder / "log")!r})
        server = ServerProcess(name="s", command=command, log=log, is_ready=lambda: True)
        thread = threading.Thread(target=server.start)
        thread.start()
        thread.join()
        time.sleep(0.3)
        print(server.pid, server.running, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    parent = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False
    )
    assert parent.returncode == -signal.SIGKILL, parent.stderr
    pid, running = parent.stdout.split()
    assert running == "True"
    deadline = time.monotonic() + 10
    while _exists(int(pid)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_installation_is_made_once_and_is_whole_or_absent(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = tmp_path / "loan-default" / "servers"
    left = place / ".thing-1.0.killed.part"
    left.mkdir(parents=True)
    built = []

    def fail(target):
        (target / "half").touch()
        raise NotInstallable("Thing", "the network\nis away")

    def build(target):
        built.append(target)
        (target / "one").touch()
        time.sleep(0.2)
        (target / "two").touch()

    with pytest.raises(NotInstallable, match=r"^Thing cannot be installed: the network is away$"):
        installed("Thing", "1.0", fail)
    assert [path.name for path in place.iterdir()] == [".thing-1.0.lock"]
    with ThreadPoolExecutor(4) as threads:
        folders = list(threads.map(lambda _: installed("Thing", "1.0", build), range(4)))
    assert folders == [place / "thing-1.0"] * 4
    assert len(built) == 1
    assert sorted(path.name for path in folders[0].iterdir()) == ["one", "two"]


def test_what_is_missing_is_named_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotInstallable) as missing:
        install_kafka()
    assert str(missing.value).startswith("Kafka cannot be installed: java must be on the PATH")
    assert "\n" not in str(missing.value)


def _started(server: ServerProcess) -> ServerProcess:
    server.start()
    return server


def _send(bootstrap: str, value: bytes) -> int:
    """The offset that the record got."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    try:
        return producer.send("loans", value=value).get(timeout=20).offset
    finally:
        producer.close()


def _read(bootstrap: str, count: int, **settings: object) -> list[bytes]:
    consumer = KafkaConsumer(
        "loans",
        bootstrap_servers=bootstrap,
        group_id="readers",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        consumer_timeout_ms=20_000,
        **settings,
    )
    try:
        return [record.value for record in islice(consumer, count)]
    finally:
        consumer.close()


def _query(
    server: Postgres, statement: str, *, password: str | None = None
) -> subprocess.CompletedProcess[str]:
    uri = server.uri if password is None else server.uri.replace(server.password, password)
    command = [
        install_postgres() / "psql",
        "--no-psqlrc",
        "--tuples-only",
        "--no-align",
        "-c",
        statement,
        uri,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def _says_hello(port: int) -> bool:
    try:
        with socket.create_connection((LOCALHOST, port), timeout=0.5) as connection:
            connection.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
    except OSError:
        return False


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

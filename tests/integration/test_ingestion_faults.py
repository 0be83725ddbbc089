"""The flow on genuine servers while processes die: nothing lost, nothing invented, no effect twice."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pymongo
import pytest
from servers.errors import NotInstallable
from servers.ferretdb import Ferretdb, start_ferretdb
from servers.kafka import Kafka, start_kafka
from servers.process import temporary_folder

from loan_default.kafka.client import Connection, KafkaBroker
from loan_default.kafka.consuming import look
from loan_default.kafka.dead_letters import read_dead_letter
from loan_default.kafka.events import event_id
from loan_default.kafka.messages import Message, Record
from loan_default.kafka.topics import PROCESSED, RAW, dead_letter_topic

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

SOUND, BROKEN = 3_000, 30


@dataclass
class World:
    """Servers of one test, and commands that run against them as processes of their own."""

    home: Path
    kafka: Kafka
    ferretdb: Ferretdb
    commands: "list[subprocess.Popen[bytes]]"

    def start(self, *words: str, failpoints: str = "") -> "subprocess.Popen[bytes]":
        environment = {
            **os.environ,
            **self.kafka.environment,
            **self.ferretdb.environment,
            "LOAN_DEFAULT_HOME": str(self.home),
            "LOAN_DEFAULT_TEST": "1",
            "LOAN_DEFAULT_FAILPOINTS": failpoints,
        }
        command = [sys.executable, "-c", "from loan_default.cli import main; main()", *words]
        with (self.home / "commands.log").open("ab") as log:
            self.commands.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        return self.commands[-1]

    def run(self, *words: str, failpoints: str = "") -> int:
        return self.start(*words, failpoints=failpoints).wait(240)

    @property
    def broker(self) -> KafkaBroker:
        return KafkaBroker(
            Connection(servers=(self.kafka.environment["KAFKA_BOOTSTRAP_SERVERS"],), security={})
        )

    def records(self, topic: str) -> list[Record]:
        consumer = self.broker.consumer(f"look-{time.time_ns()}", [topic])
        records = list(look(consumer, ends=self.broker.end_offsets(topic)))
        consumer.close()
        return records

    def documents(self) -> list[dict[str, object]]:
        with pymongo.MongoClient(self.ferretdb.environment["MONGODB_URI"]) as client:
            return list(client["loan_default"]["raw_data_logs"].find({}))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    running: list[Kafka | Ferretdb] = []
    with temporary_folder() as folder:
        try:
            for name, start in (("kafka", start_kafka), ("ferretdb", start_ferretdb)):
                running.append(start(folder / name))
        except NotInstallable as reason:
            pytest.skip(str(reason))
        try:
            world = World(home=tmp_path, kafka=running[0], ferretdb=running[1], commands=[])
            assert world.run("init") == 0
            yield world
            for command in world.commands:
                command.kill()
                command.wait()
            sys.stdout.write((tmp_path / "commands.log").read_text())  # shown with a failure
        finally:
            for server in running:
                server.stop()


def send_broken(world: World, count: int) -> None:
    """Records that no schema takes, among them some without any header."""
    values = [b"{", b"", None, b"[1]", b'{"LIMIT_BAL": NaN}', b"\xff\xfe"]
    producer = world.broker.producer()
    producer.deliver(
        Message(
            topic=RAW, key=b"%d" % n, value=values[n % len(values)], headers=(("ce_id", b"broken-%d" % n),)
        )
        for n in range(count)
    )
    producer.close()


def check_ledger(world: World, *, sound: int, broken: int) -> None:
    """Sent = accepted + dead; no id lost, invented, twice in a collection, or in both."""
    documents = world.documents()
    sent = {event_id(record) for record in world.records(RAW)}
    accepted = {str(each["_id"]) for each in documents if each["outcome"] == "accepted"}
    rejected = {str(each["_id"]) for each in documents if each["outcome"] == "rejected"}
    processed = {event_id(record) for record in world.records(PROCESSED)}
    dead = {read_dead_letter(record).event for record in world.records(dead_letter_topic(RAW))}
    assert len(documents) == len(sent) == sound + broken, "rows must be distinct ids"
    assert accepted | rejected == sent, "lost or phantom"
    assert not accepted & rejected
    assert (processed, dead) == (accepted, rejected)
    assert (len(accepted), len(rejected)) == (sound, broken)


POINTS = ("logged", "dead_letters_sent", "outbox_written", "batch_stored", "part_sent", "slice_delivered")


def test_a_worker_killed_between_each_pair_of_steps_loses_nothing(world):
    send_broken(world, BROKEN)
    assert world.run("ingest", "--generate", str(SOUND), failpoints="slice_delivered=kill") == -signal.SIGKILL
    for point in POINTS:
        for passing in (1, 2):
            code = world.run("ingest", "--generate", str(SOUND), failpoints=f"{point}=kill@{passing}")
            assert code in (0, -signal.SIGKILL), point
    assert world.run("ingest") == 0
    kills = (world.home / "commands.log").read_bytes()
    assert b"Traceback" not in kills
    sent = len({event_id(record) for record in world.records(RAW)}) - BROKEN
    assert sent >= SOUND
    check_ledger(world, sound=sent, broken=BROKEN)


def test_failpoints_are_inert_unless_a_test_says_so(world, monkeypatch):
    process = world.start("ingest", "--generate", "10", failpoints="logged=kill")
    assert process.wait(60) == -signal.SIGKILL
    environment = {**os.environ, **world.kafka.environment, **world.ferretdb.environment}
    environment |= {"LOAN_DEFAULT_HOME": str(world.home), "LOAN_DEFAULT_FAILPOINTS": "logged=kill"}
    environment.pop("LOAN_DEFAULT_TEST", None)
    command = [sys.executable, "-c", "from loan_default.cli import main; main()", "ingest"]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, timeout=60)
    assert done.returncode == 0


@pytest.mark.parametrize("who", ["broker", "store"])
def test_a_server_killed_and_restarted_under_load_loses_nothing(world, who):
    send_broken(world, BROKEN)
    assert world.run("ingest", "--generate", "1") == 0
    follower = world.start("ingest", "--follow", "--generate", str(SOUND))
    server = world.kafka.broker if who == "broker" else world.ferretdb.process
    _wait_until(lambda: len(world.documents()) > BROKEN + 200)
    for _ in range(2):
        server.kill()
        time.sleep(1.0)
        server.restart()
        time.sleep(1.0)
    feed = world.home / "feeds" / "generated-0.json"
    _wait_until(lambda: json.loads(feed.read_text())["next_row"] >= SOUND)
    _wait_until(lambda: len(world.documents()) >= SOUND + BROKEN)
    follower.send_signal(signal.SIGTERM)
    assert follower.wait(60) == 0, (world.home / "commands.log").read_text()[-3000:]
    assert world.run("ingest") == 0
    sent = len({event_id(record) for record in world.records(RAW)}) - BROKEN
    check_ledger(world, sound=sent, broken=BROKEN)


def test_members_that_come_and_go_every_two_seconds_lose_nothing(world):
    send_broken(world, BROKEN)
    assert world.run("ingest", "--generate", str(SOUND), failpoints="slice_delivered=sleep(1)") == 0
    feeder = world.start("ingest", "--follow", "--generate", str(SOUND), failpoints="logged=sleep(50)")
    for _ in range(3):
        guest = world.start("ingest", "--follow", failpoints="logged=sleep(50)")
        time.sleep(2)
        guest.send_signal(signal.SIGTERM)
        assert guest.wait(60) == 0
    _wait_until(lambda: len(world.documents()) >= 2 * SOUND + BROKEN)
    feeder.send_signal(signal.SIGTERM)
    assert feeder.wait(60) == 0
    assert world.run("ingest") == 0
    sent = len({event_id(record) for record in world.records(RAW)}) - BROKEN
    check_ledger(world, sound=sent, broken=BROKEN)


def _wait_until(true: Callable[[], bool], *, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if true():
                return
        except (OSError, pymongo.errors.PyMongoError):
            pass  # the server is away: that is the test
        time.sleep(0.3)
    raise AssertionError(f"it must come true within {seconds} s")

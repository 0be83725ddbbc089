"""Genuine servers of one test, commands that run against them, and the ledger of what came of it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pymongo
from servers.errors import NotInstallable
from servers.ferretdb import Ferretdb, start_ferretdb
from servers.kafka import Kafka, start_kafka
from servers.process import temporary_folder
from servers.required import skip_without

from loan_default.errors import DependencyError
from loan_default.kafka.client import Connection, KafkaBroker
from loan_default.kafka.consuming import look
from loan_default.kafka.dead_letters import read_dead_letter
from loan_default.kafka.events import event_id
from loan_default.kafka.messages import Message, Offsets, Record
from loan_default.kafka.topics import PROCESSED, PROCESSING, RAW, dead_letter_topic


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
            "LOAN_DEFAULT_SESSION_SECONDS": "3",
            "LOAN_DEFAULT_TEST": "1",
            "LOAN_DEFAULT_FAILPOINTS": failpoints,
        }
        command = [sys.executable, "-c", "from loan_default.cli.main import main; main()", *words]
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

    def has_committed(self, ends: Offsets) -> bool:
        """Whether the workers are done with all of `raw_data` before these ends."""
        done = self.broker.committed(PROCESSING, RAW)
        return all((done[partition] or 0) >= end for partition, end in ends.items())

    def documents(self) -> list[dict[str, object]]:
        with pymongo.MongoClient(self.ferretdb.environment["MONGODB_URI"]) as client:
            return list(client["loan_default"]["raw_data_logs"].find({}))


@contextmanager
def running_world(home: Path) -> Iterator[World]:
    """Servers of their own, made ready by `init`; skipped, with the reason, where they cannot be had."""
    running: list[Kafka | Ferretdb] = []
    with temporary_folder() as folder:
        try:
            for name, start in (("kafka", start_kafka), ("ferretdb", start_ferretdb)):
                running.append(start(folder / name))
        except NotInstallable as reason:
            skip_without(reason)
        try:
            world = World(home=home, kafka=running[0], ferretdb=running[1], commands=[])
            assert world.run("init") == 0
            yield world
            for command in world.commands:
                command.kill()
                command.wait()
            sys.stdout.write((home / "commands.log").read_text())  # shown with a failure
        finally:
            for server in running:
                server.stop()


def send_broken(world: World, count: int, *, first: int = 0) -> None:
    """Records `broken-<number>` that no schema takes."""
    values = [b"{", b"", None, b"[1]", b'{"LIMIT_BAL": NaN}', b"\xff\xfe"]
    producer = world.broker.producer()
    producer.deliver(
        Message(
            topic=RAW, key=b"%d" % n, value=values[n % len(values)], headers=(("ce_id", b"broken-%d" % n),)
        )
        for n in range(first, first + count)
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
    counts = {"logged": len(documents), "sent": len(sent), "expected": sound + broken}
    assert len(set(counts.values())) == 1, f"rows must be distinct ids, however: {counts}"
    assert accepted | rejected == sent, "lost or phantom"
    assert not accepted & rejected
    assert (processed, dead) == (accepted, rejected)
    assert (len(accepted), len(rejected)) == (sound, broken)


def wait_until(true: Callable[[], bool], *, seconds: float = 120) -> None:
    """Fail where it is not true in time; a server that is away is no failure."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if true():
                return
        except (OSError, DependencyError, pymongo.errors.PyMongoError):
            pass  # the server is away: that is the test
        time.sleep(0.3)
    raise AssertionError(f"it must come true within {seconds} s")

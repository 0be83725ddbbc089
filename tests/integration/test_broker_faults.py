"""Brokers of a cluster that die under load, and a member that its group takes for dead: nothing is lost."""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event as Flag

import pymongo
import pytest
from integration.world import World, check_ledger, send_broken, wait_until
from kafka import KafkaAdminClient
from servers.errors import NotInstallable
from servers.ferretdb import start_ferretdb
from servers.kafka import start_kafka
from servers.process import temporary_folder
from servers.required import skip_without

from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import load_schema
from loan_default.data.sources.feeds import FeedBatch, GeneratedFeed
from loan_default.database.ingestion_repositories import IngestionBatchRepository
from loan_default.errors import DependencyError
from loan_default.kafka.client import Connection, KafkaBroker, KafkaRecordConsumer
from loan_default.kafka.events import event_id
from loan_default.kafka.messages import Offsets, Partition, Record
from loan_default.kafka.outbox import Outbox
from loan_default.kafka.topics import PROCESSING, RAW
from loan_default.pipelines.ingestion.ingestion_steps import ingest_raw_data, process_raw_data
from loan_default.pipelines.layout import OUTBOX
from loan_default.pipelines.services import Services

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(400)]

BROKERS, BROKEN = 3, 30
VICTIMS = ("leader", "controller", "any", "any", "any")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL)
BATCH_ROWS, BATCH_SECONDS = 20, 0.03
SOUND = 1_500


@dataclass
class Cluster(World):
    """A world with several brokers."""

    @property
    def broker(self) -> KafkaBroker:
        return KafkaBroker(Connection(servers=tuple(self.kafka.bootstrap.split(",")), security={}))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with temporary_folder() as folder, ExitStack() as running:
        try:
            kafka = start_kafka(folder / "kafka", brokers=BROKERS)
            running.callback(kafka.stop)
            ferretdb = start_ferretdb(folder / "ferretdb")
            running.callback(ferretdb.stop)
        except NotInstallable as reason:
            skip_without(reason)
        cluster = Cluster(home=tmp_path, kafka=kafka, ferretdb=ferretdb, commands=[])
        assert cluster.run("init") == 0
        yield cluster
        for command in cluster.commands:
            command.kill()
            command.wait()
        sys.stdout.write((tmp_path / "commands.log").read_text())  # shown with a failure


@dataclass(frozen=True)
class SteadyFeed:
    """Small batches without an end, so that something is on its way whenever a broker dies.

    Its watermark is the ledger: a row below it was acknowledged, a row of the batch behind it may be there.
    """

    schema: Schema
    ledger: Path

    def batches(self) -> Iterator[FeedBatch]:
        feed = GeneratedFeed(self.schema, rows=None, seed=1, state=self.ledger, batch_rows=BATCH_ROWS)
        for batch in feed.batches():
            yield batch
            time.sleep(BATCH_SECONDS)

    @property
    def acknowledged(self) -> int:
        return int(json.loads(self.ledger.read_text())["next_row"]) if self.ledger.exists() else 0


def test_brokers_killed_one_by_one_under_load_lose_nothing_that_was_acknowledged(cluster):
    seed = int(os.environ.get("FAULT_SEED", random.SystemRandom().randrange(10**6)))
    plan = list(zip(VICTIMS, random.Random(seed).sample(SIGNALS, len(SIGNALS)), strict=True))
    chance = random.Random(seed)
    chance.shuffle(plan)
    say(f"FAULT_SEED={seed}: {', '.join(f'{who} {how.name}' for who, how in plan)}")
    send_broken(cluster, BROKEN)
    follower, stop = cluster.start("ingest", "--follow"), Flag()
    with services_of(cluster) as services, ThreadPoolExecutor(1) as threads:
        feed = SteadyFeed(services.schema, cluster.home / "ledger.json")
        load = threads.submit(keep_sending, services, feed, stop)
        try:
            wait_until(lambda: feed.acknowledged > 100 and len(cluster.documents()) > BROKEN + 50)
            for who, how in plan:
                bounce(cluster, feed, who, how, chance)
        finally:
            stop.set()
        load.result(60)
    wait_until(lambda: len(cluster.documents()) >= feed.acknowledged + BROKEN)
    follower.send_signal(signal.SIGTERM)
    assert follower.wait(60) == 0, (cluster.home / "commands.log").read_text()[-3000:]
    assert cluster.run("ingest") == 0
    on_topic = {event_id(record) for record in cluster.records(RAW)}
    acknowledged = {f"generated-1-{row}" for row in range(feed.acknowledged)}
    tried = {f"generated-1-{row}" for row in range(feed.acknowledged + BATCH_ROWS)}
    sound = {name for name in on_topic if name.startswith("generated")}
    assert acknowledged <= sound <= tried
    say(f"{len(acknowledged)} acknowledged, {len(sound)} there")
    check_ledger(cluster, sound=len(sound), broken=BROKEN)


def keep_sending(services: Services, feed: SteadyFeed, stop: Flag) -> None:
    """Send until the flag is set; what no broker has confirmed is sent again under its id."""
    while not stop.is_set():
        try:
            ingest_raw_data(services, feed, stop=stop)
        except DependencyError as error:
            say(f"not confirmed: {error}")
            stop.wait(0.5)


def bounce(cluster: Cluster, feed: SteadyFeed, who: str, how: signal.Signals, chance: random.Random) -> None:
    """End one broker at a random time, start it again, and wait until all replicas are in sync."""
    time.sleep(chance.uniform(0.0, 0.5))
    number = victim(cluster, who, chance)
    server, before = cluster.kafka.brokers[number], feed.acknowledged
    if how is signal.SIGKILL:
        server.kill()
    else:
        server.stop()
    down = time.monotonic()
    server.start()
    up = time.monotonic()
    wait_until(lambda: feed.acknowledged > before + 2 * BATCH_ROWS)
    say(
        f"broker {number} ({who}), {how.name}: up after {up - down:.1f} s, {feed.acknowledged - before} "
        f"acknowledged since it was ended, {time.monotonic() - up:.1f} s after it was back"
    )
    wait_until(lambda: all(len(each["isr_nodes"]) == BROKERS for each in partitions(cluster)))


def victim(cluster: Cluster, who: str, chance: random.Random) -> int:
    if who == "leader":
        return int(partitions(cluster)[0]["leader_id"])
    if who == "controller":
        with admin_of(cluster) as admin:
            return int(admin.describe_cluster()["controller_id"])
    return chance.choice(sorted(cluster.kafka.brokers))


def partitions(cluster: Cluster) -> list[dict[str, object]]:
    """Leaders and replicas in sync of the raw topic and of the groups' commits."""
    with admin_of(cluster) as admin:
        topics = admin.describe_topics([RAW, "__consumer_offsets"])
    return [each for topic in topics for each in topic["partitions"]]


@contextmanager
def admin_of(cluster: Cluster) -> Iterator[KafkaAdminClient]:
    admin = KafkaAdminClient(bootstrap_servers=cluster.kafka.bootstrap)
    try:
        yield admin
    finally:
        admin.close()


def test_a_member_that_sleeps_past_its_poll_interval_commits_nothing_and_another_does_its_batch(world):
    """The effects of its batch are there twice then, as redeliveries; what counts is there once."""
    send_broken(world, BROKEN)
    assert world.run("ingest", "--generate", str(SOUND), failpoints="batch_delivered=kill") == -signal.SIGKILL
    bed, before, ends = Bed(), committed(world), world.broker.end_offsets(RAW)
    with services_of(world) as services, ThreadPoolExecutor(1) as threads:
        try:
            sleeper = threads.submit(
                process_raw_data, replace(services, broker=SleepyBroker(world.broker, bed))
            )
            assert bed.asleep.wait(60)
            follower = world.start("ingest", "--follow")
            assert done_of(committed(world)) == done_of(before)
            wait_until(lambda: committed(world) == ends)
        finally:
            bed.awake.set()
        slept = sleeper.result(60)
        assert bed.answers[0] is False
        assert committed(world) == ends
        follower.send_signal(signal.SIGTERM)
        assert follower.wait(60) == 0
        assert world.run("ingest") == 0
        check_ledger(world, sound=SOUND, broken=BROKEN)
        batches = IngestionBatchRepository(services.database).newest_first()
    assert slept.accepted + slept.rejected >= bed.records > 0
    assert sum(batch.redelivered for batch in batches) == bed.records
    assert sum(batch.accepted for batch in batches) == SOUND
    assert sum(batch.rejected for batch in batches) == BROKEN


def committed(world: World) -> dict[Partition, int | None]:
    return dict(world.broker.committed(PROCESSING, RAW))


def done_of(commits: dict[Partition, int | None]) -> dict[Partition, int]:
    """A member that has read nothing yet may say so."""
    return {partition: offset or 0 for partition, offset in commits.items()}


@dataclass
class Bed:
    """Where a member sleeps: with a batch whose effects are all there, and which is not committed."""

    asleep: Flag = field(default_factory=Flag)
    awake: Flag = field(default_factory=Flag)
    records: int = 0
    """Of that batch."""
    answers: list[bool] = field(default_factory=list)
    """Of its commits."""


class SleepyBroker:
    """A broker whose consumers may be away for three seconds, and whose first commit takes much longer."""

    def __init__(self, broker: KafkaBroker, bed: Bed) -> None:
        self._broker, self._bed = broker, bed

    def __getattr__(self, name: str) -> object:
        return getattr(self._broker, name)

    def consumer(self, group: str, topics: Iterable[str]) -> "Sleeper":
        return Sleeper(self._broker, self._bed, group, list(topics))


class Sleeper(KafkaRecordConsumer):
    def __init__(self, broker: KafkaBroker, bed: Bed, group: str, topics: list[str]) -> None:
        connection = broker._connection
        impatient = {**connection.security, "max_poll_interval_ms": 3_000}
        super().__init__(replace(connection, security=impatient, session_seconds=3), group, topics)
        self._bed = bed

    def poll(self, *, max_records: int, timeout_seconds: float) -> list[Record]:
        records = super().poll(max_records=max_records, timeout_seconds=timeout_seconds)
        self._bed.records = self._bed.records or len(records)
        return records

    def commit(self, offsets: Offsets) -> bool:
        if not self._bed.records:
            return super().commit(offsets)
        if not self._bed.answers:
            self._bed.asleep.set()
            assert self._bed.awake.wait(200)
        self._bed.answers.append(super().commit(offsets))
        return self._bed.answers[-1]


@contextmanager
def services_of(world: World) -> Iterator[Services]:
    """A flow of this process on the servers of the world."""
    with pymongo.MongoClient(world.ferretdb.uri, tz_aware=True, w="majority") as client:
        yield Services(
            broker=world.broker,
            database=client["loan_default"],
            schema=load_schema(BUNDLED_SCHEMA),
            outbox=Outbox(world.home / OUTBOX),
        )


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")  # shown with a failure, or with -s
    sys.stdout.flush()

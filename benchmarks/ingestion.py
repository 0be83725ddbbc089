"""Records a second from `raw_data` to `processed_data` on genuine servers, beside the bare clients.

export PYTHONPATH=tests                                                      # of the servers
python -m benchmarks.ingestion                                               # about five minutes
python -m benchmarks.ingestion --records 1000000 --rounds 1 --workers 1      # memory up to a million

bare = kafka-python consumes and produces the same bytes with the same guarantees, and does nothing else.
store = pymongo inserts the same documents into a collection with the same indexes, and nothing else runs.
Each round measures all of them one after the other, on other records; the table has the medians.
"""

import argparse
import logging
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event as Signal
from pathlib import Path
from typing import Any

import pymongo
import structlog
from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from servers.ferretdb import start_ferretdb
from servers.kafka import start_kafka
from servers.process import temporary_folder

from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.data.schema.schema_files import load_schema
from loan_default.data.sources.feeds import GeneratedFeed
from loan_default.database.connect import connect as connect_database
from loan_default.database.ingestion_documents import EventStatus, RawDataLog
from loan_default.database.ingestion_repositories import RawDataLogRepository
from loan_default.kafka.consuming import drain
from loan_default.kafka.messages import Record
from loan_default.kafka.open_broker import connect as connect_broker
from loan_default.kafka.outbox import Outbox
from loan_default.kafka.topics import PROCESSING, RAW, TOPICS, Topic
from loan_default.pipelines.ingestion.ingestion_steps import ingest_raw_data
from loan_default.pipelines.ingestion.worker import Worker
from loan_default.pipelines.services import Services
from loan_default.settings import Settings

COPY = "copy"
"""Topic that the bare clients produce to."""
BARE_GROUP = "bare"
_BATCH = 5_000
_INSERT = 500
_JOINING_SECONDS = 4.0
"""Enough for two processes to join a group and get their partitions."""


@dataclass(slots=True)
class Measured:
    """What one process did."""

    records: int = 0
    first: float = float("inf")
    """Seconds of the machine's clock."""
    last: float = 0.0
    cpu_seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    memory: list[tuple[int, int]] = field(default_factory=list)
    """Records so far, resident bytes."""


Job = Callable[[Settings, Signal, Signal], Measured]


def main() -> None:
    """Start servers, run the rounds, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=60_000, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    rates: dict[str, list[float]] = {}
    with temporary_folder() as folder, tempfile.TemporaryDirectory() as home:
        kafka, store = start_kafka(folder / "kafka"), start_ferretdb(folder / "store")
        try:
            settings = Settings(
                home=Path(home), mongodb_uri=store.uri, kafka_bootstrap_servers=kafka.bootstrap
            )
            connect_broker(settings).create_topics([*TOPICS, Topic(name=COPY)])
            for number in range(options.rounds):
                ours = settings.model_copy(update={"mongodb_database": f"round_{number}"})
                seeds = iter(range(1000 * number, 1000 * number + 100))
                for workers in options.workers:
                    for name, job in (("bare", bare), ("worker", worker)):
                        parts = _run(job, workers, ours, rows=options.records, seed=next(seeds))
                        rates.setdefault(f"{name} x{workers}", []).append(_rate(parts))
                        _say_parts(f"{name} x{workers}", parts)
                rates.setdefault("store", []).append(_rate([_insert_alone(ours, options.records)]))
        finally:
            kafka.stop()
            store.stop()
    _say_table(rates, options.workers)


def bare(settings: Settings, ready: Signal, go: Signal, *, topic: str = RAW) -> Measured:
    """kafka-python alone: every message acknowledged before the offsets are committed."""
    client: dict[str, Any] = {"bootstrap_servers": settings.kafka_bootstrap_servers}
    consumer = KafkaConsumer(
        topic,
        **client,
        group_id=BARE_GROUP,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    producer = KafkaProducer(
        **client, acks="all", enable_idempotence=True, linger_ms=20, batch_size=128 * 1024
    )
    _settle(lambda: consumer.poll(timeout_ms=100, max_records=1), ready, go)
    ends, measured, since = consumer.end_offsets(consumer.assignment()), Measured(), time.process_time()
    while any(consumer.position(place) < end for place, end in ends.items()):
        records = [each for part in consumer.poll(500, max_records=_BATCH).values() for each in part]
        measured.first = min(measured.first, time.monotonic())
        futures = [
            producer.send(COPY, value=each.value, key=each.key, headers=each.headers) for each in records
        ]
        producer.flush()
        for future in futures:
            future.get(timeout=0)
        if records:
            consumer.commit()
        measured.records += len(records)
        measured.last = time.monotonic()
    measured.cpu_seconds = time.process_time() - since
    consumer.close()
    producer.close()
    return measured


def worker(settings: Settings, ready: Signal, go: Signal) -> Measured:
    """Ours, as `loan-default ingest --follow` runs it."""
    services, measured = _flow(settings), Measured()
    with Worker(services) as ours:

        def handle(records: list[Record]) -> None:
            measured.first = min(measured.first, time.monotonic())
            ours(records)
            measured.records += len(records)
            measured.last = time.monotonic()
            measured.memory.append((measured.records, _resident_bytes()))

        _settle(lambda: ours.consumer.poll(max_records=1, timeout_seconds=0.1), ready, go)
        since, ends = time.process_time(), services.broker.end_offsets(RAW)
        drain(ours.consumer, handle, ends=ends, polling=services.polling)
        measured.cpu_seconds = time.process_time() - since
        measured.stages = ours.processed.seconds
    services.database.client.close()
    return measured


def _settle(poll: Callable[[], object], ready: Signal, go: Signal) -> None:
    """Join the group while there is nothing to read, say so, and wait for the start."""
    until = time.monotonic() + _JOINING_SECONDS
    while time.monotonic() < until:
        poll()
    ready.set()
    go.wait()


def _run(job: Job, workers: int, settings: Settings, *, rows: int, seed: int) -> list[Measured]:
    """Processes join, then the records are made, then the processes work them off; what each did."""
    context = multiprocessing.get_context("spawn")
    go, done = context.Event(), context.Queue()
    members = []
    for group in (BARE_GROUP, PROCESSING):
        skip_to_the_end(settings, group, RAW)
    for _ in range(workers):
        ready = context.Event()
        process = context.Process(target=_member, args=(job, settings, ready, go, done))
        process.start()
        members.append((process, ready))
    for _, ready in members:
        ready.wait()
    _make_records(settings, rows=rows, seed=seed)
    go.set()
    parts = [done.get() for _ in members]
    for process, _ in members:
        process.join()
    if (seen := sum(part.records for part in parts)) != rows:
        raise SystemExit(f"all records must be processed once, however: {seen} of {rows}")
    return parts


def _member(job: Job, settings: Settings, ready: Signal, go: Signal, done: "Queue[Measured]") -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    done.put(job(settings, ready, go))


def _make_records(settings: Settings, *, rows: int, seed: int) -> None:
    services = _flow(settings)
    state = settings.home / f"feed-{seed}.json"
    ingest_raw_data(
        services, GeneratedFeed(services.schema, rows=rows, seed=seed, state=state, population=rows)
    )
    services.database.client.close()


def skip_to_the_end(settings: Settings, group: str, topic: str) -> None:
    """What other processes were measured with is not this one's work."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers, group_id=group)
    places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    consumer.assign(places)
    ends = consumer.end_offsets(places)
    consumer.commit({place: OffsetAndMetadata(end, "", -1) for place, end in ends.items()})
    consumer.close()


def _insert_alone(settings: Settings, rows: int) -> Measured:
    """The documents of that many events, and no other load on the machine."""
    database = connect_database(settings.model_copy(update={"mongodb_database": "alone"}))
    assert settings.mongodb_uri is not None
    with pymongo.MongoClient[dict[str, Any]](settings.mongodb_uri.get_secret_value()) as client:
        client.drop_database("alone")
    RawDataLogRepository(database).ensure_indexes()
    now = datetime.now(UTC)
    documents = [
        RawDataLog(
            event=f"generated-0-{row}",
            topic=RAW,
            partition=row % 3,
            offset=row,
            batch="0123456789abcdef0123456789abcdef",
            outcome=EventStatus.ACCEPTED,
            application=f"G0-{row:08d}",
            sent_at=now,
            logged_at=now,
        ).to_store()
        for row in range(rows)
    ]
    collection, measured = database[RawDataLogRepository.collection], Measured(records=rows)
    measured.first = time.monotonic()
    for first in range(0, rows, _INSERT):
        collection.insert_many(documents[first : first + _INSERT], ordered=False)
    measured.last = time.monotonic()
    database.client.close()
    return measured


def _flow(settings: Settings) -> Services:
    return Services(
        broker=connect_broker(settings),
        database=connect_database(settings),
        schema=load_schema(BUNDLED_SCHEMA),
        outbox=Outbox(settings.home / "outbox"),
    )


def _rate(parts: list[Measured]) -> float:
    """Records a second of all processes together."""
    seconds = max(part.last for part in parts) - min(part.first for part in parts)
    return sum(part.records for part in parts) / seconds


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _say_parts(name: str, parts: list[Measured]) -> None:
    """One line for each process: rate, time by stage, memory on the way."""
    for part in parts:
        each = 1e6 / part.records if part.records else 0.0
        words = [f"{name}: {part.records:,} records, {part.cpu_seconds * each:.0f} us of CPU each"]
        words += [f"{stage} {seconds * each:.0f}" for stage, seconds in part.stages.items()]
        for mark in (100_000, 1_000_000):
            passed = [size for count, size in part.memory if count >= mark]
            words += [f"{passed[0] / 2**20:.0f} MiB at {mark:,}"] if passed else []
        print(", ".join(words), flush=True)


def _say_table(rates: dict[str, list[float]], workers: list[int]) -> None:
    rate = {name: statistics.median(measured) for name, measured in rates.items()}
    print(
        "\n| processes | bare, records/s | ours | of bare | of the store's inserts |\n|---|---|---|---|---|"
    )
    for number in workers:
        bare_rate, our_rate = rate[f"bare x{number}"], rate[f"worker x{number}"]
        print(
            f"| {number} | {bare_rate:,.0f} | {our_rate:,.0f} | {our_rate / bare_rate:.0%} | "
            f"{our_rate / rate['store']:.0%} |"
        )
    print(f"\ninsert_many alone: {rate['store']:,.0f} documents/s; all rates: {_rounded(rates)}")


def _rounded(rates: dict[str, list[float]]) -> dict[str, list[int]]:
    return {name: [round(each) for each in measured] for name, measured in rates.items()}


if __name__ == "__main__":
    main()

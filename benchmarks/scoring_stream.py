"""Scores on the stream: seconds from `processed_data` to `scores` at a constant rate, and the highest rate.

    export PYTHONPATH=tests                                              # of the servers
    python -m benchmarks.scoring_stream                                  # about three minutes
    python -m benchmarks.scoring_stream --rate 500 --seconds 60

The servers are genuine Kafka and a store that speaks MongoDB's protocol; all of it shares one machine. Events
are sent at the times of a plan, whether the scorer keeps up or not, and a score's age counts from the planned
time of its event. A few events come first: what waits on the topic when a scorer takes a partition over may
have been scored before, and is looked up in the store besides.

`bare` consumes the same events and produces as many bytes, and does nothing else. The
model has the sizes of the preset `default` and random weights, on which no time depends.
"""

import argparse
import itertools
import logging
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.synchronize import Event as Signal
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

import numpy as np
import structlog
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from servers.ferretdb import start_ferretdb
from servers.kafka import start_kafka
from servers.process import temporary_folder

from benchmarks.ingestion import BARE_GROUP, COPY, Measured, bare, skip_to_the_end
from benchmarks.serving_engine import VERSION, bundled_model
from loan_default.database.connect import connect as connect_database
from loan_default.database.prediction_repository import PredictionRepository
from loan_default.files import sha256_of
from loan_default.kafka.consuming import Polling
from loan_default.kafka.events import Event, EventType, to_message
from loan_default.kafka.messages import Message
from loan_default.kafka.open_broker import connect as connect_broker
from loan_default.kafka.topics import PROCESSED, SCORES, SCORING, TOPICS, Topic
from loan_default.models.model import save_model
from loan_default.pipelines.layout import SERVING_FILES
from loan_default.serving.lineup import Lineup
from loan_default.serving.scorer import load_scorer
from loan_default.serving.stream_scoring import follow_processed_data
from loan_default.settings import Settings

MODEL = "model.pth"
_QUIET_SECONDS = 10.0
"""So long without a score, and the stream is done or has stopped."""
_FIRST = 96
"""Events that come before what is measured, some in each partition."""


def main() -> None:
    """Start the servers, measure, print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=int, default=1_000, help="events a second of the constant rate")
    parser.add_argument("--seconds", type=int, default=30, help="for which they are sent")
    parser.add_argument("--records", type=int, default=20_000, help="events of the highest rate")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with temporary_folder() as folder, tempfile.TemporaryDirectory() as home:
        kafka, store = start_kafka(folder / "kafka"), start_ferretdb(folder / "store")
        try:
            settings = Settings(
                home=Path(home), mongodb_uri=store.uri, kafka_bootstrap_servers=kafka.bootstrap
            )
            connect_broker(settings).create_topics([*TOPICS, Topic(name=COPY)])
            database = connect_database(settings)
            PredictionRepository(database).ensure_indexes()
            database.client.close()
            model, rows = bundled_model()
            save_model(settings.home / MODEL, model)
            plain = rows.astype(object).where(rows.notna(), None)
            records = [dict(zip(map(str, plain), row, strict=True)) for row in plain.to_numpy().tolist()]
            _measure_ages(settings, records, rate=options.rate, seconds=options.seconds)
            _measure_highest_rate(settings, records, number=options.records)
        finally:
            kafka.stop()
            store.stop()


def score(settings: Settings, ready: Signal, go: Signal, stop: Signal) -> None:
    """Ours, as `loan-default score --follow` runs it, until `stop`."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    path = settings.home / MODEL
    scorer = load_scorer(path, version=VERSION, sha256=sha256_of(path), cache=settings.home / SERVING_FILES)
    lineup, flag = Lineup(champion=scorer), Flag()

    def wait() -> None:
        stop.wait()
        flag.set()

    Thread(target=wait, daemon=True).start()
    database = connect_database(settings)
    ready.set()
    go.wait()
    follow_processed_data(
        broker=connect_broker(settings),
        predictions=PredictionRepository(database),
        lineup=lambda: lineup,
        polling=Polling(),
        stop=flag,
    )
    database.client.close()


def _measure_ages(settings: Settings, records: list[dict[str, Any]], *, rate: int, seconds: int) -> None:
    """Print how old scores are when they are on the topic, at a constant rate."""
    arrivals, reads = dict[str, float](), Flag()
    collector = Thread(
        target=_collect, args=(settings, arrivals, rate * seconds + _FIRST, reads), daemon=True
    )
    with _scoring(settings) as go:
        go.set()
        collector.start()
        reads.wait()
        _send_first(settings, records, "first-planned", arrivals)
        planned = _send_at_rate(settings, records, rate=rate, number=rate * seconds)
        collector.join()
    ages = np.sort([arrivals[event] - planned[event] for event in arrivals if event in planned])
    if len(ages) == 0:
        raise SystemExit("scores must arrive, however: none did")
    shown = ", ".join(f"p{share} {np.percentile(ages, share):.3f} s" for share in (50, 95, 99))
    print(f"{rate:,} events/s for {seconds} s: {len(ages):,} of {len(planned):,} scored; {shown}", flush=True)


def _measure_highest_rate(settings: Settings, records: list[dict[str, Any]], *, number: int) -> None:
    """Print the rates of ours and of the bare clients on events that come as fast as they can."""
    skip_to_the_end(settings, SCORING, PROCESSED)
    arrivals, reads = dict[str, float](), Flag()
    collector = Thread(target=_collect, args=(settings, arrivals, number + _FIRST, reads), daemon=True)
    with _scoring(settings) as go:
        go.set()
        collector.start()
        reads.wait()
        _send_first(settings, records, "first-at-once", arrivals)
        _send_at_once(settings, records, number=number)
        collector.join()
    times = sorted(at for event, at in arrivals.items() if event.startswith("at-once"))
    ours = len(times) / (times[-1] - times[0])
    print(f"as fast as they come: ours {ours:,.0f}/s ({len(times):,} of {number:,} scored)", flush=True)
    measured = _copied(settings, records, number=number)
    rate = measured.records / (measured.last - measured.first)
    print(f"as fast as they come: bare {rate:,.0f}/s, ours are {ours / rate:.0%} of it")


def _copied(settings: Settings, records: list[dict[str, Any]], *, number: int) -> Measured:
    """What the bare clients did with as many events, which come once they have joined."""
    skip_to_the_end(settings, BARE_GROUP, PROCESSED)
    context = multiprocessing.get_context("spawn")
    ready, go = context.Event(), context.Event()
    found: list[Measured] = []
    clients = Thread(target=lambda: found.append(bare(settings, ready, go, topic=PROCESSED)), daemon=True)
    clients.start()
    ready.wait()
    _send_at_once(settings, records, number=number)
    go.set()
    clients.join()
    return found[0]


def _send_at_once(settings: Settings, records: list[dict[str, Any]], *, number: int) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers, acks="all", linger_ms=20)
    for message in _events(records, "at-once", number=number, start=time.time()):
        producer.send(message.topic, key=message.key, value=message.value, headers=list(message.headers))
    producer.flush()
    producer.close()


def _send_first(
    settings: Settings, records: list[dict[str, Any]], name: str, arrivals: dict[str, float]
) -> None:
    """Let the scorer take its partitions over, by events whose scores are waited for."""
    producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers, acks="all")
    for message in _events(records, name, number=_FIRST, start=time.time()):
        producer.send(message.topic, key=message.key, value=message.value, headers=list(message.headers))
    producer.flush()
    producer.close()
    until = time.monotonic() + 60.0
    while len(arrivals) < _FIRST and time.monotonic() < until:
        time.sleep(0.05)


@contextmanager
def _scoring(settings: Settings) -> Iterator[Signal]:
    """A process that scores the stream once the signal is set, until the block ends."""
    context = multiprocessing.get_context("spawn")
    ready, go, stop = context.Event(), context.Event(), context.Event()
    process = context.Process(target=score, args=(settings, ready, go, stop))
    process.start()
    ready.wait()
    yield go
    stop.set()
    process.join()


def _events(
    records: list[dict[str, Any]], name: str, *, number: int, start: float, rate: float | None = None
) -> Iterator[Message]:
    """Events of `processed_data` in turn, each with the planned time of its sending."""
    for place, record in enumerate(itertools.islice(itertools.cycle(records), number)):
        planned = start + (place / rate if rate else 0.0)
        event = Event(
            id=f"{name}-{place}",
            type=EventType.PROCESSED,
            source="benchmark",
            time=datetime.fromtimestamp(planned, UTC),
            subject=f"applicant-{place}",
            schema="benchmark/1",
            data=record,
        )
        yield to_message(event, PROCESSED)


def _send_at_rate(
    settings: Settings, records: list[dict[str, Any]], *, rate: int, number: int
) -> dict[str, float]:
    """Send events at planned times; returns the plan by the id of the event."""
    producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers, acks="all", linger_ms=2)
    start, planned = time.time() + 0.1, {}
    for place, message in enumerate(_events(records, "planned", number=number, start=start, rate=rate)):
        planned[f"planned-{place}"] = start + place / rate
        if (wait := planned[f"planned-{place}"] - time.time()) > 0:
            time.sleep(wait)
        producer.send(message.topic, key=message.key, value=message.value, headers=list(message.headers))
    producer.flush()
    producer.close()
    return planned


def _collect(settings: Settings, arrivals: dict[str, float], number: int, reads: Flag) -> None:
    """Note when each score is read, until there are so many or none comes any more.

    Args:
        reads: set once scores are read.
    """
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers, auto_offset_reset="latest")
    places = [TopicPartition(SCORES, each) for each in consumer.partitions_for_topic(SCORES)]
    consumer.assign(places)
    consumer.seek_to_end(*places)
    for place in places:
        consumer.position(place)
    reads.set()
    last = time.monotonic() + 60.0
    while len(arrivals) < number and time.monotonic() < last + _QUIET_SECONDS:
        for part in consumer.poll(timeout_ms=50).values():
            last = time.monotonic()
            for record in part:
                event = dict(record.headers)["ce_id"].decode()
                arrivals.setdefault(event, time.time())
    consumer.close()


if __name__ == "__main__":
    main()

"""From the source to the training store on genuine servers: every record accounted for, also the poisoned.

A small load by default; the full one is `LEDGER_RECORDS=1000000 pytest -s tests/integration/test_ledger.py`.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pymongo
import pytest
from integration.world import World, wait_until

from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.data.datasets.training_store import read_store
from loan_default.data.schema.schema_files import load_schema
from loan_default.kafka.consuming import look
from loan_default.kafka.dead_letters import read_dead_letter
from loan_default.kafka.events import event_id
from loan_default.kafka.messages import Message, Record
from loan_default.kafka.topics import PROCESSED, RAW, dead_letter_topic
from loan_default.pipelines.layout import TRAINING_STORE

RECORDS = int(os.environ.get("LEDGER_RECORDS", "20000"))
pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300 + RECORDS // 200)]

SECRET = "Canary"
SOUND = b'{"ID":"Canary-1","LIMIT_BAL":1000,"SEX":1,"EDUCATION":1,"MARRIAGE":1,"AGE":30}'
POISON = (
    b'{"ID": "Canary',
    b'{"ID": "Canary-\xff"}',
    b"",
    None,
    b'["Canary"]',
    b'{"ID": NaN, "AGE": "Canary"}',
    SOUND.replace(b":30", b':"Canary"'),
    SOUND.replace(b":30", b':"30"'),
    SOUND.replace(b":30", b":true"),
    SOUND.replace(b":30", b":-5"),
    SOUND.replace(b":30", b":3000"),
    SOUND.replace(b":30", b":null"),
    SOUND.replace(b":30", b":" + b"9" * 4000),
    SOUND.replace(b'"SEX":1', b'"SEX":"Canary"'),
    SOUND.replace(b'"AGE"', b'"Canary":1,"AGE"'),
    SOUND.replace(b'"Canary-1"', b'"' + b"Canary" * 10_000 + b'"'),
    b'{"ID":' * 5_000,
)
"""No JSON, no UTF-8, empty, null, no object, not a number, wrong types, out of bounds, missing, huge, unknown
category, unknown field, long, deep."""


def test_every_record_is_accounted_for(world):
    broken, again = RECORDS // 100, RECORDS // 1000
    sound = RECORDS - broken - 1
    since = time.monotonic()
    feeding = world.start("ingest", "--generate", str(sound))
    wait_until(lambda: sum(world.broker.end_offsets(RAW).values()) > 0)
    poisoned = send_poison(world, broken, among=feeding)
    finish(world, feeding)
    drop_a_row_that_is_too_large(world)
    run(world, "ingest", "--folder", str(world.home / "incoming"))
    (world.home / "feeds" / "generated-0.json").unlink()  # a source that forgets how far it was
    run(world, "ingest", "--generate", str(again))
    took = time.monotonic() - since

    sent = {f"generated-0-{row}" for row in range(sound)} | poisoned
    outcomes = {str(each["_id"]): each["outcome"] for each in documents(world)}
    accepted = {event for event, outcome in outcomes.items() if outcome == "accepted"}
    rejected = outcomes.keys() - accepted
    raw = Counter(map(event_id, records(world, RAW)))
    processed = Counter(map(event_id, records(world, PROCESSED)))
    dead_letters = [read_dead_letter(record) for record in records(world, dead_letter_topic(RAW))]
    dead = Counter(record.event for record in dead_letters)
    (too_large,) = (record for record in dead_letters if record.partition.number < 0)
    duplicates = raw.total() - len(raw)

    assert not sent - outcomes.keys(), "lost"
    assert not outcomes.keys() - sent, "phantom"
    assert sum(1 for _ in documents(world)) == len(outcomes), "twice"
    assert not accepted & dead.keys(), "both"
    assert (len(accepted), rejected) == (sound, poisoned)
    assert dead == Counter([*poisoned, too_large.event]), "exactly one record each"
    assert processed == Counter(accepted), "exactly one processed event each"
    assert duplicates == again
    # What the sources handed over, also what no topic takes = what became of it.
    assert raw.total() + 1 == len(accepted) + len(dead_letters) + duplicates

    for record in dead_letters:
        assert record.reason
        assert SECRET not in record.reason
        assert record.partition.topic == RAW
        assert record.offset >= 0 or record is too_large
    assert SECRET not in (world.home / "commands.log").read_text()
    contents = read_store(
        world.home / TRAINING_STORE, load_schema(BUNDLED_SCHEMA), maturity_days=0, now=datetime.now(UTC)
    )
    assert (contents.events, contents.duplicates) == (sound, 0)
    sys.stdout.write(
        f"\n{raw.total() + 1:,} sent = {len(accepted):,} accepted + "
        f"{len(dead_letters):,} dead-letter records + {duplicates:,} duplicates; lost 0, "
        f"phantom 0, twice 0, both 0; {took:,.0f} s from the sources to "
        f"{contents.applications:,} applications in {len(contents.parts):,} files of the training store\n"
    )


def send_poison(world: World, count: int, *, among: "subprocess.Popen[bytes]") -> set[str]:
    """Events whose values no schema takes, a few at a time while another process sends; returns their ids."""
    names = [f"poison-{number}" for number in range(count)]
    attributes = {
        "ce_specversion": b"1.0",
        "ce_type": b"application.received",
        "ce_source": b"hostile",
        "ce_time": b"2026-01-01T00:00:00Z",
    }
    producer = world.broker.producer()
    delivered = 0
    for first in range(0, count, 50):
        messages = [
            Message(
                topic=RAW,
                key=name.encode(),
                value=POISON[number % len(POISON)],
                headers=(*attributes.items(), ("ce_id", name.encode()), ("ce_subject", name.encode())),
            )
            for number, name in enumerate(names[first : first + 50], first)
        ]
        delivered += producer.deliver(messages).delivered
        if among.poll() is None:
            time.sleep(0.3)
    producer.close()
    assert delivered == count
    return set(names)


def drop_a_row_that_is_too_large(world: World) -> None:
    """A file with one row that no topic takes."""
    schema = load_schema(BUNDLED_SCHEMA)
    columns = [column.name for column in schema.columns]
    folder = world.home / "incoming"
    folder.mkdir()
    row = ["1"] * (len(columns) - 1)
    (folder / "large.csv").write_text(f"{','.join(columns)}\n{SECRET * 300_000},{','.join(row)}\n")
    past = time.time() - 3600  # a file that was written just now is left alone
    os.utime(folder / "large.csv", (past, past))


def run(world: World, *words: str) -> None:
    finish(world, world.start(*words))


def finish(world: World, process: "subprocess.Popen[bytes]") -> None:
    assert process.wait(120 + RECORDS // 300) == 0, (world.home / "commands.log").read_text()[-3000:]


def documents(world: World) -> Iterator[dict[str, object]]:
    with pymongo.MongoClient(world.ferretdb.environment["MONGODB_URI"]) as client:
        yield from client["loan_default"]["raw_data_logs"].find({}, {"outcome": 1})


def records(world: World, topic: str) -> Iterator[Record]:
    """All records of a topic, one after the other."""
    broker = world.broker
    consumer = broker.consumer(f"ledger-{time.time_ns()}", [topic])
    yield from look(consumer, ends=broker.end_offsets(topic))
    consumer.close()
